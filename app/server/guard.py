"""What every request and every socket meets first, whoever answers it: our own routes, Gradio's, or files.

In this order: the name the request came for, the page it came from, who sent it, and how large it is. Where the server
is protected nothing at all is told to those who are not signed in, not even what there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from . import pages
from .access import Access, Failures, Sessions, host_name
from .errors import problem_response
from .limits import LOGIN_BYTES, limit_of, limited

_SAFE = ("GET", "HEAD", "OPTIONS")

_EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "SAMEORIGIN",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
PAGE_POLICY = (
    # Gradio's pages hold scripts in their text and make functions of text; nothing may come from another server.
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
DATA_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"
"""Of what is data and never a page of ours, whatever somebody managed to store."""


class Guard:
    """ASGI middleware around the whole server."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access
        self._sessions = Sessions()
        self._failures = Failures()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if scope["type"] == "http":
            send = _with_headers(scope["path"], send)
            receive = limited(receive, limit_of(scope["path"]))
        connection = HTTPConnection(scope)
        answer = self._foreign(connection) or await self._answer(connection, receive)
        if answer is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await answer(scope, receive, send)
        else:
            await _refuse_socket(scope, receive, send, answer)

    def _foreign(self, connection: HTTPConnection) -> Response | None:
        """The refusal of what a page of another site sends; None for all else."""
        headers, scope = connection.headers, connection.scope
        host = headers.get("host", "")
        if not self._access.answers_to(host):
            named = f"the name {host_name(host)}" if host else "no name"
            return problem_response(
                403, f"This server was asked for under {named}, which it does not answer to; --host-name allows one."
            )
        writes = scope["type"] == "websocket" or scope["method"] not in _SAFE
        origin = headers.get("origin")
        if writes and origin is not None and not self._is_own(origin, host):
            return problem_response(403, f"A page of {origin[:200]} may not use this server.")
        opened = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and (writes or not opened):
            return problem_response(403, "A page of another site may link to this server, and no more.")
        return None

    def _is_own(self, origin: str, host: str) -> bool:
        """A proxy may hand on another Host than the one the browser sees, which is then among the allowed names."""
        place = urlsplit(origin).netloc.lower()
        return place == host.lower() or self._access.is_called(host_name(place))

    async def _answer(self, connection: HTTPConnection, receive: Receive) -> Response | None:
        """What is answered before any route is asked: None lets the request through."""
        scope = connection.scope
        path, method = scope["path"].rstrip("/"), scope.get("method", "")
        if path == "/login" and method == "POST":
            return await self._sign_in(Request(scope, limited(receive, LOGIN_BYTES)))
        if path == "/logout" and method == "POST":
            self._sessions.close(connection.cookies.get(_cookie(scope), ""))
            response = RedirectResponse("/login", 303)
            response.delete_cookie(_cookie(scope))
            return response
        refusal = self._stranger(connection) if self._access.protected else None
        if refusal is None and path == "/login" and method in _SAFE:
            return RedirectResponse(_local(connection.query_params.get("next", "/")), 303)
        return refusal

    def _stranger(self, connection: HTTPConnection) -> Response | None:
        """What one who is not signed in is answered; None where the sender is known."""
        if self._sessions.knows(connection.cookies.get(_cookie(connection.scope), "")):
            return None
        scheme, _, bearer = connection.headers.get("authorization", "").partition(" ")
        once = connection.query_params.get("token") if connection.scope.get("method") == "GET" else None
        secret = bearer.strip() if scheme.lower() == "bearer" else once or ""
        if refusal := self._try(connection, secret):
            return refusal
        return self._signed_in(connection, _without_token(connection)) if secret == once else None

    async def _sign_in(self, request: Request) -> Response:
        try:
            async with request.form(max_files=0, max_fields=5) as form:
                secret, place = str(form.get("secret", "")), str(form.get("next", "/"))
        except HTTPException as error:
            return problem_response(error.status_code, error.detail)
        if not self._access.protected:
            return RedirectResponse(_local(place), 303)
        return self._try(request, secret) or self._signed_in(request, _local(place))

    def _try(self, connection: HTTPConnection, secret: str) -> Response | None:
        """The refusal of a wrong secret; None for a right one. None at all is no guess."""
        if not secret:
            return _refusal(connection, 401, "This server asks for its password or token.")
        address = connection.client.host if connection.client else ""
        if seconds := self._failures.wait(address):
            sentence = f"Too many wrong passwords or tokens; the next is heard in {seconds:.0f} s."
            return _refusal(connection, 429, sentence, {"Retry-After": f"{seconds:.0f}"})
        if self._access.opened_by(secret):
            self._failures.succeeded(address)
            return None
        self._failures.failed(address)
        return _refusal(connection, 401, "That is not the password or token of this server.")

    def _signed_in(self, connection: HTTPConnection, place: str) -> Response:
        response = RedirectResponse(place, 303)
        response.set_cookie(
            _cookie(connection.scope),
            self._sessions.open(),
            max_age=30 * 24 * 3600,
            httponly=True,
            samesite="lax",
            secure=connection.url.scheme == "https",
        )
        return response


def _cookie(scope: Scope) -> str:
    """Browsers keep one set of cookies for all ports of a machine."""
    return f"latentloom-{(scope.get('server') or ('', 0))[1]}"


def _refusal(
    connection: HTTPConnection, status: int, sentence: str, headers: Mapping[str, str] | None = None
) -> Response:
    """The login page for a person, problems for a program."""
    headers = dict(headers or {}) | {"Cache-Control": "no-store"}
    if connection.scope["type"] == "http" and "text/html" in connection.headers.get("accept", ""):
        asked = connection.url.path if connection.scope["method"] == "GET" else "/"
        place = connection.query_params.get("next") or f"{asked}?{connection.url.query}".rstrip("?")
        wrong = "" if sentence.startswith("This server asks") else sentence
        return HTMLResponse(pages.login(_local(place), wrong), status, headers)
    return problem_response(status, sentence, headers=headers | {"WWW-Authenticate": "Bearer"})


def _local(place: str) -> str:
    """`place` if it is one on this server and no page for signing in, or else the first page."""
    parts = urlsplit(place)
    plain = place.isascii() and place.isprintable() and "\\" not in place
    outside = parts.scheme or parts.netloc or not place.startswith("/") or place.startswith("//")
    return "/" if outside or not plain or parts.path.rstrip("/") in ("/login", "/logout") else place


def _without_token(connection: HTTPConnection) -> str:
    kept = urlencode([(key, value) for key, value in connection.query_params.multi_items() if key != "token"])
    path = quote(connection.url.path, safe="/%:@!$&'()*+,;=~")
    return _local(f"{path}?{kept}" if kept else path)


def _with_headers(path: str, send: Send) -> Send:
    data = path.startswith("/api/") and not path.startswith("/api/docs")

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _EVERYWHERE.items():
                headers.setdefault(name, value)
            headers.setdefault("Content-Security-Policy", DATA_POLICY if data else PAGE_POLICY)
            if data:
                headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sending


async def _refuse_socket(scope: Scope, receive: Receive, send: Send, answer: Response) -> None:
    """An HTTP answer where the server can give one, or else a close before the handshake, which becomes 403."""
    socket = WebSocket(scope, receive, send)
    if "websocket.http.response" in scope.get("extensions", {}):
        await socket.send_denial_response(answer)
    else:
        await socket.close(4401 if answer.status_code == 401 else 4403)
