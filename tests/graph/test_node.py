"""A node is declared by its annotations; what is declared wrong is told to its author."""

from __future__ import annotations

import enum
import functools
from typing import Annotated, Literal, NamedTuple

import pytest
from arithmetic import CATALOG, Even, Halves, Number, Text
from pydantic import Field

from latentloom.graph.files import Files, Reads
from latentloom.graph.node import DeclarationError, declaration, effect, node
from latentloom.graph.progress import QUIET, Progress
from latentloom.graph.provenance import Provenance


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class LongName:
    """Named by its output."""


@node
def everything(
    one: Number,
    either: Number | Text,
    several: tuple[Number, ...],
    maybe: Text | None,
    flag: bool = False,
    size: Annotated[tuple[int, int], Field(description="height and width")] = (1, 2),
    colour: Colour = Colour.RED,
    scale: Annotated[float, Field(ge=0, le=10)] = 7,
    name: str | None = None,
    kind: Literal["a", "b", 3] = "a",
    files: Files = Files(),  # noqa: B008 - frozen
    progress: Progress = QUIET,
) -> LongName:
    """Has one of each.

    Described in https://example.org/paper.
    """
    return LongName()


DECLARED = declaration(everything)


def test_a_node_is_still_the_function_it_is():
    assert everything(Number(1), Text(""), (), None).__class__ is LongName


def test_inputs_settings_and_outputs_are_read_from_annotations():
    assert [(port.name, port.accepts, port.optional, port.many) for port in DECLARED.inputs.values()] == [
        ("one", (Number,), False, False),
        ("either", (Number, Text), False, False),
        ("several", (Number,), False, True),
        ("maybe", (Text,), True, False),
    ]
    assert list(DECLARED.settings) == ["flag", "size", "colour", "scale", "name", "kind"]
    assert DECLARED.injected == {"files": Files, "progress": Progress}
    assert [(port.name, port.gives) for port in DECLARED.outputs.values()] == [("long_name", (LongName,))]
    assert DECLARED.inputs["either"].type_names == "Number or Text"


def test_a_named_tuple_is_several_outputs_and_none_is_none():
    halve, show = CATALOG["halve"], CATALOG["show"]
    assert [(port.name, port.gives) for port in halve.outputs.values()] == [("low", (Number,)), ("high", (Number,))]
    assert halve.unpack(Halves(Number(1), Number(2))) == {"low": Number(1), "high": Number(2)}
    assert show.outputs == {}
    assert show.unpack(None) == {}
    assert CATALOG["double"].unpack(Even(2)) == {"even": Even(2)}


def test_docs_and_links_come_from_the_docstring():
    assert DECLARED.summary == "Has one of each."
    assert DECLARED.links == ["https://example.org/paper"]
    assert declaration(node(category="maths")(everything)).category == "maths"
    assert not DECLARED.effect
    assert CATALOG["write"].effect


@pytest.mark.parametrize(
    ("setting", "given", "taken"),
    [
        ("flag", True, True),
        ("size", [3, 4], (3, 4)),
        ("colour", "blue", Colour.BLUE),
        ("scale", 3, 3.0),
        ("name", None, None),
        ("kind", 3, 3),
    ],
)
def test_values_are_taken_as_the_function_has_them_and_given_back_as_json_has(setting, given, taken):
    found = DECLARED.settings[setting]
    assert found.validate(given) == taken
    assert type(found.validate(given)) is type(taken)
    assert found.plain(taken) == given


@pytest.mark.parametrize(
    ("setting", "given", "sentence"),
    [
        ("flag", 1, "it should be a valid boolean"),
        ("size", [1], "1: Field required"),
        ("size", [1, "x"], "1: it should be a valid integer"),
        ("colour", "green", "it should be 'red' or 'blue'"),
        ("scale", 11, "it should be less than or equal to 10"),
        ("scale", "7", "it should be a valid number"),
        ("scale", float("nan"), "it should be a finite number"),
        ("scale", float("inf"), "it should be a finite number"),
        ("scale", 10**400, "it should be"),
        ("kind", "c", "it should be 'a', 'b' or 3"),
        ("name", "\ud800", "Invalid JSON"),
        ("flag", {}, "it should be a valid boolean"),
    ],
)
def test_other_values_are_refused_with_a_sentence(setting, given, sentence):
    with pytest.raises(ValueError, match=sentence) as refused:
        DECLARED.settings[setting].validate(given)
    assert "pydantic" not in str(refused.value)


def test_the_schema_tells_limits_default_and_description():
    assert DECLARED.settings["scale"].schema == {"type": "number", "minimum": 0, "maximum": 10, "default": 7.0}
    assert DECLARED.settings["colour"].schema["default"] == "red"
    assert DECLARED.settings["size"].description == "height and width"
    assert "default" not in CATALOG["read"].settings["path"].schema


def test_defaults_are_as_validated_ones():
    assert type(DECLARED.settings["scale"].default) is float


def test_markers_are_found_inside_unions_and_tuples():
    @node
    def reading(paths: tuple[Annotated[str, Reads("models")], ...], mask: Annotated[str, Reads()] | None) -> Number:
        """Reads."""
        return Number(1)

    settings = declaration(reading).settings
    assert settings["paths"].markers(Reads) == [Reads("models")]
    assert settings["mask"].markers(Reads) == [Reads()]


def decorated(function):
    """As torch.no_grad() does."""

    @functools.wraps(function)
    def inner(*args, **kwargs):
        return function(*args, **kwargs)

    return inner


def test_the_source_of_a_decorated_node_is_its_own(tmp_path, monkeypatch):
    source = (
        "from test_decorator import decorated\n"
        "from latentloom.graph.node import node\n"
        "@node\n@decorated\ndef one(value: int = {}) -> int:\n    'One.'\n    return value\n"
    )
    (tmp_path / "test_decorator.py").write_text(
        "import functools\n"
        "def decorated(function):\n"
        "    return functools.wraps(function)(lambda **given: function(**given))\n"
    )
    (tmp_path / "source_one.py").write_text(source.format(1))
    (tmp_path / "source_two.py").write_text(source.format(2))
    monkeypatch.syspath_prepend(tmp_path)
    import source_one  # type: ignore[import-not-found]
    import source_two  # type: ignore[import-not-found]

    assert declaration(source_one.one).source_hash != declaration(source_two.one).source_hash


# ---------------------------------------------------------------- wrong declarations


class Wrong(NamedTuple):
    one: list[Number]


def no_return(number: Number):
    """Says not what it returns."""


def no_type(number) -> Number:
    """Says not what it takes."""
    return number


def variable(*numbers: Number) -> Number:
    """Takes what has no name."""
    return numbers[0]


def positional(number: Number, /) -> Number:
    """Takes what has no name."""
    return number


def generic(numbers: list[Number]) -> Number:
    """Takes what is no class."""
    return numbers[0]


def wrong_field(number: Number) -> Wrong:
    """Gives what is no class."""
    return Wrong([number])


def wrong_default(number: Annotated[int, Field(ge=3)] = 2) -> Number:
    """Has a default it would refuse."""
    return Number(number)


def told(number: Number, provenance: Provenance) -> Number:
    """Would be kept, and depends on more than its key."""
    return number


@pytest.mark.parametrize(
    "function",
    [no_return, no_type, variable, positional, generic, wrong_field, wrong_default, told],
    ids=lambda function: function.__name__,
)
def test_wrong_declarations_are_told(function):
    declared = declaration(node(function))
    with pytest.raises(DeclarationError) as wrong:
        _ = declared.inputs, declared.outputs, declared.injected, [s.schema for s in declared.settings.values()]
    assert function.__name__ in str(wrong.value) or "number" in str(wrong.value)


def test_only_nodes_have_declarations():
    with pytest.raises(DeclarationError, match="decorate it with @node or @effect"):
        declaration(decorated)


def test_an_effect_may_take_provenance():
    def saving(number: Number, provenance: Provenance) -> None:
        """Saves."""

    assert declaration(effect(saving)).injected == {"provenance": Provenance}
