"""Streams for tests: the corpus, both twins, and a driver that runs a stream through every cutting. Asserts nothing but sameness.

A corpus file is `<dialect>_<what>.sse`, the bytes of one upstream reply.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from anyllm_fast.dialects import anthropic_stream, bedrock_stream, gemini_stream, openai_chat_stream, openai_responses_stream
from anyllm_fast.neutral.reply import Recorder, Reply
from anyllm_fast.neutral.stream import Failure, Pipe, StreamOptions
from anyllm_fast.neutral.usage import Usage
from anyllm_fast.wire import pipe, splice, sse

CORPUS = Path(__file__).parent / "corpus" / "streams"
GOLDEN = Path(__file__).parent / "golden" / "streams"
CLASSES = {
    "openai_chat": "Chat",
    "anthropic": "Anthropic",
    "openai_responses": "Responses",
    "gemini": "Gemini",
    "bedrock": "Converse",
}
DIALECTS = tuple(CLASSES)
OTHER = dict.fromkeys(DIALECTS, "anthropic") | {"anthropic": "openai_chat"}
"""The client that a stream is put through every cutting for; the others get it whole."""
OPTIONS = StreamOptions(b"asked-for", b"0123456789abcdef0123456789abcdef", 1_700_000_000)
QUIET = msgspec.structs.replace(OPTIONS, include_usage=False)
MAX_FRAME = 1 << 20

PYTHON = SimpleNamespace(
    name="python",
    Frames=sse.Frames,
    Pipe=pipe.Pipe,
    Watch=pipe.Watch,
    ChatDecoder=openai_chat_stream.ChatDecoder,
    ChatEncoder=openai_chat_stream.ChatEncoder,
    AnthropicDecoder=anthropic_stream.AnthropicDecoder,
    AnthropicEncoder=anthropic_stream.AnthropicEncoder,
    ResponsesDecoder=openai_responses_stream.ResponsesDecoder,
    ResponsesEncoder=openai_responses_stream.ResponsesEncoder,
    GeminiDecoder=gemini_stream.GeminiDecoder,
    GeminiEncoder=gemini_stream.GeminiEncoder,
    ConverseDecoder=bedrock_stream.ConverseDecoder,
    ConverseEncoder=bedrock_stream.ConverseEncoder,
    splice_model=splice.splice_model,
    splice_member=splice.splice_member,
)


def _twins() -> list[Any]:
    """Both, unless ANYLLM_FAST_IMPL=python says that there is no native module. A missing one is an error, not a skip."""
    if os.environ.get("ANYLLM_FAST_IMPL") == "python":
        return [PYTHON]
    from anyllm_fast import _native

    return [
        PYTHON,
        SimpleNamespace(name="native", **{name: getattr(_native, name) for name in vars(PYTHON) if name != "name"}),
    ]


TWINS = _twins()
WATCHED = () if TWINS[-1] is PYTHON else import_module("anyllm_fast._native").WATCHED
NATIVE_ONLY: Any = None if TWINS[-1] is PYTHON else TWINS[-1]
each_twin = pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.name)


def corpus(dialect: str = "") -> list[str]:
    return sorted(path.stem for path in CORPUS.glob(f"{dialect}*.sse"))


def load(name: str) -> bytes:
    return (CORPUS / f"{name}.sse").read_bytes()


def dialect_of(name: str) -> str:
    return next(dialect for dialect in DIALECTS if name.startswith(dialect))


def decoder(twin: Any, dialect: str) -> Any:
    return getattr(twin, f"{CLASSES[dialect]}Decoder")()


def encoder(twin: Any, dialect: str, options: StreamOptions = OPTIONS) -> Any:
    return getattr(twin, f"{CLASSES[dialect]}Encoder")(options)


def piped(twin: Any, source: str, client: str, options: StreamOptions = OPTIONS, max_frame: int = MAX_FRAME) -> Pipe:
    reads, writes = decoder(twin, source), encoder(twin, client, options)
    native = reads.__class__.__module__ == writes.__class__.__module__ == twin.Pipe.__module__
    made: Pipe = (twin if native else PYTHON).Pipe(reads, writes, max_frame)
    return made


def watched(twin: Any, dialect: str, max_frame: int = MAX_FRAME) -> Pipe:
    made: Pipe = (PYTHON if twin is not PYTHON and dialect not in WATCHED else twin).Watch(dialect, max_frame)
    return made


# -- running -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    out: bytes
    committed: bool
    ended: bool
    failure: Failure | None
    stop_reason: str | None
    usage: Usage
    losses: tuple[str, ...]


def run(made: Pipe, chunks: list[bytes]) -> Outcome:
    out = b"".join([*(made.feed(chunk) for chunk in chunks), made.finish()])
    return outcome(made, out)


def outcome(made: Pipe, out: bytes) -> Outcome:
    return Outcome(out, made.committed, made.ended, made.failure, made.stop_reason, made.usage, tuple(made.losses))


def cuttings(data: bytes, places: Iterable[int] | None = None) -> Iterator[list[bytes]]:
    """The whole, every single cut (or those at `places`), some random ones with many cuts, and one byte at a time."""
    yield [data]
    for at in range(1, len(data)) if places is None else places:
        yield [data[:at], data[at:]]
    dice = random.Random(0)
    for _ in range(20):
        yield cut(data, dice)
    yield [data[at : at + 1] for at in range(len(data))]


def cut(data: bytes, dice: random.Random) -> list[bytes]:
    places = sorted({dice.randrange(len(data) + 1) for _ in range(dice.randint(1, 12))})
    return [data[begin:end] for begin, end in zip([0, *places], [*places, len(data)], strict=True)]


def places(twin: Any, data: bytes) -> Iterable[int] | None:
    """Where a whole stream is cut. The Python twin, ten times slower, knows of a cut only in its framing, which test_sse.py cuts
    everywhere: so it is cut around the ends of lines and at every seventh byte."""
    if twin is not PYTHON:
        return None
    near = {at + step for at in range(len(data)) if data[at] in b"\r\n" for step in (-1, 0, 1, 2)}
    return sorted(at for at in near | set(range(1, len(data), 7)) if 0 < at < len(data))


def every_cutting(make: Callable[[], Pipe], data: bytes, at: Iterable[int] | None = None) -> Outcome:
    """What the stream gives, which is the same however it is cut."""
    first = None
    for chunks in cuttings(data, at):
        found = run(make(), chunks)
        if first is None:
            first = found
        elif found != first:
            raise AssertionError(f"cut at {[len(chunk) for chunk in chunks][:30]}:\n{found}\nuncut:\n{first}")
    assert first is not None
    return first


_CUT: dict[tuple[Any, ...], Outcome] = {}
"""What every cutting of a stream gave: several tests ask for the same."""


def translate(twin: Any, data: bytes, source: str, options: StreamOptions = OPTIONS) -> Outcome:
    """The stream through every cutting to the other dialect."""
    if options is not OPTIONS:
        return every_cutting(lambda: piped(twin, source, OTHER[source], options), data)
    return _once((twin.name, "pipe", source, data), lambda: piped(twin, source, OTHER[source]), places(twin, data))


def pass_by(twin: Any, data: bytes, dialect: str) -> Outcome:
    """The stream through every cutting past the bypass."""
    return _once((twin.name, "watch", dialect, data), lambda: watched(twin, dialect), places(twin, data))


def _once(key: tuple[Any, ...], make: Callable[[], Pipe], at: Iterable[int] | None) -> Outcome:
    if key not in _CUT:
        _CUT[key] = every_cutting(make, key[-1], at)
    return _CUT[key]


def record(twin: Any, data: bytes, dialect: str) -> Reply:
    """What the decoder says of a stream, as one Reply."""
    made, recorder = decoder(twin, dialect), Recorder()
    frames = twin.Frames(MAX_FRAME)
    for event, text in [*frames.feed(data), *frames.finish()]:
        made.frame(event, text, recorder)
    made.finish(recorder)
    return recorder.reply


# -- writing -----------------------------------------------------------------------------------------------------------


def chunk(delta: Any = None, **more: Any) -> bytes:
    """A frame of a Chat stream: `delta` in choice 0; other members of the choice by name, of the chunk in `top`."""
    top = more.pop("top", {})
    choice = {"index": 0, "delta": {} if delta is None else delta, "finish_reason": None, **more}
    body = {"id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 1, "model": "up", "choices": [choice], **top}
    return data_frame(body)


def data_frame(body: Any) -> bytes:
    return b"data: %b\n\n" % (body if isinstance(body, bytes) else msgspec.json.encode(body))


def event(body: dict[str, Any]) -> bytes:
    """A frame of an Anthropic stream."""
    return b"event: %b\ndata: %b\n\n" % (body["type"].encode(), msgspec.json.encode(body))


DONE = b"data: [DONE]\n\n"


def payloads(out: bytes) -> list[Any]:
    """The decoded data of what was written, frame by frame; [DONE] as it is. Fails on anything that is no frame, nor the comment
    that names losses."""
    found = []
    for frame in out.split(b"\n\n")[:-1]:
        if frame.startswith(b": x-anyllm-degradation: "):
            continue
        line = frame.rpartition(b"\n")[2]
        assert line.startswith(b"data: "), frame
        text = line.removeprefix(b"data: ")
        found.append("[DONE]" if text == b"[DONE]" else msgspec.json.decode(text))
        if frame != line:
            assert frame == b"event: %b\n%b" % (found[-1]["type"].encode(), line)
    assert not out or out.endswith(b"\n\n")
    return found


def deltas(out: bytes) -> list[dict[str, Any]]:
    """The deltas of what was written in Chat."""
    return [body["choices"][0]["delta"] for body in payloads(out) if isinstance(body, dict) and body.get("choices")]


def blocks(out: bytes) -> list[dict[str, Any]]:
    """The content blocks of what was written in Anthropic Messages, put together; checks order, indices and delta types."""
    found: list[dict[str, Any]] = []
    opened = -1
    for body in payloads(out):
        match body["type"]:
            case "content_block_start":
                assert opened == -1 and body["index"] == len(found)
                opened = body["index"]
                found.append(dict(body["content_block"]))
            case "content_block_delta":
                assert body["index"] == opened
                _add(found[-1], body["delta"])
            case "content_block_stop":
                assert body["index"] == opened
                opened = -1
            case "message_delta" | "message_stop":
                assert opened == -1
    for block in found:
        if block["type"] == "tool_use":
            block["input"] = _input(block.pop("partial_json", "") or "{}")
    return found


def _input(text: str) -> Any:
    """The arguments of a call; as text where they are no JSON."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


_MEMBER = {
    ("text", "text_delta"): "text",
    ("thinking", "thinking_delta"): "thinking",
    ("thinking", "signature_delta"): "signature",
    ("tool_use", "input_json_delta"): "partial_json",
}


def _add(block: dict[str, Any], delta: dict[str, Any]) -> None:
    if delta["type"] == "citations_delta":
        assert block["type"] == "text"
        block.setdefault("citations", []).append(delta["citation"])
        return
    member = _MEMBER[block["type"], delta["type"]]
    block[member] = block.get(member, "") + delta[member]


def last(out: bytes, kind: str) -> dict[str, Any]:
    """The last event of a type in what was written in Anthropic Messages."""
    body: dict[str, Any] = [body for body in payloads(out) if body["type"] == kind][-1]
    return body
