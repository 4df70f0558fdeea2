"""Reads the messages of an Anthropic Messages request into turns. Writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Raw

from anyllm_fast.dialects.anthropic_cache import take_cache
from anyllm_fast.dialects.anthropic_media import read_document, read_image, read_text
from anyllm_fast.dialects.anthropic_plain import say
from anyllm_fast.neutral.losses import ROOT, Where
from anyllm_fast.neutral.members import (
    encode,
    is_string,
    leftovers,
    need,
    need_string,
    need_text,
    open_object,
    open_objects,
    refuse,
    take,
    take_flag,
    take_object,
    take_string,
    take_text,
    text_of,
    wrong,
)
from anyllm_fast.neutral.request import Foreign, Members, Part, Text, Thinking, ToolCall, ToolResult, Turn
from anyllm_fast.neutral.signatures import read_seal, read_signature

BILLING: Final = b'"x-anthropic-billing-header:'
"""How the line begins that Claude Code puts before its system prompt. It changes with every run, so it would spoil caches too."""

_NAME: Final = "anthropic"  # of the dialect: its signatures come without a tag
_EMPTY: Final = Raw(b"{}")
_NO_TEXT: Final = Raw(b'""')
_STRING_OR_ARRAY: Final = "a string or an array"


def read_system(raw: Raw) -> list[Text]:
    """The blocks of `system`; of a bare string, one."""
    where: Where = (ROOT, "system")
    if is_string(raw):
        return [Text(text=raw, where=where)]
    texts: list[Text] = []
    for index, members in enumerate(open_objects(raw, where)):
        here = (where, index)
        kind = need_text(members, "type", here)
        if kind != "text":
            raise refuse((here, "type"), f"a system prompt is made of text blocks, not of {kind!r}")
        text = read_text(members, here)
        _split_billing(text, texts)
        texts.append(text)
    return texts


def _split_billing(text: Text, texts: list[Text]) -> None:
    """Claude Code's accounting line is for Anthropic alone; what else stands in its block is prompt."""
    value = bytes(text.text)
    if not value.startswith(BILLING):
        return
    line, newline, rest = value[:-1].partition(b"\\n")
    if newline and rest:
        texts.append(Text(text=Raw(line + b'\\n"'), vendor_only=True, where=text.where))
        text.text = Raw(b'"' + rest + b'"')
    else:
        text.vendor_only = True


def read_turns(messages: list[Members]) -> list[Turn]:
    where: Where = (ROOT, "messages")
    return [_read_turn(members, (where, index)) for index, members in enumerate(messages)]


def _read_turn(members: Members, where: Where) -> Turn:
    role = members.pop("role", None)
    name = None if role is None else bytes(role)
    if name == b'"user"':
        turn = Turn(role="user", parts=[], where=where)
    elif name == b'"assistant"':
        turn = Turn(role="assistant", parts=[], where=where)
    elif name == b'"system"':
        turn = _read_system_turn(members, where)
    elif role is None or not is_string(role):
        raise wrong(role, "a string", (where, "role"))
    else:
        raise refuse((where, "role"), f"expected user, assistant or system, got {text_of(role)!r}")
    content = members.pop("content", None)
    if content is not None and is_string(content):
        turn.parts = [Text(text=content, where=(where, "content"))]
        turn.plain = True
    elif content is not None and memoryview(content)[0] == 0x5B:
        turn.parts = _read_blocks(content, (where, "content"), _BLOCKS)
    elif turn.role != "system" or (content is not None and memoryview(content)[0] != 0x6E):
        raise wrong(content, _STRING_OR_ARRAY, (where, "content"))
    if members:
        turn.private = leftovers(members)
    return turn


def _read_system_turn(members: Members, where: Where) -> Turn:
    """`content` may be missing where output_config is given. Sources: mid-conversation system messages, per-message effort."""
    turn = Turn(role="system", parts=[], where=where)
    clear_at = take_text(members, "clear_at", where)
    if clear_at == "next_user_message":
        turn.transient = True
    elif clear_at not in (None, "never"):
        raise refuse((where, "clear_at"), f"expected next_user_message or never, got {clear_at!r}")
    config = take_object(members, "output_config", where)
    if config is not None:
        here = (where, "output_config")
        inside = open_object(config, here)
        turn.effort, turn.effort_where = take_string(inside, "effort", here), (here, "effort")
        rest = leftovers(inside)
        if rest:
            turn.inner = {"output_config": rest}
    return turn


_Reader = Callable[[Members, Where], Part]


def _read_blocks(raw: Raw, where: Where, readers: dict[bytes, _Reader]) -> list[Part]:
    parts: list[Part] = []
    for index, members in enumerate(open_objects(raw, where)):
        here = (where, index)
        kind = members.pop("type", None)
        if kind is None:
            raise wrong(None, "a string", (here, "type"))
        reader = readers.get(bytes(kind))
        parts.append(_read_other(kind, members, here, readers) if reader is None else reader(members, here))
    return parts


def _read_other(kind: Raw, members: Members, where: Where, readers: dict[bytes, _Reader]) -> Part:
    """A block that only Anthropic knows, or nobody yet; or a known one whose type is spelled with escapes."""
    if not is_string(kind):
        raise wrong(kind, "a string", (where, "type"))
    name = text_of(kind)
    reader = readers.get(encode(name))
    if reader is not None:
        return reader(members, where)
    foreign = Foreign(type=name, raw=Raw(encode({"type": kind, **members})), where=where)
    foreign.cache = take_cache(members, where)
    say(foreign, members)
    return foreign


def _read_thinking(members: Members, where: Where) -> Thinking:
    thinking = Thinking(text=need_string(members, "thinking", where), where=where)
    read_seal(thinking, take_string(members, "signature", where), _NAME)
    thinking.private = leftovers(members)
    return thinking


def _read_redacted(members: Members, where: Where) -> Thinking:
    origin, data = read_signature(need_string(members, "data", where), _NAME)
    return Thinking(text=data or _NO_TEXT, origin=origin, redacted=True, private=leftovers(members), where=where)


def _read_call(members: Members, where: Where) -> ToolCall:
    call = ToolCall(
        ident=need_string(members, "id", where),
        name=need_string(members, "name", where),
        args=take_object(members, "input", where) or _EMPTY,
        where=where,
    )
    if members:
        call.cache = take_cache(members, where)
        caller = take_object(members, "caller", where)
        if caller is not None and open_object(caller, (where, "caller")) != {"type": Raw(b'"direct"')}:
            members["caller"] = caller
        call.private = leftovers(members)
    return call


def _read_result(members: Members, where: Where) -> ToolResult:
    result = ToolResult(ident=need_string(members, "tool_use_id", where), parts=[], where=where)
    content = take(members, "content")
    here = (where, "content")
    if content is None:
        pass
    elif is_string(content):
        result.parts = [Text(text=content, where=here)]
        result.plain = True
    elif memoryview(content)[0] == 0x5B:
        result.parts = _read_blocks(content, here, _RESULT_BLOCKS)
    else:
        raise wrong(content, _STRING_OR_ARRAY, here)
    if members:
        result.cache = take_cache(members, where)
        result.failed = take_flag(members, "is_error", where) or False
        result.private = leftovers(members)
    return result


_RESULT_BLOCKS: Final[dict[bytes, _Reader]] = {
    b'"text"': read_text,
    b'"image"': read_image,
    b'"document"': read_document,
}
_BLOCKS: Final[dict[bytes, _Reader]] = {
    **_RESULT_BLOCKS,
    b'"tool_use"': _read_call,
    b'"tool_result"': _read_result,
    b'"thinking"': _read_thinking,
    b'"redacted_thinking"': _read_redacted,
}


def found_tools(turns: list[Turn]) -> set[str]:
    """Names of deferred tools that the conversation has made known to the model."""
    names: set[str] = set()
    for turn in turns:
        for part in turn.parts:
            if type(part) is ToolResult:
                for inner in part.parts:
                    if type(inner) is Foreign and inner.type == "tool_reference":
                        names.add(need_text(open_object(inner.raw, inner.where), "tool_name", inner.where))
            elif type(part) is Foreign and part.type in _FINDERS:
                names |= _named(part)
    return names


_FINDERS: Final = {"tool_search_tool_result", "tool_addition"}


def _named(part: Foreign) -> set[str]:
    members = open_object(part.raw, part.where)
    if part.type == "tool_addition":
        tool = open_object(need(members, "tool", "an object", part.where), (part.where, "tool"))
        name = take_text(tool, "name", (part.where, "tool"))
        return {name} if name else set()
    here: Where = (part.where, "content")
    content = open_object(need(members, "content", "an object", part.where), here)
    references = take(content, "tool_references")
    place: Where = (here, "tool_references")
    found = open_objects(references, place) if references is not None else []
    return {need_text(reference, "tool_name", (place, index)) for index, reference in enumerate(found)}
