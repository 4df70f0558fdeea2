"""Whole replies of OpenAI Chat Completions: the `chat.completion` object, read and written. No stream, no errors, no requests.

Hosts that call themselves compatible add members of their own; those that carry content are read too: reasoning under four
names, thinking_blocks (LiteLLM's form of signed and redacted thinking), a matched stop sequence in choices[].stop_reason (vLLM).
Members that nobody else has ride along as PrivatePart under their own names.
Schema: the SDK's types/chat/chat_completion.py.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from anyllm_fast.dialects.citations import annotation_of, length_of
from anyllm_fast.dialects.media import image_part, kind_of_sound, media, read_image, sound
from anyllm_fast.dialects.openai_chat_chunk import (
    count,
    decode_audio,
    decode_block,
    decode_function,
    decode_logprobs,
    decode_part,
)
from anyllm_fast.dialects.openai_chat_custom import is_custom, text_in
from anyllm_fast.dialects.openai_chat_usage import write_usage
from anyllm_fast.dialects.order import call_id
from anyllm_fast.dialects.repair import ABSENT, is_object, objects, string
from anyllm_fast.dialects.whole import Members, decode_members, read_members, says_something
from anyllm_fast.neutral.custom_tools import CLOSE, OPEN, deeper
from anyllm_fast.neutral.losses import ROOT, Losses
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
from anyllm_fast.neutral.stream import Failure, StopReason, StreamOptions
from anyllm_fast.neutral.usage import Usage

REASONING = ("reasoning_content", "reasoning", "thinking")  # by preference, where a host sends several
ORIGIN = b"anyllm:"  # marks thinking that came without a signature: see neutral/request.py, Thinking

STOP_READ: dict[bytes, StopReason] = {
    b"stop": "end_turn",
    b"length": "max_tokens",
    b"tool_calls": "tool_use",
    b"function_call": "tool_use",
    b"content_filter": "content_filter",
}
STOP_WRITTEN: dict[StopReason, bytes] = {
    "end_turn": b"stop",
    "max_tokens": b"length",
    "stop_sequence": b"stop",
    "tool_use": b"tool_calls",
    "refusal": b"content_filter",
    "content_filter": b"content_filter",
    "pause_turn": b"length",  # cut short, to be gone on with
    "context_window": b"length",
    "other": b"stop",
}


# -- reading -----------------------------------------------------------------------------------------------------------


def read_reply(body: bytes, losses: Losses) -> Reply:
    """A `chat.completion` object as a Reply. ValueError if it is none, or one that the upstream broke off.

    A loss is every further choice; private members are parts.
    """
    completion = read_members(body)
    choices = objects(completion.get("choices", ABSENT))
    if not choices:
        raise ValueError(f"no choices; its members are {', '.join(list(completion)[:12]) or 'none'}")
    for at in range(1, len(choices)):
        losses.add(((ROOT, "choices"), at), "the client's dialect has one answer")
    choice = decode_members(choices[0])
    if not is_object(choice.get("message", ABSENT)):
        raise ValueError("choices.0: no message")
    message = decode_members(choice["message"])
    ident = string(completion.get("id", ABSENT))
    reply = Reply(ident=ident, model=string(completion.get("model", ABSENT)), ended=True)
    reply.parts = [
        *_read_thinking(message),
        *_read_content(message),
        *_read_media(message),
        *_read_calls(message, ident or bytes(choices[0])),
    ]
    _read_logprobs(choice, reply.parts)
    reply.stop_reason, reply.stop_sequence = _read_stop(choice, reply.parts)
    usage = completion.get("usage", ABSENT)
    reply.usage = count(usage, Usage()) if is_object(usage) else Usage()
    for members, known in ((message, _MESSAGE), (choice, _CHOICE), (completion, _COMPLETION)):
        for name, raw in members.items():
            if name not in known and says_something(raw):
                reply.parts.append(PrivatePart(name.encode(), bytes(raw)))
    return reply


_COMPLETION = frozenset({"id", "object", "created", "model", "choices", "usage", "error", "system_fingerprint", "service_tier"})
_CHOICE = frozenset({"index", "message", "finish_reason", "stop_reason", "matched_stop", "error", "logprobs"})
_MESSAGE = frozenset(
    {
        "role",
        "content",
        "refusal",
        "annotations",
        "tool_calls",
        "function_call",
        "thinking_blocks",
        "reasoning_details",
        "images",
        "audio",
        *REASONING,
    }
)


def _read_stop(choice: Members, parts: list[ReplyPart]) -> tuple[StopReason, bytes | None]:
    from anyllm_fast.dialects.openai_chat_ends import judge_stop  # that file imports our tables

    matched = _span(choice, "stop_reason") or _span(choice, "matched_stop") or None
    calls = sum(isinstance(part, CallPart) for part in parts)
    refused = any(isinstance(part, RefusalPart) for part in parts)
    verdict = judge_stop(_span(choice, "finish_reason"), matched, calls, refused, True)
    if isinstance(verdict, Failure):
        raise ValueError(verdict.message)
    return verdict


def _span(members: Members, name: str) -> bytes:
    return string(members.get(name, ABSENT))


def _read_thinking(message: Members) -> list[ReplyPart]:
    """thinking_blocks if they hold the text; else the plain field, and what the blocks hold besides."""
    parts: list[ReplyPart] = []
    for raw in objects(message.get("thinking_blocks", ABSENT)):
        block = decode_block(raw)
        if data := string(block.data):
            parts.append(RedactedPart(data))
        else:
            parts.append(ThinkingPart(string(block.thinking), string(block.signature)))
    if not any(isinstance(part, ThinkingPart) and part.text for part in parts):
        for field in REASONING:
            if text := _span(message, field):
                parts.insert(0, ThinkingPart(text, ORIGIN + field.encode()))
                break
    return _read_details(message, parts)


def _read_details(message: Members, parts: list[ReplyPart]) -> list[ReplyPart]:
    """OpenRouter's reasoning_details: the text beside `reasoning`, and what only it has: signatures and encrypted reasoning."""
    said = bool(parts)
    for raw in objects(message.get("reasoning_details", ABSENT)):
        detail = decode_block(raw)
        if not said and (text := string(detail.text) or string(detail.summary)):
            parts.append(ThinkingPart(text, ORIGIN + b"reasoning"))
        last = parts[-1] if parts else None
        if (signature := string(detail.signature)) and isinstance(last, ThinkingPart):
            last.signature = signature
        if string(detail.data):
            parts.append(PrivatePart(b"reasoning_details", bytes(raw)))
    return parts


def _read_content(message: Members) -> list[ReplyPart]:
    """`content` as text or parts, `refusal`, and the annotations on the last text."""
    parts: list[ReplyPart] = []
    content = message.get("content", ABSENT)
    if text := string(content):
        parts.append(TextPart(text))
    for raw in objects(content):
        parts += _read_part(raw)
    if refusal := _span(message, "refusal"):
        parts.append(RefusalPart(refusal))
    last = next((part for part in reversed(parts) if isinstance(part, TextPart)), None)
    for raw in objects(message.get("annotations", ABSENT)):
        if last is None:
            parts.append(PrivatePart(b"annotation", bytes(raw)))
        else:
            last.annotations = [*last.annotations, bytes(raw)]
    return parts


def _read_media(message: Members) -> list[ReplyPart]:
    """Pictures, and what is spoken: its words as text, and its sound where that tells of what kind it is."""
    parts: list[ReplyPart] = []
    for raw in objects(message.get("images", ABSENT)):
        shown, url = read_image(raw)
        if shown:
            parts.append(PrivatePart(b"media", shown))
        elif url:
            parts.append(TextPart(b"![image](%b)" % url))
    if not is_object(message.get("audio", ABSENT)):
        return parts
    audio = decode_audio(message["audio"])
    if text := string(audio.transcript):
        parts.append(TextPart(text))
    if data := string(audio.data):
        sort = string(audio.format)
        kind = b"audio/" + sort if sort else kind_of_sound(data)
        parts.append(PrivatePart(b"media", media(kind, data)) if kind else PrivatePart(b"audio", bytes(message["audio"])))
    return parts


def _read_logprobs(choice: Members, parts: list[ReplyPart]) -> None:
    raw = choice.get("logprobs", ABSENT)
    if not is_object(raw):
        return
    said = decode_logprobs(raw)
    text = next((part for part in parts if isinstance(part, TextPart)), None)
    if objects(said.content):
        if text is not None:
            text.logprobs = [bytes(said.content)]
        else:
            parts.append(PrivatePart(b"logprobs", bytes(said.content)))
    if objects(said.refusal):
        parts.append(PrivatePart(b"logprobs.refusal", bytes(said.refusal)))


def _read_part(raw: Raw) -> list[ReplyPart]:
    """A content part. Hosts with several modalities answer in parts; so does Mistral when it thinks."""
    part = decode_part(raw)
    match string(part.type):
        case b"text" | b"output_text":
            return [TextPart(text)] if (text := string(part.text)) else []
        case b"refusal":
            return [RefusalPart(text)] if (text := string(part.refusal)) else []
        case b"thinking":
            text = string(part.thinking) + b"".join(string(decode_part(inner).text) for inner in objects(part.thinking))
            return [ThinkingPart(text, ORIGIN + b"thinking")] if text else []
        case kind:
            return [PrivatePart(b"content." + (kind or b"part"), bytes(raw))]


def _read_calls(message: Members, seed: bytes) -> list[ReplyPart]:
    """tool_calls, or function_call, the form before there were tools. A call without an id gets one, always the same."""
    from anyllm_fast.dialects.openai_chat_ends import synthetic  # that file imports our tables

    parts: list[ReplyPart] = []
    seen: set[bytes] = set()
    for at, raw in enumerate(objects(message.get("tool_calls", ABSENT))):
        call = _decode_call(raw)
        ident = string(call.id)
        if not ident or ident in seen:  # results are paired by id, so two calls may not share one
            ident = synthetic(seed, at)
        seen.add(ident)
        custom = is_object(call.custom)
        parts.append(_read_custom(ident, call.custom) if custom else _read_function(ident, call.function))
    legacy = message.get("function_call", ABSENT)
    if not parts and is_object(legacy):
        parts.append(_read_function(synthetic(seed, 0), legacy))
    return parts


def _read_function(ident: bytes, raw: Raw) -> CallPart:
    """Arguments are JSON in a string; some hosts send the object itself, or nothing."""
    if not is_object(raw):
        return CallPart(ident, b"", b"")
    function = decode_function(raw)
    given = function.arguments
    return CallPart(ident, string(function.name), escaped(bytes(given)) if is_object(given) else string(given))


class _Call(msgspec.Struct):
    id: Raw = ABSENT
    function: Raw = ABSENT
    custom: Raw = ABSENT


class _Custom(msgspec.Struct):
    name: Raw = ABSENT
    input: Raw = ABSENT


_decode_call = msgspec.json.Decoder(_Call).decode
_decode_custom = msgspec.json.Decoder(_Custom).decode


def _read_custom(ident: bytes, raw: Raw) -> CallPart:
    """A custom tool takes free text; the middle has objects, so it becomes {"input": text}."""
    custom = _decode_custom(raw)
    return CallPart(ident, string(custom.name), OPEN + deeper(string(custom.input)) + CLOSE)


# -- writing -----------------------------------------------------------------------------------------------------------


class _Message:
    """What goes into one completion, while the parts of a reply are gone through. Lists of JSON texts, or of spans."""

    def __init__(self) -> None:
        self.text: list[bytes] = []
        self.annotations: list[bytes] = []
        self.refusal: list[bytes] = []
        self.reasoning: list[bytes] = []
        self.blocks: list[bytes] = []
        self.calls: list[bytes] = []
        self.images: list[bytes] = []
        self.tokens: list[bytes] = []  # logprobs of the text, and of the refusal
        self.refused: list[bytes] = []
        self.message: list[bytes] = []  # private members, by where they belong
        self.completion: list[bytes] = []

    def json(self) -> bytes:
        out = b'{"role":"assistant","content":%b,"refusal":%b' % (_joined(self.text), _joined(self.refusal))
        if self.annotations:
            out += b',"annotations":[%b]' % b",".join(self.annotations)
        if self.reasoning:
            out += b',"reasoning_content":%b' % _joined(self.reasoning)
        if self.blocks:
            out += b',"thinking_blocks":[%b]' % b",".join(self.blocks)
        if self.calls:
            out += b',"tool_calls":[%b]' % b",".join(self.calls)
        if self.images:
            out += b',"images":[%b]' % b",".join(self.images)
        return out + b"".join(self.message) + b"}"

    def logprobs(self) -> bytes:
        if not (self.tokens or self.refused):
            return b"null"
        return b'{"content":%b,"refusal":%b}' % (_listed(self.tokens), _listed(self.refused))


def _listed(arrays: list[bytes]) -> bytes:
    """Arrays of objects as one; `null` for none."""
    return b"[%b]" % b",".join(array.strip()[1:-1] for array in arrays) if arrays else b"null"


def _joined(spans: list[bytes]) -> bytes:
    return b'"%b"' % b"".join(spans) if spans else b"null"


def write_reply(reply: Reply, options: StreamOptions, losses: Losses) -> bytes:
    """A Reply as a `chat.completion` object with our id and the model name that the client asked for."""
    message = _Message()
    for part in reply.parts:
        _write_part(part, message, options, losses)
    stop = reply.stop_reason or ("tool_use" if message.calls else "end_turn")
    finish = b"stop" if stop == "refusal" and message.refusal else STOP_WRITTEN[stop]
    sequence = b"" if reply.stop_sequence is None else b',"stop_reason":"%b"' % reply.stop_sequence
    usage = b',"usage":%b' % write_usage(reply.usage) if reply.usage.known else b""
    return (
        b'{"id":"chatcmpl-%b","object":"chat.completion","created":%d,"model":"%b",'
        b'"choices":[{"index":0,"message":%b,"logprobs":%b,"finish_reason":"%b"%b}]%b%b}'
    ) % (
        options.ident,
        options.created,
        options.model,
        message.json(),
        message.logprobs(),
        finish,
        sequence,
        usage,
        b"".join(message.completion),
    )


def _write_part(part: ReplyPart, message: _Message, options: StreamOptions, losses: Losses) -> None:
    match part:
        case TextPart():
            _write_text(part, message, losses)
        case RefusalPart():
            message.refusal.append(part.text)
        case ThinkingPart():
            if part.text:
                message.reasoning.append(part.text)
            signature = tagged(_foreign(options), part.signature)
            message.blocks.append(b'{"type":"thinking","thinking":"%b","signature":"%b"}' % (part.text, signature))
        case RedactedPart():
            data = tagged(_foreign(options), part.data)
            message.blocks.append(b'{"type":"redacted_thinking","data":"%b"}' % data)
        case CallPart():
            message.calls.append(_write_call(part, part.ident or call_id(options.ident, len(message.calls)), options))
        case PrivatePart():
            _write_private(part, message, options, losses)


def _write_call(part: CallPart, ident: bytes, options: StreamOptions) -> bytes:
    if is_custom(options.forms, part.name):
        return b'{"id":"%b","type":"custom","custom":{"name":"%b","input":"%b"}}' % (ident, part.name, text_in(part.args))
    function = b'{"name":"%b","arguments":"%b"}' % (part.name, part.args or b"{}")
    return b'{"id":"%b","type":"function","function":%b}' % (ident, function)


def _foreign(options: StreamOptions) -> str:
    from anyllm_fast.dialects.openai_chat_ends import foreign  # that file imports our tables

    return foreign(options.origin)


def _write_text(part: TextPart, message: _Message, losses: Losses) -> None:
    """Texts are joined; where in the whole this one stands is only counted for a citation."""
    start = length_of(b"".join(message.text)) if part.citations else 0
    message.text.append(part.text)
    message.annotations += part.annotations
    message.tokens += part.logprobs
    for citation in part.citations:
        if annotation := annotation_of(citation, start, start + length_of(part.text)):
            message.annotations.append(annotation)
        else:
            losses.add((ROOT, "citation"), "Chat Completions has annotations for web pages only")


def _write_private(part: PrivatePart, message: _Message, options: StreamOptions, losses: Losses) -> None:
    """Back to the member that it was read from, if it was one of this dialect's."""
    match part.name:
        case b"annotation":
            message.annotations.append(part.raw)
        case b"audio":
            message.message.append(b',"audio":%b' % part.raw)
        case b"logprobs":
            message.tokens.append(part.raw)
        case b"logprobs.refusal":
            message.refused.append(part.raw)
        case b"media" if image := image_part(part.raw):
            message.images.append(b'{"index":%d,"type":"image_url",%b' % (len(message.images), image))
        case b"media" if data := sound(part.raw):
            audio = b',"audio":{"id":"audio_%b","data":"%b","expires_at":%d,"transcript":""}'
            message.message.append(audio % (options.ident, data, options.created))
        case b"moderation" | b"metadata" if options.origin in ("", "openai_chat"):
            message.completion.append(b',"%b":%b' % (part.name, part.raw))
        case _:
            losses.add((ROOT, part.name.decode()), "Chat Completions has no place for it")
