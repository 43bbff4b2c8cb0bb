"""Secrets, sessions, and the names a server answers to."""

import pytest

from latentloom.app.server.access import LONGEST_WAIT, MAX_SESSIONS, SESSION_SECONDS, Access, Failures, Sessions


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_server_that_others_reach_needs_a_secret():
    with pytest.raises(ValueError, match="needs a password or a token"):
        Access(listen=True)
    with pytest.raises(ValueError, match="needs a password or a token"):
        Access(listen=True, password="")
    assert Access(listen=True, token="t").protected and not Access().protected


def test_either_secret_opens_and_nothing_else_does():
    access = Access(password="pass wörd", token="token")
    assert access.opened_by("pass wörd") and access.opened_by("token")
    assert not any(access.opened_by(wrong) for wrong in ("", "pass", "tokens", "\ud800"))
    assert not Access(password="x").opened_by("") and not Access().opened_by("")


def test_secrets_are_not_shown():
    assert "hidden" not in repr(Access(password="hidden", token="hidden"))


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:7801", "127.0.0.1:7801", "127.0.0.1", "[::1]:7801", "127.8.8.8:1", "localhost.:80"]
)
def test_it_answers_to_this_machine(host):
    assert Access().answers_to(host)


@pytest.mark.parametrize(
    "host", ["", "evil.example:7801", "localhost.evil.example", "192.168.1.5:7801", "127.0.0.1.nip.io", "[::2]:7801"]
)
def test_it_answers_to_no_other_name(host):
    assert not Access().answers_to(host)


def test_a_server_that_others_reach_answers_to_addresses_and_named_hosts():
    access = Access(listen=True, token="t", hosts=("Studio.example",))
    assert all(access.answers_to(host) for host in ("192.168.1.5:7801", "[2001:db8::1]:80", "studio.example:443"))
    assert not access.answers_to("evil.example")


def test_sessions_end():
    clock = Clock()
    sessions = Sessions(clock)
    one, two = sessions.open(), sessions.open()
    assert one != two and sessions.knows(one) and not sessions.knows("") and not sessions.knows(one + "x")
    sessions.close(one)
    assert not sessions.knows(one) and sessions.knows(two)
    clock.now = SESSION_SECONDS - 1
    assert sessions.knows(two)  # and is seen again
    clock.now += SESSION_SECONDS - 1
    assert sessions.knows(two)
    clock.now += SESSION_SECONDS + 1
    assert not sessions.knows(two) and not sessions.knows(two)


def test_sessions_are_bounded_and_the_longest_unseen_go_first():
    sessions = Sessions(Clock())
    first, second, *_ = [sessions.open() for _ in range(MAX_SESSIONS)]
    assert sessions.knows(first)
    sessions.open()
    assert sessions.knows(first) and not sessions.knows(second)


def test_failures_cost_time_that_doubles():
    clock = Clock()
    failures = Failures(clock)
    waits = []
    for _ in range(14):
        failures.failed("10.0.0.1")
        waits.append(failures.wait("10.0.0.1"))
        clock.now += waits[-1]
    assert waits[:4] == [0, 0, 0, 0]
    assert waits[4:8] == [1, 2, 4, 8] and waits[-1] == LONGEST_WAIT
    assert failures.wait("10.0.0.2") == 0
    failures.succeeded("10.0.0.1")
    failures.failed("10.0.0.1")
    assert failures.wait("10.0.0.1") == 0


def test_one_household_is_one_address():
    failures = Failures(Clock())
    for number in range(5):
        failures.failed(f"2001:db8:1:2::{number}")
    assert failures.wait("2001:db8:1:2:ffff::1") > 0
    assert failures.wait("2001:db8:1:3::1") == 0 and failures.wait("somewhere") == 0
