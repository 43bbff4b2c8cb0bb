"""Block masks, as the kernels read them."""

from __future__ import annotations

import pytest
import torch

from latentloom.kernels.blocks import check, elements, number, prepare


def test_lists_name_the_blocks_in_order():
    mask = torch.tensor([[[[True, False, True], [False, False, False]]]])
    blocks = prepare(mask, 64)
    assert blocks.of_queries.counts.tolist() == [[[2, 0]]]
    assert blocks.of_queries.order[0, 0, 0, :2].tolist() == [0, 2]
    assert blocks.of_keys.counts.tolist() == [[[1, 0, 1]]]
    assert blocks.of_keys.order[0, 0, 2, :1].tolist() == [0]
    assert {tensor.dtype for lists in blocks[2:] for tensor in lists} == {torch.int32}


@pytest.mark.parametrize(("length", "size", "blocks"), [(1, 64, 1), (64, 64, 1), (65, 64, 2), (130, 128, 2)])
def test_the_last_block_may_be_short(length, size, blocks):
    assert number(length, size) == blocks


def test_the_mask_of_single_elements_ends_with_them():
    seen = elements(prepare(torch.tensor([[[[True, False], [False, True]]]]), 64), 70, 65)
    assert seen.shape == (1, 1, 70, 65)
    assert seen[0, 0, 63, 63]
    assert not seen[0, 0, 64, 63]
    assert seen[0, 0, 64, 64]


@pytest.mark.parametrize(
    ("mask", "size", "says"),
    [
        (torch.ones(1, 1, 2, 2), 64, "boolean with 4 axes"),
        (torch.ones(2, 2, dtype=torch.bool), 64, "boolean with 4 axes"),
        (torch.ones(1, 1, 2, 2, dtype=torch.bool), 48, "64 or 128 long, not 48"),
    ],
)
def test_what_is_no_block_mask_is_said(mask, size, says):
    with pytest.raises(ValueError, match=says):
        prepare(mask, size)


@pytest.mark.parametrize(
    ("shape", "says"),
    [((1, 1, 2, 3), "are 2 x 2 blocks of 64"), ((3, 1, 2, 2), "batch: the mask has 3"), ((1, 4, 2, 2), "heads")],
)
def test_a_mask_for_other_queries_is_refused(shape, says):
    q = torch.zeros(2, 5, 70, 8)
    with pytest.raises(ValueError, match=says):
        check(prepare(torch.ones(shape, dtype=torch.bool)), q, q)
