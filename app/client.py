"""Run workflows on a server from Python: submit, watch, fetch what came of it.

from latentloom.app.client import Client

job = Client("http://127.0.0.1:7801").submit("portrait.json", settings={"noise.seed": 7})
for state in job.watch():
    print(f"{state.progress:.0%}")
job.save("pictures")
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import connect

from ..graph.atomic import write_new
from ..graph.files import Files
from ..graph.problems import Problem, Refused
from ..graph.workflow import Workflow
from . import opening
from .jobs.wire import ENDED, Job, JobDetail, NodeState

WAIT_SECONDS = 60.0
"""How long one request for a result waits; `wait` asks again."""

RECONNECT_SECONDS = 1.0

Source = str | PathLike[str] | Mapping[str, Any] | Workflow
"""A workflow: a file, the name of one that ships, a picture made by one, its content, or one that was read."""


class ServerError(Refused):
    """The server refused, or cannot be reached; `problems` says why, `status` is that of HTTP, 0 without an answer."""

    def __init__(self, problems: list[Problem], status: int) -> None:
        self.status = status
        super().__init__(problems)


class Client:
    """A server at `url`. `token` is its token or password, where it is protected."""

    def __init__(self, url: str = "http://127.0.0.1:7801", token: str | None = None) -> None:
        self.url = url.rstrip("/")
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=self.url, headers=self.headers, timeout=httpx.Timeout(30.0, read=300.0))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def submit(
        self,
        workflow: Source,
        settings: Mapping[str, Any] | None = None,
        *,
        goals: list[str] | None = None,
        device: str | None = None,
        front: bool = False,
    ) -> RemoteJob:
        """Queue a workflow, with `settings` by `node.setting` replaced. Raises `Refused` with everything in its way."""
        file = str(workflow) if isinstance(workflow, str | PathLike) else None
        content = dict(_read(workflow).with_settings(settings or {}).document)
        body = {"workflow": content, "goals": goals, "file": file, "front": front, "device": device}
        return RemoteJob(self, Job.model_validate(self.ask("POST", "/api/jobs", json=body)).id)

    def jobs(self) -> list[Job]:
        """Those that run, those that wait in order, those that ended, newest first."""
        return [Job.model_validate(job) for job in self.ask("GET", "/api/jobs")["jobs"]]

    def job(self, id_: str) -> RemoteJob:
        """One that was submitted before, from wherever."""
        return RemoteJob(self, id_)

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """JSON from a route of the server. Raises `ServerError`."""
        return self._send(method, path, **options).json()

    def fetch(self, path: str) -> bytes:
        """A file from the server. Raises `ServerError`."""
        return self._send("GET", path).content

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise ServerError([Problem(f"The server at {self.url} cannot be reached: {error}.")], 0) from None
        if response.is_success:
            return response
        raise ServerError(_problems(response), response.status_code)


class RemoteJob:
    """A job on a server."""

    def __init__(self, client: Client, id_: str) -> None:
        self._client, self.id = client, id_
        self._path = f"/api/jobs/{quote(id_, safe='')}"

    def state(self) -> JobDetail:
        """The job and each of its nodes, as it is now. Raises `ServerError`."""
        return JobDetail.model_validate(self._client.ask("GET", self._path))

    def watch(self) -> Iterator[JobDetail]:
        """The job each time something of it changed, to its end. Of what happens quickly the latest is given.

        A connection that drops is made again. Raises `ServerError`.
        """
        job = self.state()
        yield job
        while job.status not in ENDED:
            for told in self._heard(job):
                job = told
                yield told
            if job.status not in ENDED:
                time.sleep(RECONNECT_SECONDS)
                job = self.state()

    def wait(self, seconds: float | None = None) -> JobDetail:
        """The job once it ended. Raises `TimeoutError` when it runs for longer than `seconds`, and `ServerError`."""
        until = None if seconds is None else time.monotonic() + seconds
        while True:
            left = WAIT_SECONDS if until is None else max(0.0, min(WAIT_SECONDS, until - time.monotonic()))
            if self._client.ask("GET", f"{self._path}/result", params={"wait": left})["status"] in ENDED:
                return self.state()
            if until is not None and time.monotonic() >= until:
                raise TimeoutError(f"The job {self.id} has not ended after {seconds:g} s.")

    def cancel(self) -> Job:
        """Raises `ServerError`."""
        return Job.model_validate(self._client.ask("DELETE", self._path))

    def result(self) -> dict[str, Any]:
        """`status`, `error`, `outputs` by node and `files`, as /api/docs describes them. Raises `ServerError`."""
        return self._client.ask("GET", f"{self._path}/result")

    def pictures(self) -> dict[str, bytes]:
        """The files its nodes wrote, by name; of a workflow that writes none, the pictures its nodes show.

        Waits for the end. Raises `ServerError` for a job that failed or was cancelled.
        """
        job = self.wait()
        if job.status != "done":
            sentence = job.error or f"The job {self.id} was cancelled."
            raise ServerError([Problem(sentence)], 0)
        result = self.result()
        files = {file["name"]: file["url"] for file in result["files"]} or {
            f"{node}_{number}{PurePosixPath(output['url']).suffix}": output["url"]
            for node, outputs in result["outputs"].items()
            for number, output in enumerate(outputs, start=1)
            if output["kind"] == "image"
        }
        return {name: self._client.fetch(url) for name, url in files.items()}

    def save(self, folder: str | PathLike[str]) -> list[Path]:
        """`pictures` as files in `folder`, which is made; nothing that is there is written over.

        Raises `ServerError`, and `FileExistsError` before anything is written.
        """
        inside = Files(writing=Path(folder))  # whatever names the server gives
        pictures = {inside.place(name): (name, data) for name, data in self.pictures().items()}
        for path in pictures:
            if path.exists():
                raise FileExistsError(f"{path} exists.")
        for name, data in pictures.values():
            write_new(inside.target(name), data)
        return list(pictures)

    def _heard(self, job: JobDetail) -> Iterator[JobDetail]:
        """What the socket tells, until the job or the connection ends."""
        address = urlsplit(self._client.url)._replace(path="/api/events")
        address = address._replace(scheme={"https": "wss"}.get(address.scheme, "ws"))
        hello = {"type": "hello", "client": f"python-{self.id}", "watch": self.id, "file": None}
        try:
            with connect(address.geturl(), additional_headers=self._client.headers, max_size=None) as socket:
                socket.send(json.dumps(hello))
                for text in socket:
                    before, job = job, _after(job, json.loads(text))
                    if job.status in ENDED:
                        yield self.state()  # with all that was told just before the end
                        return
                    if job != before:
                        yield job
        except (ConnectionClosed, InvalidHandshake, OSError):
            return


def _after(job: JobDetail, message: Mapping[str, Any]) -> JobDetail:
    """The job after a message, which may be about another."""
    if message["type"] == "snapshot" and message["watched"] is not None:
        return JobDetail.model_validate(message["watched"])
    if message["type"] == "node" and message["job"] == job.id:
        state = NodeState.model_validate(message["state"])
        return job.model_copy(update={"nodes": {**job.nodes, message["node"]: state}})
    told = [message["job"]] if message["type"] == "job" else message["jobs"] if message["type"] == "queue" else []
    for each in told:
        if each["id"] == job.id:
            return job.model_copy(update=dict(Job.model_validate(each)))
    return job


def _read(source: Source) -> Workflow:
    if isinstance(source, Workflow):
        return source
    if isinstance(source, Mapping):
        return Workflow.of(source)
    return opening.read(opening.find(str(source)))


def _problems(response: httpx.Response) -> list[Problem]:
    try:
        return [Problem(**problem) for problem in response.json()["problems"]]
    except (ValueError, KeyError, TypeError):
        return [Problem(f"The server answered with status {response.status_code} and gave no reason.")]
