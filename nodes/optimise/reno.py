"""ReNO: the noise of a one- or few-step model moved until a reward likes the picture (Eyring et al., 2024,
https://arxiv.org/abs/2406.04312).

e* = argmin over e of -reward(decode(sample(e))) + w K(e); see `ascent.py` for K and how the descent goes. The gradient
goes through the reward, the decoder and every step of the run; nothing is trained. The sampler's own noise is drawn
anew from the same seed in each iteration, so that the same noise always makes the same picture.

Cost: an iteration is a run, the decoding and the reward, forwards and about twice as much backwards, and with
checkpointing forwards once more. Memory grows with the number of steps, and so may gradients: the authors take one
step, up to four.

The authors' rewards are 5 HPS v2.1 + 1 ImageReward + 0.01 CLIP + 0.05 PickScore, each in its own scale.
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


@node(title="ReNO")
def reno(
    model: Model,
    noise: Noise,
    positive: Conditioning,
    reward: Reward,
    prompts: Prompts,
    schedule: Schedule,
    negative: Conditioning | None = None,
    sampler: Sampler | None = None,
    guidance: Guidance | None = None,
    iterations: Annotated[int, Field(ge=0, le=10_000, description="pictures made on the way; 0 changes nothing")] = 50,
    rate: Annotated[float, Field(ge=0, le=1000, description="learning rate of the descent")] = 5.0,
    momentum: Annotated[float, Field(ge=0, lt=1, description="Nesterov's")] = 0.9,
    clip: Annotated[float, Field(gt=0, le=1e6, description="the largest norm of a gradient")] = 0.1,
    regularisation: Annotated[
        float, Field(ge=0, le=1000, description="how much it weighs that the noise be as long as noise is")
    ] = 0.01,
    good_enough: Annotated[
        float | None, Field(description="it ends once a reward is at least this; empty: all iterations")
    ] = None,
    checkpointing: Annotated[
        bool, Field(description="compute what gradients need again in place of keeping it: slower, in less memory")
    ] = False,
    progress: Progress = QUIET,
) -> Optimised:
    """Move the noise of each picture along the gradient of a reward, through decoder and sampler, and keep the best.

    For one- and few-step models: wire what the pictures will be made with, and after it the noise to a denoise with the
    same. The reward must be computed from pixels by differentiable steps. Of several rewards added up, one through
    which no gradient flows only helps to tell which iterate is the best. Pictures are optimised one by one, by as many
    runs as there are iterations, and one less gradient. `best_of_noises` is the baseline. https://arxiv.org/abs/2406.04312
    """
    from contextlib import nullcontext

    from ..models.live import use
    from ..sample.generate import Job
    from .ascent import Ascent
    from .checkpointing import checkpointed
    from .ledger import Ledger, facts, figure, table
    from .live import view
    from .trials import for_pictures, joined

    job = Job(model, noise, positive, negative, sampler, guidance)
    ascent = Ascent(iterations, rate, momentum, clip, regularisation, good_enough)
    total = len(noise.samples) * iterations
    ledgers: list[Ledger] = []
    optimised: list[Noise] = []
    ended: list[str] = []

    def optimise(own: Noise, trials: Trials, ledger: Ledger) -> Noise:
        shown: Tensor

        def evaluate(samples: Tensor) -> Tensor:
            nonlocal shown
            rewards, pixels, calls = trials.rewards(Noise(samples, own.seeds))
            ledger.enter(rewards.detach(), calls)
            shown = pixels.detach()
            return rewards

        def tell(reward: float) -> None:
            done = (len(ledgers) - 1) * iterations + len(ledger.rewards)
            progress.step(done, total, f"reward {reward:.4f}, best {ledger.best[-1]:.4f}", view(shown, ledger.rewards))

        climb = ascent.run(own.samples, evaluate, ledger.trial, tell)
        ledger.backwards = climb.gradients
        ended.append(climb.ended)
        return Noise(climb.best, own.seeds)

    with use(model, progress) as parts, checkpointed(parts) if checkpointing else nullcontext():
        for own, trials in for_pictures(job, schedule, reward, prompts, progress):
            ledgers.append(Ledger(parts.placement.device))
            optimised.append(optimise(own, trials, ledgers[-1]))
    found = joined(optimised)
    progress.note(**facts(ledgers), checkpointing=checkpointing, ended=ended)
    return Optimised(found, figure("ReNO", ledgers), table(ledgers, found.seeds))
