# pyright: reportArgumentType=false

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from studio import PROMPT, Studio
from torch import Tensor

from latentloom.graph.files import Files
from latentloom.graph.node import NodeError
from latentloom.graph.progress import Progress
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.prompt.encode_prompt import encode_prompt
from latentloom.nodes.reward.colourfulness_reward import colourfulness_reward
from latentloom.nodes.schedule import search_timesteps as module
from latentloom.nodes.schedule.evolution import Candidate, Evolution, Search, crossed
from latentloom.nodes.schedule.files import write
from latentloom.nodes.schedule.load_schedule import load_schedule
from latentloom.nodes.schedule.sampler import sampler
from latentloom.nodes.schedule.save_schedule import save_schedule
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.schedule.search_timesteps import Found, search_timesteps
from latentloom.nodes.types import Prompts, Schedule

FIRST = (80, 60, 40, 20)
TARGET = (97, 31, 17, 3)
SEARCH = Search(0, 99, epochs=8, population=20, mutations=10, crossovers=6, best=5)


def nearness(candidate: Candidate) -> float:
    return -float(sum(abs(a - b) for a, b in zip(candidate, TARGET, strict=True)))


# ---------------------------------------------------------------- the search


def test_lists_are_sorted_without_doubles_in_range_and_tried_once() -> None:
    asked: list[Candidate] = []
    found = SEARCH.run((FIRST,), lambda candidate: asked.append(candidate) or nearness(candidate))
    assert asked[0] == FIRST
    assert len(asked) == len(set(asked)) == 8 * 20 == len(found.tried)
    assert all(list(each) == sorted(set(each), reverse=True) and len(each) == 4 for each in asked)
    assert all(0 <= time <= 99 for each in asked for time in each)


def test_the_best_never_gets_worse_and_gets_better_than_the_first() -> None:
    found = SEARCH.run((FIRST,), nearness)
    best = [nearness(each) for each in found.progress]
    assert len(best) == 8
    assert best == sorted(best)
    assert best[-1] == max(found.tried.values()) > max(nearness(FIRST), best[0])


def test_a_seed_gives_the_same_search_and_another_one_another() -> None:
    once, again, other = (
        SEARCH.run((FIRST,), nearness),
        SEARCH.run((FIRST,), nearness),
        replace(SEARCH, seed=1).run((FIRST,), nearness),
    )
    assert list(once.tried.items()) == list(again.tried.items())
    assert list(once.tried) != list(other.tried)


def test_it_beats_drawing_at_random() -> None:
    alone = replace(SEARCH, mutations=0, crossovers=0)
    better = sum(
        max(replace(SEARCH, seed=seed).run((FIRST,), nearness).tried.values())
        > max(replace(alone, seed=seed).run((FIRST,), nearness).tried.values())
        for seed in range(5)
    )
    assert better >= 4


def test_mutation_changes_timesteps_by_chance_to_unused_ones() -> None:
    always, random = replace(SEARCH, chance=1.0), Random(0)
    for _ in range(50):
        made = always.mutated(FIRST, random)
        assert len(made) == 4
        rarely = replace(SEARCH, chance=0.01).mutated(FIRST, random)
        assert len(set(rarely) & set(FIRST)) >= 2
    assert any(not set(always.mutated(FIRST, random)) & set(FIRST) for _ in range(20))


def test_crossover_takes_each_place_from_a_parent() -> None:
    random = Random(0)
    children = {crossed((FIRST, TARGET), random) for _ in range(200)}
    assert all(set(child) <= set(FIRST) | set(TARGET) for child in children)
    assert len(children) == 2**4


def test_of_few_lists_all_are_tried_and_the_search_ends() -> None:
    small = Search(0, 4, epochs=9, population=10, mutations=4, crossovers=3, best=3)
    found = small.run(((4, 2),), lambda candidate: float(sum(candidate)))
    assert len(found.tried) == 10  # two of five
    assert len(found.progress) < 9
    assert found.top(1) == [(4, 3)]


def test_as_many_steps_as_timesteps_leave_one_list() -> None:
    assert Search(0, 2, epochs=3, population=5).run(((2, 1, 0),), lambda _: 1.0).top(9) == [(2, 1, 0)]


def test_equally_good_ones_stand_in_the_order_they_were_tried() -> None:
    assert Evolution({(3,): 1.0, (2,): 2.0, (1,): 1.0}).top(3) == [(2,), (3,), (1,)]


# ---------------------------------------------------------------- the node


def searched(studio: Studio, folder: Path, progress: Progress = Progress(), **options: Any) -> Found:  # noqa: B008
    given = {
        "steps": 3, "reference_steps": 6, "epochs": 2, "population": 4, "mutations": 2, "crossovers": 1, "best": 2,
        "sampler": sampler("euler"), "guidance": cfg(3), "at_once": 1, **options,
    }  # fmt: skip
    positive = encode_prompt(studio.model, PROMPT)
    return search_timesteps(
        studio.model, studio.noise(2), positive, progress=progress, files=Files(writing=folder), **given
    )


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Schedule]:
    """The schedules pictures were made with."""
    seen: list[Schedule] = []
    whole = module._pictures
    monkeypatch.setattr(
        module, "_pictures", lambda job, chosen, *rest: seen.append(chosen) or whole(job, chosen, *rest)
    )
    return seen


def test_a_search_tells_writes_and_returns_the_best(sd: Studio, tmp_path: Path, made: list[Schedule]) -> None:
    notes: dict[str, Any] = {}
    told: list[tuple[int, int, str]] = []
    progress = Progress(lambda done, total, label, _: told.append((done, total, label)), notes.update)
    found = searched(sd, tmp_path, progress, name="a/few")
    assert [each.steps for each in made].count(6) == 1
    assert len(made) == 1 + notes["lists_tried"] == 1 + 8
    assert [done for done, _, _ in told] == list(range(1, 9))
    assert all(total == 8 and "best" in label for _, total, label in told)
    loaded_notes: dict[str, Any] = {}
    files = Files({"input": [tmp_path / "a"]})
    assert load_schedule("few.json", Progress(on_note=loaded_notes.update), files=files) == found.schedule
    assert loaded_notes["fitness"] == notes["fitness"] >= max(notes["usual_spacings"].values())
    assert found.lists.rows[0][0] == "spacing model"
    assert found.figure.series[0].y[-1] == notes["fitness"]


def test_the_evenly_spaced_list_is_the_plain_run(sd: Studio) -> None:
    """Given explicitly, it makes the pictures that the number of steps makes."""
    usual, lowest, highest = module.spaced(sd.model, sd.noise(), sampler("dpmpp_2m"), 4)
    assert (lowest, highest) == (0, 999)
    assert next(iter(usual.values())) == "model" and {"trailing", "linspace"} <= {*usual.values()}
    even = next(iter(usual))
    options: dict[str, Any] = {"sampler": sampler("dpmpp_2m"), "guidance": cfg(3)}
    listed = sd.sample(2, schedule=schedule(timesteps=even), **options).samples
    assert torch.equal(listed, sd.sample(2, schedule=schedule(4), **options).samples)


def test_flow_models_have_their_own_times(sd3: Studio) -> None:
    usual, lowest, highest = module.spaced(sd3.model, sd3.noise(), sampler("euler"), 4)
    even = next(iter(usual))
    assert (lowest, highest) == (1, 1000)
    assert even[0] == 1000 and len(even) == 4


def test_a_search_that_was_stopped_goes_on_where_it_was(sd: Studio, tmp_path: Path, made: list[Schedule]) -> None:
    whole = searched(sd, tmp_path)
    journal = tmp_path / "timesteps.jsonl"
    lines = journal.read_text("utf-8").splitlines()
    assert len(lines) == 8
    journal.write_text("\n".join(lines[:3]) + "\n" + lines[3][:20], "utf-8")  # as if killed in the fourth
    made.clear()
    again = searched(sd, tmp_path)
    assert again == whole
    assert len(made) == 1 + 5, "three were known, and the pictures to compare with are made anew"
    assert [json.loads(line) for line in journal.read_text("utf-8").splitlines() if line != lines[3][:20]] == [
        json.loads(line) for line in lines
    ]
    made.clear()
    assert searched(sd, tmp_path) == whole and made == []
    searched(sd, tmp_path, guidance=cfg(4), epochs=1)
    assert len(made) == 1 + 4, "of another problem nothing is known"


@dataclass(frozen=True)
class Early(type(colourfulness_reward())):  # type: ignore[misc]
    """Any reward, that keeps count of what it was asked."""

    def begin(self, texts: tuple[str, ...]) -> Callable[[Tensor], Tensor]:
        assert texts == (PROMPT,)
        return super().begin(texts)


def test_a_reward_is_the_fitness_where_one_is_wired(sd: Studio, tmp_path: Path, made: list[Schedule]) -> None:
    found = searched(sd, tmp_path, reward=Early(), prompts=Prompts((PROMPT,)), epochs=1)
    assert all(each.steps == 3 for each in made), "there are no pictures to come close to"
    pixels = sd.ours(2, schedule=found.schedule, sampler=sampler("euler"), guidance=cfg(3))
    expected = colourfulness_reward().begin(("",))(pixels).double().mean().item()
    assert found.lists.rows[1][2] == pytest.approx(expected, abs=1e-5)


def test_what_cannot_be_searched_is_refused(sd: Studio, tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="takes no list of timesteps"):
        searched(sd, tmp_path, sampler=sampler("ddim"))
    with pytest.raises(NodeError, match="wire both"):
        searched(sd, tmp_path, reward=colourfulness_reward())
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- schedule files


@pytest.mark.parametrize("kept", [schedule(7, "trailing", "karras"), schedule(timesteps=(900, 500, 3))])
def test_a_schedule_comes_back_as_it_was_saved(tmp_path: Path, kept: Schedule) -> None:
    notes: dict[str, Any] = {}
    save_schedule(kept, "x/mine", Progress(on_note=notes.update), files=Files(writing=tmp_path))
    assert notes["files"] == [str(tmp_path / "x" / "mine.json")]
    assert load_schedule("x/mine.json", files=Files({"input": [tmp_path]})) == kept


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "latentloom schedule"}', '{"kind": "other"}'])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "it.json").write_text(text)
    with pytest.raises(NodeError, match=r"it\.json holds no schedule"):
        load_schedule("it.json", files=Files({"input": [tmp_path]}))


@pytest.mark.parametrize(
    "broken",
    [
        Schedule(2, timesteps=(5, 6)),
        Schedule(3, timesteps=(6, 5)),
        Schedule(1, timesteps=(-1,)),
        Schedule(0),
        Schedule(3, spacing="wide"),
    ],
)
def test_schedules_that_are_none_are_refused(tmp_path: Path, broken: Schedule) -> None:
    write(tmp_path / "it.json", broken, {})
    with pytest.raises(NodeError, match=r"schedule in it\.json is none"):
        load_schedule("it.json", files=Files({"input": [tmp_path]}))
