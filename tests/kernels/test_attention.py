"""The choice of an implementation: what runs is right, and says why it runs."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from attention_cases import DEVICE, Case, exact, near, tensor

from latentloom.kernels import attention, implementations
from latentloom.kernels.block_sparse_attention import reference as block_sparse
from latentloom.kernels.blocks import prepare
from latentloom.kernels.flash_attention import reference
from latentloom.kernels.implementations import Ask, obstacle
from latentloom.kernels.nag_attention.reference import nag_attention
from latentloom.kernels.sparse_linear_attention.division import divide
from latentloom.kernels.sparse_linear_attention.reference import sparse_linear_attention

F32 = torch.float32
on_cpu = pytest.mark.skipif(DEVICE == "cuda", reason="what a machine without a GPU does")


@pytest.fixture
def kernels_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU; here the interpreter serves."""
    if find_spec("triton") is None:
        pytest.skip("needs triton")
    monkeypatch.setattr(implementations, "_no_triton", lambda device: None)


def test_dense_attention_is_pytorchs_and_says_by_which_backend():
    q, k, v = Case(2, 3, 20, 30, 40).draw(grad=False)
    found = attention.attend(q, k, v)
    assert torch.equal(found.out, torch.nn.functional.scaled_dot_product_attention(q, k, v))
    assert found.choice.name == "sdpa"
    assert found.choice.why.startswith("PyTorch's attention (")
    assert found.lse is None


MASKS: list[dict[str, Any]] = [
    {},
    {"causal": True},
    {"bias": torch.randn(1, 3, 20, 30)},
    {"bias": torch.rand(2, 1, 1, 30) < 0.7},
    {"bias": torch.rand(2, 1, 20, 30) < 0.9, "causal": True},
    {"bias": torch.randn(20, 30), "causal": True, "scale": 0.3},
]


@pytest.mark.parametrize("asked", MASKS, ids=range(len(MASKS)))
@pytest.mark.parametrize("wanted", ["sdpa", "sdpa_math", "reference"])
def test_implementations_agree(asked: Any, wanted):
    q, k, v = Case(2, 3, 20, 30, 40).draw(grad=False)
    asked = {name: x.to(DEVICE) if isinstance(x, torch.Tensor) else x for name, x in asked.items()}
    found = attention.attend(q, k, v, **asked, wanted=wanted)
    near(found.out, reference.flash_attention(*exact(q, k, v), **asked).out, F32)
    assert found.choice.name == wanted


@pytest.mark.parametrize("boolean", [True, False])
@pytest.mark.parametrize("wanted", ["sdpa", "sdpa_math", "reference"])
def test_a_row_that_sees_nothing_is_zero(boolean, wanted):
    q, k, v = Case(1, 1, 20, 30, 40).draw(grad=False)
    seen = torch.ones(20, 30, dtype=torch.bool, device=DEVICE)
    seen[3] = False
    bias = seen if boolean else torch.zeros(20, 30, device=DEVICE).masked_fill(~seen, -torch.inf)
    assert attention.attend(q, k, v, bias=bias, wanted=wanted).out[0, 0, 3].count_nonzero() == 0


@on_cpu
def test_a_cpu_never_runs_our_kernels():
    q, k, v = Case(1, 2, 70, 70, 16).draw(grad=False)
    blocks = prepare(torch.tensor([[[[True, False], [True, True]]]]))
    found = attention.attend(q, k, v, blocks=blocks)
    assert found.choice == (
        "sdpa",
        "PyTorch's attention under a mask, which skips nothing: Triton kernels run on a GPU, and this is cpu",
    )
    near(found.out, block_sparse.block_sparse_attention(*exact(q, k, v), blocks=blocks).out, F32)
    found = attention.attend(q, k, v, with_lse=True)
    assert found.choice.name == "reference"
    assert found.lse is not None
    near(found.lse, reference.flash_attention(*exact(q, k, v)).lse, F32)
    with pytest.raises(ValueError, match=r"'triton' cannot do this: .* this is cpu\. These can: sdpa, "):
        attention.attend(q, k, v, wanted="triton")
    assert attention.attend(q, k, v, wanted="fastest").choice.why.endswith("timed on a GPU, without gradients")


@pytest.mark.usefixtures("kernels_run")
def test_blocks_and_log_sum_exp_are_for_our_kernel():
    q, k, v = Case(1, 1, 70, 70, 16).draw(grad=False)
    blocks = prepare(torch.tensor([[[[True, False], [True, True]]]], device=DEVICE))
    found = attention.attend(q, k, v, blocks=blocks)
    assert found.choice == ("triton", "our kernel, for blocks to be skipped")
    near(found.out, block_sparse.block_sparse_attention(*exact(q, k, v), blocks=blocks).out, F32)
    found = attention.attend(q, k, v, with_lse=True)
    assert found.choice == ("triton", "our kernel, for the log-sum-exp")
    assert found.lse is not None
    near(found.lse, reference.flash_attention(*exact(q, k, v)).lse, F32)
    assert attention.attend(q, k, v).choice.name == "sdpa"
    assert attention.attend(q, k, v, wanted="triton").choice == ("triton", "triton was asked for")


@pytest.mark.usefixtures("kernels_run")
def test_blocks_and_bias_together():
    q, k, v = Case(1, 1, 70, 70, 16).draw(grad=False)
    blocks = prepare(torch.tensor([[[[True, False], [True, True]]]], device=DEVICE))
    bias = torch.randn(70, 70, device=DEVICE)
    ours, theirs = (attention.attend(q, k, v, blocks=blocks, bias=bias, wanted=name).out for name in ("triton", "sdpa"))
    near(ours, theirs.double(), F32)


@pytest.mark.usefixtures("kernels_run")
def test_our_kernel_knows_what_it_cannot_do():
    like = torch.zeros(1, 1, 8, 300)
    assert "heads end at 256" in str(obstacle("triton", Ask(like, like, like)))
    like = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    assert "float64" in str(obstacle("triton", Ask(like, like, like)))
    like = torch.zeros(1, 1, 8, 8)
    assert "gradient for the bias" in str(
        obstacle("triton", Ask(like, like, like, torch.zeros(8, 8, requires_grad=True)))
    )


@pytest.mark.usefixtures("kernels_run")
def test_short_blocks_are_for_the_definition():
    from latentloom.kernels.block_sparse_attention.kernel import block_sparse_attention

    q, k, v = Case(1, 2, 30, 20, 16).draw(grad=False)
    blocks = prepare(torch.rand(1, 2, 4, 3, device=DEVICE) < 0.6, 8)
    found = attention.attend(q, k, v, blocks=blocks)
    assert found.choice.name == "sdpa"
    assert "blocks are 64 or 128 long, and these are 8" in found.choice.why
    near(found.out, block_sparse.block_sparse_attention(*exact(q, k, v), blocks=blocks).out, F32)
    with pytest.raises(ValueError, match="blocks of 64 or 128, not of 8"):
        block_sparse_attention(q, k, v, blocks)


def test_others_may_be_offered():
    q, k, v = Case(1, 1, 8, 8, 16).draw(grad=False)
    offered = {"flash_hub": lambda q, k, v: torch.full_like(q, 7)}
    found = attention.attend(q, k, v, wanted="flash_hub", offered=offered)
    assert (found.out == 7).all()
    assert found.choice == ("flash_hub", "flash_hub was asked for")
    with pytest.raises(ValueError, match="takes no mask"):
        attention.attend(q, k, v, causal=True, wanted="flash_hub", offered=offered)
    with pytest.raises(ValueError, match="no attention 'flash_hub'; there are auto, fastest, sdpa"):
        attention.attend(q, k, v, wanted="flash_hub")


def test_the_fastest_is_taken_and_says_how_fast_all_were(monkeypatch: pytest.MonkeyPatch):
    from latentloom.kernels import measure

    timed = []

    def seconds(calls, rounds):
        timed.append(sorted(calls))
        return {name: 1e-3 if name == "mine" else 2e-3 for name in calls}

    monkeypatch.setattr(measure, "seconds", seconds)
    like = torch.zeros(1, 1, 8, 16)

    offered = {"mine": lambda q, k, v: q}
    choice = attention._time(Ask(like, like, like), offered)
    assert choice == ("mine", "the fastest here for this shape: mine 1 ms, sdpa 2 ms")
    assert timed == [["mine", "sdpa"]]


@pytest.mark.parametrize("over", ["marginal", "all"])
def test_sparse_linear_attention(over):
    q, k, v = Case(1, 2, 130, 200, 16).draw(grad=False)
    division = divide(q, k, critical=0.4, negligible=0.3)
    parts, choice = attention.attend_sparse_linear(q, k, v, division, over=over)
    for mine, theirs in zip(parts, sparse_linear_attention(*exact(q, k, v), division=division, over=over), strict=True):
        near(mine, theirs, F32)
    assert choice.name == ("triton" if DEVICE == "cuda" else "sdpa")


def guided_inputs(dtype: torch.dtype = F32) -> tuple[torch.Tensor, ...]:
    case = Case(1, 2, 20, 30, 16, dtype)
    return (*case.draw(grad=False), tensor(case, 17), tensor(case, 17))


@pytest.mark.parametrize("dtype", [F32, torch.bfloat16])
@pytest.mark.parametrize("wanted", ["auto", "sdpa", "reference"])
def test_guided_attention(wanted, dtype):
    inputs = guided_inputs(dtype)
    found = attention.attend_guided(*inputs, wanted=wanted)
    assert found.out.dtype == dtype
    near(found.out, nag_attention(*exact(*inputs)), dtype)


@pytest.mark.usefixtures("kernels_run")
def test_guided_attention_is_our_kernels_unless_it_is_to_be_differentiated():
    inputs = guided_inputs()
    found = attention.attend_guided(*inputs)
    assert found.choice == ("triton", "our kernel does both attentions and the guidance at once")
    near(found.out, nag_attention(*exact(*inputs)), F32)
    inputs[3].requires_grad_()
    assert attention.attend_guided(*inputs).choice.name == "sdpa"
    with pytest.raises(ValueError, match="it has no gradient"):
        attention.attend_guided(*inputs, wanted="triton")


WITHOUT_TRITON = """
import sys
sys.modules["triton"] = None
import torch
from latentloom.kernels import attention, blocks
from latentloom.kernels.sparse_linear_attention.division import divide
q = torch.randn(1, 1, 70, 16)
print(attention.attend(q, q, q, blocks=blocks.prepare(torch.ones(1, 1, 2, 2, dtype=torch.bool))).choice.name)
print(attention.attend(q, q, q, with_lse=True).choice.name)
print(attention.attend_sparse_linear(q, q, q, divide(q, q))[1].name)
print(attention.attend_guided(q, q, q, q, q).choice.name)
"""


@on_cpu
def test_everything_runs_without_triton():
    assert output_of(WITHOUT_TRITON).split() == ["sdpa", "reference", "sdpa", "sdpa"]


def test_nothing_imports_triton_before_a_kernel_runs():
    script = (
        "import importlib, sys\n"
        "from latentloom.nodes.catalog import NODES\n"
        "import latentloom.kernels.attention\n"
        "for module in set(NODES.values()): importlib.import_module(f'latentloom.nodes.{module}')\n"
        "print('triton' in sys.modules)"
    )
    assert output_of(script) == "False"


def output_of(script: str) -> str:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
