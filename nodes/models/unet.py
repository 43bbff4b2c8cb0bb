"""The UNet of the Stable Diffusion families at one noise level, as the stock pipelines call it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...graph.node import NodeError
from ..types import Conditioning
from .conditioning import Told, batch
from .family import Predict
from .live import Parts
from .loading import attention_kernel


def predictor(
    parts: Parts,
    latent_shape: Sequence[int],
    guidance_scale: float | None = None,
    time_ids: Sequence[int] | None = None,
) -> Predict:
    """`Predict` for latents of shape (B, C, h, w). `time_ids` are SDXL's six numbers of the picture's size."""
    unet, device, dtype = parts.unet, parts.placement.device, parts.placement.dtype
    images, channels = latent_shape[0], latent_shape[1]
    if channels != unet.config.in_channels:
        raise NodeError(f"The latent has {channels} channels; {parts.model.source} works on {unet.config.in_channels}.")
    embedding = None
    if unet.config.time_cond_proj_dim is not None:
        scale = 1.0 if guidance_scale is None else guidance_scale
        embedding = guidance_embedding(scale - 1, unet.config.time_cond_proj_dim).to(device, dtype)

    @Told
    def told(branches: Sequence[Conditioning]) -> dict[str, Any]:
        tokens, pooled = batch(branches, images)
        rows = len(branches) * images
        added: dict[str, Any] = {"encoder_hidden_states": tokens.to(device, dtype)}
        if embedding is not None:
            added["timestep_cond"] = embedding.repeat(rows, 1)
        if time_ids is not None:
            if pooled is None:
                raise NodeError("This model is told a pooled prompt too; encode the prompt with the same model.")
            ids = torch.tensor([list(time_ids)], dtype=dtype, device=device).repeat(rows, 1)
            added["added_cond_kwargs"] = {"text_embeds": pooled.to(device, dtype), "time_ids": ids}
        _check_width(unet, tokens, parts)
        return added

    def predict(sample: Tensor, timestep: Tensor | float, branches: Sequence[Conditioning]) -> tuple[Tensor, ...]:
        given = torch.cat([sample.to(device, dtype)] * len(branches))
        with attention_kernel(parts.placement.attention):
            predicted = unet(given, timestep, return_dict=False, **told(branches))[0]
        return tuple(predicted.to(sample.dtype).chunk(len(branches)))

    return predict


def guidance_embedding(scale: float, width: int) -> Tensor:
    """Sinusoids (1, width) of the guidance scale less one, for guidance-distilled models (Meng et al., 2022,
    https://arxiv.org/abs/2210.03142); the numbers of diffusers' `get_guidance_scale_embedding`."""
    half = width // 2
    rates = torch.exp(torch.arange(half, dtype=torch.float32) * -(torch.log(torch.tensor(10000.0)) / (half - 1)))
    angles = torch.tensor([scale * 1000.0])[:, None] * rates[None, :]
    return torch.nn.functional.pad(torch.cat([torch.sin(angles), torch.cos(angles)], dim=1), (0, width % 2))


def _check_width(unet: Any, tokens: Tensor, parts: Parts) -> None:
    width = unet.config.cross_attention_dim
    width = width if isinstance(width, int) else width[0]
    if unet.config.encoder_hid_dim is None and tokens.shape[-1] != width:
        raise NodeError(
            f"The prompt was encoded {tokens.shape[-1]} wide and {parts.model.source} takes {width}: "
            "encode it with this model."
        )
