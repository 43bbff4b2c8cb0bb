"""Any value becomes one that JSON has."""

import json
import math

import pytest

from latentloom.app.jobs.plain import plain


class Rude:
    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": (1, 2.5, None, True)}, {"a": [1, 2.5, None, True]}),
        ({1: math.inf, "nan": math.nan}, {"1": None, "nan": None}),
        (b"bytes", "b'bytes'"),
        ("half \ud800", "half ?"),
        (Rude(), "a Rude"),
        ({Rude(): Rude()}, {"a Rude": "a Rude"}),
    ],
)
def test_values(value, expected):
    assert plain(value) == expected
    json.dumps(plain(value), allow_nan=False)


def test_what_is_long_or_deep_is_cut():
    assert plain("x" * 20_000).endswith("10000 letters more")
    assert plain(list(range(20_000)))[-1] == "… 10000 more"
    deep: list = []
    deep.append(deep)
    assert len(json.dumps(plain(deep))) < 200
