"""The caches of diffusers that hook modules of a transformer (`diffusers.hooks`), in a run of ours.

Their hooks keep a state for each named context, count calls themselves, and never forget: which context a call is in,
when a state is used up, and what it is when a guidance asks for fewer branches than before, is told to them here. What
they hook is set back exactly.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...graph.node import NodeError
from ..models.call import Call, current
from ..models.forward import forward_replaced
from ..types import Conditioning, Model
from .step_cache import Counts, count

if TYPE_CHECKING:
    from torch import nn

OUTSIDE = "outside of a run"


@contextmanager
def hooked(
    root: nn.Module,
    method: str,
    apply: Callable[[nn.Module], None],
    counts: Counts,
    told: Callable[[Call, Sequence[Any]], None] = lambda call, hooks: None,
) -> Iterator[None]:
    """`root` as `apply` hooks it, while the context lasts.

    `told` is called before each call of a run, with the hooks in the states they go on in. Raises `NodeError` if
    nothing is hooked: patterns that match nothing are silent in diffusers.
    """
    with _applied(root, apply) as hooks:
        if not hooks:
            raise NodeError(f"{method} found no module to keep in this {type(root).__name__}; take it off the model.")
        reached: list[object] = []
        ran: list[object] = []
        for hook in hooks:  # a guidance may leave out a block with all that is hooked in it: that is not saved by these
            hook.fn_ref.forward = _noting(hook.fn_ref.forward, reached)
            hook.fn_ref.original_forward = _noting(hook.fn_ref.original_forward, ran)
        states, whole = States(hooks), root.forward

        def forward(*given: Any, **told_with: Any) -> Any:
            call, sample = current(), given[0] if given else told_with["hidden_states"]
            states.enter(call, sample.shape[0])
            if call is not None:
                told(call, hooks)
            reached.clear()
            ran.clear()
            found = whole(*given, **told_with)
            count(call, counts.computed, len(ran))
            count(call, counts.saved, len(reached) - len(ran))
            return found

        try:
            with forward_replaced(root, forward):
                yield
        finally:
            states.clear()


@dataclass
class _Line:
    """States that go on from evaluation to evaluation, for branches that are asked together."""

    name: str
    branches: tuple[Conditioning, ...]
    rows: int
    at: int


@dataclass
class _Slot:
    """Where a hook, or several together, find their state."""

    switch: Callable[[str], None]
    states: dict[str, Any] = field(default_factory=dict)


class States:
    """The states of `hooks`, by run and by branches.

    A call goes on with what the evaluation before it left for the same branches; where that was asked for more, with
    their rows of it; else from nothing, as the first call of a run does.
    """

    def __init__(self, hooks: Sequence[Any]) -> None:
        self._slots = _slots(hooks)
        self._lines: list[_Line] = []
        self._run: Any = None
        self._made = 0

    def enter(self, call: Call | None, rows: int) -> None:
        """The hooks are in the state for `call`, whose sample has as many `rows`."""
        self._forget(lambda line: call is None or call.steps is not self._run or line.at < call.at - 1)
        if call is None:
            for slot in self._slots:
                slot.states.pop(OUTSIDE, None)
                slot.switch(OUTSIDE)
            return
        self._run = call.steps
        line = self._line(call, rows)
        line.at = call.at
        for slot in self._slots:
            slot.switch(line.name)

    def clear(self) -> None:
        """Nothing is kept any more: hooks and what they wrap hold each other, and would keep it for a while."""
        self._forget(lambda line: True)
        for slot in self._slots:
            slot.states.clear()

    def _line(self, call: Call, rows: int) -> _Line:
        ready = [line for line in self._lines if line.at == call.at - 1]
        for line in ready:
            if line.branches == call.branches and line.rows == rows:
                return line
        self._made += 1
        made = _Line(f"branches {self._made}", call.branches, rows, call.at)
        self._lines.append(made)
        images = rows // len(call.branches)
        for line in ready:
            if all(branch in line.branches for branch in call.branches) and line.rows == images * len(line.branches):
                starts = [line.branches.index(branch) * images for branch in call.branches]
                chosen = [start + image for start in starts for image in range(images)]
                for slot in self._slots:
                    if line.name in slot.states:
                        slot.states[made.name] = _rows_of_state(slot.states[line.name], line.rows, chosen)
                break
        return made

    def _forget(self, which: Callable[[_Line], bool]) -> None:
        for line in [line for line in self._lines if which(line)]:
            self._lines.remove(line)
            for slot in self._slots:
                slot.states.pop(line.name, None)


def check_family(model: Model, method: str, families: Sequence[str]) -> None:
    """Raises `NodeError` for a model the method does not work on."""
    from ..models.layouts import LAYOUTS

    if model.family in families:
        return
    hint = ""
    if LAYOUTS[model.family].denoiser.name == "unet":
        hint = ", which have UNets: deepcache and faster_diffusion are for those"
    raise NodeError(
        f"{method} works on models of the families {' and '.join(families)}; this one is of {model.family}{hint}."
    )


@contextmanager
def _applied(root: nn.Module, apply: Callable[[nn.Module], None]) -> Iterator[list[Any]]:
    """The hooks that `apply` adds below `root`; on leaving, every module is as it was."""
    modules = list(root.modules())
    before = [(module.__dict__.get("forward"), _names(module)) for module in modules]
    try:
        apply(root)
        added = [(module, name) for module, (_, had) in zip(modules, before, strict=True) for name in _new(module, had)]
        yield [module.__dict__["_diffusers_hook"].hooks[name] for module, name in added]
    finally:
        for module, (forward, had) in zip(modules, before, strict=True):
            registry = module.__dict__.get("_diffusers_hook")
            if registry is None:
                continue
            for name in _new(module, had):
                registry.remove_hook(name, recurse=False)
            if had is None:
                del module._diffusers_hook
            else:
                registry._child_registries_cache = None
            module.__dict__.pop("forward", None)
            if forward is not None:
                module.forward = forward


def _names(module: nn.Module) -> frozenset[str] | None:
    registry = module.__dict__.get("_diffusers_hook")
    return None if registry is None else frozenset(registry.hooks)


def _new(module: nn.Module, had: frozenset[str] | None) -> list[str]:
    return sorted((_names(module) or frozenset()) - (had or frozenset()))


def _noting(forward: Callable[..., Any], ran: list[object]) -> Callable[..., Any]:
    def noted(*given: Any, **told_with: Any) -> Any:
        ran.append(None)
        return forward(*given, **told_with)

    return noted


def _slots(hooks: Sequence[Any]) -> list[_Slot]:
    from diffusers.hooks.hooks import CacheContext, StateManager

    slots: dict[int, _Slot] = {}
    for hook in hooks:
        managers = [each for each in vars(hook).values() if isinstance(each, StateManager)]
        for manager in managers:
            slots[id(manager)] = _Slot(
                lambda name, manager=manager: manager.set_context(CacheContext(name)), manager._state_cache
            )
        if not managers and hasattr(hook, "state"):
            slots[id(hook)] = _holding(hook)
    return list(slots.values())


def _holding(hook: Any) -> _Slot:
    """For a hook that has one state and no contexts."""
    kind, states = type(hook.state), dict[str, Any]()

    def switch(name: str) -> None:
        hook.state = states.setdefault(name, kind())

    return _Slot(switch, states)


def _rows_of_state(state: Any, rows: int, chosen: list[int]) -> Any:
    """A state of its own with the `chosen` of the rows."""
    made = copy.copy(state)
    for name, value in vars(state).items():
        setattr(made, name, _rows(value, rows, chosen))
    return made


def _rows(value: Any, rows: int, chosen: list[int]) -> Any:
    if isinstance(value, Tensor):
        return value[chosen] if value.dim() and value.shape[0] == rows else value
    if isinstance(value, torch.Size):
        return torch.Size((len(chosen), *value[1:])) if value and value[0] == rows else value
    if isinstance(value, dict):
        return {key: _rows(each, rows, chosen) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_rows(each, rows, chosen) for each in value)
    return value
