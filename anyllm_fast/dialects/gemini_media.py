"""inlineData and fileData of Gemini, both ways."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Raw

from anyllm_fast.dialects.gemini_signature import standard_base64
from anyllm_fast.dialects.gemini_spelling import open_message
from anyllm_fast.neutral.losses import Where
from anyllm_fast.neutral.members import leftovers, need_string, refuse, string_of, take_string, take_text, text_of
from anyllm_fast.neutral.outgoing import Json, Outgoing
from anyllm_fast.neutral.request import Media

Kind = Literal["image", "document", "audio", "video"]

_TYPES: Final = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "bmp": "image/bmp",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "m4a": "audio/mp4",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "mpeg": "video/mpeg",
}
_USUAL: Final = {"image": "image/jpeg", "document": "application/pdf", "audio": "audio/mpeg", "video": "video/mp4"}
_FILES: Final = "https://generativelanguage.googleapis.com/"
_FILMS: Final = ("https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/")
_AUDIO: Final = {"mp3": "mpeg", "wave": "wav", "x-wav": "wav", "pcm16": "pcm"}
_LEVELS: Final = {b'"low"': "MEDIA_RESOLUTION_LOW", b'"high"': "MEDIA_RESOLUTION_HIGH"}


def read_inline(raw: Raw, where: Where) -> Media:
    """A Blob. Its base64 comes in either alphabet and leaves in the standard one, the only one that other vendors read."""
    here: Where = (where, "inlineData")
    inside = open_message(raw, here)
    media_type = (take_text(inside, "mimeType", here) or "").lower()
    media = Media(kind=_kind_of(media_type), media_type=media_type, where=where)
    media.data = Raw(standard_base64(bytes(need_string(inside, "data", here))))
    return _named(media, inside, here)


def read_file(raw: Raw, where: Where) -> Media:
    """A FileData: a file that Google holds by its id, any other by its address."""
    here: Where = (where, "fileData")
    inside = open_message(raw, here)
    uri = need_string(inside, "fileUri", here)
    text = text_of(uri)
    media_type = (take_text(inside, "mimeType", here) or "").lower()
    media = Media(kind=_kind_of(media_type or _type_of(text)), media_type=media_type, where=where)
    if text.startswith(_FILMS):
        media.kind = "video"
    if text.startswith(("http://", "https://")) and not text.startswith(_FILES):
        media.url = uri
    else:
        media.file_id = uri
    return _named(media, inside, here)


def _named(media: Media, inside: dict[str, Raw], where: Where) -> Media:
    if media.kind == "document":  # pictures and sounds have no names elsewhere
        media.name = take_string(inside, "displayName", where)
        media.name_where = (where, "displayName")
    if rest := leftovers(inside):
        media.inner = {str(where[1]) if where else "": rest}
    return media


def _kind_of(media_type: str) -> Kind:
    head = media_type.partition("/")[0]
    return head if head in ("image", "audio", "video") else "document"  # type: ignore[return-value]  # three of its words


def _type_of(address: str) -> str:
    """By the end of its path; "" if that says nothing."""
    path = address.partition("?")[0].partition("#")[0]
    return _TYPES.get(path.rpartition("/")[2].rpartition(".")[2].lower(), "")


def write_media(part: Media, outgoing: Outgoing) -> Json:
    """One part. What it is called and what it is about goes before it as text, in the conversation's writer."""
    if part.data is not None:
        name, blob = "inlineData", _blob(part, part.data, outgoing.own)
    elif (address := part.url if part.url is not None else part.file_id) is not None:
        name, blob = "fileData", _file(part, address, outgoing.own)
    else:
        raise refuse(part.where, f"the target takes a {part.kind} only with its data, by a URL or by a file id")
    if outgoing.own and part.name is not None:
        blob["displayName"] = part.name
    out: Json = {name: blob}
    if part.detail is not None and bytes(part.detail) != b'"auto"':
        level = _LEVELS.get(bytes(part.detail))
        if level is not None and outgoing.profile.part_resolution:
            out["mediaResolution"] = {"level": level}
        else:
            outgoing.lose(part.detail_where, "the model takes no resolution for one picture")
    if part.citations is not None:
        outgoing.lose((part.where, "citations"), "the target cites no documents")
    if part.cache is not None:
        outgoing.lose(part.cache.where, "the target caches prompts unasked")
    outgoing.private(out, part.private, part.where)
    outgoing.inner(out, part.inner, part.where)
    return out


def _blob(part: Media, data: Raw, own: bool) -> Json:
    media_type = part.media_type
    if not own and part.kind == "audio":
        head, _, tail = media_type.partition("/")
        media_type = f"{head}/{_AUDIO.get(tail, tail)}"
    out: Json = {} if own and not media_type else {"mimeType": media_type or _USUAL[part.kind]}
    out["data"] = data
    return out


def _file(part: Media, address: Raw, own: bool) -> Json:
    """Vertex wants to be told the type; where nobody said one it is read off the address."""
    media_type = part.media_type if own or part.media_type else _type_of(text_of(address)) or _USUAL[part.kind]
    out: Json = {"mimeType": media_type} if media_type else {}
    out["fileUri"] = address
    return out


def label_of(part: Media) -> list[Raw]:
    """What is said before a picture or file: its name and what it is about."""
    lines = [] if part.name is None else [f"Document: {text_of(part.name)}"]
    if part.context is not None:
        lines.append(text_of(part.context))
    return [string_of("\n".join(lines))] if lines else []
