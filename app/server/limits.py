"""How much a request may send."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from ...graph.document import MAX_BYTES

UPLOAD_BYTES = 64 << 20
"""A picture, or a file to open."""

BODY_BYTES = 2 * MAX_BYTES
"""Everything else: two workflows, as a comparison of them has."""

LOGIN_BYTES = 4096

_LARGE = ("/api/uploads", "/api/open", "/gradio_api/upload")
_FORM_BYTES = 16 << 10
"""What a form adds to the file in it."""


def limit_of(path: str) -> int:
    return UPLOAD_BYTES + _FORM_BYTES if path.startswith(_LARGE) else BODY_BYTES


def limited(receive: Receive, limit: int) -> Receive:
    """Raises `HTTPException` 413 as soon as more than `limit` bytes came, whatever length was announced."""
    received = 0

    async def receiving() -> Message:
        nonlocal received
        message = await receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413, f"The request is larger than the {limit >> 10:,} kB that are taken here.")
        return message

    return receiving
