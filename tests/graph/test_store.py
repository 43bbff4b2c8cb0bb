"""Stores keep what they have room for, forget what was not used for longest, and never give back anything wrong."""

import os
import pickle
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentloom.graph import store as store_module
from latentloom.graph.atomic import PART
from latentloom.graph.store import DiskStore, MemoryStore, Result, Tiers, sizeof


class Tensorlike:
    """Has bytes as tensors and arrays do."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes


@dataclass(frozen=True)
class Image:
    pixels: Tensorlike


def result(nbytes: int) -> Result:
    return Result({"image": Image(Tensorlike(nbytes))})


class Codec:
    """For what tests keep. Real codecs are no pickles."""

    def encode(self, value):
        return pickle.dumps(value)

    def decode(self, data):
        return pickle.loads(data)


# ---------------------------------------------------------------- in memory


def test_bytes_are_counted_through_whatever_holds_them():
    tensor = Tensorlike(1_000_000)
    for value in (tensor, Image(tensor), [Image(tensor)], (1, {"a": Image(tensor)}), {"a": [tensor, tensor]}):
        assert 1_000_000 <= sizeof(value) < 1_001_000
    assert sizeof([Tensorlike(1000), Tensorlike(1000)]) >= 2000


def test_a_value_that_holds_itself_is_counted():
    loop: list = [Tensorlike(1000)]
    loop.append(loop)
    assert sizeof(loop) < 2000


def test_the_least_recently_used_goes_first():
    store = MemoryStore(3 * sizeof(result(500)))
    for key in "abc":
        store.put(key, result(500))
    assert store.get("a")
    store.put("d", result(500))
    assert [key for key in "abcd" if store.get(key)] == ["a", "c", "d"]


def test_what_is_larger_than_all_room_is_not_kept_and_drives_nothing_out():
    store = MemoryStore(10_000)
    store.put("small", result(100))
    store.put("large", result(20_000))
    assert store.get("large") is None
    assert store.get("small")


def test_a_key_kept_anew_counts_once():
    store = MemoryStore(10_000)
    for _ in range(50):
        store.put("a", result(1000))
    assert len(store) == 1
    assert store.bytes == sizeof(result(1000))
    store.clear()
    assert (len(store), store.bytes, store.get("a")) == (0, 0, None)


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 3000), st.booleans())))
def test_the_bound_always_holds(actions):
    store, latest = MemoryStore(5000), {}
    for key, nbytes, reading in actions:
        if reading:
            found = store.get(key)
            assert found is None or found is latest[key]
        else:
            latest[key] = result(nbytes)
            store.put(key, latest[key])
        kept = [found for key in "abcdefgh" if (found := store.get(key))]
        assert store.bytes == sum(map(sizeof, kept)) <= 5000


def test_several_threads_may_use_it():
    store = MemoryStore(20_000)

    def work(name):
        for i in range(300):
            store.put(f"{name}{i % 30}", result(i))
            store.get(f"{name}{i % 7}")

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = [found for name in "abcd" for i in range(30) if (found := store.get(f"{name}{i}"))]
    assert store.bytes == sum(map(sizeof, kept)) <= 20_000


# ---------------------------------------------------------------- on disk


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_another_process_finds_what_was_kept(tmp_path):
    kept = Result({"x": 1}, {"steps": 3}, {"shapes": "abc"})
    DiskStore(tmp_path / "new" / "folder", Codec(), 10_000).put("key", kept)
    store = DiskStore(tmp_path / "new" / "folder", Codec(), 10_000)
    assert store.get("key") == kept
    assert store.get("other") is None


def test_other_versions_do_not_find_it(tmp_path, monkeypatch):
    DiskStore(tmp_path, Codec(), 10_000).put("key", Result({"x": 1}))
    monkeypatch.setattr(store_module, "version", lambda package: "99.0")
    assert DiskStore(tmp_path, Codec(), 10_000).get("key") is None


@settings(max_examples=50)
@given(st.data())
def test_a_damaged_entry_is_dropped(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("store")
    store = DiskStore(folder, Codec(), 10_000)
    store.put("key", Result({"x": list(range(20))}))
    path = only_file(folder)
    content = path.read_bytes()
    if data.draw(st.booleans(), "truncate"):
        damaged = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        place = data.draw(st.integers(0, len(content) - 1))
        damaged = content[:place] + bytes([content[place] ^ data.draw(st.integers(1, 255))]) + content[place + 1 :]
    path.write_bytes(damaged)
    assert store.get("key") is None
    assert not path.exists()
    store.put("key", Result({"x": 2}))
    assert store.get("key") == Result({"x": 2})


def test_an_entry_the_codec_no_longer_reads_is_dropped(tmp_path):
    class Changed(Codec):
        def decode(self, data):
            raise RuntimeError

    DiskStore(tmp_path, Codec(), 10_000).put("key", Result({"x": 1}))
    assert DiskStore(tmp_path, Changed(), 10_000).get("key") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [TypeError, MemoryError])
def test_what_cannot_be_encoded_is_not_kept(tmp_path, error):
    class Refusing(Codec):
        def encode(self, value):
            raise error

    store = DiskStore(tmp_path, Refusing(), 10_000)
    store.put("key", Result({"x": 1}))
    assert store.get("key") is None


def test_files_stay_within_the_bound_and_the_least_recently_used_goes_first(tmp_path):
    store = DiskStore(tmp_path, Codec(), 3500)
    for age, key in enumerate("abc"):
        store.put(key, Result({"x": bytes(1000)}))
        newest = max(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        os.utime(newest, (0, 1000 + age))
    assert store.get("a")
    store.put("d", Result({"x": bytes(1000)}))
    assert [key for key in "abcd" if store.get(key)] == ["a", "c", "d"]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 3500
    store.put("large", Result({"x": bytes(4000)}))
    assert store.get("large") is None
    assert store.get("d")


def test_what_killed_writers_left_is_swept(tmp_path):
    for age in (0, 10**6):
        part = tmp_path / f".x{age}{PART}"
        part.touch()
        os.utime(part, (0, part.stat().st_mtime - age))
    DiskStore(tmp_path, Codec(), 10_000)
    assert [path.name for path in tmp_path.iterdir()] == [f".x0{PART}"]


def test_a_folder_that_went_away_costs_nothing_but_the_keeping(tmp_path):
    store = DiskStore(tmp_path / "gone", Codec(), 10_000)
    (tmp_path / "gone").rmdir()
    store.put("key", Result({"x": 1}))
    assert store.get("key") is None


# ---------------------------------------------------------------- one behind the other


def test_what_the_slower_store_has_is_kept_in_the_quicker_one(tmp_path):
    memory, disk = MemoryStore(10_000), DiskStore(tmp_path, Codec(), 10_000)
    both = Tiers(memory, disk)
    assert both.get("key") is None
    both.put("key", Result({"x": 1}))
    assert memory.get("key") == disk.get("key") == Result({"x": 1})
    memory.clear()
    assert both.get("key") == Result({"x": 1})
    assert memory.get("key") == Result({"x": 1})


@pytest.mark.parametrize("first", [True, False])
def test_either_store_may_forget(tmp_path, first):
    memory, disk = MemoryStore(10_000 if first else 0), DiskStore(tmp_path, Codec(), 0 if first else 10_000)
    both = Tiers(memory, disk)
    both.put("key", Result({"x": 1}))
    assert both.get("key") == Result({"x": 1})
