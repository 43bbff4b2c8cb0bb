"""Only what an edit touches runs again."""

import pytest

from latentloom.app import folders
from latentloom.app.folders import SHIPPED
from latentloom.graph.catalog import Catalog
from latentloom.graph.run import run
from latentloom.graph.store import DiskStore, MemoryStore
from latentloom.graph.workflow import Workflow
from latentloom.nodes.catalog import NODES
from latentloom.nodes.codec import TensorCodec


@pytest.fixture(params=["memory", "disk"])
def store(request, tmp_path):
    if request.param == "memory":
        return MemoryStore(1 << 28)
    return DiskStore(tmp_path / "kept", TensorCodec(), 1 << 28)


@pytest.fixture
def again(tmp_path, tiny_sd, store):
    """Runs the shipped text_to_image with other settings; gives the nodes that were run, not reused."""
    path = SHIPPED / "text_to_image.json"
    workflow = Workflow.read(path).with_settings({"model.source": tiny_sd.name, "schedule.steps": 2})
    files = folders.files(path, [], [tiny_sd.parent], tmp_path / "out")
    catalog = Catalog(NODES, "latentloom.nodes")

    def call(**settings: object) -> set[str]:
        changed = workflow.with_settings({key.replace("__", "."): value for key, value in settings.items()})
        result = run(changed, catalog, store=store, files=files)
        assert result.ok, result.outcomes
        return {id_ for id_, outcome in result.outcomes.items() if outcome.status == "done"}

    return call


def test_an_edit_runs_again_what_it_touches_and_nothing_else(again):
    everything = again()
    assert {"model", "prompt", "sample", "save"} <= everything
    assert again() == {"save"}
    assert again(save__name="other", save__format="jpeg", save__quality=50) == {"save"}
    assert again(noise__seed=1) == {"noise", "sample", "picture", "large", "save"}
    assert again(guidance__scale=5.0) == {"guidance", "sample", "picture", "large", "save"}
    assert again(prompt__text="a ring") == {"prompt", "sample", "picture", "large", "save"}
    assert again(large__at_least=64) == {"large", "save"}
    assert again() == {"save"}
