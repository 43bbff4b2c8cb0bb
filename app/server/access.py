"""Who may use the server: secrets, sessions, and names the server answers to. No HTTP here; the guard asks."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

SESSION_SECONDS = 30 * 24 * 3600.0
"""How long a browser stays signed in after it was last seen."""

MAX_SESSIONS = 1000

FREE_TRIES = 5
"""Wrong secrets from one address before it has to wait; the wait doubles with each further one."""

LONGEST_WAIT = 60.0
MAX_ADDRESSES = 10_000

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Access:
    """What was asked for: serve others than this machine, with which secrets, under which names.

    Either secret opens the server, typed into the login page or sent as a bearer token. Without one it is open to
    whoever reaches it, which is why `listen` needs one.
    """

    listen: bool = False
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.listen and not self.protected:
            raise ValueError("A server that others reach needs a password or a token.")

    @property
    def protected(self) -> bool:
        return bool(self.password or self.token)

    def opened_by(self, secret: str) -> bool:
        """Whether `secret` is one of the server's, compared in a time that tells nothing of it."""
        given = _digest(secret)
        known = [_digest(own) for own in (self.password, self.token) if own]
        return sum(hmac.compare_digest(given, own) for own in known) > 0  # a sum: all are compared

    def is_called(self, name: str) -> bool:
        """Whether `name` is one of `hosts`."""
        return name in {host_name(own) for own in self.hosts}

    def answers_to(self, host: str) -> bool:
        """Whether the name in a request's Host header is one of this server.

        A page of another site can make its own name lead to this machine, and would then speak to the server as if it
        were the server's own page; its requests carry that foreign name. An address in numbers cannot be made to lead
        elsewhere, so a server that others reach takes any.
        """
        name = host_name(host)
        if name in _LOOPBACK_NAMES or self.is_called(name):
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return self.listen or address.is_loopback


def host_name(host: str) -> str:
    """`localhost` of `LocalHost:7801`, `::1` of `[::1]:7801`."""
    host = host.strip().lower()
    name = host[1:].partition("]")[0] if host.startswith("[") else host.rpartition(":")[0] or host
    return name.rstrip(".")


class Sessions:
    """Browsers that are signed in. Only digests are kept, so that no listing of memory signs anybody in."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[bytes, float] = {}  # least recently seen first

    def open(self) -> str:
        """The random value of a new cookie."""
        if len(self._seen) >= MAX_SESSIONS:
            self._seen.pop(next(iter(self._seen)))
        value = secrets.token_urlsafe(32)
        self._seen[_digest(value)] = self._clock()
        return value

    def knows(self, value: str) -> bool:
        key = _digest(value)
        seen = self._seen.pop(key, None)
        now = self._clock()
        if seen is None or now - seen > SESSION_SECONDS:
            return False
        self._seen[key] = now
        return True

    def close(self, value: str) -> None:
        self._seen.pop(_digest(value), None)


class Failures:
    """Wrong secrets, counted by the address they came from."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: dict[str, tuple[int, float]] = {}  # failures, and when the next try is heard

    def wait(self, address: str) -> float:
        """Seconds until a secret from `address` is looked at again; 0 when it is now."""
        _, until = self._counts.get(_network(address), (0, 0.0))
        return max(0.0, until - self._clock())

    def failed(self, address: str) -> None:
        key = _network(address)
        count = self._counts.pop(key, (0, 0.0))[0] + 1
        if len(self._counts) >= MAX_ADDRESSES:
            self._counts.pop(next(iter(self._counts)))
        seconds = min(LONGEST_WAIT, 2.0 ** min(count - FREE_TRIES, 10)) if count >= FREE_TRIES else 0.0
        self._counts[key] = (count, self._clock() + seconds)

    def succeeded(self, address: str) -> None:
        self._counts.pop(_network(address), None)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _network(address: str) -> str:
    """One household: an IPv4 address, or the 64 bits of an IPv6 one that its owner cannot change at will."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(found) if found.version == 4 else str(ipaddress.ip_network((int(found), 64), strict=False))
