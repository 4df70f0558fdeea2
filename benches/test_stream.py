"""What one frame costs in each lane of the streaming core, against a calibrating loop in the same run; budgets.toml [stream].

The calibrating loop is one `hashlib.blake2b` over the bytes of the same frame: compiled code of the standard library that does a
fixed amount of arithmetic and memory access, so a slow or busy machine slows it as well. Lane and loop take turns, and the least
time of each counts. A ratio of 0.5 means that the lane takes half as long as that hash.

Frames differ in their text alone, as nearly all of a stream does; those of `chat_unlike` differ elsewhere too, so each one is
parsed. A burst is 100 frames in one feed; paced, each frame has a feed of its own.
"""

from __future__ import annotations

import gc
import hashlib
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.streams import OTHER, PYTHON, TWINS, dialect_of, load, piped, run, watched

BUDGETS = tomllib.loads((Path(__file__).parent / "budgets.toml").read_text())["stream"]
NATIVE = TWINS[-1]
FRAMES = 100
ROUNDS = 60
WORDS = ["Hello", " world", ",", " caf\u00e9", " token", "\\n\\n", ' \\"quoted\\"', " of", " text", "."]

pytestmark = pytest.mark.skipif(NATIVE is PYTHON, reason="budgets are for the native module")


HEAD = (
    b'data: {"id":"chatcmpl-BabcdefghijklmnopqrstuvwxyzAB","object":"chat.completion.chunk","created":1763712000,'
    b'"model":"gpt-5.1-2025-11-13","service_tier":"default","system_fingerprint":null,"choices":[{"index":0,"delta":{'
)


def chat(delta: str, more: str = "") -> bytes:
    return b'%b%b},"logprobs":null,"finish_reason":null}]%b}\n\n' % (HEAD, delta.encode(), more.encode())


def messages(delta: str) -> bytes:
    return f'event: content_block_delta\ndata: {{"type":"content_block_delta","index":0,"delta":{{{delta}}}}}\n\n'.encode()


def event(name: str, more: str) -> bytes:
    return f'event: {name}\ndata: {{"type":"{name}",{more}}}\n\n'.encode()


def words(write: Callable[[int, str], bytes]) -> list[bytes]:
    return [write(at, WORDS[at % len(WORDS)]) for at in range(FRAMES)]


CALL = chat('"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":"{"}}]')
BEGIN = event("message_start", '"message":{"id":"msg_1","usage":{"input_tokens":9}}')
TEXT = BEGIN + event("content_block_start", '"index":0,"content_block":{"type":"text","text":""}')
TOOL = BEGIN + event("content_block_start", '"index":0,"content_block":{"type":"tool_use","id":"a","name":"f"}')

STREAMS: dict[str, tuple[str, bytes, list[bytes]]] = {
    "chat_text": ("openai_chat", chat('"content":"x"'), words(lambda _, w: chat(f'"content":"{w}"'))),
    "chat_padded": (
        "openai_chat",
        chat('"content":"x"', ',"usage":null,"obfuscation":"pad"'),
        words(lambda at, w: chat(f'"content":"{w}"', f',"usage":null,"obfuscation":"{"abcdefghi"[: at % 8 + 1]}"')),
    ),
    "chat_unlike": ("openai_chat", chat('"content":"x"'), words(lambda at, w: chat(f'"content":"{w}"', f',"n":{at}'))),
    "chat_reasoning": (
        "openai_chat",
        chat('"reasoning_content":"x"'),
        words(lambda _, w: chat(f'"content":null,"reasoning_content":"{w}"')),
    ),
    "chat_arguments": (
        "openai_chat",
        CALL,
        words(lambda _, w: chat(f'"tool_calls":[{{"index":0,"function":{{"arguments":"{w}"}}}}]')),
    ),
    "messages_text": ("anthropic", TEXT, words(lambda _, w: messages(f'"type":"text_delta","text":"{w}"'))),
    "messages_arguments": ("anthropic", TOOL, words(lambda _, w: messages(f'"type":"input_json_delta","partial_json":"{w}"'))),
}
LANES = [f"{way}_{stream}" for stream in STREAMS for way in ("translate", "watch")]


def opened(lane: str, twin: Any) -> tuple[Any, list[bytes]]:
    """A pipe in mid-stream, and the frames to feed it with."""
    way, _, stream = lane.partition("_")
    dialect, first, frames = STREAMS[stream]
    made = piped(twin, dialect, OTHER[dialect]) if way == "translate" else watched(twin, dialect)
    made.feed(first)
    made.feed(frames[0])
    return made, frames


def once(lane: str, twin: Any, burst: bool) -> float:
    """Seconds a frame."""
    made, frames = opened(lane, twin)
    feed, chunks = made.feed, [b"".join(frames)] if burst else frames
    begin = time.perf_counter()
    for chunk in chunks:
        feed(chunk)
    spent = time.perf_counter() - begin
    assert made.committed and not made.ended
    return spent / FRAMES


def calibrate(lane: str) -> float:
    """Seconds for one blake2b of a frame of this lane."""
    frames, digest = STREAMS[lane.partition("_")[2]][2], hashlib.blake2b
    begin = time.perf_counter()
    for frame in frames:
        digest(frame)
    return (time.perf_counter() - begin) / FRAMES


def least(*measures: Callable[[], float], rounds: int = ROUNDS) -> list[float]:
    """The least of each, measured in turns."""
    gc.collect()
    gc.disable()
    try:
        return [min(column) for column in zip(*([measure() for measure in measures] for _ in range(rounds)), strict=True)]
    finally:
        gc.enable()


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("feed", ["burst", "paced"])
def test_a_frame_stays_within_its_budget(lane: str, feed: str, benchmark: Any) -> None:
    spent, loop = least(lambda: once(lane, NATIVE, feed == "burst"), lambda: calibrate(lane))
    benchmark.extra_info.update(ratio=round(spent / loop, 3), frame_ns=round(spent * 1e9), loop_ns=round(loop * 1e9))

    def fresh() -> tuple[tuple[Any, list[bytes]], dict[str, Any]]:
        made, frames = opened(lane, NATIVE)
        return (made, [b"".join(frames)] if feed == "burst" else frames), {}

    benchmark.pedantic(_feed_all, setup=fresh, rounds=20)
    assert spent / loop <= BUDGETS["of_loop"][feed][lane]


def _feed_all(made: Any, chunks: list[bytes]) -> None:
    for chunk in chunks:
        made.feed(chunk)


@pytest.mark.parametrize("lane", LANES)
def test_the_native_module_is_several_times_as_fast_as_its_twin(lane: str) -> None:
    native, python = least(lambda: once(lane, NATIVE, True), lambda: once(lane, PYTHON, True), rounds=10)
    assert python / native >= BUDGETS["native_over_python"]


@pytest.mark.parametrize("lane", LANES)
def test_a_feed_leaves_few_objects_behind(lane: str) -> None:
    made, frames = opened(lane, NATIVE)
    kept: list[Any] = [None] * FRAMES
    gc.collect()
    before = sys.getallocatedblocks()
    for at, frame in enumerate(frames):
        kept[at] = made.feed(frame)
    assert (sys.getallocatedblocks() - before) / FRAMES <= BUDGETS["blocks_per_feed"]


def test_memory_does_not_grow_with_streams() -> None:
    """Replies of every sort: good, translated and passed by, cut, failed, with calls that wait and frames in pieces."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("resident memory is read from /proc")
    names = [
        "openai_chat_text",
        "openai_chat_tools_interleaved",
        "openai_chat_error",
        "anthropic_web_search",
        "anthropic_two_thoughts",
    ]
    streams = [(dialect_of(name), load(name)) for name in names]

    def resident() -> int:
        gc.collect()
        return int(statm.read_text().split()[1]) * 4096

    def some(count: int) -> None:
        for at in range(count):
            dialect, data = streams[at % len(streams)]
            made = watched(NATIVE, dialect) if at % 7 == 0 else piped(NATIVE, dialect, OTHER[dialect])
            half = at * 31 % len(data)
            run(made, [data[:half], data[half:]] if at % 3 else [data[:half]])

    some(5_000)
    blocks, before = sys.getallocatedblocks(), resident()
    some(BUDGETS["streams"])
    grown, more = resident() - before, sys.getallocatedblocks() - blocks
    assert grown <= BUDGETS["growth_kb"] * 1024, f"{grown >> 10} KB, {more} blocks"
    assert more <= 1000


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.name)
@pytest.mark.parametrize("way", ["translate", "watch"])
def test_a_frame_in_pieces_is_never_looked_at_twice(way: str, twin: Any) -> None:
    """Four times the bytes in pieces of the same size take about four times as long, not sixteen times."""

    def spend(size: int) -> float:
        made, _ = opened(f"{way}_chat_text", twin)
        data = chat(f'"content":"{"x" * size}"')
        begin = time.perf_counter()
        for at in range(0, len(data), 64):
            made.feed(data[at : at + 64])
        return time.perf_counter() - begin

    small, large = least(lambda: spend(50_000), lambda: spend(200_000), rounds=8)
    assert large / small <= BUDGETS["four_times_the_bytes"]
