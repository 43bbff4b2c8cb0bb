import pytest

from latentloom.graph.node import NodeError
from latentloom.nodes.prompt.prompt_list import prompt_list


def test_each_line_is_a_prompt():
    assert prompt_list("a red circle\n\n  a (blue:1.2) square \r\n").texts == ("a red circle", "a (blue:1.2) square")


def test_nothing_is_refused():
    with pytest.raises(NodeError, match="empty"):
        prompt_list(" \n")
