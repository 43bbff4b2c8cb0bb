"""The samplers by name: which scheduler of diffusers each one is, with which fixed choices.

A sampler is built from the model's own scheduler configuration, so that betas, prediction type and spacing are the
model's unless a recipe says otherwise. What a scheduler does not know is refused, never ignored.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Literal

from ...graph.node import NodeError
from ..models.family import Flow
from ..types import Sampler, Schedule
from .entry import Entry
from .flow import FLOW_SAMPLERS, flow_choices, flow_problems, flow_times, own_entry

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


def build(config: Mapping[str, Any], sampler: Sampler | None, schedule: Schedule, flow: Flow | None = None) -> Any:
    """The scheduler `sampler` names, or the model's own, with its timesteps set on the CPU.

    `config` is the model's scheduler configuration, `flow` its path if that is straight. Raises `NodeError` for a
    schedule the sampler cannot follow, all problems in one message.
    """
    name = sampler.name if sampler else f"{config.get('_class_name')}, the model's own,"
    if flow is not None:
        return _build_flow(config, sampler, schedule, flow, name)
    entry = SAMPLERS[sampler.name] if sampler else Entry(str(config.get("_class_name")))
    kind = _scheduler_class(entry.scheduler)
    problems = _unknown(name, kind, schedule)
    last = int(config.get("num_train_timesteps", 1000)) - 1
    if schedule.timesteps and schedule.timesteps[0] > last:
        problems.append(f"Timestep {schedule.timesteps[0]} is above {last}, the highest this model was trained for.")
    if problems:
        raise NodeError(" ".join(problems))
    times = {"timesteps": list(schedule.timesteps)} if schedule.timesteps else {"num_inference_steps": schedule.steps}
    return _set(kind, config, _choices(config, entry, kind, schedule), times, name, schedule)


def _build_flow(config: Mapping[str, Any], sampler: Sampler | None, schedule: Schedule, flow: Flow, name: str) -> Any:
    entry = FLOW_SAMPLERS.get(sampler.name) if sampler else own_entry(config)
    problems = flow_problems(name, entry, schedule)
    last = int(config.get("num_train_timesteps", 1000))
    if schedule.timesteps and schedule.timesteps[0] > last:
        problems.append(f"Timestep {schedule.timesteps[0]} is above {last}, which is pure noise.")
    if problems or entry is None:
        raise NodeError(" ".join(problems))
    kind = _scheduler_class(entry.scheduler)
    choices = flow_choices(config, entry, schedule, flow) | _shaping(kind, schedule)
    return _set(kind, config, choices, flow_times(entry, schedule, flow), name, schedule)


def _set(
    kind: Any, config: Mapping[str, Any], choices: dict[str, Any], times: dict[str, Any], name: str, schedule: Schedule
) -> Any:
    try:
        scheduler = kind.from_config(dict(config), **choices)
        scheduler.set_timesteps(**times)
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
    chosen |= _shaping(kind, schedule)
    if config.get("rescale_betas_zero_snr") and "rescale_betas_zero_snr" not in known:
        chosen["trained_betas"] = _zero_snr_betas(config)
    return chosen


def _shaping(kind: Any, schedule: Schedule) -> dict[str, bool]:
    if schedule.shaping == "model" and not schedule.timesteps:
        return {}
    known = inspect.signature(kind.__init__).parameters
    return {key: schedule.shaping == shaping for shaping, key in _SHAPING_KEYS.items() if key in known}


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
