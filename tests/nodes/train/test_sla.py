"""Fine-tuning for sparse-linear attention: where it begins, what learns, and that a killed run goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import nn

from latentloom.graph.files import Files
from latentloom.graph.node import NodeError
from latentloom.nodes.attention.attending import attached
from latentloom.nodes.attention.sla import sla
from latentloom.nodes.attention.sparse_linear import FILE, Shares, SparseLinear
from latentloom.nodes.load.load_model import load_model
from latentloom.nodes.load.trained_model import trained_model
from latentloom.nodes.models import live
from latentloom.nodes.train.assemble import assemble
from latentloom.nodes.train.autoencoder import new_autoencoder
from latentloom.nodes.train.pipelines import readers_of, stable_diffusion_3
from latentloom.nodes.train.prompt_encoder import LENGTH, new_prompt_encoder
from latentloom.nodes.train.sla import Projections, fit_sla
from latentloom.nodes.train.tokenizer import new_tokenizer
from latentloom.nodes.train.train_sla import train_sla
from latentloom.nodes.train.transformer import Readers, new_transformer, questions

SHARES = Shares(0.3, 0.1, 8, "marginal")
TINY: dict[str, Any] = {"steps": 3, "batch": 4, "chunk": 4, "passes": 1}


@pytest.fixture(scope="module")
def readers() -> Readers:
    torch.manual_seed(0)
    tokenizer = new_tokenizer(LENGTH)
    first, second = (new_prompt_encoder(tokenizer, width, 1, 2, pooled=8).eval() for width in (16, 8))
    return Readers(new_autoencoder(32, (8, 8, 16)).eval(), (first, second), tokenizer)


def awake() -> Any:
    torch.manual_seed(1)
    model = new_transformer(8, 16, 2, 2, 24, 16).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    return model


@torch.no_grad()
def test_it_begins_as_the_network_it_was_seeing_less(readers: Readers) -> None:
    model, projections, question = awake(), Projections(), questions(readers, 4, 0.1, 4, 1, 0)(0)[0]
    dense = question.loss(model)
    with attached(model, "sla", lambda name, attention: projections.layer(SHARES, name, attention)):
        begun = question.loss(model)
    with SparseLinear(SHARES).attach("transformer", model):
        assert torch.equal(question.loss(model), begun)
    assert not torch.equal(begun, dense)
    assert torch.equal(question.loss(model), dense)
    assert list(projections.named()) == ["transformer_blocks.0.attn", "transformer_blocks.1.attn"]


def test_weights_and_projections_learn_and_a_killed_run_resumes_to_the_same(readers: Readers, tmp_path: Path) -> None:
    before, whole, resumed = awake(), awake(), awake()
    projections, trained = fit_sla(tmp_path / "whole", whole, readers, SHARES, **TINY)
    fit_sla(tmp_path / "killed", awake(), readers, SHARES, **TINY, stop_after=2)
    again, _ = fit_sla(tmp_path / "killed", resumed, readers, SHARES, **TINY)
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value)
    assert not torch.equal(whole.proj_out.weight, before.proj_out.weight)
    for name, held in projections.items():
        assert all(torch.equal(*pair) for pair in zip(held, again[name], strict=True))
        assert held.weight.abs().max() > 0
    assert len(trained.losses) == 3
    assert not any(parameter.requires_grad for parameter in whole.parameters())


def test_the_node_writes_a_model_that_sla_takes(readers: Readers, tmp_path: Path) -> None:
    assemble(tmp_path / "models/shapes", stable_diffusion_3(readers, awake()))
    files = Files({"models": [tmp_path / "models"]}, writing=tmp_path / "out")
    base = load_model("shapes", files=files)
    made = train_sla(base, critical=0.3, steps=2, batch=2, files=files)
    assert made.samples.pixels.shape == (16, 3, 32, 32)
    assert [series.name for series in made.losses.series] == ["loss"]
    tuned = trained_model(made.folder)
    assert tuned.family == "sd3"
    patch = sla(tuned, critical=0.3, size=8).patches[0]
    assert isinstance(patch, SparseLinear)
    assert patch.projections == str(Path(made.folder.path) / FILE)
    with safe_open(patch.projections, framework="pt") as file:
        assert file.get_tensor("transformer_blocks.0.attn.proj_l.weight").shape == (8, 8)
        assert file.get_tensor("transformer_blocks.0.attn.proj_l.weight").dtype == torch.float32
    with live.use(sla(tuned, critical=0.3, size=8)) as parts:
        assert type(parts.denoiser.transformer_blocks[0].attn.processor).__name__ == "Attending"


def test_other_models_are_told_apart(tiny_sd: Path) -> None:
    model = load_model(tiny_sd.name, files=Files({"models": [tiny_sd.parent]}))
    with pytest.raises(NodeError, match="for the transformers of shapes, as shapes-dit is"):
        readers_of(model)
