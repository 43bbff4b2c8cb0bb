"""Messages that wait for somebody slow: of each node, of each job and of the queue only the latest."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .wire import JobMessage, Message, NodeMessage


class Mailbox:
    """Takes messages from the queue's thread, and gives them to another when it comes for them.

    `ring` is called, in the thread that puts, when the box is no longer empty. It never holds more than one message
    for each node, as each replaces the one before.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._waiting: dict[tuple[str, ...], Message] = {}
        self._lock = threading.Lock()

    def put(self, message: Message) -> None:
        with self._lock:
            empty = not self._waiting
            key = _key(message)
            self._waiting.pop(key, None)  # the newest state of a node comes after what was told before it
            self._waiting[key] = message
        if empty:
            self._ring()

    def take(self) -> list[Message]:
        """All that waits, the oldest first; the box is empty after."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        return list(waiting.values())

    def __len__(self) -> int:
        return len(self._waiting)


def _key(message: Message) -> tuple[str, ...]:
    if isinstance(message, NodeMessage):
        return ("node", message.job, message.node)
    return ("job", message.job.id) if isinstance(message, JobMessage) else ("queue",)
