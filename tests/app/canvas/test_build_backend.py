"""The page is built when its sources changed, and only then, and what goes wrong is told in a sentence."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from latentloom.app.canvas import build_backend
from latentloom.app.canvas.build_backend import BuildFailed, build, npm, stamp


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sources of a page."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src/main.ts").write_text("export const answer = 42;")
    for name in ("package.json", "package-lock.json", "component.py"):
        (tmp_path / name).write_text("{}")
    return tmp_path


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the compiler was given, each time it was called."""
    calls: list[str] = []

    def node(folder: Path, *arguments: str) -> None:
        if "--outDir" in arguments:
            source = (folder / "src/main.ts").read_text()
            calls.append(source)
            made = Path(arguments[arguments.index("--outDir") + 1])
            made.mkdir()
            (made / "editor.mjs").write_text(source)

    monkeypatch.setattr(build_backend, "node", node)
    return calls


def test_an_unchanged_page_is_built_once(folder, compiled):
    assert build(folder)
    assert not build(folder)
    assert len(compiled) == 1
    assert (folder / "static/stamp").read_text() == stamp(folder)


def test_a_change_builds_it_anew_and_leaves_nothing_of_the_old(folder, compiled):
    build(folder)
    (folder / "static/old.mjs").touch()
    (folder / "src/main.ts").write_text("export const answer = 43;")
    assert build(folder)
    assert (folder / "static/editor.mjs").read_text() == "export const answer = 43;"
    assert sorted(path.name for path in (folder / "static").iterdir()) == ["editor.mjs", "stamp"]
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["src", "static"]


def test_a_wheel_holds_nothing_of_an_earlier_one(tmp_path, monkeypatch):
    old = tmp_path / "build/lib/latentloom/app/canvas/static/editor.page-old.mjs"
    old.parent.mkdir(parents=True)
    old.touch()
    (tmp_path / "build/other").touch()
    drop = build_backend.drop_copies
    monkeypatch.setattr(build_backend, "_build_or_exit", lambda: None)
    monkeypatch.setattr(build_backend, "drop_copies", lambda: drop(tmp_path))
    seen = []
    setuptools = SimpleNamespace(build_wheel=lambda *_: seen.append(old.exists()))
    monkeypatch.setattr(build_backend, "_setuptools", lambda: setuptools)
    build_backend.build_wheel("dist")
    assert seen == [False]
    assert (tmp_path / "build/other").exists()


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("src/deep/other.svelte", True),
        ("package-lock.json", True),
        ("component.py", False),
        ("node_modules/vite/index.js", False),
        ("static/editor.css", False),
    ],
)
def test_the_stamp_is_of_the_sources(folder, name, counts):
    before = stamp(folder)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("changed")
    assert (stamp(folder) != before) == counts


def test_the_stamp_tells_apart_where_a_file_ends(folder):
    before = stamp(folder)
    (folder / "src/main.ts").rename(folder / "src/other.ts")
    assert stamp(folder) != before


def test_a_failed_build_keeps_the_page_there_is(folder, compiled, monkeypatch):
    build(folder)
    (folder / "src/main.ts").write_text("export const;")

    def fail(*_):
        raise BuildFailed("vite.js build failed:", "Unexpected token")

    monkeypatch.setattr(build_backend, "node", fail)
    with pytest.raises(BuildFailed, match="Unexpected token"):
        build(folder)
    assert (folder / "static/editor.mjs").read_text() == "export const answer = 42;"


def test_without_sources_there_is_nothing_to_build(tmp_path):
    with pytest.raises(BuildFailed, match="no sources of the page"):
        build(tmp_path)


@pytest.mark.parametrize(("code", "told"), [("ENOTFOUND", True), ("EUSAGE", False)])
def test_a_registry_out_of_reach_is_a_sentence(tmp_path, monkeypatch, code, told):
    def fail(*_):
        raise BuildFailed("npm-cli.js ci failed:", f"npm error code {code}")

    monkeypatch.setattr(build_backend, "node", fail)
    with pytest.raises(BuildFailed) as caught:
        npm(tmp_path, "ci")
    assert ("the npm registry did not answer" in str(caught.value)) == told
    assert code in str(caught.value)


def test_pip_is_told_without_a_traceback(monkeypatch):
    def fail():
        raise BuildFailed("It cannot be built.")

    monkeypatch.setattr(build_backend, "build", fail)
    with pytest.raises(SystemExit) as caught:
        build_backend.build_wheel("dist")
    assert caught.value.code == "It cannot be built."
