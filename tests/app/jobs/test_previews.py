"""What outputs look like on the page."""

# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import base64
import io
import math

import pytest
import torch
from PIL import Image as Pillow

from latentloom.app.jobs.pictures import SHOWN, THUMBNAIL, URL, keep
from latentloom.app.jobs.previews import MOST_PICTURES, MOST_POINTS, MOST_ROWS, live, outputs_of, saved, thumbnail_of
from latentloom.nodes.types import (
    Branch,
    Figure,
    Guidance,
    Image,
    Latent,
    Mask,
    Measured,
    Method,
    Methods,
    Model,
    Prompts,
    Report,
    Results,
    Schedule,
    Series,
    Table,
)


def batch(count: int, height: int, width: int) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def opened(folder, url: str) -> Pillow.Image:
    with Pillow.open(folder / url.removeprefix(URL)) as picture:
        picture.load()
        return picture


def test_a_small_picture_is_shown_exactly(tmp_path):
    pixels = batch(1, 20, 30)
    (output,) = outputs_of({"image": Image(pixels)}, tmp_path)
    assert (output.kind, output.name, output.width, output.height, output.full) == ("image", "image", 30, 20, None)
    exact = (pixels[0] * 255).round().byte().permute(1, 2, 0)
    assert list(opened(tmp_path, output.url).convert("RGB").tobytes()) == exact.flatten().tolist()


def test_a_large_picture_is_shown_smaller_and_its_own_size_is_told(tmp_path):
    (output,) = outputs_of({"image": Image(batch(1, 500, 2 * SHOWN))}, tmp_path)
    assert (output.width, output.height) == (2 * SHOWN, 500)
    assert opened(tmp_path, output.url).size == (SHOWN, 250)


def test_of_a_batch_16_are_shown(tmp_path):
    assert len(outputs_of({"image": Image(batch(20, 8, 8))}, tmp_path)) == MOST_PICTURES


def test_pictures_are_named_after_what_they_show(tmp_path):
    first, again, other = (
        outputs_of({"image": Image(pixels)}, tmp_path)[0].url
        for pixels in (batch(1, 8, 8), batch(1, 8, 8), 1 - batch(1, 8, 8))
    )
    assert first == again != other and len(list(tmp_path.iterdir())) == 2
    picture = tmp_path / first.removeprefix(URL)
    before = picture.stat().st_mtime_ns
    keep(opened(tmp_path, first).convert("RGB"), tmp_path)
    assert picture.stat().st_mtime_ns == before  # not written again


def test_masks_and_values_that_are_no_numbers(tmp_path):
    values = torch.tensor([[[[0.0, 1.0], [math.nan, 2.0]]]])
    (output,) = outputs_of({"mask": Mask(values)}, tmp_path)
    assert list(opened(tmp_path, output.url).convert("L").tobytes()) == [0, 255, 0, 255]


def test_tables_figures_and_texts(tmp_path):
    table = Table(("name", "value"), (("a", 1.5), ("b", math.inf), (None, True)))
    figure = Figure("T", "x", "y", (Series("s", (0.0, 1.0, 2.0), (1.0, math.nan, 3.0), points=True),))
    values = {
        "table": table,
        "figure": figure,
        "prompts": Prompts(("one", "two")),
        "number": 3,
        "latent": Latent(batch(1, 2, 2)),
    }
    shown = {output.name: output.model_dump(mode="json") for output in outputs_of(values, tmp_path)}
    assert shown == {
        "table": {
            "kind": "table",
            "name": "table",
            "columns": ["name", "value"],
            "rows": [["a", 1.5], ["b", None], [None, True]],
        },
        "figure": {
            "kind": "figure",
            "name": "figure",
            "title": "T",
            "x_label": "x",
            "y_label": "y",
            "series": [{"name": "s", "x": [0.0, 2.0], "y": [1.0, 3.0], "points": True}],
        },
        "prompts": {"kind": "text", "name": "prompts", "text": "one\ntwo"},
        "number": {"kind": "text", "name": "number", "text": "3"},
    }


REPORT = Report(
    steps=4,
    passes=4,
    branches=(Branch("negative", 3, 1), Branch("positive", 4, 0)),
    counts=(("deep levels skipped", 2),),
    seconds=(0.3, 0.1, 0.2, 0.1),
    total_seconds=0.8,
    memory=3_000_000,
)


def test_what_a_run_took_is_a_table_without_what_nobody_measured(tmp_path):
    (output,) = outputs_of({"report": REPORT}, tmp_path)
    assert (output.kind, output.name) == ("table", "report")
    assert output.rows == [
        ["steps", 4],
        ["network calls, negative", 3],
        ["network calls saved, negative", 1],
        ["network calls, positive", 4],
        ["network passes", 4],
        ["deep levels skipped", 2],
        ["seconds", 0.8],
        ["seconds a step, median", 0.15],
        ["peak memory, MB", 3.0],
    ]


def test_methods_and_results_are_named(tmp_path):
    methods = Methods(tuple(Method(name, "a", Model("m", "sd"), Schedule(3), Guidance()) for name in ("a, 1", "a, 2")))
    results = Results((Measured("a, 1", "a", Image(batch(1, 4, 4)), REPORT, 0.81),))
    named, told = outputs_of({"methods": methods, "results": results}, tmp_path)
    assert (named.kind, named.text) == ("text", "a, 1\na, 2")
    assert (told.kind, told.rows) == ("table", [["a, 1", 0.81, 7]])


def test_what_is_very_long_is_thinned_out(tmp_path):
    count = 5 * MOST_POINTS
    curve = Series("s", tuple(map(float, range(count))), tuple(map(float, range(count))))
    table = Table(("a",), tuple((row,) for row in range(2 * MOST_ROWS)))
    figure, rows = outputs_of({"f": Figure("", "", "", (curve,)), "t": table}, tmp_path)
    x = figure.series[0].x
    assert len(x) == MOST_POINTS and (x[0], x[-1]) == (0, count - 1) and len(rows.rows) == MOST_ROWS


def test_saved_pictures_are_shown_with_the_whole_file(tmp_path):
    output, previews = tmp_path / "output", tmp_path / "previews"
    (output / "a b").mkdir(parents=True)
    Pillow.new("RGB", (1000, 10), "red").save(output / "a b/c.png")
    (output / "broken.png").write_bytes(b"no picture")
    (output / "table.csv").write_text("a,b")
    (shown,) = saved(["a b/c.png", "broken.png", "gone.png", "table.csv"], output, previews)
    assert (shown.name, shown.width, shown.full) == ("a b/c.png", 1000, "/api/outputs/a%20b/c.png")
    assert opened(previews, shown.url).size[0] == SHOWN


def test_a_thumbnail_of_the_first_picture(tmp_path):
    url = thumbnail_of({"n": 1, "image": Image(batch(1, 600, 600))}, tmp_path)
    assert url is not None and opened(tmp_path, url).size == (THUMBNAIL, THUMBNAIL)
    assert thumbnail_of({"n": 1}, tmp_path) is None


@pytest.mark.parametrize(
    ("count", "size"), [(1, (THUMBNAIL, 128)), (2, (THUMBNAIL, 64)), (3, (THUMBNAIL, 128)), (9, (THUMBNAIL, 128))]
)
def test_a_live_preview_is_a_small_data_url(count, size):
    url = live(Image(batch(count, 300, 600)))
    head, _, data = (url or "").partition(",")
    assert head == "data:image/webp;base64" and len(data) < 60_000
    with Pillow.open(io.BytesIO(base64.b64decode(data))) as picture:
        assert picture.size == size
    assert live("no image") is None
