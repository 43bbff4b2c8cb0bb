"""MagCache (Ma et al., 2025, https://arxiv.org/abs/2506.09045), by diffusers' hook.

What all blocks of a transformer add to its tokens shrinks or grows from step to step by nearly the same ratio whatever
the prompt. Known once, the ratios g_t tell how wrong it is to add again what was added k steps before:

    error of step t = |1 - g_{t-k+1} ... g_t|

No block runs while these errors, summed up since the last whole step, stay within `threshold`, and no more than
`max_skip` times in a row. The first share `retention` of the steps always runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from ...graph.node import NodeError, node
from ..models.call import Call
from ..types import Model, Table
from .step_cache import StepCache, added

if TYPE_CHECKING:
    from torch import nn

FAMILIES = ("sd3", "flux", "pixart")


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

        from .hooked import Counts, hooked

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

        counts = Counts("blocks computed", "blocks skipped")
        with hooked(module, "MagCache", lambda root: apply_mag_cache(root, config), counts, told):
            yield


@node
def mag_cache(
    model: Model,
    ratios: Table | None = None,
    threshold: Annotated[
        float, Field(ge=0, le=10, description="sum of errors up to which the blocks are left out; 0: never")
    ] = 0.06,
    max_skip: Annotated[int, Field(ge=1, le=50, description="steps in a row that may be left out")] = 3,
    retention: Annotated[float, Field(ge=0, le=1, description="share of the steps, the first, that all run")] = 0.2,
) -> Model:
    """Leave out all blocks of a transformer at steps where what they add has kept its size.

    For sd3, flux and pixart. `ratios` come from calibrate_mag_cache, measured once for a model; without them those
    published for Flux are taken, for Flux alone. https://arxiv.org/abs/2506.09045
    """
    from .hooked import check_family

    check_family(model, "MagCache", FAMILIES)
    if ratios is None and model.family != "flux":
        raise NodeError(
            f"There are no published ratios for {model.family}: wire calibrate_mag_cache, which measures them, to "
            "ratios."
        )
    if ratios is not None and ("ratio" not in ratios.columns or not ratios.rows):
        raise NodeError(
            f"The table has columns {', '.join(ratios.columns)} and {len(ratios.rows)} rows; ratios are the column "
            "'ratio' of the table that calibrate_mag_cache gives."
        )
    column = () if ratios is None else tuple(row[ratios.columns.index("ratio")] for row in ratios.rows)
    if not all(isinstance(each, (int, float)) and each > 0 for each in column):
        raise NodeError("The ratios are not all numbers above 0; take the table that calibrate_mag_cache gives.")
    given = tuple(float(each) for each in column if each is not None)
    return added(model, MagCache(threshold, max_skip, retention, given), "MagCache")
