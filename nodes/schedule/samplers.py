"""The samplers by name: which scheduler of diffusers each one is, with which fixed choices.

A sampler is built from the model's own scheduler configuration, so that betas, prediction type and spacing are the
model's unless a recipe says otherwise. What a scheduler does not know is refused, never ignored.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ...graph.node import NodeError
from ..types import Sampler, Schedule

Name = Literal[
    "euler",
    "euler_ancestral",
    "heun",
    "lms",
    "ddim",
    "ddpm",
    "pndm",
    "dpmpp_2m",
    "dpmpp_2m_sde",
    "dpmpp_2s",
    "dpmpp_sde",
    "unipc",
    "lcm",
    "tcd",
]
Spacing = Literal["model", "leading", "trailing", "linspace"]
Shaping = Literal["model", "none", "karras", "exponential", "beta"]

_SHAPING_KEYS = {"karras": "use_karras_sigmas", "exponential": "use_exponential_sigmas", "beta": "use_beta_sigmas"}

_DISTILLED = ("LCMScheduler", "TCDScheduler")
"""Stop only at the timesteps they were distilled for; they have a key for the spacing, and do not read it."""


@dataclass(frozen=True)
class Entry:
    """A scheduler class of diffusers, its `fixed` configuration, the `options` of its steps with their defaults."""

    scheduler: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, float] = field(default_factory=dict)


SAMPLERS: dict[str, Entry] = {
    "euler": Entry("EulerDiscreteScheduler"),
    "euler_ancestral": Entry("EulerAncestralDiscreteScheduler"),
    "heun": Entry("HeunDiscreteScheduler"),
    "lms": Entry("LMSDiscreteScheduler"),
    "ddim": Entry("DDIMScheduler", options={"eta": 0.0}),
    "ddpm": Entry("DDPMScheduler"),
    "pndm": Entry("PNDMScheduler", {"skip_prk_steps": True}),
    "dpmpp_2m": Entry("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "solver_order": 2}),
    "dpmpp_2m_sde": Entry("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "solver_order": 2}),
    "dpmpp_2s": Entry(
        "DPMSolverSinglestepScheduler",
        # a last step to noise level zero, and odd numbers of steps, need the lower order at the end
        {"algorithm_type": "dpmsolver++", "solver_order": 2, "lower_order_final": True},
    ),
    "dpmpp_sde": Entry("DPMSolverSDEScheduler"),
    "unipc": Entry("UniPCMultistepScheduler"),
    "lcm": Entry("LCMScheduler"),
    "tcd": Entry("TCDScheduler", options={"eta": 0.3}),
}


def build(config: Mapping[str, Any], sampler: Sampler | None, schedule: Schedule) -> Any:
    """The scheduler `sampler` names, or the model's own, with its timesteps set on the CPU.

    `config` is the model's scheduler configuration. Raises `NodeError` for a schedule the sampler cannot follow, all
    problems in one message.
    """
    entry = SAMPLERS[sampler.name] if sampler else Entry(str(config.get("_class_name")))
    kind = _scheduler_class(entry.scheduler)
    name = sampler.name if sampler else f"{entry.scheduler}, the model's own,"
    problems = _unknown(name, kind, schedule)
    last = int(config.get("num_train_timesteps", 1000)) - 1
    if schedule.timesteps and schedule.timesteps[0] > last:
        problems.append(f"Timestep {schedule.timesteps[0]} is above {last}, the highest this model was trained for.")
    if problems:
        raise NodeError(" ".join(problems))
    try:
        scheduler = kind.from_config(dict(config), **_choices(config, entry, kind, schedule))
        if schedule.timesteps:
            scheduler.set_timesteps(timesteps=list(schedule.timesteps))
        else:
            scheduler.set_timesteps(schedule.steps)
    except (ValueError, IndexError, ZeroDivisionError) as error:
        raise NodeError(f"Sampler {name} cannot follow a schedule of {schedule.steps} steps: {error}") from error
    return scheduler


def _scheduler_class(name: str) -> Any:
    import diffusers
    from diffusers.schedulers.scheduling_utils import SchedulerMixin

    kind = getattr(diffusers, name, None)
    if not (isinstance(kind, type) and issubclass(kind, SchedulerMixin)):
        raise NodeError(f"The model's scheduler {name!r} is none that diffusers has; wire a sampler to denoise.")
    return kind


def _choices(config: Mapping[str, Any], entry: Entry, kind: Any, schedule: Schedule) -> dict[str, Any]:
    """What is set over the model's configuration."""
    known = inspect.signature(kind.__init__).parameters
    chosen = dict(entry.fixed)
    if "clip_sample" in known and "clip_sample" not in config:
        chosen["clip_sample"] = False  # some schedulers would clip to [-1, 1], which is for pixels, not for latents
    if schedule.spacing != "model":
        chosen["timestep_spacing"] = schedule.spacing
    if schedule.shaping != "model" or schedule.timesteps:
        chosen |= {key: schedule.shaping == shaping for shaping, key in _SHAPING_KEYS.items() if key in known}
    if config.get("rescale_betas_zero_snr") and "rescale_betas_zero_snr" not in known:
        chosen["trained_betas"] = _zero_snr_betas(config)
    return chosen


def _zero_snr_betas(config: Mapping[str, Any]) -> Any:
    """The model's betas rescaled to end without signal, for schedulers that cannot do it themselves.

    As diffusers' Euler, the last step keeps 2⁻²⁴ of the signal's power, so that no noise level is infinite.
    """
    import torch

    kept = _scheduler_class("EulerDiscreteScheduler").from_config(dict(config)).alphas_cumprod
    return (1 - kept / torch.cat([kept.new_ones(1), kept[:-1]])).tolist()


def _unknown(name: str, kind: Any, schedule: Schedule) -> list[str]:
    """What of `schedule` the scheduler has no way to follow, each a sentence naming what it takes."""
    known = inspect.signature(kind.__init__).parameters
    problems = []
    if schedule.spacing != "model" and (kind.__name__ in _DISTILLED or "timestep_spacing" not in known):
        problems.append(f"Sampler {name} has a spacing of its own and takes only 'model', not {schedule.spacing!r}.")
    if schedule.shaping not in ("model", "none") and _SHAPING_KEYS[schedule.shaping] not in known:
        taken = ["model", "none", *(shaping for shaping, key in _SHAPING_KEYS.items() if key in known)]
        problems.append(f"Sampler {name} cannot shape noise levels {schedule.shaping!r}; it takes {', '.join(taken)}.")
    if schedule.timesteps and "timesteps" not in inspect.signature(kind.set_timesteps).parameters:
        takers = [other for other, entry in SAMPLERS.items() if _takes_timesteps(entry)]
        problems.append(f"Sampler {name} takes no list of timesteps; {', '.join(takers)} do.")
    return problems


def _takes_timesteps(entry: Entry) -> bool:
    return "timesteps" in inspect.signature(_scheduler_class(entry.scheduler).set_timesteps).parameters
