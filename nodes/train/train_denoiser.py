"""The third stage of the shapes model: noise to latents, told by captions."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...graph.files import Files, Writes
from ...graph.node import effect
from ...graph.progress import QUIET, Progress
from ..types import Folder, Image
from .trained import Part, as_folder, curve, telling


@effect
def train_denoiser(
    autoencoder: Folder,
    text_encoder: Folder,
    name: Annotated[str, Writes(), Field(description="folder for the checkpoints and the result")] = "train/denoiser",
    model: Annotated[str, Writes(), Field(description="folder for the model with all its parts")] = "train/shapes-unet",
    steps: Annotated[int, Field(ge=1, le=1_000_000)] = 7000,
    batch: Annotated[int, Field(ge=1, le=4096, description="pictures a step")] = 32,
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
    """Train a UNet2DConditionModel on the latents and captions of shapes, and put all parts into one model folder.

    A run that was stopped goes on from its last checkpoint; one that is finished is not done again. The result is the
    folder of a Stable Diffusion pipeline in half precision, which load_model takes once it lies in a models folder. The
    samples are 16 pictures of held-out captions.
    """
    from diffusers import AutoencoderKL
    from transformers import CLIPTextModel, CLIPTokenizer

    from ..shapes.caption import caption, request_of
    from ..shapes.scene import held_out_scenes
    from .assemble import assemble, sample_pictures
    from .denoiser import Frozen, fit_denoiser
    from .pipelines import stable_diffusion

    frozen = Frozen(
        AutoencoderKL.from_pretrained(autoencoder.path).eval(),
        CLIPTextModel.from_pretrained(f"{text_encoder.path}/text_encoder").eval(),
        CLIPTokenizer.from_pretrained(f"{text_encoder.path}/tokenizer"),
    )
    report = telling(progress, "denoiser")
    chunk = min(4096, steps * batch)  # a short run need not draw more than it looks at
    denoiser, trained = fit_denoiser(
        files.target(name), frozen, steps, batch, rate=rate, unguided=unguided, chunk=chunk, seed=seed, report=report
    )
    folder = assemble(files.target(model), stable_diffusion(frozen, denoiser))
    prompts = [caption(request_of(scene)) for scene in held_out_scenes(16)]
    samples = Image(sample_pictures(folder, prompts, seed=seed))
    return Part(as_folder(folder), curve("Denoiser", loss=trained.losses), samples)
