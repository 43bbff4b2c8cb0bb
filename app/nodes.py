"""`latentloom nodes`: the reference of all nodes, read from their functions, so that it cannot fall behind them."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from rich.markdown import Markdown
from rich.padding import Padding
from rich.table import Table

from ..graph.catalog import Catalog
from ..graph.document import WorkflowError
from ..graph.problems import Problem, did_you_mean, quoted
from ..nodes.catalog import NODES
from . import show
from .reference import catalog_of, markdown, shown


def print_nodes(name: str | None, as_json: bool, as_markdown: bool) -> int:
    """Print one node or all. Raises `WorkflowError` for a name that is none."""
    catalog = Catalog(NODES, "latentloom.nodes")
    if name is not None and name not in catalog:
        raise WorkflowError([Problem(f"There is no node {quoted(name)}.{did_you_mean(name, catalog)}")])
    found = catalog_of(catalog, [name] if name else None)
    described, unusable = found["nodes"], [Problem(**each) for each in found["problems"]]
    if as_json:
        show.document(found)
    elif as_markdown:
        print(markdown(described))
    elif name:
        for node in described:
            _print_one(node)
    else:
        _print_all(described)
    if unusable and not as_json:
        show.problems("Nodes that cannot be used:", unusable)
    return 2 if name and unusable else 0


def _print_all(nodes: list[dict[str, Any]]) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    for category, members in groupby(nodes, key=lambda node: node["category"]):
        table.add_row(category, "", style="bold")
        for node in members:
            table.add_row(f"  {node['name']}", node["summary"])
    console = show.console()
    console.print(table)
    console.print("\nlatentloom nodes NAME shows ports, settings and sources of one.", style="dim")


def _print_one(node: dict[str, Any]) -> None:
    console = show.console()
    console.print(node["name"], style="bold", end="  ")
    console.print(node["category"] + (", saves or shows; runs every time" if node["effect"] else ""), style="dim")
    console.print(Padding(Markdown(node["doc"]), (0, 0, 1, 2)))
    for title, rows in (
        ("Inputs", [(port["name"], " or ".join(port["types"]), _wanted(port)) for port in node["inputs"]]),
        ("Outputs", [(port["name"], " or ".join(port["types"]), "") for port in node["outputs"]]),
        ("Settings", [(each["name"], _kind(each), each["description"]) for each in node["settings"]]),
    ):
        if rows:
            console.print(title, style="bold")
            table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
            table.add_column(no_wrap=True)
            for row in rows:
                table.add_row(f"  {row[0]}", *row[1:])
            console.print(table)
    if node["links"]:
        console.print("Sources", style="bold")
        for link in node["links"]:
            console.print(f"  {link}", soft_wrap=True)


def _wanted(port: dict[str, Any]) -> str:
    return "any number of wires" if port["many"] else "may stay empty" if port["optional"] else ""


def _kind(setting: dict[str, Any]) -> str:
    default = "needs a value" if setting["required"] else f"default {shown(setting['default'])}"
    return f"{setting['kind']}, {default}"
