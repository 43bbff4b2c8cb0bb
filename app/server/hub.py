"""Everybody who listens: each socket is told what concerns it, and only the latest of what it was too slow to hear."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from pydantic import BaseModel

from ..jobs.mailbox import Mailbox
from ..jobs.queue import Queue
from ..jobs.wire import ENDED, Job, JobDetail, JobMessage, NodeMessage, QueueMessage, Snapshot
from .messages import File, FileMessage, Hello, PresenceMessage, Watch

MAX_LISTENERS = 512

SECONDS_A_JOB = 0.001
"""Between two messages of the whole queue, for each job in it."""


class Post:
    """A message to several, written out once."""

    def __init__(self, message: BaseModel, key: tuple[str, ...]) -> None:
        self.message, self.key = message, key
        self._text: str | None = None

    @property
    def text(self) -> str:
        if self._text is None:
            self._text = self.message.model_dump_json()
        return self._text


class Listener:
    """One socket. Its box holds at most one message for each node it watches, each job, and each file."""

    def __init__(self) -> None:
        self.client = ""
        self.job: str | None = None
        self.file: str | None = None
        self.ringing = asyncio.Event()
        self._box: dict[tuple[str, ...], Post] = {}
        self._snapshot = False

    def put(self, post: Post) -> None:
        self._box.pop(post.key, None)  # the newest state comes after what was told before it
        self._box[post.key] = post
        self.ringing.set()

    def watch(self, job: str | None) -> None:
        self.job, self._snapshot = job, True
        self._box = {key: post for key, post in self._box.items() if key[0] != "node"}
        self.ringing.set()

    def take(self) -> tuple[bool, list[Post]]:
        """Whether it is to be told everything first, and what else there is, the oldest first."""
        posts, self._box = list(self._box.values()), {}
        snapshot, self._snapshot = self._snapshot, False
        self.ringing.clear()
        return snapshot, posts


class Hub:
    """Lives in the event loop; the queue calls in from its own thread and is never held up."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._listeners: dict[Listener, None] = {}
        self._endings: dict[str, set[asyncio.Event]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._mailbox = Mailbox(self._ring)
        self._watched: frozenset[str | None] = frozenset()
        self._latest: QueueMessage | None = None
        self._newer: dict[str, Job] = {}
        self._told = 0.0
        self._due: asyncio.TimerHandle | None = None
        self._unsubscribe: Callable[[], None] = lambda: None

    def open(self) -> None:
        """Begin to hear the queue, in the running loop."""
        self._loop = asyncio.get_running_loop()
        self._unsubscribe = self._queue.subscribe(self._heard)

    def close(self) -> None:
        """Tell nothing more, and let go of those who wait for jobs. May be called twice."""
        self._unsubscribe()
        self._unsubscribe, self._loop = lambda: None, None
        for event in [event for events in self._endings.values() for event in events]:
            event.set()
        if self._due is not None:
            self._due.cancel()

    # ---------------------------------------------------------------- in the queue's thread

    def _heard(self, message: QueueMessage | JobMessage | NodeMessage) -> None:
        if not isinstance(message, NodeMessage) or message.job in self._watched:
            self._mailbox.put(message)

    def _ring(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver)

    # ---------------------------------------------------------------- in the loop

    def _deliver(self) -> None:
        for message in self._mailbox.take():
            if isinstance(message, NodeMessage):
                post = Post(message, ("node", message.node))
                self._tell(post, (each for each in self._listeners if each.job == message.job))
                continue
            if isinstance(message, JobMessage):
                self._newer[message.job.id] = message.job
                self._end([message.job])
                self._tell(Post(message, ("job", message.job.id)), self._listeners)
            else:
                self._end(message.jobs)
                self._queue_changed(message)

    def _queue_changed(self, message: QueueMessage) -> None:
        """A long queue is told less often than a short one: what happens to single jobs is told besides."""
        self._latest, self._newer = message, {}
        if self._due is None and self._loop is not None:
            wait = self._told + SECONDS_A_JOB * len(message.jobs) - self._loop.time()
            self._due = self._loop.call_later(wait, self._tell_queue) if wait > 0 else None
            if wait <= 0:
                self._tell_queue()

    def _tell_queue(self) -> None:
        self._due = None
        if self._latest is not None and self._loop is not None:
            self._told = self._loop.time()
            jobs = [self._newer.get(job.id, job) for job in self._latest.jobs]  # never older than what was told of one
            self._tell(Post(QueueMessage(paused=self._latest.paused, jobs=jobs), ("queue",)), self._listeners)

    def _tell(self, post: Post, listeners: Iterable[Listener]) -> None:
        for listener in listeners:
            listener.put(post)

    def _end(self, jobs: Iterable[Job]) -> None:
        for job in jobs if self._endings else ():
            if job.status in ENDED:
                for event in self._endings.get(job.id, ()):
                    event.set()

    async def ended(self, id_: str, seconds: float) -> JobDetail:
        """The job once it ended, or as it is after `seconds`. Raises `KeyError` for one the queue does not know."""
        event = asyncio.Event()
        self._endings.setdefault(id_, set()).add(event)
        try:
            job = await asyncio.to_thread(self._queue.detail, id_)
            if job.status in ENDED or seconds <= 0:
                return job
            with suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), seconds)
            return await asyncio.to_thread(self._queue.detail, id_)
        finally:
            self._endings[id_].discard(event)
            if not self._endings[id_]:
                del self._endings[id_]

    # ---------------------------------------------------------------- sockets

    @property
    def full(self) -> bool:
        return len(self._listeners) >= MAX_LISTENERS

    @contextmanager
    def listening(self) -> Iterator[Listener]:
        """A listener for as long as its socket lasts."""
        listener = Listener()
        self._listeners[listener] = None
        try:
            yield listener
        finally:
            del self._listeners[listener]
            self._look()
            self._count(listener.file)

    def hear(self, listener: Listener, request: Hello | Watch | File) -> None:
        """Do what the page at the other end asks for."""
        if isinstance(request, Hello):
            listener.client = request.client
            self._open(listener, request.file)
            listener.watch(request.watch)
        elif isinstance(request, Watch):
            listener.watch(request.job)
        else:
            self._open(listener, request.path)
        self._look()

    def file_changed(self, path: str, etag: str | None, client: str | None) -> None:
        """Tell everybody that a file was saved, or with `etag` None that it is no longer there."""
        self._tell(Post(FileMessage(path=path, etag=etag, client=client), ("file", path)), self._listeners)

    async def snapshot(self, job: str | None) -> Snapshot:
        """All there is to tell one who looks at `job`."""

        def look() -> Snapshot:
            try:
                watched = self._queue.detail(job) if job is not None else None
            except KeyError:
                watched = None
            return Snapshot(paused=self._queue.paused, jobs=self._queue.jobs(), watched=watched)

        return await asyncio.to_thread(look)

    def _look(self) -> None:
        self._watched = frozenset(listener.job for listener in self._listeners)

    def _open(self, listener: Listener, path: str | None) -> None:
        before, listener.file = listener.file, path
        for changed in {before, path}:
            self._count(changed)

    def _count(self, path: str | None) -> None:
        """Tell those who have the file open how many others have. A tab that reconnects is one, not two."""
        if path is None:
            return
        there = [listener for listener in self._listeners if listener.file == path]
        clients = {listener.client for listener in there}
        for listener in there:
            others = len(clients - {listener.client})
            listener.put(Post(PresenceMessage(path=path, others=others), ("presence", path)))
