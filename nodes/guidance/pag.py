"""Perturbed-Attention Guidance (Ahn et al., 2024, https://arxiv.org/abs/2403.17377), combined by diffusers' own guider.

In some layers the map of self-attention is replaced by the identity: each token keeps its own value.

e_p:  softmax(Q K^T / sqrt(d)) V  ->  V,      e = e_u + w (e_c - e_u) + s (e_c - e_p)

Where picture and prompt are one sequence (Stable Diffusion 3, Flux) the prompt's tokens keep their values too, as in
diffusers. One evaluation more in each step from `start` to `stop`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from ...graph.node import node
from ..models.attentions import self_attentions
from ..models.forward import forward_replaced
from ..types import Guidance
from .layers import Layers, chosen
from .perturbed import Perturbed

if TYPE_CHECKING:
    from diffusers.guiders import PerturbedAttentionGuidance
    from torch import Tensor, nn


@dataclass(frozen=True)
class PerturbedAttention(Perturbed):
    """s, and the layers in which tokens see only themselves."""

    def guider(self) -> PerturbedAttentionGuidance:
        from diffusers.guiders import PerturbedAttentionGuidance

        # The layers are changed here: diffusers' hook knows neither Stable Diffusion 3's attention nor Flux's.
        return PerturbedAttentionGuidance(
            self.scale, self.told_weight, self.start, self.stop, perturbed_guidance_layers=[0]
        )

    def perturbation(self, denoiser: nn.Module) -> Callable[[Tensor], AbstractContextManager[object]]:
        layers = chosen(denoiser, self.layers, "PAG")
        return lambda sample: own_values(layers)


@contextmanager
def own_values(layers: Sequence[nn.Module]) -> Iterator[None]:
    """Each token of the self-attentions in `layers` keeps its own value while the context lasts."""
    with ExitStack() as replaced:
        for attention in (each for layer in layers for each in self_attentions(layer)):
            replaced.enter_context(forward_replaced(attention, _own(attention.forward)))
        yield


def _own(forward: Callable[..., Any]) -> Callable[..., Any]:
    from diffusers.hooks.layer_skip import AttentionScoreSkipFunctionMode

    def attend(*given: Any, **told: Any) -> Any:
        with AttentionScoreSkipFunctionMode():
            return forward(*given, **told)

    return attend


@node(title="PAG")
def pag(
    scale: Annotated[float, Field(ge=1, le=100, description="of classifier-free guidance; 1: without it")] = 5.0,
    weight: Annotated[float, Field(ge=0, le=100, description="how far to move away from the worse; 0: not")] = 3.0,
    layers: Layers = [],  # noqa: B006
    start: Annotated[float, Field(ge=0, le=1, description="share of the run after which it starts")] = 0.0,
    stop: Annotated[float, Field(ge=0, le=1, description="share of the run after which it stops")] = 1.0,
) -> Guidance:
    """Guide away from what the network says when its attention no longer sees how a picture hangs together.

    It works without a prompt and without classifier-free guidance (a scale of 1), and costs one evaluation a step.
    https://arxiv.org/abs/2403.17377
    """
    return PerturbedAttention(scale, weight, tuple(layers), start, stop)
