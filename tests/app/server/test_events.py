"""The socket: who is told what, and that nobody slow is told more than the latest."""

import asyncio
import json
import time

import pytest
from serving import HOST, client_of, submit
from starlette.testclient import WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from latentloom.app.jobs.wire import NodeMessage, NodeState
from latentloom.app.server import hub as hubs
from latentloom.app.server.hub import Hub, Listener, Post

URL = f"ws://{HOST}/api/events"


@pytest.fixture
def client(tmp_path):
    with client_of(tmp_path) as client:
        yield client


def hello(socket: WebSocketTestSession, client: str = "one", watch: str | None = None, file: str | None = None) -> dict:
    socket.send_json({"type": "hello", "client": client, "watch": watch, "file": file})
    return until(socket, "snapshot")


def until(socket: WebSocketTestSession, kind: str, **wanted) -> dict:
    """The next message of a kind, and with these values."""
    for _ in range(1000):
        message = socket.receive_json()
        if message["type"] == kind and all(message[key] == value for key, value in wanted.items()):
            return message
    raise AssertionError(f"no {kind} with {wanted}")


def test_hello_is_answered_with_everything(client):
    id_ = submit(client)
    with client.websocket_connect(URL) as socket:
        snapshot = hello(socket, watch=id_)
        assert snapshot["watched"]["id"] == id_ and set(snapshot["watched"]["nodes"]) == {"one", "shown"}
        assert [job["id"] for job in snapshot["jobs"]] == [id_] and snapshot["paused"] is False


def test_only_who_watches_a_job_is_told_of_its_nodes(client):
    first, second = submit(client), submit(client)
    queue = client.app.state.queue
    with client.websocket_connect(URL) as one, client.websocket_connect(URL) as two:
        hello(one, "one", watch=first)
        hello(two, "two", watch=second)
        queue.set_node(first, "one", status="running", preview="data:,first")
        queue.set_node(second, "one", status="running", preview="data:,second")
        queue.set(first, status="done")
        seen = {"one": [], "two": []}
        for name, socket in (("one", one), ("two", two)):
            while (message := socket.receive_json())["type"] != "job":
                seen[name].append((message["job"], message["state"]["preview"]))
        assert seen == {"one": [(first, "data:,first")], "two": [(second, "data:,second")]}


def test_watching_another_job_is_answered_with_a_snapshot(client):
    first, second = submit(client), submit(client)
    with client.websocket_connect(URL) as socket:
        hello(socket, watch=first)
        client.app.state.queue.set_node(second, "one", status="done", seconds=2.5)
        socket.send_json({"type": "watch", "job": second})
        watched = until(socket, "snapshot")["watched"]
        assert watched["id"] == second and watched["nodes"]["one"]["seconds"] == 2.5
        client.app.state.queue.set_node(second, "one", status="done", seconds=3.5)
        assert until(socket, "node", job=second)["state"]["seconds"] == 3.5
        socket.send_json({"type": "watch", "job": "nobody"})
        assert until(socket, "snapshot")["watched"] is None
        socket.send_json({"type": "watch", "job": None})
        assert until(socket, "snapshot")["watched"] is None


def test_a_page_that_comes_back_finds_its_run(client):
    id_ = submit(client)
    with client.websocket_connect(URL) as socket:
        hello(socket, watch=id_)
    client.app.state.queue.set_node(id_, "one", status="running", done=3, total=9)
    with client.websocket_connect(URL) as socket:
        assert hello(socket, watch=id_)["watched"]["nodes"]["one"]["done"] == 3


def test_changes_of_the_queue_are_told_to_all(client):
    with client.websocket_connect(URL) as one, client.websocket_connect(URL) as two:
        hello(one)
        hello(two, "two")
        id_ = submit(client)
        for socket in (one, two):
            assert until(socket, "queue")["jobs"][0]["id"] == id_
        client.post("/api/queue", json={"paused": True})
        assert until(two, "queue", paused=True)


def test_tabs_with_the_same_file_know_of_each_other(client):
    path = "workflows/a.json"
    with client.websocket_connect(URL) as one:
        hello(one, "one", file=path)
        assert until(one, "presence") == {"type": "presence", "path": path, "others": 0}
        with client.websocket_connect(URL) as two:
            hello(two, "two", file=path)
            assert until(one, "presence")["others"] == 1 and until(two, "presence")["others"] == 1
            with client.websocket_connect(URL) as again:  # the same tab, come back before the server missed it
                hello(again, "two", file=path)
                assert until(one, "presence")["others"] == 1
            two.send_json({"type": "file", "path": "workflows/b.json"})
            assert until(two, "presence", path="workflows/b.json")["others"] == 0
            assert until(one, "presence", others=0)
            two.send_json({"type": "file", "path": path})
            assert until(one, "presence", others=1)
        assert until(one, "presence", others=0)


def test_a_save_is_told_with_the_new_etag(client):
    path, content = "workflows/a.json", {"format": 1, "nodes": {}, "wires": []}
    with client.websocket_connect(URL) as one:
        hello(one, "one", file=path)
        put = {"json": {"content": content}, "headers": {"if-none-match": "*", "x-client": "two"}}
        etag = client.put(f"/api/files/{path}", **put).json()["etag"]
        assert until(one, "file") == {"type": "file", "path": path, "etag": etag, "client": "two"}
        client.post(f"/api/files/{path}/rename", json={"to": "workflows/b.json"}, headers={"x-client": "two"})
        assert until(one, "file", path=path)["etag"] is None
        moved = until(one, "file", path="workflows/b.json")["etag"]
        version = client.get("/api/versions/workflows/b.json").json()["versions"][0]["id"]
        client.post(f"/api/version/{version}/restore", json={"etag": moved})
        assert until(one, "file")["path"] == "workflows/b.json"
        client.delete("/api/files/workflows/b.json")
        assert until(one, "file")["etag"] is None


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"type": "dance"}', '{"type": "watch"}', '{"type": "hello", "client": 3}']
)
def test_who_speaks_nonsense_is_shown_out_with_the_reason(client, text):
    with client.websocket_connect(URL) as socket:
        socket.send_text(text)
        with pytest.raises(WebSocketDisconnect) as gone:
            socket.receive_json()
        assert gone.value.code == 1007 and gone.value.reason.startswith("No such request")
    assert not client.app.state.hub._listeners


def test_there_is_an_end_to_listeners(client, monkeypatch):
    monkeypatch.setattr(hubs, "MAX_LISTENERS", 1)
    with client.websocket_connect(URL) as one:
        hello(one)
        with client.websocket_connect(URL) as two, pytest.raises(WebSocketDisconnect) as gone:
            two.receive_json()
        assert gone.value.code == 1013
    with client.websocket_connect(URL) as one:
        hello(one)


def test_a_listener_that_is_slow_keeps_the_latest_of_each():
    async def listen() -> None:
        listener = Listener()
        for number in range(10_000):
            for node in ("a", "b"):
                message = NodeMessage(job="j", node=node, state=NodeState(done=number))
                listener.put(Post(message, ("node", node)))
        _, posts = listener.take()
        assert [json.loads(post.text)["state"]["done"] for post in posts] == [9999, 9999]
        assert listener.take() == (False, []) and not listener.ringing.is_set()

    asyncio.run(listen())


def test_a_loop_that_is_slow_is_told_the_latest_of_each(client):
    """The queue goes on telling while nobody listens, and holds nothing up."""
    queue, hub = client.app.state.queue, client.app.state.hub

    async def stall() -> None:
        hub2 = Hub(queue)
        hub2.open()
        with hub2.listening() as listener:
            hub2.hear(listener, hubs.Hello(type="hello", client="x", watch="job1"))
            listener.take()
            for number in range(5000):  # the loop does not turn meanwhile
                queue.set_node("job1", "one", status="running", done=number)
            assert len(hub2._mailbox) == 1
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            [post] = listener.take()[1]
            assert json.loads(post.text)["state"]["done"] == 4999
        hub2.close()

    submit(client)
    asyncio.run(stall())
    assert hub is not None and len(queue.listeners) == 1


def test_messages_to_many_are_written_once():
    written = []

    class Message(NodeState):
        def model_dump_json(self, **options) -> str:
            written.append(1)
            return "{}"

    post = Post(Message(), ("queue",))
    assert post.text == post.text == "{}" and len(written) == 1


def test_a_long_queue_is_told_less_often_and_never_as_it_was_before(client):
    queue = client.app.state.queue
    first = submit(client)
    for _ in range(300):
        queue.known[f"other{_}"] = queue.known[first].model_copy(update={"id": f"other{_}"})

    async def listen() -> list[list[str]]:
        hub = Hub(queue)
        hub.open()
        told = []
        with hub.listening() as listener:
            for number in range(20):
                queue.tell_queue()
                queue.set(first, status="running", progress=number / 20)
                await asyncio.sleep(0.01)
                told.append([post.key[0] for post in listener.take()[1]])
            queue.set(first, status="done")
            last: list[str] = []
            while not last:  # it comes, if late
                await asyncio.sleep(0.05)
                last = [post.text for post in listener.take()[1] if post.key[0] == "queue"]
            assert json.loads(last[-1])["jobs"][0]["status"] == "done"
        hub.close()
        return told

    begun = time.monotonic()
    told = asyncio.run(listen())
    assert all("job" in each for each in told)  # of a single job at once
    assert sum("queue" in each for each in told) <= 2 + (time.monotonic() - begun) / 0.3  # 1 ms a job
