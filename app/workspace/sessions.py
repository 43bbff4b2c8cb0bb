"""Which servers are at work in a workspace: each holds a lock on a file, and a lock ends with its process."""

from __future__ import annotations

import secrets
import threading
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout


class Sessions:
    """`token` names this server. The files lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.token = secrets.token_hex(8)
        self._folder = folder
        self._guard = threading.Lock()
        self._held: FileLock | None = None

    def begin(self) -> None:
        """From now on this server is known to be at work."""
        with self._guard:
            if self._held is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                # Taken in whichever thread records the first run, and let go in the one that closes.
                lock = FileLock(self._path(self.token), thread_local=False)
                lock.acquire()
                self._held = lock

    def end(self) -> None:
        with self._guard:
            if self._held is not None:
                self._held.release()
                self._path(self.token).unlink(missing_ok=True)
                self._held = None

    def is_over(self, token: str) -> bool:
        """Whether the server `token` is at work no more, however it ended."""
        if token == self.token:
            return False
        path = self._path(token)
        try:
            with FileLock(path, timeout=0):
                pass
        except Timeout:
            return False
        except OSError:  # the folder is not there
            return True
        with suppress(OSError):
            path.unlink()
        return True

    def _path(self, token: str) -> Path:
        return self._folder / f"{token}.lock"
