"""AutoDiffusion: a search for the timesteps that few steps should stop at (Li et al., 2023,
https://arxiv.org/abs/2309.10438).

An evolutionary search over falling lists of timesteps, which begins from the usual spacings (`evolution.py`). The
authors tell lists apart by the FID of 1000 to 5000 pictures; here by how close the pictures are to those of many steps
from the same noise, as a peak signal-to-noise ratio of all their values together,

    PSNR = -10 log10(mean (x - x_full)²)

or by any reward. They also leave out layers of the network at some steps, which is not done here.

Cost: epochs x population x pictures x steps network calls a branch, once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, get_args

from pydantic import Field

from ...graph.files import Files, Writes
from ...graph.node import NodeError, effect
from ...graph.progress import QUIET, Progress
from ..types import Conditioning, Figure, Guidance, Model, Noise, Prompts, Reward, Sampler, Schedule, Series, Table
from .evolution import Candidate, Evolution, Search, ordered
from .journal import Journal

if TYPE_CHECKING:
    from torch import Tensor

    from ..sample.generate import Job


class Found(NamedTuple):
    """The best schedule, the best fitness after each epoch, and the best lists beside the usual spacings."""

    schedule: Schedule
    figure: Figure
    lists: Table


@effect
def search_timesteps(
    model: Model,
    noise: Noise,
    positive: Conditioning,
    negative: Conditioning | None = None,
    sampler: Sampler | None = None,
    guidance: Guidance | None = None,
    reward: Reward | None = None,
    prompts: Prompts | None = None,
    steps: Annotated[int, Field(ge=1, le=100, description="how many steps the schedule is to have")] = 6,
    reference_steps: Annotated[
        int, Field(ge=1, le=1000, description="without a reward: steps of the pictures to come close to")
    ] = 50,
    epochs: Annotated[int, Field(ge=1, le=1000)] = 10,
    population: Annotated[int, Field(ge=1, le=1000, description="lists tried in each epoch")] = 50,
    mutations: Annotated[int, Field(ge=0, le=1000, description="of them by changing one of the best")] = 25,
    crossovers: Annotated[int, Field(ge=0, le=1000, description="and by mixing two; the rest is drawn at random")] = 15,
    best: Annotated[int, Field(ge=1, le=1000, description="how many of the best lists have offspring")] = 10,
    chance: Annotated[float, Field(gt=0, le=1, description="of a timestep to change in a mutation")] = 0.25,
    seed: Annotated[int, Field(ge=0, le=2**31, json_schema_extra={"format": "seed"})] = 0,
    name: Annotated[str, Writes(), Field(description="files to write, without their ending")] = "timesteps",
    at_once: Annotated[int, Field(ge=1, le=1024, description="pictures that are made together")] = 16,
    progress: Progress = QUIET,
    *,
    files: Files,
) -> Found:
    """Search for the timesteps at which few steps come closest to many, or to what a reward asks for.

    Wire what the pictures to come will be made with: the more pictures of `noise`, the less the search clings to them.
    With a reward, wire the prompts too. Every list tried is noted in a journal in the output folder (NAME.jsonl), so
    that a search that was stopped goes on where it was; NAME.json is the schedule, for load_schedule.
    https://arxiv.org/abs/2309.10438
    """
    from ..sample.generate import Job
    from .files import write

    if (reward is None) != (prompts is None):
        raise NodeError("A reward judges by prompts: wire both, or none to search for likeness to many steps.")
    usual, lowest, highest = spaced(model, noise, sampler, steps)
    job = Job(model, noise, positive, negative, sampler, guidance)
    measure = likeness(job, reference_steps, at_once, progress)
    if reward is not None and prompts is not None:
        measure = rewarded(job, reward, prompts, at_once, progress)
    aim = f"PSNR to {reference_steps} steps" if reward is None else str(reward)
    journal = Journal(files.target(f"{name}.jsonl"), problem(job, aim, prompts))
    search = Search(lowest, highest, epochs, population, mutations, crossovers, best, chance, seed)

    def tell(found: Evolution) -> None:
        top = found.top(1)[0]
        progress.step(len(found.tried), epochs * population, f"best {found.tried[top]:.4f} at {list(top)}")

    found = search.run(tuple(usual), lambda candidate: journal.remember(candidate, measure), tell)
    top = found.top(best)
    schedule = Schedule(steps, timesteps=top[0])
    path = files.target(f"{name}.json")
    facts = {
        "sought": aim,
        "fitness": found.tried[top[0]],
        "usual_spacings": {name: found.tried[each] for each, name in usual.items() if each in found.tried},
        "lists_tried": len(found.tried),
        "pictures": len(noise.samples),
        "sampler_searched": sampler.name if sampler else "the model's own",
        "guidance_searched": str(guidance),
        "model_searched": Path(model.source).name,
    }
    write(path, schedule, facts)
    progress.note(files=[str(path)], **facts)
    known = ((f"spacing {name}", each) for each, name in usual.items() if each in found.tried)
    rows = (*known, *((f"{place}.", each) for place, each in enumerate(top, start=1)))
    return Found(
        schedule,
        Figure("Search for timesteps", "epoch", aim, (_curve(found),)),
        Table(("list", "timesteps", "fitness"), tuple((n, ", ".join(map(str, c)), found.tried[c]) for n, c in rows)),
    )


def spaced(model: Model, noise: Noise, sampler: Sampler | None, steps: int) -> tuple[dict[Candidate, str], int, int]:
    """The whole timesteps of each spacing the sampler can follow, the model's own first, and the lowest and highest
    timestep there are. Raises `NodeError` for samplers that take no list."""
    from ..models.live import use
    from .samplers import Spacing, build

    usual: dict[Candidate, str] = {}
    with use(model) as parts:
        flow, config = parts.family.flow(parts, noise.samples.shape), parts.scheduler_config
        for spacing in get_args(Spacing):
            try:
                own = build(config, sampler, Schedule(steps, spacing), flow).timesteps.tolist()
            except NodeError:
                continue  # not for this sampler
            usual.setdefault(ordered(round(timestep) for timestep in own), spacing)
        whole = {each: spacing for each, spacing in usual.items() if len(each) == steps}
        if not whole:
            stops = len(next(iter(usual)))
            raise NodeError(f"This sampler stops {stops} times in {steps} steps; there is no such list to search for.")
        build(config, sampler, Schedule(steps, timesteps=next(iter(whole))), flow)
    total = int(config.get("num_train_timesteps", 1000))
    return (whole, 0, total - 1) if flow is None else (whole, 1, total)


def likeness(job: Job, reference_steps: int, at_once: int, progress: Progress) -> Callable[[Candidate], float]:
    """PSNR of the pictures of a list of timesteps to those of so many steps."""

    @cache
    def reference() -> Tensor:
        return _pictures(job, Schedule(reference_steps), at_once, progress)

    def measure(candidate: Candidate) -> float:
        import math

        made = _pictures(job, Schedule(len(candidate), timesteps=candidate), at_once, progress)
        return -10 * math.log10(max(1e-10, (made - reference()).double().square().mean().item()))

    return measure


def rewarded(
    job: Job, reward: Reward, prompts: Prompts, at_once: int, progress: Progress
) -> Callable[[Candidate], float]:
    """The mean reward of the pictures of a list of timesteps."""
    score = reward.begin(prompts.texts)

    def measure(candidate: Candidate) -> float:
        schedule = Schedule(len(candidate), timesteps=candidate)
        return score(_pictures(job, schedule, at_once, progress)).double().mean().item()

    return measure


def problem(job: Job, aim: str, prompts: Prompts | None) -> str:
    """Differs where the fitness of a list may: weights, patches, noise, prompts, sampler, guidance, aim."""
    import hashlib

    from ..models.identity import of_model

    told = (of_model(job.model), job.model.patches, job.noise.seeds, job.sampler, job.guidance, aim, prompts)
    digest = hashlib.sha256(repr(told).encode())
    tensors = [job.noise.samples]
    for each in (job.positive, job.negative):
        tensors += [] if each is None else [each.tokens, each.pooled, each.mask]
    for tensor in tensors:
        digest.update(b"none" if tensor is None else tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _pictures(job: Job, schedule: Schedule, at_once: int, progress: Progress) -> Tensor:
    import torch

    from ..sample.generate import pictures

    return torch.cat([pictures(part, schedule, progress) for part in job.split(at_once)])


def _curve(found: Evolution) -> Series:
    epochs = tuple(map(float, range(1, len(found.progress) + 1)))
    return Series("best so far", epochs, tuple(found.tried[each] for each in found.progress))
