import pytest

from latentloom.graph.node import NodeError
from latentloom.graph.progress import Progress
from latentloom.nodes.load.trained_model import trained_model
from latentloom.nodes.models.identity import identity
from latentloom.nodes.types import Folder, Model


def test_it_names_the_folder_and_tells_its_content(tiny_sd):
    told = {}
    model = trained_model(Folder(str(tiny_sd), "print"), Progress(on_note=told.update))
    assert model == Model(str(tiny_sd), "sd", fingerprint="print")
    assert told == {"models": {tiny_sd.name: identity(tiny_sd)}}


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(NodeError, match="is no model"):
        trained_model(Folder(str(tmp_path)))
