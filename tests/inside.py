"""A tiny model alive, asked by a guidance and by hand, one evaluation at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import torch
from studio import NEGATIVE, PROMPT, Studio
from torch import Tensor

from latentloom.nodes.guidance.guide import Conditions, Step
from latentloom.nodes.models import live
from latentloom.nodes.prompt.encode_prompt import encode_prompt
from latentloom.nodes.types import Conditioning, Guidance

TOTAL = 10


@dataclass
class Alive:
    """`asked` are the branches of each call of the network."""

    parts: Any
    sample: Tensor
    positive: Conditioning
    negative: Conditioning
    network: Any
    asked: list[tuple[Conditioning, ...]] = field(default_factory=list)

    @property
    def denoiser(self) -> Any:
        return self.parts.denoiser

    def predict(self, sample: Tensor, timestep: Any, branches: Sequence[Conditioning]) -> tuple[Tensor, ...]:
        self.asked.append(tuple(branches))
        return self.network(sample, timestep, branches)

    def conditions(self) -> Conditions:
        def empty() -> Conditioning:
            raise AssertionError("there is a negative prompt")

        return Conditions(self.positive, self.negative, empty, SimpleNamespace(denoiser=self.denoiser))  # pyright: ignore

    def guided(self, guidance: Guidance, index: int = 3) -> Tensor:
        """The prediction of evaluation `index` of `TOTAL`."""
        return guidance.begin(self.conditions())(self.predict, self.sample, step(index))

    def plain(self, index: int = 3) -> tuple[Tensor, Tensor]:
        """What the network says of the negative and of the positive prompt."""
        negative, positive = self.network(self.sample, step(index).timestep, (self.negative, self.positive))
        return negative, positive

    def by_guider(self, guider: Any, index: int = 3) -> Tensor:
        """The same through the protocol of diffusers' guiders, with their own hooks."""
        at = step(index)
        guider.set_state(at.index, at.total, at.timestep)
        states = guider.prepare_inputs({"branch": (self.positive, self.negative)})
        for state in states:
            guider.prepare_models(self.denoiser)
            (state.noise_pred,) = self.network(self.sample, at.timestep, (state.branch,))
            guider.cleanup_models(self.denoiser)
        for module in self.denoiser.modules():  # what its hooks leave behind when they are taken off
            module.__dict__.pop("_diffusers_hook", None)
            module.__dict__.pop("forward", None)
        return guider(states).pred


def step(index: int) -> Step:
    return Step(index, TOTAL, torch.tensor(900.0 - 80 * index), 1.0)


@contextmanager
def alive(studio: Studio, batch: int = 2, positive: Conditioning | None = None) -> Iterator[Alive]:
    """A model with prompts and noise of its own."""
    told = positive or encode_prompt(studio.model, PROMPT)
    unwanted, noise = encode_prompt(studio.model, NEGATIVE), studio.noise(batch).samples
    with torch.inference_mode(), live.use(studio.model) as parts:
        network = parts.family.predictor(parts, noise.shape, 3.0)
        yield Alive(parts, noise, told, unwanted, network)


def facts(module: torch.nn.Module) -> list[tuple[Any, ...]]:
    """All that stands in each module below; equal lists are the same network."""
    return [
        (type(each), {k: v for k, v in each.__dict__.items() if not k.startswith("_forward")}, _hooks(each))
        for each in module.modules()
    ]


def _hooks(module: torch.nn.Module) -> tuple[int, ...]:
    return len(module._forward_hooks), len(module._forward_pre_hooks), len(module._forward_pre_hooks_with_kwargs)
