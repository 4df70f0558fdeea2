"""No reply of an upstream, however damaged, does more than fail: it is read, or it is a ValueError, and what was read can be
written in every dialect as JSON, in another dialect as JSON that its SDK's types take.

Starts from the corpus of real replies and damages them: bytes changed, members removed, swapped or given another kind of value.
"""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from anyllm_fast.dialects import DIALECTS
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.reply import Recorder, replay
from tests.damage import examples
from tests.facts import FACTS, bodies
from tests.replies import OPTIONS

CORPUS = [path.read_bytes() for path in bodies("replies")]
ODD = [None, True, 0, -1, 1.5, "", "x", "\ud800", [], {}, [[]], [None], {"type": None}, [{"type": "text"}], 10**30]


def hold(body: bytes) -> None:
    """What is promised, for one body."""
    for source in DIALECTS.values():
        source.read_usage(body)
        source.read_failure(body)
        losses = Losses()
        try:
            reply = source.read_reply(body, losses)
        except ValueError:
            continue
        losses.header()
        options = msgspec.structs.replace(OPTIONS, origin=source.name)
        for target in DIALECTS.values():
            written = target.write_reply(reply, options, Losses())
            if target is source:  # to its own dialect a reply goes with whatever odd members it had
                json.loads(written)
            else:
                FACTS[target.name].judge(without_probabilities(written))
            replay(reply, target.encoder(options))
        replay(reply, Recorder())


def without_probabilities(written: bytes) -> bytes:
    """The objects of tokens pass as the host wrote them, so what is wrong inside one stays wrong."""
    return json.dumps(json.loads(written, object_hook=_without)).encode()


def _without(members: dict[str, Any]) -> dict[str, Any]:
    return {**members, "logprobs": [] if isinstance(members["logprobs"], list) else None} if "logprobs" in members else members


@settings(max_examples=examples(200, 40), deadline=None)
@given(st.binary(max_size=80))
def test_bytes_of_any_kind(body: bytes) -> None:
    hold(body)


@settings(max_examples=examples(200, 20), deadline=None)
@given(st.sampled_from(CORPUS), st.lists(st.tuples(st.integers(0), st.binary(max_size=3)), min_size=1, max_size=4))
def test_replies_with_bytes_changed(body: bytes, changes: list[tuple[int, bytes]]) -> None:
    for at, piece in changes:
        at %= len(body)
        body = body[:at] + piece + body[at + 1 :]
    hold(body)


@settings(max_examples=examples(300, 20), deadline=None)
@given(st.sampled_from(CORPUS), st.integers(0, 2**32))
def test_replies_with_values_of_another_kind(body: bytes, seed: int) -> None:
    value = json.loads(body)
    dice = random.Random(seed)
    for _ in range(dice.randint(1, 3)):
        damage(value, dice)
    hold(json.dumps(value).encode())


def damage(value: Any, dice: random.Random) -> None:
    """Goes down a random path and changes what it ends at."""
    while True:
        steps = list(value) if isinstance(value, dict) else range(len(value))
        if not steps:
            return
        step = dice.choice(list(steps))
        inner = value[step]
        if not isinstance(inner, dict | list) or not inner or dice.random() < 0.2:
            break
        value = inner
    if dice.random() < 0.3:
        del value[step]
    else:
        value[step] = copy.deepcopy(dice.choice(ODD))
