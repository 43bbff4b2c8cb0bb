"""diffusers' cache hooks driven by hand in a stock pipeline, and runs of ours to compare with them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import diffusers
import torch
from diffusers.hooks.hooks import CacheContext, HookRegistry, _set_cache_context
from studio import NEGATIVE, Studio
from torch import Tensor

from latentloom.graph.progress import Progress
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.models import live
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.types import Model

STEPS, SCALE = 10, 4.0


@contextmanager
def by_hand(studio: Studio, apply: Callable[[Any], object]) -> Iterator[None]:
    """The stock pipeline with a transformer that `apply` has hooked. The pipeline of Flux names contexts itself; those
    of the others, which give all branches in one batch, are in one."""
    before = studio.pipeline.transformer
    hooked = studio.pipeline.transformer = copy.deepcopy(before)
    apply(hooked)
    HookRegistry.check_if_exists_or_initialize(hooked)
    if studio.model.family != "flux":
        _set_cache_context(hooked, CacheContext("all"))
    try:
        yield
    finally:
        studio.pipeline.transformer = before


def stock(studio: Studio, batch: int = 2, steps: int = STEPS, guided: bool = True) -> Tensor:
    """Pictures (B, 3, H, W) in [0, 1] of the stock pipeline, guided or of one branch."""
    config = json.loads((studio.folder / "scheduler" / "scheduler_config.json").read_text("utf-8"))
    scheduler = getattr(diffusers, config["_class_name"]).from_config(config)
    scales = {"guidance_scale": SCALE if guided else 1.0}
    if studio.model.family == "flux":
        scales = {"guidance_scale": 3.0, "true_cfg_scale": SCALE if guided else 1.0}
    return studio.stock(scheduler, batch, negative=NEGATIVE if guided else None, num_inference_steps=steps, **scales)


def ours(studio: Studio, model: Model, batch: int = 2, steps: int = STEPS, **options: Any) -> tuple[Tensor, dict]:
    """The same pictures by our nodes, with `model` in place of the studio's, and the run's report."""
    from latentloom.nodes.image.decode import decode

    latent, notes = sampled(studio, model, batch, steps, **options)
    return decode(studio.model, latent).pixels, notes


def sampled(studio: Studio, model: Model, batch: int = 2, steps: int = STEPS, **options: Any) -> tuple[Any, dict]:
    notes: dict[str, Any] = {}
    if studio.model.family == "flux":
        options = {"distilled_guidance": 3.0, **options}
    given = {"negative": NEGATIVE, "schedule": schedule(steps), "guidance": cfg(SCALE), "preview": False, **options}
    return replace(studio, model=model).sample(batch, progress=Progress(on_note=notes.update), **given), notes


def module_facts(studio: Studio) -> list[tuple[type, dict[str, Any]]]:
    """All that stands in each module of the transformer; equal lists are the same transformer."""
    with live.use(studio.model) as parts, torch.no_grad():
        return [(type(module), dict(module.__dict__)) for module in parts.denoiser.modules()]
