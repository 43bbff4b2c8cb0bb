"""Writes a stock pipeline as one checkpoint file with the names of the original (LDM) layout, as models are shared."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

_UNET_ENDS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_UNET_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_OPEN_CLIP = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}


def save_single_file(pipeline: Any, path: Path) -> Path:
    """All weights of a Stable Diffusion (XL) pipeline in one safetensors file."""
    tensors = {f"model.diffusion_model.{name}": tensor for name, tensor in _unet(pipeline.unet).items()}
    tensors |= {f"first_stage_model.{name}": tensor for name, tensor in _vae(pipeline.vae).items()}
    second = getattr(pipeline, "text_encoder_2", None)
    clip = "cond_stage_model" if second is None else "conditioner.embedders.0"
    for name, tensor in pipeline.text_encoder.state_dict().items():
        tensors[f"{clip}.transformer.text_model.{name.removeprefix('text_model.')}"] = tensor
    if second is not None:
        tensors |= {f"conditioner.embedders.1.model.{name}": tensor for name, tensor in _open_clip(second).items()}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return path


def _unet(unet: Any) -> dict[str, Tensor]:
    step = unet.config.layers_per_block + 1
    attended = [hasattr(block, "attentions") for block in unet.up_blocks]

    def rename(name: str) -> str:
        for old, new in _UNET_ENDS.items():
            if name.startswith(f"{old}."):
                return name.replace(old, new, 1)
        block = re.match(
            r"(down_blocks|up_blocks)\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.*)", name
        )
        if block:
            side, at, kind, inner, rest = block[1], int(block[2]), block[3], int(block[4]), block[5]
            start = f"input_blocks.{1 + at * step}" if side == "down_blocks" else f"output_blocks.{at * step}"
            prefix, first = start.rsplit(".", 1)
            if kind == "downsamplers":
                return f"{prefix}.{int(first) + step - 1}.0.op.{rest.removeprefix('conv.')}"
            if kind == "upsamplers":
                return f"{prefix}.{int(first) + step - 1}.{2 if attended[at] else 1}.{rest}"
            place = f"{prefix}.{int(first) + inner}"
            return f"{place}.0.{_swap(rest, _UNET_RESNET)}" if kind == "resnets" else f"{place}.1.{rest}"
        middle = re.match(r"mid_block\.(resnets|attentions)\.(\d+)\.(.*)", name)
        assert middle, name
        if middle[1] == "attentions":
            return f"middle_block.1.{middle[3]}"
        return f"middle_block.{2 * int(middle[2])}.{_swap(middle[3], _UNET_RESNET)}"

    return {rename(name): tensor for name, tensor in unet.state_dict().items()}


def _vae(vae: Any) -> dict[str, Tensor]:
    last = len(vae.config.block_out_channels) - 1

    def rename(name: str) -> str:
        name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
        name = re.sub(r"down_blocks\.(\d+)\.resnets\.(\d+)", r"down.\1.block.\2", name)
        name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", name)
        name = re.sub(r"up_blocks\.(\d+)\.resnets\.(\d+)", lambda m: f"up.{last - int(m[1])}.block.{m[2]}", name)
        name = re.sub(r"up_blocks\.(\d+)\.upsamplers\.0", lambda m: f"up.{last - int(m[1])}.upsample", name)
        name = re.sub(r"mid_block\.resnets\.(\d+)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
        found = re.match(r"(.*)mid_block\.attentions\.0\.(.*)", name)
        return f"{found[1]}mid.attn_1.{_swap(found[2], _VAE_ATTENTION)}" if found else name

    def shape(name: str, tensor: Tensor) -> Tensor:
        return tensor[:, :, None, None] if "mid.attn_1" in name and tensor.ndim == 2 else tensor

    return {(new := rename(name)): shape(new, tensor) for name, tensor in vae.state_dict().items()}


def _open_clip(encoder: Any) -> dict[str, Tensor]:
    state = encoder.state_dict()
    found = {
        "positional_embedding": state["text_model.embeddings.position_embedding.weight"],
        "token_embedding.weight": state["text_model.embeddings.token_embedding.weight"],
        "ln_final.weight": state["text_model.final_layer_norm.weight"],
        "ln_final.bias": state["text_model.final_layer_norm.bias"],
        "text_projection": state["text_projection.weight"].T,
    }
    for layer in range(encoder.config.num_hidden_layers):
        old, new = f"text_model.encoder.layers.{layer}.", f"transformer.resblocks.{layer}."
        for end in ("weight", "bias"):
            parts = [state[f"{old}self_attn.{letter}_proj.{end}"] for letter in "qkv"]
            found[f"{new}attn.in_proj_{end}"] = torch.cat(parts)
            found[f"{new}attn.out_proj.{end}"] = state[f"{old}self_attn.out_proj.{end}"]
            found |= {f"{new}{to}.{end}": state[f"{old}{name}.{end}"] for name, to in _OPEN_CLIP.items()}
    return found


def _swap(name: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        if name.startswith(f"{old}."):
            return name.replace(old, new, 1)
    return name
