# pyright: reportArgumentType=false

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from studio import NEGATIVE as WORDS
from studio import PROMPT, Studio
from torch import Tensor
from toy import EMPTY, NEGATIVE, OTHERS, POSITIVE, Network, start, steps, walk

from latentloom.graph.files import Files
from latentloom.graph.node import NodeError
from latentloom.graph.progress import Progress
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.guidance.fit_linear_ag import Fit, fit_linear_ag
from latentloom.nodes.guidance.guidance_interval import guidance_interval
from latentloom.nodes.guidance.guide import Conditions
from latentloom.nodes.guidance.linear_ag import Linear, linear_ag
from latentloom.nodes.guidance.perp_neg import perp_neg
from latentloom.nodes.guidance.regression import Coefficients, Products, error, read, solve, write
from latentloom.nodes.models.identity import of_model
from latentloom.nodes.prompt.encode_prompt import encode_prompt
from latentloom.nodes.schedule.sampler import sampler
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.types import Guidance, Latent, Model

STEPS = 20
MODEL = Model("toy", "sd", revision="abc")
TIMES = tuple(step.time for step in steps())


class Related(Network):
    """A network whose unconditional prediction is half its conditional one and a quarter of its own before."""

    before: Tensor | None = None

    def answer(self, sample: Tensor, timestep: Any, branch: Any) -> Tensor:
        if branch is not NEGATIVE:
            return super().answer(sample, timestep, branch)
        found = 0.5 * super().answer(sample, timestep, POSITIVE)
        return found if self.before is None else found + 0.25 * self.before


EXACT = Coefficients(
    "abc",
    "epsilon",
    "",
    "",
    TIMES,
    tuple((0.0,) * at + (0.5,) for at in range(STEPS)),
    tuple(((0.0,) * (at - 1) + (0.25,)) if at else () for at in range(STEPS)),
)


def linear(guidance: Guidance, coefficients: Coefficients = EXACT, **options: Any) -> Linear:
    return Linear(guidance, coefficients, "fit.json", **{"share": 0.5, "every": 2, "late": "conditional", **options})


def run(guidance: Guidance, network: Network, first: int = 0) -> list[Tensor]:
    live = SimpleNamespace(model=MODEL)
    guide = guidance.begin(Conditions(POSITIVE, NEGATIVE, lambda: EMPTY, live))
    sample, walked = start(), []
    for step in steps()[first:]:
        given = sample
        sample = sample - 0.05 * guide(network, sample, step)
        if isinstance(network, Related):
            network.before = network.answer(given, step.timestep, NEGATIVE)
        walked.append(sample)
    return walked


@pytest.mark.parametrize("scale", [7.5, 1.0])
def test_evaluating_at_every_step_is_the_guidance_itself(scale: float) -> None:
    network = Network()
    walked = run(linear(cfg(scale, 0.5), share=1.0, every=1), network)
    plain, asked = walk(cfg(scale, 0.5))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(walked, plain, strict=True))
    assert network.calls == asked.calls


@pytest.mark.parametrize(
    ("share", "every", "both"), [(0.5, 2, 5), (1.0, 2, 10), (0.55, 2, 6), (0.5, 3, 4), (0.0, 1, 0)]
)
@pytest.mark.parametrize("late", ["conditional", "estimated"])
def test_calls_are_those_of_the_formula(share: float, every: int, both: int, late: str) -> None:
    network = Network()
    run(linear(cfg(7.5), share=share, every=every, late=late), network)
    assert network.calls == STEPS + both == STEPS + -(-int(share * STEPS) // every)
    assert [len(asked) for asked in network.asked] == [
        2 if at < int(share * STEPS) and at % every == 0 else 1 for at in range(STEPS)
    ]


def test_exact_coefficients_give_the_guided_run() -> None:
    estimated = run(linear(cfg(7.5), late="estimated"), Related())
    guided = run(cfg(7.5), Related())
    assert all(torch.allclose(a, b, rtol=0, atol=1e-12) for a, b in zip(estimated, guided, strict=True))


def test_the_second_half_is_the_conditional_branch_by_itself() -> None:
    walked = run(linear(cfg(7.5)), Related())
    network, sample = Network(), walked[9]
    for step, following in zip(steps()[10:], walked[10:], strict=True):
        sample = sample - 0.05 * network.answer(sample, step.timestep, POSITIVE)
        assert torch.equal(sample, following)


def test_a_step_the_guidance_asks_only_one_branch_at_is_estimated_for_those_after() -> None:
    inside = guidance_interval(cfg(7.5), 0.0, 12.0)
    estimated = run(linear(inside, late="estimated"), Related())
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(estimated, run(inside, Related()), strict=True))


def test_a_run_without_the_first_steps_evaluates() -> None:
    network = Network()
    run(linear(cfg(7.5)), network, first=4)
    assert [len(asked) for asked in network.asked] == [2] * 6 + [1] * 10


def test_nothing_is_left_for_the_next_run() -> None:
    guidance = linear(cfg(7.5))
    alone = run(guidance, Network())
    run(guidance, Network(), first=4)
    assert all(torch.equal(a, b) for a, b in zip(run(guidance, Network()), alone, strict=True))


def test_guidances_with_other_branches_are_refused() -> None:
    with pytest.raises(NodeError, match="the positive and the negative branch alone"):
        run(linear(perp_neg((OTHERS[0],), 7.5, 1.0)), Network())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"times": TIMES[:10]}, "fitted for 10 evaluations, and this run has 20"),
        ({"times": (0.9, *TIMES[1:])}, "another schedule: its step 0 is at time 0.9000"),
        ({"model": "other"}, "another model than toy"),
        ({"prediction": "flow"}, "networks that predict flow, not epsilon"),
    ],
)
def test_coefficients_of_other_runs_are_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(NodeError, match=sentence):
        run(linear(cfg(7.5), replace(EXACT, **changes)), Network())


def test_all_that_does_not_fit_is_told_at_once() -> None:
    other = replace(EXACT, times=TIMES[:3], model="other", prediction="flow")
    with pytest.raises(NodeError, match=r"predict flow.*another model.*3 evaluations.*fit_linear_ag"):
        run(linear(cfg(7.5), other), Network(), first=4)


# ---------------------------------------------------------------- the fit


def test_the_fit_finds_what_there_is_to_find() -> None:
    """Least squares by torch.linalg.lstsq on the values themselves, which the inner products are to stand for."""
    generator = torch.Generator().manual_seed(1)
    conditional = [torch.randn(3, 4, 2, 2, generator=generator, dtype=torch.float64) for _ in range(4)]
    unconditional = [torch.randn(3, 4, 2, 2, generator=generator, dtype=torch.float64) for _ in range(4)]
    products = Products(4)
    for image in range(3):  # batches add up
        products.add([c[image] for c in conditional], [u[image] for u in unconditional])
    for step in range(4):
        known = torch.stack([each.flatten() for each in (*conditional[: step + 1], *unconditional[:step])], 1)
        wanted = unconditional[step].flatten()
        expected = torch.linalg.lstsq(known, wanted).solution
        a, b = solve(products.matrix, step)
        assert a + b == pytest.approx(expected.tolist(), abs=1e-9)
        left = (known @ expected - wanted).square().sum() / wanted.square().sum()
        assert error(products.matrix, step, a + b) == pytest.approx(left.item(), abs=1e-9)


def test_predictions_that_say_the_same_do_not_break_the_fit() -> None:
    one, other = torch.randn(2, 1, 4, 2, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    products = Products(2)
    products.add([one, one], [other, 3 * one - other])
    a, b = solve(products.matrix, 1)
    assert torch.allclose(a[0] * one + a[1] * one + b[0] * other, 3 * one - other)


def test_a_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write(tmp_path / "fit.json", EXACT)
    assert read(tmp_path / "fit.json") == EXACT


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"kind": "latentloom LinearAG coefficients"}'])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "fit.json").write_text(text)
    with pytest.raises(NodeError, match=r"fit\.json holds no coefficients of LinearAG"):
        linear_ag(cfg(3), "fit.json", files=Files({"input": [tmp_path]}))


# ---------------------------------------------------------------- in a run


@pytest.fixture(scope="module")
def fitted(sd: Studio, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Fit, dict[str, Any]]:
    folder, notes = tmp_path_factory.mktemp("out"), {}
    positive, negative = (encode_prompt(sd.model, text) for text in (PROMPT, WORDS))
    fit = fit_linear_ag(
        sd.model, sd.noise(6), positive, negative, schedule(6), sampler("ddim"), cfg(3), "fits/sd", 0.34, 3,
        Progress(on_note=notes.update), files=Files(writing=folder),
    )  # fmt: skip
    return folder / "fits" / "sd.json", fit, notes


def sampled(studio: Studio, guidance: Guidance, **options: Any) -> tuple[Latent, dict[str, Any]]:
    notes: dict[str, Any] = {}
    options = {"negative": WORDS, "sampler": sampler("ddim"), "schedule": schedule(6), **options}
    return studio.sample(2, guidance=guidance, progress=Progress(on_note=notes.update), **options), notes


def test_a_fit_says_how_well_it_holds_and_for_what(sd: Studio, fitted: tuple[Path, Fit, dict[str, Any]]) -> None:
    path, fit, notes = fitted
    made = json.loads(path.read_text("utf-8"))
    assert (made["model"], made["sampler"], made["prediction"]) == (of_model(sd.model), "ddim", "epsilon")
    assert len(made["times"]) == 6
    assert notes["files"] == [str(path)]
    assert [row[0] for row in fit.errors.rows] == list(range(6))
    for row in fit.errors.rows:
        training, test, instead = (float(each or 0) for each in row[1:])
        assert 0 <= training <= test * 1.5 and test < instead


def test_a_fitted_run_counts_and_comes_near_the_guided_one(
    sd: Studio, fitted: tuple[Path, Fit, dict[str, Any]]
) -> None:
    files = Files({"input": [fitted[0].parent]})
    guided = sampled(sd, cfg(3))[0].samples
    found, notes = sampled(sd, linear_ag(cfg(3), "sd.json", 1.0, 2, files=files))
    assert notes["network_calls"] == 6 + 3
    alone = sampled(sd, cfg(1))[0].samples
    assert (found.samples - guided).norm() < 0.5 * (alone - guided).norm()
    assert torch.equal(sampled(sd, linear_ag(cfg(3), "sd.json", 1.0, 1, files=files))[0].samples, guided)


def test_a_run_of_other_steps_or_another_model_is_refused(
    sd: Studio, sdxl: Studio, fitted: tuple[Path, Fit, dict[str, Any]]
) -> None:
    guidance = linear_ag(cfg(3), "sd.json", files=Files({"input": [fitted[0].parent]}))
    with pytest.raises(NodeError, match="fitted for 6 evaluations, and this run has 4"):
        sampled(sd, guidance, schedule=schedule(4))
    with pytest.raises(NodeError, match="another model than"):
        sampled(sdxl, guidance)


def test_a_guidance_of_one_branch_cannot_be_fitted_to(sd: Studio, tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="wire cfg with a scale above 1"):
        fit_linear_ag(
            sd.model, sd.noise(2), encode_prompt(sd.model, PROMPT), guidance=cfg(1), files=Files(writing=tmp_path)
        )


def test_one_picture_is_too_few(sd: Studio, tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="too few to fit"):
        fit_linear_ag(sd.model, sd.noise(1), encode_prompt(sd.model, PROMPT), files=Files(writing=tmp_path))
