"""Tiny random pipelines of every family in the stock layout: the real code paths in milliseconds.

Pictures are 32 px, latents 8x8 (factor 4). Random weights are scaled so that prompts and guidance show in the picture;
otherwise a comparison of pictures would pass whatever the loop does.
"""

# pyright: reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    PixArtAlphaPipeline,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
    PNDMScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

SIZE = 32
FACTOR = 4
T5_LENGTH = 20
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def build_sd(folder: Path, time_cond_proj_dim: int | None = None, **scheduler: Any) -> Path:
    """A Stable Diffusion 1.5-like pipeline saved in `folder`; `scheduler` changes its PNDM configuration, which
    has the keys of the published one."""
    torch.manual_seed(0)
    pipeline = StableDiffusionPipeline(
        vae=autoencoder(),
        text_encoder=text_encoder(16).eval(),
        tokenizer=tokenizer(),
        unet=_denoiser(cross_attention_dim=16, time_cond_proj_dim=time_cond_proj_dim),
        scheduler=PNDMScheduler(**{**BETAS, "skip_prk_steps": True, "steps_offset": 1, **scheduler}),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.scheduler.register_to_config(clip_sample=False)
    return _save(pipeline, folder)


def build_sdxl(folder: Path, **scheduler: Any) -> Path:
    """A Stable Diffusion XL-like pipeline (two text encoders) saved in `folder`; its Euler configuration has the keys
    of the published one, also those for other schedulers."""
    torch.manual_seed(1)
    pipeline = StableDiffusionXLPipeline(
        vae=autoencoder(),
        text_encoder=text_encoder(16).eval(),
        text_encoder_2=projecting_encoder(24).eval(),
        tokenizer=tokenizer(),
        tokenizer_2=tokenizer(pad_token="!"),
        unet=_denoiser(
            cross_attention_dim=16 + 24,
            addition_embed_type="text_time",
            addition_time_embed_dim=4,
            projection_class_embeddings_input_dim=24 + 6 * 4,
            use_linear_projection=True,
        ),
        scheduler=EulerDiscreteScheduler(**{**BETAS, "steps_offset": 1, "timestep_spacing": "leading", **scheduler}),
        add_watermarker=False,
    )
    pipeline.scheduler.register_to_config(clip_sample=False, set_alpha_to_one=False, skip_prk_steps=True)
    return _save(pipeline, folder)


def build_sd3(
    folder: Path,
    t5: bool = True,
    channels: int = 4,
    shift_factor: float = 0.2,
    layers: int = 2,
    **scheduler: Any,
) -> Path:
    """A Stable Diffusion 3-like pipeline, with or without its third text encoder, saved in `folder`. Its T5 reads 20
    tokens, as its tokenizer says; its latents have as many `channels` and the mean `shift_factor`."""
    torch.manual_seed(2)
    pipeline = StableDiffusion3Pipeline(
        transformer=_wake(
            SD3Transformer2DModel(
                sample_size=SIZE // FACTOR,
                patch_size=2,
                in_channels=channels,
                out_channels=channels,
                num_layers=layers,
                attention_head_dim=8,
                num_attention_heads=2,
                joint_attention_dim=48,
                caption_projection_dim=16,
                pooled_projection_dim=16 + 24,
                pos_embed_max_size=12,
            )
        ),
        vae=autoencoder(shift_factor=shift_factor, latent_channels=channels),
        text_encoder=projecting_encoder(16).eval(),
        text_encoder_2=projecting_encoder(24).eval(),
        text_encoder_3=t5_encoder(48) if t5 else None,
        tokenizer=tokenizer(),
        tokenizer_2=tokenizer(pad_token="!"),
        tokenizer_3=t5_tokenizer(T5_LENGTH) if t5 else None,
        scheduler=FlowMatchEulerDiscreteScheduler(**{"shift": 3.0, **scheduler}),
    )
    return _save(pipeline, folder)


def build_flux(folder: Path, guidance_embeds: bool = True, **scheduler: Any) -> Path:
    """A Flux-like pipeline saved in `folder`: the dev model's, or with `guidance_embeds=False` schnell's."""
    torch.manual_seed(3)
    dynamic = {"use_dynamic_shifting": guidance_embeds, "shift": 3.0 if guidance_embeds else 1.0}
    pipeline = FluxPipeline(
        transformer=_wake(
            FluxTransformer2DModel(
                patch_size=1,
                in_channels=16,
                num_layers=1,
                num_single_layers=2,
                attention_head_dim=16,
                num_attention_heads=2,
                joint_attention_dim=32,
                pooled_projection_dim=16,
                guidance_embeds=guidance_embeds,
                axes_dims_rope=(4, 6, 6),
            )
        ),
        vae=autoencoder(shift_factor=0.2),
        text_encoder=text_encoder(16).eval(),
        text_encoder_2=t5_encoder(32),
        tokenizer=tokenizer(),
        tokenizer_2=t5_tokenizer(T5_LENGTH),
        scheduler=FlowMatchEulerDiscreteScheduler(**{**dynamic, **scheduler}),
    )
    return _save(pipeline, folder)


def build_pixart(folder: Path, alpha: bool = False, **scheduler: Any) -> Path:
    """A PixArt-like pipeline saved in `folder`: Sigma, or with `alpha` Alpha, whose network is told the picture's size.
    Both predict their own error too, in channels that are not used."""
    torch.manual_seed(4)
    kind: Any = PixArtAlphaPipeline if alpha else PixArtSigmaPipeline
    pipeline = kind(
        transformer=_wake(
            PixArtTransformer2DModel(
                sample_size=128 if alpha else SIZE // FACTOR,
                patch_size=2,
                in_channels=4,
                out_channels=8,
                num_layers=2,
                attention_head_dim=8,
                num_attention_heads=3,
                cross_attention_dim=24,
                caption_channels=32,
                norm_num_groups=1,
                use_additional_conditions=alpha,
            )
        ),
        vae=autoencoder(),
        text_encoder=t5_encoder(32),
        tokenizer=t5_tokenizer(T5_LENGTH),
        scheduler=DPMSolverMultistepScheduler(**{**BETAS, "beta_schedule": "linear", **scheduler}),
    )
    return _save(pipeline, folder)


def _save(pipeline: Any, folder: Path) -> Path:
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def _wake(transformer: Any) -> Any:
    """A random transformer whose prompt and time show: as it is made, its modulations hardly do anything."""
    with torch.no_grad():
        for name, parameter in transformer.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.6 * parameter[0].numel() ** -0.5)
            if any(word in name for word in ("context_embedder", "caption_projection", "text_embedder")):
                parameter.mul_(3)
    return transformer.eval()


def autoencoder(**options: Any) -> AutoencoderKL:
    usual = {"latent_channels": 4, "norm_num_groups": 4, "sample_size": SIZE, "scaling_factor": 0.6}
    return AutoencoderKL(
        block_out_channels=(8, 8, 16),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        **{**usual, **options},
    ).eval()


def _denoiser(**options: Any) -> UNet2DConditionModel:
    denoiser = UNet2DConditionModel(
        sample_size=SIZE // FACTOR,
        block_out_channels=(16, 32),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        attention_head_dim=2,
        norm_num_groups=4,
        **options,
    ).eval()
    with torch.no_grad():
        for name, parameter in denoiser.named_parameters():
            if "attn2.to_v" in name or "attn2.to_k" in name:
                parameter.mul_(8)
    return denoiser


def _text_config(width: int) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(_vocabulary()),
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=width,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=77,
        bos_token_id=_vocabulary()["<|startoftext|>"],
        eos_token_id=_vocabulary()["<|endoftext|>"],
    )


def text_encoder(width: int) -> CLIPTextModel:
    return _speak_up(CLIPTextModel(_text_config(width)))


def projecting_encoder(width: int) -> CLIPTextModelWithProjection:
    return _speak_up(CLIPTextModelWithProjection(_text_config(width)))


def _speak_up(encoder: Any) -> Any:
    """Words must outweigh their places, or all prompts read alike."""
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if "token_embedding" in name:
                parameter.normal_()
    return encoder


def t5_encoder(width: int) -> T5EncoderModel:
    config = T5Config(
        vocab_size=len(_t5_vocabulary()), d_model=width, d_kv=8, d_ff=2 * width, num_layers=2, num_heads=2
    )
    encoder = T5EncoderModel(config).eval()
    with torch.no_grad():
        encoder.shared.weight.normal_()
    return encoder


def _t5_vocabulary() -> list[tuple[str, float]]:
    """Printable letters, at the beginning of a word and inside of it."""
    letters = [chr(code) for code in range(33, 127)]
    marks = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    return [*marks, ("▁", -2.0), *((letter, -4.0) for letter in letters), *(("▁" + letter, -3.0) for letter in letters)]


def t5_tokenizer(length: int) -> T5Tokenizer:
    return T5Tokenizer(vocab=_t5_vocabulary(), extra_ids=0, model_max_length=length)


def _vocabulary() -> dict[str, int]:
    """Printable letters, alone and at the end of a word: any ASCII text encodes."""
    letters = [chr(code) for code in range(33, 127)]
    entries = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return {entry: index for index, entry in enumerate(entries)}


def tokenizer(**options: Any) -> CLIPTokenizer:
    return CLIPTokenizer(vocab=_vocabulary(), merges=[], model_max_length=77, **options)
