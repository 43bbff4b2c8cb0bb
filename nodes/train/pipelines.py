"""Trained parts as the stock pipelines they make."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, cast

import torch
from diffusers import (
    AutoencoderKL,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from torch import nn
from transformers import CLIPTextModelWithProjection, CLIPTokenizer, T5Config, T5EncoderModel, T5Tokenizer

from ...graph.node import NodeError
from ..types import Model
from .denoiser import Frozen, new_scheduler
from .transformer import Readers, new_flow_scheduler


def stable_diffusion(frozen: Frozen, denoiser: UNet2DConditionModel) -> StableDiffusionPipeline:
    """Without a safety checker."""
    # The stub names an enumeration for the scheduler and leaves out that the last two may be None.
    return StableDiffusionPipeline(
        vae=frozen.autoencoder,
        text_encoder=frozen.encoder,
        tokenizer=frozen.tokenizer,
        unet=denoiser,
        scheduler=cast(Any, new_scheduler()),
        safety_checker=cast(Any, None),
        feature_extractor=cast(Any, None),
        requires_safety_checker=False,
    )


def stable_diffusion_3(readers: Readers, transformer: SD3Transformer2DModel) -> StableDiffusion3Pipeline:
    """With a third text encoder that has nothing to say."""
    autoencoder = copy.deepcopy(readers.autoencoder)
    autoencoder.register_to_config(shift_factor=0.0)  # this pipeline subtracts one; the latents are white without
    third, tokenizer_3 = silent_t5(transformer.config["joint_attention_dim"])
    return StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=new_flow_scheduler(),
        vae=autoencoder,
        text_encoder=readers.encoders[0],
        tokenizer=readers.tokenizer,
        text_encoder_2=readers.encoders[1],
        tokenizer_2=readers.tokenizer,
        text_encoder_3=third,
        tokenizer_3=tokenizer_3,
    )


def silent_t5(width: int) -> tuple[T5EncoderModel, T5Tokenizer]:
    """A T5 that answers zeros (n, L, width) to anything, and its tokenizer, for which one token is enough.

    The stock pipeline can do without T5 and then puts such zeros in its place, but a folder without it loads only when
    that is said in the call.
    """
    config = T5Config(vocab_size=3, d_model=width, d_kv=1, d_ff=1, num_layers=1, num_heads=1)
    encoder = T5EncoderModel(config).eval().requires_grad_(False)
    torch.nn.init.zeros_(encoder.encoder.final_layer_norm.weight)
    marks = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    return encoder, T5Tokenizer(vocab=marks, extra_ids=0, model_max_length=1)


def load_readers(autoencoder: nn.Module, folder: str) -> Readers:
    """An autoencoder beside the text encoders and the tokenizer saved in `folder`."""
    encoders = [
        CLIPTextModelWithProjection.from_pretrained(Path(folder) / name).eval().requires_grad_(False)
        for name in ("text_encoder", "text_encoder_2")
    ]
    tokenizer = CLIPTokenizer.from_pretrained(Path(folder) / "tokenizer")
    return Readers(cast(AutoencoderKL, autoencoder), (encoders[0], encoders[1]), tokenizer)


def readers_of(model: Model) -> Readers:
    """The parts of a model of shapes that are not its transformer, in single precision. Raises `NodeError` for others.

    A model of shapes is told by its latents, which are white: nothing is subtracted from them."""
    from ..models.layouts import LAYOUTS
    from ..models.loading import load, tokenizer

    if model.family != "sd3":
        raise NodeError(
            f"This is for the transformers of shapes, as shapes-dit is; {model.source} is of {model.family}."
        )
    layout = LAYOUTS["sd3"]
    vae = cast(AutoencoderKL, load(model, layout.part("vae"), torch.float32))
    if vae.config.get("shift_factor") or vae.config["sample_size"] > 64:
        raise NodeError(f"{model.source} draws no shapes: pictures to train it on are not at hand. Take shapes-dit.")
    first, second = (load(model, layout.part(name), torch.float32) for name in ("text_encoder", "text_encoder_2"))
    return Readers(vae, cast(Any, (first, second)), tokenizer(model, layout.part("tokenizer")))
