"""Norms and cosines are those of the matrices themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from adapters import as_diffusers, as_kohya, deltas, factors, layers, opened, stored
from adapters import write as written
from studio import Studio

from latentloom.graph.node import NodeError
from latentloom.nodes.lora.lora import Lora
from latentloom.nodes.lora.lora_report import lora_report
from latentloom.nodes.lora.merge_loras import merge_loras


@pytest.fixture
def loras(sd: Studio, tmp_path: Path) -> tuple[Lora, ...]:
    """Of different kinds; the last is half of the first where both change something."""
    shapes = layers(sd.model, ("to_q", "conv1"))
    one = stored(sd, tmp_path / "one", as_kohya(factors(shapes, rank=3), alpha=2.0))
    name = next(name for name in shapes if name.startswith("unet"))
    base = f"lora_unet_{name[5:].replace('.', '_')}"
    two = opened(sd.model, written(tmp_path / "two", {f"{base}.diff": torch.randn(shapes[name])}))
    return one, two, merge_loras((one,), [0.5])


def test_norms_and_cosines(loras: tuple[Lora, ...]) -> None:
    report = lora_report(loras, "one\ntwo\nhalf")
    each = [deltas(lora) for lora in loras]
    assert report.layers.columns[:4] == ("layer", "rank one", "rank two", "rank half")
    assert {row[0] for row in report.layers.rows} == each[0].keys() | each[1].keys()
    for name, _, _, _, *numbers in report.layers.rows:
        found = [delta[str(name)] if str(name) in delta else torch.zeros_like(each[0][str(name)]) for delta in each]
        assert numbers[:3] == pytest.approx([delta.norm().item() for delta in found], rel=1e-4)
        flat = [delta.flatten() for delta in found]
        expected = [float(torch.cosine_similarity(flat[i], flat[j], 0)) for i, j in ((0, 1), (0, 2), (1, 2))]
        assert numbers[3:] == pytest.approx(expected, abs=1e-3)
    assert [row[:3] for row in report.overlap.rows] == [
        ("one", "two", 1),
        ("one", "half", len(each[0])),
        ("two", "half", 1),
    ]
    assert report.overlap.rows[1][3] == pytest.approx(1.0)


def test_the_picture_has_the_size_asked_for(loras: tuple[Lora, ...]) -> None:
    several = lora_report(loras, width=640, height=480).image.pixels
    alone = lora_report(loras[:1], width=640, height=480).image.pixels
    assert several.shape == alone.shape == (1, 3, 480, 640)
    assert several.std() > 0.05 and not torch.equal(several, alone)
    assert lora_report(loras[:1]).overlap.rows == ()


def test_names_are_as_many_as_loras(loras: tuple[Lora, ...], sd: Studio, tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="2 names for 3"):
        lora_report(loras, "a\nb")
    with pytest.raises(NodeError, match="no LoRA to report"):
        lora_report(())
    zero = as_diffusers({name: (down, 0 * up) for name, (down, up) in factors(layers(sd.model, ("to_q",))).items()})
    report = lora_report((stored(sd, tmp_path / "zero", zero), loras[0]))
    assert report.overlap.rows[0][3] == 0
