"""How alike the steps of a run are inside, as step rehash asks (https://arxiv.org/abs/2411.01171).

S[i][j] = <f_i, f_j> / (|f_i| |f_j|), the cosine of a feature f at steps i and j, averaged over pictures
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from pydantic import Field

from ...graph.node import node
from ...graph.progress import QUIET, Progress
from ..models.call import current
from ..models.forward import forward_replaced
from ..types import Conditioning, Figure, Guidance, Model, Noise, Sampler, Schedule, Series, Table
from .rehash import Kept, last_layer
from .step_cache import StepCache, added

if TYPE_CHECKING:
    from torch import Tensor, nn

NOTE = "step_similarity"


class Similarity(NamedTuple):
    """The cosine for each two steps, and those with the step before and with the first."""

    similarity: Table
    figure: Figure


@dataclass(frozen=True)
class Watched(StepCache):
    """Changes nothing; notes how alike the steps of a run were, in what `keep` names."""

    parts: ClassVar[tuple[str, ...]] = ("unet", "transformer")

    keep: Kept

    @contextmanager
    def attach(self, part: str, module: nn.Module) -> Iterator[None]:
        whole, seen = module.forward, {}

        def forward(*given: Any, **told: Any) -> Any:
            seen.clear()
            found, call = whole(*given, **told), current()
            if call is not None:
                feature: Tensor = seen.get("input", found[0])
                # The positive branch stands last in a pass; a guidance may leave the others out at some steps.
                of_positive = feature.chunk(len(call.branches))[-1].flatten(1).float()
                features = call.notes.setdefault(NOTE, {})
                features.setdefault(call.at, of_positive / of_positive.norm(dim=1, keepdim=True))
            return found

        def watch(layer: nn.Module, given: tuple[Any, ...]) -> None:
            seen["input"] = given[0]

        hook = last_layer(module).register_forward_pre_hook(watch) if self.keep == "last_layer" else None
        try:
            with forward_replaced(module, forward):
                yield
        finally:
            if hook is not None:
                hook.remove()


@node
def step_similarity(
    model: Model,
    noise: Noise,
    positive: Conditioning,
    negative: Conditioning | None = None,
    schedule: Schedule | None = None,
    sampler: Sampler | None = None,
    guidance: Guidance | None = None,
    keep: Annotated[Kept, Field(description="what step_rehash is to keep")] = "last_layer",
    progress: Progress = QUIET,
) -> Similarity:
    """Make pictures in full and measure how alike their steps are, for step_rehash to find its key steps.

    Wire what the pictures to come will be made with; a few are enough. All features of a run are held at once.
    https://arxiv.org/abs/2411.01171
    """
    import torch

    from ..sample.generate import Job, generate

    watched = added(model, Watched(keep), "step_similarity")
    job, matrices = Job(watched, noise, positive, negative, sampler, guidance), []
    for done, one in enumerate(job.split(1)):
        progress.step(done, len(noise.samples), "runs to measure")
        notes: dict[str, Any] = {}
        generate(one, schedule or Schedule(steps=25), progress, notes)
        features = torch.cat(list(notes[NOTE].values()))
        matrices.append((features @ features.T).cpu())
    matrix = torch.stack(matrices).mean(0).clamp(-1, 1).tolist()
    steps = range(len(matrix))
    table = Table(("step", *map(str, steps)), tuple((step, *row) for step, row in zip(steps, matrix, strict=True)))
    return Similarity(table, Figure("Steps inside", "step", "cosine", _series(matrix)))


def _series(matrix: list[list[float]]) -> tuple[Series, ...]:
    later = range(1, len(matrix))
    return tuple(
        Series(name, tuple(map(float, later)), tuple(matrix[step][other(step)] for step in later))
        for name, other in (("with the step before", lambda step: step - 1), ("with the first", lambda step: 0))
    )
