"""A link shows what was shared, to those who have it, until it is taken back."""

from __future__ import annotations

import pytest

from latentloom.app.workspace.refusals import Missing
from latentloom.graph.problems import Refused


def test_a_share_is_what_it_was_when_it_was_made(workspace, content):
    shown = content()
    share = workspace.shares.create(shown, "Circle", "/api/previews/abc.webp")
    shown["nodes"].clear()
    found = workspace.shares.get(share.token)
    assert found.content == content() and found.picture == "/api/previews/abc.webp"
    assert (found.name, found.shared) == ("Circle", share.shared)
    assert workspace.shares.list() == [share]


def test_tokens_cannot_be_guessed_and_differ(workspace, content):
    tokens = {workspace.shares.create(content()).token for _ in range(20)}
    assert len(tokens) == 20 and min(map(len, tokens)) >= 32


def test_revoking_leaves_others_of_the_same_workflow(workspace, content):
    gone, stays = (workspace.shares.create(content()) for _ in range(2))
    workspace.shares.revoke(gone.token)
    for ask in (workspace.shares.get, workspace.shares.revoke):
        with pytest.raises(Missing):
            ask(gone.token)
    assert workspace.shares.get(stays.token).content == content()


@pytest.mark.parametrize(
    "picture", ["", "abc.webp", "/api/previews/../a.webp", "https://a.b/c.webp", "/api/previews/a.png"]
)
def test_only_previews_are_shared(workspace, content, picture):
    with pytest.raises(Refused, match="no picture that can be shared"):
        workspace.shares.create(content(), "x", picture)


def test_what_is_no_workflow_is_not_shared(workspace):
    with pytest.raises(Refused):
        workspace.shares.create({"nodes": 3})
