"""Writes neutral parts as content parts of OpenAI Chat Completions. Reads nothing."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from typing import Final

from msgspec import Raw
from msgspec.structs import replace

from anyllm_fast.dialects.openai_chat_cache import drop, write_mark
from anyllm_fast.neutral.members import encode, refuse, string_of, text_of
from anyllm_fast.neutral.outgoing import Json, Outgoing
from anyllm_fast.neutral.request import CacheMark, Foreign, Media, Part, Refusal, Text, ToolCall, ToolResult

Parts = list[Json | Raw]

_NO_LIST: Final = Raw(b"[]")
_TEXTS: Final = re.compile(r"text/|application/(json|xml|yaml|x-yaml|toml|javascript|x-sh|sql)$")
_SCHEME: Final = re.compile(rb'"([a-zA-Z][a-zA-Z0-9+.-]*):(?:/|\\/){2}')
_SOUNDS: Final = {"mpeg": "mp3", "mpga": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav"}
"""Media types of the formats that the API names otherwise."""
_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
_ENDINGS: Final = {
    "application/msword": ".doc",
    f"{_OFFICE}wordprocessingml.document": ".docx",
    "application/vnd.ms-excel": ".xls",
    f"{_OFFICE}spreadsheetml.sheet": ".xlsx",
    f"{_OFFICE}presentationml.presentation": ".pptx",
}


def flat(parts: list[Part], outgoing: Outgoing, *, spaced: bool = False) -> Iterator[Part]:
    """The parts that the API has a form for: foreign ones and text documents become texts. `spaced`: on lines of their own."""
    for part in parts:
        match part:
            case Text() | ToolCall():
                yield part
            case Foreign() if not outgoing.own:
                if part.parts is None:
                    raise refuse(part.where, f"a {part.type} part cannot be carried to this target")
                outgoing.foreign(part)
                inside = list(flat(part.parts, outgoing))
                if part.cache is not None and not (inside and isinstance(inside[-1], Text)):
                    drop(part.cache, outgoing)
                yield from _marked(inside, part.cache, spaced)
            case Media() if part.kind == "document" and not outgoing.own:
                yield from _document(part, outgoing)
            case Media() if part.url is not None and _is_elsewhere(part) and not outgoing.own:
                outgoing.lose(part.where, f"the target cannot fetch this {part.kind}: it is only told the address")
                yield Text(text=string_of(f"[{part.kind}: {text_of(part.url)}]"), cache=part.cache, where=part.where)
            case ToolResult():
                raise refuse(part.where, "a tool result belongs into a user message, behind the call that it answers")
            case _:
                yield part


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
    text = part.text if part.text is not None else _written(part)
    whole = text is None and part.parts is None and part.url is None
    lines = [] if part.name is None or whole else [f"Document: {text_of(part.name)}"]
    if part.context is not None:
        lines.append(text_of(part.context))
    if part.url is not None:
        outgoing.lose(part.where, "the target cannot fetch a document: it is only told the address")
        lines.append(text_of(part.url))
    if lines:
        yield Text(text=string_of("\n".join(lines)), where=part.where)
    if whole:
        yield part
        return
    outgoing.private({}, part.private, part.where)
    outgoing.inner({}, part.inner, part.where)
    if part.url is not None:
        if part.cache is not None:
            drop(part.cache, outgoing)
        return
    if text is not None:
        yield Text(text=text, cache=part.cache, where=part.where)
        return
    inside = part.parts or []
    for place, each in enumerate(inside, 1):
        marked = place == len(inside) and part.cache is not None and isinstance(each, Text | Media)
        yield replace(each, cache=part.cache) if marked else each


def _is_elsewhere(part: Media) -> bool:
    """Whether a picture, sound or film has an address from which the API takes none."""
    scheme = _SCHEME.match(bytes(part.url or b""))
    return scheme is not None and (part.kind == "audio" or scheme[1].lower() not in (b"http", b"https"))


def _written(part: Media) -> Raw | None:
    """What a file of text says; None for one of another kind, or whose text cannot be read."""
    if part.data is None or not _TEXTS.match(part.media_type):
        return None
    try:
        return string_of(b64decode(text_of(part.data), validate=True).decode())
    except ValueError:
        return None


def write_part(part: Part, outgoing: Outgoing) -> Json | Raw:
    match part:
        case Text():
            out: Json = {"type": "text", "text": part.text}
            if part.citations is not None and part.citations != _NO_LIST:
                outgoing.lose((part.where, "citations"))
            write_mark(out, part.cache, outgoing)
        case Refusal():
            out = {"type": "refusal", "refusal": part.text}
        case Media():
            out = _media(part, outgoing)
            if part.detail is not None and part.kind != "image" and bytes(part.detail) != b'"auto"':
                outgoing.lose(part.detail_where)
            write_mark(out, part.cache, outgoing)
            outgoing.inner(out, part.inner, part.where)
        case Foreign() if outgoing.own:
            return part.raw
        case _:
            raise refuse(part.where, "a part that the target does not take in this place")
    outgoing.private(out, part.private, part.where)
    return out


def _media(part: Media, outgoing: Outgoing) -> Json:
    if part.kind == "image" and part.file_id is None:
        return {"type": "image_url", "image_url": _image(part, outgoing)}
    if part.kind == "audio" and part.data is not None:
        sort = part.media_type.removeprefix("audio/")
        return {
            "type": "input_audio",
            "input_audio": {"data": part.data, "format": sort if outgoing.own else _SOUNDS.get(sort, sort)},
        }
    if part.kind == "video" and part.file_id is None:
        return {"type": "video_url", "video_url": {"url": part.url if part.data is None else _data_url(part)}}
    file: Json = {}
    if part.file_id is not None:
        file["file_id"] = part.file_id
    elif part.data is not None:
        file["file_data"] = _data_url(part) if part.media_type else part.data
    else:
        raise refuse(part.where, f"the target takes a {part.kind} only with its data or by a file id")
    name = part.name if outgoing.own else _filename(part)
    if name is not None:
        file["filename"] = name
    return {"type": "file", "file": file}


def _image(part: Media, outgoing: Outgoing) -> Json:
    if part.data is not None:
        out: Json = {"url": _data_url(part)}
    else:
        out = {"url": part.url}
    if part.detail is not None:
        out["detail"] = part.detail
    return out


def _data_url(part: Media) -> Raw:
    data = part.data if part.data is not None else Raw(b'""')
    return Raw(b'"data:' + encode(part.media_type)[1:-1] + b";base64," + bytes(data)[1:])


def _filename(part: Media) -> Raw | None:
    """A name ends the way its type does; the API tells files apart by it. A file of its own has a name already."""
    if part.file_id is not None:
        return None
    name = text_of(part.name) if part.name is not None else "document"
    ending = _ENDINGS.get(part.media_type, ".pdf" if part.media_type in ("", "application/pdf") else "")
    return string_of(name if name.lower().endswith(ending) else name + ending)
