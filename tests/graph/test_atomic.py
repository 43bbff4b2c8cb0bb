"""Files are whole or not there, also when the writer fails, is killed, or is not alone."""

import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from latentloom.graph.atomic import PART, replacing, sweep, write, write_new


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_chunks_are_put_one_after_another(tmp_path):
    write(tmp_path / "x", b"one ", memoryview(b"two"))
    assert (tmp_path / "x").read_bytes() == b"one two"
    write(tmp_path / "x", b"three")
    assert (tmp_path / "x").read_bytes() == b"three"
    assert names(tmp_path) == ["x"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, error):
    write(tmp_path / "x", b"old")
    with pytest.raises(error), replacing(tmp_path / "x") as part:
        part.write_bytes(b"ne")
        raise error
    assert (tmp_path / "x").read_bytes() == b"old"
    assert names(tmp_path) == ["x"]


def test_until_the_end_nothing_bears_the_final_name(tmp_path):
    with replacing(tmp_path / "x") as part:
        part.write_bytes(b"new")
        assert part.parent == tmp_path
        assert part.suffix == PART
        assert not (tmp_path / "x").exists()
    assert names(tmp_path) == ["x"]


def test_new_files_have_the_usual_rights_and_old_ones_keep_theirs(tmp_path):
    write(tmp_path / "usual", b"")
    (tmp_path / "plain").touch()
    assert (tmp_path / "usual").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "usual").chmod(0o640)
    write(tmp_path / "usual", b"x")
    assert stat.S_IMODE((tmp_path / "usual").stat().st_mode) == 0o640


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder" / "x", b"old")
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "x")
    write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "x").read_bytes() == b"new"


def test_the_longest_names_can_be_written(tmp_path):
    write(tmp_path / ("ä" * 127), b"x")
    write_new(tmp_path / ("b" * 255), b"x")
    assert len(names(tmp_path)) == 2


def test_what_is_there_is_not_written_over(tmp_path):
    write_new(tmp_path / "x", b"old")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "x", b"new")
    assert (tmp_path / "x").read_bytes() == b"old"
    assert names(tmp_path) == ["x"]


def test_of_many_writers_of_a_new_file_one_wins(tmp_path):
    won, ready = [], threading.Barrier(8)

    def attempt(number):
        ready.wait()
        try:
            write_new(tmp_path / "x", bytes([number]) * 1000)
            won.append(number)
        except FileExistsError:
            pass

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert (tmp_path / "x").read_bytes() == bytes(won) * 1000
    assert names(tmp_path) == ["x"]


def test_without_hard_links_a_new_file_is_moved(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError("not supported here")

    monkeypatch.setattr(os, "link", refused)
    write_new(tmp_path / "x", b"new")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "x", b"newer")
    assert (tmp_path / "x").read_bytes() == b"new"
    assert names(tmp_path) == ["x"]


def test_only_what_is_stale_is_swept(tmp_path):
    for name, age in ((f".old{PART}", 4000), (f".new{PART}", 10), ("old.png", 4000), (".old", 4000)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, time.time() - age))
    assert sweep(tmp_path) == 1
    assert names(tmp_path) == [".new" + PART, ".old", "old.png"]


WRITER = """
import sys
from itertools import count
from pathlib import Path
from latentloom.graph.atomic import write, write_new
folder = Path(sys.argv[1])
print("ready", flush=True)
for turn in count():
    data = bytes([65 + turn % 26]) * 2_000_000
    write(folder / "same", data)
    write_new(folder / f"{sys.argv[2]}-{turn}", data)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_a_writer_killed_at_any_moment_leaves_whole_files(tmp_path):
    chance = random.Random(0)
    for turn in range(12):
        with subprocess.Popen([sys.executable, "-c", WRITER, tmp_path, str(turn)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout
            writer.stdout.readline()
            time.sleep(chance.uniform(0, 0.08))
            writer.kill()
        for path in tmp_path.iterdir():
            if path.suffix != PART:
                data = path.read_bytes()
                assert len(data) == 2_000_000
                assert data == data[:1] * len(data)
    assert len(names(tmp_path)) > 12  # the writers got somewhere
    sweep(tmp_path, older_than=-1)
    assert not [name for name in names(tmp_path) if name.endswith(PART)]
