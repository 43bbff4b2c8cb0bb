"""A UNet with the layers Stable Diffusion's has (two residual blocks a level, attention in all blocks but the deepest),
and runs of it outside of any pipeline."""

# pyright: reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from latentloom.nodes.guidance.guide import Step
from latentloom.nodes.models.call import Call, under_way
from latentloom.nodes.types import Conditioning, Patch

STEPS = 10
TIMESTEPS = [991 - 90 * i for i in range(STEPS)]
BRANCHES = tuple(Conditioning(torch.randn(1, 5, 16, generator=torch.Generator().manual_seed(i))) for i in range(2))


def small_unet(**options: Any) -> UNet2DConditionModel:
    torch.manual_seed(0)
    standard = {
        "sample_size": 8,
        "block_out_channels": (8, 16, 16),
        "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        "layers_per_block": 2,
        "attention_head_dim": 2,
        "norm_num_groups": 4,
        "cross_attention_dim": 16,
    }
    return UNet2DConditionModel(**{**standard, **options}).eval()


def inputs() -> list[Tensor]:
    """What the UNet is given at each step: other noise every time, so that nothing is equal by chance."""
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(2, 4, 8, 8, generator=generator) for _ in range(STEPS)]


def steps(timesteps: Sequence[int] = TIMESTEPS) -> list[Step]:
    return [Step(i, len(timesteps), torch.tensor(t), 1.0) for i, t in enumerate(timesteps)]


def tokens(branches: Sequence[Conditioning] = BRANCHES) -> Tensor:
    return torch.cat([branch.tokens for branch in branches])


def run_patched(
    unet: Any,
    patch: Patch,
    samples: Sequence[Tensor],
    branches: Callable[[int], tuple[Conditioning, ...]] = lambda step: BRANCHES,
) -> tuple[list[Tensor], Counter[str]]:
    """Each step's prediction with `patch` attached, for `branches(step)`, and what the patch counted."""
    counts: Counter[str] = Counter()
    found, run = [], steps()[: len(samples)]
    with patch.attach("unet", unet), torch.no_grad():
        for at, sample in enumerate(samples):
            asked = branches(at)
            with under_way(Call(run, at, asked, counts)):
                given = sample if len(asked) == len(BRANCHES) else sample[: len(asked)]
                told = {"encoder_hidden_states": tokens(asked), "return_dict": False}
                found.append(unet(given, run[at].timestep, **told)[0])
    return found, counts


def run_plain(unet: Any, samples: Sequence[Tensor]) -> list[Tensor]:
    with torch.no_grad():
        return [
            unet(sample, torch.tensor(t), encoder_hidden_states=tokens(), return_dict=False)[0]
            for sample, t in zip(samples, TIMESTEPS, strict=True)
        ]


def executed(unet: Any, work: Callable[[], object]) -> list[set[str]]:
    """The residual blocks and samplers each call of `unet` ran while `work` ran."""
    calls: list[set[str]] = []
    first = unet.conv_in.register_forward_hook(lambda *_: calls.append(set()))
    hooks = [
        module.register_forward_hook(lambda *_, name=name: calls[-1].add(name))
        for name, module in unet.named_modules()
        if type(module).__name__ in ("ResnetBlock2D", "Downsample2D", "Upsample2D", "Transformer2DModel")
    ]
    try:
        work()
    finally:
        for hook in [first, *hooks]:
            hook.remove()
    return calls


def as_pipeline(unet: Any) -> SimpleNamespace:
    """What the DeepCache package wants of a pipeline."""
    return SimpleNamespace(unet=unet, scheduler=SimpleNamespace(timesteps=torch.tensor(TIMESTEPS)))
