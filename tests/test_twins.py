"""The native module and its Python twins: equal bytes, failures and losses for any input in any cutting."""

from __future__ import annotations

import inspect
import random
from base64 import b64encode
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anyllm_fast.dialects import anthropic_ends, openai_chat_ends, openai_responses_ends, openai_responses_writer
from anyllm_fast.dialects.repair import Malformed, strict
from anyllm_fast.neutral.request import ToolForm
from anyllm_fast.neutral.stream import Failure, Sink, StreamOptions
from anyllm_fast.neutral.usage import Usage
from tests.damage import WORDS, damaged, examples
from tests.streams import (
    CLASSES,
    DIALECTS,
    MAX_FRAME,
    OPTIONS,
    OTHER,
    PYTHON,
    TWINS,
    chunk,
    corpus,
    cut,
    data_frame,
    decoder,
    dialect_of,
    encoder,
    load,
    outcome,
    piped,
    run,
    watched,
)

SPANS = [rb"\u00e9", "é😀".encode(), rb"\"", rb"\\", b"{", b"}", rb"\n", b" ", b"x", rb"\ud83d\ude00", b"[1]", rb"{\"a\":\"}\"}"]


def alike(chunks: list[bytes], dialect: str) -> None:
    """Both twins say the same after every chunk, translating and passing by."""
    for make in (lambda twin: piped(twin, dialect, OTHER[dialect], max_frame=4096), lambda twin: watched(twin, dialect, 4096)):
        pipes = [make(twin) for twin in TWINS]
        for part in chunks:
            found = [outcome(made, made.feed(part)) for made in pipes]
            assert all(one == found[0] for one in found), part
        found = [outcome(made, made.finish()) for made in pipes]
        assert all(one == found[0] for one in found)


@pytest.mark.skipif(len(TWINS) == 1, reason="there is one twin")
@pytest.mark.parametrize("name", [name for name in vars(PYTHON) if name != "name"])
def test_both_twins_have_the_same_public_members(name: str) -> None:
    twins = [getattr(twin, name) for twin in TWINS]
    if inspect.isclass(twins[0]):
        made = [_made(twin, name) for twin in TWINS]
        members = [{member for member in dir(one) if not member.startswith("_")} for one in made]
        assert members[0] - {"sees_all", "interleaves"} == members[-1]
    else:
        assert all(callable(one) for one in twins)


def _made(twin: Any, name: str) -> Any:
    match name:
        case "Frames":
            return twin.Frames(10)
        case "Pipe":
            return piped(twin, "openai_chat", "anthropic")
        case "Watch":
            return watched(twin, "anthropic")
        case _:
            dialect = next(dialect for dialect, start in CLASSES.items() if name.startswith(start))
            return encoder(twin, dialect) if "Encoder" in name else decoder(twin, dialect)


@settings(max_examples=examples(300, 40), deadline=None)
@given(st.sampled_from(corpus()), st.integers(0, 2**32))
def test_damaged_streams_in_any_cutting(name: str, seed: int) -> None:
    dice = random.Random(seed)
    alike(cut(damaged(load(name), dice), dice), dialect_of(name))


@settings(max_examples=examples(100, 40), deadline=None)
@given(st.sampled_from(corpus()), st.sampled_from(DIALECTS), st.integers(0, 2**32))
def test_streams_of_the_other_dialect(name: str, dialect: str, seed: int) -> None:
    dice = random.Random(seed)
    alike(cut(load(name), dice), dialect)


@settings(max_examples=examples(300, 50), deadline=None)
@given(st.lists(st.sampled_from(WORDS + SPANS + [b":", b",", b"{", b"}", b"[", b"]", b'"']), max_size=24), st.booleans())
def test_frames_of_random_words(words: list[bytes], wrapped: bool) -> None:
    frame = b'{"choices":[{"delta":{%b}}]}' % b"".join(words) if wrapped else b"".join(words)
    for dialect in DIALECTS:
        alike([chunk({"content": "x"}), data_frame(frame), data_frame(frame), chunk({"content": "y"})], dialect)


@settings(max_examples=examples(400, 50), deadline=None)
@given(st.sampled_from(corpus()), st.integers(0, 2**32))
def test_the_scanner_and_msgspec_agree_on_what_is_json(name: str, seed: int) -> None:
    native = TWINS[-1]
    if native is PYTHON:
        pytest.skip("there is no scanner to compare")
    from anyllm_fast._native import is_sound

    dice = random.Random(seed)
    for line in damaged(load(name), dice).split(b"\n"):
        data = line.removeprefix(b"data: ").strip(b" \t\r\n")
        if data:
            assert is_sound(data) == _is_sound(data), data


def _is_sound(data: bytes) -> bool:
    try:
        strict(data)
        msgspec.json.decode(data, type=msgspec.Raw)
    except (UnicodeDecodeError, msgspec.DecodeError, Malformed):
        return False
    return True


# -- events ------------------------------------------------------------------------------------------------------------

SPAN = st.sampled_from(SPANS)
KEY = st.integers(0, 3)
EVENT = st.one_of(
    st.tuples(st.sampled_from(["text", "refusal", "thinking", "seal", "redacted"]), st.one_of(SPAN, st.just(b""))),
    st.tuples(st.just("args"), KEY, SPAN),
    st.tuples(st.just("args"), KEY, SPAN),
    st.tuples(st.just("tool"), KEY),
    st.tuples(
        st.just("private"),
        st.sampled_from([b"citation", b"annotation", b"logprobs", b"media", b"x"]),
        st.sampled_from([b"{}", b'{"a":1}', b"[]", b'[{"token":"t"}]', b'{"media_type":"image/png","data":"AA=="}']),
    ),
    st.tuples(st.just("usage"), st.builds(Usage, st.integers(-1, 9), st.integers(-1, 9), st.integers(-1, 9))),
)
CLIENTS = [
    OPTIONS,
    msgspec.structs.replace(OPTIONS, origin="gemini"),
    msgspec.structs.replace(OPTIONS, forms={b"name": ToolForm("custom", b"name")}, announce=False),
]
END = st.sampled_from([("stop", "end"), ("end",), ("fail",), ("stop", "fail"), ("stop",), ()])


def tell(events: list[Any], end: tuple[str, ...], sink: Any) -> bytes:
    """Calls a sink with events, in an order that decoders do not always promise; the bytes after each."""
    called: set[int] = set()
    out = b""
    for name, *arguments in events:
        if name == "tool":
            if arguments[0] in called:
                continue
            called.add(arguments[0])
            arguments += [b"id%d" % arguments[0], b"name"]
        getattr(sink, name)(*arguments)
        out += sink.take() + b"|"
    for name in end:
        if name == "stop":
            sink.stop("max_tokens", b"s")
        elif name == "fail":
            sink.fail(Failure("overloaded", "m", 503, "c"))
        else:
            sink.end()
        out += sink.take() + b"|"
    return out


@settings(max_examples=examples(300, 50), deadline=None)
@given(st.lists(EVENT, max_size=25), END, st.sampled_from(DIALECTS), st.sampled_from(CLIENTS))
def test_encoders_write_the_same_for_any_events(
    events: list[Any], end: tuple[str, ...], dialect: str, options: StreamOptions
) -> None:
    made = [encoder(twin, dialect, options) for twin in TWINS]
    written = [tell(events, end, one) for one in made]
    assert all(one == written[0] for one in written)
    said = [(one.started, one.ended, one.failure, one.stop_reason, one.counts, one.losses) for one in made]
    assert all(one == said[0] for one in said)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_renamed_tool_goes_out_under_the_clients_own_name(dialect: str) -> None:
    options = msgspec.structs.replace(OPTIONS, names={b"short": b"a.long.name", rb"\"": b"q"})
    written = set()
    for twin in TWINS:
        made = encoder(twin, dialect, options)
        for key, name in enumerate([b"short", b"other", rb"\"", b""]):
            made.tool(key, b"id%d" % key, name)
            made.args(key, b"{}")
        made.end()
        written.add(made.take())
    assert len(written) == 1
    out = written.pop()
    assert all(b'"name":"%b"' % name in out for name in (b"a.long.name", b"other", b"q", b"")) and b'"short"' not in out


class Said(Sink):
    """What a decoder says, with pieces of the same kind joined as an encoder may have parted them."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def __getattribute__(self, name: str) -> Any:
        if name in ("said", "_say"):
            return object.__getattribute__(self, name)
        return lambda *arguments: self._say(name, arguments)

    def _say(self, name: str, arguments: tuple[Any, ...]) -> None:
        last = self.said[-1] if self.said else None
        if name in ("text", "refusal", "thinking") and arguments[0] and last and last[0] == name:
            self.said[-1] = (name, last[1] + arguments[0])
        elif name == "args" and last and last[:2] == (name, arguments[0]):
            self.said[-1] = (name, arguments[0], last[2] + arguments[1])
        elif name != "usage" and (name, *arguments) != ("text", b""):
            self.said.append((name, *arguments))


@st.composite
def replies(draw: st.DrawFn, dialect: str) -> list[Any]:
    """Events of a reply as a decoder of this dialect would say them."""
    kinds = ["text", "signed", "call"]
    if dialect in ("openai_chat", "openai_responses"):
        kinds.append("refusal")
    if dialect != "openai_responses":  # there it is a signature, see signatures.py
        kinds.append("redacted")
    said: list[Any] = [("start", b"", b"")]
    calls = 0
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=6)):
        spans = draw(st.lists(SPAN, min_size=1, max_size=3))
        if kind in ("text", "refusal") and said[-1][0] != kind:
            said += [(kind, span) for span in spans]
        elif kind == "signed":
            said += [*(("thinking", span) for span in spans), ("seal", draw(SPAN))]
        elif kind == "redacted":
            said.append(("redacted", b64encode(spans[0]) if dialect == "bedrock" else spans[0]))
        elif kind == "call":
            said += [("tool", calls, b"id%d" % calls, b"name"), ("args", calls, rb"{\"a\":"), ("args", calls, b"1}")]
            calls += 1
    refused = any(event[0] == "refusal" for event in said)
    said.append(
        ("stop", "tool_use" if calls else "refusal" if refused else draw(st.sampled_from(["end_turn", "max_tokens"])), None)
    )
    return [*said, ("end",)]


def bare(event: Any, dialect: str) -> Any:
    """Without what a decoder puts before a signature: in Responses the item's id."""
    if event[0] == "seal" and dialect == "openai_responses":
        return ("seal", event[1].partition(b":")[2])
    return event


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_is_written_is_read_as_it_was_said(dialect: str) -> None:
    @settings(max_examples=examples(150, 40), deadline=None)
    @given(replies(dialect), st.integers(0, 2**32))
    def check(said: list[Any], seed: int) -> None:
        for twin in TWINS:
            made = encoder(twin, dialect)
            for name, *arguments in said:
                getattr(made, name)(*arguments)
            sink, read, frames = Said(), decoder(twin, dialect), twin.Frames(MAX_FRAME)
            for part in cut(made.take(), random.Random(seed)):
                for event, data in frames.feed(part):
                    read.frame(event, data, sink)
            read.finish(sink)
            wanted = Said()
            for name, *arguments in said:
                getattr(wanted, name)(*arguments)
            assert [bare(event, dialect) for event in sink.said if event[0] != "start"] == wanted.said[1:]

    check()


def test_the_ends_of_streams_are_written_by_one_source() -> None:
    """What both twins call must not come to depend on which of them runs."""
    for module in (anthropic_ends, openai_chat_ends, openai_responses_ends, openai_responses_writer):
        assert "_native" not in inspect.getsource(module)


def test_a_python_sink_and_a_native_decoder_work_together() -> None:
    for dialect in DIALECTS:
        name = next(name for name in corpus(dialect) if "text" in name)
        expected = run(piped(PYTHON, dialect, OTHER[dialect]), [load(name)])
        for read in TWINS:
            for write in TWINS:
                sink = encoder(write, OTHER[dialect])
                made = PYTHON.Pipe(decoder(read, dialect), sink, MAX_FRAME)
                assert run(made, [load(name)]) == expected
