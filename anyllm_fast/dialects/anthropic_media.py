"""Reads the content blocks of Anthropic Messages that hold something to look at: text, images, documents. Writes nothing."""

from __future__ import annotations

from typing import Final

from msgspec import Raw

from anyllm_fast.dialects.anthropic_cache import take_cache
from anyllm_fast.neutral.losses import Where
from anyllm_fast.neutral.members import (
    is_string,
    leftovers,
    need,
    need_string,
    need_text,
    open_object,
    open_objects,
    refuse,
    take_object,
    take_string,
    text_of,
    wrong,
)
from anyllm_fast.neutral.members import take as take_any
from anyllm_fast.neutral.request import Media, Members, Part, Text

_OFF: Final = Raw(b"false")


def read_text(members: Members, where: Where) -> Text:
    text = need_string(members, "text", where)
    if not members:
        return Text(text=text, where=where)
    cache = take_cache(members, where)
    citations = take_any(members, "citations")
    if citations is not None and memoryview(citations)[0] != 0x5B:
        raise wrong(citations, "an array", (where, "citations"))
    return Text(text=text, cache=cache, citations=citations, private=leftovers(members), where=where)


def read_image(members: Members, where: Where) -> Media:
    media = Media(kind="image", where=where)
    _read_source(media, need(members, "source", "an object", where), where)
    return _finish(media, members)


def read_document(members: Members, where: Where) -> Media:
    media = Media(kind="document", where=where)
    _read_source(media, need(members, "source", "an object", where), where)
    media.name = take_string(members, "title", where)
    media.context = take_string(members, "context", where)
    citations = take_object(members, "citations", where)
    if citations is not None and open_object(citations, (where, "citations")) not in ({}, {"enabled": _OFF}):
        media.citations = citations
    return _finish(media, members)


def _finish(media: Media, members: Members) -> Media:
    if members:
        media.cache = take_cache(members, media.where)
        media.private = leftovers(members)
    return media


def _read_source(media: Media, raw: Raw, where: Where) -> None:
    here = (where, "source")
    source = open_object(raw, here)
    kind = need_text(source, "type", here)
    if kind == "base64":
        media.media_type = need_text(source, "media_type", here)
        media.data = need_string(source, "data", here)
    elif kind == "url":
        media.url = need_string(source, "url", here)
    elif kind == "file":
        media.file_id = need_string(source, "file_id", here)
    elif kind == "text" and media.kind == "document":
        media.media_type = _plain_text(source, here)
        media.text = need_string(source, "data", here)
    elif kind == "content" and media.kind == "document":
        media.parts = _read_inside(need(source, "content", "a string or an array", here), (here, "content"))
    else:
        raise refuse((here, "type"), f"an {media.kind} cannot have a source of type {kind!r}")
    if source:
        rest = leftovers(source)
        if rest:
            media.inner = {"source": rest}


def _plain_text(source: Members, where: Where) -> str:
    raw = take_string(source, "media_type", where)
    return "text/plain" if raw is None else text_of(raw)


def _read_inside(raw: Raw, where: Where) -> list[Part]:
    """The content of a document that is given as content: a string, or text and image blocks."""
    if is_string(raw):
        return [Text(text=raw, where=where)]
    parts: list[Part] = []
    for index, members in enumerate(open_objects(raw, where)):
        here = (where, index)
        kind = need_text(members, "type", here)
        if kind == "text":
            parts.append(read_text(members, here))
        elif kind == "image":
            parts.append(read_image(members, here))
        else:
            raise refuse((here, "type"), f"a document cannot contain a block of type {kind!r}")
    return parts
