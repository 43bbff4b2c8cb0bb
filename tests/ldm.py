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


def save_single_file_3(pipeline: Any, path: Path, t5: bool = True) -> Path:
    """All weights of a Stable Diffusion 3 pipeline in one safetensors file, with or without its T5.

    The first CLIP's projection, which such files lack, must be the identity.
    """
    tensors = {f"model.diffusion_model.{name}": tensor for name, tensor in _mmdit(pipeline.transformer).items()}
    tensors |= {f"first_stage_model.{name}": tensor for name, tensor in _vae(pipeline.vae).items()}
    for original, encoder in (("clip_l", pipeline.text_encoder), ("clip_g", pipeline.text_encoder_2)):
        for name, tensor in encoder.state_dict().items():
            if (original, name) != ("clip_l", "text_projection.weight"):
                tensors[f"text_encoders.{original}.transformer.{name}"] = tensor
    if t5:
        for name, tensor in pipeline.text_encoder_3.state_dict().items():
            tensors[f"text_encoders.t5xxl.transformer.{name}"] = tensor
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, path)
    return path


_MMDIT_ENDS = {
    "pos_embed.pos_embed": "pos_embed",
    "pos_embed.proj": "x_embedder.proj",
    "time_text_embed.timestep_embedder.linear_1": "t_embedder.mlp.0",
    "time_text_embed.timestep_embedder.linear_2": "t_embedder.mlp.2",
    "time_text_embed.text_embedder.linear_1": "y_embedder.mlp.0",
    "time_text_embed.text_embedder.linear_2": "y_embedder.mlp.2",
    "norm_out.linear": "final_layer.adaLN_modulation.1",
    "proj_out": "final_layer.linear",
}
_MMDIT_BLOCK = {
    "attn.to_out.0": "x_block.attn.proj",
    "attn.to_add_out": "context_block.attn.proj",
    "norm1.linear": "x_block.adaLN_modulation.1",
    "norm1_context.linear": "context_block.adaLN_modulation.1",
    "ff.net.0.proj": "x_block.mlp.fc1",
    "ff.net.2": "x_block.mlp.fc2",
    "ff_context.net.0.proj": "context_block.mlp.fc1",
    "ff_context.net.2": "context_block.mlp.fc2",
}


def _mmdit(transformer: Any) -> dict[str, Tensor]:
    state, last = transformer.state_dict(), transformer.config.num_layers - 1
    found = {}
    for name, tensor in state.items():
        block = re.match(r"transformer_blocks\.(\d+)\.(.*)", name)
        if not block:
            found[_rename(name, _MMDIT_ENDS)] = _swapped(tensor) if name.startswith("norm_out") else tensor
        elif not re.match(r"attn\.(to|add)_[qkv]", block[2]):
            swapped = int(block[1]) == last and block[2].startswith("norm1_context")
            found[f"joint_blocks.{block[1]}.{_rename(block[2], _MMDIT_BLOCK)}"] = (
                _swapped(tensor) if swapped else tensor
            )
    for layer in range(last + 1):
        for end in ("weight", "bias"):
            for side, letters in (("x_block", "to_{}"), ("context_block", "add_{}_proj")):
                parts = [state[f"transformer_blocks.{layer}.attn.{letters.format(letter)}.{end}"] for letter in "qkv"]
                found[f"joint_blocks.{layer}.{side}.attn.qkv.{end}"] = torch.cat(parts)
    return found


def _rename(name: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        if name == old or name.startswith(f"{old}."):
            return new + name.removeprefix(old)
    return name


def _swapped(tensor: Tensor) -> Tensor:
    """Shift and scale stand in the other order in the original."""
    return torch.cat(tensor.chunk(2)[::-1])


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
