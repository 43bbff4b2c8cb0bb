"""What must hold of a run whatever the model draws."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from studio import NEGATIVE, PROMPT, SEED, Studio, open_studio
from tiny import FACTOR, SIZE, build_sd

from latentloom.graph.node import NodeError
from latentloom.graph.progress import Cancelled, Progress
from latentloom.nodes.guidance.adaptive_guidance import adaptive_guidance
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.guidance.multi_condition import multi_condition
from latentloom.nodes.image.decode import decode
from latentloom.nodes.models.live import use
from latentloom.nodes.prompt.encode_prompt import encode_prompt
from latentloom.nodes.sample import preview as previews
from latentloom.nodes.sample.denoise import denoise
from latentloom.nodes.schedule.sampler import sampler
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.types import Branch, Image, Latent, Mask, Noise, Report

STEPS = 4
STOCHASTIC = ["euler_ancestral", "ddpm", "dpmpp_2m_sde", "dpmpp_sde", "lcm", "tcd"]


def run(studio: Studio, name: Any = "euler", batch: int = 1, **options: Any) -> torch.Tensor:
    return latent(studio, name, batch, **options).samples


def latent(studio: Studio, name: Any = "euler", batch: int = 1, **options: Any) -> Latent:
    return studio.sample(
        batch, **{"sampler": sampler(name), "schedule": schedule(STEPS), "guidance": cfg(5), "preview": False} | options
    )


def picture(batch: int = 1) -> Latent:
    shape = (batch, 4, SIZE // FACTOR, SIZE // FACTOR)
    return Latent(torch.randn(shape, generator=torch.Generator().manual_seed(5)))


def noted(studio: Studio, name: Any = "euler", **options: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    run(studio, name, progress=Progress(on_note=facts.update), **options)
    return facts


# ---------------------------------------------------------------- seeds and batches


@pytest.mark.parametrize("name", ["euler", *STOCHASTIC])
def test_an_image_is_the_same_alone_and_in_a_batch(sd: Studio, name: Any) -> None:
    together = run(sd, name, batch=3)
    alone = run(sd, name, batch=1, seed=SEED + 2)
    assert (together[2:] - alone).abs().max() <= 1e-4 * alone.abs().max()


@pytest.mark.parametrize("name", STOCHASTIC)
def test_fresh_noise_is_repeated(sd: Studio, name: Any) -> None:
    assert torch.equal(run(sd, name), run(sd, name))
    assert not torch.equal(run(sd, name), run(sd, name, seed=SEED + 1))


@pytest.mark.parametrize("name", STOCHASTIC)
def test_fresh_noise_is_not_the_noise_begun_with(sd: Studio, name: Any) -> None:
    """A run whose steps drew the first noise again would draw it in the direction it removes."""
    noise = sd.noise()
    other = Noise(noise.samples, (SEED + 1,))
    assert not torch.equal(run(sd, name, noise=noise), run(sd, name, noise=other))


def test_deterministic_samplers_read_only_the_noise(sd: Studio) -> None:
    noise = sd.noise()
    assert torch.equal(run(sd, "heun", noise=noise), run(sd, "heun", noise=Noise(noise.samples, (99,))))


# ---------------------------------------------------------------- parts of a schedule


@pytest.mark.parametrize("name", ["ddim", "ddpm", "lcm", "tcd", "euler", "euler_ancestral", "heun", "dpmpp_sde"])
@pytest.mark.parametrize("cut", [1, 3])
def test_two_parts_make_the_whole(sd: Studio, name: Any, cut: int) -> None:
    """Bit for bit where the sampler's own scale is the network's; the others are rescaled at the cut and back."""
    first = latent(sd, name, batch=2, end_step=cut)
    assert first.sigma > 0
    second = latent(sd, name, batch=2, latent=first, start_step=cut)
    whole = latent(sd, name, batch=2)
    assert second.sigma == whole.sigma == 0
    if name in ("ddim", "ddpm", "lcm", "tcd"):
        assert torch.equal(second.samples, whole.samples)
    else:
        assert (second.samples - whole.samples).abs().max() <= 1e-4 * whole.samples.abs().max()


def test_a_part_is_finished_by_another_sampler(sd: Studio) -> None:
    """Euler and DDIM take the same steps in different scales, so the one may finish what the other began."""
    begun = latent(sd, "euler", end_step=2)
    finished = latent(sd, "ddim", latent=begun, start_step=2)
    whole = latent(sd, "ddim")
    assert (finished.samples - whole.samples).abs().max() <= 1e-4 * whole.samples.abs().max()


def test_a_part_must_go_on_where_it_ended(sd: Studio) -> None:
    begun = latent(sd, "euler", end_step=3)
    with pytest.raises(NodeError, match=r"noise of .* left in it, and step 0 .* take start_step 3"):
        latent(sd, "euler", latent=begun)


def test_an_end_behind_the_last_step_is_the_last(sd: Studio) -> None:
    assert torch.equal(run(sd, end_step=STEPS), run(sd))
    assert torch.equal(run(sd, end_step=900), run(sd))


def test_starting_late_from_a_finished_latent_is_a_strength(sd: Studio) -> None:
    late = run(sd, latent=picture(), start_step=1)
    assert torch.equal(late, run(sd, latent=picture(), strength=0.75))


@pytest.mark.parametrize("strength", [0.0, 0.2])
def test_a_strength_of_no_step_changes_nothing(sd: Studio, strength: float) -> None:
    original = picture()
    assert latent(sd, latent=original, strength=strength) is original


@pytest.mark.parametrize("name", ["euler", "heun", "ddim", "dpmpp_2m"])
def test_strength_counts_steps(sd: Studio, name: Any) -> None:
    assert noted(sd, name, latent=picture(), strength=0.5)["steps"] == 2


# ---------------------------------------------------------------- masks


@pytest.mark.parametrize("name", ["euler", "heun", "ddim", "dpmpp_2m", "dpmpp_sde"])
def test_a_mask_of_everything_is_image_to_image(sd: Studio, name: Any) -> None:
    everything = Mask(torch.ones(1, 1, SIZE, SIZE))
    masked = run(sd, name, latent=picture(), strength=0.75, mask=everything)
    assert torch.equal(masked, run(sd, name, latent=picture(), strength=0.75))


@pytest.mark.parametrize("strength", [0.75, 1.0])
@pytest.mark.parametrize("name", ["euler", "heun", "ddim", "dpmpp_2m", "dpmpp_sde"])
def test_a_mask_of_nothing_keeps_the_original(sd: Studio, name: Any, strength: float) -> None:
    nothing = Mask(torch.zeros(1, 1, SIZE, SIZE))
    assert torch.equal(run(sd, name, latent=picture(), strength=strength, mask=nothing), picture().samples)


def test_only_what_the_mask_covers_changes(sd: Studio) -> None:
    half = torch.zeros(1, 1, SIZE, SIZE)
    half[..., SIZE // 2 :] = 1
    masked = run(sd, batch=2, latent=picture(), strength=0.75, mask=Mask(half))
    left, right = masked.chunk(2, dim=-1)
    before_left, before_right = picture().samples.expand(2, -1, -1, -1).chunk(2, dim=-1)
    assert torch.equal(left, before_left)
    assert ((right - before_right).abs().amax(dim=(1, 2, 3)) > 0.1).all()


# ---------------------------------------------------------------- counting, telling, stopping


@pytest.mark.parametrize(
    ("name", "scale", "calls", "passes"),
    [("euler", 5, 2 * STEPS, STEPS), ("euler", 1, STEPS, STEPS), ("heun", 5, 2 * (2 * STEPS - 1), 2 * STEPS - 1)],
)
def test_network_calls_are_counted(sd: Studio, name: Any, scale: float, calls: int, passes: int) -> None:
    facts = noted(sd, name, guidance=cfg(scale), negative=NEGATIVE)
    assert (facts["network_calls"], facts["network_passes"], facts["steps"]) == (calls, passes, STEPS)
    assert facts["sampler"] == name
    assert facts["device"].startswith("CPU")
    assert facts["seconds_per_step"] > 0


def reported(studio: Studio, guidance: Any, name: Any = "euler", **options: Any) -> Report:
    words, unwanted = encode_prompt(studio.model, PROMPT), encode_prompt(studio.model, NEGATIVE)
    given = {"schedule": schedule(STEPS), "sampler": sampler(name), "preview": False, **options}
    return denoise(studio.model, studio.noise(), words, unwanted, guidance=guidance, **given).report


def test_the_report_tells_calls_by_branch(sd: Studio) -> None:
    plain = reported(sd, cfg(5))
    assert plain.branches == (Branch("negative", STEPS, 0), Branch("positive", STEPS, 0))
    assert (plain.steps, plain.passes, plain.calls, plain.saved) == (STEPS, STEPS, 2 * STEPS, 0)
    once = reported(sd, adaptive_guidance(cfg(5), -1))
    assert once.branches == (Branch("negative", 1, STEPS - 1), Branch("positive", STEPS, 0))
    third = reported(sd, multi_condition((encode_prompt(sd.model, "a ring"),), [5.0], [1.0], 500.0))
    assert {branch.name for branch in third.branches} == {"other", "positive"}


def test_the_report_tells_seconds_of_steps(sd: Studio) -> None:
    for name in ("euler", "heun"):
        report = reported(sd, cfg(5), name)
        assert len(report.seconds) == report.steps == STEPS
        assert 0 < sum(report.seconds) <= report.total_seconds


def test_operations_are_counted_on_demand_and_change_nothing(sd: Studio) -> None:
    assert reported(sd, cfg(5)).flops is None
    guided, alone = (reported(sd, cfg(scale), count_flops=True).flops for scale in (5, 1))
    assert guided is not None
    assert alone is not None
    assert guided == 2 * alone > 0
    assert torch.equal(run(sd, count_flops=True), run(sd))


def test_a_strength_of_no_step_takes_nothing(sd: Studio) -> None:
    report = reported(sd, cfg(5), latent=picture(), strength=0.0)
    assert (report.steps, report.calls, report.seconds, report.total_seconds) == (0, 0, (), 0.0)


def test_no_guidance_ignores_the_negative_prompt(sd: Studio) -> None:
    assert torch.equal(run(sd, guidance=cfg(1), negative=NEGATIVE), run(sd, guidance=cfg(1)))


@pytest.mark.parametrize("name", ["euler", "heun", "dpmpp_sde"])
def test_progress_counts_steps_not_evaluations(sd: Studio, name: Any) -> None:
    told: list[tuple[int, int]] = []
    run(sd, name, progress=Progress(on_step=lambda done, total, label, _: told.append((done, total))))
    assert told[-STEPS:] == [(step, STEPS) for step in range(1, STEPS + 1)]


def test_a_run_stops_within_a_step(sd: Studio) -> None:
    cancel, told = threading.Event(), []

    def on_step(done: int, total: int, label: str, preview: Any) -> None:
        told.append(done)
        if done == 2:
            cancel.set()

    run(sd)  # nothing is left to load, so that all that is told are steps
    with pytest.raises(Cancelled):
        run(sd, progress=Progress(on_step=on_step, cancel=cancel))
    assert told == [1, 2]


def test_previews_are_made_only_when_somebody_looks(sd: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    colours = previews._colours
    monkeypatch.setattr(previews, "_colours", lambda *given: made.append(given) or colours(*given))
    shown: list[Any] = []
    progress = Progress(on_step=lambda done, total, label, preview: shown.append(preview))
    watched = latent(sd, preview=True, progress=progress)
    assert made == []
    last = shown[-1]()
    assert len(made) == 1
    assert isinstance(last, Image)
    # the last step of Euler ends at what the network foresees
    assert (last.pixels - decode(sd.model, watched).pixels).abs().max() < 1e-4
    assert torch.equal(watched.samples, run(sd))


def test_previews_can_be_off(sd: Studio) -> None:
    shown: list[Any] = []
    run(sd, progress=Progress(on_step=lambda done, total, label, preview: shown.append(preview)))
    assert set(shown) == {None}


def test_a_large_decoder_is_drawn_by_a_straight_line(sd: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "SMALL", 0)
    monkeypatch.setattr(previews, "_fitted", {})
    shown: list[Any] = []
    progress = Progress(on_step=lambda done, total, label, preview: shown.append(preview))
    run(sd, batch=2, preview=True, progress=progress)
    pixels = shown[-1]().pixels
    assert pixels.shape == (2, 3, SIZE // FACTOR, SIZE // FACTOR)
    assert pixels.min() >= 0
    assert pixels.max() <= 1


def test_the_straight_line_is_that_of_the_decoder() -> None:
    """A decoder that is one is found again."""
    weights, bias = torch.rand(4, 3) * 0.05, torch.tensor([0.4, 0.5, 0.6])

    class Linear:
        family = property(lambda self: self)

        def decode(self, parts: Any, samples: torch.Tensor) -> torch.Tensor:
            colours = torch.einsum("bchw,cr->brhw", samples, weights) + bias.view(1, 3, 1, 1)
            return torch.nn.functional.interpolate(colours, scale_factor=4)

    fitted: Any = previews.fit(Linear(), 4)  # pyright: ignore[reportArgumentType]
    assert torch.allclose(fitted[0], weights, atol=1e-5)
    assert torch.allclose(fitted[1], bias, atol=1e-5)


def test_weights_loaded_by_a_run_stay_open_to_change_and_gradients(tmp_path: Path) -> None:
    """Tensors made in inference mode never leave it; weights outlive the run that loads them."""
    fresh = open_studio(build_sd(tmp_path / "fresh"))
    run(fresh)
    with use(fresh.model) as parts:
        assert not any(weight.is_inference() for weight in parts.unet.parameters())
        assert not any(weight.is_inference() for weight in parts.text_encoders[0].parameters())


def test_the_result_may_take_part_in_gradients(sd: Studio) -> None:
    weight = torch.ones(1, requires_grad=True)
    (run(sd) * weight).sum().backward()
    assert weight.grad is not None


# ---------------------------------------------------------------- what does not fit together


@pytest.mark.parametrize(
    ("options", "sentences"),
    [
        ({"strength": 0.5}, ["strength needs a latent"]),
        ({"start_step": 2}, ["start_step needs a latent"]),
        ({"mask": Mask(torch.ones(1, 1, SIZE, SIZE))}, ["mask needs a latent"]),
        ({"latent": picture(), "start_step": STEPS}, ["start_step 4 is behind the 4 steps"]),
        ({"latent": picture(), "start_step": 2, "end_step": 2}, ["end_step 2 is not after start_step 2"]),
        ({"latent": picture(), "start_step": 2, "strength": 0.5}, ["both say where to begin"]),
        ({"latent": Latent(torch.zeros(1, 4, 4, 8))}, [r"The latent is \[4, 4, 8\] and the noise \[4, 8, 8\]"]),
        ({"latent": picture(2), "batch": 3}, ["2 latents for 3 noises"]),
        ({"latent": picture(), "mask": Mask(torch.ones(2, 1, SIZE, SIZE))}, ["2 masks for 1 images"]),
        ({"latent": picture(), "mask": Mask(torch.ones(1, 1, SIZE, 2 * SIZE))}, ["The mask is 64x32 pixels"]),
        (
            {"latent": Latent(torch.zeros(1, 4, 8, 8), sigma=2.0), "strength": 0.5, "end_step": 1, "start_step": 1},
            ["end_step 1", "both say where to begin", "strength needs a finished latent"],
        ),
    ],
)
def test_misuse_is_told_all_at_once(sd: Studio, options: dict[str, Any], sentences: list[str]) -> None:
    with pytest.raises(NodeError, match=".*".join(sentences)):
        run(sd, **options)


def test_prompts_and_images_must_agree(sd: Studio) -> None:
    two = encode_prompt(sd.model, PROMPT)
    two = type(two)(two.tokens.repeat(2, 1, 1))
    with pytest.raises(NodeError, match="2 prompts for 3 images"):
        denoise(sd.model, sd.noise(3), two, schedule=schedule(1))
