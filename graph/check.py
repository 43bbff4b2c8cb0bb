"""Everything that is wrong with a workflow, found before anything runs and told at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import networkx as nx

from .catalog import Catalog, NodeUnavailable
from .files import Files
from .modes import MUTE, Settled, settle
from .node import Declaration
from .problems import Hints, Problem, quoted
from .settings import resolve, take, unknown
from .wiring import Sources, Wiring
from .workflow import Workflow

_ROOT = ""
"""Stands above all goals, where a walk has to have one beginning; no node is called so."""


@dataclass(frozen=True)
class Bound:
    """A node ready to be called: settings with their defaults filled in, and where its inputs come from."""

    id: str
    declaration: Declaration
    settings: Mapping[str, Any]
    sources: Mapping[str, Sources]

    @property
    def wires(self) -> Sources:
        """All that comes in, over all inputs."""
        return tuple(source for sources in self.sources.values() for source in sources)


@dataclass(frozen=True)
class Checked:
    """A workflow bound to its nodes. `order` holds what the goals need, each node after those it depends on; it may
    be run when no problem is `needed`. `muted` nodes do not run, as somebody said so or as they lack a muted one."""

    nodes: Mapping[str, Bound]
    goals: tuple[str, ...]
    order: tuple[str, ...]
    problems: tuple[Problem, ...]
    muted: tuple[str, ...] = ()


def check(
    workflow: Workflow, catalog: Catalog, files: Files | None = None, goals: Iterable[str] | None = None
) -> list[Problem]:
    """All problems. Those with `needed` False lie where the goals need nothing: a run passes over them.

    Settings that name files are looked up when `files` says where.
    """
    return list(bind(workflow, catalog, files, goals).problems)


def bind(
    workflow: Workflow, catalog: Catalog, files: Files | None = None, goals: Iterable[str] | None = None
) -> Checked:
    """The workflow's nodes with their functions, in order, and all problems.

    Without `goals`, these are all effects, or if there is none, the nodes whose results nobody takes. Nodes that are
    muted or bypassed are none of them, and only their kinds are checked.
    """
    hints = Hints()
    declared, problems = _declarations(workflow, catalog, hints)
    settled = settle(workflow, declared, hints)
    problems += settled.problems
    live = {id_: node for id_, node in declared.items() if id_ in settled.workflow.nodes}
    wiring = Wiring(settled.workflow, live, catalog, hints)
    problems += wiring.problems
    nodes = {}
    for id_, node in live.items():
        values, faults = resolve(id_, workflow.nodes[id_].settings, node, files, hints)
        problems += faults
        nodes[id_] = Bound(id_, node, values, wiring.sources[id_])
    graph = _graph(settled.workflow)
    problems += _cycles(graph)
    wanted = tuple(_default_goals(graph, live) if goals is None else dict.fromkeys(goals))
    problems += [_no_goal(goal, workflow, settled, hints) for goal in wanted if goal not in graph]
    if not wanted:
        every = "every node is muted or bypassed" if workflow.nodes and goals is None else "the workflow has no nodes"
        problems.append(Problem(f"There is nothing to run: {every}, or no goal was named."))
    order = _order(graph, wanted)
    needed = {None, *order}
    problems = [replace(problem, needed=problem.node in needed) for problem in problems]
    return Checked(nodes, wanted, order, tuple(problems), settled.muted)


def rebind(checked: Checked, settings: Mapping[str, Any], files: Files | None = None) -> Checked:
    """`checked` with other values of some settings, named `node.setting`: as `bind` gives it, and much quicker.

    The nodes are there; what is muted or bypassed takes no value.
    """
    nodes, hints = dict(checked.nodes), Hints()
    problems = [problem for problem in checked.problems if f"{problem.node}.{problem.setting}" not in settings]
    for key, given in settings.items():
        id_, _, name = key.rpartition(".")
        if (bound := nodes.get(id_)) is None:
            continue
        if (setting := bound.declaration.settings.get(name)) is None:
            found = [unknown(id_, name, bound.declaration, hints)]
        else:
            found = take(id_, setting, given, files, values := dict(bound.settings))
            nodes[id_] = replace(bound, settings=values)
        problems += [replace(problem, needed=id_ in checked.order) for problem in found]
    return replace(checked, nodes=nodes, problems=tuple(problems))


def _declarations(workflow: Workflow, catalog: Catalog, hints: Hints) -> tuple[dict[str, Declaration], list[Problem]]:
    declared, problems = {}, []
    for id_, entry in workflow.nodes.items():
        try:
            declared[id_] = catalog[entry.type]
        except KeyError:
            hint = hints.did_you_mean(entry.type, catalog)
            sentence = f"Node {quoted(id_)}: there is no kind of node called {quoted(entry.type)}.{hint}"
            problems.append(Problem(sentence, id_))
        except NodeUnavailable as error:
            problems.append(Problem(f"Node {quoted(id_)}: {error}", id_))
    return declared, problems


def _graph(workflow: Workflow) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_nodes_from(workflow.nodes)
    graph.add_edges_from(
        (wire.source, wire.target) for wire in workflow.wires if wire.source in graph and wire.target in graph
    )
    return graph


def _cycles(graph: nx.DiGraph) -> Iterator[Problem]:
    """One circle of each knot, however many go through it: with one wire gone the next is shown."""
    for knot in nx.strongly_connected_components(graph):
        if len(knot) > 1 or graph.has_edge(*(2 * tuple(knot))):
            circle = [source for source, _ in nx.find_cycle(graph.subgraph(knot))]
            shown = circle if len(circle) <= 12 else [*circle[:12], f"… {len(circle) - 12} more …"]
            way = " -> ".join([*shown, circle[0]])
            yield Problem(f"The wires go in a circle: {way}. Take one of them away.", circle[0])


def _no_goal(goal: str, workflow: Workflow, settled: Settled, hints: Hints) -> Problem:
    if goal not in workflow.nodes:
        return Problem(f"There is no node {quoted(goal)} to run.{hints.did_you_mean(goal, workflow.nodes)}")
    if goal in settled.bypassed:
        return Problem(f"Node {quoted(goal)} is bypassed, so there is nothing to run it for.")
    itself = workflow.nodes[goal].extra.get("mode") == MUTE
    because = "is muted" if itself else "needs a node that is muted"
    return Problem(f"Node {quoted(goal)} {because}, so it cannot be run.")


def _default_goals(graph: nx.DiGraph, declared: Mapping[str, Declaration]) -> list[str]:
    effects = [id_ for id_ in graph if id_ in declared and declared[id_].effect]
    # Where all go in circles there is no end; then everything is asked for, and refused.
    return effects or [id_ for id_ in graph if graph.out_degree(id_) == 0] or list(graph)


def _order(graph: nx.DiGraph, goals: Iterable[str]) -> tuple[str, ...]:
    """What the goals need, each after what it needs itself, and the first goal before what only the second needs: so
    results come early and few lie waiting."""
    backwards = nx.DiGraph((target, source) for source, target in graph.edges)
    backwards.add_edges_from((_ROOT, goal) for goal in goals if goal in graph)
    return tuple(nx.dfs_postorder_nodes(backwards, _ROOT))[:-1] if _ROOT in backwards else ()
