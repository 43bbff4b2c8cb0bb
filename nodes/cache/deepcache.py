"""DeepCache (Ma et al., 2023, https://arxiv.org/abs/2312.00858).

Deep features of a UNet change slowly from step to step. Every N-th step runs the whole network and keeps what goes into
one layer on the way up, u_{m+1}; the steps between run only the outermost m levels, on the way down and, from the kept
tensor, on the way up:

    full:   h_i = D_i(h_{i-1}),  u_{d+1} = M(h_d),  u_i = U_i([u_{i+1}, h_i]);  keep u_{m+1}
    skip:   h_i = D_i(h_{i-1}) for i <= m,  u_{m+1} as kept,  u_i = U_i([u_{i+1}, h_i]) for i <= m

A level is a residual block with its attention, not a resolution; Stable Diffusion 1.5 has 12, SDXL 9. The paper counts
m from 1; `branch` counts from 0, as the authors' package does: the paper's setting for Stable Diffusion, m = 2, is
branch 1.

If a skip costs the share r of a full step, S steps with n full ones are S / (n + (S - n) r) times as fast, never more
than 1 / r: SD 1.5 at 512 pixels r = .079 (branch 0), .224 (1), .380 (2); SDXL at 1024 r = .0145, .038, .066.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from ...graph.node import NodeError, node
from ..models.call import current
from ..models.forward import forward_replaced
from ..types import Model
from .step_cache import PerBranch, StepCache, added, count

if TYPE_CHECKING:
    from torch import Tensor, nn

Spacing = Literal["uniform", "quadratic"]


@dataclass(frozen=True)
class DeepCache(StepCache):
    """Skips the deep levels of a UNet at the steps that are not `full`."""

    by_picture: ClassVar[bool] = True

    interval: int
    branch: int
    spacing: Spacing = "uniform"
    center: float = 15.0
    power: float = 1.4
    full_steps: tuple[int, ...] = ()
    first_full: int = 0

    @contextmanager
    def attach(self, part: str, module: nn.Module) -> Iterator[None]:
        from .unet import Ladder

        ladder = Ladder(module, "DeepCache")  # pyright: ignore[reportArgumentType]
        if self.branch >= len(ladder):
            raise NodeError(
                f"branch {self.branch} is too deep: this UNet has {len(ladder)} levels, 0 is the outermost."
            )
        kept = PerBranch()
        whole, shallow = range(len(ladder) - 1, -1, -1), range(self.branch, -1, -1)

        def forward(sample: Tensor, timestep: Any, return_dict: bool = True, **told_with: Any) -> tuple[Tensor]:
            call = current()
            told = ladder.told(sample, timestep, **told_with)
            ready = None
            if call is not None and call.at not in (full := self.full(len(call.steps))):
                ready = kept.get(call.branches, sample.shape[0], max(at for at in full if at < call.at))
            if ready is None:
                skips = ladder.descend(sample, told)
                hidden, deep = ladder.ascend(ladder.middle(skips[-1], told), skips, told, whole, keep=self.branch)
                if call is not None and deep is not None:
                    kept.put(call.branches, (deep,))
            else:
                skips = ladder.descend(sample, told, self.branch + 1)
                hidden, _ = ladder.ascend(ready[0], skips, told, shallow)
                count(call, "deep levels skipped")
            return (ladder.finish(hidden),)

        with forward_replaced(module, forward):
            yield

    def full(self, steps: int) -> frozenset[int]:
        """Which of a run's `steps` evaluations run the whole network."""
        return full_steps(self, steps)


def full_steps(cache: DeepCache, steps: int) -> frozenset[int]:
    """The steps at which everything runs; the first is always one."""
    if cache.full_steps:
        return frozenset({0, *cache.full_steps})
    every = range(0, steps, cache.interval)
    chosen = every if cache.spacing == "uniform" else _quadratic(steps, len(every), cache.center, cache.power)
    return frozenset({0, *range(cache.first_full), *chosen})


def _quadratic(steps: int, full: int, center: float, power: float) -> list[int]:
    """The paper's 1:N strategy: `full` steps, densest around step `center` (c), thinning out by `power` (p).

    Equally spaced between -c^(1/p) and (T - c)^(1/p), then raised to p again, with their sign.
    """

    def signed(value: float, exponent: float) -> float:
        return abs(value) ** exponent * (1 if value >= 0 else -1)

    begin, end = signed(-center, 1 / power), signed(steps - center, 1 / power)
    return [min(steps - 1, max(0, int(signed(begin + (end - begin) * i / full, power) + center))) for i in range(full)]


@node(title="DeepCache")
def deepcache(
    model: Model,
    interval: Annotated[int, Field(ge=1, le=50, description="every how many steps everything runs; 1 is always")] = 3,
    branch: Annotated[
        int, Field(ge=0, le=11, description="levels that run at every step, less one; the paper's m less one")
    ] = 0,
    spacing: Annotated[
        Spacing, Field(description="full steps at equal distances, or densest around the step `center`")
    ] = "uniform",
    center: Annotated[float, Field(ge=0, le=1000, description="quadratic: the paper's c, a step of the run")] = 15.0,
    power: Annotated[float, Field(gt=0, le=5, description="quadratic: the paper's p; how fast they thin out")] = 1.4,
    full_steps: Annotated[
        list[Annotated[int, Field(ge=0, le=1000)]],
        Field(max_length=1000, description="exactly the steps at which everything runs; empty: as spaced"),
    ] = [],  # noqa: B006
    first_full: Annotated[int, Field(ge=0, le=1000, description="first steps that all run everything")] = 0,
) -> Model:
    """Run the deep levels of a UNet only every few steps, and keep what they gave in between.

    For models with a UNet. Few-step models gain nothing by it. https://arxiv.org/abs/2312.00858
    """
    patch = DeepCache(interval, branch, spacing, center, power, tuple(full_steps), first_full)
    return added(model, patch, "DeepCache")
