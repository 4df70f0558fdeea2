"""Whole replies of Gemini generateContent: the GenerateContentResponse, read and written. No stream, no errors, no requests.

A chunk of a Gemini stream is a small whole reply, so a whole one is read as a stream of one chunk: what the two say is the same.
It is written as one candidate, texts that are neighbours as one part each, and what is said about them (sources, probabilities)
beside them.
Schema: GenerateContentResponse in google.genai.types.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from anyllm_fast.dialects import gemini_ends as ends
from anyllm_fast.dialects.arguments import write_input
from anyllm_fast.dialects.gemini_event import Tokens, count
from anyllm_fast.dialects.gemini_notes import Notes
from anyllm_fast.dialects.gemini_signature import ANY, CALL, MEDIA, TEXT, THOUGHT
from anyllm_fast.dialects.gemini_stream import GeminiDecoder
from anyllm_fast.dialects.repair import ABSENT, is_object
from anyllm_fast.neutral.losses import ROOT, Losses
from anyllm_fast.neutral.reply import (
    CallPart,
    PrivatePart,
    Recorder,
    RedactedPart,
    RefusalPart,
    Reply,
    ReplyPart,
    TextPart,
    ThinkingPart,
)
from anyllm_fast.neutral.stream import StreamOptions
from anyllm_fast.neutral.usage import Usage

# -- reading -----------------------------------------------------------------------------------------------------------


class _UsageOnly(msgspec.Struct):
    usageMetadata: Raw = ABSENT  # noqa: N815 - both spellings
    usage_metadata: Raw = ABSENT


_decode_usage_only = msgspec.json.Decoder(_UsageOnly).decode


def read_usage(body: bytes) -> Usage:
    """Counts of a reply that is passed on unread. Never raises."""
    try:
        said = _decode_usage_only(body)
        usage = said.usageMetadata if is_object(said.usageMetadata) else said.usage_metadata
        tokens = Tokens()
        if is_object(usage):
            count(usage, tokens)
        return tokens.usage
    except (ValueError, RecursionError):
        return Usage()


def read_reply(body: bytes, losses: Losses) -> Reply:
    """A GenerateContentResponse as a Reply. ValueError if it is none.

    What no field of the middle holds is a private part under its dotted name, further candidates among it.
    """
    recorder = Recorder()
    decoder = GeminiDecoder()
    decoder.frame(b"", body, recorder)
    reply = recorder.reply
    if reply.failure is None:
        decoder.finish(recorder)
    if reply.failure is not None and not _is_whole(reply):
        raise ValueError(reply.failure.message)
    if reply.failure is not None:  # an answer that only does not say why it stopped
        calls = sum(isinstance(part, CallPart) for part in reply.parts)
        reply.failure, reply.ended, reply.stop_reason = None, True, ends.judge_stop(b"", False, calls)
    return reply


def _is_whole(reply: Reply) -> bool:
    return reply.failure == ends.ENDED_EARLY and any(not isinstance(part, PrivatePart) for part in reply.parts)


# -- writing -----------------------------------------------------------------------------------------------------------


_BEHIND = {TEXT: b'{"text":', MEDIA: b'{"inlineData":'}
"""Kinds of parts that are signed at their end, and how they begin."""


class _Candidate:
    """The parts of one answer in the making. `due`: signatures that wait for their part, in the order in which they came."""

    def __init__(self, options: StreamOptions, losses: Losses) -> None:
        self._options = options
        self._losses = losses
        self._due: list[tuple[str, bytes]] = []
        self._said = b""
        self._notes = Notes()
        self.parts: list[bytes] = []
        self.refused = False
        self.calls = 0

    def write(self, part: ReplyPart) -> None:
        match part:
            case TextPart():
                self._text(part)
            case RefusalPart():
                self.refused = True
                self._said += part.text
                self.parts.append(b'{"text":"%b"%b}' % (part.text, self._signed(TEXT)))
            case ThinkingPart():
                self._thinking(part)
            case RedactedPart():
                self._flush()
                self._due.append((ANY, ends.write_redacted(self._options.origin, part.data)))
            case CallPart():
                self._call(part)
            case PrivatePart():
                self._private(part)

    def close(self) -> bytes:
        """Members of the candidate beside its content."""
        self._flush()
        for _, value in self._due:
            self.parts.append(b'{"text":"","thoughtSignature":"%b"}' % value)
        members, lost = self._notes.write(self._said)
        for name in lost:
            self._losses.add((ROOT, name.decode()), "Gemini's sources have no place for it")
        return members

    def _text(self, part: TextPart) -> None:
        begin = len(self._said)
        self._said += part.text
        for name, raws in ((b"citation", part.citations), (b"annotation", part.annotations), (b"logprobs", part.logprobs)):
            for raw in raws:
                if not self._notes.add(name, raw):
                    self._losses.add((ROOT, name.decode()), "not one that Gemini has a form for")
        self._notes.close(begin, len(self._said))
        if part.text:
            self.parts.append(b'{"text":"%b"%b}' % (part.text, self._signed(TEXT)))

    def _thinking(self, part: ThinkingPart) -> None:
        """The signature goes on the next call or text; clients give back no thoughts, so a foreign one has its text in it."""
        self._flush()
        kind, value = ends.write_seal(self._options.origin, part.signature, part.text) if part.signature else (ANY, b"")
        own = b',"thoughtSignature":"%b"' % value if kind == THOUGHT else b""
        if part.text or own:
            self.parts.append(b'{"text":"%b","thought":true%b}' % (part.text, own))
        if value and not own and not self._sign(kind, value):
            self._due.append((kind, value))

    def _sign(self, kind: str, value: bytes) -> bool:
        """Puts a signature that comes behind its text or picture on it; False where that is not what stands there."""
        last = self.parts[-1] if self.parts else b""
        if not last.startswith(_BEHIND.get(kind, b"-")) or b',"thought' in last:
            return False
        self.parts[-1] = b'%b,"thoughtSignature":"%b"}' % (last[:-1], value)
        return True

    def _signed(self, kind: str) -> bytes:
        """The signature that waits for a part of this kind, as a member."""
        for at, (wanted, value) in enumerate(self._due):
            if wanted in (kind, ANY):
                del self._due[at]
                return b',"thoughtSignature":"%b"' % value
        return b""

    def _flush(self) -> None:
        """A part has one signature: those that came before it and may stand on any part get an empty text."""
        for value in [value for kind, value in self._due if kind in (ANY, TEXT)]:
            self.parts.append(b'{"text":"","thoughtSignature":"%b"}' % value)
        self._due = [each for each in self._due if each[0] not in (ANY, TEXT)]

    def _call(self, part: CallPart) -> None:
        """A call that has no id yet goes out without one."""
        self.calls += 1
        args = write_input(part.args)
        ident = b'"id":"%b",' % part.ident if part.ident else b""
        self.parts.append(b'{"functionCall":{%b"name":"%b","args":%b}%b}' % (ident, part.name, args, self._signed(CALL)))

    def _private(self, part: PrivatePart) -> None:
        written = ends.write_media(part.raw) if part.name == b"media" else None
        if written is not None:
            self._flush()
            self.parts.append(written[:-1] + self._signed(MEDIA) + b"}")
        elif part.name not in (b"citation", b"annotation", b"logprobs") or not self._notes.add(part.name, part.raw):
            self._losses.add((ROOT, part.name.decode()), "Gemini generateContent has no place for it")


def write_reply(reply: Reply, options: StreamOptions, losses: Losses) -> bytes:
    """A Reply as a GenerateContentResponse with our id and the model name that the client asked for."""
    candidate = _Candidate(options, losses)
    for part in reply.parts:
        candidate.write(part)
    notes = candidate.close()
    stop = reply.stop_reason or ("tool_use" if candidate.calls else "end_turn")
    if candidate.refused and stop in ("end_turn", "other"):
        stop = "refusal"
    if reply.stop_sequence is not None:
        losses.add((ROOT, "stop_sequence"), "Gemini does not say which stop sequence it was")
    usage = b'"usageMetadata":%b,' % ends.write_usage(reply.usage) if reply.usage.known else b""
    return (
        b'{"candidates":[{"content":{"parts":[%b],"role":"model"},"finishReason":"%b","index":0%b}],%b'
        b'"modelVersion":"%b","responseId":"%b"}'
    ) % (b",".join(candidate.parts), ends.STOP_WRITTEN[stop], notes, usage, options.model, options.ident)
