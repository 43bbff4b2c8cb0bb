"""`latentloom edit`: what it refuses, and a whole server from start to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from latentloom.app import edit
from latentloom.app.client import Client, ServerError
from latentloom.app.edit import Request, access_of, secret_of
from latentloom.app.workspace.workspace import Workspace
from latentloom.graph.problems import Refused
from latentloom.nodes.models.runtime import RuntimeSettings

STARTS_WITHIN = 60
"""Seconds, on a machine that does much else."""


def request(**changes) -> Request:
    given = {
        "file": None,
        "workspace": Path("workspace"),
        "address": None,
        "port": None,
        "hosts": (),
        "password": None,
        "token": None,
        "machines": [RuntimeSettings()],
        "models": (),
        "browser": False,
    }
    return Request(**{**given, **changes})


@pytest.fixture(autouse=True)
def no_secrets(monkeypatch):
    for name in ("LATENTLOOM_PASSWORD", "LATENTLOOM_TOKEN", "LATENTLOOM_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)


def test_others_need_a_secret(cli, monkeypatch):
    for arguments in (["--listen"], ["--address", "0.0.0.0"]):
        result = cli("edit", "--no-browser", "--workspace", "w", *arguments)
        assert result.exit_code == 2 and "LATENTLOOM_PASSWORD" in result.output
    assert not Path("w").exists()
    opened = access_of(request(address="0.0.0.0", token="t", hosts=["studio.example"]))
    assert opened.listen and opened.answers_to("studio.example") and opened.answers_to("192.168.0.2")
    alone = access_of(request(password="p"))
    assert not alone.listen and alone.protected and not alone.answers_to("192.168.0.2")


def test_secrets_come_from_files(tmp_path):
    file = tmp_path / "secret"
    file.write_text("  sesame \nnot this\n")
    assert secret_of(None, file, "--password") == "sesame" and secret_of("given", None, "--password") == "given"
    assert secret_of(None, None, "--password") is None
    for given, content, told in (("also", b"x", "both"), (None, b"\n", "empty"), (None, b"\xff", "not text")):
        file.write_bytes(content)
        with pytest.raises(Refused, match=told):
            secret_of(given, file, "--password")
    with pytest.raises(Refused, match=r"--token-file .* cannot be read: No such file"):
        secret_of(None, tmp_path / "none", "--token")


def test_everything_wrong_is_told_at_once(cli):
    options = ["--models", "nowhere", "--device", "cpu", "--device", "cpu", "--device", "cuda:99"]
    result = cli("edit", "--no-browser", "--workspace", "w", *options)
    assert result.exit_code == 2
    assert all(word in result.output for word in ("--models nowhere", "more than once", "--device:"))
    assert cli("edit", "nowhere.json", "--workspace", "w").exit_code == 2
    assert cli("edit", "--port", "70000").exit_code == 2
    assert not Path("w").exists()


@pytest.mark.parametrize(
    ("file", "opened", "shown"),
    [
        (None, None, "http://h"),
        (Path("a b.json"), "opened/a b.json", "http://h/?file=opened%2Fa+b.json"),
        (edit.folders.SHIPPED / "train" / "grade_shapes.json", None, "http://h/?template=train%2Fgrade_shapes"),
    ],
)
def test_the_browser_is_shown_the_file(file, opened, shown):
    assert edit._page("http://h", opened, file) == shown


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "latentloom.app.main", "edit", "--no-browser", "--workspace", str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "LATENTLOOM_TOKEN": "token"}
    return subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )


def hold(url: str, path: str) -> threading.Thread:
    """Listen to an answer that does not end, as open pages do."""
    listening = threading.Event()

    def listen() -> None:
        with suppress(httpx.HTTPError), httpx.Client(base_url=url, headers={"authorization": "Bearer token"}) as http:
            while http.get("/config").status_code == 503:
                time.sleep(0.1)
            listening.set()
            with http.stream("GET", path, timeout=None) as stream:
                stream.read()

    thread = threading.Thread(target=listen)
    thread.start()
    assert listening.wait(STARTS_WITHIN)
    time.sleep(0.3)
    return thread


def test_a_server_from_start_to_end(tmp_path):
    """It tells its address, runs, keeps a second one out, and on Ctrl+C leaves nothing running."""
    server = start(tmp_path / "workspace", "--device", "cpu")
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        url = next(word for word in line.split() if word.startswith("http://")).rstrip(";")
        with Client(url) as stranger, pytest.raises(ServerError, match="password or token"):
            stranger.jobs()
        second = start(tmp_path / "workspace")
        told, _ = second.communicate(timeout=STARTS_WITHIN)
        assert second.returncode == 2 and f"already open at {url}" in told

        with Client(url, token="token") as client:
            info = client.ask("GET", "/api/info")
            assert info["devices"] == ["cpu"] and info["protected"] and info["workspace"] == str(tmp_path / "workspace")
            job = client.submit("text_to_image", settings={"schedule.steps": 1000})
            for state in job.watch():
                if state.nodes["sample"].done > 1:
                    break
            waiting = client.submit("text_to_image")
            streams = [
                hold(url, path) for path in ("/gradio_api/heartbeat/x", f"/api/jobs/{waiting.id}/result?wait=200")
            ]
        family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        assert len(family) > 1
        began = time.monotonic()
        server.send_signal(signal.SIGINT)
        rest, _ = server.communicate(timeout=STARTS_WITHIN)
        assert server.returncode == 0 and rest.split() == ["Ending."] and time.monotonic() - began < 30
        for stream in streams:
            stream.join(10)
            assert not stream.is_alive()
        _, alive = psutil.wait_procs(family, timeout=5)
        assert alive == []
    finally:
        server.kill()
        server.wait()
    with closing(Workspace(tmp_path / "workspace")) as workspace:
        statuses = {run.id: run.status for run in workspace.history.search().runs}
    assert statuses == {job.id: "cancelled", waiting.id: "cancelled"}
