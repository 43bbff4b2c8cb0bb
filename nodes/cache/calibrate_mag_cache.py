"""The ratios MagCache goes by, measured on a model."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ...graph.node import node
from ...graph.progress import QUIET, Progress
from ..models.call import Call
from ..types import Conditioning, Guidance, Model, Noise, Sampler, Schedule, Table
from .step_cache import StepCache, added

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Measured(StepCache):
    """Leaves nothing out, and notes by how much what the blocks add grows, by step, in `ratios`."""

    parts: ClassVar[tuple[str, ...]] = ("transformer",)

    ratios: dict[int, float] = field(default_factory=dict, compare=False)

    @contextmanager
    def attach(self, part: str, module: nn.Module) -> Iterator[None]:
        from diffusers.hooks import MagCacheConfig, apply_mag_cache

        from .hooked import Counts, hooked

        # At the end of as many steps as it is told, the hook would print what it measured.
        config = MagCacheConfig(calibrate=True, num_inference_steps=sys.maxsize)
        places: list[tuple[int, list[float], int]] = []

        def told(call: Call, hooks: Sequence[Any]) -> None:
            measured = hooks[0].state_manager.get_state().calibration_ratios
            places.append((call.step.index, measured, len(measured)))  # this call appends one

        counts = Counts("blocks computed", "blocks skipped")
        with hooked(module, "MagCache", lambda root: apply_mag_cache(root, config), counts, told):
            yield
        self.ratios.update((step, measured[place]) for step, measured, place in places)


@node
def calibrate_mag_cache(
    model: Model,
    noise: Noise,
    positive: Conditioning,
    negative: Conditioning | None = None,
    schedule: Schedule | None = None,
    sampler: Sampler | None = None,
    guidance: Guidance | None = None,
    progress: Progress = QUIET,
) -> Table:
    """Measure, in a plain run, the ratios that mag_cache goes by: step, and mean of |added now| / |added before|.

    They depend on model and sampler, hardly on prompt and seed, and are stretched to other numbers of steps: measure
    once, with some pictures. For sd3, flux and pixart. https://arxiv.org/abs/2506.09045
    """
    from ..sample.denoise import denoise
    from .hooked import check_family
    from .mag_cache import FAMILIES

    check_family(model, "MagCache", FAMILIES)
    patch = Measured()
    watched = added(model, patch, "Measuring for MagCache")
    denoise(watched, noise, positive, negative, schedule, sampler, guidance, preview=False, progress=progress)
    return Table(("step", "ratio"), tuple(sorted(patch.ratios.items())))
