"""Reads the content of OpenAI Responses items: strings, and arrays of parts. Writes nothing.

Every part comes with its shell: the members that its own dialect wants back and that say nothing to others, or that others
announce. So `shell` and the part's text together are what the client sent.
Source: the SDK's types/responses/response_input_content.py and response_output_message.py.
"""

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

CONTENT: Final = "a string or an array"
_NO_LIST: Final = b"[]"
_TYPES: Final = {
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "xml": "application/xml",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
"""By the end of a file's name: what `file_data` holds where it does not say so itself."""


def read_content(raw: Raw, where: Where) -> tuple[list[Part], list[Members] | None]:
    """The parts of a content and their shells; None for these if it was a bare string. `where` is its path."""
    if is_string(raw):
        return [Text(text=raw, where=where)], None
    if memoryview(raw)[0] != 0x5B:
        raise wrong(raw, CONTENT, where)
    parts: list[Part] = []
    shells: list[Members] = []
    for index, members in enumerate(open_objects(raw, where)):
        part, shell = read_part(members, (where, index))
        parts.append(part)
        shells.append(shell)
    return parts, shells


def read_part(members: Members, where: Where) -> tuple[Part, Members]:
    kind = members.get("type")
    if kind is None or not is_string(kind):
        raise wrong(kind, "a string", (where, "type"))
    name = text_of(kind)
    shell = dict(members)
    reader = _PARTS.get(name)
    if reader is None:
        return Foreign(type=name, raw=Raw(encode(members)), where=where), shell
    del members["type"]
    return reader(members, where, shell), shell


def _read_text(members: Members, where: Where, shell: Members) -> Text:
    text = Text(text=need_string(members, "text", where), where=where)
    del shell["text"]
    if members:
        text.cache = take_cache(members, where)
        for name in ("annotations", "logprobs"):
            if bytes(members.get(name, b"")) == _NO_LIST:
                del members[name]
        text.private = leftovers(members)
    return text


def _read_refusal(members: Members, where: Where, shell: Members) -> Refusal:
    text = need_string(members, "refusal", where)
    del shell["refusal"]
    return Refusal(text=text, private=leftovers(members), where=where)


def _read_image(members: Members, where: Where, shell: Members) -> Media:
    """`image_url` is a string here; clients that think of Chat send its object."""
    media = Media(kind="image", where=where)
    raw = members.pop("image_url", None)
    if raw is not None and memoryview(raw)[0] == 0x7B:
        inside = open_object(raw, (where, "image_url"))
        raw = need_string(inside, "url", (where, "image_url"))
        members.setdefault("detail", inside.pop("detail", Raw(b"null")))
    if raw is not None and bytes(raw) != b"null":
        if not is_string(raw):
            raise wrong(raw, "a string", (where, "image_url"))
        media.url = raw
        split_data_url(media, raw)
    _read_file_id(media, members)
    if media.url is None and media.data is None and media.file_id is None:
        raise wrong(None, "image_url or file_id", where)
    return _finish(media, members)


def _read_file(members: Members, where: Where, shell: Members) -> Media:
    media = Media(kind="document", where=where)
    media.name = take_string(members, "filename", where)
    media.name_where = (where, "filename")
    data = take_string(members, "file_data", where)
    if data is not None and not split_data_url(media, data):
        media.data = data
        media.media_type = _type_of(media)
    url = members.get("file_url")
    if data is None and url is not None and is_string(url):
        media.url = url
        del members["file_url"]
    _read_file_id(media, members)
    if media.url is None and media.data is None and media.file_id is None:
        raise wrong(None, "file_data, file_url or file_id", where)
    return _finish(media, members)


def _read_audio(members: Members, where: Where, shell: Members) -> Media:
    """Not published for this API; hosts around OpenAI take it in Chat's form."""
    here: Where = (where, "input_audio")
    inside = open_object(need(members, "input_audio", "an object", where), here)
    media = Media(kind="audio", where=where)
    media.data = need_string(inside, "data", here)
    media.media_type = "audio/" + need_text(inside, "format", here)
    return _finish(media, members)


def _read_file_id(media: Media, members: Members) -> None:
    """Counts where nothing else was given; beside data or a URL it is left over."""
    raw = members.get("file_id")
    if raw is not None and is_string(raw) and media.data is None and media.url is None:
        media.file_id = raw
        del members["file_id"]


def _finish(media: Media, members: Members) -> Media:
    if media.kind == "image":
        media.detail = take_string(members, "detail", media.where)
        media.detail_where = (media.where, "detail")
    if members:
        media.cache = take_cache(members, media.where)
        media.private = leftovers(members)
    return media


def _type_of(media: Media) -> str:
    name = "" if media.name is None else text_of(media.name)
    return _TYPES.get(name.rpartition(".")[2].lower(), "")


def split_data_url(media: Media, url: Raw) -> bool:
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


_PARTS: Final[dict[str, Callable[[Members, Where, Members], Part]]] = {
    "input_text": _read_text,
    "output_text": _read_text,
    "text": _read_text,
    "summary_text": _read_text,
    "reasoning_text": _read_text,
    "refusal": _read_refusal,
    "input_image": _read_image,
    "computer_screenshot": _read_image,
    "input_file": _read_file,
    "input_audio": _read_audio,
}
