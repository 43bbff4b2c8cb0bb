"""How long a node will still take, guessed from its steps so far."""

from __future__ import annotations

_KEPT = 0.7
"""Weight of what was known before against the newest step: steps are alike, and their pace changes slowly."""


class Pace:
    """Seconds a step of one node. A new total begins a new kind of steps, such as loading before denoising."""

    def __init__(self) -> None:
        self._total = 0
        self._done = 0
        self._at = 0.0
        self._step: float | None = None

    def left(self, done: int, total: int, now: float) -> float | None:
        """Seconds left when `done` of `total` steps are finished at `now`; None before two counts can be compared."""
        if total != self._total or done < self._done:
            self._total, self._done, self._at, self._step = total, done, now, None
        elif done > self._done:
            step = (now - self._at) / (done - self._done)
            self._step = step if self._step is None else _KEPT * self._step + (1 - _KEPT) * step
            self._done, self._at = done, now
        return None if self._step is None else self._step * max(0, total - done)
