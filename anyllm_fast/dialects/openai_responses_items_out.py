"""Finished output items of OpenAI Responses, the usage object and the Response object, as bytes. Reads nothing, knows no stream.

One source for whole replies and for both twins of the stream encoder, so that a reply is the same however it is asked for.
Arguments that end in `_span`, and all texts, are insides of JSON strings; `raw` values are JSON.

Rules that every writer of items follows:

    ids        PREFIXES[kind] + StreamOptions.ident + `_` + place of the item in `output`; the response is `resp_` + ident
    messages   texts and refusals that follow one another are the parts of one message item
    thinking   one reasoning item each, with one summary part (none where there is no text)
    redacted   a reasoning item without summary, its encrypted_content as `encrypted` says it
    calls      by StreamOptions.forms, see `write_call`
Schema: the SDK's types/responses/response.py and response_output_item.py.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from anyllm_fast.neutral.custom_tools import input_of
from anyllm_fast.neutral.request import ToolForm
from anyllm_fast.neutral.signatures import redacted, tagged
from anyllm_fast.neutral.spans import escaped, text_of
from anyllm_fast.neutral.stream import StopReason, StreamOptions
from anyllm_fast.neutral.usage import Usage

ORIGIN: Final = "openai_responses"
PREFIXES: Final = {
    "message": b"msg_",
    "reasoning": b"rs_",
    "function": b"fc_",
    "namespaced": b"fc_",
    "custom": b"ctc_",
    "local_shell": b"lsh_",
    "shell": b"sh_",
    "apply_patch": b"apc_",
    "image": b"ig_",
}
"""By kind of item; calls by the kind of their ToolForm, `function` where there is none."""

INCOMPLETE: Final[dict[StopReason, bytes]] = {
    "max_tokens": b"max_output_tokens",
    "context_window": b"max_output_tokens",
    "pause_turn": b"max_output_tokens",  # cut short, to be gone on with
    "content_filter": b"content_filter",
}
"""Reasons of a reply that is not whole. Every other stop is a completed one; `refusal` without a refusal part is a filter's."""


def response_id(options: StreamOptions) -> bytes:
    return b"resp_" + options.ident


def item_id(kind: str, options: StreamOptions, place: int) -> bytes:
    """The id of the item at `place` of the output. `kind` is a key of PREFIXES."""
    return b"%b%b_%d" % (PREFIXES[kind], options.ident, place)


def encrypted(options: StreamOptions, opaque: bytes) -> bytes:
    """A signature, as `encrypted_content` (span). Our own vendor's leaves without the item id that its decoder put before it."""
    if options.origin == ORIGIN:
        return opaque.partition(b":")[2] or opaque
    return tagged(options.origin, opaque)


def encrypted_redacted(options: StreamOptions, data: bytes) -> bytes:
    return tagged(options.origin, redacted(data))


def incomplete_reason(reason: StopReason | None, refused: bool) -> bytes:
    """`incomplete_details.reason`; b"" where the reply is complete. `refused`: a refusal part was written."""
    if reason == "refusal" and not refused:
        return b"content_filter"
    return INCOMPLETE.get(reason, b"") if reason is not None else b""


# -- items -------------------------------------------------------------------------------------------------------------


def write_text_part(text: bytes, annotations: list[bytes], logprobs: list[bytes]) -> bytes:
    """`annotations` in this dialect's flat form, `logprobs` raw arrays."""
    return b'{"type":"output_text","annotations":[%b],"logprobs":[%b],"text":"%b"}' % (
        b",".join(annotations),
        b",".join(inside for raw in logprobs if (inside := raw.strip()[1:-1].strip())),
        text,
    )


def write_refusal_part(text: bytes) -> bytes:
    return b'{"type":"refusal","refusal":"%b"}' % text


def write_message(ident: bytes, parts: list[bytes], status: bytes) -> bytes:
    return b'{"id":"%b","type":"message","status":"%b","role":"assistant","content":[%b]}' % (ident, status, b",".join(parts))


def write_summary_part(text: bytes) -> bytes:
    return b'{"type":"summary_text","text":"%b"}' % text


def write_reasoning(ident: bytes, text: bytes, encrypted_span: bytes) -> bytes:
    """A finished reasoning item; without summary where `text` is empty, without encrypted_content where nobody signed."""
    summary = write_summary_part(text) if text else b""
    proof = b',"encrypted_content":"%b"' % encrypted_span if encrypted_span else b""
    return b'{"id":"%b","type":"reasoning","summary":[%b]%b}' % (ident, summary, proof)


def call_kind(form: ToolForm | None, args: bytes) -> str:
    """The kind of a call whose arguments (JSON, not escaped) are known: a built-in tool's are an object, or it is a function."""
    if form is None:
        return "function"
    if form.kind in _BUILT_IN and not _is_object(args):
        return "function"
    return form.kind


def write_call(ident: bytes, call: tuple[bytes, bytes, ToolForm | None], args_span: bytes, status: bytes) -> bytes:
    """A finished call item. `call` is (call id, name, form), `name` without form the tool's own; `args_span` its arguments,
    escaped once."""
    call_id, name, form = call
    args = raw_args(args_span)
    kind = call_kind(form, args)
    if kind in _BUILT_IN:
        return b'{"id":"%b","type":"%b","status":"%b","call_id":"%b","%b":%b}' % (
            ident,
            CALL_TYPES[kind],
            status,
            call_id,
            _BUILT_IN[kind],
            one_line(args),
        )
    if kind == "custom":
        return b'{"id":"%b","type":"custom_tool_call","status":"%b","call_id":"%b","input":"%b",%b}' % (
            ident,
            status,
            call_id,
            input_of(args),
            name_members(name, form),
        )
    return b'{"id":"%b","type":"function_call","status":"%b","arguments":"%b","call_id":"%b",%b}' % (
        ident,
        status,
        args_span,
        call_id,
        name_members(name, form),
    )


CALL_TYPES: Final = {
    "function": b"function_call",
    "namespaced": b"function_call",
    "custom": b"custom_tool_call",
    "local_shell": b"local_shell_call",
    "shell": b"shell_call",
    "apply_patch": b"apply_patch_call",
}
_BUILT_IN: Final = {"local_shell": b"action", "shell": b"action", "apply_patch": b"operation"}
"""Where a built-in tool's call has its arguments."""


def name_members(name: bytes, form: ToolForm | None) -> bytes:
    """`"name":...`, and the namespace where there is one."""
    if form is None:
        return b'"name":"%b"' % name
    if form.namespace:
        return b'"name":"%b","namespace":"%b"' % (form.name, form.namespace)
    return b'"name":"%b"' % form.name


def raw_args(args_span: bytes) -> bytes:
    """Arguments as JSON; `{}` where there are none, b"" where the span is no sound text."""
    try:
        return text_of(args_span).encode() if args_span else b"{}"
    except ValueError:
        return b""


def one_line(raw: bytes) -> bytes:
    """JSON without line ends, which would end a line of an event. In sound JSON they stand between values only."""
    return raw.replace(b"\n", b" ").replace(b"\r", b" ")


def _is_object(args: bytes) -> bool:
    try:
        return bytes(_decode_raw(args)).lstrip()[:1] == b"{"
    except (ValueError, RecursionError):
        return False


class _Media(msgspec.Struct):
    media_type: str = ""
    data: str = ""


_decode_raw = msgspec.json.Decoder(Raw).decode
_decode_media = msgspec.json.Decoder(_Media).decode
_IMAGES: Final = {"image/png": b"png", "image/webp": b"webp", "image/jpeg": b"jpeg", "image/gif": b"gif", "image/svg+xml": b"svg"}


def write_media(ident: bytes, raw: bytes) -> bytes | None:
    """A generated image (a private `media`) as an item; None for what is no image."""
    try:
        media = _decode_media(raw)
    except ValueError:
        return None
    kind = _IMAGES.get(media.media_type.partition(";")[0].strip().lower())
    if kind is None or not media.data:
        return None
    data = escaped(media.data.encode())
    return b'{"id":"%b","type":"image_generation_call","status":"completed","output_format":"%b","result":"%b"}' % (
        ident,
        kind,
        data,
    )


# -- the response ------------------------------------------------------------------------------------------------------


def write_usage(counts: Usage) -> bytes:
    """The usage object, in which all prompt tokens are input_tokens; `null` where nothing is known."""
    if not counts.known:
        return b"null"
    prompt, output = max(counts.prompt, 0), max(counts.output, 0)
    return (
        b'{"input_tokens":%d,"input_tokens_details":{"cached_tokens":%d,"cache_write_tokens":%d},'
        b'"output_tokens":%d,"output_tokens_details":{"reasoning_tokens":%d},"total_tokens":%d}'
    ) % (prompt, max(counts.cache_read, 0), max(counts.cache_write, 0), output, max(counts.reasoning, 0), prompt + output)


def write_response(options: StreamOptions, output: bytes, counts: Usage, reason: StopReason, refused: bool) -> bytes:
    """A finished Response: `output` is its items, comma separated."""
    why = incomplete_reason(reason, refused)
    status = b"incomplete" if why else b"completed"
    details = b'{"reason":"%b"}' % why if why else b"null"
    return response_object(options, status, (b"null", details, write_usage(counts)), output)


def response_object(options: StreamOptions, status: bytes, said: tuple[bytes, bytes, bytes], output: bytes) -> bytes:
    """Any Response object; `said` is (error, incomplete_details, usage). What was asked for is not known here."""
    error, details, usage = said
    return (
        b'{"id":"%b","object":"response","created_at":%d,"status":"%b","background":false,"error":%b,"incomplete_details":%b,'
        b'"instructions":null,"max_output_tokens":null,"model":"%b","output":[%b],"parallel_tool_calls":true,'
        b'"previous_response_id":null,"reasoning":{"effort":null,"summary":null},"store":false,"temperature":null,'
        b'"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],"top_p":null,"truncation":"disabled",'
        b'"usage":%b,"user":null,"metadata":{}}'
    ) % (response_id(options), options.created, status, error, details, options.model, output, usage)
