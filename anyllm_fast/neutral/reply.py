"""A whole reply in the neutral middle, the same thing as a recorded stream. Knows no dialect.

`Recorder` is a Sink that builds a Reply; `replay` calls a Sink with one. So a dialect needs one reader and one writer for whole
replies, and a JSON document in place of a stream (or the other way round) is still an answer. Byte fields are spans: insides of
JSON strings, still escaped.
"""

from __future__ import annotations

import msgspec

from anyllm_fast.neutral.stream import Failure, Sink, StopReason
from anyllm_fast.neutral.usage import Usage


class TextPart(msgspec.Struct):
    text: bytes
    citations: list[bytes] = []  # raw JSON objects, Anthropic's form (`citation`)
    annotations: list[bytes] = []  # raw JSON objects, Chat's form (`annotation`)
    logprobs: list[bytes] = []  # raw JSON arrays of Chat's token objects (`logprobs`), one after the other


class RefusalPart(msgspec.Struct):
    text: bytes


class ThinkingPart(msgspec.Struct):
    text: bytes
    signature: bytes = b""


class RedactedPart(msgspec.Struct):
    data: bytes


class CallPart(msgspec.Struct):
    ident: bytes
    name: bytes
    args: bytes  # JSON text, escaped once


class PrivatePart(msgspec.Struct):
    name: bytes
    raw: bytes


ReplyPart = TextPart | RefusalPart | ThinkingPart | RedactedPart | CallPart | PrivatePart


class Reply(msgspec.Struct):
    ident: bytes = b""
    model: bytes = b""
    parts: list[ReplyPart] = []
    stop_reason: StopReason | None = None
    stop_sequence: bytes | None = None
    usage: Usage = msgspec.field(default_factory=Usage)
    failure: Failure | None = None
    ended: bool = False


_ABOUT_TEXT = {b"citation": "citations", b"annotation": "annotations", b"logprobs": "logprobs"}


class Recorder:
    """A Sink that builds the Reply a stream stands for."""

    def __init__(self) -> None:
        self.reply = Reply()
        self._calls: dict[int, CallPart] = {}
        self._open: TextPart | RefusalPart | ThinkingPart | None = None

    def start(self, ident: bytes, model: bytes) -> None:
        self.reply.ident, self.reply.model = ident, model

    def text(self, span: bytes) -> None:
        if isinstance(self._open, TextPart) and span:
            self._open.text += span
        else:
            self._begin(TextPart(span))

    def refusal(self, span: bytes) -> None:
        if isinstance(self._open, RefusalPart):
            self._open.text += span
        else:
            self._begin(RefusalPart(span))

    def thinking(self, span: bytes) -> None:
        if isinstance(self._open, ThinkingPart):
            self._open.text += span
        else:
            self._begin(ThinkingPart(span))

    def seal(self, signature: bytes) -> None:
        if not isinstance(self._open, ThinkingPart):
            self._begin(ThinkingPart(b""))
        assert isinstance(self._open, ThinkingPart)  # noqa: S101 - for the type checker
        self._open.signature = signature
        self._open = None

    def redacted(self, data: bytes) -> None:
        self._open = None
        self.reply.parts.append(RedactedPart(data))

    def tool(self, key: int, ident: bytes, name: bytes) -> None:
        self._open = None
        call = CallPart(ident, name, b"")
        self._calls[key] = call
        self.reply.parts.append(call)

    def args(self, key: int, span: bytes) -> None:
        self._calls[key].args += span

    def private(self, name: bytes, raw: bytes) -> None:
        if name in _ABOUT_TEXT:
            last = next((part for part in reversed(self.reply.parts) if isinstance(part, TextPart)), None)
            if last is not None:
                getattr(last, _ABOUT_TEXT[name]).append(raw)
                return
        self._open = None
        self.reply.parts.append(PrivatePart(name, raw))

    def usage(self, counts: Usage) -> None:
        self.reply.usage = counts

    def stop(self, reason: StopReason, sequence: bytes | None) -> None:
        self.reply.stop_reason, self.reply.stop_sequence = reason, sequence

    def fail(self, failure: Failure) -> None:
        self.reply.failure = failure

    def end(self) -> None:
        self.reply.ended = True

    def _begin(self, part: TextPart | RefusalPart | ThinkingPart) -> None:
        self._open = part
        self.reply.parts.append(part)


def replay(reply: Reply, sink: Sink) -> None:
    """Calls `sink` with what `reply` says, in order, so that recording it again gives an equal Reply."""
    sink.start(reply.ident, reply.model)
    after_text = False  # a private part between two texts does not make them one
    for key, part in enumerate(reply.parts):
        match part:
            case TextPart():
                if after_text:
                    sink.text(b"")
                sink.text(part.text)
                for raw in part.citations:
                    sink.private(b"citation", raw)
                for raw in part.annotations:
                    sink.private(b"annotation", raw)
                for raw in part.logprobs:
                    sink.private(b"logprobs", raw)
            case RefusalPart():
                sink.refusal(part.text)
            case ThinkingPart():
                sink.thinking(part.text)
                sink.seal(part.signature)
            case RedactedPart():
                sink.redacted(part.data)
            case CallPart():
                sink.tool(key, part.ident, part.name)
                sink.args(key, part.args)
            case PrivatePart():
                sink.private(part.name, part.raw)
        after_text = isinstance(part, TextPart) or (after_text and isinstance(part, PrivatePart))
    if reply.usage.known:
        sink.usage(reply.usage)
    if reply.stop_reason is not None:
        sink.stop(reply.stop_reason, reply.stop_sequence)
    if reply.failure is not None:
        sink.fail(reply.failure)
    elif reply.ended:
        sink.end()
