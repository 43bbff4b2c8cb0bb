"""The socket on which a page hears what happens, and says what it looks at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter, WebSocket
from pydantic import ValidationError

from .hub import Hub, Listener
from .messages import REQUEST, File, Hello, Watch
from .parts import ItsHub

PACE = 0.01
"""Seconds between two rounds of messages to one page: less than a frame of a screen."""

router = APIRouter()


@router.websocket("/api/events")
async def events(socket: WebSocket, hub: ItsHub) -> None:
    """Nothing is told before the page asked for something; a `hello` or a `watch` is answered with a snapshot."""
    await socket.accept()
    if hub.full:
        await socket.close(1013, "Too many pages listen to this server.")
        return
    with hub.listening() as listener:
        telling: asyncio.Task[None] | None = None
        try:
            async for request in _requests(socket):
                hub.hear(listener, request)
                telling = telling or asyncio.create_task(_tell(socket, hub, listener))
        finally:
            if telling is not None:
                telling.cancel()
                await asyncio.gather(telling, return_exceptions=True)


async def _requests(socket: WebSocket) -> AsyncIterator[Hello | Watch | File]:
    """What the page asks, until it leaves; one that asks for what there is not is shown out with the reason."""
    while (message := await socket.receive())["type"] == "websocket.receive":
        try:
            yield REQUEST.validate_json(message.get("text") or message.get("bytes") or b"")
        except ValidationError as error:
            # The reason of a close has room for 123 bytes.
            await socket.close(1007, f"No such request: {error.errors()[0]['msg']}"[:120])
            return


async def _tell(socket: WebSocket, hub: Hub, listener: Listener) -> None:
    """Sending waits for a slow page; what happens meanwhile gathers in its box, the latest of each."""
    while True:
        await listener.ringing.wait()
        everything, posts = listener.take()
        if everything:
            await socket.send_text((await hub.snapshot(listener.job)).model_dump_json())
        for post in posts:
            await socket.send_text(post.text)
        await asyncio.sleep(PACE)
