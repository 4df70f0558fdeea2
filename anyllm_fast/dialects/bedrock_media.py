"""Images, documents, videos and sounds of Bedrock Converse, both ways. Formats are words of the API's own, not media types."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Final, Literal, cast

from msgspec import Raw

from anyllm_fast.neutral.losses import Where
from anyllm_fast.neutral.members import (
    encode,
    leftovers,
    need,
    need_string,
    open_object,
    open_objects,
    refuse,
    string_of,
    take_object,
    take_string,
    text_of,
)
from anyllm_fast.neutral.outgoing import Json, Outgoing
from anyllm_fast.neutral.request import Media, Members, Part, Text

Kind = Literal["image", "document", "video", "audio"]

FORMATS: Final[dict[str, dict[str, str]]] = {
    "image": {"png": "image/png", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"},
    "document": {
        "pdf": "application/pdf",
        "csv": "text/csv",
        "doc": "application/msword",
        "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xls": "application/vnd.ms-excel",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "html": "text/html",
        "txt": "text/plain",
        "md": "text/markdown",
    },
    "video": {
        "mkv": "video/x-matroska",
        "mov": "video/quicktime",
        "mp4": "video/mp4",
        "webm": "video/webm",
        "flv": "video/x-flv",
        "mpeg": "video/mpeg",
        "mpg": "video/mpg",
        "wmv": "video/x-ms-wmv",
        "three_gp": "video/3gpp",
    },
    "audio": {
        **{name: f"audio/{name}" for name in ("mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a")},
        **{name: f"audio/{name}" for name in ("mpeg", "mpga", "pcm", "webm")},
    },
}
"""Kind -> format -> media type. Each media type once, so that a format that was read is the one that is written."""
_WORDS: Final = {kind: {media: word for word, media in words.items()} for kind, words in FORMATS.items()}
_SPELLINGS: Final = {
    "image/jpg": "image/jpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/pcm16": "audio/pcm",
    "audio/x-m4a": "audio/m4a",
    "text/x-markdown": "text/markdown",
    "application/csv": "text/csv",
}
_WRITTEN: Final = re.compile(r"text/|application/(json|xml|yaml|x-yaml|toml|javascript|x-sh|sql|x-ndjson)$")
_S3: Final = b'"s3://'
_ENDING: Final = re.compile(r"\.([A-Za-z0-9]{1,5})$")
_ENDINGS: Final = {"jpg": "jpeg", "htm": "html", "3gp": "three_gp", "markdown": "md", "text": "txt"}
_OTHER: Final = re.compile(r"[^A-Za-z0-9()\[\] -]+")
_SPACES: Final = re.compile(r" {2,}")
MAX_NAME: Final = 200


# -- reading -----------------------------------------------------------------------------------------------------------


def read_media(kind: Kind, raw: Raw, where: Where) -> Media:
    """The object in a block's member `kind`; `where` is its path."""
    inside = open_object(raw, where)
    media = Media(kind=kind, where=where)
    word = take_string(inside, "format", where)
    if word is not None:
        media.media_type = FORMATS[kind].get(text_of(word), "")
        if not media.media_type:
            inside["format"] = word
    source = need(inside, "source", "an object", where)
    if kind == "document":
        media.name = take_string(inside, "name", where)
        media.name_where = (where, "name")
        media.context = take_string(inside, "context", where)
        citations = take_object(inside, "citations", where)
        if citations is not None and bytes(open_object(citations, (where, "citations")).get("enabled", b"")) == b"true":
            media.citations = citations
    _read_source(media, open_object(source, (where, "source")), (where, "source"))
    if kind == "document" and word is None and media.data is not None:
        media.media_type = _begins_like(bytes(media.data)[1:13])
    media.private = leftovers(inside)
    return media


def _read_source(media: Media, source: Members, where: Where) -> None:
    if "bytes" in source:
        media.data = need_string(source, "bytes", where)
    elif "s3Location" in source:
        here: Where = (where, "s3Location")
        place = open_object(need(source, "s3Location", "an object", where), here)
        media.url = need_string(place, "uri", here)
        if rest := leftovers(place):
            source["s3Location"] = Raw(encode(rest))
    elif "text" in source and media.kind == "document":
        media.text = need_string(source, "text", where)
    elif "content" in source and media.kind == "document":
        here = (where, "content")
        media.parts = []
        for index, item in enumerate(open_objects(need(source, "content", "an array", where), here)):
            at: Where = (here, index)
            media.parts.append(Text(text=need_string(item, "text", at), private=leftovers(item), where=at))
    else:
        raise refuse(where, f"expected one of the sources that the API has for {media.kind}s, got {', '.join(source) or 'none'}")
    if rest := leftovers(source):
        media.inner = {"source": rest}


def _begins_like(begin: bytes) -> str:
    """The type of a file that came without a format, by how it begins (in base64): a PDF, else text."""
    return "application/pdf" if begin.startswith(b"JVBERi0") else "text/plain"


# -- writing -----------------------------------------------------------------------------------------------------------


class MediaWriter:
    """Writes media as blocks. Keeps the names of documents, which have to be different in one request."""

    __slots__ = ("_names", "_outgoing")

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing
        self._names: set[str] = set()

    def write(self, part: Media) -> list[Json]:
        """The block, and before it what the block has no member for."""
        outgoing = self._outgoing
        if outgoing.own and "guardContent" in part.private:
            return [{"guardContent": part.private["guardContent"]}]
        if not outgoing.own and _is_elsewhere(part):
            return [self._told(part)]
        if part.parts is not None and not all(isinstance(each, Text) for each in part.parts) and not outgoing.own:
            return self._apart(part, part.parts)
        kind = _kind(part)
        out: Json = {}
        before: list[Json] = []
        if kind == "document":
            before = self._about(part, out)
        elif part.name is not None:
            outgoing.lose(part.name_where or part.where, f"{kind}s have no name there")
        if part.detail is not None and bytes(part.detail) != b'"auto"':
            outgoing.lose(part.detail_where)
        word, source = self._own_source(part) if outgoing.own else self._source(part, kind)
        if word:
            out["format"] = word
        out["source"] = source
        outgoing.private(out, part.private, part.where)
        if not outgoing.own:
            outgoing.inner({}, part.inner, part.where)
        return [*before, {kind: out}]

    def _told(self, part: Media) -> Json:
        """The address of a file, sound or film that the API cannot fetch: the model is told it. A picture is refused instead: it
        is there to be looked at, and a model that is given an address answers as if it had."""
        outgoing = self._outgoing
        outgoing.lose(part.where, f"the target cannot fetch this {part.kind}: it is only told the address")
        lines = [] if part.context is None else [text_of(part.context)]
        name = "" if part.name is None else f"{text_of(part.name)}, "
        address = "" if part.url is None else text_of(part.url)
        return {"text": "\n".join([*lines, f"[{part.kind}: {name}{address}]"])}

    def _about(self, part: Media, out: Json) -> list[Json]:
        """Name, context and citations of a document. Only Claude cites; to the others the context is told before it."""
        outgoing = self._outgoing
        if outgoing.own and part.name is not None:
            out["name"] = part.name
        elif not outgoing.own:
            out["name"] = self._name(part)
        before: list[Json] = []
        claude = outgoing.own or outgoing.profile.anthropic_model
        if part.context is not None and claude:
            out["context"] = part.context
        elif part.context is not None and text_of(part.context).strip():
            before.append({"text": part.context})
        if part.citations is not None and claude:
            out["citations"] = part.citations
        elif part.citations is not None:
            outgoing.lose((part.where, "citations"), "the model cites no documents")
        return before

    def _name(self, part: Media) -> str:
        """Letters, digits, single spaces, hyphens, parentheses and brackets, and never the same twice."""
        given = "" if part.name is None else text_of(part.name)
        stem = given[: -len(found[0])] if (found := _ENDING.search(given)) else given
        name = _SPACES.sub(" ", _OTHER.sub(" ", stem)).strip()[:MAX_NAME].rstrip()
        if name != stem:
            self._outgoing.lose(
                part.name_where or part.where, "the target takes letters, digits, spaces, hyphens, parentheses and brackets"
            )
        name = name or "document"
        unique, count = name, 1
        while unique in self._names:
            count += 1
            unique = f"{name[: MAX_NAME - 8]} {count}"
        self._names.add(unique)
        return unique

    def _own_source(self, part: Media) -> tuple[str, Json]:
        rest = part.inner.get("source", {})
        source: Json = dict(rest)
        if part.data is not None:
            source["bytes"] = part.data
        elif part.url is not None:
            more = open_object(rest["s3Location"], part.where) if "s3Location" in rest else {}
            source["s3Location"] = {"uri": part.url, **more}
        elif part.text is not None:
            source["text"] = part.text
        else:
            source["content"] = [{"text": each.text, **each.private} for each in part.parts or () if isinstance(each, Text)]
        return _WORDS[part.kind].get(part.media_type, ""), source

    def _source(self, part: Media, kind: str) -> tuple[str, Json]:
        if part.text is not None:
            return "txt", {"bytes": _base64(text_of(part.text))}
        if part.parts is not None:
            return self._inside(part, part.parts)
        if part.data is not None:
            return _format(part, kind), {"bytes": part.data}
        place = part.url if part.url is not None else part.file_id
        if place is not None and bytes(place).startswith(_S3):
            return _format(part, kind), {"s3Location": {"uri": place}}
        if part.url is not None:
            raise refuse(part.where, f"the target takes {kind}s as base64 data or from S3, not by their URL")
        raise refuse(part.where, f"the target takes {kind}s as base64 data or from S3, not by a file id")

    def _apart(self, part: Media, parts: list[Part]) -> list[Json]:
        """A document with pictures in it, which the API has no form for: the parts themselves, under its title."""
        outgoing = self._outgoing
        outgoing.private({}, part.private, part.where)
        outgoing.inner({}, part.inner, part.where)
        if part.citations is not None:
            outgoing.lose((part.where, "citations"), "the target cites no pictures")
        lines = [] if part.name is None else [f"Document: {text_of(part.name)}"]
        lines += [] if part.context is None else [text_of(part.context)]
        out: list[Json] = [{"text": "\n".join(lines)}] if "".join(lines).strip() else []
        for each in parts:
            if isinstance(each, Text):
                outgoing.private({}, each.private, each.where)
                out += [{"text": each.text}] if text_of(each.text).strip() else []
            elif isinstance(each, Media):
                out += self.write(each)
            else:
                raise refuse(each.where, "a part that the target does not take in a document")
        return out

    def _inside(self, part: Media, parts: list[Part]) -> tuple[str, Json]:
        """A document of texts: Claude takes them one by one, which is what its citations point at."""
        texts = [each for each in parts if isinstance(each, Text)]
        for each in texts:
            self._outgoing.private({}, each.private, each.where)
            if each.citations is not None:
                self._outgoing.lose((each.where, "citations"))
        if self._outgoing.profile.anthropic_model:
            return "txt", {"content": [{"text": each.text} for each in texts if text_of(each.text).strip()]}
        return "txt", {"bytes": _base64("\n".join(text_of(each.text) for each in texts))}


def _is_elsewhere(part: Media) -> bool:
    return part.kind != "image" and part.url is not None and not bytes(part.url).startswith(_S3)


def _kind(part: Media) -> Kind:
    """A picture, sound or film that came as a file is what it is."""
    family = part.media_type.partition("/")[0]
    if part.kind == "document" and family in ("image", "video", "audio"):
        return cast("Kind", family)
    return part.kind


def _format(part: Media, kind: str) -> str:
    """The API's word for the type; that of a place in S3 may have to be taken from how its name ends."""
    media_type = part.media_type.partition(";")[0].strip().lower()
    word = _WORDS[kind].get(_SPELLINGS.get(media_type, media_type))
    if word is None and kind == "document" and _WRITTEN.match(media_type):
        return "txt"
    if word is None and not media_type:
        word = _by_ending(part, kind)
    if word is None:
        raise refuse(part.where, f"the target takes no {kind} of type {media_type or 'unknown'}")
    return word


def _by_ending(part: Media, kind: str) -> str | None:
    for named in (part.url, part.file_id, part.name):
        found = None if named is None else _ENDING.search(text_of(named))
        if found is not None:
            word = _ENDINGS.get(found[1].lower(), found[1].lower())
            if word in FORMATS[kind]:
                return word
    return None


def _base64(text: str) -> Raw:
    return string_of(b64encode((text if text.strip() else "(empty)").encode("utf-8", "replace")).decode())
