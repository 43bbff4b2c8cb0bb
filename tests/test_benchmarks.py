"""The commands that measure methods do so, at sizes that take seconds."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

from PIL import Image as Pillow

BENCHMARKS = Path(__file__).parent / "benchmarks"


def measured(command: str, *arguments: str | Path) -> None:
    """Run a benchmark to its end."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    line = [sys.executable, BENCHMARKS / command, *map(str, arguments)]
    done = subprocess.run(line, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_speed_stands_beside_its_limit(tmp_path):
    table = tmp_path / "methods.csv"
    few = ("--settings", "1", "--steps", "4", "--rounds", "1", "--out", table)
    measured("methods.py", "shapes-unet", "--methods", "deepcache", "taylorseer", *few)
    with table.open(encoding="utf-8") as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["plain", "DeepCache, interval 3"]  # TaylorSeer is for transformers
    # Of 4 steps the first and the fourth run whole.
    assert float(rows["plain"]["GFLOPs"]) / float(rows["DeepCache, interval 3"]["GFLOPs"]) > 1.2
    assert all(float(row["seconds"]) > 0 for row in rows.values())


def test_results_are_a_page_with_its_pictures(tmp_path):
    few = ("--count", "2", "--timed", "1", "--rounds", "1", "--processes", "1")
    measured("results.py", *few, "--methods", "deepcache", "--kept", tmp_path / "kept", "--into", tmp_path)
    page = (tmp_path / "methods/RESULTS.md").read_text("utf-8")
    assert "--count 2 --timed 1 --rounds 1" in page and str(tmp_path) not in page
    columns, _, *rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("|")]
    assert {"method", "speed-up", "limit", "of the limit", "drift", "all right", "beats plain"} <= set(columns)
    assert [row[0] for row in rows][:2] == ["plain", "DeepCache, interval 2"] and len(rows) >= 4
    for picture in ("methods/deepcache.webp", "results/shapes-unet.webp"):
        with Pillow.open(tmp_path / "pictures" / picture) as shown:
            assert max(shown.size) <= 512
