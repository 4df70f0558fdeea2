"""Reads the content of OpenAI Chat Completions messages: strings, and arrays of parts. Writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Raw

from anyllm_fast.dialects.openai_chat_cache import take_cache
from anyllm_fast.neutral.losses import Where
from anyllm_fast.neutral.members import (
    encode,
    is_string,
    leftovers,
    need,
    need_string,
    need_text,
    open_object,
    open_objects,
    take_string,
    text_of,
    wrong,
)
from anyllm_fast.neutral.request import Foreign, Media, Members, Part, Refusal, Text


def read_content(raw: Raw, where: Where) -> tuple[list[Part], bool]:
    """The parts of a `content`, and whether it was a bare string. `where` is its path."""
    if is_string(raw):
        return [Text(text=raw, where=where)], True
    if memoryview(raw)[0] != 0x5B:
        raise wrong(raw, "a string or an array", where)
    parts: list[Part] = []
    for index, members in enumerate(open_objects(raw, where)):
        here = (where, index)
        kind = members.pop("type", None)
        if kind is None:
            raise wrong(None, "a string", (here, "type"))
        reader = _PARTS.get(bytes(kind))
        parts.append(_read_other(kind, members, here) if reader is None else reader(members, here))
    return parts, False


def _read_other(kind: Raw, members: Members, where: Where) -> Part:
    if not is_string(kind):
        raise wrong(kind, "a string", (where, "type"))
    name = text_of(kind)
    reader = _PARTS.get(encode(name))
    if reader is not None:
        return reader(members, where)
    return Foreign(type=name, raw=Raw(encode({"type": kind, **members})), where=where)


def _read_text(members: Members, where: Where) -> Text:
    text = Text(text=need_string(members, "text", where), where=where)
    if members:
        text.cache = take_cache(members, where)
        text.private = leftovers(members)
    return text


def _read_refusal(members: Members, where: Where) -> Refusal:
    return Refusal(text=need_string(members, "refusal", where), private=leftovers(members), where=where)


def read_image(members: Members, where: Where) -> Media:
    """`image_url` is an object; some clients send the URL itself."""
    media = Media(kind="image", where=where)
    raw = need(members, "image_url", "an object", where)
    here: Where = (where, "image_url")
    inside = {"url": raw} if is_string(raw) else open_object(raw, here)
    media.url = need_string(inside, "url", here)
    media.detail = take_string(inside, "detail", here)
    media.detail_where = (here, "detail")
    _split_data_url(media, media.url)
    return _finish(media, members, "image_url", inside)


def _read_video(members: Members, where: Where) -> Media:
    """OpenAI has none; vLLM, OpenRouter, Qwen and Zhipu agree on this one."""
    media = Media(kind="video", where=where)
    here: Where = (where, "video_url")
    inside = open_object(need(members, "video_url", "an object", where), here)
    media.url = need_string(inside, "url", here)
    _split_data_url(media, media.url)
    return _finish(media, members, "video_url", inside)


def _read_audio(members: Members, where: Where) -> Media:
    here: Where = (where, "input_audio")
    inside = open_object(need(members, "input_audio", "an object", where), here)
    media = Media(kind="audio", where=where)
    media.data = need_string(inside, "data", here)
    media.media_type = "audio/" + need_text(inside, "format", here)
    return _finish(media, members, "input_audio", inside)


def _read_file(members: Members, where: Where) -> Media:
    here: Where = (where, "file")
    inside = open_object(need(members, "file", "an object", where), here)
    media = Media(kind="document", where=where)
    media.name = take_string(inside, "filename", here)
    media.name_where = (here, "filename")
    media.file_id = take_string(inside, "file_id", here)
    data = take_string(inside, "file_data", here)
    if data is not None:
        media.file_id = None
        if not _split_data_url(media, data):
            media.data = data
            media.media_type = "application/pdf" if media.name and text_of(media.name).lower().endswith(".pdf") else ""
    elif media.file_id is None:
        raise wrong(None, "file_data or file_id", here)
    return _finish(media, members, "file", inside)


def _finish(media: Media, members: Members, name: str, inside: Members) -> Media:
    rest = leftovers(inside)
    if rest:
        media.inner = {name: rest}
    if members:
        media.cache = take_cache(members, media.where)
        media.private = leftovers(members)
    return media


def _split_data_url(media: Media, url: Raw) -> bool:
    """Takes `data:image/png;base64,...` apart; the data is not copied out of its escapes (a `\\/` stays one)."""
    value = bytes(url)
    if value[1:6].lower() != b"data:":
        return False
    head, comma, data = value[6:-1].partition(b",")
    if not comma or not head.endswith(b";base64"):
        return False
    media.url = None
    media.data = Raw(b'"' + data + b'"')
    media.media_type = head.split(b";", 1)[0].replace(b"\\/", b"/").decode().lower()
    return True


_PARTS: Final[dict[bytes, Callable[[Members, Where], Part]]] = {
    b'"text"': _read_text,
    b'"refusal"': _read_refusal,
    b'"image_url"': read_image,
    b'"video_url"': _read_video,
    b'"input_audio"': _read_audio,
    b'"file"': _read_file,
}
