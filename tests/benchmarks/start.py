"""How long `latentloom edit` takes from the command to an answer of the API, to the page, and to a first picture.

`python tests/benchmarks/start.py [--rounds 3]`
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


def start() -> tuple[float, float, float]:
    with listen("127.0.0.1", None) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "latentloom.app.main", "edit", "--no-browser"]
        began = time.monotonic()
        process = subprocess.Popen(
            [*command, "--workspace", folder, "--port", str(port)],
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
            stdout=subprocess.DEVNULL,
        )
        try:
            api, page = seconds_until(url, "/api/info", began), seconds_until(url, "/config", began)
            with Client(url) as client:
                client.submit("text_to_image").wait()
            return api, page, time.monotonic() - began
        finally:
            process.terminate()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = [start() for _ in range(parser.parse_args().rounds)]
    table = Table("seconds from the command to", "best", "worst", box=None)
    for name, taken in zip(
        ("an answer of the API", "the page", "the first picture"), zip(*rounds, strict=True), strict=True
    ):
        table.add_row(name, f"{min(taken):.1f}", f"{max(taken):.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
