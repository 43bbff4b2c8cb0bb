"""MagCache (Ma et al., 2025, https://arxiv.org/abs/2506.09045), by diffusers' hook.

What all blocks of a transformer add to its tokens shrinks or grows from step to step by nearly the same ratio whatever
the prompt. Known once, the ratios g_t tell how wrong it is to add again what was added k steps before:

    error of step t = |1 - g_{t-k+1} ... g_t|

No block runs while these errors, summed up since the last whole step, stay within `threshold`, and no more than
`max_skip` times in a row. The first share `retention` of the steps always runs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from ...graph.node import NodeError, node
from ..models.call import Call
from ..types import Model
from .step_cache import Counts, StepCache, added

if TYPE_CHECKING:
    from torch import nn

FAMILIES = ("sd3", "flux", "pixart")
COUNTS = Counts("blocks computed", "blocks skipped")


@dataclass(frozen=True)
class MagCache(StepCache):
    """Adds what the blocks of a transformer added before, as long as its size says that little changed.

    Without `ratios` those published for Flux. They are stretched to the length of the schedule.
    """

    parts: ClassVar[tuple[str, ...]] = ("transformer",)

    threshold: float
    max_skip: int
    retention: float
    ratios: tuple[float, ...] = ()

    @contextmanager
    def attach(self, part: str, module: nn.Module) -> Iterator[None]:
        import torch
        from diffusers.hooks import MagCacheConfig, apply_mag_cache
        from diffusers.hooks.mag_cache import FLUX_MAG_RATIOS, nearest_interp

        from .hooked import hooked

        ratios = torch.tensor(self.ratios) if self.ratios else FLUX_MAG_RATIOS
        # A ratio of exactly 1 would be within a threshold of 0.
        config = MagCacheConfig(self.threshold or -1.0, self.max_skip, self.retention, len(ratios), ratios)

        def told(call: Call, hooks: Sequence[Any]) -> None:
            if config.num_inference_steps != call.step.total:
                config.num_inference_steps, config.mag_ratios = (
                    call.step.total,
                    nearest_interp(ratios, call.step.total),
                )
            hooks[0].state_manager.get_state().step_index = call.step.index

        with hooked(module, "MagCache", lambda root: apply_mag_cache(root, config), COUNTS, told):
            yield


@dataclass(frozen=True)
class Calibration(StepCache):
    """Leaves nothing out, and notes in the run's report by how much what the blocks add grows from step to step."""

    parts: ClassVar[tuple[str, ...]] = ("transformer",)

    @contextmanager
    def attach(self, part: str, module: nn.Module) -> Iterator[None]:
        from diffusers.hooks import MagCacheConfig, apply_mag_cache

        from .hooked import hooked

        # At the end of as many steps as it is told, the hook would print what it measured.
        config = MagCacheConfig(calibrate=True, num_inference_steps=sys.maxsize)

        def told(call: Call, hooks: Sequence[Any]) -> None:
            """The hook appends to its list; branches that are new go on from what is known of the steps before."""
            measured = hooks[0].state_manager.get_state().calibration_ratios
            known = [*call.notes.get("magnitude_ratios", ()), *[1.0] * call.step.index]
            measured += known[len(measured) : call.step.index]
            call.notes["magnitude_ratios"] = measured

        with hooked(module, "MagCache", lambda root: apply_mag_cache(root, config), COUNTS, told):
            yield


@node(title="MagCache")
def mag_cache(
    model: Model,
    ratios: Annotated[
        list[Annotated[float, Field(gt=0, le=1000)]],
        Field(max_length=1000, description="growth from step to step, as measured; empty: published (flux alone)"),
    ] = [],  # noqa: B006
    threshold: Annotated[
        float, Field(ge=0, le=10, description="sum of errors up to which the blocks are left out; 0: never")
    ] = 0.06,
    max_skip: Annotated[int, Field(ge=1, le=50, description="steps in a row that may be left out")] = 3,
    retention: Annotated[float, Field(ge=0, le=1, description="share of the steps, the first, that all run")] = 0.2,
    calibrate: Annotated[
        bool, Field(description="leave nothing out, and tell the ratios in the run's report (magnitude_ratios)")
    ] = False,
) -> Model:
    """Leave out all blocks of a transformer at steps where what they add has kept its size.

    For sd3, flux and pixart. `ratios` depend on model and sampler, hardly on prompt and seed, and are stretched to
    other numbers of steps: run once with `calibrate`, and copy them from the report. https://arxiv.org/abs/2506.09045
    """
    from .hooked import check_family

    check_family(model, "MagCache", FAMILIES)
    if calibrate:
        return added(model, Calibration(), "MagCache")
    if not ratios and model.family != "flux":
        raise NodeError(
            f"There are no published ratios for {model.family}: run once with calibrate, and copy magnitude_ratios "
            "from the run's report to ratios."
        )
    return added(model, MagCache(threshold, max_skip, retention, tuple(ratios)), "MagCache")
