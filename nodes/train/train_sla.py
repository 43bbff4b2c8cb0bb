"""A stage beyond shapes-dit: attention that is sparse, and a network that gets used to it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from ...graph.files import Files, Writes, fingerprint
from ...graph.node import effect
from ...graph.progress import QUIET, Progress
from ...kernels.sparse_linear_attention.division import Over
from ..types import Image, Model
from .trained import Part, as_folder, curve, telling

Size = Literal[8, 16, 32, 64, 128]


@effect(title="Train SLA")
def train_sla(
    model: Model,
    name: Annotated[str, Writes(), Field(description="folder for the checkpoints")] = "train/sla",
    result: Annotated[str, Writes(), Field(description="folder for the model with all its parts")] = (
        "train/shapes-dit-sla"
    ),
    critical: Annotated[
        float, Field(ge=0, le=1, description="share of the blocks attended to exactly, one at least")
    ] = 0.25,
    negligible: Annotated[float, Field(ge=0, le=1, description="share of the blocks left out altogether")] = 0.10,
    size: Annotated[Size, Field(description="tokens of a block; the picture and its prompt are 89 tokens")] = 8,
    over: Annotated[Over, Field(description="what is summed: marginal blocks, or all keys")] = "marginal",
    steps: Annotated[int, Field(ge=1, le=1_000_000)] = 300,
    batch: Annotated[int, Field(ge=1, le=4096, description="pictures a step")] = 16,
    rate: Annotated[float, Field(gt=0, le=0.1, description="highest learning rate")] = 1e-4,
    unguided: Annotated[float, Field(ge=0, le=1, description="share of captions left empty, for guidance")] = 0.1,
    seed: Annotated[
        int,
        Field(ge=0, le=2**31, description="of the pictures and the noise", json_schema_extra={"format": "seed"}),
    ] = 0,
    progress: Progress = QUIET,
    *,
    files: Files,
) -> Part:
    """Fine-tune shapes-dit, or another model of shapes with its layout, for sparse-linear attention.

    All weights learn, and a projection for each layer, which lies in sla.safetensors beside the parts of the new model;
    the node sla, set as here, finds it there. A run that was stopped goes on from its last checkpoint. The samples are
    16 pictures of held-out captions, drawn with sparse attention. https://arxiv.org/abs/2509.24006
    """
    import torch

    from ..attention.sparse_linear import FILE, Shares, SparseLinear, write
    from ..models.layouts import LAYOUTS
    from ..models.loading import load
    from ..shapes.caption import caption, request_of
    from ..shapes.scene import held_out_scenes
    from .assemble import assemble, sample_pictures
    from .pipelines import readers_of, stable_diffusion_3
    from .sla import fit_sla

    readers = readers_of(model)
    transformer: Any = load(model, LAYOUTS["sd3"].part("transformer"), torch.float32)
    shares = Shares(critical, negligible, size, over)
    chunk = min(4096, steps * batch)  # a short run need not draw more than it looks at
    report = telling(progress, "sla")
    projections, trained = fit_sla(
        files.target(name), transformer, readers, shares, steps, batch, rate, unguided, chunk, seed=seed, report=report
    )
    folder = assemble(files.target(result), stable_diffusion_3(readers, transformer))
    write(folder / FILE, projections, shares)
    patch = SparseLinear(shares, str(folder / FILE), fingerprint(folder / FILE))
    prompts = [caption(request_of(scene)) for scene in held_out_scenes(16)]
    samples = sample_pictures(
        folder,
        prompts,
        seed=seed,
        changed=lambda pipeline: patch.attach("transformer", pipeline.transformer),
        max_sequence_length=1,
    )
    return Part(as_folder(folder), curve("SLA", loss=trained.losses), Image(samples))
