"""Best of N: draw several noises, keep the one whose picture a reward likes best.

The honest baseline of whatever optimises noise: with N noises of S steps and b branches it takes N S b network calls
for a picture, and no gradient. Of N independent normal rewards of mean m and deviation s, the best is expected at about
m + s sqrt(2 log N) for large N.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ...graph.node import node
from ...graph.progress import QUIET, Progress
from ..types import Conditioning, Guidance, Model, Noise, Prompts, Reward, Sampler, Schedule
from .optimised import Optimised

if TYPE_CHECKING:
    from torch import Tensor

    from .ledger import Ledger
    from .trials import Trials


@node(title="Best of N noises")
def best_of_noises(
    model: Model,
    noise: Noise,
    positive: Conditioning,
    reward: Reward,
    prompts: Prompts,
    schedule: Schedule,
    negative: Conditioning | None = None,
    sampler: Sampler | None = None,
    guidance: Guidance | None = None,
    noises: Annotated[
        int, Field(ge=1, le=100_000, description="to choose from for each picture, the wired one too")
    ] = 50,
    good_enough: Annotated[
        float | None, Field(description="no more are drawn once a reward is at least this; empty: draw all")
    ] = None,
    at_once: Annotated[int, Field(ge=1, le=1024, description="pictures that are made together")] = 8,
    progress: Progress = QUIET,
) -> Optimised:
    """Draw several noises for each picture and keep the one whose picture the reward likes best.

    Wire what the pictures will be made with, and after it the noise to a denoise with the same: it makes the chosen
    pictures. The wired noise is the first to be tried, so that of 1 it is kept as it is; noise number k of a picture
    has the seed of its own plus k times the number of pictures. Takes noises x steps x branches network calls a
    picture. The baseline of reno, which needs a reward with gradients and this does not.
    """
    from ..models.live import use
    from ..noise.seeded import MAX_SEED, seeded
    from ..sample.generate import Job
    from .ledger import Ledger, facts, figure, table
    from .live import view
    from .trials import for_pictures, joined

    job = Job(model, noise, positive, negative, sampler, guidance)
    pictures, shape = len(noise.samples), noise.samples.shape[1:]
    ledgers: list[Ledger] = []
    chosen: list[Noise] = []

    def best(own: Noise, trials: Trials, ledger: Ledger) -> Noise:
        seeds = [(own.seeds[0] + place * pictures) % (MAX_SEED + 1) for place in range(noises)]
        tops: list[tuple[Noise, Tensor]] = []
        for start in range(0, noises, at_once):
            tried = seeded(seeds[start : start + at_once], shape)
            if start == 0:
                tried.samples[:1] = own.samples
            with ledger.trial():
                rewards, pixels, calls = trials.rewards(tried)
                ledger.enter(rewards, calls)
            place = ledger.chosen - start
            if place >= 0:
                row = slice(place, place + 1)
                tops.append((Noise(tried.samples[row].clone(), tried.seeds[row]), pixels[row]))
            done = (len(ledgers) - 1) * noises + len(ledger.rewards)
            preview = view(tops[-1][1], ledger.best)
            progress.step(done, pictures * noises, f"best {ledger.best[-1]:.4f}", preview)
            if good_enough is not None and ledger.best[-1] >= good_enough:
                break
        return tops[-1][0]

    with use(model, progress) as parts:
        for own, trials in for_pictures(job, schedule, reward, prompts, progress):
            ledgers.append(Ledger(parts.placement.device))
            chosen.append(best(own, trials, ledgers[-1]))
    found = joined(chosen)
    progress.note(**facts(ledgers))
    return Optimised(found, figure("Best of N noises", ledgers), table(ledgers, found.seeds))
