"""Whole replies of Anthropic Messages: the `message` object, read and written. No stream, no errors, no requests.

Content blocks that only this dialect knows (server tools and their results, uploads, whatever comes next) ride along whole as
PrivatePart named by their `type`; so do members of the message that nobody else has.
Schema: the SDK's types/message.py and types/content_block.py.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from anyllm_fast.dialects.anthropic_event import count
from anyllm_fast.dialects.arguments import write_input
from anyllm_fast.dialects.citations import citation_of
from anyllm_fast.dialects.media import image_block
from anyllm_fast.dialects.order import call_id
from anyllm_fast.dialects.repair import ABSENT, is_object, objects, string
from anyllm_fast.dialects.whole import Members, decode_members, read_members, says_something
from anyllm_fast.neutral.losses import ROOT, Losses, Where
from anyllm_fast.neutral.reply import (
    CallPart,
    PrivatePart,
    RedactedPart,
    RefusalPart,
    Reply,
    ReplyPart,
    TextPart,
    ThinkingPart,
)
from anyllm_fast.neutral.signatures import tagged
from anyllm_fast.neutral.spans import escaped
from anyllm_fast.neutral.stream import StopReason, StreamOptions
from anyllm_fast.neutral.usage import Usage

STOP_READ: dict[bytes, StopReason] = {
    b"end_turn": "end_turn",
    b"max_tokens": "max_tokens",
    b"stop_sequence": "stop_sequence",
    b"tool_use": "tool_use",
    b"pause_turn": "pause_turn",
    b"compaction": "pause_turn",  # paused behind a compaction block, to be gone on with
    b"refusal": "refusal",
    b"model_context_window_exceeded": "context_window",
}
STOP_WRITTEN: dict[StopReason, bytes] = {
    "end_turn": b"end_turn",
    "max_tokens": b"max_tokens",
    "stop_sequence": b"stop_sequence",
    "tool_use": b"tool_use",
    "pause_turn": b"pause_turn",
    "refusal": b"refusal",
    "content_filter": b"refusal",  # the nearest: the provider's filter, not the model, ended the answer
    "context_window": b"model_context_window_exceeded",
    "other": b"end_turn",
}


# -- reading -----------------------------------------------------------------------------------------------------------


class _UsageOnly(msgspec.Struct):
    usage: Raw = ABSENT


_decode_usage_only = msgspec.json.Decoder(_UsageOnly).decode


def read_usage(body: bytes) -> Usage:
    """Counts of a message that is passed on unread. Never raises."""
    try:
        usage = _decode_usage_only(body).usage
    except (ValueError, RecursionError):
        return Usage()
    return count(usage, Usage()) if is_object(usage) else Usage()


def read_reply(body: bytes, losses: Losses) -> Reply:
    """A `message` object as a Reply. ValueError if it is none.

    Losses are members of blocks that no field of the middle holds; whole private blocks are parts. What usage says beside counts
    (tier, region, speed) is about how the provider ran the model, and is left out.
    """
    from anyllm_fast.dialects.anthropic_ends import judge_stop  # that file imports our tables

    message = read_members(body)
    content = message.get("content", ABSENT)
    if bytes(content)[:1] != b"[":
        raise ValueError(f"no content; its members are {', '.join(list(message)[:12]) or 'none'}")
    reply = Reply(ident=string(message.get("id", ABSENT)), model=string(message.get("model", ABSENT)), ended=True)
    usage = message.get("usage", ABSENT)
    reply.usage = count(usage, Usage()) if is_object(usage) else Usage()
    for at, raw in enumerate(objects(content)):
        _read_block(raw, ((ROOT, "content"), at), reply.parts, losses)
    calls = sum(isinstance(part, CallPart) for part in reply.parts)
    sequence = string(message.get("stop_sequence", ABSENT)) or None
    reply.stop_reason, reply.stop_sequence = judge_stop(string(message.get("stop_reason", ABSENT)), sequence, calls)
    for name, raw in message.items():
        if name not in MESSAGE and says_something(raw):
            reply.parts.append(PrivatePart(name.encode(), bytes(raw)))
    return reply


MESSAGE = frozenset({"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"})
BLOCK: dict[bytes, frozenset[str]] = {
    b"text": frozenset({"type", "text", "citations"}),
    b"thinking": frozenset({"type", "thinking", "signature"}),
    b"redacted_thinking": frozenset({"type", "data"}),
    b"tool_use": frozenset({"type", "id", "name", "input"}),
}
SAYS_NOTHING: dict[str, tuple[object, ...]] = {
    "caller": ({"type": "direct"},),
}
"""Values that mean the same as none: dropping them loses nothing."""


def _left_over(members: Members, known: frozenset[str], where: Where, losses: Losses) -> None:
    for name, raw in members.items():
        if name not in known and says_something(raw, SAYS_NOTHING.get(name, ())):
            losses.add((where, name), "only Anthropic Messages knows it")


def _read_block(raw: Raw, where: Where, parts: list[ReplyPart], losses: Losses) -> None:
    block = decode_members(raw)
    kind = string(block.get("type", ABSENT))
    if kind not in BLOCK:
        parts.append(PrivatePart(kind or b"content_block", bytes(raw)))
        return
    _left_over(block, BLOCK[kind], where, losses)
    match kind:
        case b"text":
            text = TextPart(_span(block, "text"), [bytes(raw) for raw in objects(block.get("citations", ABSENT))])
            if text.text or text.citations:
                parts.append(text)
        case b"thinking":
            parts.append(ThinkingPart(_span(block, "thinking"), _span(block, "signature")))
        case b"redacted_thinking":
            parts.append(RedactedPart(_span(block, "data")))
        case _:
            given = block.get("input", ABSENT)
            args = escaped(bytes(given)) if is_object(given) else b"{}"
            parts.append(CallPart(_span(block, "id"), _span(block, "name"), args))


def _span(block: Members, name: str) -> bytes:
    return string(block.get(name, ABSENT))


# -- writing -----------------------------------------------------------------------------------------------------------


def write_reply(reply: Reply, options: StreamOptions, losses: Losses) -> bytes:
    """A Reply as a `message` object with our id and the model name that the client asked for."""
    from anyllm_fast.dialects.anthropic_ends import foreign  # that file imports our tables

    origin = foreign(options.origin)
    blocks: list[bytes] = []
    members: list[bytes] = []
    calls = 0
    for part in reply.parts:
        match part:
            case PrivatePart(name=b"media", raw=raw) if block := image_block(raw):
                blocks.append(block)
            case ThinkingPart():
                signature = tagged(origin, part.signature)
                blocks.append(b'{"type":"thinking","thinking":"%b","signature":"%b"}' % (part.text, signature))
            case RedactedPart():
                blocks.append(b'{"type":"redacted_thinking","data":"%b"}' % tagged(origin, part.data))
            case PrivatePart() if origin or not (part.name in _TOP or _is_block(part)):
                losses.add((ROOT, part.name.decode()), "Anthropic Messages has no place for it")
            case PrivatePart() if part.name in _TOP:
                members.append(b',"%b":%b' % (part.name, part.raw))
            case CallPart():
                ident = part.ident or call_id(options.ident, calls)
                calls += 1
                given = write_input(part.args)
                blocks.append(b'{"type":"tool_use","id":"%b","name":"%b","input":%b}' % (ident, part.name, given))
            case _:
                blocks.append(_write_part(part, losses))
    stop = reply.stop_reason or ("tool_use" if calls else "end_turn")
    sequence = b"null" if reply.stop_sequence is None else b'"%b"' % reply.stop_sequence
    return (
        b'{"id":"msg_%b","type":"message","role":"assistant","model":"%b","content":[%b],"stop_reason":"%b","stop_sequence":%b,'
        b'"usage":%b%b}'
    ) % (
        options.ident,
        options.model,
        b",".join(blocks),
        STOP_WRITTEN[stop],
        sequence,
        write_usage(reply.usage),
        b"".join(members),
    )


_TOP = frozenset({b"container", b"context_management", b"diagnostics", b"stop_details"})


class _Typed(msgspec.Struct):
    type: str = ""


_decode_typed = msgspec.json.Decoder(_Typed).decode


def _is_block(part: PrivatePart) -> bool:
    """Whether a private part is a content block of this dialect: those are named by their own `type`."""
    try:
        return _decode_typed(part.raw).type.encode() == part.name
    except ValueError:
        return False


def _write_part(part: TextPart | RefusalPart | PrivatePart, losses: Losses) -> bytes:
    match part:
        case TextPart():
            return _write_text(part, losses)
        case RefusalPart():
            return b'{"type":"text","text":"%b"}' % part.text  # stop_reason says that it refuses
        case PrivatePart():
            return part.raw


def _write_text(part: TextPart, losses: Losses) -> bytes:
    citations = list(part.citations)
    for annotation in part.annotations:
        if citation := citation_of(annotation):
            citations.append(citation)
        else:
            losses.add((ROOT, "annotation"), "not a citation that Anthropic Messages has a form for")
    if part.logprobs:
        losses.add((ROOT, "logprobs"), "Anthropic Messages has no place for it")
    tail = b',"citations":[%b]' % b",".join(citations) if citations else b""
    return b'{"type":"text","text":"%b"%b}' % (part.text, tail)


def write_usage(usage: Usage) -> bytes:
    """`usage` of a message. Unknown input and output are 0, because the schema demands both."""
    out = b'{"input_tokens":%d,"output_tokens":%d' % (max(usage.input, 0), max(usage.output, 0))
    if usage.cache_write >= 0:
        out += b',"cache_creation_input_tokens":%d' % usage.cache_write
    if usage.cache_read >= 0:
        out += b',"cache_read_input_tokens":%d' % usage.cache_read
    if usage.cache_write_1h >= 0:
        hour, whole = usage.cache_write_1h, max(usage.cache_write, 0)
        out += b',"cache_creation":{"ephemeral_5m_input_tokens":%d,"ephemeral_1h_input_tokens":%d}' % (
            max(whole - hour, 0),
            hour,
        )
    if usage.reasoning >= 0:
        out += b',"output_tokens_details":{"thinking_tokens":%d}' % usage.reasoning
    if usage.web_searches >= 0:
        out += b',"server_tool_use":{"web_search_requests":%d,"web_fetch_requests":0}' % usage.web_searches
    return out + b"}"
