"""Pictures of templates are small, and what a run made."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image as Pillow

from latentloom.app.folders import SHIPPED
from latentloom.app.workspace.draw_templates import LEFT_OUT, MAX_BYTES, SIDE, bars, picture_of, small

TABLE = "attribute,right,asked\ncolour,0.95,60\nshape,0.5,40\n"


def test_every_template_has_a_small_picture(workspace):
    for template in workspace.templates.list():
        if template.name in LEFT_OUT:
            assert template.picture is None
            continue
        if template.name.startswith("methods/") and template.picture is None:
            continue  # drawn with the results, which are no part of a change
        assert template.picture == f"/api/templates/{template.name}/picture"
        file = workspace.templates.picture(template.name)
        assert file.stat().st_size <= MAX_BYTES
        with Pillow.open(file) as picture:
            assert max(picture.size) <= SIDE and np.ptp(np.asarray(picture.convert("RGB"))) > 60
    pictures = SHIPPED / "pictures"
    left = {file.relative_to(pictures).with_suffix("").as_posix() for file in pictures.rglob("*.webp")}
    left = {name for name in left if not name.startswith(("editor/", "results/"))}  # those of pages
    expected = {template.name for template in workspace.templates.list()} - set(LEFT_OUT)
    assert left <= expected and not {name for name in expected - left if not name.startswith("methods/")}


def test_a_picture_is_what_the_workflow_makes(monkeypatch):
    from latentloom.app.workspace import draw_templates

    monkeypatch.setitem(draw_templates.SMALLER, "text_to_image", {"schedule.steps": 2, "prompt.text": "a red circle"})
    with Pillow.open(io.BytesIO(picture_of("text_to_image"))) as picture:
        assert (picture.format, picture.size) == ("WEBP", (256, 256))


def test_a_picture_is_made_smaller_until_it_fits():
    noise = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), dtype=np.uint8)
    data = small(Pillow.fromarray(noise))
    with Pillow.open(io.BytesIO(data)) as picture:
        assert picture.size == (SIDE, SIDE * 3 // 4)
    assert len(data) < 2 * MAX_BYTES  # noise is the worst there is


def test_shares_are_drawn_as_bars():
    drawn = np.asarray(bars("Grade", TABLE).convert("RGB"), int)
    blue = (np.abs(drawn - (0x5B, 0x8D, 0xEF)).max(-1) < 20).sum(1)
    rows = blue[blue > 20]
    long, short = rows[: len(rows) // 2].max(), rows[len(rows) // 2 :].max()
    assert long / short == pytest.approx(0.95 / 0.5, rel=0.05)
