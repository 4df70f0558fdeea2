"""What one text frame costs on every lane of the streaming core, against the dearer of Messages to Chat and Chat to Messages.

All lanes take turns in one run, and the least time of each counts; budgets.toml [lanes]. Frames differ in their text alone, ten
to a chunk, as they arrive from a busy upstream. `aws` lanes have AWS event-stream messages at that end, as Converse has them.
"""

from __future__ import annotations

import gc
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anyllm_fast import wire
from benches.test_stream import TEXT, chat, event, messages
from tests.streams import CLASSES, DIALECTS, NATIVE_ONLY, OPTIONS, decoder, encoder

BUDGETS = tomllib.loads((Path(__file__).parent / "budgets.toml").read_text())["lanes"]
WORDS = ["Hello", " world", ",", " caf\u00e9", " token", "\\n\\n", ' \\"quoted\\"', " of", " text", "."]
FRAMES = 100
TOGETHER = 10
ROUNDS = 40
KNOWN = ("openai_chat-anthropic", "anthropic-openai_chat")


def responses(at: int, word: str) -> bytes:
    return event(
        "response.output_text.delta",
        f'"sequence_number":{at + 9},"item_id":"msg_0123456789abcdef","output_index":0,"content_index":0,"delta":"{word}",'
        '"logprobs":[]',
    )


def gemini(at: int, word: str) -> bytes:
    return (
        f'data: {{"candidates":[{{"content":{{"parts":[{{"text":"{word}"}}],"role":"model"}},"index":0}}],"usageMetadata":'
        f'{{"promptTokenCount":9,"candidatesTokenCount":{at},"totalTokenCount":{at + 9}}},"modelVersion":"gemini-2.5-pro",'
        f'"responseId":"abcdefghijklmnop"}}\r\n\r\n'
    ).encode()


def converse(at: int, word: str) -> bytes:
    payload = f'{{"contentBlockIndex":0,"delta":{{"text":"{word}"}},"p":"abcdefghijkl"}}'
    return f"event: contentBlockDelta\ndata: {payload}\n\n".encode()


RESPONSES = event("response.created", '"response":{"id":"resp_1","model":"m","output":[]},"sequence_number":0') + event(
    "response.output_item.added",
    '"sequence_number":1,"output_index":0,"item":{"id":"msg_1","type":"message","role":"assistant","content":[]}',
)
STREAMS: dict[str, tuple[bytes, Callable[[int, str], bytes]]] = {
    "openai_chat": (chat('"content":"x"'), lambda at, word: chat(f'"content":"{word}"')),
    "anthropic": (TEXT, lambda at, word: messages(f'"type":"text_delta","text":"{word}"')),
    "openai_responses": (RESPONSES, responses),
    "gemini": (b"", gemini),
    "bedrock": (b'event: messageStart\ndata: {"role":"assistant"}\n\n', converse),
}


def chunks(source: str) -> list[bytes]:
    write = STREAMS[source][1]
    frames = [write(at, WORDS[at % len(WORDS)]) for at in range(FRAMES)]
    return [b"".join(frames[at : at + TOGETHER]) for at in range(0, FRAMES, TOGETHER)]


def opened(lane: str) -> tuple[Any, list[bytes]]:
    """A pipe in mid-stream, and the chunks to feed it with."""
    source, client = lane.replace("aws", "bedrock").split("-")
    pipe: Any = wire.open_translation(decoder(NATIVE_ONLY, source), encoder(NATIVE_ONLY, client, OPTIONS), 1 << 20)
    first, parts = STREAMS[source][0], chunks(source)
    if "aws" in lane:
        here, there = lane.split("-")
        framed = wire.SseToAws(False)
        if here == "aws":
            first, parts = framed.feed(first), [framed.feed(part) for part in parts]
        unframe = wire.AwsToSse(1 << 20, False) if here == "aws" else None
        pipe = wire.open_carried(pipe, unframe, wire.SseToAws(False) if there == "aws" else None)
    if first:
        pipe.feed(first)
    pipe.feed(parts[0])
    return pipe, parts


def once(lane: str) -> float:
    """Seconds a frame."""
    pipe, parts = opened(lane)
    feed = pipe.feed
    begin = time.perf_counter()
    for part in parts:
        feed(part)
    spent = time.perf_counter() - begin
    assert pipe.committed and not pipe.ended
    return spent / FRAMES


LANES = [f"{source}-{client}" for source in DIALECTS for client in DIALECTS if source != client]
LANES += ["aws-anthropic", "aws-openai_chat", "openai_chat-aws", "anthropic-aws"]


@pytest.mark.skipif(NATIVE_ONLY is None, reason="budgets are for the native module")
def test_no_lane_costs_much_more_than_the_first_two(capsys: pytest.CaptureFixture[str]) -> None:
    best = dict.fromkeys(LANES, float("inf"))
    gc.collect()
    gc.disable()
    try:
        for _ in range(ROUNDS):
            for lane in LANES:
                best[lane] = min(best[lane], once(lane))
    finally:
        gc.enable()
    base = max(best[lane] for lane in KNOWN)
    with capsys.disabled():
        print()
        for lane, spent in best.items():
            print(f"  {lane:<36} {spent * 1e9:6.0f} ns a frame  {spent / base:5.2f}x")
    over = {lane: round(spent / base, 2) for lane, spent in best.items() if spent / base > BUDGETS.get(lane, BUDGETS["every"])}
    assert not over, f"of the dearer of {KNOWN}"


def test_every_dialect_has_its_lanes() -> None:
    assert set(STREAMS) == set(CLASSES)
