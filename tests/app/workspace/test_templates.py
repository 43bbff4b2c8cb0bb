"""The shipped workflows introduce themselves."""

from __future__ import annotations

import pytest

from latentloom.app.folders import SHIPPED
from latentloom.app.workspace.refusals import Missing
from latentloom.app.workspace.roots import Root, Roots
from latentloom.app.workspace.templates import Templates

NAMES = sorted(
    file.relative_to(SHIPPED).with_suffix("").as_posix()
    for pattern in ("*.json", "*/*.json")
    for file in SHIPPED.glob(pattern)
    if file.parent.name != "input"  # what workflows read
)


def test_every_shipped_workflow_is_a_template_with_title_and_description(workspace):
    found = workspace.templates.list()
    assert sorted(template.name for template in found) == NAMES and len(NAMES) >= 8
    for template in found:
        assert template.title and 20 < len(template.about) < 200
        content = workspace.templates.get(template.name).content
        assert content["name"] == template.title and content["description"] == template.about


def test_a_template_is_saved_under_a_name_of_its_own(workspace):
    opened = workspace.templates.get("text_to_image")
    assert opened.path is None is opened.etag and opened.writable


def test_one_that_is_not_there(workspace):
    with pytest.raises(Missing, match=r'Did you mean "text_to_image"\?'):
        workspace.templates.get("text_to_imag")
    for name in ("../text_to_image", "", "models/shapes-unet/model_index"):
        with pytest.raises(Missing):
            workspace.templates.picture(name)


def test_what_a_template_says_where_it_says_little(tmp_path):
    files = {
        "a": '{"format": 1, "name": "A", "notes": [{"text": "From the note."}]}',
        "b": '{"format": 1, "description": 3, "notes": ["x"]}',
        "c": "no workflow",
    }
    for name, text in files.items():
        (tmp_path / f"{name}.json").write_text(text)
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/b.png").touch()
    templates = Templates(Roots([Root("shipped", tmp_path)]), tmp_path)
    a, b, c = templates.list()
    assert (a.title, a.about, a.picture) == ("A", "From the note.", None)
    assert (b.title, b.about, b.picture) == ("b", "", "/api/templates/b/picture")
    assert c.title == "c" and "not JSON" in c.about
    assert templates.picture("b") == tmp_path / "pictures/b.png"
    with pytest.raises(Missing, match="has no picture"):
        templates.picture("a")
