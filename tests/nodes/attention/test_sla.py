"""Sparse-linear attention in a network: its formula, its files, and what it says without a projection."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hooking import sampled
from inside import facts
from ladder import BRANCHES, steps
from safetensors.torch import save_file
from studio import Studio
from torch import Tensor

from latentloom.graph.files import Files
from latentloom.graph.node import NodeError
from latentloom.kernels.sparse_linear_attention.division import divide
from latentloom.kernels.sparse_linear_attention.reference import sparse_linear_attention
from latentloom.nodes.attention.attending import Asked
from latentloom.nodes.attention.sla import sla
from latentloom.nodes.attention.sparse_linear import FILE, Projection, Shares, compute, trained_with, write
from latentloom.nodes.models import live
from latentloom.nodes.models.attentions import blocks, self_attentions
from latentloom.nodes.models.call import Call, under_way
from latentloom.nodes.types import Model

SHARES = Shares(0.4, 0.2, 8, "marginal")


def drawn(studio: Studio, model: Model, total: int = 2) -> tuple[Tensor, dict[str, Any]]:
    latent, notes = sampled(studio, model, 1, total)
    return latent.samples, notes


def projections(studio: Studio, size: float = 0.0) -> dict[str, Projection]:
    """For each layer in which the picture sees itself; `size` 0 is how training begins."""
    generator = torch.Generator().manual_seed(1)
    with live.use(studio.model) as parts:
        names = {id(module): name for name, module in parts.denoiser.named_modules()}
        found = [each for block in blocks(parts.denoiser) for each in self_attentions(block)]
        return {
            names[id(each)]: Projection(
                size * torch.randn(wide, wide, generator=generator), size * torch.randn(wide, generator=generator)
            )
            for each in found
            for wide in [each.to_q.out_features // each.heads]
        }


@pytest.fixture
def models(tmp_path: Path) -> Files:
    return Files({"models": [tmp_path]})


# ---------------------------------------------------------------- the formula


@pytest.mark.parametrize("over", ["marginal", "all"])
def test_the_formula_is_the_papers(over: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 2, 3, 45, 6, generator=generator)
    weight, bias = torch.randn(6, 6, generator=generator), torch.randn(6, generator=generator)
    counts: Counter[str] = Counter()
    with under_way(Call(steps(), 0, BRANCHES, counts)):
        found = compute(Asked(q, k, v), SHARES._replace(over=over), Projection(weight, bias))
    parts = sparse_linear_attention(q, k, v, divide(q, k, critical=0.4, negligible=0.2, size=8), over=over)
    assert torch.allclose(found, parts.sparse + parts.linear @ weight.T + bias, atol=1e-5)
    assert counts["attention blocks computed"] == 6 * 6 * 2  # heads and rows, blocks of queries, of keys
    assert counts["attention blocks skipped"] == 6 * 6 * 4


def test_a_mask_is_refused() -> None:
    q = torch.zeros(1, 1, 8, 4)
    with pytest.raises(NodeError, match="sla is defined for attention without a mask"):
        compute(Asked(q, q, q, torch.zeros(8, 8)), SHARES)


# ---------------------------------------------------------------- in a network


def test_all_critical_is_the_model_itself(kind: Studio) -> None:
    plain, _ = drawn(kind, kind.model)
    found, notes = drawn(kind, sla(kind.model, critical=1.0, size=8))
    assert torch.equal(found, plain)
    assert not any("projection" in told for told in notes["attention_ran"])


def test_all_critical_with_an_untrained_projection_is_dense(kind: Studio, tmp_path: Path, models: Files) -> None:
    """Nothing is marginal, so the sum is zero, and so is the bias."""
    write(tmp_path / "sla.safetensors", projections(kind), SHARES)
    plain, _ = drawn(kind, kind.model)
    model = sla(kind.model, "sla.safetensors", critical=1.0, size=8, files=models)
    assert torch.allclose(drawn(kind, model)[0], plain, rtol=0, atol=2e-4 * plain.abs().max().item())


def test_without_a_projection_it_says_what_is_missing(sd3: Studio, tmp_path: Path, models: Files) -> None:
    """What it draws is what a projection of zeros draws: the sparse part."""
    sparse, notes = drawn(sd3, sla(sd3.model, critical=0.3, size=8))
    assert notes["attention_ran"][0].startswith("sla: without a projection the sparse part alone is computed")
    assert notes["attention_blocks_skipped"] > 0
    write(tmp_path / "zero.safetensors", projections(sd3), SHARES)
    found, notes = drawn(sd3, sla(sd3.model, "zero.safetensors", critical=0.3, size=8, files=models))
    assert torch.allclose(found, sparse, rtol=0, atol=1e-5)
    assert not any("without a projection" in told for told in notes["attention_ran"])


def test_a_projection_is_read_and_used(kind: Studio, tmp_path: Path, models: Files) -> None:
    write(tmp_path / "one.safetensors", projections(kind, 0.1), SHARES)
    write(tmp_path / "zero.safetensors", projections(kind), SHARES)
    one, zero = (
        drawn(kind, sla(kind.model, f"{name}.safetensors", critical=0.3, size=8, files=models))[0]
        for name in ("one", "zero")
    )
    assert torch.isfinite(one).all()
    assert not torch.allclose(one, zero, atol=1e-3)


def test_a_model_brings_its_own(sd: Studio, tmp_path: Path) -> None:
    """The file beside a model's parts is taken without being named."""
    model = replace(sd.model, source=str(tmp_path))
    assert sla(model, size=8).patches[0].projections == ""  # pyright: ignore[reportAttributeAccessIssue]
    write(tmp_path / FILE, projections(sd), SHARES)
    assert sla(model, size=8).patches[0].projections == str(tmp_path / FILE)  # pyright: ignore[reportAttributeAccessIssue]


def test_the_network_is_as_it_was(sd: Studio) -> None:
    with live.use(sd.model) as parts:
        before = facts(parts.denoiser)
    drawn(sd, sla(sd.model, critical=0.3, size=8))
    with live.use(sd.model) as parts:
        assert facts(parts.denoiser) == before


# ---------------------------------------------------------------- files


def test_what_it_was_trained_with_is_kept(tmp_path: Path) -> None:
    write(tmp_path / "a.safetensors", {"layer": Projection(torch.eye(2), torch.ones(2))}, SHARES)
    assert trained_with(tmp_path / "a.safetensors") == SHARES


def test_files_that_do_not_fit_are_told_of(sd: Studio, tmp_path: Path, models: Files) -> None:
    save_file({"x": torch.ones(1)}, tmp_path / "other.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    write(tmp_path / "mine.safetensors", projections(sd), SHARES)
    write(tmp_path / "few.safetensors", {"layer": Projection(torch.eye(2), torch.ones(2))}, SHARES)
    for name in ("other", "broken"):
        with pytest.raises(NodeError, match=f"{name}.safetensors holds no projections of sla"):
            sla(sd.model, f"{name}.safetensors", size=8, files=models)
    with pytest.raises(NodeError, match="was trained with size 8 over marginal, and this is 64 over all"):
        sla(sd.model, "mine.safetensors", over="all", files=models)
    with pytest.raises(NodeError, match=r"few.safetensors has no projection for down_blocks.*another model"):
        drawn(sd, sla(sd.model, "few.safetensors", size=8, files=models))
