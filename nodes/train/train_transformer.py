"""The third stage of shapes-dit: noise to latents, along a straight path, told by captions."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...graph.files import Files, Writes
from ...graph.node import effect
from ...graph.progress import QUIET, Progress
from ..types import Folder, Image, Model
from .trained import Part, as_folder, curve, telling


@effect
def train_transformer(
    autoencoder: Model,
    text_encoders: Folder,
    name: Annotated[
        str, Writes(), Field(description="folder for the checkpoints and the result")
    ] = "train/transformer",
    model: Annotated[str, Writes(), Field(description="folder for the model with all its parts")] = "train/shapes-dit",
    steps: Annotated[int, Field(ge=1, le=1_000_000)] = 9000,
    batch: Annotated[int, Field(ge=1, le=4096, description="pictures a step")] = 16,
    rate: Annotated[float, Field(gt=0, le=0.1, description="highest learning rate")] = 1e-3,
    unguided: Annotated[float, Field(ge=0, le=1, description="share of captions left empty, for guidance")] = 0.1,
    seed: Annotated[
        int,
        Field(
            ge=0,
            le=2**31,
            description="of the weights, the pictures and the noise",
            json_schema_extra={"format": "seed"},
        ),
    ] = 0,
    progress: Progress = QUIET,
    *,
    files: Files,
) -> Part:
    """Train an SD3Transformer2DModel on the latents and captions of shapes, and put all parts into one model folder.

    `autoencoder` is the model whose autoencoder makes the latents. A run that was stopped goes on from its last
    checkpoint; one that is finished is not done again. The result is the folder of a Stable Diffusion 3 pipeline in
    half precision, which load_model takes once it lies in a models folder. The samples are 16 pictures of held-out
    captions.
    """
    import torch

    from ..models.layouts import LAYOUTS
    from ..models.loading import load
    from ..shapes.caption import caption, request_of
    from ..shapes.scene import held_out_scenes
    from .assemble import assemble, sample_pictures
    from .pipelines import load_readers, stable_diffusion_3
    from .transformer import fit_transformer

    vae = load(autoencoder, LAYOUTS[autoencoder.family].part("vae"), torch.float32)
    readers = load_readers(vae, text_encoders.path)
    chunk = min(4096, steps * batch)  # a short run need not draw more than it looks at
    report = telling(progress, "transformer")
    transformer, trained = fit_transformer(
        files.target(name), readers, steps, batch, rate=rate, unguided=unguided, chunk=chunk, seed=seed, report=report
    )
    folder = assemble(files.target(model), stable_diffusion_3(readers, transformer))
    prompts = [caption(request_of(scene)) for scene in held_out_scenes(16)]
    samples = Image(sample_pictures(folder, prompts, seed=seed, max_sequence_length=1))
    return Part(as_folder(folder), curve("Transformer", loss=trained.losses), samples)
