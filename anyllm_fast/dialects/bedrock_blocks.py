"""Writes neutral parts as content blocks of Bedrock Converse. Reads nothing."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import Final

from msgspec import Raw

from anyllm_fast.dialects.bedrock_cache import Blocks, write_point
from anyllm_fast.dialects.bedrock_content import NAME, WHOLE
from anyllm_fast.dialects.bedrock_media import MediaWriter
from anyllm_fast.neutral.members import refuse, string_of, text_of
from anyllm_fast.neutral.outgoing import Json, Outgoing
from anyllm_fast.neutral.request import CacheMark, Foreign, Media, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from anyllm_fast.neutral.signatures import redacted, tagged

NAME_LIMIT: Final = 64  # of a tool
ID_LIMIT: Final = 64  # of a call
CLAUDE: Final = "anthropic"
"""The dialect whose signatures Claude takes wherever it runs: they are the model's, not the host's."""

_BLANK: Final = re.compile(rb'"(?: |\\[nrt])*"')
_NO_LIST: Final = Raw(b"[]")
_FAILED: Final = Raw(b'"Error"')


class Writer:
    """Writes parts one by one. Keeps the ids of tool calls, which the API wants to be unique, short and of plain letters."""

    __slots__ = ("_idents", "_media", "_outgoing", "_taken")

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing
        self._media = MediaWriter(outgoing)
        self._taken: dict[bytes, int] = {}
        self._idents: dict[bytes, Raw] = {}  # of the last answer's calls: as the client wrote it -> as it is sent

    def write(self, parts: list[Part], blocks: Blocks) -> None:
        """Appends the blocks, each with its cache point behind it."""
        for part in parts:
            match part:
                case Text():
                    self._text(part, blocks)
                case ToolCall():
                    blocks.append(self._call(part))
                case ToolResult():
                    self._result(part, blocks)
                case Thinking():
                    self._thinking(part, blocks)
                case Media():
                    blocks += self._media.write(part)
                    self._inner_points(part.parts or [], blocks)
                case Refusal():
                    self._text(Text(text=part.text, private=part.private, where=part.where), blocks)
                    continue
                case Foreign():
                    self._foreign(part, blocks)
            write_point(blocks, part.cache, self._outgoing)

    def _text(self, part: Text, blocks: Blocks) -> None:
        outgoing = self._outgoing
        if outgoing.own:
            blocks.append(_own_text(part))
            return
        announce_text(part, outgoing)
        if not _BLANK.fullmatch(part.text):
            blocks.append({"text": part.text})

    def _thinking(self, part: Thinking, blocks: Blocks) -> None:
        """What the target's own model has signed goes back to it; it refuses the rest."""
        outgoing = self._outgoing
        if outgoing.own:
            blocks.append({"reasoningContent": _own_thinking(part)})
            return
        signature = b"" if part.signature is None else bytes(part.signature)
        theirs = part.origin == NAME or (part.origin == CLAUDE and outgoing.profile.anthropic_model)
        if not theirs or (not part.redacted and len(signature) <= 2):
            outgoing.lose(part.where, "reasoning that the target has not signed cannot be given to it")
            return
        outgoing.private({}, part.private, part.where)
        if part.redacted:
            blocks.append({"reasoningContent": {"redactedContent": blob(part.text)}})
        else:
            blocks.append({"reasoningContent": {"reasoningText": {"text": part.text, "signature": part.signature}}})

    def _call(self, part: ToolCall) -> Json:
        outgoing = self._outgoing
        said: Json = {
            "toolUseId": self._ident(part.ident),
            "name": outgoing.tool_name(part.name, (part.where, "name"), NAME_LIMIT),
            "input": {"input": part.args} if part.custom and not outgoing.own else part.args,
        }
        outgoing.private(said, part.private, part.where)
        outgoing.inner(said, part.inner, part.where)
        return {"toolUse": said}

    def _ident(self, ident: Raw) -> Raw:
        """The id as it may be sent: other hosts make ids with other letters, or the same ones in every turn."""
        key = bytes(ident)
        sent = ident
        if not self._outgoing.own:
            plain = text_of(self._outgoing.call_id(ident, ID_LIMIT))
            count = self._taken.get(key, 0)
            self._taken[key] = count + 1
            sent = string_of(f"{plain[: ID_LIMIT - 8]}_{count}") if count else string_of(plain)
        self._idents[key] = sent
        return sent

    def _result(self, part: ToolResult, blocks: Blocks) -> None:
        """Results hold text, JSON and media. An empty one is allowed, unless it says that the tool has failed."""
        outgoing = self._outgoing
        content: Blocks = []
        if outgoing.own:
            self.write(part.parts, content)
        else:
            self._result_content(part.parts, content)
            if part.failed and not content:
                content.append({"text": _FAILED})
        said: Json = {"toolUseId": self._idents.get(bytes(part.ident), part.ident), "content": content}
        if part.failed:
            said["status"] = "error"
        outgoing.private(said, part.private, part.where)
        blocks.append({"toolResult": said})
        if not outgoing.own:
            self._inner_points(part.parts, blocks)

    def _result_content(self, parts: list[Part], content: Blocks) -> None:
        for part in parts:
            match part:
                case Text():
                    self._text(part, content)
                case Media():
                    written = self._media.write(part)
                    if "audio" in written[-1]:
                        raise refuse(part.where, "the target takes no sound in a tool result")
                    content += written
                case Foreign():
                    self._result_content(self._said(part), content)
                case Refusal():
                    self._text(Text(text=part.text, private=part.private, where=part.where), content)
                case _:
                    raise refuse(part.where, "a part that the target does not take in a tool result")

    def _foreign(self, part: Foreign, blocks: Blocks) -> None:
        if self._outgoing.own:
            blocks.append(part.raw)
        else:
            self.write(self._said(part), blocks)

    def _said(self, part: Foreign) -> list[Part]:
        if part.parts is None:
            raise refuse(part.where, f"a {part.type} part cannot be carried to this target")
        self._outgoing.foreign(part)
        return part.parts

    def _inner_points(self, parts: list[Part], blocks: Blocks) -> None:
        """Marks inside a result or a document: the API takes points behind it only, so the last one stands there for all."""
        if self._outgoing.own:
            return
        marks = list(_marks(parts))
        for mark in marks[:-1]:
            self._outgoing.lose(mark.where, "the target takes no cache points inside a result or document")
        if marks:
            write_point(blocks, marks[-1], self._outgoing)


def announce_text(part: Text, outgoing: Outgoing) -> None:
    """What the target cannot be told of another API's text."""
    if part.citations is not None and part.citations != _NO_LIST:
        outgoing.lose((part.where, "citations"), "the target takes no citations of another API")
    outgoing.private({}, part.private, part.where)


def _marks(parts: list[Part]) -> list[CacheMark]:
    found: list[CacheMark] = []
    for part in parts:
        if isinstance(part, Foreign):
            found += _marks(part.parts or [])
        if isinstance(part, Media):
            found += _marks(part.parts or [])
        if not isinstance(part, Refusal) and part.cache is not None:
            found.append(part.cache)
    return found


def _own_text(part: Text) -> Json:
    if part.citations is not None:
        return {"citationsContent": {"content": [{"text": part.text}], "citations": part.citations}}
    whole = next((name for name in WHOLE if name in part.private), None)
    return {"text": part.text, **part.private} if whole is None else {whole: part.private[whole]}


def _own_thinking(part: Thinking) -> Json:
    if part.redacted and part.origin == NAME:
        return {"redactedContent": part.text, **part.private}
    if part.redacted:
        return {"redactedContent": redacted_of(part.origin, bytes(part.text)[1:-1]), **part.private}
    said: Json = {"text": part.text}
    if part.signature is not None:
        opaque = bytes(part.signature)[1:-1]
        said["signature"] = Raw(b'"%b"' % (opaque if part.origin == NAME else tagged(part.origin, opaque)))
    return {"reasoningText": {**said, **part.private}}


def redacted_of(origin: str, data: bytes) -> str:
    """The blob that stands for redacted reasoning of another vendor: base64, as the API wants all blobs, of the tagged data."""
    return b64encode(tagged(origin, redacted(data))).decode()


def blob(data: Raw) -> Raw:
    """Encrypted data as base64, which it mostly is already."""
    span = bytes(data)[1:-1]
    try:
        b64decode(span, validate=True)
    except ValueError:
        return Raw(b'"%b"' % b64encode(span))
    return data
