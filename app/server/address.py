"""Where a server listens, and that a workspace has one server at a time."""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ...graph import atomic
from ...graph.problems import Problem, Refused, quoted

FIRST_PORT = 7801
PORTS_TRIED = 100

_ANY = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}


def listen(address: str, port: int | None) -> socket.socket:
    """A socket that takes connections at once; without a `port`, on the next free one. Raises `Refused`."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for tried in [port] if port is not None else range(FIRST_PORT, FIRST_PORT + PORTS_TRIED):
        try:
            listening = socket.create_server((address, tried), family=family, backlog=1024)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise _refused(f"{quoted(address)}, port {tried}, cannot be served: {error.strerror}.") from None
        else:
            # Inherited by the connections. Without it a small message can wait 40 ms for the answer to the one before.
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return listening
    if port is None:
        raise _refused(
            f"The ports {FIRST_PORT} to {FIRST_PORT + PORTS_TRIED - 1} are all taken; name a free one with --port."
        )
    raise _refused(f"Port {port} is taken by another program; without --port the next free one is found.")


def url_of(listening: socket.socket) -> str:
    """The address to open on this machine."""
    host, port = listening.getsockname()[:2]
    return f"http://{_ANY.get(host, f'[{host}]' if ':' in host else host)}:{port}"


@contextmanager
def only_server(folder: Path) -> Iterator[Callable[[str], None]]:
    """Hold the workspace in `folder` for this server alone; gives what to tell the server's address.

    Raises `Refused` with the address of the one that holds it. The system lets go of the lock of one that was killed.
    """
    inside = folder / ".latentloom"
    note = inside / "server.json"
    lock = FileLock(inside / "server.lock", timeout=0, thread_local=False)
    try:
        inside.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        at = _address_in(note)
        raise _refused(
            f"The workspace {folder} is already open{at}. Use that one, or name another folder with --workspace."
        ) from None
    except OSError as error:
        raise _refused(f"The workspace {folder} cannot be used: {error.strerror}: {error.filename}.") from None
    try:
        yield lambda url: atomic.write(note, json.dumps({"url": url}).encode())
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def _address_in(note: Path) -> str:
    with suppress(OSError, ValueError, KeyError, TypeError):
        return f" at {json.loads(note.read_bytes())['url']}"
    return ""


def _refused(sentence: str) -> Refused:
    return Refused([Problem(sentence)])
