"""`latentloom edit`: the editor in the browser, served from this machine."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlencode

import uvicorn

from ..graph.node import NodeError
from ..graph.problems import Problem, Refused, quoted
from ..nodes.models import runtime
from ..nodes.models.runtime import RuntimeSettings
from . import folders, opening, show
from .server.access import Access
from .server.address import listen, only_server, url_of

if TYPE_CHECKING:
    from fastapi import FastAPI

MESSAGE_BYTES = 64 << 10
"""What a page may say at once over its socket."""

LAST_ANSWERS = 2
"""Seconds in which answers under way are finished when the server ends."""


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line. `address` is None for this machine alone, `port` for the next free one;
    `machines` says how models run on each device."""

    file: str | None
    workspace: Path
    address: str | None
    port: int | None
    hosts: Sequence[str]
    password: str | None
    token: str | None
    machines: Sequence[RuntimeSettings]
    models: Sequence[Path]
    browser: bool


def edit(request: Request) -> int:
    """Serve until interrupted. Raises `Refused` where the server cannot begin."""
    access = access_of(request)
    file = opening.find(request.file) if request.file is not None else None
    if problems := [*folders.problems((), request.models), *_device_problems(request.machines)]:
        raise Refused(problems)
    folder = request.workspace.expanduser().resolve()
    _set_environment(folder, request.models)
    with ExitStack() as stack:
        say = stack.enter_context(only_server(folder))
        listening = stack.enter_context(closing(listen(request.address or "127.0.0.1", request.port)))
        url = url_of(listening)
        say(url)

        # Imported with the socket open, so that a browser that is early waits instead of failing.
        from .jobs.queue import Queue
        from .server.application import create_app
        from .workspace.workspace import Workspace

        shipped = file is not None and file.resolve().is_relative_to(folders.SHIPPED)
        workspace = stack.enter_context(closing(Workspace(folder, None if shipped else file)))
        for notice in workspace.notices:
            show.line(notice, style="yellow")
        devices = [machine.device for machine in request.machines]
        queue = Queue(workspace.places, devices, request.machines[0], recorder=workspace.history)
        stack.enter_context(closing(queue))
        app = create_app(workspace, queue, access=access)

        def ready() -> None:
            queue.start()
            show.line(f"Latentloom is at {url}; Ctrl+C ends it.", style="bold")
            if request.address is not None:
                show.line(f"Others reach it under the names and addresses of this machine ({socket.gethostname()}).")
            if request.browser:
                threading.Thread(target=webbrowser.open, args=[_page(url, workspace.opened_path, file)]).start()

        run_server(app, listening, ready)
    return 0


def access_of(request: Request) -> Access:
    """Who may use the server. Raises `Refused` for one that is open to others and asks for no secret."""
    if request.address is None:
        return Access(False, request.password, request.token, tuple(request.hosts))
    if not (request.password or request.token):
        raise Refused(
            [
                Problem(
                    "--listen lets others use this machine, so it needs a secret: set LATENTLOOM_PASSWORD or "
                    "LATENTLOOM_TOKEN, or name a file that holds one with --password-file or --token-file."
                )
            ]
        )
    own = socket.gethostname()
    return Access(True, request.password, request.token, (*request.hosts, own, f"{own}.local"))


def secret_of(given: str | None, file: Path | None, option: str) -> str | None:
    """A secret as it was given, or the first line of a file. Raises `Refused`."""
    if file is None:
        return given
    if given is not None:
        raise Refused([Problem(f"{option} and {option}-file were both given; leave one out.")])
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise Refused([Problem(f"{option}-file {quoted(str(file))} cannot be read: {reason}.")]) from None
    if not lines or not lines[0].strip():
        raise Refused([Problem(f"{option}-file {quoted(str(file))} is empty; its first line is the secret.")])
    return lines[0].strip()


class _Server(uvicorn.Server):
    """Calls `ready` as soon as requests are answered, and `ending` when no more are taken."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], ending: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready, self._ending = ready, ending

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        show.line("Ending.")
        self._ending()
        # Pages hold streams open that never end by themselves; to hang up on them is quieter than to cancel them.
        asyncio.get_running_loop().call_later(LAST_ANSWERS, self._hang_up)
        await super().shutdown(sockets)

    def _hang_up(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.close()


def run_server(app: FastAPI, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until a signal ends it; `ready` is called as soon as requests are answered."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # it would hold tokens
        server_header=False,
        ws="websockets-sansio",
        ws_max_size=MESSAGE_BYTES,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=2 * LAST_ANSWERS,
    )
    # uvicorn ends in order, and then raises the signal again that made it end.
    signal.signal(signal.SIGTERM, _leave)
    with suppress(KeyboardInterrupt):
        asyncio.run(_Server(config, ready, app.state.hub.close).serve([listening]))


def _leave(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _device_problems(machines: Sequence[RuntimeSettings]) -> Iterator[Problem]:
    """Devices this machine has not. Every one has a CPU, and "auto" takes what there is: then PyTorch is not loaded."""
    devices = [machine.device for machine in machines]
    for device in dict.fromkeys(device for device in devices if devices.count(device) > 1):
        yield Problem(f"--device {device} is named more than once; each runs one job at a time.")
    for machine in machines:
        if machine.device not in ("auto", "cpu"):
            try:
                runtime.place(machine)
            except NodeError as error:
                yield Problem(f"--device: {error}")


def _set_environment(folder: Path, models: Sequence[Path]) -> None:
    """What the workers inherit, which is no secret, and what Gradio reads when it is imported."""
    for secret in ("LATENTLOOM_PASSWORD", "LATENTLOOM_TOKEN"):
        os.environ.pop(secret, None)
    if models:
        named = [str(path.resolve()) for path in models]
        before = os.environ.get(folders.MODELS_VARIABLE)
        os.environ[folders.MODELS_VARIABLE] = os.pathsep.join([*named, before] if before else named)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("GRADIO_TEMP_DIR", str(folder / ".latentloom" / "gradio"))


def _page(url: str, opened: str | None, file: Path | None) -> str:
    """The address that shows the file the server was started with."""
    if file is None:
        return url
    if opened is not None:
        return f"{url}/?{urlencode({'file': opened})}"
    name = file.resolve().relative_to(folders.SHIPPED).with_suffix("").as_posix()
    return f"{url}/?{urlencode({'template': name})}"
