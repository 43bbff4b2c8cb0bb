"""Sparse-linear attention (SLA, Zhang et al., 2025, https://arxiv.org/abs/2509.24006) for models fine-tuned for it.

The mathematics stands in `kernels/sparse_linear_attention/reference.py`: blocks that matter most are attended to
exactly, those that matter least not at all, the rest in sum, O = O^s + Proj(O^l). With a share c of critical blocks it
computes about c of what dense attention does: the authors keep 5 % of a video model's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from ...graph.files import Files, Reads, fingerprint
from ...graph.node import NodeError, node
from ...graph.progress import QUIET, Progress
from ...kernels.sparse_linear_attention.division import Over
from ..types import Model
from .attending import added
from .sparse_linear import FILE, Shares, SparseLinear, trained_with

Size = Literal[8, 16, 32, 64, 128]


@node(title="SLA")
def sla(
    model: Model,
    projection: Annotated[
        str | None,
        Reads("models"),
        Field(description="safetensors file that train_sla wrote, in a models folder; empty: the model's own"),
    ] = None,
    critical: Annotated[
        float, Field(ge=0, le=1, description="share of the blocks attended to exactly, one at least; 1 is all")
    ] = 0.05,
    negligible: Annotated[float, Field(ge=0, le=1, description="share of the blocks left out altogether")] = 0.10,
    size: Annotated[
        Size, Field(description="tokens of a block, as trained; our kernel, on a GPU, skips blocks of 64 and 128")
    ] = 64,
    over: Annotated[
        Over, Field(description="what is summed, as trained: marginal blocks, or all as in the authors' later code")
    ] = "marginal",
    files: Files = Files(),  # noqa: B008
    progress: Progress = QUIET,
) -> Model:
    """Compute self-attention exactly where it matters and in sum elsewhere, with a model that learnt to live with it.

    train_sla makes such a model and writes the projections of the sums beside it, in sla.safetensors. Without
    projections the sparse part alone is computed, and the run's report says so: with a critical share of 1 that is
    dense attention, with a small one no model was trained for it. Where picture and prompt are one sequence, blocks are
    those of the whole. https://arxiv.org/abs/2509.24006
    """
    shares = Shares(critical, negligible, size, over)
    path = files.find(projection, "models").absolute() if projection else Path(model.source) / FILE
    if not (projection or path.is_file()):
        return added(model, SparseLinear(shares))
    trained = trained_with(path)
    if (trained.size, trained.over) != (size, over):
        raise NodeError(
            f"{path.name} was trained with size {trained.size} over {trained.over}, and this is {size} over {over}; "
            "set both as it was trained."
        )
    progress.note(trained_with=trained._asdict())
    return added(model, SparseLinear(shares, str(path), fingerprint(path)))
