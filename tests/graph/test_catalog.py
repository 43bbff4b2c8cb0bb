"""Nodes are found by name, imported when asked for, also those other packages bring."""

import importlib.metadata
import sys

import pytest
from arithmetic import CATALOG, number

from latentloom.graph.catalog import Catalog, NodeUnavailable
from latentloom.graph.node import declaration


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of nodes on the path."""
    folder = tmp_path / "brought_nodes"
    folder.mkdir()
    head = "from latentloom.graph.node import node\n\nclass Number: pass\n\n"
    for name in ("one", "two"):
        (folder / f"{name}.py").write_text(f"{head}@node\ndef {name}() -> Number:\n    'Gives {name}.'\n")
    (folder / "broken.py").write_text("import no_such_package\n")
    (folder / "plain.py").write_text("def plain(): pass\n")
    (folder / "absent.py").write_text("")
    (folder / "quitting.py").write_text(f"{head}@node\ndef quitting(x: Missing) -> Number:\n    'Names no type.'\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "brought_nodes"
    for name in [name for name in sys.modules if name.startswith("brought_nodes")]:
        del sys.modules[name]


def test_nodes_are_imported_when_first_asked_for(package):
    catalog = Catalog({"one": "one", "two": "two"}, package)
    assert "one" in catalog
    assert [*catalog] == ["one", "two"]
    assert f"{package}.one" not in sys.modules
    assert catalog["one"].summary == "Gives one."
    assert catalog["one"] is catalog["one"]
    assert f"{package}.two" not in sys.modules
    assert len(catalog) == 2


def test_unknown_names_are_key_errors_and_close_ones_are_told():
    with pytest.raises(KeyError):
        CATALOG["nubmer"]
    assert "nubmer" not in CATALOG
    assert CATALOG.closest("nubmer") == "number"
    assert CATALOG.closest("xyzzy") is None


@pytest.mark.parametrize("name", ["broken", "plain", "absent", "quitting", "missing"])
def test_what_cannot_be_used_is_told(package, name):
    with pytest.raises(NodeUnavailable, match=f'The node "{name}" of {package}.{name} cannot be used: '):
        Catalog({name: name}, package)[name]


def test_functions_make_a_catalog():
    catalog = Catalog.of(number)
    assert [*catalog] == ["number"]
    assert catalog["number"] is declaration(number)


def test_other_packages_bring_nodes_and_replace_none(package, monkeypatch):
    points = [importlib.metadata.EntryPoint(name, f"{package}.two:two", "latentloom.nodes") for name in ("one", "two")]
    asked = []

    def entry_points(group):
        asked.append(group)
        return points

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    catalog = Catalog({"one": "one"}, package)
    assert catalog["one"].summary == "Gives one."
    assert asked == []  # reading all packages' entry points takes time, and was not needed so far
    assert catalog["two"].summary == "Gives two."
    assert [*catalog] == ["one", "two"]
    assert asked == ["latentloom.nodes"]
