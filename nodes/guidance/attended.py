"""Guidance inside of attention: a negative prompt for models that are not guided by a second evaluation.

The positive branch alone is evaluated. Wherever its picture looks at the prompt it looks at the negative one too, with
the same queries, and what both say becomes one, before it is projected out:

Z+ = attention(Q, K(c+), V(c+)),  Z- = attention(Q, K(c-), V(c-)),  Z = combined(Z+, Z-)

UNets and PixArt look at the prompt by cross-attention: it costs the negative's keys and values, and attention over its
tokens. In Stable Diffusion 3 and Flux picture and prompt are one sequence: the negative prompt goes through the network
in a second row, with the picture as the first has it, and Z is that of the picture's tokens. That costs as much as a
second branch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from ...graph.node import NodeError
from ..models.attentions import attentions, blocks, check_native, processor_replaced
from ..models.call import current
from ..models.forward import forward_replaced
from ..types import Conditioning

Combine = Callable[[Tensor, Tensor], Tensor]
"""Z of Z+ and Z- (B, N, C)."""

Together = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, "Tensor | None", "Tensor | None"], Tensor]
"""Z (B, H, N, D) of queries, the keys and values of c+, those of c-, and what is added to the scores of each."""


@dataclass(frozen=True, eq=False)
class Attended:
    """A denoiser in which the picture looks at `negative` beside its prompt. Raises `NodeError` where it cannot."""

    denoiser: Any
    negative: Conditioning
    combine: Combine
    method: str
    joint: bool
    """Whether the method is defined where picture and prompt are one sequence."""
    together: Together | None = None
    """Both attentions and `combine` at once, where that is quicker."""

    def __post_init__(self) -> None:
        check_native(self._all if self._is_joint else self._crossing, self.method)
        if self._is_joint and not self.joint:
            raise NodeError(
                f"{self.method} is defined for attention to the prompt alone, which UNets and PixArt have; in "
                f"{type(self.denoiser).__name__} picture and prompt are one sequence. Take nag for it."
            )
        if not self._is_joint and not self._crossing:
            raise NodeError(f"{self.method} finds no attention to the prompt in this {type(self.denoiser).__name__}.")

    def check(self, positive: Conditioning) -> None:
        """Raises `NodeError` for a negative prompt that does not go with `positive`."""
        wide, wanted = self.negative.tokens.shape[-1], positive.tokens.shape[-1]
        pairs = ((self.negative.pooled, positive.pooled), (self.negative.mask, positive.mask))
        if wide != wanted or any((mine is None) != (theirs is None) for mine, theirs in pairs):
            raise NodeError(f"{self.method}: another model encoded the negative prompt; encode it with this one.")
        long, needed = self.negative.tokens.shape[1], positive.tokens.shape[1]
        if self._is_joint and long != needed:
            raise NodeError(
                f"{self.method}: the positive prompt has {needed} tokens and the negative one {long}; where picture "
                "and prompt are one sequence both must be equally long. Shorten one of them."
            )

    def attach(self) -> Any:
        """The context in which the denoiser looks at both."""
        return self._seen_together() if self._is_joint else self._seen_across()

    @property
    def _is_joint(self) -> bool:
        return any(hasattr(block, "norm1_context") for block in self.denoiser.modules())

    @property
    def _crossing(self) -> list[Any]:
        return [attention for attention in self._all if getattr(attention, "is_cross_attention", False)]

    @property
    def _all(self) -> list[Any]:
        return [each for block in blocks(self.denoiser) for each in attentions(block)]

    @contextmanager
    def _seen_across(self) -> Iterator[None]:
        """The tokens of the negative prompt stand behind the others, and each attention tells them apart."""
        whole, crossing = self.denoiser.forward, self._crossing
        together = self.together or apart(self.combine)
        processors = [CrossAttention(together) for _ in crossing]

        def forward(sample: Tensor, *given: Any, **told: Any) -> Any:
            tokens = told["encoder_hidden_states"]
            for processor in processors:
                processor.length = tokens.shape[1]
            both = {"encoder_hidden_states": torch.cat([tokens, self._rows(self.negative.tokens, tokens)], 1)}
            mask = told.get("encoder_attention_mask")
            if mask is not None and self.negative.mask is not None:
                both["encoder_attention_mask"] = torch.cat([mask, self._rows(self.negative.mask, mask)], 1)
            _count()
            return whole(sample, *given, **{**told, **both})

        with ExitStack() as changed:
            changed.enter_context(forward_replaced(self.denoiser, forward))
            for attention, processor in zip(crossing, processors, strict=True):
                changed.enter_context(processor_replaced(attention, processor))
            yield

    @contextmanager
    def _seen_together(self) -> Iterator[None]:
        """The rows of the positive prompt, then as many of the negative one, with the same picture."""
        whole = self.denoiser.forward
        doubles, singles = self.denoiser.transformer_blocks, getattr(self.denoiser, "single_transformer_blocks", ())
        alone = [AfterPrompt(block.attn.processor, self._combined_rows) for block in singles]

        def forward(hidden_states: Tensor, **told: Any) -> Any:
            tokens, pooled = told["encoder_hidden_states"], told["pooled_projections"]
            for processor in alone:
                processor.length = tokens.shape[1]
            both = {name: _twice(told[name]) for name in ("timestep", "guidance") if told.get(name) is not None}
            both["encoder_hidden_states"] = torch.cat([tokens, self._rows(self.negative.tokens, tokens)])
            if self.negative.pooled is not None:
                both["pooled_projections"] = torch.cat([pooled, self._rows(self.negative.pooled, pooled)])
            _count()
            found = whole(_twice(hidden_states), **{**told, **both})
            return (found[0].chunk(2)[0], *found[1:])

        def one_picture(norm: nn.Module, given: Any, told: dict[str, Any]) -> Any:
            """The picture of both rows is modulated as the positive prompt's pooled embedding says."""
            return given, {**told, "emb": _twice(told["emb"].chunk(2)[0])}

        def one_answer(projection: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return (self._combined_rows(given[0]), *given[1:])

        with ExitStack() as changed:
            changed.enter_context(forward_replaced(self.denoiser, forward))
            for block in doubles:
                changed.callback(block.norm1.register_forward_pre_hook(one_picture, with_kwargs=True).remove)
                changed.callback(block.attn.to_out[0].register_forward_pre_hook(one_answer).remove)
            for block, processor in zip(singles, alone, strict=True):
                changed.enter_context(processor_replaced(block.attn, processor))
            yield

    def _combined_rows(self, rows: Tensor) -> Tensor:
        return _twice(self.combine(*rows.chunk(2)))

    def _rows(self, negative: Tensor, like: Tensor) -> Tensor:
        """`negative`, of one prompt or of one for each image, with as many rows as `like`."""
        call, rows = current(), like.shape[0]
        images = rows if call is None else rows // len(call.branches)
        if negative.shape[0] not in (1, images):
            raise NodeError(
                f"{self.method}: there are {negative.shape[0]} negative prompts for {images} images; give one, or one "
                "for each."
            )
        return negative.to(like).repeat(rows // negative.shape[0], *[1] * (negative.dim() - 1))


class CrossAttention:
    """diffusers' `AttnProcessor2_0` for attention to a prompt of `length` tokens, and the negative one behind it."""

    def __init__(self, together: Together) -> None:
        self._together, self.length = together, 0

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        assert encoder_hidden_states is not None, "the prompt is handed to every one of these"
        if attn.norm_cross:
            encoder_hidden_states = attn.norm_encoder_hidden_states(encoder_hidden_states)
        query, key, value = (
            projected(given).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for projected, given in (
                (attn.to_q, hidden_states),
                (attn.to_k, encoder_hidden_states),
                (attn.to_v, encoder_hidden_states),
            )
        )
        query = query if attn.norm_q is None else attn.norm_q(query)
        key = key if attn.norm_k is None else attn.norm_k(key)
        if attention_mask is not None:
            rows, length = key.shape[0], key.shape[2]
            attention_mask = attn.prepare_attention_mask(attention_mask, length, rows).view(
                rows, attn.heads, -1, length
            )

        said, unsaid = slice(0, self.length), slice(self.length, None)
        masks = (None if attention_mask is None else attention_mask[..., part] for part in (said, unsaid))
        prompts = (each[:, :, part] for part in (said, unsaid) for each in (key, value))
        found = self._together(query, *prompts, *masks).transpose(1, 2).flatten(2)
        return attn.to_out[1](attn.to_out[0](found)) / attn.rescale_output_factor


def apart(combine: Combine) -> Together:
    """One attention after the other, then `combine`."""

    def together(
        q: Tensor,
        k: Tensor,
        v: Tensor,
        k_negative: Tensor,
        v_negative: Tensor,
        bias: Tensor | None,
        bias_negative: Tensor | None,
    ) -> Tensor:
        seen = (
            scaled_dot_product_attention(q, *prompt, attn_mask=mask).transpose(1, 2).flatten(2)
            for prompt, mask in (((k, v), bias), ((k_negative, v_negative), bias_negative))
        )
        return combine(*seen).unflatten(-1, (q.shape[1], -1)).transpose(1, 2)

    return together


class AfterPrompt:
    """Another processor, what it gives of the tokens behind the first `length` changed by `change`."""

    def __init__(self, processor: Any, change: Callable[[Tensor], Tensor]) -> None:
        self._processor, self._change, self.length = processor, change, 0

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        image_rotary_emb: Any = None,
    ) -> Tensor:
        found = self._processor(attn, hidden_states, encoder_hidden_states, attention_mask, image_rotary_emb)
        return torch.cat([found[:, : self.length], self._change(found[:, self.length :])], 1)


def _count() -> None:
    call = current()
    if call is not None:
        call.counts["negative prompts inside attention"] += 1


def _twice(tensor: Tensor) -> Tensor:
    return torch.cat([tensor, tensor])
