"""Promise: for any bytes, and for any damage to a good request, reading and writing one raises InvalidRequest or nothing.

Bounded by FUZZ_SECONDS (default 5, in all).
"""

from __future__ import annotations

import copy
import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anyllm_fast.errors import InvalidRequest
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import Losses
from tests.facts import EACH, FACTS, bodies, source_of

SECONDS = float(os.environ.get("FUZZ_SECONDS", "5"))
CORPUS = bodies("requests")
RICH = Profile(
    adaptive_thinking=False,
    cache_breakpoints=True,
    web_search_options=True,
    system_turns=True,
    anthropic_model=True,
    cache_points=True,
)
PROFILES = [Profile(), RICH]
ODD: list[Any] = [
    *(None, True, 0, -1, 1e300, "", "x", "\n", "data:,"),
    *([], {}, [None], [[]], [{}], {"type": "text"}, {"type": 1}, "none", 10**400, {"text": None}, {"bytes": "x"}),
]


def survives(body: bytes, sources: tuple[str, ...], profiles: list[Profile] = PROFILES) -> None:
    for source in sources:
        for profile in profiles:
            for target in EACH:
                losses = Losses()
                try:
                    request = FACTS[source].requests.read_request(body, losses)
                    written = FACTS[target].requests.write_request(request, "m", profile, losses)
                except InvalidRequest as error:
                    assert str(error)
                    continue
                json.loads(written)
                losses.header()


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_refused_and_nothing_else(body: bytes) -> None:
    survives(body, EACH)


@settings(max_examples=100, deadline=None)
@given(st.recursive(st.sampled_from(ODD[:10]), lambda inner: st.lists(inner, max_size=3), max_leaves=6), st.data())
def test_any_value_in_the_place_of_a_member_is_survived(value: Any, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(CORPUS))
    body = json.loads(path.read_bytes())
    body[data.draw(st.sampled_from(sorted(body)))] = value
    survives(json.dumps(body).encode(), (source_of(path),))


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(CORPUS))
def test_a_request_of_another_dialect_is_refused_or_carried(path: Path) -> None:
    survives(path.read_bytes(), EACH, PROFILES[:1])


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


def damaged(body: Any, dice: random.Random) -> Any:
    """The body with one to three of its values, at any depth, replaced, dropped, doubled or swapped for another's."""
    body = copy.deepcopy(body)
    for _ in range(dice.randint(1, 3)):
        paths = list(places(body))
        if not paths:
            break
        *way, last = dice.choice(paths)
        parent = body
        for key in way:
            parent = parent[key]
        action = dice.randrange(4)
        if action == 0:
            parent[last] = copy.deepcopy(dice.choice(ODD))
        elif action == 1:
            del parent[last]
        elif action == 2 and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[last]))
        else:
            source = body
            for key in dice.choice(paths):
                try:
                    source = source[key]
                except (KeyError, IndexError, TypeError):
                    break
            parent[last] = copy.deepcopy(source)
    return body


@pytest.mark.parametrize("seed", [int(time.time()) if SECONDS > 5 else 1])
def test_a_damaged_request_is_refused_or_carried(seed: int) -> None:
    dice = random.Random(seed)
    corpus = [(source_of(path), json.loads(path.read_bytes())) for path in CORPUS]
    ends = time.monotonic() + SECONDS
    while time.monotonic() < ends:
        source, good = dice.choice(corpus)
        body = json.dumps(damaged(good, dice)).encode()
        try:
            survives(body, (source,))
        except Exception as error:
            raise AssertionError(f"seed {seed}, {source}, body {body.decode()[:4000]}") from error


DEEP = [b'{"content":[', b"[", b'{"type":"tool_result","tool_use_id":"a","content":[', b'{"toolResult":{"content":[']
CLOSING = {b"{": b"}", b"[": b"]"}


@pytest.mark.parametrize("depth", [100, 900, 5000])
@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_a_bottomless_value_anywhere_is_survived(path: Path, depth: int) -> None:
    source = source_of(path)
    dice = random.Random(depth)
    good = json.loads(path.read_bytes())
    spots = list(places(good))
    for begin in DEEP:
        end = b"".join(CLOSING[mark] for mark in reversed([begin[at : at + 1] for at in range(len(begin))]) if mark in CLOSING)
        body = copy.deepcopy(good)
        *way, last = dice.choice(spots)
        parent = body
        for key in way:
            parent = parent[key]
        parent[last] = "HERE"
        survives(json.dumps(body).encode().replace(b'"HERE"', begin * depth + b"1" + end * depth), (source,), PROFILES[:1])
