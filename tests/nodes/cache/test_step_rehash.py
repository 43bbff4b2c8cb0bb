# pyright: reportArgumentType=false

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from ladder import BRANCHES, STEPS, TIMESTEPS, run_patched, run_plain, steps, tokens
from studio import NEGATIVE, PROMPT, Studio
from torch import Tensor

from latentloom.graph.node import NodeError
from latentloom.graph.progress import Progress
from latentloom.nodes.cache.deepcache import deepcache
from latentloom.nodes.cache.rehash import find_key_steps
from latentloom.nodes.cache.step_rehash import StepRehash, step_rehash
from latentloom.nodes.cache.step_similarity import Similarity, Watched, step_similarity
from latentloom.nodes.guidance.adaptive_guidance import adaptive_guidance
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.models.call import Call, under_way
from latentloom.nodes.prompt.encode_prompt import encode_prompt
from latentloom.nodes.schedule.sampler import sampler
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.types import Latent, Table

KEEPS = ("last_layer", "prediction")
KEYS = (0, 2, 5, 6, 9)

# ---------------------------------------------------------------- which steps are keys


def paper(similarity: list[list[float]], threshold: float) -> list[int]:
    """Algorithm 1 as printed, for thresholds up to 1: above, it would never end."""
    i = j = 0
    keys = [0]
    while i < len(similarity):
        if similarity[i][j] >= threshold:
            i += 1
        else:
            keys.append(i)
            j = i
    return [*keys, len(similarity) - 1]


@pytest.mark.parametrize("threshold", [-1.0, 0.3, 0.6, 0.9, 1.0])
def test_key_steps_are_those_of_the_paper(threshold: float) -> None:
    features = torch.randn(30, 8, generator=torch.Generator().manual_seed(2)).cumsum(0)
    unit = features / features.norm(dim=1, keepdim=True)
    similarity = (unit @ unit.T).fill_diagonal_(1.0).tolist()
    assert list(find_key_steps(similarity, threshold)) == sorted(set(paper(similarity, threshold)))


def test_above_one_all_steps_are_keys_and_below_all_only_the_ends() -> None:
    alike = [[1.0] * 5] * 5
    assert find_key_steps(alike, 1.1) == (0, 1, 2, 3, 4)
    assert find_key_steps(alike, 1.0) == (0, 4)
    assert find_key_steps([[1.0]], 0.5) == (0,)


# ---------------------------------------------------------------- what runs


@pytest.mark.parametrize("keep", KEEPS)
def test_all_steps_as_keys_change_nothing(unet: UNet2DConditionModel, samples: list[Tensor], keep: str) -> None:
    found, counts = run_patched(unet, StepRehash(tuple(range(STEPS)), keep), samples)
    assert all(torch.equal(a, b) for a, b in zip(found, run_plain(unet, samples), strict=True))
    assert not counts


@pytest.mark.parametrize("keep", KEEPS)
def test_what_was_skipped_is_counted_and_key_steps_are_whole(
    unet: UNet2DConditionModel, samples: list[Tensor], keep: str
) -> None:
    found, counts = run_patched(unet, StepRehash(KEYS, keep), samples)
    plain = run_plain(unet, samples)
    assert counts == {"steps rehashed": STEPS - len(KEYS)}
    assert [at for at in range(STEPS) if torch.equal(found[at], plain[at])] == list(KEYS)


def test_the_prediction_is_that_of_the_last_key_step(unet: UNet2DConditionModel, samples: list[Tensor]) -> None:
    found, _ = run_patched(unet, StepRehash(KEYS, "prediction"), samples)
    for at in range(STEPS):
        assert torch.equal(found[at], found[max(key for key in KEYS if key <= at)])


def test_the_last_layer_is_told_its_own_time_and_no_sample(unet: UNet2DConditionModel, samples: list[Tensor]) -> None:
    """The step after a key step is the UNet of that step's sample whose last layer alone hears the later time."""
    found, _ = run_patched(unet, StepRehash((0, 9), "last_layer"), samples)
    unrelated = [samples[0], *(torch.zeros_like(each) for each in samples[1:])]
    again, _ = run_patched(unet, StepRehash((0, 9), "last_layer"), unrelated)
    assert all(torch.equal(a, b) for a, b in zip(found[:9], again[:9], strict=True))
    last: Any = [*unet.up_blocks[-1].get_submodule("resnets").children()][-1]
    with torch.no_grad():
        embedding = unet.time_embedding(unet.get_time_embed(sample=samples[0], timestep=torch.tensor(TIMESTEPS[3])))

        def retimed(module: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
            return (given[0], embedding)

        hook = last.register_forward_pre_hook(retimed)
        later = unet(samples[0], torch.tensor(TIMESTEPS[0]), encoder_hidden_states=tokens(), return_dict=False)[0]
        hook.remove()
    assert torch.allclose(found[3], later, rtol=0, atol=1e-6)
    assert not torch.allclose(found[3], found[0], rtol=0, atol=1e-4)


@pytest.mark.parametrize(("keep", "resnets"), [("last_layer", {"up_blocks.2.resnets.2"}), ("prediction", set())])
def test_only_the_last_layer_runs_or_nothing(
    unet: UNet2DConditionModel, samples: list[Tensor], keep: str, resnets: set[str]
) -> None:
    ran: Counter[str] = Counter()
    names = [name for name, module in unet.named_modules() if type(module).__name__ == "ResnetBlock2D"]
    hooks = [unet.get_submodule(name).register_forward_hook(lambda *_, name=name: ran.update([name])) for name in names]
    run_patched(unet, StepRehash(KEYS, keep), samples)
    for hook in hooks:
        hook.remove()
    assert {name for name in names if ran[name] > len(KEYS)} == resnets
    assert {ran[name] for name in resnets} <= {STEPS}
    assert {ran[name] for name in set(names) - resnets} == {len(KEYS)}


@pytest.mark.parametrize("keep", KEEPS)
def test_it_leaves_the_unet_as_it_was(unet: UNet2DConditionModel, samples: list[Tensor], keep: str) -> None:
    before = dict(unet.__dict__)
    run_patched(unet, StepRehash(KEYS, keep), samples)
    assert unet.__dict__ == before


def test_branches_are_kept_apart(unet: UNet2DConditionModel, samples: list[Tensor]) -> None:
    both, _ = run_patched(unet, StepRehash((0, 9), "prediction"), samples)
    fewer, counts = run_patched(
        unet, StepRehash((0, 9), "prediction"), samples, lambda at: BRANCHES if at < 3 else BRANCHES[1:]
    )
    assert torch.equal(fewer[4], both[4][1:])
    assert counts == {"steps rehashed": 8}


def test_outside_of_a_run_it_does_nothing(unet: UNet2DConditionModel, samples: list[Tensor]) -> None:
    with StepRehash((0,), "prediction").attach("unet", unet):
        assert all(torch.equal(a, b) for a, b in zip(run_plain(unet, samples), run_plain(unet, samples), strict=True))


# ---------------------------------------------------------------- what is measured


@pytest.mark.parametrize("keep", KEEPS)
def test_similarity_is_the_cosine_of_what_is_kept(unet: UNet2DConditionModel, samples: list[Tensor], keep: str) -> None:
    features, run, notes = [], steps(), {}
    last: Any = [*unet.up_blocks[-1].get_submodule("resnets").children()][-1]
    hook = last.register_forward_pre_hook(lambda _, given: features.append(given[0]))
    plain = run_plain(unet, samples)
    hook.remove()
    expected = [each[1].flatten() for each in (plain if keep == "prediction" else features)]
    with Watched(keep).attach("unet", unet), torch.no_grad():
        for at, sample in enumerate(samples):
            with under_way(Call(run, at, BRANCHES, Counter(), notes=notes)):
                found = unet(sample, run[at].timestep, encoder_hidden_states=tokens(), return_dict=False)[0]
            assert torch.equal(found, plain[at])
    for at, feature in notes["step_similarity"].items():
        assert torch.allclose(feature[0], expected[at] / expected[at].norm())


# ---------------------------------------------------------------- in a run


def measured(studio: Studio, **options: Any) -> Similarity:
    positive, negative = (encode_prompt(studio.model, text) for text in (PROMPT, NEGATIVE))
    return step_similarity(
        studio.model, studio.noise(2), positive, negative, schedule(8), sampler("euler"), cfg(3), **options
    )


def pictures(studio: Studio, **options: Any) -> tuple[Tensor, dict[str, Any]]:
    notes: dict[str, Any] = {}
    cached = replace(studio, model=options.pop("model", studio.model))
    progress = Progress(on_note=notes.update)
    given = {"schedule": schedule(8), "sampler": sampler("euler"), "guidance": cfg(3), "negative": NEGATIVE, **options}
    return cached.sample(2, progress=progress, **given).samples, notes


def test_what_is_measured_gives_the_key_steps(sd: Studio) -> None:
    similarity = measured(sd).similarity
    matrix = [row[1:] for row in similarity.rows]
    for i in range(8):
        assert matrix[i][i] == pytest.approx(1, abs=1e-5)
        assert all(matrix[i][j] == pytest.approx(matrix[j][i], abs=1e-5) for j in range(8))
    threshold = sorted(matrix[i][i - 1] for i in range(1, 8))[3]
    model = step_rehash(sd.model, similarity, threshold)
    keys = find_key_steps(matrix, threshold)
    assert 2 < len(keys) < 8
    _, notes = pictures(sd, model=model)
    assert notes["steps_rehashed"] == 8 - len(keys)


@pytest.mark.parametrize("name", ["sd", "sd3"])
def test_a_threshold_above_one_is_the_plain_run(name: str, request: pytest.FixtureRequest) -> None:
    studio: Studio = request.getfixturevalue(name)
    similarity = measured(studio, keep="prediction").similarity
    found, notes = pictures(studio, model=step_rehash(studio.model, similarity, 1.1, keep="prediction"))
    assert torch.equal(found, pictures(studio)[0])
    assert "steps_rehashed" not in notes


def test_with_euler_a_kept_prediction_is_a_longer_step(sd: Studio) -> None:
    """dx / d sigma is the noise predicted: holding it over several steps is one step over all of them."""
    plain, notes = pictures(sd)
    keys = (0, 3, 4, 7)
    kept, _ = pictures(sd, model=step_rehash(sd.model, key_steps=list(keys), keep="prediction"))
    fewer = schedule(timesteps=tuple(round(notes["timesteps"][key]) for key in keys))
    found, _ = pictures(sd, schedule=fewer)
    assert torch.allclose(kept, found, rtol=0, atol=1e-3 * float(found.abs().max()))
    assert not torch.allclose(kept, plain, rtol=0, atol=1e-2 * float(found.abs().max()))


def test_a_run_from_a_picture_leaves_nothing_for_the_next(sd: Studio) -> None:
    model = step_rehash(sd.model, key_steps=[0, 3, 7])
    alone, _ = pictures(sd, model=model)
    _, notes = pictures(sd, model=model, latent=Latent(alone), strength=0.5)
    assert notes["steps_rehashed"] == 2  # of steps 4, 5, 6, 7 the first of the run and the key 7 are whole
    assert torch.equal(pictures(sd, model=model)[0], alone)


def test_together_with_guidance_that_stops(sd: Studio) -> None:
    model = step_rehash(sd.model, key_steps=[0, 7])
    _, notes = pictures(sd, model=model, guidance=adaptive_guidance(cfg(3), -1.0))
    assert notes["steps_rehashed"] == 6


def test_a_schedule_of_other_length_is_refused(sd: Studio) -> None:
    with pytest.raises(NodeError, match="measured for 8 evaluations, and this run's schedule has 5"):
        pictures(sd, model=step_rehash(sd.model, measured(sd).similarity), schedule=schedule(5))


def test_what_does_not_go_together_is_refused(sd: Studio, sd3: Studio) -> None:
    table = Table(("step", "0"), ((0, 1.0),))
    with pytest.raises(NodeError, match="leave key_steps empty"):
        step_rehash(sd.model, table, key_steps=[1])
    with pytest.raises(NodeError, match="Which steps are to be computed"):
        step_rehash(sd.model)
    with pytest.raises(NodeError, match="no similarity of steps"):
        step_rehash(sd.model, Table(("attribute", "right"), (("colour", 1.0),)))
    with pytest.raises(NodeError, match="both decide"):
        step_rehash(deepcache(sd.model), key_steps=[1])
    with pytest.raises(NodeError, match="set keep to prediction"):
        pictures(sd3, model=step_rehash(sd3.model, key_steps=[1]))
