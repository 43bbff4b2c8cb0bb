"""Batches of the nodes of `batch_world`, and what may be wrong with one that is said to be done.

`python tests/batches.py FOLDER ROWS SECONDS WORKERS` runs one, or goes on with it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from batch_world import MODULES, content

from latentloom.app.batch.command import Request, run_batch


def document(**settings: dict[str, Any]) -> dict[str, Any]:
    """A number that ripens and is kept, with settings by node."""
    kinds = {"number": "number", "poison": "poison", "ripen": "ripen", "keep": "keep"}
    return {
        "format": 1,
        "name": "World",
        "nodes": {id_: {"type": kind, "settings": settings.get(id_, {})} for id_, kind in kinds.items()},
        "wires": [
            ["number.number", "poison.number"],
            ["poison.number", "ripen.number"],
            ["ripen.number", "keep.number"],
        ],
    }


def request(folder: Path, rows: int, out: str = "out", world: dict[str, Any] | None = None, **given: Any) -> Request:
    """A batch of `rows` rows in `folder`, row i of the number i % 100."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "world.json"
    file.write_text(json.dumps(document(**(world or {}))))
    table = folder / "rows.csv"
    table.write_text("value\n" + "".join(f"{row % 100}\n" for row in range(rows)))
    asked: dict[str, Any] = {
        "file": str(file),
        "rows": table,
        "settings": ["number.value=@value"],
        "zips": (),
        "products": (),
        "out": folder / out,
        "machines": [None],
        "as_json": True,
    }
    return Request(**{**asked, **given})


def run(asked: Request) -> int:
    return run_batch(asked, MODULES, "")


def lines(asked: Request) -> list[dict[str, Any]]:
    """The results table."""
    return [json.loads(line) for line in (asked.out / "results.jsonl").read_text().splitlines()]


def faults(asked: Request, rows: int, copies: int = 2) -> list[str]:
    """What is wrong with a batch that is said to be done: rows missing or there twice, files missing, torn or left."""
    found = []
    table = lines(asked)
    if sorted(line["row"] for line in table) != list(range(rows)):
        found.append(f"rows {sorted(line['row'] for line in table)}")
    named = [file for line in table for file in line["files"]]
    on_disk = sorted(
        path.relative_to(asked.out).as_posix() for path in (asked.out / "files").rglob("*") if path.is_file()
    )
    if sorted(named) != on_disk or len(named) != copies * rows:
        found.append(f"files: {set(named) ^ set(on_disk)}, {len(named)} named")
    found += [
        f"{file} is torn"
        for line in table
        for file in line["files"]
        if (asked.out / file).read_bytes() != content(line["settings"]["number.value"])
    ]
    return found


if __name__ == "__main__":
    folder, rows, seconds, workers = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    world = {"ripen": {"seconds": seconds}}
    sys.exit(run(request(folder, rows, world=world, resume=True, workers=workers, at_once=4)))
