"""What must hold of a run with a transformer, whatever it draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from studio import NEGATIVE, PROMPT, SEED, Studio, open_studio
from tiny import T5_LENGTH, build_sd3

from latentloom.graph.node import NodeError
from latentloom.graph.progress import Progress
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.models import live
from latentloom.nodes.models.inspect import describe
from latentloom.nodes.prompt.encode_prompt import encode_prompt
from latentloom.nodes.sample.denoise import denoise
from latentloom.nodes.schedule.sampler import sampler
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.types import Conditioning, Image, Latent

STEPS = 4
FAMILIES = ["sd3", "flux", "pixart"]


@pytest.fixture(params=FAMILIES)
def any_studio(request: pytest.FixtureRequest) -> Studio:
    return request.getfixturevalue(request.param)


def run(studio: Studio, batch: int = 1, name: Any = "euler", **options: Any) -> Latent:
    given = {"sampler": sampler(name), "schedule": schedule(STEPS), "guidance": cfg(3), "preview": False}
    return studio.sample(batch, **given | options)


@pytest.mark.parametrize("name", ["euler", "heun", "lcm"])
def test_two_runs_make_one(any_studio: Studio, name: Any) -> None:
    """A run that stops half way leaves a latent at its noise level, from which a second goes on."""
    whole = run(any_studio, 2, name)
    half = run(any_studio, 2, name, end_step=2)
    assert half.sigma > 0
    rest = run(any_studio, 2, name, latent=half, start_step=2)
    assert (rest.samples - whole.samples).abs().max() <= 1e-4 * whole.samples.abs().max()
    with pytest.raises(NodeError, match="take start_step 2"):
        run(any_studio, 2, name, latent=half, start_step=0)


@pytest.mark.parametrize("name", ["euler", "lcm", "dpmpp_2m_sde"])
def test_an_image_is_the_same_alone_and_in_a_batch(any_studio: Studio, name: Any) -> None:
    together = run(any_studio, 3, name).samples
    alone = run(any_studio, name=name, seed=SEED + 2).samples
    assert (together[2:] - alone).abs().max() <= 1e-4 * alone.abs().max()


def test_the_last_preview_is_the_picture(any_studio: Studio) -> None:
    shown: list[Image] = []
    progress = Progress(on_step=lambda done, total, text, preview: shown.append(preview()) if preview else None)
    noise, words = any_studio.noise(), encode_prompt(any_studio.model, PROMPT)
    plain = {"schedule": schedule(STEPS), "sampler": sampler("euler"), "guidance": cfg(3)}
    made = denoise(any_studio.model, noise, words, progress=progress, **plain).latent
    assert len(shown) == STEPS
    with torch.no_grad(), live.use(any_studio.model) as parts:
        picture = parts.family.decode(parts, made.samples)
    assert (shown[-1].pixels - picture).abs().max() < 1e-4
    assert (shown[0].pixels - picture).abs().max() > 0.01


def test_prompts_of_different_lengths(sd3: Studio) -> None:
    """One call for each length: repeating a prompt would weigh it against the picture."""
    short, long = encode_prompt(sd3.model, PROMPT), encode_prompt(sd3.model, f"{PROMPT} BREAK and more")
    assert long.tokens.shape[1] == short.tokens.shape[1] + 77
    sample = sd3.noise(2).samples
    with torch.no_grad(), live.use(sd3.model) as parts:
        predict = parts.family.predictor(parts, sample.shape)
        together = predict(sample, 500.0, [short, long, short])
        alone = [predict(sample, 500.0, [one])[0] for one in (short, long, short)]
    for ours, theirs in zip(together, alone, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)
    assert not torch.allclose(together[0], together[1], atol=1e-3)


def test_weights_move_words(any_studio: Studio) -> None:
    model = any_studio.model
    plain, same = encode_prompt(model, "a red circle"), encode_prompt(model, "a (red:1.0) circle")
    strong, none = encode_prompt(model, "a (red:1.5) circle"), encode_prompt(model, "(a red circle:0.0)")
    empty = encode_prompt(model, "")
    assert torch.equal(plain.tokens, same.tokens)
    assert not torch.allclose(plain.tokens, strong.tokens, atol=1e-3)
    said = slice(1, 5)  # of every encoder's tokens, letters that a weight stands on
    assert torch.allclose(none.tokens[:, said], empty.tokens[:, said], atol=1e-5)


def test_a_text_too_long_for_t5_is_told(flux: Studio) -> None:
    facts: dict[str, Any] = {}
    encode_prompt(flux.model, "a red circle on a very long line", progress=Progress(on_note=facts.update))
    assert f"more than T5's {T5_LENGTH - 1}" in facts["prompt"]


@pytest.mark.parametrize("family", ["flux", "pixart"])
def test_clip_skip_is_refused_where_nothing_is_skipped(request: pytest.FixtureRequest, family: str) -> None:
    with pytest.raises(NodeError, match="clip_skip 1 has no effect on"):
        encode_prompt(request.getfixturevalue(family).model, PROMPT, clip_skip=1)


def test_clip_skip_of_stable_diffusion_3(sd3: Studio) -> None:
    ours = encode_prompt(sd3.model, PROMPT, clip_skip=1)
    stock = sd3.pipeline.encode_prompt(PROMPT, None, None, clip_skip=1, max_sequence_length=T5_LENGTH)
    assert torch.allclose(ours.tokens, stock[0], atol=1e-6)
    assert not torch.allclose(ours.tokens, encode_prompt(sd3.model, PROMPT).tokens, atol=1e-3)


def test_a_told_scale_and_true_guidance_are_two_things(flux: Studio, sd3: Studio) -> None:
    facts: dict[str, Any] = {}
    told = run(flux, progress=Progress(on_note=facts.update))
    assert facts["network_calls"] == STEPS  # the network guides itself: one branch
    guided = run(flux, distilled_guidance=3.0, negative=NEGATIVE, progress=Progress(on_note=facts.update))
    assert facts["network_calls"] == 2 * STEPS
    assert not torch.allclose(told.samples, guided.samples, atol=1e-3)
    assert not torch.allclose(told.samples, run(flux, distilled_guidance=9.0, guidance=cfg(1)).samples, atol=1e-3)
    with pytest.raises(NodeError, match="distilled_guidance is for guidance-distilled models"):
        run(sd3, distilled_guidance=3.0)


def test_prompts_of_another_family_are_refused(sd3: Studio, flux: Studio, pixart: Studio) -> None:
    words = encode_prompt(sd3.model, PROMPT)
    with pytest.raises(NodeError, match=r"was encoded 48 wide and .*tiny-flux takes 32"):
        denoise(flux.model, flux.noise(), words)
    tokens = encode_prompt(pixart.model, PROMPT).tokens
    with pytest.raises(NodeError, match="is told a pooled prompt too"):
        denoise(flux.model, flux.noise(), Conditioning(tokens), guidance=cfg(1))
    with pytest.raises(NodeError, match="which tokens are padding"):
        denoise(pixart.model, pixart.noise(), Conditioning(tokens), guidance=cfg(1))


def test_what_each_family_tells_of_itself(sd3: Studio, flux: Studio, pixart: Studio) -> None:
    told = {studio.model.family: describe(studio.model) for studio in (sd3, flux, pixart)}
    assert [told[family].multiple for family in FAMILIES] == [8, 8, 8]
    assert [told[family].prediction_type for family in FAMILIES] == ["flow", "flow", "epsilon"]
    assert [told[family].guidance for family in FAMILIES] == [7.0, 3.5, 4.5]
    assert [told[family].guidance_embedded for family in FAMILIES] == [False, True, False]
    assert told["flux"].default == (512, 512) and told["sd3"].default == (32, 32)


def test_a_patch_names_its_part(tmp_path: Path) -> None:
    from contextlib import contextmanager
    from dataclasses import dataclass, replace
    from typing import ClassVar

    from latentloom.nodes.types import Patch

    @dataclass(frozen=True)
    class Silence(Patch):
        """The denoiser's last layer gives nothing; the UNet it also names is not there."""

        parts: ClassVar[tuple[str, ...]] = ("unet", "transformer")

        @contextmanager
        def attach(self, part, module):
            assert part == "transformer"
            hook = module.register_forward_hook(lambda _, args, out: (out[0] * 0,))
            try:
                yield
            finally:
                hook.remove()

    studio = open_studio(build_sd3(tmp_path / "patched"))
    before = run(studio).samples
    silent = Studio(replace(studio.model, patches=(Silence(),)), studio.folder, studio.pipeline)
    assert torch.equal(run(silent).samples, studio.noise().samples)  # nothing moves where nothing is predicted
    assert torch.equal(run(studio).samples, before)
