"""The kinds of nodes, as the page draws them and checks their wires."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from ...graph.catalog import Catalog
from ...graph.problems import Problem
from ..reference import catalog_of


class SettingKind(BaseModel):
    """`schema` is JSON schema; `reads` names the folders a file is looked up in, if the value is one."""

    name: str
    kind: str
    required: bool
    default: Any
    description: str
    json_schema: dict[str, Any] = Field(alias="schema")
    reads: str | None
    writes: bool


class InputKind(BaseModel):
    """`many` takes any number of wires."""

    name: str
    types: list[str]
    optional: bool
    many: bool


class OutputKind(BaseModel):
    name: str
    types: list[str]


class NodeKind(BaseModel):
    """`title` is the name in words; an `effect` saves or shows and always runs."""

    name: str
    title: str
    category: str
    effect: bool
    summary: str
    doc: str
    links: list[str]
    inputs: list[InputKind]
    outputs: list[OutputKind]
    settings: list[SettingKind]


class CatalogDescription(BaseModel):
    """`types` tells of each type a wire carries itself and what it is a kind of, nearest first; `problems` which nodes
    could not be loaded."""

    nodes: list[NodeKind]
    types: dict[str, list[str]]
    problems: list[Problem]


def describe_catalog(catalog: Catalog) -> CatalogDescription:
    """Imports the file of each node."""
    return CatalogDescription.model_validate(catalog_of(catalog))
