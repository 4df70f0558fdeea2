"""No stream, however damaged and however cut, makes a pipe raise, leak half a frame, or end well without its end.

Whatever comes in, what goes out is a sequence of whole frames in the order that clients take: one start, blocks in order, one
terminator or one error, nothing behind it.
"""

from __future__ import annotations

import random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.damage import damaged, examples
from tests.streams import OTHER, TWINS, Outcome, blocks, corpus, cut, dialect_of, load, outcome, payloads, piped, run, watched


def in_order(found: Outcome, client: str) -> None:
    """The promise about what goes out. `blocks` checks indices and delta types."""
    assert found.ended
    body = payloads(found.out)
    if client == "anthropic":
        kinds = [one["type"] for one in body]
        blocks(found.out)
        assert kinds.count("message_start") == (found.committed or 0)
        assert kinds.index("message_start") == 0 if "message_start" in kinds else True
        assert ("error" in kinds, "message_stop" in kinds) == (found.failure is not None, found.failure is None)
        assert kinds[-1] in ("error", "message_stop") and kinds.count("message_delta") == kinds.count("message_stop") <= 1
        return
    finishes = [one for one in body if isinstance(one, dict) and one.get("choices") and one["choices"][0]["finish_reason"]]
    assert ("[DONE]" in body, "error" in body[-1]) == (found.failure is None, found.failure is not None)
    assert len(finishes) <= 1 and (found.failure is not None or len(finishes) == 1)
    assert sum("role" in one["choices"][0]["delta"] for one in body if isinstance(one, dict) and one.get("choices")) <= 1


@settings(max_examples=examples(200, 40), deadline=None)
@given(st.sampled_from(corpus()), st.integers(0, 2**32))
def test_a_damaged_stream_is_translated_in_order(name: str, seed: int) -> None:
    dice = random.Random(seed)
    data, dialect = damaged(load(name), dice), dialect_of(name)
    for twin in TWINS:
        whole = run(piped(twin, dialect, OTHER[dialect]), [data])
        in_order(whole, OTHER[dialect])
        assert run(piped(twin, dialect, OTHER[dialect]), cut(data, dice)) == whole


@settings(max_examples=examples(200, 40), deadline=None)
@given(st.sampled_from(corpus()), st.integers(0, 2**32))
def test_a_damaged_stream_passes_by_up_to_the_damage(name: str, seed: int) -> None:
    dice = random.Random(seed)
    data, dialect = damaged(load(name), dice), dialect_of(name)
    for twin in TWINS:
        whole = run(watched(twin, dialect), [data])
        assert whole.ended
        if whole.failure is None:
            assert whole.out.rstrip(b"\r\n").removesuffix(b"data: [DONE]").rstrip(b"\r\n") in data
        assert run(watched(twin, dialect), cut(data, dice)) == whole


@settings(max_examples=examples(100, 50), deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["openai_chat", "anthropic"]))
def test_bytes_of_any_kind_fail(body: bytes, dialect: str) -> None:
    for twin in TWINS:
        for made in (piped(twin, dialect, OTHER[dialect]), watched(twin, dialect)):
            found = run(made, [body])
            assert found.failure is not None and not found.committed
            msgspec.json.encode(found.failure)
            assert outcome(made, b"").ended
