"""The families of models, by the name a recipe carries."""

from __future__ import annotations

from . import sd, sdxl
from .family import Family

FAMILIES: dict[str, Family] = {"sd": sd, "sdxl": sdxl}
