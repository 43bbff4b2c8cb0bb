"""Parts of models that live, under a budget of memory; the least recently used make room first.

On a GPU an evicted part goes to the computer's memory and is dropped from there only when that is full too; on the CPU
it is dropped. A part in use is never moved or dropped: if nothing else is left to evict, loading goes on with a note.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import torch
from torch import nn

from ...graph.progress import QUIET, Progress
from .runtime import GIB, free_memory

_SHARE = 0.8
_CPU = torch.device("cpu")


@dataclass(eq=False)
class Entry:
    """A live part: where it lies, how large it is, how many use it."""

    name: str
    module: nn.Module
    bytes: int
    device: torch.device
    users: int = 0


@dataclass(frozen=True)
class Living:
    """What lives: `model: part`, bytes, device, whether it is in use."""

    name: str
    bytes: int
    device: str
    in_use: bool


class Pool:
    """Live parts by key, in the order of their last use. Every method may be called from any thread."""

    def __init__(
        self,
        move: Callable[[nn.Module, torch.device], object] = lambda module, device: module.to(device),
        free: Callable[[torch.device], int] = free_memory,
    ) -> None:
        self._move, self._free = move, free
        self._entries: dict[Hashable, Entry] = {}
        self._lock = threading.RLock()
        self.loads = 0
        """How many parts were read from files so far."""

    def take(
        self,
        key: Hashable,
        name: str,
        load: Callable[[], nn.Module],
        size: Callable[[], int],
        device: torch.device,
        budget: int | None = None,
        progress: Progress = QUIET,
    ) -> Entry:
        """The part under `key`, on `device`, in use until `release`. `load` reads it, on the CPU, when it is not here,
        after room for about `size()` bytes was made; `budget` None is 80 % of what is free."""
        with self._lock:
            entry = self._entries.pop(key, None)
            if entry is None:
                self._make_room(device, size(), budget, progress)
                module = load()
                self.loads += 1
                entry = Entry(name, module, size_of(module), _CPU)
            elif entry.device != device:
                self._make_room(device, entry.bytes, budget, progress)
            try:
                self._place(entry, device, progress)
            finally:
                self._entries[key] = entry
            entry.users += 1
            return entry

    def hold(self, entry: Entry) -> None:
        """One more use of an entry already in use; `release` ends it."""
        with self._lock:
            entry.users += 1

    def release(self, entry: Entry, keep: bool = True) -> None:
        """`entry` is used once less; without `keep` it leaves the device when nobody uses it any more."""
        with self._lock:
            entry.users -= 1
            if not keep and not entry.users and entry.device.type != "cpu":
                self._evict(entry)

    def loaded(self) -> list[Living]:
        """What lives now, the least recently used first."""
        # Without the lock, which a load holds for as long as it takes: who looks must not wait for it.
        return [Living(e.name, e.bytes, str(e.device), e.users > 0) for e in list(self._entries.values())]

    def clear(self) -> None:
        """Drop everything that is not in use."""
        with self._lock:
            self._entries = {key: entry for key, entry in self._entries.items() if entry.users}
            _give_back()

    def _place(self, entry: Entry, device: torch.device, progress: Progress) -> None:
        if entry.device == device:
            return
        try:
            self._move(entry.module, device)
        except torch.OutOfMemoryError:
            progress.note(memory=f"{device} was full while {entry.name} was moved to it; all idle parts were evicted.")
            self._evict_idle(device)
            self._move(entry.module, device)
        entry.device = device

    def _make_room(self, device: torch.device, need: int, budget: int | None, progress: Progress) -> None:
        held = self._held(device)
        limit = int(_SHARE * (self._free(device) + held)) if budget is None else budget
        for entry in list(self._entries.values()):
            if held + need <= limit:
                return
            if entry.device == device and not entry.users:
                self._evict(entry)
                held -= entry.bytes
        if held + need > limit:
            progress.note(
                memory=f"{(held + need) / GIB:.2f} GB of parts are needed at once on {device}, over the budget of "
                f"{limit / GIB:.2f} GB; everything idle was evicted."
            )

    def _evict(self, entry: Entry) -> None:
        room = int(_SHARE * (self._free(_CPU) + self._held(_CPU))) if entry.device.type != "cpu" else 0
        idle = (e for e in list(self._entries.values()) if e.device == _CPU and not e.users)
        for other in itertools.takewhile(lambda _: room and self._held(_CPU) + entry.bytes > room, idle):
            self._drop(other)
        if room and self._held(_CPU) + entry.bytes <= room:
            self._move(entry.module, _CPU)
            entry.device = _CPU
        else:
            self._drop(entry)
        _give_back()

    def _evict_idle(self, device: torch.device) -> None:
        for entry in list(self._entries.values()):
            if entry.device == device and not entry.users:
                self._evict(entry)

    def _drop(self, entry: Entry) -> None:
        self._entries = {key: other for key, other in self._entries.items() if other is not entry}

    def _held(self, device: torch.device) -> int:
        return sum(entry.bytes for entry in self._entries.values() if entry.device == device)


def size_of(module: nn.Module) -> int:
    """Bytes of a module's parameters and buffers, each counted once."""
    tensors = {id(t): t for t in itertools.chain(module.parameters(), module.buffers())}
    return sum(t.numel() * t.element_size() for t in tensors.values())


def _give_back() -> None:
    """Let the device's allocator return what was evicted."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
