"""States of a file stay, as many as are promised."""

from __future__ import annotations

import time

import pytest

from latentloom.app.workspace import versions
from latentloom.app.workspace.refusals import Conflict, Missing
from latentloom.app.workspace.versions import ALWAYS, DAYS
from latentloom.graph.problems import Refused

PATH = "workflows/a.json"
DAY = 86_400


@pytest.fixture
def save(workspace, content):
    """Saves the file with this text; its etag."""
    etags: list[str | None] = [None]

    def write(text, label=""):
        etags.append(workspace.files.write(PATH, content(text), etags[-1], label).etag)
        return etags[-1]

    return write


@pytest.fixture
def on_day(monkeypatch):
    """Sets the clock to a day, and some seconds into it."""

    def set_(day, seconds=0):
        monkeypatch.setattr(versions.time, "time", lambda: day * DAY + seconds)

    return set_


def stored(workspace):
    with workspace._database.reading() as connection:
        return connection.exec_driver_sql("SELECT count(*) FROM contents").scalar()


def test_versions_are_listed_newest_first(workspace, save):
    before = time.time()
    save("one")
    save("two", label="best so far")
    new, old = workspace.versions.list(PATH)
    assert (new.label, old.label) == ("best so far", "")
    assert new.id > old.id and new.saved >= old.saved >= before and new.nodes == 1 and new.path == PATH


def test_what_is_saved_again_unchanged_is_no_new_version(workspace, save):
    save("one")
    save("one", label="named")
    assert [version.label for version in workspace.versions.list(PATH)] == ["named"]


def test_the_same_content_is_kept_once(workspace, save):
    for text in ("one", "two", "one", "two"):
        save(text)
    assert len(workspace.versions.list(PATH)) == 4 and stored(workspace) == 2


def test_restoring_is_a_new_save_of_the_same_bytes(workspace, save, folder, content):
    first = save("one")
    second = save("two")
    old = workspace.versions.list(PATH)[-1]
    opened = workspace.files.version(old.id)
    assert opened.content == content("one") and opened.etag == second and opened.path == PATH
    with pytest.raises(Conflict):
        workspace.files.restore(old.id, first)
    assert workspace.files.restore(old.id, second).etag == first
    assert len(workspace.versions.list(PATH)) == 3


def test_labels(workspace, save):
    save("one")
    (version,) = workspace.versions.list(PATH)
    assert workspace.versions.label(version.id, " first ").label == "first"
    assert workspace.versions.label(version.id, "").label == ""
    for label in ("x" * 201, "two\nlines"):
        with pytest.raises(Refused, match="no label"):
            workspace.versions.label(version.id, label)


@pytest.mark.parametrize("id_", [0, 99, -1, 1 << 70])
def test_a_version_that_is_not_there(workspace, save, id_):
    save("one")
    for ask in (workspace.files.version, lambda id_: workspace.versions.label(id_, "x"), workspace.versions.get):
        with pytest.raises(Missing):
            ask(id_)


def test_the_newest_stay_however_quickly_they_come(workspace, save, on_day):
    for number in range(ALWAYS + 20):
        on_day(1000, number)
        save(str(number))
    kept = workspace.versions.list(PATH)
    # The newest, and the last of those of the day that are older.
    assert [version.saved % DAY for version in kept] == [*range(ALWAYS + 19, 18, -1)]
    assert stored(workspace) == ALWAYS + 1


def test_of_older_ones_the_last_of_each_day_stays_for_a_year(workspace, save, on_day):
    for day in (1, DAYS - 30, DAYS - 20):
        for number in range(3):
            on_day(day, number)
            save(f"{day} {number}")
    for number in range(ALWAYS):
        on_day(DAYS + 10, number)
        save(str(number))
    old = [divmod(version.saved, DAY) for version in workspace.versions.list(PATH)[ALWAYS:]]
    assert old == [(DAYS - 20, 2), (DAYS - 30, 2)]


def test_labelled_ones_stay_for_ever(workspace, save, on_day):
    on_day(1)
    save("first", label="keep me")
    for number in range(ALWAYS + 5):
        on_day(5000, number)
        save(str(number))
    assert workspace.versions.list(PATH)[-1].label == "keep me"
    assert len(workspace.versions.list(PATH)) == ALWAYS + 2


def test_versions_of_other_files_are_left_alone(workspace, save, on_day, content):
    on_day(1)
    workspace.files.write("workflows/b.json", content("0"), None)
    for number in range(ALWAYS + 5):
        on_day(5000, number)
        save(str(number))
    assert len(workspace.versions.list("workflows/b.json")) == 1
    assert workspace.files.version(workspace.versions.list("workflows/b.json")[0].id).content == content("0")
