"""What a family of models must know how to do; each family is a module with these functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ...graph.progress import QUIET, Progress
from ..types import Conditioning

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from .live import Parts


class Predict(Protocol):
    """The denoiser at one noise level: one network call for all branches.

    `sample` (B, C, h, w) is already scaled as the scheduler asks; `timestep` is a number or a tensor of one. Each
    branch is a `Conditioning` of one prompt for all images or of one for each. Give the unconditional branch first: it
    is the order of the stock pipelines, whose numbers are then met exactly. Returns a prediction (B, C, h, w) in the
    sample's dtype for each branch. Gradients flow unless the caller forbids them.
    """

    def __call__(
        self, sample: Tensor, timestep: Tensor | float, branches: Sequence[Conditioning]
    ) -> tuple[Tensor, ...]: ...


@dataclass(frozen=True)
class Flow:
    """The path of models that go from picture to noise in a straight line, x = (1 - t)·x0 + t·noise, and predict
    noise - x0.

    `mu` is the logarithm of the factor by which times are shifted towards the noise, for models that shift them the
    more the larger the picture is; `even` is whether the stock pipeline spaces times evenly from 1 down to 1 / steps
    before they are shifted, in place of leaving it to the scheduler.
    """

    mu: float | None = None
    even: bool = False


class Family(Protocol):
    """Adapter of a family. Nothing here forbids gradients; the nodes do."""

    def encode(
        self, parts: Parts, texts: Sequence[str], clip_skip: int = 0, progress: Progress = QUIET
    ) -> Conditioning:
        """Weighted prompts as the denoiser is told them, on the CPU in float32."""
        ...

    def empty(self, parts: Parts, progress: Progress = QUIET) -> Conditioning:
        """What stands for no prompt at all (1, L, D), on the CPU in float32: the unconditional branch."""
        ...

    def flow(self, parts: Parts, latent_shape: Sequence[int]) -> Flow | None:
        """The path of latents of this shape (B, C, h, w), None for diffusion models, whose schedulers know it."""
        ...

    def predictor(self, parts: Parts, latent_shape: Sequence[int], guidance_scale: float | None = None) -> Predict:
        """The denoiser for latents of this shape (B, C, h, w). `guidance_scale` is for guidance-distilled models
        (`parts.description.guidance_embedded`), which are told it; others ignore it."""
        ...

    def decode(self, parts: Parts, latent: Tensor) -> Tensor:
        """Pixels (B, 3, H, W) in [0, 1], on the CPU in float32, of a latent in the denoiser's scale."""
        ...

    def encode_pixels(self, parts: Parts, pixels: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """A latent (B, C, h, w) in the denoiser's scale, on the CPU in float32: image i is drawn from the
        autoencoder's distribution with `generators[i]`."""
        ...
