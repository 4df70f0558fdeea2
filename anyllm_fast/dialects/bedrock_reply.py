"""Whole replies of Bedrock Converse, read and written. No stream, no errors, no requests.

A reply has no id and no model: the request's path said which. Blocks that only this dialect knows ride along whole as PrivatePart
named `content.KIND`, and so do members of the reply that nobody else has. Source: the service model's shape ConverseResponse.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Final

import msgspec
from msgspec import Raw

from anyllm_fast.dialects.arguments import write_input
from anyllm_fast.dialects.bedrock_blocks import redacted_of
from anyllm_fast.dialects.bedrock_citations import citation_of, converse_citation
from anyllm_fast.dialects.bedrock_content import NAME, SERVER
from anyllm_fast.dialects.bedrock_media import FORMATS
from anyllm_fast.dialects.citations import citation_of as citation_of_annotation
from anyllm_fast.dialects.order import call_id
from anyllm_fast.dialects.repair import ABSENT, is_object, number, objects, string
from anyllm_fast.dialects.whole import Members, decode_members, read_members, says_something
from anyllm_fast.neutral.losses import ROOT, Losses, Where
from anyllm_fast.neutral.reply import CallPart, PrivatePart, RedactedPart, RefusalPart, Reply, ReplyPart, TextPart, ThinkingPart
from anyllm_fast.neutral.signatures import tagged
from anyllm_fast.neutral.spans import escaped
from anyllm_fast.neutral.stream import StopReason, StreamOptions
from anyllm_fast.neutral.usage import Usage

STOP_READ: Final[dict[bytes, StopReason]] = {
    b"end_turn": "end_turn",
    b"tool_use": "tool_use",
    b"max_tokens": "max_tokens",
    b"stop_sequence": "stop_sequence",
    b"guardrail_intervened": "content_filter",
    b"content_filtered": "content_filter",
    b"model_context_window_exceeded": "context_window",
}
MALFORMED: Final = frozenset({b"malformed_model_output", b"malformed_tool_use"})
"""The model failed to write what it began: nobody else has a word for that."""
STOP_WRITTEN: Final[dict[StopReason, bytes]] = {
    "end_turn": b"end_turn",
    "tool_use": b"tool_use",
    "max_tokens": b"max_tokens",
    "stop_sequence": b"stop_sequence",
    "refusal": b"content_filtered",  # the nearest: an answer was not given, for what is in it
    "content_filter": b"content_filtered",
    "pause_turn": b"max_tokens",  # the nearest: there is more to come
    "context_window": b"model_context_window_exceeded",
    "other": b"end_turn",
}
_NOTES: Final = frozenset({"output", "stopReason", "usage", "metrics", "performanceConfig", "serviceTier"})
_EXTRA: Final = "additionalModelResponseFields"
_TOP: Final = frozenset({_EXTRA.encode(), b"trace"})
CONTENT: Final = b"content."
_WORDS: Final = {media: (kind, word) for kind in ("image", "audio") for word, media in FORMATS[kind].items()}


# -- reading -----------------------------------------------------------------------------------------------------------


class _UsageOnly(msgspec.Struct):
    usage: Raw = ABSENT


_decode_usage_only: Final = msgspec.json.Decoder(_UsageOnly).decode


def read_usage(body: bytes) -> Usage:
    """Counts of a whole reply that is passed on unread. Never raises."""
    try:
        return count(_decode_usage_only(body).usage)
    except (ValueError, RecursionError):
        return Usage()


def count(raw: Raw) -> Usage:
    """A TokenUsage. inputTokens are those that no cache was read or written for, as in the middle."""
    if not is_object(raw):
        return Usage()
    said = decode_members(raw)
    usage = Usage(
        input=number(said.get("inputTokens", ABSENT)),
        output=number(said.get("outputTokens", ABSENT)),
        cache_read=number(said.get("cacheReadInputTokens", ABSENT)),
        cache_write=number(said.get("cacheWriteInputTokens", ABSENT)),
    )
    details = [decode_members(item) for item in objects(said.get("cacheDetails", ABSENT))]
    if details:
        long = [item for item in details if string(item.get("ttl", ABSENT)) == b"1h"]
        usage.cache_write_1h = sum(max(number(item.get("inputTokens", ABSENT)), 0) for item in long)
    return usage


def judge_stop(reason: bytes, sequence: bytes | None, calls: int) -> tuple[StopReason, bytes | None]:
    """Why the reply stopped; some models say end_turn after calls."""
    stop = STOP_READ.get(reason or b"end_turn", "other")
    if calls > 0 and stop in ("end_turn", "other"):
        return "tool_use", None
    return stop, sequence if stop == "stop_sequence" else None


def read_reply(body: bytes, losses: Losses) -> Reply:
    """ValueError if it is none.

    Losses are members of blocks that no field of the middle holds. How long the call took, its tier and its performance are about
    how the provider ran the model, and are left out.
    """
    reply_members = read_members(body)
    output = reply_members.get("output", ABSENT)
    message = decode_members(output).get("message", ABSENT) if is_object(output) else ABSENT
    content = decode_members(message).get("content", ABSENT) if is_object(message) else ABSENT
    if bytes(content)[:1] != b"[":
        raise ValueError(f"no message; its members are {', '.join(list(reply_members)[:12]) or 'none'}")
    reply = Reply(ended=True, usage=count(reply_members.get("usage", ABSENT)))
    where: Where = (((ROOT, "output"), "message"), "content")
    for at, raw in enumerate(objects(content)):
        _read_block(raw, (where, at), reply.parts, losses)
    reason = string(reply_members.get("stopReason", ABSENT))
    if reason in MALFORMED:
        losses.add((ROOT, "stopReason"), "the model failed to write what it had begun; the client's API has no word for that")
    calls = sum(isinstance(part, CallPart) for part in reply.parts)
    reply.stop_reason, reply.stop_sequence = judge_stop(reason, _take_sequence(reply_members), calls)
    for name, raw in reply_members.items():
        if name not in _NOTES and says_something(raw):
            reply.parts.append(PrivatePart(name.encode(), bytes(raw)))
    return reply


def _take_sequence(members: Members) -> bytes | None:
    """The stop sequence that was met, which the request has to ask for; what else was asked for stays."""
    raw = members.get(_EXTRA, ABSENT)
    if not is_object(raw):
        return None
    extra = decode_members(raw)
    sequence = string(extra.pop("stop_sequence", ABSENT)) or None
    members[_EXTRA] = Raw(msgspec.json.encode({name: value for name, value in extra.items() if says_something(value)}))
    return sequence


def _read_block(raw: Raw, where: Where, parts: list[ReplyPart], losses: Losses) -> None:
    block = decode_members(raw)
    kind, value = next(((name, value) for name, value in block.items() if says_something(value)), ("", ABSENT))
    here: Where = (where, kind)
    match kind:
        case "":
            return
        case "text":
            parts.append(TextPart(string(value)))
        case "toolUse":
            _read_call(raw, value, here, parts, losses)
        case "reasoningContent":
            _read_reasoning(value, here, parts, losses)
        case "citationsContent":
            parts.append(_read_cited(value, here, losses))
        case "image" | "audio":
            parts.append(_read_media(raw, kind, value))
        case _:
            parts.append(_private(kind, raw))


def _private(kind: str, raw: Raw) -> PrivatePart:
    """A block of this dialect's own, whole. Its name says where it is from: other APIs have an `audio` too."""
    return PrivatePart(b"%b%b" % (CONTENT, kind.encode()), bytes(raw))


def _left_over(members: Members, known: tuple[str, ...], where: Where, losses: Losses) -> None:
    for name, raw in members.items():
        if name not in known and says_something(raw):
            losses.add((where, name), "only Bedrock Converse knows it")


def _read_call(raw: Raw, value: Raw, where: Where, parts: list[ReplyPart], losses: Losses) -> None:
    call = decode_members(value)
    if string(call.get("type", ABSENT)) == SERVER.encode():
        parts.append(_private("toolUse", raw))
        return
    _left_over(call, ("toolUseId", "name", "input"), where, losses)
    given = bytes(call.get("input", ABSENT))
    args = escaped(given) if given[:1] == b"{" else b"{}" if given in (b"", b"null") else escaped(b'{"_raw":%b}' % given)
    parts.append(CallPart(string(call.get("toolUseId", ABSENT)), string(call.get("name", ABSENT)), args))


def _read_reasoning(value: Raw, where: Where, parts: list[ReplyPart], losses: Losses) -> None:
    said = decode_members(value)
    if "redactedContent" in said:
        parts.append(RedactedPart(string(said["redactedContent"])))
        return
    text = said.get("reasoningText", ABSENT)
    if is_object(text):
        inside = decode_members(text)
        _left_over(inside, ("text", "signature"), (where, "reasoningText"), losses)
        parts.append(ThinkingPart(string(inside.get("text", ABSENT)), string(inside.get("signature", ABSENT))))


def _read_cited(value: Raw, where: Where, losses: Losses) -> TextPart:
    cited = decode_members(value)
    texts = [string(decode_members(item).get("text", ABSENT)) for item in objects(cited.get("content", ABSENT))]
    part = TextPart(b"".join(texts))
    for index, raw in enumerate(objects(cited.get("citations", ABSENT))):
        here: Where = ((where, "citations"), index)
        citation = citation_of(bytes(raw))
        if citation is None:
            losses.add(here, "a citation of a kind that no other API has")
            continue
        part.citations.append(citation[0])
        for member in citation[1]:
            losses.add((here, member), "citations of that kind have no place for it")
    return part


def _read_media(raw: Raw, kind: str, value: Raw) -> PrivatePart:
    """A generated image or sound. One that lies in S3, or failed, is kept whole."""
    media = decode_members(value)
    source = media.get("source", ABSENT)
    data = string(decode_members(source).get("bytes", ABSENT)) if is_object(source) else b""
    media_type = FORMATS[kind].get(string(media.get("format", ABSENT)).decode())
    if not data or media_type is None or says_something(media.get("error", Raw(b"null"))):
        return _private(kind, raw)
    return PrivatePart(b"media", b'{"media_type":"%b","data":"%b"}' % (media_type.encode(), data))


# -- writing -----------------------------------------------------------------------------------------------------------


def write_reply(reply: Reply, options: StreamOptions, losses: Losses) -> bytes:
    """The reply as Converse answers. The service's own measurement of time is not known and said as 0."""
    blocks: list[bytes] = []
    members: dict[bytes, bytes] = {}
    calls = 0
    for part in reply.parts:
        if isinstance(part, PrivatePart) and part.name in _TOP:
            members[part.name] = part.raw
            continue
        calls += isinstance(part, CallPart)
        block = _write_part(part, options, losses, calls)
        if block is not None:
            blocks.append(block)
    if reply.stop_sequence is not None:
        members[_EXTRA.encode()] = with_sequence(members.get(_EXTRA.encode(), b"{}"), reply.stop_sequence)
    stop = reply.stop_reason or ("tool_use" if calls else "end_turn")
    return (
        b'{"output":{"message":{"role":"assistant","content":[%b]}},"stopReason":"%b","usage":%b,"metrics":{"latencyMs":0}%b}'
        % (
            b",".join(blocks),
            STOP_WRITTEN[stop],
            write_usage(reply.usage),
            b"".join(b',"%b":%b' % (name, raw) for name, raw in members.items()),
        )
    )


def with_sequence(extra: bytes, sequence: bytes) -> bytes:
    """additionalModelResponseFields with the stop sequence that was met."""
    said = decode_members(extra) if extra[:1] == b"{" else {}
    return msgspec.json.encode({**said, "stop_sequence": Raw(b'"%b"' % sequence)})


def write_usage(usage: Usage) -> bytes:
    """A TokenUsage; unknown input and output are 0, because the shape demands both. The total counts cached tokens too."""
    total = max(usage.prompt, 0) + max(usage.output, 0)
    out = b'{"inputTokens":%d,"outputTokens":%d,"totalTokens":%d' % (max(usage.input, 0), max(usage.output, 0), total)
    if usage.cache_read >= 0:
        out += b',"cacheReadInputTokens":%d' % usage.cache_read
    if usage.cache_write >= 0:
        out += b',"cacheWriteInputTokens":%d' % usage.cache_write
    if usage.cache_write_1h >= 0:
        short = max(usage.cache_write - usage.cache_write_1h, 0)
        out += b',"cacheDetails":[{"ttl":"1h","inputTokens":%d},{"ttl":"5m","inputTokens":%d}]' % (usage.cache_write_1h, short)
    return out + b"}"


def _write_part(part: ReplyPart, options: StreamOptions, losses: Losses, calls: int) -> bytes | None:
    match part:
        case TextPart():
            return _write_text(part, losses)
        case RefusalPart():
            return b'{"text":"%b"}' % part.text  # stopReason says that it refuses
        case ThinkingPart():
            signature = part.signature if options.origin == NAME else tagged(options.origin, part.signature)
            tail = b',"signature":"%b"' % signature if signature else b""
            return b'{"reasoningContent":{"reasoningText":{"text":"%b"%b}}}' % (part.text, tail)
        case RedactedPart():
            return b'{"reasoningContent":{"redactedContent":"%b"}}' % write_redacted(part.data, options.origin)
        case CallPart():
            ident = part.ident or call_id(options.ident, calls - 1)
            return b'{"toolUse":{"toolUseId":"%b","name":"%b","input":%b}}' % (ident, part.name, write_input(part.args))
        case PrivatePart():
            return _write_private(part, options, losses)


def write_redacted(data: bytes, origin: str) -> bytes:
    """Redacted reasoning as a blob: what Bedrock sent as it was, what others did with their name on it."""
    if origin in ("", NAME):
        try:
            b64decode(data, validate=True)
        except ValueError:
            return b64encode(data)
        return data
    return redacted_of(origin, data).encode()


def _write_text(part: TextPart, losses: Losses) -> bytes:
    """The text, or the text with its citations. A text of nothing but citations keeps its place too."""
    if part.logprobs:
        losses.add((ROOT, "logprobs"), "Bedrock Converse has no place for it")
    found: list[bytes] = []
    known = [(raw, "citation") for raw in part.citations]
    known += [(citation_of_annotation(raw) or b"", "annotation") for raw in part.annotations]
    for raw, name in known:
        written = converse_citation(raw)
        if written is None:
            losses.add((ROOT, name), "not a citation that Bedrock Converse has a form for")
            continue
        found.append(written[0])
        for member in written[1]:
            losses.add(((ROOT, name), member), "citations of Bedrock Converse have no place for it")
    if not found:
        return b'{"text":"%b"}' % part.text
    return b'{"citationsContent":{"content":[{"text":"%b"}],"citations":[%b]}}' % (part.text, b",".join(found))


class _Media(msgspec.Struct):
    media_type: str
    data: Raw


_decode_media: Final = msgspec.json.Decoder(_Media).decode


def _write_private(part: PrivatePart, options: StreamOptions, losses: Losses) -> bytes | None:
    if part.name == b"media":
        media = write_media(part.raw)
        if media is not None:
            return media
    elif part.name.startswith(CONTENT) and options.origin in ("", NAME):  # others have contents of these names
        return part.raw
    losses.add((ROOT, part.name.decode()), "Bedrock Converse has no place for it")
    return None


def write_media(raw: bytes) -> bytes | None:
    """A generated image or sound as a block; None for a type that the API has no word for."""
    try:
        media = _decode_media(raw)
    except ValueError:
        return None
    known = _WORDS.get(media.media_type)
    if known is None or bytes(media.data)[:1] != b'"':
        return None
    kind, word = known
    return b'{"%b":{"format":"%b","source":{"bytes":%b}}}' % (kind.encode(), word.encode(), bytes(media.data))
