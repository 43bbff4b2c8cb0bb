"""Which models can be read: per family the parts a folder holds, and the sizes its configuration tells.

No PyTorch here, so that a workflow is checked and a model described without loading anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

Configs = Mapping[str, Mapping[str, Any]]
"""The JSON configuration of each part, by the part's name."""

DENOISERS = ("unet", "transformer")

FLOWS = ("sd3", "flux")
"""Families whose path from picture to noise is straight."""

_GUIDANCE = {"sd": 7.5, "sdxl": 7.5, "sd3": 7.0, "flux": 3.5, "pixart": 4.5}


@dataclass(frozen=True)
class Part:
    """A part of a model: its subfolder, the only class it may be read as, the name of its weights' files, and how the
    names of its tensors begin in a single file of the original (LDM) layout. A model may lack an `optional` part."""

    name: str
    library: str
    class_name: str
    weights: str = ""
    prefix: str = ""
    optional: bool = False


@dataclass(frozen=True)
class Layout:
    """A family: the stock pipelines whose folders have these parts, and the kinds of single file, as diffusers names
    them. Parts of a kind (`text_encoder`, `text_encoder_2`) stand in the order the family's code takes them. `half` is
    the half precision it was published for, which a GPU takes unless asked otherwise."""

    family: str
    title: str
    pipelines: frozenset[str]
    single_files: frozenset[str]
    parts: tuple[Part, ...]
    half: str = "float16"

    def part(self, name: str) -> Part:
        return next(part for part in self.parts if part.name == name)

    def named(self, kind: str) -> tuple[str, ...]:
        """Names of the parts of a kind: `named("text_encoder")` is text_encoder, text_encoder_2, ..."""
        return tuple(part.name for part in self.parts if part.name.rstrip("_23") == kind)

    @property
    def denoiser(self) -> Part:
        return next(part for part in self.parts if part.name in DENOISERS)

    @property
    def weighted(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.weights)

    def of(self, index: Mapping[str, Any]) -> Layout:
        """This layout without the optional parts that a folder with this model_index.json says it lacks."""
        return self.without(part.name for part in self.parts if part.optional and not any(index.get(part.name) or ()))

    def without(self, names: Iterable[str]) -> Layout:
        left = set(names)
        return replace(self, parts=tuple(part for part in self.parts if part.name not in left))


_UNET = Part("unet", "diffusers", "UNet2DConditionModel", "diffusion_pytorch_model", "model.diffusion_model.")
_VAE = Part("vae", "diffusers", "AutoencoderKL", "diffusion_pytorch_model", "first_stage_model.")
_TOKENIZER = Part("tokenizer", "transformers", "CLIPTokenizer")
_TOKENIZER_2 = Part("tokenizer_2", "transformers", "CLIPTokenizer")
_SCHEDULER = Part("scheduler", "", "")


def _transformer(class_name: str) -> Part:
    return Part("transformer", "diffusers", class_name, "diffusion_pytorch_model", "model.diffusion_model.")


def _clip_of_sd3(name: str, original: str) -> Part:
    return Part(name, "transformers", "CLIPTextModelWithProjection", "model", f"text_encoders.{original}.")


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
                _TOKENIZER_2,
                Part(
                    "text_encoder_2", "transformers", "CLIPTextModelWithProjection", "model", "conditioner.embedders.1."
                ),
                _SCHEDULER,
            ),
        ),
        Layout(
            "sd3",
            "Stable Diffusion 3",
            frozenset(
                {
                    "StableDiffusion3Pipeline",
                    "StableDiffusion3Img2ImgPipeline",
                    "StableDiffusion3InpaintPipeline",
                }
            ),
            frozenset({"sd3", "sd35_medium", "sd35_large"}),
            (
                _transformer("SD3Transformer2DModel"),
                _VAE,
                _TOKENIZER,
                _clip_of_sd3("text_encoder", "clip_l"),
                _TOKENIZER_2,
                _clip_of_sd3("text_encoder_2", "clip_g"),
                Part("tokenizer_3", "transformers", "T5TokenizerFast", optional=True),
                Part(
                    "text_encoder_3", "transformers", "T5EncoderModel", "model", "text_encoders.t5xxl.", optional=True
                ),
                _SCHEDULER,
            ),
            "bfloat16",
        ),
        Layout(
            "flux",
            "Flux.1 (dev and schnell)",
            frozenset({"FluxPipeline", "FluxImg2ImgPipeline", "FluxInpaintPipeline"}),
            frozenset(),
            (
                _transformer("FluxTransformer2DModel"),
                _VAE,
                _TOKENIZER,
                Part("text_encoder", "transformers", "CLIPTextModel", "model"),
                Part("tokenizer_2", "transformers", "T5TokenizerFast"),
                Part("text_encoder_2", "transformers", "T5EncoderModel", "model"),
                _SCHEDULER,
            ),
            "bfloat16",
        ),
        Layout(
            "pixart",
            "PixArt (Alpha and Sigma)",
            frozenset({"PixArtAlphaPipeline", "PixArtSigmaPipeline"}),
            frozenset(),
            (
                _transformer("PixArtTransformer2DModel"),
                _VAE,
                Part("tokenizer", "transformers", "T5TokenizerFast"),
                Part("text_encoder", "transformers", "T5EncoderModel", "model"),
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
    guidance: float = 7.5
    """The scale of classifier-free guidance, or the one told, unless somebody chooses."""


def supported(single_files: bool = False) -> str:
    """The families, as a sentence lists them: all, or those of which single files are read."""
    *most, last = (layout.title for layout in LAYOUTS.values() if layout.single_files or not single_files)
    return f"{', '.join(most)} and {last}"


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
    return layout.of(index), _unfit(layout, configs)


def describe_configs(layout: Layout, configs: Configs) -> Description:
    """What the configurations of a folder with `layout` tell."""
    denoiser, vae, scheduler = configs[layout.denoiser.name], configs["vae"], configs.get("scheduler", {})
    factor = 2 ** (len(vae.get("block_out_channels", (1, 1, 1, 1))) - 1)
    flux = layout.family == "flux"
    embedded = denoiser.get("time_cond_proj_dim") is not None or (flux and bool(denoiser.get("guidance_embeds")))
    # Flux's configuration names no size; its pipeline takes this one. Its patches are 2 x 2 before the transformer.
    sample = 128 if flux else denoiser.get("sample_size") or 64
    height, width = (sample, sample) if isinstance(sample, int) else sample
    patch = 2 if flux else denoiser.get("patch_size") or 1
    return Description(
        family=layout.family,
        default=(int(height) * factor, int(width) * factor),
        multiple=factor * int(patch),
        latent_channels=int(denoiser.get("in_channels", 4)) // (4 if flux else 1),
        factor=factor,
        prediction_type="flow" if layout.family in FLOWS else str(scheduler.get("prediction_type", "epsilon")),
        guidance_embedded=embedded,
        guidance=1.0 if flux and not embedded else _GUIDANCE[layout.family],
    )


def _unfit(layout: Layout, configs: Configs) -> list[str]:
    denoiser, vae = configs.get(layout.denoiser.name, {}), configs.get("vae", {})
    kind = "UNet" if layout.denoiser.name == "unet" else "transformer"
    problems = []
    for part in (p for p in layout.weighted if p.library == "diffusers"):
        found = configs.get(part.name, {}).get("_class_name", part.class_name)
        if found != part.class_name and (layout.family, found) != ("pixart", "Transformer2DModel"):
            problems.append(f"has {found} as its {part.name}; {layout.title} is read with {part.class_name}")
    made = vae.get("latent_channels", 4)
    # A pixel of Flux's transformer is 2 x 2 of the latent.
    made *= 4 if layout.family == "flux" else 1
    taken = denoiser.get("in_channels", made)
    if taken != made:
        found = "an inpainting or editing model" if taken in (8, 9, 2 * made, 6 * made) else "no text-to-image model"
        problems.append(f"is {found}: its {kind} takes {taken} channels where its autoencoder makes {made}")
    text_time = denoiser.get("addition_embed_type") == "text_time"
    if text_time != (layout.family == "sdxl") and denoiser:
        problems.append(f"has a {kind} that is none of {layout.title}'s (addition_embed_type)")
    return problems
