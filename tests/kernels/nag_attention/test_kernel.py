"""Guided attention by the kernel is guided attention by its definition."""

from __future__ import annotations

import pytest
import torch
from attention_cases import DEVICE, Case, exact, near, tensor

from latentloom.kernels.nag_attention import reference

kernel = pytest.importorskip("latentloom.kernels.nag_attention.kernel")
flash = pytest.importorskip("latentloom.kernels.flash_attention.kernel")

F32, F16, BF16 = torch.float32, torch.float16, torch.bfloat16


@pytest.mark.parametrize(
    ("case", "negative"),
    [
        (Case(1, 5, 65, 77, 40, F32, "transposed"), 77),
        (Case(2, 1, 64, 17, 64, BF16, "packed"), 130),
        (Case(1, 2, 17, 64, 160, F32, "spread"), 1),
        (Case(1, 1, 130, 1, 80, F16, "plain"), 63),
        (Case(2, 2, 1, 65, 32, F32, "plain"), 65),
        (Case(1, 1, 63, 63, 128, F32, "transposed"), 64),
    ],
    ids=str,
)
@torch.no_grad()
def test_guided_attention(case: Case, negative: int):
    inputs = (*case.draw(grad=False), tensor(case, negative), tensor(case, negative))
    got = kernel.nag_attention(*inputs)
    assert got.dtype == case.dtype
    near(got, reference.nag_attention(*exact(*inputs)), case.dtype)


@torch.no_grad()
def test_each_prompt_has_its_own_mask():
    case = Case(2, 2, 20, 77, 40)
    inputs = (*case.draw(grad=False), tensor(case, 30), tensor(case, 30))
    bias = (torch.rand(2, 1, 1, 77) < 0.5).to(DEVICE)
    bias[1] = False
    bias_negative = torch.randn(1, 2, 20, 30, device=DEVICE)
    masks = {"bias": bias, "bias_negative": bias_negative}
    got = kernel.nag_attention(*inputs, **masks)
    near(got, reference.nag_attention(*exact(*inputs), **masks), F32)
    assert got[1].count_nonzero() == 0


@torch.no_grad()
@pytest.mark.parametrize("settings", [{"guidance": 1.0}, {"alpha": 0.0}], ids=str)
def test_neutral_settings_give_attention_to_the_positive_prompt(settings):
    case = Case(1, 2, 20, 30, 40)
    q, k, v = case.draw(grad=False)
    got = kernel.nag_attention(q, k, v, tensor(case, 17), tensor(case, 17), **settings)
    near(got, flash.flash_attention(q, k, v).out, F32)


@torch.no_grad()
@pytest.mark.parametrize("settings", [(9.0, 1.5, 0.5), (3.0, 100.0, 1.0), (0.0, 2.5, 0.25)], ids=str)
def test_settings(settings):
    case = Case(1, 2, 20, 30, 40)
    inputs = (*case.draw(grad=False), tensor(case, 17), tensor(case, 17))
    given = dict(zip(("guidance", "tau", "alpha"), settings, strict=True))
    near(kernel.nag_attention(*inputs, **given), reference.nag_attention(*exact(*inputs), **given), F32)


@torch.no_grad()
def test_one_prompt_serves_every_picture():
    case = Case(3, 2, 20, 30, 32)
    one = case._replace(batch=1)
    inputs = (tensor(case, 20), *(tensor(one, length) for length in (30, 30, 17, 17)))
    near(kernel.nag_attention(*inputs), reference.nag_attention(*exact(*inputs)), F32)


def test_a_gradient_is_refused():
    case = Case(1, 1, 8, 8, 16)
    with pytest.raises(ValueError, match="has no gradient"):
        kernel.nag_attention(*case.draw(), *case.draw()[1:])


@torch.no_grad()
def test_operations_are_those_of_both_attentions():
    from torch.utils.flop_counter import FlopCounterMode

    case = Case(1, 2, 20, 30, 32)
    with FlopCounterMode(display=False) as counter:
        kernel.nag_attention(*case.draw(grad=False), tensor(case, 17), tensor(case, 17))
    assert counter.get_total_flops() == 4 * 2 * 20 * (30 + 17) * 32
