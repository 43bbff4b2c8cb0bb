"""Which models can be read: per family the parts a folder holds, and the sizes its configuration tells.

No PyTorch here, so that a workflow is checked and a model described without loading anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Configs = Mapping[str, Mapping[str, Any]]
"""The JSON configuration of each part, by the part's name."""


@dataclass(frozen=True)
class Part:
    """A part of a model: its subfolder, the only class it may be read as, the name of its weights' files, and how the
    names of its tensors begin in a single file of the original (LDM) layout."""

    name: str
    library: str
    class_name: str
    weights: str = ""
    prefix: str = ""


@dataclass(frozen=True)
class Layout:
    """A family: the stock pipelines whose folders have these parts, and the kinds of single file, as diffusers names
    them. Parts of a kind (`text_encoder`, `text_encoder_2`) stand in the order the family's code takes them."""

    family: str
    title: str
    pipelines: frozenset[str]
    single_files: frozenset[str]
    parts: tuple[Part, ...]

    def part(self, name: str) -> Part:
        return next(part for part in self.parts if part.name == name)

    def named(self, kind: str) -> tuple[str, ...]:
        """Names of the parts of a kind: `named("text_encoder")` is text_encoder, text_encoder_2, ..."""
        return tuple(part.name for part in self.parts if part.name.rstrip("_23") == kind)

    @property
    def weighted(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.weights)


_UNET = Part("unet", "diffusers", "UNet2DConditionModel", "diffusion_pytorch_model", "model.diffusion_model.")
_VAE = Part("vae", "diffusers", "AutoencoderKL", "diffusion_pytorch_model", "first_stage_model.")
_TOKENIZER = Part("tokenizer", "transformers", "CLIPTokenizer")
_SCHEDULER = Part("scheduler", "", "")

LAYOUTS: dict[str, Layout] = {
    layout.family: layout
    for layout in (
        Layout(
            "sd",
            "Stable Diffusion 1 and 2",
            frozenset({"StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "LatentConsistencyModelPipeline"}),
            frozenset({"v1", "v2"}),
            (
                _UNET,
                _VAE,
                _TOKENIZER,
                Part("text_encoder", "transformers", "CLIPTextModel", "model", "cond_stage_model."),
                _SCHEDULER,
            ),
        ),
        Layout(
            "sdxl",
            "Stable Diffusion XL (base)",
            frozenset({"StableDiffusionXLPipeline"}),
            frozenset({"xl_base"}),
            (
                _UNET,
                _VAE,
                _TOKENIZER,
                Part("text_encoder", "transformers", "CLIPTextModel", "model", "conditioner.embedders.0."),
                Part("tokenizer_2", "transformers", "CLIPTokenizer"),
                Part(
                    "text_encoder_2", "transformers", "CLIPTextModelWithProjection", "model", "conditioner.embedders.1."
                ),
                _SCHEDULER,
            ),
        ),
    )
}


@dataclass(frozen=True)
class Description:
    """What a model's configuration tells. Sizes are in pixels, (height, width)."""

    family: str
    default: tuple[int, int]
    multiple: int
    """Height and width of a picture are multiples of this."""
    latent_channels: int
    factor: int
    """Pixels along one side of a latent's pixel."""
    prediction_type: str = "epsilon"
    guidance_embedded: bool = False
    """The denoiser is told the guidance scale and needs no second branch (guidance-distilled models)."""


def supported() -> str:
    """The families, as a sentence lists them."""
    return " and ".join(layout.title for layout in LAYOUTS.values())


def recognise(index: Mapping[str, Any], configs: Configs) -> tuple[Layout | None, list[str]]:
    """The layout of a folder with this model_index.json, and what forbids reading it, as sentences' ends."""
    name = str(index.get("_class_name", "nothing"))
    if name == "StableDiffusionXLImg2ImgPipeline" or index.get("requires_aesthetics_score"):
        return None, [
            "is the refiner of Stable Diffusion XL, which works on another model's latents; take the base model"
        ]
    layout = next((layout for layout in LAYOUTS.values() if name in layout.pipelines), None)
    if layout is None:
        return None, [f"is for {name}; supported are {supported()}"]
    return layout, _unfit(layout, configs)


def describe_configs(layout: Layout, configs: Configs) -> Description:
    """What the configurations of a folder with `layout` tell."""
    unet, vae, scheduler = configs["unet"], configs["vae"], configs.get("scheduler", {})
    factor = 2 ** (len(vae.get("block_out_channels", (1, 1, 1, 1))) - 1)
    sample = unet.get("sample_size") or 64
    height, width = (sample, sample) if isinstance(sample, int) else sample
    return Description(
        family=layout.family,
        default=(int(height) * factor, int(width) * factor),
        multiple=factor,
        latent_channels=int(unet.get("in_channels", 4)),
        factor=factor,
        prediction_type=str(scheduler.get("prediction_type", "epsilon")),
        guidance_embedded=unet.get("time_cond_proj_dim") is not None,
    )


def _unfit(layout: Layout, configs: Configs) -> list[str]:
    unet, vae = configs.get("unet", {}), configs.get("vae", {})
    problems = []
    for part in (p for p in layout.weighted if p.library == "diffusers"):
        found = configs.get(part.name, {}).get("_class_name", part.class_name)
        if found != part.class_name:
            problems.append(f"has {found} as its {part.name}; {layout.title} is read with {part.class_name}")
    taken, made = unet.get("in_channels", 4), vae.get("latent_channels", 4)
    if taken != made:
        kind = "an inpainting or editing model" if taken in (8, 9) else "no text-to-image model"
        problems.append(f"is {kind}: its UNet takes {taken} channels where its autoencoder makes {made}")
    text_time = unet.get("addition_embed_type") == "text_time"
    if text_time != (layout.family == "sdxl") and unet:
        problems.append(f"has a UNet that is none of {layout.title}'s (addition_embed_type)")
    return problems
