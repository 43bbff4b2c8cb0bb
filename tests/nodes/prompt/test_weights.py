"""Prompt weights as users write them; any text at all is read."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentloom.nodes.prompt.weights import STRONGEST, Span, parse


def read(prompt: str) -> list[tuple[str | None, float]]:
    return [(span.text, round(span.weight, 6)) for span in parse(prompt)]


@pytest.mark.parametrize(
    ("prompt", "spans"),
    [
        ("", []),
        ("a red circle", [("a red circle", 1)]),
        ("a (red) circle", [("a ", 1), ("red", 1.1), (" circle", 1)]),
        ("a (red:1.3) circle", [("a ", 1), ("red", 1.3), (" circle", 1)]),
        ("((red))", [("red", 1.21)]),
        ("((red:2):3)", [("red", 6)]),
        ("(a (b:1.5) c)", [("a ", 1.1), ("b", 1.65), (" c", 1.1)]),
        ("[red]", [("red", round(1 / 1.1, 6))]),
        ("[(red)]", [("red", 1)]),
        ("(red: 0.5 )", [("red", 0.5)]),
        ("(red:.5)", [("red", 0.5)]),
        ("(red:-1)", [("red", -1)]),
        ("(red:0)", [("red", 0)]),
        ("(ratio 16:9:1.2)", [("ratio 16:9", 1.2)]),
        ("(a:b)", [("a:b", 1.1)]),
        ("(red:)", [("red:", 1.1)]),
        ("[red:1.3]", [("red:1.3", round(1 / 1.1, 6))]),
        ("()", []),
        ("(:1.3)", []),
        (r"\(red\)", [("(red)", 1)]),
        (r"(red \(dark\):1.3)", [("red (dark)", 1.3)]),
        (r"\[x\] \\ \n", [(r"[x] \ \n", 1)]),
        ("a (b", [("a (b", 1)]),
        ("a) b", [("a) b", 1)]),
        ("a (b [c", [("a (b [c", 1)]),
        ("(a [b)", [("a [b", 1.1)]),
        ("(a] b)", [("a] b", 1.1)]),
        ("[a (b] c)", [("a (b", round(1 / 1.1, 6)), (" c)", 1)]),
        (":-) and :-(", [(":-) and :-(", 1)]),
        ("a BREAK b", [("a", 1), (None, 1), ("b", 1)]),
        ("(a BREAK b:1.5)", [("a", 1.5), (None, 1), ("b", 1.5)]),
        ("BREAK a", [(None, 1), ("a", 1)]),
        ("BREAKFAST and daBREAK, break", [("BREAKFAST and daBREAK, break", 1)]),
        ("(a:1000000)", [("a", STRONGEST)]),
    ],
)
def test_what_is_written(prompt, spans):
    assert read(prompt) == spans


@given(st.text())
def test_any_text_is_read_with_finite_weights(prompt):
    for span in parse(prompt):
        assert math.isfinite(span.weight) and abs(span.weight) <= STRONGEST


@given(st.text(alphabet="ab()[]\\:1. BREAK", max_size=60))
def test_words_are_neither_lost_nor_invented(prompt):
    """Whatever the brackets do, the letters stay, in their order."""
    told = "".join(span.text or "BREAK" for span in parse(prompt))
    assert re.sub("[^abBREK]", "", told) == re.sub("[^abBREK]", "", prompt)


@given(st.text().filter(lambda text: not set(text) & set("()[]\\") and "BREAK" not in text))
def test_text_without_brackets_is_itself(prompt):
    assert parse(prompt) == ([Span(prompt)] if prompt else [])


plain = st.text(alphabet="ab ,", min_size=1, max_size=8).map(lambda text: (text, [(text, 1.0)]))


def wrapped(inner):
    (text, spans), kind, weight = inner
    factor = {"(": 1.1, "[": 1 / 1.1}.get(kind, weight)
    written = {"(": f"({text})", "[": f"[{text}]"}.get(kind, f"({text}:{weight})")
    return written, [(span, strength * factor) for span, strength in spans]


def joined(parts):
    return "".join(text for text, _ in parts), [span for _, spans in parts for span in spans]


trees = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["(", "[", ":"]), st.sampled_from([0.5, 0.8, 1.3])).map(wrapped),
        st.lists(inner, min_size=1, max_size=3).map(joined),
    ),
    max_leaves=8,
)


@given(trees)
def test_nested_weights_multiply(tree):
    prompt, expected = tree
    told = [(letter, span.weight) for span in parse(prompt) for letter in span.text or ""]
    asked = [(letter, weight) for text, weight in expected for letter in text]
    assert [letter for letter, _ in told] == [letter for letter, _ in asked]
    assert [weight for _, weight in told] == pytest.approx([weight for _, weight in asked])


@given(st.text(max_size=40))
def test_escaped_text_is_itself(text):
    escaped = re.sub(r"([()\[\]\\])", r"\\\1", text.replace("BREAK", ""))
    assert "".join(span.text or "" for span in parse(escaped)) == text.replace("BREAK", "")


@pytest.mark.parametrize(
    "prompt", ["(" * 200_000, "()" * 100_000, "(" * 50_000 + ")" * 50_000, " " * 500_000, ":" * 500_000]
)
def test_a_huge_prompt_is_read_in_time(prompt):
    parse(prompt)
