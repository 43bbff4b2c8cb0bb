"""Sentences stay sentences, whatever words come in."""

import pytest

from latentloom.graph.problems import Hints, Problem, Refused, closest, did_you_mean, listed, quoted


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("denoise", '"denoise"'),
        ("größe", '"größe"'),
        ("a\nb\x1b[31m", '"a\\nb\\x1b[31m"'),
        ("\ud800", '"\\ud800"'),
        ("x" * 100, '"' + "x" * 80 + '…"'),
    ],
)
def test_words_are_quoted_on_one_line_and_cut(word, shown):
    assert quoted(word) == shown


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", "b", "c"], "a, b and c"),
        ("abcdef", "a, b, c and 3 more"),
    ],
)
def test_words_are_listed_and_counted(words, shown):
    assert listed(words, limit=3) == shown


def test_the_nearest_word_is_meant():
    assert closest("stpes", ["scale", "steps"]) == "steps"
    assert did_you_mean("stpes", ["scale", "steps"]) == ' Did you mean "steps"?'
    assert did_you_mean("x", ["scale", "steps"]) == ""
    assert closest("steps" * 10_000, ["steps"]) is None


def test_hints_end_with_their_budget():
    hints, known = Hints(comparisons=100), ["steps"] * 30
    assert [bool(hints.did_you_mean("stpes", known)) for _ in range(4)] == [True, True, False, False]


def test_a_refusal_says_every_reason():
    refused = Refused([Problem("One."), Problem("Two.", "a")])
    assert str(refused) == "One.\nTwo."
    assert [str(problem) for problem in refused.problems] == ["One.", "Two."]
