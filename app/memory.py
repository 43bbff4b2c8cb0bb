"""Memory that ran out in a node, as a sentence with what helps."""

from __future__ import annotations

import re
import sys

_WANTED = re.compile(r"[Tt]r(?:ied|ying|y) to allocate ([\d.]+ ?\w+)|you tried to allocate (\d+) bytes")
_OFF_THE_GPU = (
    "Make the picture or the batch smaller, start with --offload model (or group, sequential), with --dtype float16 or "
    "a smaller --memory, or close what else uses the GPU."
)
_OFF_THE_COMPUTER = "Make the picture or the batch smaller, use a smaller model, or close other programs."


def explain(error: Exception) -> str | None:
    """A sentence where `error` says that memory ran out, of the GPU or of the computer; None for other errors."""
    torch = sys.modules.get("torch")  # whoever has not loaded it cannot have run out of its memory
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return f"The GPU has not enough memory{_wanted(error)}. {_OFF_THE_GPU}"
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error)):
        return f"The computer has not enough memory{_wanted(error)}. {_OFF_THE_COMPUTER}"
    return None


def _wanted(error: Exception) -> str:
    found = _WANTED.search(str(error))
    if found is None:
        return ""
    size = found[1] or f"{int(found[2]) / 2**30:.2f} GiB"
    return f": {size} more were needed at once"
