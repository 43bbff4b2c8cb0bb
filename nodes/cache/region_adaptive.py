"""Region-Adaptive Sampling (Liu et al., 2025, https://arxiv.org/abs/2502.10389), for Stable Diffusion 3.

Parts of a picture settle sooner than others. After some full steps only the share `ratio` of the image tokens is
computed; the others keep the prediction they last had, and the keys and values by which the active ones see them. Which
are active is told by how the last step moved the latent, d = x_i - x_{i-1}:

    R = mean over a patch of std over channels of d;    dropped are the highest R exp(-scale D), where subjects are not,
    or, the share 1 - `high`, the lowest R exp(scale D)

D is how often a token was dropped before: it makes both ends less likely to drop it again. (In the authors' code the
sign is one for both, and what was dropped at the high end is dropped for ever.) At `resets` all tokens run, which takes
back the error that adds up. Each picture of a batch has its own active tokens.

With N image tokens and L of the prompt such a step costs (ratio N + L) / (N + L): at 1024 pixels, 28 steps and 6 of
them full, a run is at most 1.57 times as fast for a ratio of 0.5, and 2.75 for 0.125.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from ...graph.node import NodeError, node
from ..models.call import Call, current
from ..models.forward import forward_replaced
from ..types import Model
from . import regions
from .step_cache import PerBranch, StepCache, added, count

if TYPE_CHECKING:
    from torch import nn

SCHEDULER = "FlowMatchEulerDiscreteScheduler"


@dataclass(frozen=True)
class RegionAdaptive(StepCache):
    """Computes some of the image tokens at the steps that are not full."""

    parts: ClassVar[tuple[str, ...]] = ("transformer",)

    ratio: float
    start: int
    resets: tuple[int, ...]
    end: int
    high: float
    starvation: float

    @contextmanager
    def attach(self, part: str, module: nn.Module) -> Iterator[None]:
        transformer: Any = module
        patch, whole = int(transformer.config.patch_size), module.forward
        memory, watch = PerBranch(), Watch(self, patch)

        def forward(hidden_states: Tensor, return_dict: bool = True, **told: Any) -> tuple[Tensor]:
            call = current()
            if call is None:
                return whole(hidden_states, return_dict=False, **told)
            if call.scheduler not in ("", SCHEDULER):
                raise NodeError(
                    f"Region-adaptive sampling works with the sampler euler alone: {call.scheduler} would mix "
                    "predictions of several steps."
                )
            rows, (height, width) = hidden_states.shape[0], hidden_states.shape[-2:]
            active = watch.active(call, hidden_states[: rows // len(call.branches)])
            ready = None if active is None else memory.get(call.branches, rows, call.at - 1)
            if active is None or ready is None:
                predicted = whole(hidden_states, return_dict=False, **told)[0]
                memory.put(call.branches, (regions.tokens(predicted, patch), *regions.kept(processors)))
                return (predicted,)
            before, *tensors = ready
            active = active.repeat(len(call.branches), 1)
            regions.give(processors, tensors, active)
            found = regions.predict(transformer, active, hidden_states, **told)
            rest = before.scatter(1, active[..., None].expand_as(found), found)
            memory.put(call.branches, (rest, *regions.kept(processors)))
            count(call, "image tokens computed", active.numel())
            count(call, "image tokens kept", rest.shape[0] * rest.shape[1] - active.numel())
            return (regions.picture(rest, patch, height, width),)

        with regions.keeping(transformer) as processors, forward_replaced(module, forward):
            yield

    def full(self, steps: int) -> frozenset[int]:
        """Which of a run's `steps` compute all tokens."""
        late = range(self.end, steps) if self.end else ()
        return frozenset(range(steps)) if self.ratio >= 1 else frozenset({*range(self.start), *self.resets, *late})


class Watch:
    """Which tokens are active at each step of a run, from how the latent moves."""

    def __init__(self, method: RegionAdaptive, patch: int) -> None:
        self._method, self._patch = method, patch
        self._run: Any = None

    def active(self, call: Call, sample: Tensor) -> Tensor | None:
        """The active tokens (B, n) of the latents (B, C, h, w) at this call; `None` for all."""
        if call.steps is not self._run:
            self._run, self._at, self._before, self._active = call.steps, -1, sample, None
            tokens = sample.shape[-2] * sample.shape[-1] // self._patch**2
            self._dropped = torch.zeros(len(sample), tokens, device=sample.device)
        if call.at != self._at:
            self._at, self._active = call.at, None
            if call.at and call.at not in self._method.full(len(call.steps)):
                moved = measure((sample - self._before).float(), self._patch)
                self._active, dropped = select(moved, self._dropped, self._method)
                self._dropped = self._dropped + dropped
            self._before = sample
        return self._active


def measure(moved: Tensor, patch: int) -> Tensor:
    """How unevenly the channels of each patch (B, N) moved; `moved` is (B, C, h, w)."""
    return torch.nn.functional.avg_pool2d(moved.std(1, keepdim=True), patch).flatten(1)


def select(moved: Tensor, dropped: Tensor, method: RegionAdaptive) -> tuple[Tensor, Tensor]:
    """The active tokens (B, n), rising, and 1 for each other one (B, N), by `measure` and how often each was dropped
    (both (B, N))."""
    tokens = moved.shape[1]
    skip = tokens - max(1, round(tokens * method.ratio))
    high = round(skip * method.high)
    out = torch.zeros_like(dropped)
    low = (moved * torch.exp(method.starvation * dropped)).argsort(1)[:, : skip - high]
    out.scatter_(1, low, 1.0)
    top = (moved * torch.exp(-method.starvation * dropped)).masked_fill(out > 0, -torch.inf).argsort(1)
    out.scatter_(1, top[:, tokens - high :], 1.0)
    return out.argsort(stable=True, dim=1)[:, : tokens - skip], out


@node(title="Region-adaptive sampling")
def region_adaptive(
    model: Model,
    ratio: Annotated[float, Field(gt=0, le=1, description="share of the image tokens computed; 1 is all")] = 0.5,
    start: Annotated[int, Field(ge=1, le=1000, description="first steps that all compute everything")] = 4,
    resets: Annotated[
        list[Annotated[int, Field(ge=0, le=1000)]],
        Field(max_length=1000, description="further steps that compute everything"),
    ] = [12, 20],  # noqa: B006
    end: Annotated[int, Field(ge=0, le=1000, description="compute everything from this step on; 0: never")] = 0,
    high: Annotated[
        float, Field(ge=0, le=1, description="share of what is dropped taken from where most moves, less: least")
    ] = 1.0,
    starvation: Annotated[
        float, Field(ge=0, le=10, description="how strongly it counts to have been dropped before; 0: not")
    ] = 0.1,
) -> Model:
    """Compute only those parts of the picture that still need it, after the first steps.

    For sd3 with the sampler euler. https://arxiv.org/abs/2502.10389
    """
    from .hooked import check_family

    check_family(model, "Region-adaptive sampling", ("sd3",))
    patch = RegionAdaptive(ratio, start, tuple(resets), end, high, starvation)
    return added(model, patch, "Region-adaptive sampling")
