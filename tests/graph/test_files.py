"""A workflow reads and writes inside the folders opened for it, and nowhere else."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentloom.graph.files import FileMissing, FileRefused, Files


@pytest.fixture
def files(tmp_path: Path) -> Files:
    for folder in ("first", "second/sub", "out", "secret"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "first" / "a.png").write_text("first")
    (tmp_path / "second" / "a.png").write_text("second")
    (tmp_path / "second" / "sub" / "b.png").write_text("b")
    (tmp_path / "secret" / "key").write_text("secret")
    reading = {"input": [tmp_path / "first", tmp_path / "second"], "models": [tmp_path / "second"]}
    return Files(reading, tmp_path / "out")


OUTSIDE = [
    "../secret/key",
    "sub/../../secret/key",
    "/etc/passwd",
    "//etc/passwd",
    "..",
    "C:/x",
    "c:x",
    "..\\secret\\key",
]
ODD = ["", "\0", "a\0b", "x" * 300, "ä" * 200, "a/" * 600 + "b", "\ud800"]


@pytest.mark.parametrize("path", OUTSIDE + ODD)
def test_nothing_outside_is_read_or_written(files, path):
    for act in (files.find, files.place, files.target, files.fingerprint):
        with pytest.raises(FileRefused) as refused:
            act(path)
        assert not isinstance(refused.value, FileMissing)
        assert str(refused.value).endswith(".")
        str(refused.value).encode()


def test_folders_of_a_kind_are_searched_in_order(files):
    assert files.find("a.png").read_text() == "first"
    assert files.find("sub/b.png").read_text() == "b"
    assert files.find("a.png", "models").read_text() == "second"


def test_what_is_not_there_is_told_with_where_was_looked(files, tmp_path):
    with pytest.raises(FileMissing, match=r'There is no "no\.png"; looked in .*first, .*second'):
        files.find("no.png")
    with pytest.raises(FileMissing, match="no folder at all"):
        files.find("a.png", "music")


def test_links_are_followed_only_inside(files, tmp_path):
    (tmp_path / "first" / "inside.png").symlink_to(tmp_path / "first" / "a.png")
    assert files.find("inside.png").read_text() == "first"
    for name, target in (("key", tmp_path / "secret" / "key"), ("folder", tmp_path / "secret")):
        (tmp_path / "first" / name).symlink_to(target)
        (tmp_path / "out" / name).symlink_to(target)
    for path in ("key", "folder", "folder/key"):
        for act in (files.find, files.place, files.target, files.fingerprint):
            with pytest.raises(FileRefused, match="by a link"):
                act(path)


def test_a_link_to_nothing_outside_is_no_place_to_write(files, tmp_path):
    (tmp_path / "out" / "x.png").symlink_to(tmp_path / "secret" / "new.png")
    with pytest.raises(FileRefused, match="by a link"):
        files.target("x.png")


def test_a_link_to_itself_is_refused(files, tmp_path):
    for folder in ("first", "out"):
        (tmp_path / folder / "loop").symlink_to("loop")
    for act in (files.find, files.target):
        with pytest.raises(FileRefused):
            act("loop/x")


def test_the_folders_themselves_may_be_links(files, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "first")
    linked = Files({"input": [tmp_path / "link"]}, tmp_path / "link")
    assert linked.find("a.png").read_text() == "first"
    assert linked.target("new.png").parent == tmp_path / "link"


def test_a_target_gets_its_folders_and_a_place_does_not(files, tmp_path):
    assert files.place("new/x.png") == tmp_path / "out" / "new" / "x.png"
    assert not (tmp_path / "out" / "new").exists()
    files.target("new/x.png").write_text("x")
    assert (tmp_path / "out" / "new" / "x.png").read_text() == "x"
    with pytest.raises(FileRefused, match="names the output folder itself"):
        files.target(".")


def test_a_file_on_the_way_to_a_target_is_told(files):
    files.target("x").write_text("x")
    with pytest.raises(FileRefused, match='"x/y" cannot be written: '):
        files.target("x/y")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_forbidden_folder_is_told(files, tmp_path):
    (tmp_path / "second" / "sub").chmod(0)
    with pytest.raises(FileRefused, match="cannot be read"):
        files.find("sub/b.png")
    (tmp_path / "second" / "sub").chmod(0o700)


def test_fingerprints_change_with_what_is_there(files, tmp_path):
    before = files.fingerprint("a.png"), files.fingerprint("sub"), files.fingerprint("sub/b.png")
    assert before == (files.fingerprint("a.png"), files.fingerprint("sub"), files.fingerprint("sub/b.png"))
    (tmp_path / "second" / "sub" / "b.png").write_text("longer")
    after = files.fingerprint("a.png"), files.fingerprint("sub"), files.fingerprint("sub/b.png")
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, False]
    (tmp_path / "second" / "sub" / "c.png").touch()
    assert files.fingerprint("sub") != after[1]


PIECES = ["a", "/", ".", "..", "\\", ":", "~", "\0", "\n", "é", "folder", "x.png"]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_no_path_leads_out(tmp_path_factory, path):
    base = tmp_path_factory.getbasetemp() / "fuzz"
    (base / "in").mkdir(parents=True, exist_ok=True)
    files = Files({"input": [base / "in"]}, base / "in")
    for act in (files.find, files.place):
        try:
            assert act(path).resolve().is_relative_to((base / "in").resolve())
        except FileRefused as refused:
            assert str(refused).endswith(".")
