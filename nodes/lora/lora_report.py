"""What LoRAs change, and how much they get into each other's way."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import Field

from ...graph.node import NodeError, node
from ..types import Image, Table
from .lora import Lora
from .measures import Inner, cosines, inner_products
from .skeleton import skeleton

if TYPE_CHECKING:
    from torch import Tensor


class LoraReport(NamedTuple):
    """Tables of layers and of pairs, and both as a picture."""

    layers: Table
    overlap: Table
    image: Image


@node(title="LoRA report")
def lora_report(
    loras: tuple[Lora, ...],
    names: Annotated[
        str,
        Field(
            max_length=20_000,
            description="one line for each LoRA, in their order",
            json_schema_extra={"format": "textarea"},
        ),
    ] = "",
    width: Annotated[int, Field(ge=400, le=4096, description="pixels")] = 1000,
    height: Annotated[int, Field(ge=300, le=4096, description="pixels")] = 600,
) -> LoraReport:
    """How large the change of each layer is, |Δ|, and how alike the changes of different LoRAs are.

    A cosine of 0 says that two leave each other alone where they are added; near 1 they do the same twice, and near -1
    they cancel out. Strengths are not counted in.
    """
    import torch

    if not loras:
        raise NodeError("There is no LoRA to report on: wire one or more into loras.")
    called = [line.strip() for line in names.strip().splitlines()] or [f"LoRA {i + 1}" for i in range(len(loras))]
    if len(called) != len(loras):
        raise NodeError(f"There are {len(called)} names for {len(loras)} LoRAs; one line is one LoRA's.")
    shapes = {
        f"{part}.{name}": shape
        for lora in loras
        for part, layers in skeleton(lora.model).items()
        for name, shape in layers.items()
    }
    flat = [
        {f"{part}.{name}": change for part, changes in lora.load().items() for name, change in changes.items()}
        for lora in loras
    ]
    with torch.no_grad():
        found = inner_products(flat, shapes)
    pairs = list(combinations(range(len(loras)), 2))
    rows = []
    for name, products in found.items():
        ranks = [changes[name].rank if name in changes else None for changes in flat]
        alike = cosines(products)
        norms = products.diagonal().sqrt().tolist()
        rows.append((name, *ranks, *(round(norm, 6) for norm in norms), *(round(float(alike[i]), 4) for i in pairs)))
    overall = cosines(sum(found.values(), torch.zeros(len(loras), len(loras), dtype=torch.float64)))
    columns = (
        "layer",
        *(f"rank {name}" for name in called),
        *(f"norm {name}" for name in called),
        *(f"cosine {called[i]}, {called[j]}" for i, j in pairs),
    )
    overlap = tuple(
        (
            called[i],
            called[j],
            sum(name in flat[i] and name in flat[j] for name in found),
            round(float(overall[i, j]), 4),
        )
        for i, j in pairs
    )
    return LoraReport(
        Table(columns, tuple(rows)),
        Table(("one", "other", "common layers", "cosine"), overlap),
        Image(_drawn(called, _blocks(found), overall, width, height)),
    )


def _blocks(found: Inner) -> dict[str, Tensor]:
    """Norms (n,) by block: the first three steps of the layers' names."""
    import torch

    squares: dict[str, Tensor] = {}
    for name, products in found.items():
        block = ".".join(name.split(".")[:3])
        squares[block] = squares.get(block, torch.zeros(())) + products.diagonal()
    return {block: square.sqrt() for block, square in squares.items()}


def _drawn(names: Sequence[str], blocks: dict[str, Tensor], overall: Tensor, width: int, height: int) -> Tensor:
    """(1, 3, height, width): bars of norms by block, and beside them, for several, the matrix of cosines."""
    import numpy as np
    import torch
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Sheet

    dpi = 100
    sheet = Sheet(figsize=(width / dpi, height / dpi), dpi=dpi, layout="constrained")
    canvas = FigureCanvasAgg(sheet)
    several = len(names) > 1
    axes = sheet.subplots(1, 2, width_ratios=(2, 1)) if several else [sheet.subplots()]
    places, thick = np.arange(len(blocks)), 0.8 / len(names)
    for number, name in enumerate(names):
        norms = [float(each[number]) for each in blocks.values()]
        axes[0].barh(places + number * thick, norms, thick, label=name)
    axes[0].set_yticks(places + 0.4 - thick / 2, list(blocks), fontsize="small")
    axes[0].invert_yaxis()
    axes[0].set(xlabel="norm of the change", title="By block")
    axes[0].grid(axis="x", alpha=0.3)
    if several:
        axes[0].legend(fontsize="small")
        axes[1].imshow(overall, vmin=-1, vmax=1, cmap="RdBu_r")
        ticks = range(len(names))
        axes[1].set_xticks(ticks, names, rotation=45, ha="right")
        axes[1].set_yticks(ticks, names)
        axes[1].set_title("Cosine")
        for i in ticks:
            for j in ticks:
                shade = "white" if abs(overall[i, j]) > 0.6 else "black"
                axes[1].text(j, i, f"{overall[i, j]:.2f}", ha="center", va="center", color=shade)
    canvas.draw()
    drawn = np.asarray(canvas.buffer_rgba())[..., :3]
    return torch.from_numpy(drawn.copy()).permute(2, 0, 1)[None].float() / 255
