"""A run that is stopped, gently or not, leaves whole files and nothing else."""

import hashlib
import json
import os
import re
import select
import signal
import subprocess
import time

import numpy as np
import pytest
from PIL import Image as Pillow

from latentloom.graph.provenance import read_provenance

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and pseudo terminals are POSIX")

# A shell that starts the tests in the background has them, and what they start, ignore Ctrl+C; a person's has not.
MAIN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from latentloom.app.main import main; main()
"""


def watch(terminal: int, pattern: bytes, seconds: float) -> bytes:
    """What the terminal shows until `pattern` is in it."""
    shown, end = b"", time.monotonic() + seconds
    while not re.search(pattern, shown):
        ready, _, _ = select.select([terminal], [], [], max(0, end - time.monotonic()))
        assert ready, shown
        shown += os.read(terminal, 65536)
    return shown


def test_ctrl_c_stops_within_a_step_and_leaves_no_half_file(spawn, tmp_path, tiny_sd):
    terminal, end = os.openpty()  # a person looks, so there are bars
    arguments = ("run", "text_to_image", "--models", tiny_sd.parent, "--set", f"model.source={tiny_sd.name}")
    process = spawn(MAIN, *arguments, "--set", "schedule.steps=1000", stdout=subprocess.PIPE, stderr=end)
    os.close(end)
    shown = watch(terminal, rb"sample.*?\s[2-9]\d*/1000", seconds=120)
    assert b"/12" in shown  # and one for the nodes
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    output, _ = process.communicate(timeout=60)
    assert time.monotonic() - begun < 10  # a step takes milliseconds; leaving Python, on a busy machine, more
    assert process.returncode == 130
    assert re.search(rb"sample +cancelled", output) and b"Traceback" not in output
    assert not list(tmp_path.rglob("*.p*"))  # neither .png nor .part
    os.close(terminal)


KILLED_AGAIN_AND_AGAIN = """
import os, random, signal, sys, time
from latentloom.app.main import application
import latentloom.app.run, latentloom.nodes.image.save_image, torch

workflow, rounds, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
random.seed(0)
count = lambda: len([name for name in os.listdir(out) if name.endswith(".png")])
os.mkdir(out)
for round in range(rounds):
    before, child = count(), os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        while True:
            application(["run", workflow, "--out", out, "--cache", "kept"], standalone_mode=False)
    while count() == before:
        time.sleep(0.001)
    time.sleep(random.uniform(0, 0.1))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print(count(), flush=True)
"""


def test_kill_9_at_any_moment_leaves_whole_files(spawn, cli, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (192, 192, 3), dtype=np.uint8)
    Pillow.fromarray(pixels).save(tmp_path / "noise.png")
    nodes = {
        "load": {"type": "load_image", "settings": {"path": "noise.png"}},
        "large": {"type": "resize", "settings": {"width": 384, "height": 384, "filter": "nearest"}},
        "save": {"type": "save_image"},
    }
    wires = [["load.image", "large.image"], ["large.image", "save.image"]]
    (tmp_path / "work.json").write_text(json.dumps({"format": 1, "nodes": nodes, "wires": wires}))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/image_0001.png").write_bytes(b"an earlier one")

    rounds = 12
    process = spawn(KILLED_AGAIN_AND_AGAIN, "work.json", rounds, "killed", stdout=subprocess.PIPE)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0 and len(output.split()) == rounds

    pictures = sorted((tmp_path / "killed").glob("*.png"))
    assert len(pictures) >= rounds
    seen = set()
    for path in pictures:
        with Pillow.open(path) as picture:
            picture.load()
            seen.add((picture.size, hashlib.sha256(picture.tobytes()).hexdigest()))
        assert read_provenance(path) is not None
    assert len(seen) == 1 and seen.pop()[0] == (384, 384)

    result = cli("run", "work.json", "--cache", "kept", "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == 0 and report["files"] == ["out/image_0002.png"]
    assert (tmp_path / "out/image_0001.png").read_bytes() == b"an earlier one"
