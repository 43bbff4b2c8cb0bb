"""Models of the hub: from the cache when offline, fetched when a hub answers, and only what is needed of them."""

import http.server
import json
import shutil
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from latentloom.graph.node import NodeError
from latentloom.nodes.load.load_model import load_model
from latentloom.nodes.models import hub
from latentloom.nodes.models.inspect import describe, root

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    hub.snapshot.cache_clear()
    yield tmp_path
    hub.snapshot.cache_clear()


def put(cache: Path, repo: str, folder: Path) -> Path:
    """Lay `folder` into the cache as the hub's own client does."""
    stored = cache / f"models--{repo.replace('/', '--')}"
    shutil.copytree(folder, stored / "snapshots" / COMMIT)
    (stored / "refs").mkdir()
    (stored / "refs" / "main").write_text(COMMIT)
    return stored / "snapshots" / COMMIT


@pytest.mark.parametrize("text", ["org/name", "stabilityai/stable-diffusion-xl-base-1.0", "a/b_c.d"])
def test_ids_are_told(text):
    assert hub.is_id(text)


@pytest.mark.parametrize("text", ["name", "/etc/passwd", "../a", "a/b/c", "a/", "/b", "a b/c", "", "https://x/y"])
def test_other_texts_are_not(text):
    assert not hub.is_id(text)


def test_a_cached_model_is_pinned_to_its_commit(cache, tiny_sd):
    stored = put(cache, "org/small", tiny_sd)
    model = load_model("org/small")
    assert (model.source, model.revision, model.fingerprint) == ("org/small", COMMIT, COMMIT)
    assert root(model) == stored and describe(model).default == (32, 32)


def test_a_revision_that_is_not_here(cache, tiny_sd):
    put(cache, "org/small", tiny_sd)
    with pytest.raises(NodeError, match="at revision 'other' is not in the hub's cache"):
        load_model("org/small", revision="other")


def test_a_half_fetched_model(cache, tiny_sd):
    (put(cache, "org/small", tiny_sd) / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(NodeError, match=r"unet has no diffusion_pytorch_model\.safetensors"):
        load_model("org/small")


class Hub(http.server.ThreadingHTTPServer):
    """As much of the hub as a client needs to download a repository; it remembers the files asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, set()
        super().__init__(("127.0.0.1", 0), Answer)


class Answer(http.server.BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        prefix = f"/org/small/resolve/{COMMIT}/"
        if self.path.startswith("/api/models/org/small"):
            files = {str(p.relative_to(self.server.folder)): p for p in self.server.folder.rglob("*") if p.is_file()}
            found = {"id": "org/small", "sha": COMMIT, "siblings": [{"rfilename": name} for name in sorted(files)]}
            tree = [
                {"type": "file", "path": name, "size": path.stat().st_size, "oid": "0"} for name, path in files.items()
            ]
            self.answer(json.dumps(tree if "/tree/" in self.path else found).encode(), "application/json")
        elif self.path.startswith(prefix):
            name = self.path.removeprefix(prefix)
            self.server.asked.add(name)
            self.answer((self.server.folder / name).read_bytes(), "application/octet-stream")
        else:
            self.send_error(404)

    do_HEAD = do_GET  # noqa: N815

    def answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        headers = {
            "Content-Type": kind,
            "Content-Length": len(body),
            "X-Repo-Commit": COMMIT,
            "ETag": f'"{hash(body)}"',
        }
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_only_what_is_needed_is_fetched(tmp_path, tiny_sd):
    """For a client in its own process a small server is the hub; the repository also holds what nobody asked for."""
    repository = tmp_path / "repository"
    shutil.copytree(tiny_sd, repository)
    (repository / "v1-5-pruned.ckpt").write_bytes(b"pickle")
    (repository / "v1-5-pruned.safetensors").write_bytes(b"large")
    (repository / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"pickle")
    (repository / "unet" / "diffusion_pytorch_model.fp16.safetensors").write_bytes(b"half")
    vae = repository / "vae" / "diffusion_pytorch_model.safetensors"
    vae.rename(vae.with_name("diffusion_pytorch_model.fp16.safetensors"))
    server = Hub(repository)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = """
        from latentloom.graph.progress import Progress
        from latentloom.nodes.load.load_model import load_model
        from latentloom.nodes.models.inspect import describe
        told = []
        model = load_model("org/small", progress=Progress(on_step=lambda *step: told.append(step)))
        print(model.revision, describe(model).factor, max(done for done, *_ in told) > 1000)
    """
    try:
        environment = {
            "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
            "HF_HOME": str(tmp_path / "cache"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "PATH": "/usr/bin:/bin",
        }
        command = [sys.executable, "-c", textwrap.dedent(code)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    finally:
        server.shutdown()
        server.server_close()
    assert done.stdout.split() == [COMMIT, "4", "True"], done.stderr
    assert done.stderr == ""  # the hub's own progress bars stay silent
    weights = {name for name in server.asked if not name.endswith((".json", ".txt"))}
    assert weights == {
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.fp16.safetensors",
        "text_encoder/model.safetensors",
    }
