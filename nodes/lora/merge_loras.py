"""Several LoRAs as one."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...graph.node import NodeError, node
from ...graph.progress import QUIET, Progress
from .lora import Lora
from .merged import MergedLora
from .merging import How, Method, Sign


@node(title="Merge LoRAs")
def merge_loras(
    loras: tuple[Lora, ...],
    weights: Annotated[
        list[Annotated[float, Field(ge=-10, le=10)]],
        Field(max_length=100, description="one for each, in order; empty: 1 for all"),
    ] = [],  # noqa: B006
    method: Annotated[
        Method,
        Field(
            description="cat is the exact sum, and its rank the sum of theirs; svd brings the sum to a lower rank; "
            "linear adds the factors, which is not the sum; the others leave values out, to disturb each other less"
        ),
    ] = "cat",
    density: Annotated[
        float, Field(gt=0, le=1, description="share of values that stay: of ties, dare, magnitude and masks")
    ] = 1.0,
    sign: Annotated[
        Sign, Field(description="ties: the sign of the sum, or the one that most have, decides which values stay")
    ] = "total",
    rank: Annotated[
        int,
        Field(ge=0, le=4096, description="svd: of the result; 0 is the highest among them; task_arithmetic: 0 is all"),
    ] = 0,
    seed: Annotated[
        int, Field(ge=0, le=2**31, description="of what dare leaves out", json_schema_extra={"format": "seed"})
    ] = 0,
    progress: Progress = QUIET,
) -> Lora:
    """Merge LoRAs into one, layer by layer, with the algorithms of peft.

    Where a layer is changed by one of them alone, it is weighed and thinned out like the others. Putting LoRAs on a
    model one after another is the same as `cat`, and costs no merging. https://arxiv.org/abs/2306.01708
    https://arxiv.org/abs/2311.03099 https://arxiv.org/abs/2212.04089
    """
    if not loras:
        raise NodeError("There is no LoRA to merge: wire one or more into loras.")
    if weights and len(weights) != len(loras):
        raise NodeError(f"There are {len(weights)} weights for {len(loras)} LoRAs; give one for each, or none.")
    if others := [lora for lora in loras if lora.model.family != loras[0].model.family]:
        raise NodeError(
            f"LoRAs of one family are merged, and these are of {loras[0].model.family} and {others[0].model.family}."
        )
    how = How(method, density, sign, rank)
    lora = MergedLora(loras[0].model, tuple(loras), tuple(weights) or (1.0,) * len(loras), how, seed)
    lora.load(progress)  # here already, where what cannot be merged is told, and how far the work is
    return lora
