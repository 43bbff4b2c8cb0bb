"""What a guidance method works with at each step of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from ..models.family import Predict
from ..types import Conditioning, Model

if TYPE_CHECKING:
    from torch import Tensor, nn


class Guide(Protocol):
    """Guides one run: from `sample` (B, C, h, w), scaled for the network, to the prediction that is followed."""

    def __call__(self, predict: Predict, sample: Tensor, step: Step) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class Step:
    """One evaluation in the whole schedule, of which a run may do only a part.

    `index` counts from 0 to `total` - 1 in evaluations: solvers of second order evaluate twice a step. `sigma` is the
    noise in the sample relative to its signal; the network sees (x0 + sigma·noise) / sqrt(1 + sigma²) and predicts
    what `prediction_type` names: `epsilon` (the noise), `v_prediction` or `sample` (x0). For `flow` it sees
    (x0 + sigma·noise) / (1 + sigma), which is x0 at time 0 and the noise at time 1, and predicts noise - x0.
    """

    index: int
    total: int
    timestep: Tensor
    sigma: float
    prediction_type: str = "epsilon"

    def denoised(self, sample: Tensor, prediction: Tensor) -> Tensor:
        """The finished latent x0 that `prediction` for `sample` (both (B, C, h, w)) points at."""
        scale = (1 + self.sigma**2) ** 0.5
        if self.prediction_type == "epsilon":
            return scale * sample - self.sigma * prediction
        if self.prediction_type == "v_prediction":
            return (sample - self.sigma * prediction) / scale
        if self.prediction_type == "flow":
            return sample - self.time * prediction
        return prediction

    @property
    def time(self) -> float:
        """Where between picture (0) and noise (1) a straight path is at this noise level; sigma may be infinite."""
        return 1 - 1 / (1 + self.sigma)


class Network(Protocol):
    """What a guidance may use of the run's model beside its predictions."""

    @property
    def model(self) -> Model:
        """The recipe of the run's model."""
        ...

    @property
    def denoiser(self) -> nn.Module:
        """The live UNet or transformer. Who changes it for one evaluation puts it back before the next."""
        ...

    def decode(self, latent: Tensor) -> Tensor:
        """Pixels (B, 3, H, W) in [0, 1], on the CPU in float32, of a finished `latent` (B, C, h, w)."""
        ...

    def other(self, model: Model) -> Predict:
        """The denoiser of another `model` for the latents of this run, in use until the run ends."""
        ...


class Conditions:
    """What a run is conditioned on. `empty` is the empty prompt, encoded only when a method asks for it; what a
    guidance found it puts in `notes` (JSON values), which the run's report tells."""

    def __init__(
        self,
        positive: Conditioning,
        negative: Conditioning | None,
        encode_empty: Callable[[], Conditioning],
        network: Network | None = None,
        notes: dict[str, Any] | None = None,
    ) -> None:
        self.positive = positive
        self.notes = {} if notes is None else notes
        self._negative, self._encode_empty, self._network = negative, encode_empty, network

    @property
    def negative(self) -> Conditioning:
        """The negative condition given, else the empty prompt."""
        return self.empty if self._negative is None else self._negative

    @cached_property
    def empty(self) -> Conditioning:
        return self._encode_empty()

    def role(self, branch: Conditioning) -> str:
        """What a report calls `branch`: `positive`, `negative`, or `other` for all that a method adds."""
        if branch is self.positive:
            return "positive"
        unwanted = vars(self).get("empty") if self._negative is None else self._negative
        return "negative" if branch is unwanted else "other"

    @property
    def network(self) -> Network:
        """The model of the run; there is none where a guidance is tried without one."""
        assert self._network is not None, "this guidance needs a run"
        return self._network
