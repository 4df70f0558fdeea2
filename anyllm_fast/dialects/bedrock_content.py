"""Reads the system prompt and the messages of a Bedrock Converse request. Writes nothing.

A block is an object with one member, which names its kind. Of guarded content, citations and the like the words are read as what
they are to a model; the block itself stays with them under its name, private, for this dialect.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from typing import Final

from msgspec import Raw

from anyllm_fast.dialects.bedrock_cache import POINT, read_point
from anyllm_fast.dialects.bedrock_media import read_media
from anyllm_fast.neutral.losses import ROOT, Where
from anyllm_fast.neutral.members import (
    encode,
    is_string,
    joined,
    leftovers,
    need,
    need_string,
    need_text,
    open_object,
    open_objects,
    refuse,
    string_of,
    take,
    take_object,
    take_string,
    take_text,
    text_of,
    wrong,
)
from anyllm_fast.neutral.request import Foreign, Media, Members, Part, Request, Text, Thinking, ToolCall, ToolResult, Turn
from anyllm_fast.neutral.signatures import PREFIX, read_signature, redacted_data, untagged

NAME: Final = "bedrock"
SERVER: Final = "server_tool_use"

_EMPTY: Final = Raw(b"{}")
_NO_TEXT: Final = Raw(b'""')
_TRUE: Final = b"true"


def read_system(raw: Raw, request: Request) -> None:
    """Text, guarded text and cache points. A point before all text is left in `private`."""
    where: Where = (ROOT, "system")
    leading: list[Raw] = []
    shown: list[Part] = []
    for index, members in enumerate(open_objects(raw, where)):
        here: Where = (where, index)
        if POINT in members:
            last = request.system[-1] if request.system else None
            found = read_point(members, last, here)
            if found is not None and last is not None:
                raise refuse(here, "two cache points in one place")
            leading += [] if found is None else [found.raw]
        elif "guardContent" in members:
            part = _read_guarded(members["guardContent"], (here, "guardContent"))
            if not isinstance(part, Text):  # keeps its place for this dialect; the others show it as the user's
                shown.append(part)
                part = Text(text=_NO_TEXT, private={"guardContent": members["guardContent"]}, vendor_only=True, where=here)
            request.system.append(part)
        else:
            text = need_string(members, "text", here)
            request.system.append(Text(text=text, private=leftovers(members), where=here))
    request.system_plain = _is_plain([*request.system])
    if shown:
        request.turns.insert(0, Turn(role="user", parts=shown, where=where))
    if leading:
        request.private["system"] = Raw(encode(leading))


def read_turns(messages: list[Members]) -> list[Turn]:
    where: Where = (ROOT, "messages")
    reader = _Reader()
    return [reader.turn(members, (where, index)) for index, members in enumerate(messages)]


def _is_plain(parts: list[Part]) -> bool:
    """Whether it is one text and no more, which others may say as a bare string."""
    if len(parts) != 1:
        return False
    part = parts[0]
    return type(part) is Text and part.cache is None and part.citations is None and not part.private


class _Reader:
    """Reads blocks. Keeps the ids of the calls that the provider itself has run: their results are no results of the client's."""

    __slots__ = ("_kinds", "_servers")

    def __init__(self) -> None:
        self._servers: set[bytes] = set()
        self._kinds: dict[str, Callable[[Raw, Where], Part]] = {
            "text": _read_text,
            "image": lambda raw, where: read_media("image", raw, where),
            "document": lambda raw, where: read_media("document", raw, where),
            "video": lambda raw, where: read_media("video", raw, where),
            "audio": lambda raw, where: read_media("audio", raw, where),
            "toolUse": self._read_call,
            "toolResult": self._read_result,
            "reasoningContent": _read_reasoning,
            "guardContent": _read_guarded,
            "citationsContent": _read_cited,
            "searchResult": _read_found,
            "toolAddition": _read_change,
            "toolRemoval": _read_change,
            "json": _read_json,
        }

    def turn(self, members: Members, where: Where) -> Turn:
        role = need_text(members, "role", where)
        if role not in ("user", "assistant", "system"):
            raise refuse((where, "role"), f"expected user, assistant or system, got {role!r}")
        content = need(members, "content", "an array", where)
        parts = self._blocks(content, (where, "content"))
        return Turn(
            role=role,  # type: ignore[arg-type]  # one of the three
            parts=parts,
            plain=_is_plain(parts),
            private=leftovers(members),
            where=where,
        )

    def _blocks(self, raw: Raw, where: Where) -> list[Part]:
        parts: list[Part] = []
        for index, members in enumerate(open_objects(raw, where)):
            here: Where = (where, index)
            if POINT in members:
                point = read_point(members, parts[-1] if parts else None, here)
                if point is not None:
                    parts.append(point)
                continue
            parts.append(self._block(leftovers(members), here))
        return parts

    def _block(self, members: Members, where: Where) -> Part:
        kind = next((name for name in members if name in self._kinds), None)
        if kind is None:
            return Foreign(type=next(iter(members), "nameless"), raw=Raw(encode(members)), where=where)
        if len(members) == 1:
            part = self._kinds[kind](members[kind], (where, kind))
            if isinstance(part, Foreign):
                part.raw = Raw(encode(members))
            return part
        whole = Raw(encode(members))
        part = self._kinds[kind](members.pop(kind), (where, kind))
        return Foreign(type=kind, raw=whole, parts=[part], unsaid=[(where, name) for name in members], where=where)

    def _read_call(self, raw: Raw, where: Where) -> Part:
        inside = open_object(raw, where)
        ident = need_string(inside, "toolUseId", where)
        name = need_string(inside, "name", where)
        args = take(inside, "input")
        if bytes(inside.get("type", b"")) == b'"server_tool_use"':
            self._servers.add(bytes(ident))
            said = f"[{text_of(name)} {'{}' if args is None else bytes(args).decode()}]"
            del inside["type"]
            rest: list[Where] = [(where, member) for member in leftovers(inside)]
            return Foreign(type=SERVER, raw=raw, parts=[Text(text=string_of(said), where=where)], unsaid=[*rest], where=where)
        free = args is not None and is_string(args)
        if args is not None and not free and memoryview(args)[0] != 0x7B:
            raise wrong(args, "an object", (where, "input"))
        return ToolCall(ident=ident, name=name, args=args or _EMPTY, custom=free, private=leftovers(inside), where=where)

    def _read_result(self, raw: Raw, where: Where) -> Part:
        inside = open_object(raw, where)
        ident = need_string(inside, "toolUseId", where)
        content = take(inside, "content")
        parts = [] if content is None else self._blocks(content, (where, "content"))
        status = take_text(inside, "status", where)
        if status not in (None, "success", "error"):
            raise refuse((where, "status"), f"expected success or error, got {status!r}")
        failed = status == "error"
        if bytes(ident) in self._servers:
            inside.pop("type", None)
            rest: list[Where] = [(where, member) for member in leftovers(inside)]
            said = [Text(text=Raw(b'"Error:"'), where=where), *parts] if failed else parts
            return Foreign(type="toolResult", raw=raw, parts=[*said], unsaid=[*rest], where=where)
        return ToolResult(ident=ident, parts=parts, plain=_is_plain(parts), failed=failed, private=leftovers(inside), where=where)


def _above(where: Where) -> Where:
    """The path of the block, from that of its member."""
    return where[0] if where else ROOT


def _read_text(raw: Raw, where: Where) -> Part:
    if not is_string(raw):
        raise wrong(raw, "a string", where)
    return Text(text=raw, where=where)


def _read_guarded(raw: Raw, where: Where) -> Part:
    """Text or an image that a guardrail is to look at; what it is to the guardrail is of no use without one."""
    inside = open_object(raw, where)
    private = {"guardContent": raw}
    if "image" in inside and bytes(inside["image"]) != b"null":
        media = read_media("image", inside["image"], (where, "image"))
        return Media(kind="image", data=media.data, media_type=media.media_type, private=private, where=_above(where))
    here: Where = (where, "text")
    text = need_string(open_object(need(inside, "text", "an object", where), here), "text", here)
    return Text(text=text, private=private, where=_above(where))


def _read_reasoning(raw: Raw, where: Where) -> Part:
    inside = open_object(raw, where)
    data = take_string(inside, "redactedContent", where)
    if data is not None:
        return _read_redacted(data, leftovers(inside), where)
    here: Where = (where, "reasoningText")
    said = open_object(need(inside, "reasoningText", "an object", where), here)
    text = take_string(said, "text", here)
    origin, signature = read_signature(take_string(said, "signature", here), NAME)
    return Thinking(
        text=_NO_TEXT if text is None else text, signature=signature, origin=origin, private=leftovers(said), where=where
    )


def _read_redacted(data: Raw, private: Members, where: Where) -> Thinking:
    """Of this dialect's own upstreams, or what the reply writer put there for another's (bedrock_reply.redacted_of)."""
    try:
        value = b64decode(bytes(data)[1:-1], validate=True)
    except ValueError:
        value = b""
    if value.startswith(PREFIX):
        origin, opaque = untagged(value, NAME)
        inner = redacted_data(opaque)
        if inner is not None:
            return Thinking(text=Raw(b'"%b"' % inner), redacted=True, origin=origin, private=private, where=where)
        return Thinking(text=_NO_TEXT, signature=Raw(b'"%b"' % opaque), origin=origin, private=private, where=where)
    return Thinking(text=data, redacted=True, origin=NAME, private=private, where=where)


def _read_cited(raw: Raw, where: Where) -> Part:
    """An answer's text with what it cites. One that has more texts, or more members, is written back from the whole."""
    inside = open_object(raw, where)
    content, citations = take(inside, "content"), take(inside, "citations")
    if citations is not None and memoryview(citations)[0] != 0x5B:
        raise wrong(citations, "an array", (where, "citations"))
    here: Where = (where, "content")
    items = [] if content is None else open_objects(content, here)
    texts = [need_string(item, "text", (here, index)) for index, item in enumerate(items)]
    text = joined(texts, b"") if texts else _NO_TEXT
    if len(texts) == 1 and citations is not None and not inside and not leftovers(items[0]):
        return Text(text=text, citations=citations, where=where)
    return Text(text=text, private={"citationsContent": raw}, where=_above(where))


def _read_found(raw: Raw, where: Where) -> Part:
    """A search result of the client's own, for the model to cite."""
    inside = open_object(raw, where)
    head = f"{need_text(inside, 'title', where)}\n{need_text(inside, 'source', where)}"
    here: Where = (where, "content")
    said: list[Part] = [Text(text=string_of(head), where=where)]
    for index, item in enumerate(open_objects(need(inside, "content", "an array", where), here)):
        at: Where = (here, index)
        said.append(Text(text=need_string(item, "text", at), private=leftovers(item), where=at))
    switch = take_object(inside, "citations", where)
    if switch is not None and bytes(open_object(switch, (where, "citations")).get("enabled", b"")) == _TRUE:
        inside["citations"] = switch
    return Foreign(type="searchResult", raw=raw, parts=said, unsaid=[(where, name) for name in leftovers(inside)], where=where)


def _read_change(raw: Raw, where: Where) -> Part:
    """A tool that comes or goes within the conversation: said in words to a model whose API cannot."""
    kind = str(where[1]) if where else ""
    here: Where = (where, "tool")
    tool = open_object(need(open_object(raw, where), "tool", "an object", where), here)
    name, server = take_text(tool, "name", here), take_text(tool, "serverName", here)
    called = f"{server}: {name}" if server else name or "nameless"
    words = "may be used from here on" if kind == "toolAddition" else "may no longer be used"
    return Text(text=string_of(f"[The tool {called} {words}.]"), private={kind: raw}, where=_above(where))


def _read_json(raw: Raw, where: Where) -> Part:
    """A tool's result that is no text: as JSON it is one."""
    return Foreign(type="json", raw=raw, parts=[Text(text=string_of(bytes(raw).decode()), where=where)], where=where)


WHOLE: Final = ("guardContent", "citationsContent", "toolAddition", "toolRemoval")
"""Blocks that a Text keeps under their name in `private`."""


def take_word(members: Members, name: str, where: Where) -> Raw | None:
    """The `type` of an object that has no other member (serviceTier)."""
    raw = take_object(members, name, where)
    if raw is None:
        return None
    inside = open_object(raw, (where, name))
    word = take_string(inside, "type", (where, name))
    if leftovers(inside) or word is None:
        members[name] = raw
        return None
    return word
