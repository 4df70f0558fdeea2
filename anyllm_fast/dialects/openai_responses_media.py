"""Writes neutral parts as content parts of OpenAI Responses. Reads nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Raw
from msgspec.structs import replace

from anyllm_fast.dialects.openai_chat_cache import drop, write_mark
from anyllm_fast.neutral.members import encode, refuse, string_of, text_of
from anyllm_fast.neutral.outgoing import Json, Outgoing
from anyllm_fast.neutral.request import CacheMark, Foreign, Media, Part, Refusal, Text, ToolResult

_NO_LIST: Final = Raw(b"[]")
_EMPTY: Final = Raw(b'""')
_WEB: Final = re.compile(rb'"(?i:https?|data):')
_ENDS: Final = {
    "application/pdf": "pdf",
    "text/plain": "txt",
    "text/markdown": "md",
    "text/csv": "csv",
    "text/html": "html",
    "application/json": "json",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
}
"""How the name of a file ends: the API tells files apart by it."""


def flat(parts: list[Part], outgoing: Outgoing, *, spaced: bool = False) -> Iterator[Part]:
    """The parts that the API has a form for: foreign ones and text documents become texts. `spaced`: on lines of their own."""
    for part in parts:
        match part:
            case Text() if part.text == _EMPTY and not part.cache:
                announce(part, outgoing)
            case Foreign():
                if part.parts is None:
                    raise refuse(part.where, f"a {part.type} part cannot be carried to this target")
                outgoing.foreign(part)
                inside = list(flat(part.parts, outgoing))
                if part.cache is not None and not (inside and isinstance(inside[-1], Text)):
                    drop(part.cache, outgoing)
                yield from _marked(inside, part.cache, spaced)
            case Media() if part.url is not None and _is_elsewhere(part):
                outgoing.lose(part.where, f"the target cannot fetch this {part.kind}: it is only told the address")
                yield Text(text=string_of(f"[{part.kind}: {text_of(part.url)}]"), cache=part.cache, where=part.where)
            case Media() if part.kind == "document":
                yield from _document(part, outgoing)
            case ToolResult():
                raise refuse(part.where, "a tool result belongs into a user message, behind the call that it answers")
            case _:
                yield part


def _is_elsewhere(part: Media) -> bool:
    """Whether it has an address from which the API takes none."""
    return part.kind not in ("image", "document") or _WEB.match(bytes(part.url or b"")) is None


def _marked(parts: list[Part], cache: CacheMark | None, spaced: bool) -> Iterator[Part]:
    last = len(parts) - 1
    for place, part in enumerate(parts):
        if isinstance(part, Text):
            text = Raw(b'"\\n' + bytes(part.text)[1:-1] + b'\\n"') if spaced else part.text
            yield replace(part, text=text, cache=cache if cache is not None and place == last else part.cache)
        else:
            yield part


def _document(part: Media, outgoing: Outgoing) -> Iterator[Part]:
    """Title and context have no members here, so they go before the document as text (a file's name carries its title)."""
    if part.citations is not None:
        outgoing.lose((part.where, "citations"))
    whole = part.text is None and part.parts is None
    named = part.name is not None and (not whole or part.data is None)
    lines = [f"Document: {text_of(part.name)}"] if part.name is not None and named else []
    if part.context is not None:
        lines.append(text_of(part.context))
    if lines:
        yield Text(text=string_of("\n".join(lines)), where=part.where)
    if whole:
        yield part
        return
    outgoing.private({}, part.private, part.where)
    outgoing.inner({}, part.inner, part.where)
    if part.text is not None:
        yield Text(text=part.text, cache=part.cache, where=part.where)
        return
    inside = part.parts or []
    for place, each in enumerate(inside, 1):
        marked = place == len(inside) and part.cache is not None and isinstance(each, Text | Media)
        yield replace(each, cache=part.cache) if marked else each


def write_part(part: Part, outgoing: Outgoing) -> Json:
    """A part of what is put into the model: of a message or a tool's result."""
    match part:
        case Text():
            out: Json = {"type": "input_text", "text": part.text}
            announce(part, outgoing)
            write_mark(out, part.cache, outgoing)
            return out
        case Refusal():
            out = {"type": "input_text", "text": part.text}
        case Media():
            out = _media(part, outgoing)
            write_mark(out, part.cache, outgoing)
            outgoing.inner({}, part.inner, part.where)
        case _:
            raise refuse(part.where, "a part that the target does not take in this place")
    outgoing.private({}, part.private, part.where)
    return out


def write_answer(part: Part, outgoing: Outgoing) -> Json:
    """A part of what came out of it."""
    if isinstance(part, Refusal):
        outgoing.private({}, part.private, part.where)
        return {"type": "refusal", "refusal": part.text}
    if not isinstance(part, Text):
        raise refuse(part.where, "a part that the target does not take in an answer of the model")
    announce(part, outgoing)
    if part.cache is not None:
        drop(part.cache, outgoing)
    return {"type": "output_text", "text": part.text, "annotations": []}


def announce(part: Text, outgoing: Outgoing) -> None:
    if part.citations is not None and part.citations != _NO_LIST:
        outgoing.lose((part.where, "citations"))
    outgoing.private({}, part.private, part.where)


def _media(part: Media, outgoing: Outgoing) -> Json:
    if part.kind == "image":
        out: Json = {"type": "input_image", "detail": "auto"}
        if part.data is not None:
            out["image_url"] = _data_url(part)
        elif part.url is not None:
            out["image_url"] = part.url
        elif part.file_id is not None:
            out["file_id"] = part.file_id
        if part.detail is not None:
            out["detail"] = part.detail
        return out
    if part.kind != "document":
        raise refuse(part.where, f"the target takes no {part.kind}")
    if part.detail is not None:
        outgoing.lose(part.detail_where)
    if part.url is not None:
        return {"type": "input_file", "file_url": part.url}
    if part.file_id is not None:
        return {"type": "input_file", "file_id": part.file_id}
    if part.data is None:
        raise refuse(part.where, "a document without content")
    return {"type": "input_file", "filename": _filename(part), "file_data": _data_url(part)}


def _data_url(part: Media) -> Raw:
    data = part.data if part.data is not None else _EMPTY
    kind = part.media_type or ("application/pdf" if part.kind == "document" else "image/png")
    return Raw(b'"data:' + encode(kind)[1:-1] + b";base64," + bytes(data)[1:])


def _filename(part: Media) -> Raw:
    name = text_of(part.name) if part.name is not None else "document"
    end = _ENDS.get(part.media_type or "application/pdf", "")
    return string_of(name if not end or name.lower().endswith(f".{end}") else f"{name}.{end}")
