"""What our nodes cost over the stock pipeline: the same picture both ways, in turns, both warm.

`python tests/benchmarks/overhead.py [--model workflows/models/shapes-unet] [--steps 25] [--rounds 15]`

A round makes one picture each way with a new seed. `nodes` calls the node functions, `graph` runs the workflow through
checking, keys and events with nothing reused. Prints medians of wall time and of processor time: on a machine that
does other work too, the second wanders less.
"""

# pyright: reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch
from rich.console import Console
from rich.table import Table

from latentloom.graph.catalog import Catalog
from latentloom.graph.files import Files
from latentloom.graph.run import run
from latentloom.graph.workflow import Workflow
from latentloom.nodes.catalog import NODES
from latentloom.nodes.image.decode import decode
from latentloom.nodes.load.load_model import load_model
from latentloom.nodes.models import runtime
from latentloom.nodes.noise.empty_latent import empty_latent
from latentloom.nodes.noise.gaussian_noise import gaussian_noise
from latentloom.nodes.prompt.encode_prompt import encode_prompt
from latentloom.nodes.sample.denoise import denoise
from latentloom.nodes.schedule.schedule import schedule

PROMPT = "a large red circle on a white background"
Make = Callable[[int], torch.Tensor]


def stock(folder: Path, steps: int) -> Make:
    from diffusers import DiffusionPipeline

    placed = runtime.place(runtime.settings)
    pipeline = DiffusionPipeline.from_pretrained(folder, dtype=placed.dtype).to(placed.device)
    pipeline.set_progress_bar_config(disable=True)

    def make(seed: int) -> torch.Tensor:
        generator = torch.Generator("cpu").manual_seed(seed)
        return pipeline(PROMPT, num_inference_steps=steps, generator=generator, output_type="pt").images.cpu()

    return make


def nodes(folder: Path, steps: int) -> Make:
    files = Files({"models": [folder.parent]})

    def make(seed: int) -> torch.Tensor:
        model = load_model(folder.name, files=files)
        noise = gaussian_noise(empty_latent(model), seed)
        made = denoise(model, noise, encode_prompt(model, PROMPT), schedule=schedule(steps))
        return decode(model, made.latent).pixels

    return make


def graph(folder: Path, steps: int) -> Make:
    document = {
        "format": 1,
        "nodes": {
            "model": {"type": "load_model", "settings": {"source": folder.name}},
            "size": {"type": "empty_latent"},
            "noise": {"type": "gaussian_noise"},
            "prompt": {"type": "encode_prompt", "settings": {"text": PROMPT}},
            "steps": {"type": "schedule", "settings": {"steps": steps}},
            "sample": {"type": "denoise"},
            "picture": {"type": "decode"},
        },
        "wires": [
            ["model.model", "size.model"],
            ["model.model", "prompt.model"],
            ["model.model", "sample.model"],
            ["model.model", "picture.model"],
            ["size.latent", "noise.latent"],
            ["noise.noise", "sample.noise"],
            ["prompt.conditioning", "sample.positive"],
            ["steps.schedule", "sample.schedule"],
            ["sample.latent", "picture.latent"],
        ],
    }
    workflow = Workflow.parse(json.dumps(document))
    catalog, files = Catalog(NODES, "latentloom.nodes"), Files({"models": [folder.parent]})

    def make(seed: int) -> torch.Tensor:
        result = run(workflow.with_settings({"noise.seed": seed}), catalog, files=files)
        if not result.ok:
            raise SystemExit(str(result.outcomes))
        return result.values["picture"]["image"].pixels

    return make


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path(__file__).parents[2] / "workflows/models/shapes-unet")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)

    ways = {way.__name__: way(given.model.absolute(), given.steps) for way in (stock, nodes, graph)}
    first = {name: make(0) for name, make in ways.items()}
    wall: dict[str, list[float]] = {name: [] for name in ways}
    processor: dict[str, list[float]] = {name: [] for name in ways}
    for seed in range(1, given.rounds + 1):
        for name, make in ways.items():
            began = time.perf_counter(), time.process_time()
            make(seed)
            wall[name].append(time.perf_counter() - began[0])
            processor[name].append(time.process_time() - began[1])

    table = Table("way", "wall ms", "ratio", "processor ms", "ratio", "largest difference")
    for name in ways:
        seconds, worked = statistics.median(wall[name]), statistics.median(processor[name])
        table.add_row(
            name,
            f"{1000 * seconds:.1f}",
            f"{seconds / statistics.median(wall['stock']):.3f}",
            f"{1000 * worked:.1f}",
            f"{worked / statistics.median(processor['stock']):.3f}",
            f"{(first[name] - first['stock']).abs().max():.1e}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
