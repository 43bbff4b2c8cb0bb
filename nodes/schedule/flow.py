"""The samplers for models whose path is straight (rectified flow), which are fewer: diffusers' schedulers for it, and
those of its multistep solvers that can be told to follow such a path."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..models.family import Flow
from ..types import Schedule
from .entry import Entry

_STRAIGHT = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}

FLOW_SAMPLERS: dict[str, Entry] = {
    "euler": Entry("FlowMatchEulerDiscreteScheduler"),
    "heun": Entry("FlowMatchHeunDiscreteScheduler"),
    "dpmpp_2m": Entry("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "solver_order": 2, **_STRAIGHT}),
    "dpmpp_2m_sde": Entry(
        "DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "solver_order": 2, **_STRAIGHT}
    ),
    "dpmpp_2s": Entry(
        "DPMSolverSinglestepScheduler",
        {"algorithm_type": "dpmsolver++", "solver_order": 2, "lower_order_final": True, **_STRAIGHT},
    ),
    "unipc": Entry("UniPCMultistepScheduler", _STRAIGHT),
    "lcm": Entry("FlowMatchLCMScheduler"),
}

_SHAPED = ("FlowMatchEulerDiscreteScheduler", "FlowMatchLCMScheduler")
"""Read the keys that shape noise levels, lists of times, and shifts that grow with the picture; the others have times
of their own and one shift."""


def own_entry(config: Mapping[str, Any]) -> Entry | None:
    """The model's own scheduler, if it can follow a straight path."""
    name = str(config.get("_class_name"))
    return Entry(name) if name.startswith("FlowMatch") or config.get("use_flow_sigmas") else None


def flow_choices(config: Mapping[str, Any], entry: Entry, schedule: Schedule, flow: Flow) -> dict[str, Any]:
    """What is set over the model's configuration so that the scheduler of `entry` follows the path."""
    chosen = dict(entry.fixed)
    if entry.scheduler in _SHAPED:
        # What a list names are times as the network is told them, shifted already.
        return {**chosen, "shift": 1.0, "use_dynamic_shifting": False} if schedule.timesteps else chosen
    shift = float(config.get("shift", config.get("flow_shift", 1.0)))
    if flow.mu is not None:
        shift = flow.mu if config.get("time_shift_type") == "linear" else math.exp(flow.mu)
    key = "shift" if entry.scheduler.startswith("FlowMatch") else "flow_shift"
    return {**chosen, key: shift, "use_dynamic_shifting": False}


def flow_times(entry: Entry, schedule: Schedule, flow: Flow) -> dict[str, Any]:
    """The arguments of `set_timesteps`."""
    if entry.scheduler not in _SHAPED:
        return {"num_inference_steps": schedule.steps}
    if schedule.timesteps:
        return {"sigmas": [timestep / 1000 for timestep in schedule.timesteps]}
    moved = {} if flow.mu is None else {"mu": flow.mu}
    if flow.even:
        import numpy as np

        return {"sigmas": np.linspace(1.0, 1 / schedule.steps, schedule.steps), **moved}
    return {"num_inference_steps": schedule.steps, **moved}


def flow_problems(name: str, entry: Entry | None, schedule: Schedule) -> list[str]:
    """What of `schedule` the sampler has no way to follow, each a sentence naming what it takes."""
    if entry is None:
        takers = ", ".join(FLOW_SAMPLERS)
        return [f"Sampler {name} is for diffusion models, and this is a flow model; it takes {takers}."]
    problems = []
    takers = " and ".join(name for name, other in FLOW_SAMPLERS.items() if other.scheduler in _SHAPED)
    if schedule.spacing != "model":
        problems.append(f"Flow models have a spacing of their own and take only 'model', not {schedule.spacing!r}.")
    if entry.scheduler not in _SHAPED and schedule.shaping not in ("model", "none"):
        problems.append(
            f"Sampler {name} cannot shape the noise levels of a flow model {schedule.shaping!r}; {takers} can."
        )
    if entry.scheduler not in _SHAPED and schedule.timesteps:
        problems.append(f"Sampler {name} takes no list of timesteps for a flow model; {takers} do.")
    return problems
