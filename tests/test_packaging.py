"""What is installed is what stands on disk, under one name that hides no other package."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]
ROOMS = ("app", "graph", "kernels", "nodes", "workflows")
PAGE = Path("app/canvas")
"""Its sources are compiled when the package is built, and are not installed themselves."""


def shipped() -> list[Path]:
    """Files of the rooms under version control that are installed."""
    listed = subprocess.run(["git", "ls-files", *ROOMS], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [Path(line) for line in listed.stdout.splitlines() if (ROOT / line).exists()]
    return [path for path in paths if path.suffix == ".py" or PAGE not in path.parents]


def test_every_folder_is_a_package_and_no_other():
    """Also one with data alone: Python would import it, so setuptools wants it named, unless its name is no word."""
    folders = {folder for path in shipped() for folder in path.parents if folder.parts}
    words = {folder.parts for folder in folders if all(part.isidentifier() for part in folder.parts)}
    assert sorted(SETUPTOOLS["packages"]) == sorted(".".join(("latentloom", *parts)) for parts in words)


def test_every_file_that_is_no_source_is_package_data():
    installed = {
        found
        for package, patterns in SETUPTOOLS.get("package-data", {}).items()
        for pattern in patterns
        for found in ROOT.joinpath(*package.split(".")[1:]).glob(pattern)
    }
    assert [str(path) for path in shipped() if path.suffix != ".py" and ROOT / path not in installed] == []


def test_folders_are_namespaces():
    assert [str(path) for path in shipped() if path.name == "__init__.py"] == []


def test_the_names_of_the_folders_are_not_installed_bare():
    bare = {name for name, found in packages_distributions().items() if "latentloom" in found}
    assert {name for name in bare if not name.startswith("__editable__")} == {"latentloom"}


@pytest.mark.parametrize("name", ROOMS)
def test_the_names_of_the_folders_belong_to_others(name, tmp_path):
    """Imported from anywhere but the repository, `kernels` is the Hugging Face package or nothing."""
    script = f"import importlib.util as u; s = u.find_spec({name!r}); print(s.origin if s else None)"
    found = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert str(ROOT) not in found.stdout


def test_the_command_is_installed():
    points = {point.name: point.value for point in distribution("latentloom").entry_points}
    assert points["latentloom"] == PROJECT["project"]["scripts"]["latentloom"]
