"""The database is never lost: not damaged ones, not newer ones, not between threads and processes."""

from __future__ import annotations

import sqlite3
import threading

import pytest
from sqlalchemy import create_engine, inspect

from latentloom.app.workspace import database, schema
from latentloom.app.workspace.database import Database
from latentloom.app.workspace.workspace import Workspace
from latentloom.graph.problems import Refused


@pytest.fixture
def path(tmp_path):
    return tmp_path / "memory/history.sqlite"


def scalar(path, statement):
    connection = sqlite3.connect(path)
    try:
        return connection.execute(statement).fetchone()[0]
    finally:
        connection.close()


def test_the_upgrades_make_the_tables_that_are_declared(path):
    Database(path).open()
    engine = create_engine(f"sqlite:///{path}")
    found = inspect(engine)
    assert set(found.get_table_names()) == set(schema.tables.tables)
    for name, table in schema.tables.tables.items():
        made = {column["name"]: (str(column["type"]), column["nullable"]) for column in found.get_columns(name)}
        declared = {
            column.name: (str(column.type.compile(engine.dialect)), column.nullable) for column in table.columns
        }
        keys = {column.name for column in table.primary_key}
        assert set(found.get_pk_constraint(name)["constrained_columns"]) == keys
        assert {n: kind for n, kind in made.items() if n not in keys} == {
            n: kind for n, kind in declared.items() if n not in keys
        }
    engine.dispose()


def test_it_is_kept_with_a_journal_and_a_version(path):
    kept = Database(path)
    kept.open()
    assert scalar(path, "PRAGMA journal_mode") == "wal"
    assert scalar(path, "PRAGMA user_version") == schema.VERSION
    kept.close()


def test_an_older_one_is_upgraded_step_by_step(path, monkeypatch):
    old = Database(path)
    with old.writing() as connection:
        connection.exec_driver_sql("INSERT INTO shares VALUES ('t', 'mine', 1.0, NULL, 'h')")
    old.close()
    later = (*schema.UPGRADES, ("ALTER TABLE shares ADD COLUMN seen INTEGER NOT NULL DEFAULT 7",), ("SELECT 1",))
    monkeypatch.setattr(database, "UPGRADES", later)
    new = Database(path)
    with new.reading() as connection:
        assert connection.exec_driver_sql("SELECT name, seen FROM shares").one() == ("mine", 7)
    assert scalar(path, "PRAGMA user_version") == schema.VERSION + 2
    new.close()
    Database(path).open()  # and not once more


def test_an_upgrade_that_fails_changes_nothing(path, monkeypatch):
    Database(path).open()
    monkeypatch.setattr(database, "UPGRADES", (*schema.UPGRADES, ("DROP TABLE shares", "nonsense")))
    with pytest.raises(Refused, match="cannot be used"):
        Database(path).open()
    assert scalar(path, "PRAGMA user_version") == schema.VERSION
    assert scalar(path, "SELECT count(*) FROM shares") == 0


def test_one_of_a_newer_version_is_refused_and_left_as_it_is(folder, content):
    workspace = Workspace(folder)
    workspace.drafts.put("draft-0001", content())
    workspace.close()
    path = folder / ".latentloom/history.sqlite"
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    connection.close()
    with pytest.raises(Refused, match=r"written by a newer version.*Upgrade latentloom") as refused:
        Workspace(folder)
    assert str(path) in str(refused.value)
    assert scalar(path, "SELECT count(*) FROM drafts") == 1


def spoil(path, how):
    data = bytearray(path.read_bytes())
    if how == "no database":
        data = bytearray(b"This is no database at all, but something a person put here." * 100)
    elif how == "cut off":
        data = data[: len(data) // 2]
    else:
        data[4096 : len(data) : 3] = bytes(len(range(4096, len(data), 3)))
    path.write_bytes(data)
    return bytes(data)


@pytest.mark.parametrize("how", ["no database", "cut off", "scribbled over"])
def test_a_damaged_one_is_set_aside_and_said(folder, content, how):
    workspace = Workspace(folder)
    for number in range(50):
        workspace.drafts.put(f"draft-{number:04d}", content("x" * 500 + str(number)))
    workspace.files.write("workflows/a.json", content(), None)
    workspace.close()
    spoilt = spoil(folder / ".latentloom/history.sqlite", how)
    again = Workspace(folder)
    (notice,) = again.notices
    (aside,) = (folder / ".latentloom").glob("history.damaged-*.sqlite")
    assert "is damaged" in notice and aside.name in notice
    assert aside.read_bytes() == spoilt
    assert again.drafts.list() == [] and again.files.read("workflows/a.json").content == content()
    again.drafts.put("draft-0001", content())
    again.close()
    assert Workspace(folder).notices == ()


def test_damaged_ones_of_the_same_second_are_all_kept(path, monkeypatch):
    path.parent.mkdir()
    monkeypatch.setattr(database.time, "strftime", lambda form: "20300101-000000")
    for number in range(3):
        path.write_bytes(b"nonsense %d" % number * 1000)
        opened = Database(path)
        opened.open()
        opened.close()
    assert len({aside.read_bytes() for aside in path.parent.glob("*damaged*.sqlite")}) == 3


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match="cannot be used"):
        Database(tmp_path / "file/history.sqlite").open()


def test_a_block_that_fails_keeps_nothing(path):
    kept = Database(path)
    with pytest.raises(RuntimeError), kept.writing() as connection:
        connection.exec_driver_sql("INSERT INTO run_words VALUES ('a', 'b')")
        raise RuntimeError
    with kept.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM run_words").scalar() == 0


def test_many_threads_that_read_then_write_all_get_through(path):
    kept, failed = Database(path), []
    with kept.writing() as connection:
        connection.exec_driver_sql("INSERT INTO run_words VALUES ('count', '0')")

    def work():
        try:
            for _ in range(20):
                with kept.writing() as connection:
                    found = connection.exec_driver_sql("SELECT words FROM run_words").scalar_one()
                    connection.exec_driver_sql("UPDATE run_words SET words = ?", (str(int(found) + 1),))
        except Exception as error:  # told by the test
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with kept.reading() as connection:
        assert connection.exec_driver_sql("SELECT words FROM run_words").scalar() == "160"
    assert failed == []
