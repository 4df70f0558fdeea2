"""No bytes make the AWS framing raise, hang or keep more than it may, and any cutting gives the same.

What is damaged is the framing itself (lengths, headers, checksums) and what is inside it with the checksums made right again.
"""

from __future__ import annotations

import random
from struct import pack, unpack_from
from typing import Any
from zlib import crc32

from hypothesis import given, settings
from hypothesis import strategies as st

from anyllm_fast import wire
from anyllm_fast.wire import aws
from anyllm_fast.wire.aws import AwsWatch
from anyllm_fast.wire.carried import Carried
from tests.damage import damaged, examples
from tests.streams import TWINS as STREAM_TWINS
from tests.streams import corpus, cut, outcome, piped
from tests.test_aws import TWINS, framed_corpus, invoked, parsed

MAX_FRAME = 4096


def stream(dice: random.Random) -> tuple[bytes, bool]:
    if dice.random() < 0.5:
        return invoked(dice.choice(corpus("anthropic"))), True
    return framed_corpus(dice.choice(corpus("bedrock"))), False


def repaired(body: bytes, dice: random.Random) -> bytes:
    """Messages damaged behind their prelude, with the checksums of what they have become."""
    out = b""
    while body:
        total, head = unpack_from(">II", body)
        inside = damaged(body[12 : total - 4], dice) if dice.random() < 0.2 else body[12 : total - 4]
        head = min(head, len(inside)) if dice.random() < 0.9 else dice.randrange(len(inside) + 1)
        prelude = pack(">II", len(inside) + 16, head)
        message = prelude + pack(">I", crc32(prelude)) + inside
        out += message + pack(">I", crc32(message))
        body = body[total:]
    return out


def told(made: Any, chunks: list[bytes]) -> tuple[bytes, Any]:
    out = b""
    for chunk in chunks:
        out += made.feed(chunk)
        assert 0 <= made.boundary <= len(chunk)
    return out + made.finish(), made.failure


@settings(max_examples=examples(300, 40), deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_damaged_messages_in_any_cutting(seed: int, mend: bool) -> None:
    dice = random.Random(seed)
    body, inner = stream(dice)
    body = repaired(body, dice) if mend else damaged(body, dice)
    found = [told(twin.AwsToSse(MAX_FRAME, inner), chunks) for twin in TWINS for chunks in ([body], cut(body, dice))]
    assert all(one == found[0] for one in found)
    assert not found[0][0] or found[0][0].endswith(b"\n\n")


@settings(max_examples=examples(200, 40), deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_a_damaged_stream_passes_by_up_to_the_damage(seed: int, mend: bool) -> None:
    dice = random.Random(seed)
    body, inner = stream(dice)
    body = repaired(body, dice) if mend else damaged(body, dice)
    found = []
    for chunks in ([body], cut(body, dice)):
        made = AwsWatch("anthropic" if inner else "bedrock", MAX_FRAME)
        found.append(outcome(made, b"".join([*(made.feed(chunk) for chunk in chunks), made.finish()])))
    assert found[0] == found[1] and found[0].ended
    if found[0].failure is None:
        assert body.startswith(found[0].out)
    if not mend:
        parsed(found[0].out)


@settings(max_examples=examples(200, 40), deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_a_damaged_stream_is_translated_at_once_as_in_two_steps(seed: int, mend: bool) -> None:
    dice = random.Random(seed)
    body, inner = stream(dice)
    body = repaired(body, dice) if mend else damaged(body, dice)
    chunks = cut(body, dice)
    found = []
    for twin, names in zip(TWINS, STREAM_TWINS, strict=False):
        unframe = twin.AwsToSse(MAX_FRAME, inner)
        inside = piped(names, "anthropic" if inner else "bedrock", "openai_chat", max_frame=2 * MAX_FRAME)
        for made in (Carried(inside, unframe, None),) if twin is aws else (wire.open_carried(inside, unframe, None),):
            found.append([outcome(made, made.feed(chunk)) for chunk in chunks] + [outcome(made, made.finish())])
    assert all(one == found[0] for one in found)


@settings(max_examples=examples(200, 60), deadline=None)
@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_no_stream(body: bytes) -> None:
    for twin in TWINS:
        for inner in (True, False):
            out, failure = told(twin.AwsToSse(100, inner), [body])
            assert out == b"" and (failure is not None or not body)
            made = twin.SseToAws(inner)
            parsed(made.feed(body) + made.finish())
