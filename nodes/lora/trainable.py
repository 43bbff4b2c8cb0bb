"""A low rank that is learnt beside a frozen layer: y = W x + (alpha / r)·B A x, B = 0 at first, so that nothing changes
(Hu et al., 2021, https://arxiv.org/abs/2106.09685)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...graph.atomic import write
from ...graph.files import fingerprint
from ..types import Model, Patch
from .change import LowRank
from .skeleton import DENOISERS, Shapes
from .source import LoraFile
from .writing import packed

Targets = Literal["attention", "linear", "all"]

_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")


def chosen(layers: Shapes, targets: Targets) -> dict[str, torch.Size]:
    """The projections of attention, all linear layers, or convolutions too."""
    if targets == "attention":
        return {name: shape for name, shape in layers.items() if name.endswith(_ATTENTION)}
    return {name: shape for name, shape in layers.items() if targets == "all" or len(shape) == 2}


class Trainable(nn.Module):
    """Factors for the layers of one part, float32. A is drawn as peft draws it, from PyTorch's generator."""

    def __init__(self, layers: Shapes, rank: int, alpha: float) -> None:
        super().__init__()
        self.names = tuple(layers)
        self.rank, self.scale = rank, alpha / rank
        self.down, self.up = nn.ParameterList(), nn.ParameterList()
        for shape in layers.values():
            down = torch.empty(rank, *shape[1:])
            nn.init.kaiming_uniform_(down, a=math.sqrt(5))
            self.down.append(nn.Parameter(down))
            self.up.append(nn.Parameter(torch.zeros(shape[0], rank, *(1 for _ in shape[2:]))))

    @contextmanager
    def beside(self, module: nn.Module) -> Iterator[None]:
        """The factors act on the layers of `module` while the context lasts; its own weights stay what they are."""
        hooks = []
        try:
            for number, name in enumerate(self.names):
                layer = module.get_submodule(name)
                hooks.append(layer.register_forward_hook(partial(self._add, number)))
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _add(self, number: int, layer: Any, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
        x, down, up = given[0].float(), self.down[number], self.up[number]
        if down.ndim == 2:
            added = functional.linear(functional.linear(x, down), up)
        else:
            added = functional.conv2d(layer._conv_forward(x, down, None), up)
        return output + (self.scale * added).to(output.dtype)

    def save(self, path: Path, model: Model, part: str) -> LoraFile:
        """Write the factors as a LoRA of `part` in diffusers' layout."""
        pairs = zip(self.names, self.down, self.up, strict=True)
        changes = {name: LowRank(down.detach().cpu(), up.detach().cpu(), self.scale) for name, down, up in pairs}
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, packed({part: changes}, "diffusers", model.family, torch.float32))
        bare = Model(model.source, model.family, model.revision, model.fingerprint, config=model.config)
        return LoraFile(bare, str(path), fingerprint(path))


@dataclass(frozen=True, eq=False)
class Learning(Patch):
    """`factors` beside the denoiser of a model in use, which nobody else uses meanwhile. No recipe: it lives as long as
    the training does."""

    factors: Trainable

    parts: ClassVar[tuple[str, ...]] = DENOISERS

    def attach(self, part: str, module: nn.Module) -> AbstractContextManager[None]:
        return self.factors.beside(module)
