"""Writes neutral parts as content blocks of Anthropic Messages. Reads nothing."""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Final

from msgspec import Raw

from anyllm_fast.dialects.anthropic_cache import write_mark
from anyllm_fast.neutral.custom_tools import args_of
from anyllm_fast.neutral.members import refuse, string_of, text_of
from anyllm_fast.neutral.outgoing import Json, Outgoing, digest
from anyllm_fast.neutral.request import Foreign, Media, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from anyllm_fast.neutral.signatures import is_marked

Blocks = list[Json | Raw]

IMAGE_TYPES: Final = {"image/jpeg", "image/png", "image/gif", "image/webp"}
_WRITTEN: Final = re.compile(r"text/|application/(json|xml|yaml|x-yaml|toml|javascript|x-sh|sql)$")
_SCHEME: Final = re.compile(rb'"([a-zA-Z][a-zA-Z0-9+.-]*):(?:/|\\/){2}')
_SPELLINGS: Final = {"image/jpg": "image/jpeg"}
SIGNERS: Final = frozenset({"anthropic", "bedrock"})
"""Whose signatures the API takes: they "are compatible across platforms (Claude APIs, Amazon Bedrock, and Vertex AI)", as its
documentation of extended thinking says. On Bedrock only Claude signs. Of redacted reasoning it says no such thing."""

_BLANK: Final = re.compile(rb'"(?: |\\[nrt])*"')
NAME_LIMIT: Final = 128  # of a tool
_IDENT: Final = re.compile(rb'"[a-zA-Z0-9_-]+"')
_NO_LIST: Final = Raw(b"[]")


class Writer:
    """Writes parts one by one. Keeps the ids of tool calls, which the API wants to be unique and of plain letters."""

    __slots__ = ("_idents", "_outgoing", "_taken")

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing
        self._taken: dict[bytes, int] = {}
        self._idents: dict[bytes, Raw] = {}  # of the last answer's calls: as the client wrote it -> as it is sent

    def write(self, parts: list[Part], blocks: Blocks) -> None:
        for part in parts:
            kind = type(part)
            if kind is Text:
                self._text(part, blocks)  # type: ignore[arg-type]  # type() is not narrowed
                continue
            match part:
                case ToolCall():
                    blocks.append(self._call(part))
                case ToolResult():
                    blocks.append(self._result(part))
                case Thinking():
                    self._thinking(part, blocks)
                case Media():
                    self._media(part, blocks)
                case Refusal():
                    self._refusal(part, blocks)
                case Foreign():
                    self._foreign(part, blocks)

    def _text(self, part: Text, blocks: Blocks) -> None:
        outgoing = self._outgoing
        if not outgoing.own:
            announce(part, outgoing)
            if is_blank(part.text):
                if part.cache is not None:
                    outgoing.lose(part.cache.where, "the target takes no blank text, so there is nothing to mark")
                return
        out: Json = {"type": "text", "text": part.text}
        if part.cache is not None:
            write_mark(out, part.cache, outgoing)
        if outgoing.own:
            if part.citations is not None:
                out["citations"] = part.citations
            outgoing.private(out, part.private, part.where)
        blocks.append(out)

    def _refusal(self, part: Refusal, blocks: Blocks) -> None:
        self._text(Text(text=part.text, private=part.private, where=part.where), blocks)

    def _thinking(self, part: Thinking, blocks: Blocks) -> None:
        """Only what Claude has signed may go back to it; it refuses the rest."""
        outgoing = self._outgoing
        out: Json
        if not is_signed(part) and not (outgoing.own and is_plain(part)):
            outgoing.lose(part.where, "reasoning that the target has not signed cannot be given to it")
            return
        if part.redacted:
            out = {"type": "redacted_thinking", "data": part.text}
        else:
            out = {"type": "thinking", "thinking": part.text}
            if part.signature is not None:
                out["signature"] = part.signature
        outgoing.private(out, part.private, part.where)
        blocks.append(out)

    def _call(self, part: ToolCall) -> Json:
        out: Json = {
            "type": "tool_use",
            "id": self._ident(part.ident),
            "name": self._outgoing.tool_name(part.name, part.where, NAME_LIMIT),
            "input": args_of(part.args) if part.custom else part.args,
        }
        if part.cache is not None:
            write_mark(out, part.cache, self._outgoing)
        if part.private or part.inner:
            self._outgoing.private(out, part.private, part.where)
            self._outgoing.inner(out, part.inner, part.where)
        return out

    def _ident(self, ident: Raw) -> Raw:
        """The id as it may be sent: other hosts make ids with other letters, or the same ones in every turn."""
        key = bytes(ident)
        if self._outgoing.own:
            sent = ident
        else:
            plain = ident if _IDENT.fullmatch(key) else string_of("call_" + digest(text_of(ident))[:32])
            count = self._taken.get(key, 0)
            self._taken[key] = count + 1
            sent = string_of(f"{text_of(plain)}_{count}") if count else plain
        self._idents[key] = sent
        return sent

    def _result(self, part: ToolResult) -> Json:
        out: Json = {"type": "tool_result", "tool_use_id": self._idents.get(bytes(part.ident), part.ident)}
        first = part.parts[0] if part.plain else None
        if type(first) is Text:
            if self._outgoing.own or not is_blank(first.text):
                out["content"] = first.text
        else:
            blocks: Blocks = []
            self.write(part.parts, blocks)
            if blocks or (self._outgoing.own and part.parts):
                out["content"] = blocks
        if part.failed:
            out["is_error"] = True
        if part.cache is not None:
            write_mark(out, part.cache, self._outgoing)
        if part.private:
            self._outgoing.private(out, part.private, part.where)
        return out

    def _foreign(self, part: Foreign, blocks: Blocks) -> None:
        if self._outgoing.own:
            blocks.append(part.raw)
            return
        if part.parts is None:
            raise refuse(part.where, f"a {part.type} part cannot be carried to this target")
        self._outgoing.foreign(part)
        self.write(part.parts, blocks)

    def _media(self, part: Media, blocks: Blocks) -> None:
        """What the API can only fetch from the web, or not take at all, is named by its address, if it has one."""
        outgoing = self._outgoing
        if not outgoing.own and part.url is not None and _is_elsewhere(part):
            outgoing.lose(part.where, f"the target cannot fetch this {part.kind}: it is only told the address")
            name = f"{text_of(part.name)}, " if part.name is not None else ""
            self._text(
                Text(text=string_of(f"[{part.kind}: {name}{text_of(part.url)}]"), cache=part.cache, where=part.where), blocks
            )
            return
        blocks.append(self._block(part))

    def _block(self, part: Media) -> Json:
        outgoing = self._outgoing
        kind = _kind(part)
        out: Json = {"type": kind, "source": self._source(part, kind)}
        if kind == "document":
            for name, value in (("title", part.name), ("context", part.context), ("citations", part.citations)):
                if value is not None:
                    out[name] = value
        elif part.name is not None:
            outgoing.lose(part.name_where)
        if part.detail is not None and bytes(part.detail) != b'"auto"':
            outgoing.lose(part.detail_where)
        write_mark(out, part.cache, outgoing)
        outgoing.private(out, part.private, part.where)
        outgoing.inner(out, part.inner, part.where)
        return out

    def _source(self, part: Media, kind: str) -> Json:
        if part.data is not None:
            return _data(part, part.data, kind, self._outgoing.own)
        if part.url is not None:
            if not self._outgoing.own and bytes(part.url)[:5].lower() != b'"http':
                raise refuse(part.where, f"the target takes {kind}s from http and https URLs, or as base64 data")
            return {"type": "url", "url": part.url}
        if part.file_id is not None:
            return {"type": "file", "file_id": part.file_id}
        if part.text is not None:
            media_type = part.media_type if self._outgoing.own and part.media_type else "text/plain"  # its only type
            return {"type": "text", "media_type": media_type, "data": part.text}
        blocks: Blocks = []
        self.write(part.parts or [], blocks)
        return {"type": "content", "content": blocks}


def announce(part: Text, outgoing: Outgoing) -> None:
    """What a text of another dialect has beside its words."""
    if part.citations is not None and part.citations != _NO_LIST:
        outgoing.lose((part.where, "citations"))
    outgoing.private({}, part.private, part.where)


def is_blank(text: Raw) -> bool:
    return _BLANK.fullmatch(text) is not None


def is_signed(part: Thinking) -> bool:
    """Whether the API takes this block from any client: it, or Claude elsewhere, has made it."""
    if part.redacted:
        return part.origin == "anthropic" and not is_marked(part.text)
    return part.origin in SIGNERS and part.signature is not None and not is_marked(part.signature)


def is_plain(part: Thinking) -> bool:
    """Whether nobody has signed this block, as the hosts that only speak the dialect leave it."""
    said = part.text if part.redacted else part.signature
    return not part.origin and not is_marked(said)


def _is_elsewhere(part: Media) -> bool:
    scheme = _SCHEME.match(bytes(part.url or b""))
    return scheme is not None and (part.kind in ("audio", "video") or scheme[1].lower() not in (b"http", b"https"))


def _kind(part: Media) -> str:
    """A picture that came as a file is a picture."""
    if part.kind == "document" and part.data is not None and part.media_type.startswith("image/"):
        return "image"
    if part.kind in ("image", "document"):
        return part.kind
    raise refuse(part.where, f"the target takes no {part.kind}")


def _data(part: Media, data: Raw, kind: str, own: bool) -> Json:
    media_type = _SPELLINGS.get(part.media_type, part.media_type)
    if own or media_type in (IMAGE_TYPES if kind == "image" else ("application/pdf",)):
        return {"type": "base64", "media_type": media_type, "data": data}
    if kind == "document" and _WRITTEN.match(media_type):
        try:
            return {"type": "text", "media_type": "text/plain", "data": b64decode(text_of(data), validate=True).decode()}
        except ValueError:
            raise refuse(part.where, f"the {media_type} file is not UTF-8 text in base64") from None
    raise refuse(part.where, f"the target takes no {kind} of type {media_type or 'unknown'}")
