"""TaylorSeer (Liu et al., 2025, https://arxiv.org/abs/2503.06923), by diffusers' hook.

What the layers of a transformer give changes smoothly from step to step. Full steps compute them and take divided
differences; the steps between extrapolate each layer's output, k steps after the last full one, and compute
modulations, gates, norms and embedders alone:

    full:     F_0 = f,  F_{j+1} = (F_j - F_j before) / (steps since)    for j < order
    predict:  f = sum_j F_j k^j / j!

Backward differences are put where Taylor's derivatives belong, so it is exact for features that go straight with the
step, and not for curves, whatever the order. Of S steps, D first ones and then each N-th are full:

    n = D + ceil((S - D - 1) / N)    for N >= 2

and a run is S / (n + (S - n)(1 - c)) times as fast where the layers are the share c of a step, nearly 1. A prediction
reads order + 1 tensors a layer, kept in 32 bits: Flux at 1024 pixels needs 4.3 GB for each. With fewer than 28 steps
the pictures suffer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from ...graph.node import node
from ..types import Model
from .step_cache import Counts, StepCache, added

if TYPE_CHECKING:
    from torch import nn

PREDICTED = {
    "sd3": (r"transformer_blocks\.\d+\.(attn|attn2|ff|ff_context)",),
    "flux": (r"transformer_blocks\.\d+\.(attn|ff|ff_context)", r"single_transformer_blocks\.\d+\.proj_out"),
    "pixart": (r"transformer_blocks\.\d+\.(attn1|attn2|ff)",),
}
"""Names of the layers that are predicted, by family: attention and feed-forward, before their gates. diffusers' own
patterns match none of PixArt's."""

LEFT_OUT = {"flux": (r"single_transformer_blocks\.\d+\.(attn|proj_mlp)",)}
"""Layers that need not run where the one behind them, which joins what they give, is predicted."""


@dataclass(frozen=True)
class TaylorSeer(StepCache):
    """Predicts what the layers of a transformer give, at the steps between full ones."""

    parts: ClassVar[tuple[str, ...]] = ("transformer",)

    interval: int
    order: int
    first_steps: int
    predicted: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @contextmanager
    def attach(self, part: str, module: nn.Module) -> Iterator[None]:
        from .hooked import hooked

        with hooked(module, "TaylorSeer", self._apply, Counts("modules computed", "modules predicted")):
            yield

    def _apply(self, module: nn.Module) -> None:
        import torch
        from diffusers.hooks import TaylorSeerCacheConfig, apply_taylorseer_cache

        config = TaylorSeerCacheConfig(
            cache_interval=self.interval,
            disable_cache_before_step=self.first_steps,
            max_order=self.order,
            taylor_factors_dtype=torch.float32,
            cache_identifiers=list(self.predicted),
            skip_predict_identifiers=list(self.left_out),
        )
        apply_taylorseer_cache(module, config)


@node(title="TaylorSeer")
def taylorseer(
    model: Model,
    interval: Annotated[int, Field(ge=1, le=50, description="every how many steps everything runs; 1 is always")] = 5,
    order: Annotated[
        int, Field(ge=0, le=4, description="differences taken; 0 keeps outputs as they are, 1 is usual")
    ] = 1,
    first_steps: Annotated[int, Field(ge=1, le=1000, description="first steps that all run everything")] = 3,
) -> Model:
    """Run the layers of a transformer every few steps, and extrapolate what they give in between.

    For sd3, flux and pixart, from about 28 steps on. https://arxiv.org/abs/2503.06923
    """
    from .hooked import check_family

    check_family(model, "TaylorSeer", tuple(PREDICTED))
    patterns = PREDICTED[model.family], LEFT_OUT.get(model.family, ())
    return added(model, TaylorSeer(interval, order, first_steps, *patterns), "TaylorSeer")
