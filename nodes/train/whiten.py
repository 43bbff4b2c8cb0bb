"""Give an autoencoder latents of mean 0 and covariance 1, exactly, without changing one picture it decodes.

Diffusion noise is white, so latents that are not waste noise levels. A stock pipeline knows one scaling factor and, for
Stable Diffusion, no shift, so the affine map is baked into the convolutions on both sides of the latents.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from diffusers import AutoencoderKL
from torch import Tensor


@torch.no_grad()
def whiten(autoencoder: AutoencoderKL, pictures: Tensor) -> None:
    """Change `autoencoder` in place so that mean latents of `pictures` (n, 3, h, w) in [-1, 1] are white by channel.

    With latents z of mean m and covariance C (over all pictures and positions), the new latents w = C^-1/2 (z - m) are
    baked into quant_conv, and z = C^1/2 w + m into post_quant_conv: decoded pictures stay the same up to rounding. Of
    all whitening maps the symmetric root moves latents least, so that channels keep their meaning from one state of
    training to the next. The log variance that the encoder also gives is shifted by the change of scale of its channel.
    """
    model = cast(Any, autoencoder)  # its stub allows for tuples and for convolutions that are not there
    latents = torch.cat([model.encode(part).latent_dist.mode() for part in pictures.split(64)])
    channels = latents.shape[1]
    flat = latents.transpose(0, 1).reshape(channels, -1).double()
    mean = flat.mean(1)
    variance, basis = torch.linalg.eigh(torch.cov(flat))
    forward = basis / variance.sqrt() @ basis.T
    back = basis * variance.sqrt() @ basis.T

    inner, outer = model.quant_conv, model.post_quant_conv
    weight, bias = inner.weight.double().flatten(1), inner.bias.double()
    shift = 2 * forward.diagonal().log()
    new_weight = torch.cat((forward @ weight[:channels], weight[channels:]))
    new_bias = torch.cat((forward @ (bias[:channels] - mean), bias[channels:] + shift))
    inner.weight.copy_(new_weight.reshape(inner.weight.shape))
    inner.bias.copy_(new_bias)

    out_weight = outer.weight.double().flatten(1)
    outer.bias.copy_(outer.bias.double() + out_weight @ mean)
    outer.weight.copy_((out_weight @ back).reshape(outer.weight.shape))
    autoencoder.register_to_config(scaling_factor=1.0)
