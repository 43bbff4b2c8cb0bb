"""Which implementation computes attention:

softmax(Q K^T / sqrt(d)) V

All compute the same, in other orders and, some, in fewer bits: pictures differ by rounding, with `sage` (8 bits) by
more. Which is quickest depends on the GPU, on lengths and on the size of heads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from ...graph.node import NodeError, node
from ...kernels.attention import attend
from ..models.attentions import attentions, tell
from ..types import Model
from . import dispatcher
from .attending import Asked, Attend, AttentionPatch, added

if TYPE_CHECKING:
    from torch import Tensor, nn

Backend = Literal[
    "auto",
    "fastest",
    "triton",
    "sdpa",
    "sdpa_flash",
    "sdpa_cudnn",
    "sdpa_efficient",
    "sdpa_math",
    "reference",
    "flash_2",
    "flash_3",
    "sage",
    "xformers",
    "flex",
]
"""`auto` and `fastest`, our kernels, PyTorch's backends, and those of diffusers' dispatcher."""


@dataclass(frozen=True)
class ChosenAttention(AttentionPatch):
    """Attention by `backend`, to the prompt alone too if `to_prompt`."""

    method: ClassVar[str] = "attention"

    backend: Backend
    to_prompt: bool

    def chosen(self, block: nn.Module) -> list[Any]:
        return attentions(block) if self.to_prompt else super().chosen(block)

    def layer(self, name: str, attention: Any) -> Attend:
        return lambda asked: by(self.backend, asked, name)


def by(backend: Backend, asked: Asked, layer: str) -> Tensor:
    """What is `asked`, by `backend`, and told in the run's report. Raises `NodeError` where that cannot do it."""
    inputs = (asked.q, asked.k, asked.v)
    elsewhere = backend in dispatcher.BACKENDS
    why = dispatcher.obstacle(backend, *inputs) if elsewhere else None
    offered = dispatcher.offered(*inputs) if elsewhere or backend == "fastest" else {}
    options: dict[str, Any] = {"bias": asked.bias, "causal": asked.causal, "scale": asked.scale}
    try:
        if why:
            raise ValueError(f"attention '{backend}' cannot do this: {why}.")
        found = attend(*inputs, **options, wanted=backend, offered=offered)
    except ValueError as error:
        shape = "x".join(map(str, asked.q.shape))
        raise NodeError(f"In {layer}, with queries of {shape} and {asked.k.shape[2]} keys: {error}") from None
    tell(found.choice)
    return found.out


@node
def attention(
    model: Model,
    backend: Annotated[
        Backend,
        Field(
            description="auto: PyTorch's choice; fastest: timed for each shape, on a GPU; triton: our kernel; sdpa...: "
            "PyTorch's; the last five by their packages, through diffusers"
        ),
    ] = "auto",
    to_prompt: Annotated[bool, Field(description="for attention to the prompt alone too, which some cannot do")] = True,
) -> Model:
    """Choose what computes attention, and read in the run's report which implementation ran, where and why.

    A choice that cannot run on this device, with this type or shape, ends the run with the reason and with those that
    can. https://docs.pytorch.org/docs/stable/nn.attention.html
    https://huggingface.co/docs/diffusers/optimization/attention_backends
    """
    return added(model, ChosenAttention(backend, to_prompt))
