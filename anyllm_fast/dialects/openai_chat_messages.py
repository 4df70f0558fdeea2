"""Reads the messages of an OpenAI Chat Completions request into turns. Writes nothing.

Beside the published roles and members it takes what hosts and clients around OpenAI have agreed on: reasoning_content, reasoning
and thinking (reasoning as plain text), and thinking_blocks (signed reasoning, LiteLLM's form).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Raw

from anyllm_fast.dialects.arguments import arguments_of
from anyllm_fast.dialects.openai_chat_cache import take_cache
from anyllm_fast.dialects.openai_chat_parts import read_content, read_image
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
    string_of,
    take,
    take_string,
    take_text,
    text_of,
    wrong,
)
from anyllm_fast.neutral.request import (
    CacheMark,
    Foreign,
    Members,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from anyllm_fast.neutral.signatures import read_seal, read_signature

REASONING: Final = ("reasoning_content", "reasoning", "thinking")
_SIGNER: Final = "anthropic"  # signatures in thinking_blocks are Anthropic's where they have no tag, by LiteLLM's convention
_EMPTY: Final = Raw(b'""')
_CONTENT: Final = "a string or an array"


class _Reading:
    """Reads message after message; remembers the last call in the old form, whose result has no id."""

    __slots__ = ("_called",)

    def __init__(self) -> None:
        self._called: Raw | None = None

    def message(self, members: Members, where: Where) -> Turn:
        role = members.pop("role", None)
        if role is None or not is_string(role):
            raise wrong(role, "a string", (where, "role"))
        reader = _ROLES.get(text_of(role))
        if reader is None:
            raise refuse((where, "role"), f"expected {', '.join(_ROLES)}, got {text_of(role)!r}")
        turn = reader(self, members, where)
        if members:
            mark = take_cache(members, where)
            if mark is not None:
                _mark_last(turn, mark)
            turn.private = leftovers(members)
        return turn

    def system(self, members: Members, where: Where) -> Turn:
        return self._plain(Turn(role="system", parts=[], where=where), members)

    def developer(self, members: Members, where: Where) -> Turn:
        return self._plain(Turn(role="system", developer=True, parts=[], where=where), members)

    def user(self, members: Members, where: Where) -> Turn:
        return self._plain(Turn(role="user", parts=[], where=where), members)

    def _plain(self, turn: Turn, members: Members) -> Turn:
        here: Where = (turn.where, "content")
        turn.parts, turn.plain = read_content(need(members, "content", _CONTENT, turn.where), here)
        turn.name = take_string(members, "name", turn.where)
        return turn

    def assistant(self, members: Members, where: Where) -> Turn:
        turn = Turn(role="assistant", parts=[], where=where)
        content = take(members, "content")
        if content is not None:
            turn.parts, turn.plain = read_content(content, (where, "content"))
        calls = take(members, "tool_calls")
        if members:
            turn.name = take_string(members, "name", where)
            turn.parts = _read_thinking(members, where) + turn.parts
            refusal = take_string(members, "refusal", where)
            if refusal is not None:
                turn.parts.append(Refusal(text=refusal, where=(where, "refusal")))
            _read_images(members, turn)
        if calls is not None:
            place: Where = (where, "tool_calls")
            turn.parts += [_read_call(call, (place, index)) for index, call in enumerate(open_objects(calls, place))]
        if members:
            self._old_call(members, turn)
            _read_audio(members, turn)
            _drop_empty(members)
        return turn

    def _old_call(self, members: Members, turn: Turn) -> None:
        raw = take(members, "function_call")
        if raw is None:
            return
        here: Where = (turn.where, "function_call")
        inside = open_object(raw, here)
        place = turn.where[1] if turn.where else 0
        self._called = string_of(f"call_{place}")
        call = ToolCall(
            ident=self._called,
            name=need_string(inside, "name", here),
            args=arguments_of(need_string(inside, "arguments", here)),
            private=leftovers(inside),
            where=here,
        )
        turn.parts.append(call)

    def tool(self, members: Members, where: Where) -> Turn:
        result = ToolResult(ident=need_string(members, "tool_call_id", where), parts=[], where=where)
        return self._result(result, members)

    def function(self, members: Members, where: Where) -> Turn:
        need(dict(members), "name", "a string", where)
        if self._called is None:
            raise refuse(where, "no function_call before it")
        result = ToolResult(ident=self._called, parts=[], where=where)
        self._called = None
        return self._result(result, members)

    def _result(self, result: ToolResult, members: Members) -> Turn:
        content = take(members, "content") or _EMPTY
        result.parts, result.plain = read_content(content, (result.where, "content"))
        if members:
            result.name = take_string(members, "name", result.where)
            result.cache = take_cache(members, result.where)
            result.private = leftovers(members)
            members.clear()
        return Turn(role="user", parts=[result], where=result.where)


_ROLES: Final[dict[str, Callable[[_Reading, Members, Where], Turn]]] = {
    "system": _Reading.system,
    "developer": _Reading.developer,
    "user": _Reading.user,
    "assistant": _Reading.assistant,
    "tool": _Reading.tool,
    "function": _Reading.function,
}


def read_turns(messages: list[Members]) -> list[Turn]:
    where: Where = (ROOT, "messages")
    reading = _Reading()
    return [reading.message(members, (where, index)) for index, members in enumerate(messages)]


def _mark_last(turn: Turn, mark: CacheMark) -> None:
    """A mark on a whole message is one behind its last part."""
    last = turn.parts[-1] if turn.parts else None
    if last is not None and not isinstance(last, Thinking | Refusal):
        last.cache = mark


def _read_thinking(members: Members, where: Where) -> list[Part]:
    """thinking_blocks say the same as the plain members beside them, and more; of several plain ones the first counts."""
    raw = take(members, "thinking_blocks")
    if raw is not None and (blocks := _read_thinking_blocks(raw, (where, "thinking_blocks"))):
        for name in REASONING:
            members.pop(name, None)
        return blocks
    parts: list[Part] = []
    for name in REASONING:
        text = members.get(name)
        if text is not None and is_string(text):
            del members[name]
            if not parts and len(memoryview(text)) > 2:
                parts.append(Thinking(text=text, signature=string_of(f"anyllm:{name}"), where=(where, name)))
    return parts


def _read_thinking_blocks(raw: Raw, where: Where) -> list[Part]:
    parts: list[Part] = []
    for index, members in enumerate(open_objects(raw, where)):
        here = (where, index)
        kind = need_text(members, "type", here)
        members.pop("index", None)
        if kind == "thinking":
            part = Thinking(text=need_string(members, "thinking", here), where=here)
            read_seal(part, take_string(members, "signature", here), _SIGNER)
        elif kind == "redacted_thinking":
            origin, data = read_signature(need_string(members, "data", here), _SIGNER)
            part = Thinking(text=data or _EMPTY, origin=origin, redacted=True, where=here)
        else:
            raise refuse((here, "type"), f"expected thinking or redacted_thinking, got {kind!r}")
        members.pop("cache_control", None)
        part.private = leftovers(members)
        parts.append(part)
    return parts


def _read_call(members: Members, where: Where) -> ToolCall:
    """`index` is a member of stream chunks that clients who collect them send back."""
    ident = need_string(members, "id", where)
    kind = take_text(members, "type", where) or "function"
    members.pop("index", None)
    if kind == "custom":
        here: Where = (where, "custom")
        inside = open_object(need(members, "custom", "an object", where), here)
        call = ToolCall(ident=ident, name=need_string(inside, "name", here), args=need_string(inside, "input", here), custom=True)
    elif kind == "function":
        here = (where, "function")
        inside = open_object(need(members, "function", "an object", where), here)
        call = ToolCall(ident=ident, name=need_string(inside, "name", here), args=_read_arguments(inside, here))
    else:
        raise refuse((where, "type"), f"expected function or custom, got {kind!r}")
    call.where = where
    if inside and (rest := leftovers(inside)):
        call.inner = {kind: rest}
    if members:
        call.cache = take_cache(members, where)
        call.private = leftovers(members)
    return call


def _read_arguments(inside: Members, where: Where) -> Raw:
    """A string of JSON; some hosts and clients have the object itself."""
    raw = take(inside, "arguments")
    if raw is not None and memoryview(raw)[0] == 0x7B:
        return raw
    if raw is None or not is_string(raw):
        raise wrong(raw, "a string", (where, "arguments"))
    return arguments_of(raw)


def _read_audio(members: Members, turn: Turn) -> None:
    """An earlier spoken answer, by its id. OpenAI holds the sound, so others are only told that there was one."""
    raw = take(members, "audio")
    if raw is not None:
        here: Where = (turn.where, "audio")
        ident = need_text(open_object(raw, here), "id", here)
        spoken = Foreign(type="audio", raw=Raw(encode({"type": "audio", "audio": raw})), where=here)
        spoken.parts, spoken.unsaid = [Text(text=string_of(f"[spoken answer {ident}]"), where=here)], [(here, "id")]
        turn.parts.append(spoken)


def _read_images(members: Members, turn: Turn) -> None:
    """Pictures that the model made, in the member in which hosts around OpenAI send them; `index` is of stream chunks."""
    raw = take(members, "images")
    if raw is None:
        return
    here: Where = (turn.where, "images")
    for index, image in enumerate(open_objects(raw, here)):
        image.pop("type", None)
        image.pop("index", None)
        turn.parts.append(read_image(image, (here, index)))


def _drop_empty(members: Members) -> None:
    """Clients send answers back as they came, with lists that hold nothing."""
    if bytes(members.get("annotations", b"")) == b"[]":
        del members["annotations"]
