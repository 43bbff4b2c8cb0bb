"""The first stage of the shapes model: pictures to latents and back."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...graph.files import Files, Writes
from ...graph.node import effect
from ...graph.progress import QUIET, Progress
from ..types import Image
from .trained import Part, as_folder, curve, telling


@effect
def train_autoencoder(
    name: Annotated[
        str, Writes(), Field(description="folder for the checkpoints and the result")
    ] = "train/autoencoder",
    steps: Annotated[int, Field(ge=1, le=1_000_000, description="of the whole autoencoder")] = 2600,
    decoder_steps: Annotated[int, Field(ge=0, le=1_000_000, description="of the decoder alone, afterwards")] = 3300,
    batch: Annotated[int, Field(ge=2, le=4096, description="pictures a step")] = 24,
    rate: Annotated[float, Field(gt=0, le=0.1, description="highest learning rate")] = 2e-3,
    noise: Annotated[float, Field(ge=0, le=1, description="latent error to learn to forgive, in deviations")] = 0.2,
    seed: Annotated[
        int,
        Field(ge=0, le=2**31, description="of the weights and the pictures", json_schema_extra={"format": "seed"}),
    ] = 0,
    progress: Progress = QUIET,
    *,
    files: Files,
) -> Part:
    """Train an AutoencoderKL on pictures of shapes, whiten its latents, and train its decoder further.

    A run that was stopped goes on from its last checkpoint; one that is finished is not done again. The folder then
    holds `vae`, in diffusers' layout. The samples are eight pictures, each with its reconstruction below.
    """
    import torch

    from ..shapes.render import render
    from ..shapes.scene import held_out_scenes
    from .autoencoder import fit_autoencoder, refine_decoder, training_pictures
    from .whiten import whiten

    folder = files.target(name)
    report = telling(progress, "autoencoder")
    model, first = fit_autoencoder(folder / "whole", steps, batch, rate=rate, noise=noise, seed=seed, report=report)
    # Latents are whitened over captioned scenes alone, which are what the denoiser will see.
    whiten(model, training_pictures(1536, model.config["sample_size"], 77, 0)[512:])
    second = []
    if decoder_steps:
        report = telling(progress, "decoder")
        model, refined = refine_decoder(
            folder / "decoder", model, decoder_steps, batch, rate / 2, noise, seed + 10, report
        )
        second = refined.losses
    model.save_pretrained(folder / "vae")
    pictures = render(held_out_scenes(8), model.config["sample_size"])
    with torch.no_grad():
        decoded = (model(pictures * 2 - 1).sample / 2 + 0.5).clamp(0, 1)
    losses = curve("Autoencoder", whole=first.losses, **({"decoder": second} if second else {}))
    return Part(as_folder(folder / "vae"), losses, Image(torch.cat((pictures, decoded), 2)))
