"""Splicing a member changes its values at the top level and nothing else, for any JSON object however it is written.

The bodies are built from pieces that a scan could mistake: keys in escapes, brackets and quotes in strings, the key deeper down.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.damage import examples
from tests.streams import TWINS

WHITE = st.sampled_from(["", " ", "\n\t", "\r\n"])
KEYS = [
    "model",
    "m\\u006fdel",
    "\\u006D\\u006F\\u0064\\u0065\\u006C",
    "Model",
    "model ",
    "",
    "x",
    '\\"model\\"',
    "\\\\",
    "é",
    "}",
    "{",
    ":",
]
KEY = st.sampled_from(KEYS).map(lambda text: f'"{text}"')
LEAF = st.sampled_from(
    ["1", "-0.5e3", "null", "true", '""', '"model"', '"\\""', '"\\\\"', '"a:b,c}d]"', '"\\\\\\""', '"\\u0022"']
)


def joined(parts: list[tuple[str, str, str]], brackets: str) -> str:
    return brackets[0] + ",".join(before + text + after for before, text, after in parts) + brackets[1]


def grown(value: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    member = st.tuples(WHITE, st.builds(lambda key, a, b, text: f"{key}{a}:{b}{text}", KEY, WHITE, WHITE, value), WHITE)
    lists = st.lists(st.tuples(WHITE, value, WHITE), max_size=3).map(lambda parts: joined(parts, "[]"))
    return lists | st.lists(member, max_size=4).map(lambda parts: joined(parts, "{}"))


BODY = st.tuples(WHITE, grown(st.recursive(LEAF, grown, max_leaves=6)), WHITE).map("".join)


def pairs(text: bytes) -> Any:
    """The members in order, also those of one name."""
    return json.loads(text, object_pairs_hook=lambda members: ("object", members))


@settings(max_examples=examples(300, 60), deadline=None)
@given(BODY)
def test_only_the_members_of_that_name_change(body: str) -> None:
    data = body.encode()
    found = pairs(data)
    expected = found
    if isinstance(found, tuple):
        expected = ("object", [(key, "N" if key == "model" else value) for key, value in found[1]])
    spliced = {twin.splice_model(data, b"N") for twin in TWINS} | {twin.splice_member(data, b"model", b'"N"') for twin in TWINS}
    assert len(spliced) == 1
    assert pairs(spliced.pop()) == expected
