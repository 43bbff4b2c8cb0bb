"""How models run on this machine, as the command line asks for it."""

from __future__ import annotations

from ..graph.problems import Problem, Refused
from ..nodes.models.runtime import RuntimeSettings, parse_gb


def settings_of(
    device: str,
    dtype: str,
    memory: str | None,
    attention: str,
    offload: str,
    compile: bool,  # noqa: A002
) -> RuntimeSettings:
    """Raises `Refused` with everything that is no such setting."""
    problems, size = [], None
    try:
        size = parse_gb(memory) if memory is not None else None
    except ValueError as error:
        problems.append(Problem(f"--memory: {error}"))
    try:
        settings = RuntimeSettings(
            device=device, dtype=dtype, memory_gb=size, attention=attention, offload=offload, compile=compile
        )
    except ValueError as error:
        problems.append(Problem(str(error)))
    if problems:
        raise Refused(problems)
    return settings
