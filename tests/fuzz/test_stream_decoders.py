"""No stream, however damaged and however cut, makes a pipe raise, leak half a frame, or end well without its end.

Whatever comes in, what goes out is a sequence of whole frames in the order that clients take: one start, blocks in order, one
terminator or one error, nothing behind it.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.damage import damaged, examples
from tests.facts import ends_badly, ends_well
from tests.gemini_streams import read_chunks
from tests.streams import (
    DIALECTS,
    OTHER,
    TWINS,
    Outcome,
    blocks,
    corpus,
    cut,
    dialect_of,
    load,
    outcome,
    payloads,
    piped,
    run,
    watched,
)


def in_order(found: Outcome, client: str) -> None:
    """The promise about what goes out."""
    assert found.ended
    assert ends_well(client, found.out) is (found.failure is None)
    assert ends_badly(client, found.out) is (found.failure is not None)
    CHECKS[client](found)


def _anthropic(found: Outcome) -> None:
    kinds = [one["type"] for one in payloads(found.out)]
    blocks(found.out)  # checks indices and delta types
    assert kinds.count("message_start") == (found.committed or 0)
    assert kinds.index("message_start") == 0 if "message_start" in kinds else True
    assert ("error" in kinds, "message_stop" in kinds) == (found.failure is not None, found.failure is None)
    assert kinds[-1] in ("error", "message_stop") and kinds.count("message_delta") == kinds.count("message_stop") <= 1


def _chat(found: Outcome) -> None:
    body = payloads(found.out)
    finishes = [one for one in body if isinstance(one, dict) and one.get("choices") and one["choices"][0]["finish_reason"]]
    assert ("[DONE]" in body, "error" in body[-1]) == (found.failure is None, found.failure is not None)
    assert len(finishes) <= 1 and (found.failure is not None or len(finishes) == 1)
    assert sum("role" in one["choices"][0]["delta"] for one in body if isinstance(one, dict) and one.get("choices")) <= 1


def _responses(found: Outcome) -> None:
    body = payloads(found.out)
    assert [one["sequence_number"] for one in body] == list(range(len(body)))
    kinds = [one["type"] for one in body]
    assert kinds.count("response.created") == (1 if found.committed else kinds.count("response.created"))
    added, done = (
        [one["output_index"] for one in body if one["type"] == f"response.output_item.{what}"] for what in ("added", "done")
    )
    assert added == sorted(set(added)) == list(range(len(added)))
    assert done == sorted(done) and (found.failure is not None or done == added)
    assert sum(kind in ("response.completed", "response.incomplete", "response.failed", "error") for kind in kinds) == 1


def _gemini(found: Outcome) -> None:
    body = read_chunks(found.out)
    finishes = [one for one in body for candidate in one.get("candidates", ()) if "finishReason" in candidate]
    blocked = [one for one in body if "promptFeedback" in one]
    assert len(finishes) <= 1 and (found.failure is not None or finishes or blocked)


def _converse(found: Outcome) -> None:
    events = [frame.split(b"\n", 1) for frame in found.out.split(b"\n\n")[:-1]]
    kinds = [kind.removeprefix(b"event: ").decode() for kind, _ in events]
    assert kinds.count("messageStart") == (found.committed or 0)
    assert kinds.count("messageStop") == (found.failure is None) == kinds.count("metadata")
    opened = [msgspec.json.decode(data[6:])["contentBlockIndex"] for kind, data in events if b"contentBlock" in kind]
    assert opened == sorted(opened) and sorted(set(opened)) == list(range(len(set(opened))))
    assert kinds.count("contentBlockStop") == len(set(opened)) or found.failure is not None


CHECKS: dict[str, Callable[[Outcome], None]] = {
    "anthropic": _anthropic,
    "openai_chat": _chat,
    "openai_responses": _responses,
    "gemini": _gemini,
    "bedrock": _converse,
}


@settings(max_examples=examples(300, 40), deadline=None)
@given(st.sampled_from(corpus()), st.sampled_from(DIALECTS), st.integers(0, 2**32))
def test_a_damaged_stream_is_translated_in_order(name: str, client: str, seed: int) -> None:
    dice = random.Random(seed)
    data, dialect = damaged(load(name), dice), dialect_of(name)
    client = OTHER[dialect] if client == dialect else client
    for twin in TWINS:
        whole = run(piped(twin, dialect, client), [data])
        in_order(whole, client)
        assert run(piped(twin, dialect, client), cut(data, dice)) == whole


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
@given(st.binary(max_size=300), st.sampled_from(DIALECTS))
def test_bytes_of_any_kind_fail(body: bytes, dialect: str) -> None:
    for twin in TWINS:
        for made in (piped(twin, dialect, OTHER[dialect]), watched(twin, dialect)):
            found = run(made, [body])
            assert found.failure is not None and not found.committed
            msgspec.json.encode(found.failure)
            assert outcome(made, b"").ended
