"""Step rehash, of Streamlined Inference (Zhan et al., 2024, https://arxiv.org/abs/2411.01171).

At a key step the whole network runs, and one of its last features is kept; the steps up to the next key step run only
what follows that feature. Which steps are keys is found from how alike the feature is at any two steps of a run made
before, S[i][j]: from the last key j on, the first step i with S[i][j] < threshold is the next key (step_similarity
measures S). The authors compute 13 of 25 steps.

They keep what a video UNet's temporal layer in its last block gives. An image UNet has none; there the nearest is what
goes into its last layer, joined with its skip:

    key:     h_i = D_i(h_i-1) ... u_1 = U_1(u_2, h_1);  keep [u_1, h_0];  e = out(U_0([u_1, h_0], t))
    others:                                                               e = out(U_0(kept, t))

so that t is the step's own, and the sample is not looked at. Or the prediction itself is kept: then nothing runs, and
with the sampler euler and a network that predicts noise the run is exactly the one with fewer steps, at the key steps.

If what runs is the share r of a step, S steps with n key ones are S / (n + (S - n) r) times as fast; r is 0 for the
prediction.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from ...graph.node import NodeError, node
from ..models.call import Call, current
from ..models.forward import forward_replaced
from ..types import Model, Table
from .rehash import Kept, find_key_steps, last_layer
from .step_cache import PerBranch, StepCache, added, count

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class StepRehash(StepCache):
    """Runs the whole network at `key_steps` of the schedule; `measured` is how many steps they were found for, 0 for
    any."""

    parts: ClassVar[tuple[str, ...]] = ("unet", "transformer")

    key_steps: tuple[int, ...]
    keep: Kept
    measured: int = 0

    @contextmanager
    def attach(self, part: str, module: nn.Module) -> Iterator[None]:
        ladder = None
        if self.keep == "last_layer":
            from .unet import Ladder

            last_layer(module)
            ladder = Ladder(module, "Step rehash")  # pyright: ignore[reportArgumentType]
        whole, kept = module.forward, PerBranch()

        def forward(*given: Any, **told: Any) -> tuple[Tensor]:
            call, rows = current(), len(given[0] if given else told["hidden_states"])
            if call is None:
                return whole(*given, **told)
            at = self.last_key(call)
            ready = kept.get(call.branches, rows, at) if at < call.at else None
            if ready is not None:
                count(call, "steps rehashed")
                return (ready[0] if ladder is None else _finish(ladder, ready, *given, **told),)
            if ladder is None:
                found = (whole(*given, **told)[0],)
                kept.put(call.branches, found)
                return found
            features = _climb(ladder, *given, **told)
            kept.put(call.branches, features)
            return (_finish(ladder, features, *given, **told),)

        with forward_replaced(module, forward):
            yield

    def last_key(self, call: Call) -> int:
        """The last evaluation of the run, up to the one under way, at which everything runs."""
        if self.measured and call.step.total != self.measured:
            raise NodeError(
                f"The similarity of steps was measured for {self.measured} evaluations, and this run's schedule has "
                f"{call.step.total}; measure it with the schedule and sampler of the run."
            )
        return max(at for at in range(call.at + 1) if at == 0 or call.steps[at].index in self.key_steps)


def _climb(ladder: Any, sample: Tensor, timestep: Any, return_dict: bool = True, **told: Any) -> tuple[Tensor, Tensor]:
    """What goes into the outermost layer on the way up, and its skip."""
    heard = ladder.told(sample, timestep, **told)
    skips = ladder.descend(sample, heard)
    levels = range(len(ladder) - 1, 0, -1)
    return ladder.ascend(ladder.middle(skips[-1], heard), skips, heard, levels)[0], skips[0]


def _finish(
    ladder: Any, features: tuple[Tensor, ...], sample: Tensor, timestep: Any, return_dict: bool = True, **told: Any
) -> Tensor:
    """The prediction, from what goes into the outermost layer; of `sample` only the shape is looked at."""
    hidden, skip = features
    return ladder.finish(ladder.up[0](hidden, skip, ladder.told(sample, timestep, **told), None))


@node
def step_rehash(
    model: Model,
    similarity: Table | None = None,
    threshold: Annotated[
        float, Field(ge=-1, le=2, description="a step less like the last key step is the next one; above 1 all are")
    ] = 0.97,
    key_steps: Annotated[
        list[Annotated[int, Field(ge=0, le=1000)]],
        Field(max_length=1000, description="without similarity: exactly the steps at which everything runs"),
    ] = [],  # noqa: B006
    keep: Annotated[
        Kept, Field(description="run the last layer at the other steps, or nothing; measure the same")
    ] = "last_layer",
) -> Model:
    """Compute a step in full only where it differs enough from the last one that was.

    Wire what step_similarity measured, or name the steps. `prediction` takes any model, `last_layer` those with a
    UNet. Compare with a plain run at the key steps alone, which costs the same. https://arxiv.org/abs/2411.01171
    """
    if similarity is not None and key_steps:
        raise NodeError("The key steps are found from the similarity; leave key_steps empty, or take the wire away.")
    if similarity is None and not key_steps:
        raise NodeError("Which steps are to be computed? Wire what step_similarity measured, or name key_steps.")
    if similarity is None:
        return added(model, StepRehash(tuple(sorted({0, *key_steps})), keep), "Step rehash")
    matrix = [row[1:] for row in similarity.rows]
    if similarity.columns != ("step", *map(str, range(len(matrix)))):
        raise NodeError(
            "This table is no similarity of steps: it has a column 'step' and one for each step; wire step_similarity."
        )
    keys = find_key_steps(matrix, threshold)  # pyright: ignore[reportArgumentType]
    return added(model, StepRehash(keys, keep, len(matrix)), "Step rehash")
