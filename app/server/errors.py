"""Whatever goes wrong is answered with sentences, in one shape: `{"problems": [...]}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from ...graph.files import FileMissing, FileRefused
from ...graph.problems import Problem, Refused, quoted
from ..workspace.refusals import Conflict, Missing

_PLACES = {"body": "the body", "query": "the query", "path": "the address", "header": "the headers"}


class Problems(BaseModel):
    """Why a request was refused: every reason, each a sentence."""

    problems: list[Problem]


class ConflictProblems(Problems):
    """Somebody else saved meanwhile; `etag` names what the file holds now, null that it is gone."""

    etag: str | None


ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problems, "description": "Not signed in"},
    403: {"model": Problems, "description": "Asked from another site, or under a name that is not the server's"},
    413: {"model": Problems, "description": "Larger than is taken"},
    422: {"model": Problems, "description": "Wrong, and why"},
    500: {"model": Problems, "description": "A fault of the server"},
}
"""What any route may answer."""

MISSING: dict[int | str, dict[str, Any]] = {404: {"model": Problems, "description": "Not there"}}
CONFLICT: dict[int | str, dict[str, Any]] = {
    412: {"model": ConflictProblems, "description": "The file is not as it was when it was read"}
}


def problem_response(status: int, *sentences: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return _response(status, [Problem(sentence) for sentence in sentences], headers=headers)


def handle_errors(app: FastAPI) -> None:
    """Make every error of `app` an answer with sentences."""

    @app.exception_handler(Refused)
    async def refused(_request: Request, error: Refused) -> JSONResponse:
        return _response(404 if isinstance(error, Missing) else 422, error.problems)

    @app.exception_handler(Conflict)
    async def conflict(_request: Request, error: Conflict) -> JSONResponse:
        return _response(412, error.problems, etag=error.etag)

    @app.exception_handler(FileRefused)
    async def no_such_file(_request: Request, error: FileRefused) -> JSONResponse:
        return problem_response(404 if isinstance(error, FileMissing) else 422, str(error))

    @app.exception_handler(RequestValidationError)
    async def not_as_asked(_request: Request, error: RequestValidationError) -> JSONResponse:
        return problem_response(422, *dict.fromkeys(_sentence(fault) for fault in error.errors()))

    @app.exception_handler(HTTPException)
    async def other(request: Request, error: HTTPException) -> JSONResponse:
        return problem_response(error.status_code, _reason(request, error), headers=error.headers)

    @app.exception_handler(Exception)
    async def unforeseen(_request: Request, error: Exception) -> JSONResponse:
        # Starlette raises it again after this, and the server logs where it arose.
        named = f"{type(error).__name__}: {error}"[:500]
        return problem_response(
            500, f"The server failed unexpectedly ({named}). This is a fault of latentloom; its log shows where."
        )


def _response(status: int, problems: Any, headers: Mapping[str, str] | None = None, **more: str | None) -> JSONResponse:
    return JSONResponse({"problems": jsonable_encoder(list(problems)), **more}, status, headers)


def _reason(request: Request, error: HTTPException) -> str:
    """A sentence also where Starlette gives only the name of the status."""
    path = quoted(request.url.path)
    if error.status_code == 404 and error.detail == "Not Found":
        return f"There is nothing at {path}; /api/docs shows what there is."
    if error.status_code == 405:
        return f"{path} does not take {request.method}; /api/docs shows what it takes."
    return error.detail if error.detail.endswith(".") else f"{error.detail}."


def _sentence(fault: Mapping[str, Any]) -> str:
    place, *keys = [str(part) for part in fault["loc"]]
    where = _PLACES.get(place, place)
    named = ".".join(keys)
    if fault["type"] == "json_invalid":
        return f"The body is not JSON: {fault.get('ctx', {}).get('error', 'it cannot be read')}."
    if fault["type"] == "missing":
        return f"{quoted(named)} is missing in {where}." if named else "The body is missing: it must be JSON."
    text = fault["msg"].removeprefix("Value error, ").replace("Input should be", "it should be").rstrip(".")
    return f"{quoted(named)} in {where}: {text}." if named else f"In {where}: {text}."
