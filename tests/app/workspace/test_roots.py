"""Paths lead to workflow files below the roots and to nothing else."""

from __future__ import annotations

import pytest

from latentloom.app.workspace.refusals import Missing
from latentloom.app.workspace.roots import MAX_LISTED, Root, Roots, name_fault
from latentloom.graph.problems import Refused

NO_PATHS = [
    "",
    "a.json",
    "workflows",
    "workflows/",
    "elsewhere/a.json",
    "/workflows/a.json",
    "workflows//a.json",
    "workflows/../a.json",
    "workflows/..",
    "workflows/./a.json",
    "workflows/.hidden.json",
    "workflows/.latentloom/a.json",
    "workflows/a/../../../etc/passwd.json",
    "workflows/a\\b.json",
    "workflows/C:/a.json",
    "workflows/a:b.json",
    "workflows/a*.json",
    "workflows/a\0.json",
    "workflows/a\n.json",
    "workflows/ a.json",
    "workflows/a /b.json",
    "workflows/folder./b.json",
    "workflows/con.json",
    "workflows/NUL",
    "workflows/Com1.b.json",
    "workflows/aux/a.json",
    "workflows/\ud800.json",
    "workflows/" + "x" * 300 + ".json",
    "workflows/" + "d/" * 20 + "a.json",
    "workflows/" + "é" * 101 + ".json",
]


@pytest.fixture
def roots(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "shipped").mkdir()
    return Roots([Root("workflows", tmp_path / "own"), Root("shipped", tmp_path / "shipped", writable=False)])


@pytest.mark.parametrize("path", NO_PATHS)
def test_no_path_leads_out_or_is_odd(roots, path):
    for lead in (roots.to_read, roots.to_write):
        with pytest.raises(Refused) as refused:
            lead(path)
        assert not isinstance(refused.value, Missing)
        assert str(refused.value).endswith(".") and "\n" not in str(refused.value)


@pytest.mark.parametrize("path", ["workflows/a.json", "workflows/a/b c/d.json", "workflows/Küche/日本.json"])
def test_usual_paths_are_taken(roots, path, tmp_path):
    assert roots.to_write(path).file == tmp_path / "own" / path.removeprefix("workflows/")


def test_links_that_lead_out_are_refused(roots, tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/a.json").write_text("{}")
    (tmp_path / "own/folder").symlink_to(tmp_path / "secret")
    (tmp_path / "own/file.json").symlink_to(tmp_path / "secret/a.json")
    (tmp_path / "own/loop.json").symlink_to("loop.json")
    for path in ("workflows/folder/a.json", "workflows/file.json", "workflows/folder/new.json"):
        for lead in (roots.to_read, roots.to_write):
            with pytest.raises(Refused):
                lead(path)
    with pytest.raises(Refused):
        roots.to_write("workflows/loop.json")
    assert list(roots.walk()) == []


def test_what_ships_is_not_written(roots):
    with pytest.raises(Refused, match="not written over; save it below workflows/"):
        roots.to_write("shipped/a.json")


def test_only_json_is_written(roots):
    with pytest.raises(Refused, match=r"must end in \.json"):
        roots.to_write("workflows/a.png")


def test_a_folder_is_no_file(roots, tmp_path):
    (tmp_path / "own/a.json").mkdir()
    for lead in (roots.to_read, roots.to_write):
        with pytest.raises(Refused, match="is a folder"):
            lead("workflows/a.json")


def test_a_missing_file_is_said_with_the_nearest_there_is(roots, tmp_path):
    (tmp_path / "own/portrait.json").write_text("{}")
    with pytest.raises(Missing, match=r'Did you mean "workflows/portrait.json"\?'):
        roots.to_read("workflows/portait.json")


def test_files_are_listed_with_those_of_folders_after(roots, tmp_path):
    for name in ("b.json", "a.txt", "z/a.json", "z/y/x.json", ".hidden/a.json", "con.json", "a:b.json"):
        (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "own" / name).write_text("{}")
    assert [place.path for place in roots.walk()] == ["workflows/b.json", "workflows/z/a.json", "workflows/z/y/x.json"]
    assert [place.name for place in roots.walk()] == ["b", "z/a", "z/y/x"]


def test_a_listing_has_an_end(roots, tmp_path):
    for number in range(MAX_LISTED + 5):
        (tmp_path / f"own/{number}.json").touch()
    assert len(list(roots.walk())) == MAX_LISTED


def test_depth_and_folders_left_out(tmp_path):
    for name in ("a.json", "b/c.json", "b/models/d.json", "models/e.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    roots = Roots([Root("shipped", tmp_path, depth=2, without=frozenset({"models"}))])
    assert [place.name for place in roots.walk()] == ["a", "b/c", "b/models/d"]
    assert [p.name for p in Roots([Root("r", tmp_path, depth=0)]).walk()] == ["a"]


def test_the_path_of_a_file(roots, tmp_path):
    assert roots.path_of(tmp_path / "own/a/b.json") == "workflows/a/b.json"
    assert roots.path_of(tmp_path / "else.json") is None


def test_names():
    assert name_fault("context.json") == "" == name_fault("console")
    assert "Windows" in name_fault("LPT¹.json")
