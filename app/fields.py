"""A public setting as a Gradio component, made from its JSON schema, and what was entered as JSON again."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import gradio as gr
from gradio.components import Component

from ..graph.files import FileRefused, Files
from .public import PublicSetting, reads
from .reference import kind

Kind = Literal["switch", "choice", "picture", "model", "seed", "slider", "number", "text", "json"]

_MOST_STEPS = 256
"""Of a slider, here as on the canvas (`numbers.ts`): on finer ones no value can be met by hand."""

_LINES = 3
"""Height of a field for words."""


@dataclass(frozen=True)
class Field:
    """A public setting, and how it is entered."""

    public: PublicSetting

    @cached_property
    def schema(self) -> dict[str, Any]:
        """Of the value where there is one: the part of a union that is not null."""
        schema = self.public.setting.schema
        parts = [part for part in schema.get("anyOf", ()) if part.get("type") != "null"]
        return {**schema, **parts[0]} if len(parts) == 1 else schema

    @cached_property
    def optional(self) -> bool:
        return any(part.get("type") == "null" for part in self.public.setting.schema.get("anyOf", ()))

    @cached_property
    def kind(self) -> Kind:
        folder, schema = reads(self.public.setting), self.schema
        if "enum" in schema:
            return "choice"
        if schema.get("type") == "string":
            return "picture" if folder == "input" else "model" if folder else "text"
        if schema.get("type") == "boolean":
            return "switch"
        if schema.get("type") in ("integer", "number"):
            if self.public.rule:
                return "seed"
            return "slider" if self._step is not None and not self.optional else "number"
        return "json"

    @cached_property
    def _step(self) -> float | None:
        """Of a slider; None where the range is open, or too wide for one."""
        least, most = self.schema.get("minimum"), self.schema.get("maximum")
        if least is None or most is None or most <= least:
            return None
        if self.schema.get("type") == "integer":
            step = float(self.schema.get("multipleOf", 1))
        else:  # a hundred steps, or up to two hundred and fifty, of a round length
            step = float(self.schema.get("multipleOf", 10 ** math.floor(math.log10((most - least) / 25))))
        return step if (most - least) / step <= _MOST_STEPS else None

    @cached_property
    def value(self) -> Any:
        """What is shown at first: what the workflow says, or the default where that does not fit."""
        setting = self.public.setting
        try:
            setting.validate(self.public.value)
        except ValueError:
            return None if setting.required else setting.plain(setting.default)
        return self.public.value

    def component(self, files: Files, choices: Sequence[str] = ()) -> Component:
        """What it is entered with. `files` finds the picture it names, `choices` are values for a file."""
        shown: dict[str, Any] = {
            "label": self.public.label,
            "info": self.public.setting.description or None,
            "elem_id": self.public.key,
            "interactive": True,
        }
        value, schema = self.value, self.schema
        match self.kind:
            case "switch":
                return gr.Checkbox(bool(value), **shown)
            case "choice":
                return gr.Dropdown([(str(choice), choice) for choice in schema["enum"]], value=value, **shown)
            case "model":
                offered = [*choices] if value in choices else [value, *choices]
                return gr.Dropdown(offered, value=value, allow_custom_value=True, **shown)
            case "picture":
                del shown["info"]  # there is no place for it
                shown |= {"sources": ["upload", "clipboard"], "buttons": [], "height": 240}
                return gr.Image(self._picture(files), type="filepath", **shown)
            case "seed":
                return gr.Number(value, precision=0, minimum=schema.get("minimum"), **shown)
            case "slider":
                return gr.Slider(schema["minimum"], schema["maximum"], value=value, step=self._step, **shown)
            case "number":
                limits = {"minimum": schema.get("minimum"), "maximum": schema.get("maximum")}
                whole = 0 if schema.get("type") == "integer" else None
                shown["info"] = ". ".join(filter(None, [(shown["info"] or "").rstrip("."), self._accepted()])) or None
                return gr.Number(value, precision=whole, **limits, **shown)
            case "text":
                return gr.Textbox("" if value is None else value, lines=_LINES, max_lines=4 * _LINES, **shown)
            case "json":
                return gr.Textbox(json.dumps(value), **shown)

    def _accepted(self) -> str:
        """A sentence on the limits, empty where there are none."""
        words = kind(self.schema)
        return f"{words[0].upper()}{words[1:]}." if {"minimum", "maximum"} & self.schema.keys() else ""

    def _picture(self, files: Files) -> str | None:
        try:
            return str(files.find(self.value or "", "input"))
        except FileRefused:
            return None

    def entered(self, value: Any) -> Any:
        """What stands in the component, as JSON of the setting. What it cannot be is left for the check to refuse."""
        if self.optional and value in (None, ""):
            return None
        if self.schema.get("type") == "integer" and isinstance(value, float) and value.is_integer():
            return int(value)
        if self.kind == "json" and isinstance(value, str):
            try:
                return json.loads(value)
            except ValueError:
                return value
        return value
