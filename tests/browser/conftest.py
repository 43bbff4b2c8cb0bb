"""A server of its own for each file of tests, and a browser to look at it with.

Without Chromium these tests skip; `LATENTLOOM_BROWSER=required` makes that a failure, as the gate does.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from editing import Editor, Server
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 60_000
"""Milliseconds until what should appear is missing. Tests never wait for less."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`latentloom edit` with an empty workspace."""
    folder = tmp_path_factory.mktemp("served")
    with Server(folder / "workspace", folder / "log.txt") as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        if os.environ.get("LATENTLOOM_BROWSER") == "required":
            pytest.fail("There is no Chromium here; install it, as .ci/run does.")
        pytest.skip("There is no Chromium here, so the page is not tried; `apt-get install chromium` brings it.")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=path, args=FLAGS)


@pytest.fixture
def context(chromium: Browser, server: Server) -> Iterator[BrowserContext]:
    """A fresh profile."""
    made = chromium.new_context(base_url=server.url, viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    made.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    yield made
    made.close()


@pytest.fixture
def editor(context: BrowserContext, server: Server) -> Iterator[Editor]:
    """One tab. At the end no script of the page may have failed."""
    opened = Editor(context.new_page(), server)
    yield opened
    assert opened.faults == []


@pytest.fixture
def second(context: BrowserContext, server: Server) -> Iterator[Editor]:
    """Another tab of the same browser."""
    opened = Editor(context.new_page(), server)
    yield opened
    assert opened.faults == []


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    return tmp_path / "downloads"
