"""What a wire carries of a LoRA: a recipe, as models are."""

from __future__ import annotations

from dataclasses import dataclass

from ..types import Model
from .change import Changes


@dataclass(frozen=True)
class Lora:
    """A change to the weights of `model` and of models built alike. Each way to come by one subclasses this."""

    model: Model

    def load(self) -> Changes:
        """Part -> module -> how its weight changes. Raises `NodeError` where that cannot be read or computed."""
        raise NotImplementedError
