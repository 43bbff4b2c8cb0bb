"""What a request meets before any route, whatever lies behind."""

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from latentloom.app.server.access import FREE_TRIES, Access
from latentloom.app.server.guard import DATA_POLICY, PAGE_POLICY, Guard
from latentloom.app.server.limits import BODY_BYTES, UPLOAD_BYTES

OPEN = Access()
LOCKED = Access(password="sesame", token="token")
PAGE = {"accept": "text/html,*/*"}
OWN = "http://127.0.0.1:7801"
SOCKET = "ws://127.0.0.1:7801/api/events"


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{len(await request.body())} {request.url.query}")


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()


def client_of(access: Access, base: str = OWN, **options) -> TestClient:
    methods = ["GET", "POST", "PUT", "DELETE"]
    inner = Starlette(routes=[Route("/{path:path}", echo, methods=methods)])  # as Gradio is mounted
    routes = [
        WebSocketRoute("/api/events", socket),
        Route("/api/{path:path}", echo, methods=methods),
        Mount("/", inner),
    ]
    return TestClient(Guard(Starlette(routes=routes), access), base_url=base, follow_redirects=False, **options)


def refused(response, status):
    assert response.status_code == status
    [problem] = response.json()["problems"]
    assert problem["sentence"].endswith(".")
    return problem["sentence"]


# ---------------------------------------------------------------- names and pages


@pytest.mark.parametrize("access", [OPEN, LOCKED])
def test_a_name_that_leads_here_is_not_enough(access):
    client = client_of(access)
    headers = {"host": "rebound.example:7801", "authorization": "Bearer token"}
    assert "rebound.example" in refused(client.get("/api/jobs", headers=headers), 403)
    assert client_of(Access(hosts=("rebound.example",))).get("/", headers=headers).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:7801"])
def test_pages_of_others_change_nothing(origin):
    client = client_of(OPEN)
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        refused(client.request(method, "/api/queue", headers={"origin": origin}), 403)
    assert client.get("/api/queue", headers={"origin": origin}).status_code == 200
    with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect(SOCKET, headers={"origin": origin}):
        pass
    assert origin in refused(denied.value, 403)


def test_own_pages_and_programs_do():
    client = client_of(OPEN)
    assert client.post("/api/queue", headers={"origin": OWN}).status_code == 200
    assert client.post("/api/queue").status_code == 200  # a program sends no origin
    with client.websocket_connect(SOCKET, headers={"origin": OWN}) as connected:
        assert connected.receive_text() == "hello"


def test_behind_a_proxy_the_allowed_name_is_the_origin():
    client = client_of(Access(hosts=("studio.example",)))
    assert client.post("/api/queue", headers={"origin": "https://studio.example"}).status_code == 200
    refused(client.post("/api/queue", headers={"origin": "https://other.example"}), 403)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_others_may_link_here_but_not_embed(site):
    client = client_of(OPEN)
    link = {"sec-fetch-site": site, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert client.get("/share/x", headers=link).status_code == 200
    refused(client.post("/share/x", headers=link), 403)
    refused(client.get("/share/x", headers=link | {"sec-fetch-dest": "iframe"}), 403)
    refused(client.get("/api/outputs/a.png", headers={"sec-fetch-site": site, "sec-fetch-mode": "no-cors"}), 403)


def test_headers_say_what_may_be_done_with_an_answer():
    client = client_of(OPEN)
    data, page = client.get("/api/outputs/a.svg"), client.get("/")
    assert data.headers["content-security-policy"] == DATA_POLICY and "sandbox" in DATA_POLICY
    assert (
        page.headers["content-security-policy"]
        == PAGE_POLICY
        == client.get("/api/docs").headers["content-security-policy"]
    )
    assert data.headers["cache-control"] == "no-store" and "cache-control" not in page.headers
    for response in (data, page, client_of(LOCKED).get("/")):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cross-origin-resource-policy"] == "same-origin"
        assert response.headers["x-frame-options"] == "SAMEORIGIN"


# ---------------------------------------------------------------- signing in


@pytest.mark.parametrize("path", ["/", "/api/jobs", "/gradio_api/queue/join", "/anything/else", "/login/x", "/logout"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "OPTIONS"])
def test_strangers_are_told_nothing(path, method):
    if (method, path) != ("POST", "/logout"):
        response = client_of(LOCKED).request(method, path)
        assert response.status_code == 401 and response.headers["www-authenticate"] == "Bearer"


def test_strangers_hear_nothing():
    with pytest.raises(WebSocketDenialResponse) as denied, client_of(LOCKED).websocket_connect(SOCKET):
        pass
    refused(denied.value, 401)


def test_a_server_that_cannot_refuse_in_words_closes():
    sent = []

    async def ask() -> None:
        async def receive():
            return {"type": "websocket.connect"}

        async def send(message):
            sent.append(message)

        headers = [(b"host", b"localhost")]
        scope = {"type": "websocket", "path": "/api/events", "headers": headers, "query_string": b"", "extensions": {}}
        await Guard(Starlette(), LOCKED)(scope, receive, send)

    asyncio.run(ask())
    assert [message["type"] for message in sent] == ["websocket.close"] and sent[0]["code"] == 4401


def test_a_person_is_shown_a_page_to_sign_in():
    response = client_of(LOCKED).get("/?file=a%22b", headers=PAGE)
    assert response.status_code == 401 and 'name="secret"' in response.text
    assert 'value="/?file=a%22b"' in response.text
    assert response.headers["cache-control"] == "no-store"


def test_signing_in_and_out():
    client = client_of(LOCKED)
    wrong = client.post("/login", data={"secret": "wrong", "next": "/app"}, headers=PAGE)
    assert wrong.status_code == 401 and "not the password" in wrong.text and "set-cookie" not in wrong.headers
    right = client.post("/login", data={"secret": "sesame", "next": "/app?file=x"}, headers=PAGE)
    assert right.status_code == 303 and right.headers["location"] == "/app?file=x"
    cookie = right.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Secure" not in cookie and "sesame" not in cookie
    assert client.get("/api/jobs").status_code == 200
    with client.websocket_connect(SOCKET) as connected:
        assert connected.receive_text() == "hello"
    kept = dict(client.cookies)
    assert client.get("/login?next=/app").headers["location"] == "/app"
    assert client.post("/logout").headers["location"] == "/login"
    assert not client.cookies
    client.cookies.update(kept)
    assert client.get("/api/jobs").status_code == 401  # the session ended, not only the cookie


def test_under_https_the_cookie_is_secure():
    client = client_of(LOCKED, "https://127.0.0.1:7801")
    assert "Secure" in client.post("/login", data={"secret": "token"}).headers["set-cookie"]


@pytest.mark.parametrize(
    "place", ["https://evil.example", "//evil.example", "/\\evil.example", "evil", "", "/login", "/a\nb", "/ü"]
)
def test_after_signing_in_one_stays_here(place):
    response = client_of(LOCKED).post("/login", data={"secret": "token", "next": place})
    assert response.headers["location"] == "/"


def test_a_bearer_token():
    client = client_of(LOCKED)
    assert client.get("/api/jobs", headers={"authorization": "Bearer token"}).status_code == 200
    assert client.get("/api/jobs", headers={"authorization": "bearer sesame"}).status_code == 200
    with client.websocket_connect(SOCKET, headers={"authorization": "Bearer token"}) as connected:
        assert connected.receive_text() == "hello"
    for wrong in ("Bearer wrong", "Bearer ", "Bearer", "Basic dG9rZW4=", "token"):
        refused(client.get("/api/jobs", headers={"authorization": wrong}), 401)


def test_a_token_in_the_address_is_taken_out_of_it():
    client = client_of(LOCKED)
    response = client.get("/app?file=a%20b&token=token&x=1")
    assert response.status_code == 303 and response.headers["location"] == "/app?file=a+b&x=1"
    assert client.get("/app").status_code == 200
    stranger = client_of(LOCKED)
    refused(stranger.get("/?token=wrong"), 401)
    refused(stranger.post("/api/jobs?token=token"), 401)
    with pytest.raises(WebSocketDenialResponse), stranger.websocket_connect(f"{SOCKET}?token=token"):
        pass


def test_guessing_is_slow_and_being_signed_in_is_not():
    client = client_of(LOCKED)
    client.post("/login", data={"secret": "token"})
    signed_in = dict(client.cookies)
    client.cookies.clear()
    for _ in range(FREE_TRIES):
        refused(client.get("/api/jobs", headers={"authorization": "Bearer guess"}), 401)
    response = client.get("/api/jobs", headers={"authorization": "Bearer token"})
    assert "Too many" in refused(response, 429) and int(response.headers["retry-after"]) >= 0
    assert client.post("/login", data={"secret": "token"}, headers=PAGE).status_code == 429
    refused(client.get("/api/jobs"), 401)  # who guesses nothing is not slowed
    client.cookies.update(signed_in)
    assert client.get("/api/jobs").status_code == 200


def test_asking_without_a_secret_is_no_guess():
    client = client_of(LOCKED)
    for _ in range(3 * FREE_TRIES):
        client.get("/api/jobs")
    assert client.get("/api/jobs", headers={"authorization": "Bearer token"}).status_code == 200


def test_an_open_server_asks_for_nothing():
    client = client_of(OPEN)
    assert client.get("/login").headers["location"] == "/"
    assert client.post("/login", data={"secret": "x", "next": "/app"}).headers["location"] == "/app"
    assert client.get("/api/jobs?token=x").text == "0 token=x"


# ---------------------------------------------------------------- sizes


@pytest.mark.parametrize("path", ["/api/jobs", "/api/uploads", "/gradio_api/upload", "/gradio_api/queue/join"])
def test_bodies_are_limited_whatever_length_they_announce(path):
    limit = UPLOAD_BYTES if "upload" in path else BODY_BYTES
    chunk = bytes(1 << 20)

    def body(size: int):
        yield from (chunk for _ in range(size >> 20))

    client = client_of(OPEN)
    assert client.post(path, content=body(limit)).text == f"{limit} "
    assert client.post(path, content=body(limit + (2 << 20))).status_code == 413
    assert client.post(path, content=b"", headers={"content-length": "0"}).status_code == 200


def test_a_login_is_small():
    assert client_of(LOCKED).post("/login", data={"secret": "x" * 10_000}).status_code == 413


def test_sockets_are_closed_by_those_who_leave():
    with client_of(OPEN).websocket_connect(SOCKET) as connected:
        connected.receive_text()
        with pytest.raises(WebSocketDisconnect):
            connected.receive_text()
