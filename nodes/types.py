"""What wires carry: recipes, which are tiny and say how, and tensors, which are what came out.

Recipes are frozen, hashable and JSON-able; nothing is loaded until something samples. Tensors lie on the CPU between
nodes unless a node says otherwise. This file imports no torch, so that checking a workflow stays quick.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .guidance.guide import Conditions, Guide

# ---------------------------------------------------------------- recipes


@dataclass(frozen=True)
class Patch:
    """A change to a model's weights or modules, undone exactly when it is taken off. Methods subclass it.

    `parts` names what it changes (`unet` or `transformer`, `vae`, `text_encoder`, `text_encoder_2`, `text_encoder_3`),
    so that nothing else is loaded. What a model has no part for is passed over: a patch for both kinds of denoiser
    names both. One that is `by_picture` does the same to a picture at a step whatever others are beside it.
    """

    parts: ClassVar[tuple[str, ...]] = ("unet",)
    by_picture: ClassVar[bool] = False

    def attach(self, part: str, module: nn.Module) -> AbstractContextManager[object]:
        """Change the live `module` of `part` while the context lasts; on leaving it is as it was, bit for bit."""
        raise NotImplementedError


@dataclass(frozen=True)
class Model:
    """A base and what is done to it.

    `source` is an absolute folder or file, or a hub id; `family` names the adapter (`sd`, `sdxl`, `sd3`, `flux`,
    `pixart`); `fingerprint` changes when the files do, so that results made with other weights are not reused.
    `config` is the folder with the configuration of a single file, absolute.
    """

    source: str
    family: str
    revision: str | None = None
    fingerprint: str = ""
    patches: tuple[Patch, ...] = ()
    config: str | None = None


@dataclass(frozen=True)
class Schedule:
    """At which noise levels the sampler stops: `steps` of them, spaced and shaped as named, or exactly `timesteps`.

    "model" leaves a choice to the model's own scheduler configuration.
    """

    steps: int
    spacing: str = "model"
    shaping: str = "model"
    timesteps: tuple[int, ...] = ()


@dataclass(frozen=True)
class Sampler:
    """How one step is taken: the name of a sampler in `nodes/schedule/samplers.py` and its options, sorted by name.

    After each step from below the share `injected_below` of the timesteps, as much of the run's noise is added as makes
    `injected` of a latent of unit variance.
    """

    name: str
    options: tuple[tuple[str, bool | int | float | str], ...] = ()
    injected: float = 0.0
    injected_below: float = 0.5


@dataclass(frozen=True)
class Guidance:
    """How the predictions of several conditions become one. Each method subclasses this in its own file."""

    by_picture: ClassVar[bool] = False  # as a patch is

    def begin(self, conditions: Conditions) -> Guide:
        """What guides one run, called at every step; what it remembers from step to step lives in it, never here."""
        raise NotImplementedError

    def distilled(self) -> tuple[float | None, Guidance | None]:
        """For a network that guides itself: the scale it is told, None for its usual one, and what of this guidance is
        left to do, None for nothing."""
        return getattr(self, "scale", None), None


@dataclass(frozen=True)
class Reward:
    """How well pictures are what was asked for: the more, the better. Each way to tell subclasses this in its file."""

    def begin(self, texts: tuple[str, ...]) -> Callable[[Tensor], Tensor]:
        """Scores (B,) float32 of pixels (B, 3, H, W) in [0, 1] made of the prompts `texts`, one for all or one each.

        Raises `NodeError` for prompts that it cannot judge.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Method:
    """A way to sample, by name: all that `denoise` is told of how. `group` is what it is one setting of.

    Without `sampler` the model's own takes the steps.
    """

    name: str
    group: str
    model: Model
    schedule: Schedule
    guidance: Guidance
    sampler: Sampler | None = None


@dataclass(frozen=True)
class Methods:
    """Several ways to sample, to be measured beside each other; their names differ."""

    each: tuple[Method, ...]


@dataclass(frozen=True)
class Prompts:
    """Several prompts, one for each picture of a batch."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Folder:
    """A folder of files a node wrote, e.g. a trained part of a model."""

    path: str
    fingerprint: str = ""


# ---------------------------------------------------------------- tensors


@dataclass(frozen=True, eq=False)
class Latent:
    """`samples` (B, C, h, w) float32, in the scale the denoiser works in (the autoencoder's scaling applied).

    `sigma` is the noise still in it: `samples` = (x0 + sigma·noise) / sqrt(1 + sigma²). 0 is a finished latent. It is
    the same for every model: one whose path is straight, x = (1 - t)·x0 + t·noise, is at sigma = t / (1 - t) at time t,
    and `samples` = x / sqrt((1 - t)² + t²).
    """

    samples: Tensor
    sigma: float = 0.0


@dataclass(frozen=True, eq=False)
class Noise:
    """`samples` (B, C, h, w) float32, standard normal; image `i` was drawn with a generator seeded `seeds[i]`."""

    samples: Tensor
    seeds: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Conditioning:
    """What the denoiser is told of N prompts: `tokens` (N, L, D) and, where the family has them, `pooled` (N, P) and
    `mask` (N, L), 1 for the tokens to look at and 0 for padding."""

    tokens: Tensor
    pooled: Tensor | None = None
    mask: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Image:
    """`pixels` (B, 3, H, W) float32 in [0, 1]."""

    pixels: Tensor


@dataclass(frozen=True, eq=False)
class Mask:
    """`values` (B, 1, H, W) float32 in [0, 1]; 1 is where something is to be painted anew."""

    values: Tensor


# ---------------------------------------------------------------- what is measured


@dataclass(frozen=True)
class Table:
    """Named columns and rows of plain values."""

    columns: tuple[str, ...]
    rows: tuple[tuple[bool | int | float | str | None, ...], ...]


@dataclass(frozen=True)
class Series:
    """One curve or set of points of a figure."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    points: bool = False


@dataclass(frozen=True)
class Figure:
    """Curves and points with named axes; drawn where it is shown."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]


@dataclass(frozen=True)
class Branch:
    """How often the network was called for one branch of the guidance (`positive`, `negative` or `other`), and how many
    calls were saved: those more that asking it at every evaluation, as at the fullest one, would have taken."""

    name: str
    made: int
    saved: int


@dataclass(frozen=True)
class Report:
    """What one run took.

    `steps` were taken; the network ran `passes` times, each for one or more of `branches`. `counts` is what patches of
    the model did and left out. `seconds` of each step, without what is told and shown between them; `total_seconds`
    from the first step to the finished latent.

    `memory` is the most that was held at once, in bytes: on a GPU all that is allocated, weights too; on a CPU with
    Linux what came on top of what the process held before; else None. `flops` are the floating-point operations of
    matrix products, convolutions and attention, two for each multiplication with its addition; work element by element
    is not among them, and None means that they were not counted. What several `runs` took together is their sum, of
    `memory` the most.
    """

    steps: int
    passes: int
    branches: tuple[Branch, ...]
    counts: tuple[tuple[str, int], ...]
    seconds: tuple[float, ...]
    total_seconds: float
    memory: int | None = None
    flops: int | None = None
    runs: int = 1

    @property
    def calls(self) -> int:
        """Network calls made, over all branches."""
        return sum(branch.made for branch in self.branches)

    @property
    def saved(self) -> int:
        """Network calls saved, over all branches."""
        return sum(branch.saved for branch in self.branches)


@dataclass(frozen=True, eq=False)
class Measured:
    """A method at work: what it drew, what that took, and the `seconds` (the median of several runs).

    `plain` says that it is the baseline with another number of steps. `rival` is the name of the plain run that takes
    the same time; it is empty where none was made.
    """

    name: str
    group: str
    image: Image
    report: Report
    seconds: float
    plain: bool = False
    rival: str = ""


@dataclass(frozen=True, eq=False)
class Results:
    """Methods measured on the same noises and prompts, beside the first of them: the baseline.

    `prompts` and `reward` judge the pictures where they are known.
    """

    each: tuple[Measured, ...]
    prompts: Prompts | None = None
    reward: Reward | None = None
