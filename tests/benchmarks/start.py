"""How long `latentloom edit` takes from the command to the canvas' page, to Gradio's, and to a first picture.

`python tests/benchmarks/start.py [--rounds 3]`

First in an empty workspace, where the nodes have to be described, then again in the same. The canvas shows once it has
the description of the nodes; Gradio, which the form needs, is imported after that.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time

import httpx
from rich.console import Console
from rich.table import Table

from latentloom.app.client import Client
from latentloom.app.server.address import listen


def seconds_until(url: str, path: str, began: float) -> float:
    while True:
        try:
            if httpx.get(f"{url}{path}", timeout=60).status_code == 200:
                return time.monotonic() - began
        except httpx.TransportError:
            pass
        time.sleep(0.02)


def start(workspace: str) -> tuple[float, ...]:
    """Seconds until the nodes are described, Gradio answers, and a picture is made."""
    with listen("127.0.0.1", None) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "latentloom.app.main", "edit", "--no-browser"]
    began = time.monotonic()
    process = subprocess.Popen(
        [*command, "--workspace", workspace, "--port", str(port)],
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        stdout=subprocess.DEVNULL,
    )
    try:
        seconds_until(url, "/", began)
        described, gradio = seconds_until(url, "/api/catalog", began), seconds_until(url, "/config", began)
        with Client(url) as client:
            client.submit("text_to_image").wait()
        return described, gradio, time.monotonic() - began
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    taken: list[list[float]] = []
    for _ in range(parser.parse_args().rounds):
        with tempfile.TemporaryDirectory() as workspace:
            taken.append([*start(workspace), *start(workspace)])
    table = Table("seconds from the command to", "best", "worst", box=None)
    names = [f"{what}, {when}" for when in ("first start", "again") for what in ("the canvas", "the form", "a picture")]
    for name, seconds in zip(names, zip(*taken, strict=True), strict=True):
        table.add_row(name, f"{min(seconds):.1f}", f"{max(seconds):.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
