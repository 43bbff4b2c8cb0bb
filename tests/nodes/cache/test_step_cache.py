from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
import torch
from ladder import steps
from torch import Tensor

from latentloom.nodes.cache.step_cache import PerBranch
from latentloom.nodes.models.call import Call, under_way
from latentloom.nodes.types import Conditioning

A, B, C = (Conditioning(torch.zeros(1, 1, 1)) for _ in range(3))
RUN = steps()


def at(step: int, work: Callable[[], object], run: object = RUN) -> object:
    with under_way(Call(run, step, (), Counter())):  # pyright: ignore[reportArgumentType]
        return work()


def rows(*values: float) -> Tensor:
    return torch.tensor(values)[:, None]


def test_branches_asked_as_before_get_the_very_tensors() -> None:
    kept, tensor = PerBranch(), rows(1, 2, 3, 4)
    kept.put((A, B), (tensor,))
    found = kept.get((A, B), 4)
    assert found is not None
    assert found[0] is tensor


def test_some_of_the_branches_get_their_rows_in_the_order_asked() -> None:
    kept = PerBranch()
    kept.put((A, B), (rows(1, 2, 3, 4), rows(5, 6, 7, 8)))
    assert [each.flatten().tolist() for each in kept.get((B,), 2) or ()] == [[3, 4], [7, 8]]
    assert [each.flatten().tolist() for each in kept.get((B, A), 4) or ()] == [[3, 4, 1, 2], [7, 8, 5, 6]]


def test_a_pass_leaves_what_another_kept() -> None:
    kept = PerBranch()
    kept.put((A, B), (rows(1, 2),))
    kept.put((C,), (rows(3),))
    assert [(kept.get(which, len(which)) or (None,))[0].flatten().tolist() for which in ((A, B), (C,))] == [[1, 2], [3]]  # pyright: ignore[reportOptionalMemberAccess]
    both = kept.get((C, A), 2)
    assert both is not None
    assert both[0].flatten().tolist() == [3, 1]


def test_a_branch_kept_anew_is_not_what_it_was() -> None:
    kept = PerBranch()
    kept.put((A, B), (rows(1, 2),))
    kept.put((A,), (rows(9),))
    found = kept.get((A,), 1)
    assert found is not None
    assert found[0].item() == 9
    assert kept.get((B,), 1) is None, "it was kept at an earlier evaluation than what it is joined with"


@pytest.mark.parametrize("images", [1, 3])
def test_another_number_of_rows_gets_nothing(images: int) -> None:
    kept = PerBranch()
    kept.put((A, B), (rows(1, 2, 3, 4),))
    assert kept.get((A,), images) is None


def test_what_is_older_than_asked_for_is_not_used() -> None:
    kept = PerBranch()
    at(0, lambda: kept.put((A,), (rows(1),)))
    at(3, lambda: kept.put((B,), (rows(2),)))
    assert at(4, lambda: kept.get((A,), 1, since=3)) is None
    assert at(4, lambda: kept.get((A,), 1, since=0)) is not None
    assert at(4, lambda: kept.get((B,), 1, since=3)) is not None


def test_another_run_gets_nothing() -> None:
    kept, other = PerBranch(), steps()
    at(0, lambda: kept.put((A,), (rows(1),)))
    assert at(1, lambda: kept.get((A,), 1), other) is None
    at(0, lambda: kept.put((B,), (rows(2),)), other)
    assert at(1, lambda: kept.get((A,), 1), other) is None
    assert at(1, lambda: kept.get((A,), 1)) is None
