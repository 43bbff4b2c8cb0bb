"""The families of models, by the name a recipe carries."""

from __future__ import annotations

from . import flux, pixart, sd, sd3, sdxl
from .family import Family

FAMILIES: dict[str, Family] = {"sd": sd, "sdxl": sdxl, "sd3": sd3, "flux": flux, "pixart": pixart}
