"""The description of the nodes is made once and remembered, and never told when it may have changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from arithmetic import CATALOG

from latentloom.app.server import catalog
from latentloom.app.server.catalog import CatalogDescription, Described, state_of_nodes


@pytest.fixture
def made(monkeypatch) -> list[CatalogDescription]:
    """Every description that was made."""
    found: list[CatalogDescription] = []
    describe = catalog.describe_catalog

    def counted(of) -> CatalogDescription:
        found.append(describe(of))
        return found[-1]

    monkeypatch.setattr(catalog, "describe_catalog", counted)
    return found


@pytest.fixture
def shipped(monkeypatch) -> None:
    """The nodes of these tests stand for those that ship."""
    monkeypatch.setattr(catalog, "NODES", dict.fromkeys(CATALOG, ""))


@pytest.mark.usefixtures("shipped")
def test_a_second_start_remembers_it(made, tmp_path: Path):
    file = tmp_path / "made" / "catalog.json"
    first = Described(CATALOG, file)
    assert first() is first() and len(made) == 1
    assert Described(CATALOG, file)() == made[0] and len(made) == 1


@pytest.mark.usefixtures("shipped")
def test_after_a_change_of_the_nodes_it_is_made_anew(made, tmp_path: Path, monkeypatch):
    file = tmp_path / "catalog.json"
    Described(CATALOG, file)()
    monkeypatch.setattr(catalog, "state_of_nodes", lambda: "another")
    Described(CATALOG, file)()
    assert len(made) == 2


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize("text", ["", "{", "%s\n{}", "%s\nnull"])
def test_a_file_that_holds_something_else_is_made_anew(text, made, tmp_path: Path):
    file = tmp_path / "catalog.json"
    file.write_text(text.replace("%s", state_of_nodes()))
    assert Described(CATALOG, file)() == made[0]
    assert Described(CATALOG, file)() == made[0] and len(made) == 1


def test_nodes_of_other_packages_are_described_at_each_start(made, tmp_path: Path):
    file = tmp_path / "catalog.json"
    assert Described(CATALOG, file)() == Described(CATALOG, file)()
    assert len(made) == 2 and not file.exists()


def test_a_file_of_a_node_that_was_touched_is_another_state(tmp_path: Path, monkeypatch):
    node = tmp_path / "node.py"
    node.write_text("")
    monkeypatch.setattr(catalog, "_sources", lambda: iter([node]))
    before = state_of_nodes()
    assert state_of_nodes() == before
    os.utime(node, ns=(1, 1))
    assert state_of_nodes() != before
