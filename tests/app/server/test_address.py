"""Where a server listens, and that a workspace has one."""

import socket
import subprocess
import sys

import pytest

from latentloom.app.server import address
from latentloom.app.server.address import listen, only_server, url_of
from latentloom.graph.problems import Refused


@pytest.fixture
def taken(monkeypatch):
    """The first port is another's."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setattr(address, "FIRST_PORT", other.getsockname()[1])
        yield other.getsockname()[1]


def test_the_next_free_port_is_found(taken):
    with listen("127.0.0.1", None) as listening:
        assert taken < listening.getsockname()[1] < taken + address.PORTS_TRIED
        with socket.create_connection(listening.getsockname()):  # it takes connections already
            connection, _ = listening.accept()
            with connection:
                assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_taken_port_that_was_asked_for_is_told(taken, monkeypatch):
    with pytest.raises(Refused, match=f"Port {taken} is taken"):
        listen("127.0.0.1", taken)
    monkeypatch.setattr(address, "PORTS_TRIED", 1)
    with pytest.raises(Refused, match="all taken"):
        listen("127.0.0.1", None)


def test_an_address_that_is_none_of_this_machine_is_told():
    for wrong in ("203.0.113.7", "no such name", "::ffff:1:2:3"):
        with pytest.raises(Refused, match="cannot be served"):
            listen(wrong, None)


@pytest.mark.parametrize(("bound", "shown"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]")])
def test_the_address_to_open(bound, shown):
    with listen(bound, None) as listening:
        assert url_of(listening) == f"http://{shown}:{listening.getsockname()[1]}"


def test_a_workspace_has_one_server_at_a_time(tmp_path):
    folder = tmp_path / "new" / "workspace"
    with only_server(folder) as tell:
        tell("http://127.0.0.1:7801")
        with (
            pytest.raises(Refused, match=r"already open at http://127\.0\.0\.1:7801\.") as refused,
            only_server(folder),
        ):
            pass
        assert str(folder) in str(refused.value) and "--workspace" in str(refused.value)
        with only_server(tmp_path / "other"):
            pass
    with only_server(folder) as tell:  # and another after it
        (folder / ".latentloom" / "server.json").write_text("{")
        with pytest.raises(Refused, match=r"already open\. Use"), only_server(folder):
            pass


def test_a_killed_server_holds_nothing(tmp_path):
    script = (
        "import os, sys; from pathlib import Path; from latentloom.app.server.address import only_server\n"
        "with only_server(Path(sys.argv[1])) as tell: tell('http://gone'); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path)]).returncode == 9
    with only_server(tmp_path):
        pass


def test_a_place_that_is_no_folder_is_told(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(Refused, match="cannot be used"), only_server(file / "below"):
        pass
