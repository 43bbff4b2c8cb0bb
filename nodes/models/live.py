"""Recipes made live: `with use(model) as parts` gives the placed parts, each loaded when it is first asked for.

Recipes of the same base share its weights. Patches of a recipe are attached to a part when a use first takes it, in
order, and are always taken off when the use ends. So that nobody sees another's patches, a base is used at one time
either by any number of threads without patches, or by one thread with its patches; others wait.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from ...graph.node import NodeError
from ...graph.progress import QUIET, Progress
from ..types import Model, Patch
from . import loading, runtime
from .layouts import LAYOUTS, Description, Layout
from .pool import Entry, Living, Pool
from .runtime import Placement

if TYPE_CHECKING:
    from .family import Family

POOL = Pool()


class Parts:
    """The live parts of one use. `denoiser`, `vae` and `text_encoders` are modules on the placement's device."""

    def __init__(self, model: Model, placement: Placement, progress: Progress, worn: _Worn) -> None:
        self.model, self.placement, self.progress = model, placement, progress
        self._worn = worn
        self._entries: dict[str, Entry] = {}

    @cached_property
    def layout(self) -> Layout:
        """The parts there are."""
        from .inspect import layout

        return layout(self.model)

    @property
    def denoiser(self) -> Any:
        """The UNet or the transformer."""
        return self.take(self.layout.denoiser.name)

    @property
    def unet(self) -> Any:
        return self.take("unet")

    @property
    def vae(self) -> Any:
        return self.take("vae")

    @property
    def text_encoders(self) -> tuple[Any, ...]:
        return tuple(self.take(name) for name in self.layout.named("text_encoder"))

    @cached_property
    def tokenizers(self) -> tuple[Any, ...]:
        return tuple(loading.tokenizer(self.model, self.layout.part(name)) for name in self.layout.named("tokenizer"))

    @cached_property
    def scheduler_config(self) -> dict[str, Any]:
        """The JSON of the model's own scheduler."""
        return loading.scheduler_config(self.model)

    @cached_property
    def description(self) -> Description:
        from .inspect import describe

        return describe(self.model)

    @cached_property
    def family(self) -> Family:
        from .families import FAMILIES

        return FAMILIES[self.model.family]

    def take(self, name: str) -> Any:
        """The module of the part `name`, patched, in use until this use ends."""
        entry = self._entries.get(name)
        if entry is None:
            # Weights outlive the run that loads them; made in its inference mode they could never be changed again.
            with torch.inference_mode(False), torch.no_grad():
                entry = self._entries[name] = self._load(name)
                self._worn.put_on(self.model.patches, name, entry)
        return entry.module

    def release(self) -> None:
        """Let every part go; called once, when the use ends."""
        for entry in self._entries.values():
            POOL.release(entry, keep=self.placement.offload != "model")
        self._entries.clear()

    def _load(self, name: str) -> Entry:
        part, model, placed = self.layout.part(name), self.model, self.placement
        dtype = torch.float32 if name == "vae" and _upcast(model, placed.dtype) else placed.dtype
        label = f"{model.source.rstrip('/').rsplit('/', 1)[-1]}: {name}"

        def load() -> torch.nn.Module:
            self.progress.step(0, 1, f"loading {label}")
            began = time.perf_counter()
            module = loading.prepare(loading.load(model, part, dtype), part, placed)
            self.progress.step(1, 1, f"loaded {label} in {time.perf_counter() - began:.1f} s")
            return module

        def size() -> int:
            return loading.size(model, part, dtype)

        hooks = placed.offload if placed.hooked else "none"
        setup = (placed.channels_last, placed.attention, placed.compile, hooks)
        key = (_base(model), name, dtype, setup)
        if placed.hooked:
            return POOL.take(key, label, load, size, torch.device("cpu"), progress=self.progress)
        return POOL.take(key, label, load, size, placed.device, placed.memory, self.progress)


@contextmanager
def use(model: Model, progress: Progress = QUIET) -> Iterator[Parts]:
    """The live parts of `model` while the context lasts. Raises `NodeError` for what cannot be loaded or placed."""
    placement = runtime.place(runtime.settings, LAYOUTS[model.family].half)
    worn = _wear(model, progress)
    parts = Parts(model, placement, progress, worn)
    try:
        yield parts
    finally:
        try:
            _take_off(worn)
        finally:
            parts.release()


def loaded() -> list[Living]:
    """What lives in memory now, the least recently used first."""
    return POOL.loaded()


@dataclass
class _Worn:
    """Who uses a base now, with which patches, and what undoes them."""

    patches: tuple[Patch, ...] = ()
    threads: list[int] = field(default_factory=list)
    on: set[str] = field(default_factory=set)
    undo: ExitStack = field(default_factory=ExitStack)

    def put_on(self, patches: tuple[Patch, ...], part: str, entry: Entry) -> None:
        """Attach what of `patches` is for `part`; while it is attached the part stays in use."""
        chosen = [patch for patch in patches if part in patch.parts]
        if part in self.on or not chosen:
            return
        self.on.add(part)
        POOL.hold(entry)
        self.undo.callback(POOL.release, entry)
        for patch in chosen:
            self.undo.enter_context(patch.attach(part, entry.module))


_worn: dict[tuple[Any, ...], _Worn] = {}
_changed = threading.Condition()


def _wear(model: Model, progress: Progress) -> _Worn:
    me = threading.get_ident()
    with _changed:
        worn = _worn.setdefault(_base(model), _Worn())
        if me in worn.threads and worn.patches != model.patches:
            raise NodeError(f"{model.source} is in use with other patches in the same step; let that use end first.")
        while any(other != me for other in worn.threads) and (worn.patches or model.patches):
            progress.stop_if_cancelled()
            _changed.wait(timeout=0.5)
        worn.patches = model.patches
        worn.threads.append(me)
        return worn


def _take_off(worn: _Worn) -> None:
    with _changed:
        worn.threads.remove(threading.get_ident())
        if worn.threads:
            return
        try:
            worn.undo.close()
        finally:
            worn.patches, worn.undo = (), ExitStack()
            worn.on.clear()
            _changed.notify_all()


def _base(model: Model) -> tuple[Any, ...]:
    return (model.source, model.revision, model.fingerprint, model.config)


def _upcast(model: Model, dtype: torch.dtype) -> bool:
    """Whether the autoencoder overflows in half precision, as the one of Stable Diffusion XL, which PixArt Sigma has
    too, says of itself."""
    if dtype != torch.float16 or model.family not in ("sdxl", "pixart"):
        return False
    from .inspect import read_json, root

    return bool(read_json(root(model) / "vae" / "config.json").get("force_upcast", True))
