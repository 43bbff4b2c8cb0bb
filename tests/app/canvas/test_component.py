"""What reaches the browser: small, licensed, and mounted by what Gradio runs."""

from __future__ import annotations

import gzip

import pytest

from latentloom.app.canvas import component
from latentloom.app.canvas.component import STATIC, PageMissing, canvas, page, script

MOST_BYTES = 150_000
"""Of all the browser fetches for the canvas, compressed."""

MOST_LATER_BYTES = 45_000
"""Of what it fetches once it is first used: galleries, comparisons, layout along the flow."""


def test_the_bundle_is_small():
    files = [path for path in STATIC.iterdir() if path.suffix in (".mjs", ".css")]
    sizes = {path.name: len(gzip.compress(path.read_bytes())) for path in files}
    first = {name: size for name, size in sizes.items() if name.startswith("editor.")}
    assert {"editor.mjs", "editor.css"} <= set(first)
    assert sum(first.values()) <= MOST_BYTES, first
    assert sum(sizes.values()) - sum(first.values()) <= MOST_LATER_BYTES, sizes


def test_the_licences_of_what_is_bundled_are_shipped():
    licences = (STATIC / "licences.md").read_text()
    for package in ("svelte", "@xyflow/svelte", "@dagrejs/dagre", "@leeoniya/ufuzzy"):
        assert package in licences
    assert "Permission is hereby granted" in licences


def test_nothing_is_fetched_from_elsewhere():
    for name in ("editor.mjs", "editor.css"):
        text = (STATIC / name).read_text()
        assert not [part for part in ("fonts.googleapis", "cdn.", "unpkg", "@import") if part in text]


def test_gradio_mounts_the_version_that_was_built(monkeypatch, tmp_path):
    (tmp_path / "stamp").write_text("0123456789abcdef" * 4)
    monkeypatch.setattr(component, "STATIC", tmp_path)
    assert "/canvas/${name}?v=0123456789abcdef`" in str(canvas().js_on_load)


def test_a_page_that_was_not_built_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(component, "STATIC", tmp_path)
    with pytest.raises(PageMissing, match=r"build_backend\.py builds it"):
        canvas()


def test_the_page_of_a_share_holds_nothing_its_name_brings():
    shown = page("</title><script>alert(1)</script> $script", share="</script><b>")
    assert "<script>alert" not in shown
    assert "</script><b>" not in shown
    assert shown.count("<script>") == 1
    assert '"share"' in script(share="token")
