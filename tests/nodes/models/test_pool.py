"""The budget decides what lives; the least recently used goes first, and never what is in use."""

import threading
import time

import pytest
import torch
from torch import nn

from latentloom.graph.progress import Progress
from latentloom.nodes.models.pool import Pool, size_of

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
KIB = 1024


def part(kib: int = 1) -> nn.Module:
    return nn.Linear(256 * kib, 1, bias=False)


class Shelf:
    """A pool of parts of a given size, with as much memory as the test says; moves are recorded, not made."""

    def __init__(self, free: int = 1000 * KIB) -> None:
        self.moves: list[tuple[nn.Module, torch.device]] = []
        self.notes: list[str] = []
        self.free = free
        self.pool = Pool(move=lambda module, device: self.moves.append((module, device)), free=lambda _: self.free)

    def take(self, name: str, kib: int = 1, device: torch.device = CPU, budget: int | None = None):
        progress = Progress(on_note=lambda facts: self.notes.append(facts["memory"]))
        return self.pool.take(name, name, lambda: part(kib), lambda: kib * KIB, device, budget, progress)

    def visit(self, name: str, **options) -> nn.Module:
        entry = self.take(name, **options)
        self.pool.release(entry)
        return entry.module

    def names(self, device: str = "cpu") -> list[str]:
        return [living.name for living in self.pool.loaded() if living.device == device]


def test_what_is_loaded_once_is_taken_again():
    shelf = Shelf()
    assert shelf.visit("a") is shelf.visit("a") and shelf.pool.loads == 1
    (living,) = shelf.pool.loaded()
    assert (living.name, living.bytes, living.device, living.in_use) == ("a", KIB, "cpu", False)


def test_a_budget_for_one_evicts_the_other():
    shelf = Shelf()
    for name in "abab":
        shelf.visit(name, budget=KIB)
    assert shelf.names() == ["b"] and shelf.pool.loads == 4


def test_a_budget_for_both_keeps_both():
    shelf = Shelf()
    for name in "abab":
        shelf.visit(name, budget=2 * KIB)
    assert shelf.names() == ["a", "b"] and shelf.pool.loads == 2


def test_the_least_recently_used_goes_first():
    shelf = Shelf()
    for name in "abcab":
        shelf.visit(name, budget=3 * KIB)
    shelf.visit("d", budget=3 * KIB)
    assert shelf.names() == ["a", "b", "d"]


def test_only_as_much_is_evicted_as_is_needed():
    shelf = Shelf()
    for name in "abc":
        shelf.visit(name, budget=4 * KIB)
    shelf.visit("d", kib=2, budget=4 * KIB)
    assert shelf.names() == ["b", "c", "d"]


def test_what_is_in_use_stays_and_the_rest_goes_with_a_note():
    shelf = Shelf()
    used = shelf.take("used", budget=2 * KIB)
    shelf.visit("idle", budget=2 * KIB)
    shelf.visit("large", kib=2, budget=2 * KIB)
    assert shelf.names() == ["used", "large"] and "over the budget" in shelf.notes[0]
    shelf.pool.release(used)
    shelf.visit("other", kib=2, budget=2 * KIB)
    assert shelf.names() == ["other"] and len(shelf.notes) == 1


def test_without_a_budget_four_fifths_of_what_is_free_are_filled():
    shelf = Shelf()
    for left, name in ((10, "a"), (9, "b"), (8, "c")):
        shelf.free = left * KIB
        shelf.visit(name)
    assert shelf.names() == ["a", "b", "c"] and not shelf.notes
    shelf.free = KIB  # another program took the rest: 80 % of the 4 KiB that are free or ours
    shelf.visit("d")
    assert shelf.names() == ["b", "c", "d"]


def test_a_gpus_parts_go_to_memory_and_come_back_without_reading_files():
    shelf = Shelf()
    first = shelf.visit("a", device=GPU, budget=KIB)
    second = shelf.visit("b", device=GPU, budget=KIB)
    assert shelf.names("cuda:0") == ["b"] and shelf.names("cpu") == ["a"]
    assert shelf.visit("a", device=GPU, budget=KIB) is first and shelf.pool.loads == 2
    assert shelf.moves == [(first, GPU), (first, CPU), (second, GPU), (second, CPU), (first, GPU)]


def test_a_gpus_parts_are_dropped_when_memory_is_full_too():
    shelf = Shelf()
    shelf.pool._free = lambda device: (
        3 * KIB - KIB * len(shelf.names(str(device)))
    )  # room for two, four fifths of three
    for name in "abcd":
        shelf.visit(name, device=GPU, budget=KIB)
    assert shelf.names("cuda:0") == ["d"] and shelf.names("cpu") == ["b", "c"]
    shelf.visit("large", kib=3, device=GPU, budget=3 * KIB)
    shelf.visit("a", device=GPU, budget=KIB)  # the large part has no place in memory at all
    assert shelf.names("cuda:0") == ["a"] and "large" not in shelf.names("cpu")


def test_a_part_leaves_the_gpu_when_its_use_ends_if_asked():
    shelf = Shelf()
    entry = shelf.take("a", device=GPU)
    shelf.pool.hold(entry)
    shelf.pool.release(entry, keep=False)
    assert shelf.names("cuda:0") == ["a"]
    shelf.pool.release(entry, keep=False)
    assert shelf.names("cuda:0") == [] and shelf.names("cpu") == ["a"]


def test_a_full_gpu_is_emptied_and_tried_again():
    shelf = Shelf()
    shelf.visit("idle", device=GPU, budget=100 * KIB)
    tries = []

    def move(module: nn.Module, device: torch.device) -> None:
        tries.append(device)
        if device == GPU and tries.count(GPU) == 1:
            raise torch.OutOfMemoryError("full")

    shelf.pool._move = move
    shelf.visit("a", device=GPU, budget=100 * KIB)
    assert shelf.names("cuda:0") == ["a"] and shelf.names("cpu") == ["idle"] and "was full" in shelf.notes[0]


def test_a_failed_load_leaves_nothing_behind():
    shelf = Shelf()

    def fail() -> nn.Module:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        shelf.pool.take("a", "a", fail, lambda: KIB, CPU)
    assert shelf.pool.loaded() == [] and shelf.pool.loads == 0
    assert shelf.visit("a") is not None


def test_threads_share_one_load():
    shelf, modules = Shelf(), []

    def load() -> nn.Module:
        time.sleep(0.02)
        return part()

    def work() -> None:
        entry = shelf.pool.take("a", "a", load, lambda: KIB, CPU, KIB)
        modules.append(entry.module)
        shelf.pool.release(entry)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(modules) == 8 and len({id(module) for module in modules}) == 1 and shelf.pool.loads == 1


def test_looking_does_not_wait_for_a_load():
    shelf, begun, done = Shelf(), threading.Event(), threading.Event()
    shelf.visit("a")

    def load() -> nn.Module:
        begun.set()
        assert done.wait(timeout=30)
        return part()

    loader = threading.Thread(target=lambda: shelf.pool.take("b", "b", load, lambda: KIB, CPU))
    loader.start()
    assert begun.wait(timeout=30) and shelf.names() == ["a"]
    done.set()
    loader.join(timeout=30)
    assert shelf.names() == ["a", "b"]


def test_clear_keeps_what_is_in_use():
    shelf = Shelf()
    shelf.take("used")
    shelf.visit("idle")
    shelf.pool.clear()
    assert shelf.names() == ["used"]


def test_shared_tensors_are_counted_once():
    module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    shared = nn.Sequential(module[0], module[0])
    assert size_of(shared) == (16 + 4) * 4
    assert size_of(module) == (16 + 4 + 4 * 4) * 4 + 8  # weight, bias, mean, variance, and a counter of 8 bytes
