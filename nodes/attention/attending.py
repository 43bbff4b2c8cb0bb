"""Attention computed in another way, in the attentions of a denoiser, while a patch is attached.

diffusers' own processors stay, with all they do before attention (projections, norms, rotary embeddings) and after it.
Around each stands one that hands what would go to PyTorch's scaled_dot_product_attention to the method.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from ...graph.node import NodeError
from ...kernels.attention import attend
from ..models.attentions import blocks, check_native, processor_replaced, self_attentions, tell
from ..models.call import current
from ..models.instead import Given, Instead
from ..types import Model, Patch

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, eq=False)
class Asked:
    """What one attention is to compute: of queries (B, H, L, D), keys and values (B, H, M, D).

    `prompt` is where the prompt's tokens stand if picture and prompt are one sequence.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    bias: Tensor | None = None
    causal: bool = False
    scale: float | None = None
    prompt: slice | None = None

    def dense(self) -> Tensor:
        """All of it, told in the run's report."""
        found = attend(self.q, self.k, self.v, bias=self.bias, causal=self.causal, scale=self.scale)
        tell(found.choice)
        return found.out


Attend = Callable[[Asked], Tensor]
"""What computes the attention of one layer, (B, H, L, D)."""


@dataclass(frozen=True)
class AttentionPatch(Patch):
    """A patch that computes attention in its way. Two of them would contradict each other."""

    parts: ClassVar[tuple[str, ...]] = ("unet", "transformer")
    method: ClassVar[str]

    @property
    def neutral(self) -> bool:
        """Whether it would change nothing."""
        return False

    def chosen(self, block: nn.Module) -> list[Any]:
        """The attentions of a transformer block that it computes: those in which a picture sees itself."""
        return self_attentions(block)

    def layer(self, name: str, attention: Any) -> Attend:
        """What computes the module `attention`, called `name`, until the patch is taken off."""
        raise NotImplementedError

    @contextmanager
    def attach(self, part: str, module: nn.Module) -> Iterator[None]:
        if self.neutral:
            yield
            return
        with attached(module, self.method, self.layer, self.chosen):
            yield


@contextmanager
def attached(
    module: nn.Module,
    method: str,
    layer: Callable[[str, Any], Attend],
    chosen: Callable[[nn.Module], list[Any]] = self_attentions,
) -> Iterator[None]:
    """The attentions `chosen` of each block of a denoiser are computed by what `layer` gives for their names and
    modules, while the context lasts. Raises `NodeError` where there are none, or something else computes them."""
    names = {id(each): name for name, each in module.named_modules()}
    found = [attention for block in blocks(module) for attention in chosen(block)]
    if not found:
        raise NodeError(f"{method} finds no attention in this {type(module).__name__}; take it off the model.")
    check_native(found, method)
    said = Said()
    with ExitStack() as changed:
        changed.callback(module.register_forward_pre_hook(said.read, with_kwargs=True).remove)
        for attention in found:
            attending = Attending(attention.processor, layer(names[id(attention)], attention), said)
            changed.enter_context(processor_replaced(attention, attending))
        yield


class Said:
    """How many tokens the prompt has that a denoiser is given."""

    def __init__(self) -> None:
        self.tokens = 0

    def read(self, module: Any, given: tuple[Any, ...], told: dict[str, Any]) -> None:
        prompt = told.get("encoder_hidden_states")
        self.tokens = 0 if prompt is None else prompt.shape[1]


class Attending:
    """A processor of diffusers whose attention `attend` computes."""

    def __init__(self, processor: Any, attend: Attend, said: Said) -> None:
        self._processor, self._attend, self._said = processor, attend, said

    def __call__(self, attn: Any, hidden_states: Tensor, *given: Any, **told: Any) -> Any:
        prompt = self._prompt(attn, hidden_states, told.get("encoder_hidden_states", given[0] if given else None))
        with Instead(lambda asked: self._attend(_asked(asked, prompt))):
            return self._processor(attn, hidden_states, *given, **told)

    def _prompt(self, attn: Any, hidden_states: Tensor, prompt: Tensor | None) -> slice | None:
        if getattr(attn, "is_cross_attention", False):
            return None
        first = type(self._processor).__name__ == "FluxAttnProcessor"
        if prompt is None:  # the single blocks of Flux are given both as one
            return slice(0, self._said.tokens) if first and attn.pre_only else None
        length, picture = prompt.shape[1], hidden_states.shape[1]
        return slice(0, length) if first else slice(picture, picture + length)


def _asked(given: Given, prompt: slice | None) -> Asked:
    if given.dropout_p or given.enable_gqa:
        raise NodeError("This model's attention drops some of it out or shares keys among heads, which no node does.")
    return Asked(given.query, given.key, given.value, given.attn_mask, given.is_causal, given.scale, prompt)


def added(model: Model, patch: AttentionPatch) -> Model:
    """`model` with `patch`. Raises `NodeError` where another patch already computes its attention."""
    others = [other.method for other in model.patches if isinstance(other, AttentionPatch)]
    if others:
        raise NodeError(f"{patch.method} and {others[0]} both compute attention; give a model one of them.")
    return replace(model, patches=(*model.patches, patch))


def count_blocks(computed: int, skipped: int) -> None:
    """Pairs of blocks of queries and keys, in the run's report."""
    call = current()
    if call is not None:
        call.counts["attention blocks computed"] += computed
        call.counts["attention blocks skipped"] += skipped
