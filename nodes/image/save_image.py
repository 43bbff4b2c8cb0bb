"""Write images to files that tell how they were made."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Literal

from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from ...graph.atomic import write_new
from ...graph.files import Files, Writes
from ...graph.node import NodeError, effect
from ...graph.problems import did_you_mean
from ...graph.progress import QUIET, Progress
from ...graph.provenance import Provenance
from ..types import Image
from .pixels import to_pictures

PLACEHOLDERS = {
    "workflow": "the workflow's name",
    "node": "this node's name in the workflow",
    "date": "the day, as 2030-12-31",
    "time": "the time of day, as 235959",
    "index": "the image's place in its batch, from 0",
    "counter": "the lowest number, from 0001, that makes the name new",
}
"""What may stand in braces in a name, besides `NODE.SETTING`: the value of any setting of the workflow."""

_IN_BRACES = re.compile(r"\{([^{}]*)\}")
_LONGEST = 200


def _pattern(name: str) -> str:
    for placeholder in _IN_BRACES.findall(name):
        if placeholder not in PLACEHOLDERS and "." not in placeholder:
            sentence = _unknown(placeholder, PLACEHOLDERS).removesuffix(".")
            raise PydanticCustomError("placeholder", "{sentence}", {"sentence": sentence})
    if any(ord(letter) < 32 for letter in name) or set("{}") & set(_IN_BRACES.sub("", name)):
        raise PydanticCustomError("name", "a name holds neither control characters nor braces that do not pair up")
    return name


@effect
def save_image(
    image: Image,
    name: Annotated[
        str,
        Writes(),
        Field(min_length=1, max_length=500, description="file name without its ending; folders are divided by /"),
        AfterValidator(_pattern),
    ] = "{workflow}_{counter}",
    format: Annotated[  # noqa: A002
        Literal["png", "jpeg", "webp"], Field(description="only png is exact and carries the workflow")
    ] = "png",
    quality: Annotated[int, Field(ge=1, le=100, description="of jpeg and webp; webp is exact at 100")] = 92,
    progress: Progress = QUIET,
    *,
    provenance: Provenance,
    files: Files,
) -> None:
    """Write each image of a batch to a file of its own in the output folder.

    In the name, `{workflow}`, `{node}`, `{date}`, `{time}`, `{index}` (in the batch), `{counter}` and `{NODE.SETTING}`,
    such as `{noise.seed}`, are filled in. A file that is there is never written over: the next free counter is taken,
    and a name without one gets `_2`, `_3` and so on. A file is whole from the moment it bears its name.

    A PNG carries the workflow, every setting as it was used, and the versions of libraries and models, so that
    `latentloom run picture.png` makes it again.
    """
    now = datetime.now().astimezone()
    values = {
        "workflow": provenance.name,
        "node": provenance.node,
        "date": f"{now:%Y-%m-%d}",
        "time": f"{now:%H%M%S}",
        **{key: str(value) for key, value in provenance.settings.items()},
    }
    written: list[str] = []
    for index, picture in enumerate(to_pictures(image.pixels)):
        progress.stop_if_cancelled()
        data = _encoded(picture, format, quality, provenance)
        candidates = _candidates(name, {**values, "index": str(index)})
        written = [*written, str(_write_first_free(data, candidates, f".{format}", files))]
        progress.note(files=written)


def _encoded(picture: Pillow.Image, format: str, quality: int, provenance: Provenance) -> bytes:  # noqa: A002
    info = PngInfo()
    for key, text in provenance.texts().items():
        info.add_itxt(key, text)
    choices: dict[str, dict[str, Any]] = {
        "png": {"pnginfo": info},
        "jpeg": {"quality": quality, "subsampling": 0},
        "webp": {"quality": quality, "lossless": quality == 100},
    }
    buffer = io.BytesIO()
    try:
        picture.save(buffer, format, **choices[format])
    except (ValueError, OSError) as error:  # each format has a largest size of its own
        width, height = picture.size
        raise NodeError(f"An image of {width} x {height} pixels cannot be saved as {format}: {error}.") from None
    return buffer.getvalue()


def _write_first_free(data: bytes, candidates: Iterator[str], ending: str, files: Files) -> Path:
    """Write `data` under the first of the names that no file bears, and say where."""
    for candidate in candidates:
        target = _target(f"{candidate.removesuffix(ending)}{ending}", files)
        if target.exists():
            continue
        try:
            write_new(target, data)
        except FileExistsError:  # another run took the name in between
            continue
        except OSError as error:
            raise NodeError(f"{target} could not be written: {error.strerror or error}.") from None
        return target
    raise AssertionError("names never end")


def _candidates(name: str, values: Mapping[str, str]) -> Iterator[str]:
    """Names to try one after another."""
    if "{counter}" in name:
        for number in count(1):
            yield _filled(name, {**values, "counter": f"{number:04d}"})
    filled = _filled(name, values)
    yield filled
    for number in count(2):
        yield f"{filled}_{number}"


def _filled(name: str, values: Mapping[str, str]) -> str:
    def fill(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise NodeError(_unknown(match[1], values))
        return re.sub(r"[^\w.+-]+", "_", values[match[1]]).strip("._")[:80] or "_"

    return _IN_BRACES.sub(fill, name)


def _target(path: str, files: Files) -> Path:
    longest = max(path.split("/"), key=lambda part: len(part.encode()))
    if len(longest.encode()) > _LONGEST:
        raise NodeError(f"The name {longest[:40]}... is too long; {_LONGEST} bytes are taken at most.")
    return files.target(path)


def _unknown(placeholder: str, known: Mapping[str, object]) -> str:
    simple = ", ".join(f"{{{key}}}" for key in PLACEHOLDERS)
    guess = did_you_mean(placeholder, known)
    return f"{{{placeholder}}} in the name is unknown.{guess} There are {simple} and {{NODE.SETTING}}."
