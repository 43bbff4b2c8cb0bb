"""How quick batches are.

`python tests/benchmarks/batch.py speed [--rows 200] [--blocks 2] [--steps 25] [--workers 1]`
    the batch beside a plain loop of the stock pipeline that saves PNGs: both as commands of their own, by turns, from
    start to end. Tells rows a second by the clock and by processor time, and how far the pictures are apart.
`python tests/benchmarks/batch.py long [--rows 100000]`
    many rows of a workflow that does nothing: rows a second, the last thousand beside the first, memory.
`python tests/benchmarks/batch.py journal [--rows 20000]`
    rows a second written down, in groups as large as they come.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1]))
MODEL = HERE.parents[2] / "workflows/models/shapes-unet"
COLOURS, THINGS = ("red", "blue", "green", "orange", "purple"), ("circle", "square", "triangle", "ring")
SCALE = 5.0


def prompts(rows: int) -> list[str]:
    """A prompt of its own for every other row, so that some are shared."""
    return [f"a large {COLOURS[row // 2 % 5]} {THINGS[row // 10 % 4]} on a white background" for row in range(rows)]


# ---------------------------------------------------------------- speed


def stock_loop(rows: int, steps: int, first: int, out: Path) -> None:
    """What a user would write."""
    import torch
    from diffusers import DiffusionPipeline

    pipeline: Any = DiffusionPipeline.from_pretrained(MODEL, dtype=torch.float32)
    pipeline = pipeline.to("cuda" if torch.cuda.is_available() else "cpu")
    pipeline.set_progress_bar_config(disable=True)
    for row in range(first, first + rows):
        generator = torch.Generator("cpu").manual_seed(row)
        made = pipeline(prompts(row + 1)[row], num_inference_steps=steps, guidance_scale=SCALE, generator=generator)
        made.images[0].save(out / f"{row:07d}.png")


def workflow(steps: int) -> dict[str, Any]:
    return {
        "format": 1,
        "nodes": {
            "model": {"type": "load_model", "settings": {"source": MODEL.name}},
            "size": {"type": "empty_latent"},
            "noise": {"type": "gaussian_noise"},
            "prompt": {"type": "encode_prompt", "settings": {"text": ""}},
            "steps": {"type": "schedule", "settings": {"steps": steps}},
            "guidance": {"type": "cfg", "settings": {"scale": SCALE}},
            "sample": {"type": "denoise", "settings": {}},
            "picture": {"type": "decode"},
            "save": {"type": "save_image", "settings": {"name": "x"}},
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
            ["guidance.guidance", "sample.guidance"],
            ["sample.latent", "picture.latent"],
            ["picture.image", "save.image"],
        ],
    }


def timed(command: list[Any]) -> tuple[float, float]:
    """Seconds by the clock, and of processors over all processes."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    worked = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began, worked


def speed(rows: int, blocks: int, steps: int, workers: int) -> None:
    import numpy as np
    from PIL import Image

    each = rows // blocks
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "stock").mkdir()
        (root / "flow.json").write_text(json.dumps(workflow(steps)))
        lines = [json.dumps({"text": text, "seed": row}) for row, text in enumerate(prompts(rows))]
        (root / "rows.jsonl").write_text("\n".join(lines))
        batch = [
            sys.executable,
            "-m",
            "latentloom.app.main",
            "batch",
            root / "flow.json",
            "--rows",
            root / "rows.jsonl",
        ]
        batch += ["--set", "prompt.text=@text", "--set", "noise.seed=@seed", "--out", root / "batch", "--limit", each]
        batch += ["--workers", workers, "--models", MODEL.parent]
        clock, worked = {"stock": 0.0, "batch": 0.0}, {"stock": 0.0, "batch": 0.0}
        for block in range(blocks):
            stock = [sys.executable, HERE, "stock", each, steps, block * each, root / "stock"]
            again = ["--resume"] if block else []
            for name, command in (("stock", stock), ("batch", [*batch, *again])):
                seconds, processors = timed(command)
                clock[name] += seconds
                worked[name] += processors
        apart = 0
        for row in range(each * blocks):
            files = [root / f"stock/{row:07d}.png", root / f"batch/files/{row // 1000:04d}/{row:07d}_x.png"]
            first, second = (np.asarray(Image.open(file).convert("RGB"), dtype=int) for file in files)
            apart = max(apart, int(np.abs(first - second).max()))
    for name in clock:
        made = each * blocks
        print(f"{name}: {made / clock[name]:.2f} rows/s, {1000 * worked[name] / made:.0f} ms of a processor a row")
    print(f"the batch is {clock['stock'] / clock['batch']:.2f} times as fast by the clock,", end=" ")
    print(f"{worked['stock'] / worked['batch']:.2f} by processor time; pictures are up to {apart} of 255 apart")


# ---------------------------------------------------------------- many rows


def long(rows: int) -> None:
    import batches

    peak = 0
    stop = threading.Event()

    def watch() -> None:
        nonlocal peak
        me = psutil.Process()
        while not stop.wait(0.5):
            held = 0
            for process in (me, *me.children(recursive=True)):
                try:
                    held += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            peak = max(peak, held)

    with tempfile.TemporaryDirectory() as folder:
        asked = batches.request(Path(folder), rows, world={"keep": {"copies": 0}})
        threading.Thread(target=watch, daemon=True).start()
        began, worked = time.perf_counter(), time.process_time()
        code = batches.run(asked)
        seconds, worked = time.perf_counter() - began, time.process_time() - worked
        stop.set()
        ended = sorted(line["ended"] for line in batches.lines(asked))
    first, last = ended[999] - ended[0], ended[-1] - ended[-1000]
    print(f"{rows} rows, exit code {code}: {seconds:.1f} s, {1000 * seconds / rows:.2f} ms a row, {peak / 1e6:.0f} MB")
    print(f"the command itself worked {1000 * worked / rows:.2f} ms a row; the rest is the worker's")
    print(f"the first thousand took {first:.2f} s, the last {last:.2f} s: {last / first:.2f} times as long")


def journal(rows: int) -> None:
    from latentloom.app.batch.entry import Entry
    from latentloom.app.batch.ledger import Ledger, Shard
    from latentloom.app.batch.plan import Plan
    from latentloom.graph.workflow import Workflow

    for group in (1, 16, 256):
        count = rows if group > 1 else min(rows, 1000)
        with tempfile.TemporaryDirectory() as folder:
            flow = Workflow.of({"format": 1, "nodes": {}, "wires": []})
            ledger = Ledger(Path(folder), Plan({"a.b": range(count)}, {}), Shard(), flow)
            ledger.open(False, False)
            began = time.perf_counter()
            for start in range(0, count, group):
                numbers = range(start, min(count, start + group))
                ledger.record([Entry(row, "done", {"a.b": row}, {"a.b": row}) for row in numbers])
            seconds = time.perf_counter() - began
            ledger.close()
        print(f"{group} rows at once: {count / seconds:.0f} rows/s, {1000 * seconds / count:.2f} ms a row")


def main() -> None:
    if sys.argv[1:2] == ["stock"]:
        stock_loop(int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "long", "journal"))
    parser.add_argument("--rows", type=int)
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if given.what == "speed":
        speed(given.rows or 200, given.blocks, given.steps, given.workers)
    elif given.what == "long":
        long(given.rows or 100_000)
    else:
        journal(given.rows or 20_000)


if __name__ == "__main__":
    main()
