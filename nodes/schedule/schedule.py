"""At which noise levels to stop."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import Field

from ...graph.node import NodeError, node
from ..types import Schedule
from .samplers import Shaping, Spacing


@node
def schedule(
    steps: Annotated[int, Field(ge=1, le=1000, description="how many steps from noise to picture")] = 25,
    spacing: Annotated[
        Spacing, Field(description="how the timesteps lie; model: as the model's own scheduler has them")
    ] = "model",
    shaping: Annotated[
        Shaping, Field(description="how the noise levels between the ends lie; model: as its scheduler has them")
    ] = "model",
    timesteps: Annotated[
        tuple[int, ...], Field(max_length=1000, description="exactly these, falling; steps is then their number")
    ] = (),
) -> Schedule:
    """Choose the number of steps and how they lie between pure noise and the picture.

    Spacings are those of table 2 of https://arxiv.org/abs/2305.08891; `trailing` suits few steps. `karras`
    (https://arxiv.org/abs/2206.00364) puts more steps where little noise is left, `exponential` spaces the logarithm of
    the noise evenly, `beta` (https://arxiv.org/abs/2407.12173) spends more at both ends. What the sampler cannot follow
    is refused when it runs, with what it takes.
    """
    if not timesteps:
        return Schedule(steps, spacing, shaping)
    problems = []
    if spacing != "model" or shaping not in ("model", "none"):
        problems.append("timesteps say exactly where to stop: leave spacing and shaping at model, or timesteps empty.")
    if any(later >= earlier for earlier, later in pairwise(timesteps)) or timesteps[-1] < 0:
        problems.append(f"timesteps fall from noise to picture and are not negative; {list(timesteps)} do not.")
    if problems:
        raise NodeError(" ".join(problems))
    return Schedule(len(timesteps), timesteps=timesteps)
