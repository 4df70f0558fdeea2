"""Whole replies of OpenAI Responses: the `response` object, read and written. No stream, no errors, no requests.

Items that only OpenAI's servers make (searches, code, programs, whatever comes next) ride along whole as PrivatePart named by
their `type`; an image that was generated is `media`, which other dialects have words for. What the object repeats of the request
says nothing new. How items are written: openai_responses_items_out.py.
Schema: the SDK's types/responses/response.py and response_output_item.py.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from anyllm_fast.dialects import openai_responses_items_out as items_out
from anyllm_fast.dialects.citations import annotation_of, length_of
from anyllm_fast.dialects.openai_responses_names import in_namespace
from anyllm_fast.dialects.order import call_id
from anyllm_fast.dialects.repair import ABSENT, is_object, merge, number, objects, string
from anyllm_fast.dialects.upstream_error import read_failure
from anyllm_fast.dialects.whole import Members, decode_members, read_members, says_something
from anyllm_fast.neutral.custom_tools import CLOSE, OPEN, deeper
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
from anyllm_fast.neutral.spans import escaped
from anyllm_fast.neutral.stream import Failure, StopReason, StreamOptions
from anyllm_fast.neutral.usage import Usage

BREAK: Final = b"\\n\\n"
"""Between the parts of a summary (span)."""
IMAGES: Final = {
    b"png": b"image/png",
    b"webp": b"image/webp",
    b"jpeg": b"image/jpeg",
    b"gif": b"image/gif",
    b"svg": b"image/svg+xml",
}
STOP_READ: Final[dict[bytes, StopReason]] = {
    b"max_output_tokens": "max_tokens",
    b"content_filter": "content_filter",
    b"max_messages": "pause_turn",
    b"steered": "pause_turn",
}
"""By `incomplete_details.reason`."""
UNFINISHED: Final = (b"queued", b"in_progress")


# -- usage -------------------------------------------------------------------------------------------------------------


class _InputDetails(msgspec.Struct):
    cached_tokens: Raw = ABSENT
    cache_write_tokens: Raw = ABSENT


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: Raw = ABSENT


class _Counts(msgspec.Struct):
    input_tokens: Raw = ABSENT
    output_tokens: Raw = ABSENT
    input_tokens_details: Raw = ABSENT
    output_tokens_details: Raw = ABSENT


class _Searches(msgspec.Struct):
    num_requests: Raw = ABSENT


class _Tools(msgspec.Struct):
    web_search: Raw = ABSENT


class _UsageOnly(msgspec.Struct):
    usage: Raw = ABSENT
    tool_usage: Raw = ABSENT


_decode_usage_only = msgspec.json.Decoder(_UsageOnly).decode
_decode_counts = msgspec.json.Decoder(_Counts).decode
_decode_input = msgspec.json.Decoder(_InputDetails).decode
_decode_output = msgspec.json.Decoder(_OutputDetails).decode
_decode_tools = msgspec.json.Decoder(_Tools).decode
_decode_searches = msgspec.json.Decoder(_Searches).decode


def read_usage(body: bytes) -> Usage:
    """Counts of a response that is passed on unread. Never raises."""
    try:
        found = _decode_usage_only(body)
        return count_all(found.usage, found.tool_usage)
    except (ValueError, RecursionError):
        return Usage()


def count_all(usage: Raw, tool_usage: Raw) -> Usage:
    """The counts of a response: `usage`, and the searches that `tool_usage` counts."""
    known = count(usage, Usage()) if is_object(usage) else Usage()
    if is_object(tool_usage):
        searches = _decode_tools(tool_usage).web_search
        if is_object(searches):
            known.web_searches = number(_decode_searches(searches).num_requests)
    return known


def count(usage: Raw, before: Usage) -> Usage:
    """`usage` over what was known before: input_tokens is the sum of what was read from, written to and kept out of the cache."""
    said = _decode_counts(usage)
    read = written = -1
    if is_object(said.input_tokens_details):
        details = _decode_input(said.input_tokens_details)
        read, written = number(details.cached_tokens), number(details.cache_write_tokens)
    whole = number(said.input_tokens)
    fresh = max(whole - max(read, 0) - max(written, 0), 0) if whole >= 0 else -1
    given = {"input": fresh, "output": number(said.output_tokens), "cache_read": read, "cache_write": written}
    if is_object(said.output_tokens_details):
        given["reasoning"] = number(_decode_output(said.output_tokens_details).reasoning_tokens)
    return merge(before, given)


# -- reading -----------------------------------------------------------------------------------------------------------


def read_reply(body: bytes, losses: Losses) -> Reply:
    """A `response` object as a Reply, with its `failure` if it failed. ValueError if it is none, or is not finished."""
    response = read_members(body)
    output = response.get("output", ABSENT)
    status = string(response.get("status", ABSENT))
    reply = Reply(ident=_span(response, "id"), model=_span(response, "model"), ended=True)
    reply.failure = _failure(body, status)
    if bytes(output)[:1] != b"[":
        if reply.failure is None:
            raise ValueError(f"no output; its members are {', '.join(list(response)[:12]) or 'none'}")
        output = Raw(b"[]")
    if status in UNFINISHED:
        raise ValueError(f"the response is not finished: its status is {status.decode()}")
    found = objects(output)
    hosted = {string(item.get("call_id", ABSENT)) for item in map(decode_members, found) if _type(item) == b"shell_call_output"}
    for at, raw in enumerate(found):
        _read_item(raw, ((ROOT, "output"), at), reply.parts, losses, hosted)
    reply.usage = count_all(response.get("usage", ABSENT), response.get("tool_usage", ABSENT))
    reply.stop_reason = _stop(response, reply.parts)
    for name in PRIVATE:
        if name in response and says_something(response[name]):
            reply.parts.append(PrivatePart(b"response." + name.encode(), bytes(response[name])))
    return reply


PRIVATE: Final = ("moderation", "input_transformations", "prompt_cache_diagnostics")
"""Members of a response that say something of the answer, and are not the request over again."""


def _span(members: Members, name: str) -> bytes:
    return string(members.get(name, ABSENT))


def _type(members: Members) -> bytes:
    return string(members.get("type", ABSENT))


def _failure(body: bytes, status: bytes) -> Failure | None:
    failure = read_failure(body)
    if failure is None and status in (b"failed", b"cancelled"):
        failure = Failure("api", f"the upstream broke the response off (status {status.decode()})", 502)
    return failure


def _stop(response: Members, parts: list[ReplyPart]) -> StopReason:
    """Why the answer ended, which the API says only of one that is not whole."""
    details = response.get("incomplete_details", ABSENT)
    reason = string(decode_members(details).get("reason", ABSENT)) if is_object(details) else b""
    calls = any(isinstance(part, CallPart) for part in parts)
    refused = any(isinstance(part, RefusalPart) for part in parts)
    return judge_stop(string(response.get("status", ABSENT)), reason, calls, refused)


def judge_stop(status: bytes, reason: bytes, calls: bool, refused: bool) -> StopReason:
    """The stop reason of a response in the end. `reason` is that of incomplete_details."""
    if status == b"incomplete" or reason:
        return STOP_READ.get(reason, "max_tokens" if not reason else "other")
    if calls:
        return "tool_use"
    return "refusal" if refused else "end_turn"


def _read_item(raw: Raw, where: Where, parts: list[ReplyPart], losses: Losses, hosted: set[bytes]) -> None:
    item = decode_members(raw)
    kind = _type(item)
    if kind == b"message":
        _left_over(kind, item, where, losses)
        for at, part in enumerate(objects(item.get("content", ABSENT))):
            _read_part(part, ((where, "content"), at), parts, losses)
    elif kind == b"reasoning":
        _left_over(kind, item, where, losses)
        if thought := _read_reasoning(item):
            parts.append(thought)
    elif kind in _CALLS and string(item.get("call_id", ABSENT)) not in hosted:
        _left_over(kind, item, where, losses)
        parts.append(_read_call(kind, item))
    elif kind == b"image_generation_call" and _span(item, "result"):
        _left_over(kind, item, where, losses)
        parts.append(PrivatePart(b"media", read_image(item)))
    else:
        parts.append(PrivatePart(kind or b"item", bytes(raw)))


_CALL: Final = frozenset(
    {
        *("id", "type", "status", "call_id", "name", "namespace", "arguments", "input", "action", "operation", "environment"),
        "created_by",
    }
)
ITEM_MEMBERS: Final = {
    b"message": frozenset({"id", "type", "role", "status", "content"}),
    b"reasoning": frozenset({"id", "type", "status", "summary", "content", "encrypted_content"}),
    b"image_generation_call": frozenset(
        {"id", "type", "status", "result", "output_format", "size", "quality", "background", "action"}
    ),
    b"function_call": _CALL,
    b"custom_tool_call": _CALL,
    b"local_shell_call": _CALL,
    b"shell_call": _CALL,
    b"apply_patch_call": _CALL,
}
"""Members of items that the middle has a word for, or that say only how OpenAI keeps them. Others are losses."""
SAYS_NOTHING: Final[dict[str, tuple[object, ...]]] = {"caller": ({"type": "direct"},), "async": (False,)}
"""Values that mean the same as none: dropping them loses nothing."""


def _left_over(kind: bytes, members: Members, where: Where, losses: Losses) -> None:
    known = ITEM_MEMBERS[kind]
    for name, raw in members.items():
        if name not in known and says_something(raw, SAYS_NOTHING.get(name, ())):
            losses.add((where, name), "only OpenAI Responses knows it")


def _read_part(raw: Raw, where: Where, parts: list[ReplyPart], losses: Losses) -> None:
    part = decode_members(raw)
    match _type(part):
        case b"output_text" | b"text":
            text = TextPart(_span(part, "text"))
            for at, annotation in enumerate(objects(part.get("annotations", ABSENT))):
                nested = nested_annotation(bytes(annotation))
                if nested is None:
                    losses.add(((where, "annotations"), at), "only a citation of a web page can be carried")
                else:
                    text.annotations = [*text.annotations, nested]
            logprobs = part.get("logprobs", ABSENT)
            if bytes(logprobs)[:1] == b"[" and says_something(logprobs):
                text.logprobs = [bytes(logprobs)]
            if text.text or text.annotations:
                parts.append(text)
        case b"refusal":
            parts.append(RefusalPart(_span(part, "refusal")))
        case b"reasoning_text":
            parts.append(ThinkingPart(_span(part, "text")))
        case kind:
            parts.append(PrivatePart(b"content." + (kind or b"part"), bytes(raw)))


def _read_reasoning(item: Members) -> ThinkingPart | None:
    """Its summary, and its own words where a host gives those; signed with the item's id and what is encrypted."""
    said = [*objects(item.get("summary", ABSENT)), *objects(item.get("content", ABSENT))]
    texts = [text for raw in said if (text := string(decode_members(raw).get("text", ABSENT)))]
    sealed = _span(item, "encrypted_content")
    text = BREAK.join(texts)
    return ThinkingPart(text, opaque(_span(item, "id"), sealed)) if text or sealed else None


def opaque(ident: bytes, sealed: bytes) -> bytes:
    """What signs the text of a reasoning item: its id and its encrypted content (spans); nothing where nothing is encrypted."""
    return b"%b:%b" % (ident, sealed) if sealed else b""


_CALLS: Final[dict[bytes, tuple[bytes, str]]] = {
    b"function_call": (b"", "arguments"),
    b"custom_tool_call": (b"", "input"),
    b"local_shell_call": (b"local_shell", "action"),
    b"shell_call": (b"shell", "action"),
    b"apply_patch_call": (b"apply_patch", "operation"),
}
"""The tool's name where the item has none, and the member with the arguments."""


def _read_call(kind: bytes, item: Members) -> CallPart:
    name, place = _CALLS[kind]
    given = item.get(place, ABSENT)
    if not name:
        name, space = _span(item, "name"), _span(item, "namespace")
        name = in_namespace(space, name) if space else name
    if kind == b"custom_tool_call":
        args = OPEN + deeper(string(given)) + CLOSE
    else:
        args = escaped(bytes(given)) if is_object(given) else string(given)
    return CallPart(_span(item, "call_id") or _span(item, "id"), name, args)


def read_image(item: Members) -> bytes:
    """An image_generation_call as `media`."""
    kind = IMAGES.get(_span(item, "output_format"), b"image/png")
    return b'{"media_type":"%b","data":"%b"}' % (kind, _span(item, "result"))


class _UrlCitation(msgspec.Struct):
    type: str
    url_citation: Raw = ABSENT


_decode_annotation = msgspec.json.Decoder(_UrlCitation).decode
_encode = msgspec.json.Encoder().encode


def nested_annotation(flat: bytes) -> bytes | None:
    """Chat's form of an annotation: what lies flat here is there in an object of its own. None if it is no url_citation."""
    try:
        members = decode_members(flat)
    except ValueError:
        return None
    if string(members.pop("type", ABSENT)) != b"url_citation":
        return None
    return b'{"type":"url_citation","url_citation":%b}' % _encode(members)


def flat_annotation(nested: bytes) -> bytes | None:
    """The other way round. None if it is no url_citation."""
    try:
        annotation = _decode_annotation(nested)
        members = decode_members(annotation.url_citation)
    except ValueError:
        return None
    if annotation.type != "url_citation":
        return None
    return _encode({"type": "url_citation", "start_index": 0, "end_index": 0, "title": "", **members})


# -- writing -----------------------------------------------------------------------------------------------------------


class _Output:
    """The items of one response, while the parts of a reply are gone through."""

    def __init__(self, options: StreamOptions, losses: Losses) -> None:
        self.refused = False
        self.items: list[bytes] = []
        self._options = options
        self._losses = losses
        self._content: list[bytes] = []  # of the message that is open
        self._calls = 0

    def add(self, part: ReplyPart) -> None:
        match part:
            case TextPart():
                self._text(part)
                return
            case RefusalPart():
                self.refused = True
                self._content.append(items_out.write_refusal_part(part.text))
                return
        self.close()
        options = self._options
        place = len(self.items)
        match part:
            case ThinkingPart():
                if part.text or part.signature:
                    sealed = items_out.encrypted(options, part.signature) if part.signature else b""
                    ident = items_out.item_id("reasoning", options, place)
                    self.items.append(items_out.write_reasoning(ident, part.text, sealed))
            case RedactedPart():
                ident = items_out.item_id("reasoning", options, place)
                self.items.append(items_out.write_reasoning(ident, b"", items_out.encrypted_redacted(options, part.data)))
            case CallPart():
                self._call(part, place)
            case PrivatePart():
                self._private(part, place)

    def _text(self, part: TextPart) -> None:
        length = length_of(part.text) if part.citations else 0
        annotations: list[bytes] = []
        for raw in [*(annotation_of(citation, 0, length) or citation for citation in part.citations), *part.annotations]:
            annotation = flat_annotation(raw)
            if annotation is None:
                self._losses.add((ROOT, "citation" if raw in part.citations else "annotation"), "no citation of a web page")
            else:
                annotations.append(annotation)
        self._content.append(items_out.write_text_part(part.text, annotations, part.logprobs))

    def _call(self, part: CallPart, place: int) -> None:
        options = self._options
        name = options.names.get(part.name, part.name)
        form = options.forms.get(name)
        ident = part.ident or call_id(options.ident, self._calls)
        self._calls += 1
        kind = items_out.call_kind(form, items_out.raw_args(part.args))
        args = part.args or b"{}"
        self.items.append(items_out.write_call(items_out.item_id(kind, options, place), (ident, name, form), args, b"completed"))

    def _private(self, part: PrivatePart, place: int) -> None:
        if part.name == b"logprobs" and part.raw[:1] == b"[":
            self._content.append(items_out.write_text_part(b"", [], [part.raw]))
            self.close()
            return
        if part.name == b"media":
            item = items_out.write_media(items_out.item_id("image", self._options, place), part.raw)
        else:
            own = self._options.origin in ("", items_out.ORIGIN)  # others have blocks of the same names
            item = part.raw if own and part.name in OWN_ITEMS and part.raw[:1] == b"{" else None
        if item is None:
            self._losses.add((ROOT, part.name.decode()), "OpenAI Responses has no place for it")
        else:
            self.items.append(item)

    def close(self) -> None:
        """Ends the message that is open: texts and refusals that follow one another are the parts of one."""
        if self._content:
            ident = items_out.item_id("message", self._options, len(self.items))
            self.items.append(items_out.write_message(ident, self._content, b"completed"))
            self._content = []


OWN_ITEMS: Final = frozenset(
    {
        *(b"web_search_call", b"file_search_call", b"code_interpreter_call", b"computer_call", b"image_generation_call"),
        *(b"mcp_call", b"mcp_list_tools", b"mcp_approval_request", b"program", b"program_output", b"compaction"),
        *(b"tool_search_call", b"tool_search_output", b"additional_tools", b"shell_call", b"shell_call_output"),
    }
)
"""Items that are named by their `type` as private parts, and are written back as they were."""


def write_reply(reply: Reply, options: StreamOptions, losses: Losses) -> bytes:
    """A Reply as a `response` object with our ids and the model name that the client asked for."""
    output = _Output(options, losses)
    for part in reply.parts:
        output.add(part)
    output.close()
    calls = any(isinstance(part, CallPart) for part in reply.parts)
    stop = reply.stop_reason or ("tool_use" if calls else "end_turn")
    if reply.stop_sequence is not None:
        losses.add((ROOT, "stop_sequence"), "OpenAI Responses does not say which stop sequence it was")
    return items_out.write_response(options, b",".join(output.items), reply.usage, stop, output.refused)
