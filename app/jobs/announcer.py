"""Tells subscribers what changed, in one thread of its own, so that nobody who is slow holds up a job."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import monotonic

from .mailbox import Mailbox
from .wire import Message, QueueMessage

Listener = Callable[[Message], None]

QUEUES_APART = 0.05
"""Seconds at least between two messages of the whole queue, which can be long."""


class Announcer:
    """`queue_now` gives the message of the queue; it is asked only when one is due."""

    def __init__(self, queue_now: Callable[[], QueueMessage]) -> None:
        self._queue_now = queue_now
        self._awake = threading.Event()
        self._messages = Mailbox(self._awake.set)
        self._queue_changed = False
        self._queue_told = -QUEUES_APART
        self._listeners: tuple[Listener, ...] = ()
        self._changing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="queue", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Tell what is left to tell, and end."""
        self._closed = True
        self._awake.set()
        if self._thread.is_alive():
            self._thread.join()

    def tell(self, message: Message) -> None:
        self._messages.put(message)

    def queue_changed(self) -> None:
        self._queue_changed = True
        self._awake.set()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        with self._changing:
            self._listeners = (*self._listeners, listener)

        def leave() -> None:
            with self._changing:
                self._listeners = tuple(other for other in self._listeners if other is not listener)

        return leave

    def _run(self) -> None:
        while not (self._closed and not len(self._messages)):
            due = self._queue_told + QUEUES_APART - monotonic()
            self._awake.wait(max(0.0, due) if self._queue_changed else None)
            self._awake.clear()
            for message in self._messages.take():
                self._pass_on(message)
            if self._queue_changed and monotonic() - self._queue_told >= QUEUES_APART:
                self._queue_changed = False
                self._queue_told = monotonic()
                self._pass_on(self._queue_now())

    def _pass_on(self, message: Message) -> None:
        for listener in self._listeners:
            try:
                listener(message)
            except Exception:  # one broken listener must not silence the others
                logging.getLogger(__name__).exception("A listener of the queue failed")
