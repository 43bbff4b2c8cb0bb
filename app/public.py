"""What a workflow shows to people who want no graph: the settings and results its `app` key names, or a good guess."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..graph.catalog import Catalog, NodeUnavailable
from ..graph.files import Reads, Writes
from ..graph.node import Declaration
from ..graph.ports import Setting
from ..graph.problems import did_you_mean, quoted
from ..graph.workflow import Workflow

SEED_RULES = ("fixed", "increment", "random")


@dataclass(frozen=True)
class PublicSetting:
    """A setting of a node as the form shows it. `value` is as JSON has it; `rule` is what becomes of a seed after a
    run, and empty for what is no seed."""

    node: str
    setting: Setting
    label: str
    value: Any
    rule: str = ""

    @property
    def key(self) -> str:
        return f"{self.node}.{self.setting.name}"


@dataclass(frozen=True)
class PublicOutput:
    """A node whose results the form shows."""

    node: str
    label: str


@dataclass(frozen=True)
class PublicView:
    """`chosen` is False where the workflow names nothing itself; `problems` are sentences about what it names."""

    inputs: tuple[PublicSetting, ...]
    outputs: tuple[PublicOutput, ...]
    chosen: bool
    problems: tuple[str, ...] = ()


def public_view(workflow: Workflow, catalog: Catalog) -> PublicView:
    """What the form of `workflow` shows."""
    nodes = dict(_declared(workflow, catalog))
    named = workflow.document.get("app")
    problems: list[str] = []
    inputs = list(_named_inputs(workflow, nodes, _entries(named, "inputs", problems), problems))
    outputs = list(_named_outputs(workflow, _entries(named, "outputs", problems), problems))
    return PublicView(
        tuple(inputs or _guessed_inputs(workflow, nodes)),
        tuple(outputs or _guessed_outputs(workflow, nodes)),
        bool(inputs or outputs),
        tuple(problems),
    )


def goals(workflow: Workflow, catalog: Catalog, view: PublicView) -> tuple[str, ...] | None:
    """Nodes a run of the form is for: all that save or show, and what the form shows; None where that is the same."""
    effects = [node for node, declared in _declared(workflow, catalog) if declared.effect]
    more = [output.node for output in view.outputs if output.node not in effects]
    return (*effects, *more) if more else None


def words(name: str) -> str:
    """`clip_skip` as a person reads it: `Clip skip`."""
    spoken = " ".join(name.replace("_", " ").replace(".", " ").split())
    return spoken[:1].upper() + spoken[1:]


def _declared(workflow: Workflow, catalog: Catalog) -> Iterator[tuple[str, Declaration]]:
    for node, entry in workflow.nodes.items():
        try:
            yield node, catalog[entry.type]
        except (KeyError, NodeUnavailable):
            continue  # the check before a run says so


def _entries(named: Any, key: str, problems: list[str]) -> list[Mapping[str, Any]]:
    listed = named.get(key, []) if isinstance(named, Mapping) else []
    if not isinstance(listed, list):
        problems.append(f"app.{key} must be a list.")
        return []
    found = [entry for entry in listed if isinstance(entry, Mapping)]
    if len(found) < len(listed):
        problems.append(f"Each of app.{key} must be an object.")
    return found


def _named_inputs(
    workflow: Workflow, nodes: Mapping[str, Declaration], entries: list[Mapping[str, Any]], problems: list[str]
) -> Iterator[PublicSetting]:
    known = {f"{node}.{name}": (node, name) for node, declared in nodes.items() for name in declared.settings}
    for entry in entries:
        key = str(entry.get("setting", ""))
        if key in known:
            node, name = known[key]
            yield _setting(workflow, node, nodes[node].settings[name], entry.get("label"))
        else:
            problems.append(f"The form shows the setting {quoted(key)}, which is not there.{did_you_mean(key, known)}")


def _named_outputs(workflow: Workflow, entries: list[Mapping[str, Any]], problems: list[str]) -> Iterator[PublicOutput]:
    for entry in entries:
        node = str(entry.get("node", ""))
        if node in workflow.nodes:
            yield PublicOutput(node, str(entry.get("label") or _title(workflow, node)))
        else:
            hint = did_you_mean(node, workflow.nodes)
            problems.append(f"The form shows results of the node {quoted(node)}, which is not there.{hint}")


def _guessed_inputs(workflow: Workflow, nodes: Mapping[str, Declaration]) -> Iterator[PublicSetting]:
    """Prompts, pictures to begin from, and seeds."""
    asked = (_is_prompt, lambda _, setting: reads(setting) == "input", lambda _, setting: is_seed(setting))
    for question in asked:
        for node, declared in nodes.items():
            for setting in declared.settings.values():
                if question(declared, setting):
                    yield _setting(workflow, node, setting, None)


def _guessed_outputs(workflow: Workflow, nodes: Mapping[str, Declaration]) -> Iterator[PublicOutput]:
    """What saves or shows; without such a node, what nothing else takes in."""
    sources = {wire.source for wire in workflow.wires}
    effects = [node for node, declared in nodes.items() if declared.effect]
    for node in effects or [node for node in workflow.nodes if node not in sources]:
        yield PublicOutput(node, _title(workflow, node))


def _is_prompt(declared: Declaration, setting: Setting) -> bool:
    plain_text = setting.schema.get("type") == "string" and "enum" not in setting.schema
    return declared.category == "prompt" and plain_text and not reads(setting) and not setting.markers(Writes)


def is_seed(setting: Setting) -> bool:
    return setting.schema.get("type") == "integer" and setting.name.split("_")[-1] == "seed"


def reads(setting: Setting) -> str | None:
    """The kind of folder the value is looked up in, if it is a file."""
    markers = setting.markers(Reads)
    return markers[0].kind if markers else None


def _setting(workflow: Workflow, node: str, setting: Setting, label: Any) -> PublicSetting:
    entry = workflow.nodes[node]
    default = None if setting.required else setting.plain(setting.default)
    rules = entry.extra.get("seeds")
    rule = rules.get(setting.name, "fixed") if isinstance(rules, Mapping) else "fixed"
    return PublicSetting(
        node,
        setting,
        str(label or f"{_title(workflow, node)} {words(setting.name).lower()}"),
        entry.settings.get(setting.name, default),
        (rule if rule in SEED_RULES else "fixed") if is_seed(setting) else "",
    )


def _title(workflow: Workflow, node: str) -> str:
    return str(workflow.nodes[node].extra.get("title") or words(node))
