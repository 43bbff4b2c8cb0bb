"""LoRAs in a live module, by either of two ways.

Fused: the weight itself becomes W' = W + sum_i strength_i · Δ_i(W), computed in float32 from the base weight, of which
a copy is kept and put back at the end. What was added is never subtracted, which in half precision would leave a
residue of 1e-3. A change of strengths computes W' anew.

Beside: W stays, and each layer's output gets strength_i · Δ_i x on top, with two thin products for a low rank.

A layer with n inputs and m outputs that sees T tokens at each of S calls costs 2·r·n·m once (per change of strength)
the first way, and 2·r·(n + m)·T·S the other: fusing pays as soon as T·S is larger than n·m / (n + m). It holds a copy
of the weights it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from ...graph.node import NodeError
from .change import Change, Decomposed, LowRank

if TYPE_CHECKING:
    from torch import Tensor, nn

Strength = Callable[[str], float]
"""How strongly the layer of that name is changed now."""


@dataclass(eq=False)
class Fused:
    """The changes fused into one live module. All of them share the copies of its base weights."""

    module: nn.Module
    adapters: list[tuple[Mapping[str, Change], Strength]] = field(default_factory=list)
    base: dict[str, Tensor] = field(default_factory=dict)
    now: dict[str, tuple[float, ...]] = field(default_factory=dict)

    def settle(self) -> bool:
        """Make each weight what the strengths of this moment ask for; whether any had to change."""
        import torch

        changed = False
        names = {name: None for changes, _ in self.adapters for name in changes} | dict.fromkeys(self.base)
        with torch.no_grad():
            for name in names:
                asked = [(changes[name], strength(name)) for changes, strength in self.adapters if name in changes]
                strengths = tuple(strength for _, strength in asked)
                if self.now.get(name) != strengths:
                    self._set(name, [(change, strength) for change, strength in asked if strength])
                    changed = True
                self.now[name] = strengths
        return changed

    def _set(self, name: str, asked: list[tuple[Change, float]]) -> None:
        weight: Any = self.module.get_submodule(name).weight
        if not asked:
            if name in self.base:
                weight.copy_(self.base[name])
            return
        if name not in self.base:
            self.base[name] = weight.detach().clone()
        base = self.base[name]
        total = base.float()
        for change, strength in asked:
            total = total + strength * change.delta(base)
        weight.copy_(total)

    def restore(self) -> None:
        """Every weight as it was, bit for bit."""
        import torch

        with torch.no_grad():
            for name, base in self.base.items():
                weight: Any = self.module.get_submodule(name).weight
                weight.copy_(base)
        self.base.clear()
        self.now.clear()


_fused: WeakKeyDictionary[nn.Module, Fused] = WeakKeyDictionary()


@contextmanager
def fused(
    module: nn.Module, changes: Mapping[str, Change], strength: Strength, told: Callable[[], None] | None = None
) -> Iterator[None]:
    """`changes` are in the weights of `module` while the context lasts. `told` makes the strengths follow the steps of
    a run: it is called whenever weights had to be computed anew for one."""
    whole = _fused.get(module) or _fused.setdefault(module, Fused(module))
    adapter = (changes, strength)
    hook = None
    whole.adapters.append(adapter)
    try:
        whole.now.clear()
        whole.settle()
        if told is not None:
            hook = module.register_forward_pre_hook(lambda *_: told() if whole.settle() else None)
        yield
    finally:
        if hook is not None:
            hook.remove()
        whole.adapters = [each for each in whole.adapters if each is not adapter]
        whole.now.clear()
        if whole.adapters:
            whole.settle()
        else:
            del _fused[module]
            whole.restore()


@contextmanager
def beside(module: nn.Module, changes: Mapping[str, Change], strength: Strength) -> Iterator[None]:
    """`changes` are added to the outputs of the layers of `module` while the context lasts."""
    hooks = []
    try:
        for name, change in changes.items():
            layer = module.get_submodule(name)
            hook = partial(_add, _Beside(layer, change, name), partial(strength, name))
            hooks.append(layer.register_forward_hook(hook))
        yield
    finally:
        for hook in hooks:
            hook.remove()


def offloaded(module: nn.Module) -> bool:
    """Whether the weights of `module` come and go with each call, so that nothing can be kept in them."""
    from diffusers.hooks.group_offloading import _is_group_offload_enabled

    return any(parameter.is_meta for parameter in module.parameters()) or _is_group_offload_enabled(module)


def _add(change: _Beside, strength: Callable[[], float], layer: nn.Module, given: Any, output: Tensor) -> Tensor | None:
    now = strength()
    return output + now * change(given[0]) if now else None


class _Beside:
    """Δ x of one layer; the factors are kept on the device and in the type they were last needed in."""

    def __init__(self, layer: Any, change: Change, name: str) -> None:
        import torch

        weight = layer.weight
        if isinstance(change, Decomposed) and weight.is_meta:
            raise NodeError(
                f"{name} is decomposed (DoRA), which needs its weight at hand, and that is offloaded; load the model "
                "without sequential offloading."
            )
        self._layer = layer
        if isinstance(change, LowRank) and not isinstance(change, Decomposed) and getattr(layer, "groups", 1) == 1:
            up, down = change.factors()
            rank = len(down)
            kernel = weight.shape[2:]
            self._factors = [
                change.scale * down.reshape(rank, *weight.shape[1:]),
                up.reshape(len(up), rank, *(1 for _ in kernel)),
            ]
        else:
            base = torch.empty(weight.shape) if weight.is_meta else weight.detach()
            self._factors = [change.delta(base)]
        self._ready = self._factors

    def __call__(self, x: Tensor) -> Tensor:
        from torch.nn import functional

        if (self._ready[0].device, self._ready[0].dtype) != (x.device, x.dtype):
            self._ready = [factor.to(x.device, x.dtype) for factor in self._factors]
        first, *rest = self._ready
        if first.ndim == 2:
            x = functional.linear(x, first)
            return functional.linear(x, rest[0]) if rest else x
        x = self._layer._conv_forward(x, first, None)  # with the layer's own stride and padding
        return functional.conv2d(x, rest[0]) if rest else x
