"""Skip Layer Guidance (Stability AI, 2024, https://github.com/Stability-AI/sd3.5), combined by diffusers' own guider;
for video Spatiotemporal Skip Guidance (Hyung et al., 2024, https://arxiv.org/abs/2411.18664).

Some transformer blocks are left out, x -> x, and

e = e_u + w (e_c - e_u) + s (e_c - e_p)

One evaluation more in each step after `start` and before `stop`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ...graph.node import node
from ..types import Guidance
from .layers import Layers, check_not_kept, chosen, left_out
from .perturbed import Perturbed

if TYPE_CHECKING:
    from diffusers.guiders import SkipLayerGuidance
    from torch import Tensor, nn


@dataclass(frozen=True)
class SkipLayer(Perturbed):
    """s, and the layers that are left out."""

    def guider(self) -> SkipLayerGuidance:
        from diffusers.guiders import SkipLayerGuidance

        # The layers are left out here: diffusers' hook mixes up what the blocks of Stable Diffusion 3 and Flux give.
        guider = SkipLayerGuidance(self.scale, self.told_weight, skip_layer_guidance_layers=[0])
        guider.skip_layer_guidance_start, guider.skip_layer_guidance_stop = self.start, self.stop
        return guider

    def perturbation(self, denoiser: nn.Module) -> Callable[[Tensor], AbstractContextManager[object]]:
        layers = chosen(denoiser, self.layers, "Skip Layer Guidance")
        check_not_kept(layers, "Skip Layer Guidance")
        return lambda sample: left_out(layers)


@node(title="Skip Layer Guidance")
def slg(
    scale: Annotated[float, Field(ge=1, le=100, description="of classifier-free guidance; 1: without it")] = 5.0,
    weight: Annotated[float, Field(ge=0, le=100, description="how far to move away from the worse; 0: not")] = 2.8,
    layers: Layers = [],  # noqa: B006
    start: Annotated[float, Field(ge=0, le=1, description="share of the run after which it starts")] = 0.01,
    stop: Annotated[float, Field(ge=0, le=1, description="share of the run after which it stops")] = 0.2,
) -> Guidance:
    """Guide away from what the network says with some of its layers left out, which mends bodies and hands.

    The defaults are those for Stable Diffusion 3.5 Medium, where the layers are 7, 8 and 9; few-step runs need a later
    `stop`, as no step may lie before it. https://github.com/Stability-AI/sd3.5
    """
    return SkipLayer(scale, weight, tuple(layers), start, stop)
