"""Gradio components made outside of a server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import gradio as gr

T = TypeVar("T")


def in_blocks(make: Callable[[], T]) -> T:
    """What `make` gives in Blocks of its own. Without a running loop Gradio would open one, and leave it so."""

    async def inside() -> T:
        with gr.Blocks(analytics_enabled=False):
            return make()

    return asyncio.run(inside())
