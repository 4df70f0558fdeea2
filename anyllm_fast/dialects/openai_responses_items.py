"""Reads the input items of an OpenAI Responses request into turns. Writes nothing.

The API's conversation is a flat list: what a model said, thought and called are items of their own. The items of one answer
become one assistant turn, results of calls one user turn, every other message a turn of its own. How the turn was cut into items
is kept beside its parts (`ItemTurn.items`), so that this dialect gets the same items back: ids, states and kinds of items say
nothing to others.
Source: the SDK's types/responses/response_input_item.py; what Codex sends beyond it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Raw

from anyllm_fast.dialects.arguments import arguments_of
from anyllm_fast.dialects.openai_responses_names import Forms, full_name
from anyllm_fast.dialects.openai_responses_parts import CONTENT, read_content
from anyllm_fast.dialects.openai_responses_plain import Role, say, shell_text
from anyllm_fast.neutral.losses import ROOT, Where
from anyllm_fast.neutral.members import (
    decode_object,
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
    take_string,
    take_text,
    text_of,
    wrong,
)
from anyllm_fast.neutral.request import Foreign, Members, Part, Text, Thinking, ToolCall, ToolResult, Turn
from anyllm_fast.neutral.signatures import redacted_data, untagged

NAME: Final = "openai_responses"
INPUT: Final[Where] = (ROOT, "input")

_BREAK: Final = b"\\n\\n"
_EMPTY: Final = Raw(b'""')
_DIRECT: Final = b'{"type":"direct"}'
_FALSE: Final = b"false"
_SILENT: Final = {"id", "status", "type", "role", "created_by"}
"""Members that say how an item was kept by its service, and nothing about what is in it."""


class Item(msgspec.Struct):
    """An item as the client sent it, without what its parts hold. `size`: how many parts of the turn are its.

    `shells` are those of the parts in its content (openai_responses_parts.py); None where that was a bare string or is none.
    `whole`: nothing is missing from the members.
    """

    members: Members
    size: int = 1
    shells: list[Members] | None = None
    whole: bool = False


class ItemTurn(Turn, kw_only=True):
    """A turn that was read from items, which cover its parts in order."""

    items: list[Item] = msgspec.field(default_factory=list)


class _Reading:
    """Reads item after item. Remembers calls: a built-in shell's output may name the item in place of the call."""

    __slots__ = ("_forms", "_hosted", "_items", "_joins", "_waiting", "turns")

    def __init__(self, forms: Forms) -> None:
        self.turns: list[ItemTurn] = []
        self._joins = ""  # what the last turn goes on with: "answer", "results", or nothing
        self._forms = forms
        self._waiting: dict[bytes, ToolCall] = {}  # calls without a result
        self._items: dict[bytes, Raw] = {}  # id of a call's item -> id of the call
        self._hosted: set[bytes] = set()  # calls that OpenAI ran itself

    def item(self, members: Members, where: Where) -> None:
        kind = _kind(members, where)
        reader = _READERS.get(kind)
        if reader is None:
            self._foreign(kind, members, where)
        else:
            reader(self, members, where)

    def _add(self, role: Role, joins: str, part: Part, item: Item) -> ItemTurn:
        if joins and joins == self._joins:
            turn = self.turns[-1]
            turn.plain = False
        else:
            turn = ItemTurn(role=role, parts=[], where=part.where)
            self.turns.append(turn)
            self._joins = joins
        turn.parts.append(part)
        turn.items.append(item)
        return turn

    # -- messages ------------------------------------------------------------------------------------------------------

    def message(self, members: Members, where: Where) -> None:
        role = need_text(members, "role", where)
        if role not in ("user", "assistant", "system", "developer"):
            raise refuse((where, "role"), f"expected user, assistant, system or developer, got {role!r}")
        content = need(members, "content", CONTENT, where)
        parts, shells = read_content(content, (where, "content"))
        item = Item({"role": string_of(role), **members}, len(parts), shells)
        if role == "assistant" and self._joins == "answer":
            turn = self.turns[-1]
            turn.plain = False
        else:
            turn = ItemTurn(role="system" if role == "developer" else role, parts=[], where=where)  # type: ignore[arg-type]  # one of three
            turn.developer = role == "developer"
            turn.plain = shells is None
            self.turns.append(turn)
            self._joins = "answer" if role == "assistant" else ""
        turn.parts += parts
        turn.items.append(item)
        turn.private = {**_private(members), **turn.private}

    def reasoning(self, members: Members, where: Where) -> None:
        item = Item(dict(members), whole=True)
        members.pop("id", None)
        text = _thoughts(members, where)
        sealed = take_string(members, "encrypted_content", where)
        part = Thinking(text=text, where=where)
        if sealed is not None:
            _sign(part, sealed, item.members.get("id"))
        part.private = _private(members)
        self._add("assistant", "answer", part, item)

    # -- calls ---------------------------------------------------------------------------------------------------------

    def function_call(self, members: Members, where: Where) -> None:
        item = Item(dict(members))
        call = ToolCall(ident=self._call_id(members, where), name=self._name(members, where), args=_EMPTY, where=where)
        raw = need(members, "arguments", "a string", where)
        call.args = raw if memoryview(raw)[0] == 0x7B else arguments_of(_string(raw, (where, "arguments")))
        self._call(call, members, item)

    def custom_call(self, members: Members, where: Where) -> None:
        item = Item(dict(members))
        call = ToolCall(ident=self._call_id(members, where), name=self._name(members, where), args=_EMPTY, where=where)
        call.args, call.custom = need_string(members, "input", where), True
        self._call(call, members, item)

    def local_shell_call(self, members: Members, where: Where) -> None:
        self._built_in("local_shell", "action", members, where)

    def shell_call(self, members: Members, where: Where) -> None:
        environment = members.get("environment")
        if environment is not None and b"container" in bytes(environment)[:48]:
            self._hosted.add(bytes(members.get("call_id", b"")))
            self._foreign("shell_call", members, where)
            return
        if environment is not None and b"skills" not in bytes(environment):
            del members["environment"]  # the client's own machine, which is what a call without it means
        self._built_in("shell", "action", members, where)

    def patch_call(self, members: Members, where: Where) -> None:
        self._built_in("apply_patch", "operation", members, where)

    def _built_in(self, name: str, place: str, members: Members, where: Where) -> None:
        item = Item(dict(members), whole=True)
        args = need(members, place, "an object", where)
        if memoryview(args)[0] != 0x7B:
            raise wrong(args, "an object", (where, place))
        call = ToolCall(ident=self._call_id(members, where), name=string_of(name), args=args, where=where)
        self._call(call, members, item)

    def _call(self, call: ToolCall, members: Members, item: Item) -> None:
        call.private = _private(members)
        self._waiting[bytes(call.ident)] = call
        ident = item.members.get("id")
        if ident is not None:
            self._items[bytes(ident)] = call.ident
        self._add("assistant", "answer", call, item)

    def _call_id(self, members: Members, where: Where) -> Raw:
        """The older local_shell_call may have only its own id."""
        if bytes(members.get("call_id", b"null")) == b"null" and "id" in members:
            members.pop("call_id", None)
            return need_string(members, "id", where)
        return need_string(members, "call_id", where)

    def _name(self, members: Members, where: Where) -> Raw:
        return full_name(need_string(members, "name", where), members, self._forms, where)

    # -- results -------------------------------------------------------------------------------------------------------

    def output(self, members: Members, where: Where) -> None:
        item = Item(dict(members))
        parts, item.shells = read_content(need(members, "output", CONTENT, where), (where, "output"))
        del item.members["output"]
        result = ToolResult(ident=self._answered(members, where), parts=parts, plain=item.shells is None, where=where)
        if "name" in members:
            result.name = self._name(members, where)
        self._result(result, members, item)

    def shell_output(self, members: Members, where: Where) -> None:
        if bytes(members.get("call_id", b"")) in self._hosted:
            self._foreign("shell_call_output", members, where)
            return
        item = Item(dict(members), whole=True)
        text = string_of(shell_text(members, where))
        members.pop("max_output_length", None)
        result = ToolResult(ident=self._answered(members, where), parts=[Text(text=text, where=where)], plain=True, where=where)
        self._result(result, members, item)

    def patch_output(self, members: Members, where: Where) -> None:
        item = Item(dict(members), whole=True)
        failed = take_text(members, "status", where) == "failed"
        text = take_string(members, "output", where) or string_of("failed" if failed else "done")
        result = ToolResult(ident=self._answered(members, where), parts=[Text(text=text, where=where)], plain=True, where=where)
        result.failed = failed
        self._result(result, members, item)

    def _result(self, result: ToolResult, members: Members, item: Item) -> None:
        result.private = _private(members)
        self._add("user", "results", result, item)

    def _answered(self, members: Members, where: Where) -> Raw:
        """The id of the call that a result answers: `call_id`; of a built-in shell's also `id`, of the call or of its item.
        Without any it is that of the first call of its name that waits for one."""
        ident = take_string(members, "call_id", where)
        if ident is None and "id" in members:
            own = need_string(members, "id", where)
            ident = self._items.get(bytes(own), own if bytes(own) in self._waiting else None)
        if ident is None:
            name = self._name(dict(members), where) if "name" in members else None
            ident = next((call.ident for call in self._waiting.values() if name in (None, call.name)), None)
        if ident is None:
            raise wrong(None, "a string", (where, "call_id"))
        self._waiting.pop(bytes(ident), None)
        return ident

    # -- the rest ------------------------------------------------------------------------------------------------------

    def _foreign(self, kind: str, members: Members, where: Where) -> None:
        part = Foreign(type=kind, raw=Raw(encode(members)), where=where)
        effort = _effort(members, where) if kind == "configuration_update" else None
        role, part.parts, part.unsaid = say(kind, members, where)
        if role == "system":
            self._setting(part, effort)
        else:
            self._add(role, "answer" if role == "assistant" else "", part, Item({}))

    def _setting(self, part: Foreign, effort: Raw | None) -> None:
        """An item that sets something and says nothing: a turn without parts."""
        turn = ItemTurn(role="system", parts=[], effort=effort, where=part.where)
        turn.effort_where = ((part.where, "reasoning"), "effort")
        turn.items = [Item(decode_object(part.raw), 0, whole=True)]
        turn.private = {_step(path, part.where): part.raw for path in part.unsaid}
        self.turns.append(turn)
        self._joins = ""


def _step(path: Where, above: Where) -> str:
    """The step of a path that comes behind `above`."""
    while path and path[0] != above:
        path = path[0]
    return str(path[1]) if path else ""


def _kind(members: Members, where: Where) -> str:
    """`type` may be left out of a message, and of a reference to an item."""
    kind = take_string({"type": members.get("type", Raw(b"null"))}, "type", where)
    if kind is not None:
        return text_of(kind)
    if "role" in members:
        return "message"
    if members.keys() - {"type"} == {"id"}:
        return "item_reference"
    raise wrong(None, "a string", (where, "type"))


def _string(raw: Raw, where: Where) -> Raw:
    if not is_string(raw):
        raise wrong(raw, "a string", where)
    return raw


def _private(members: Members) -> Members:
    """What others have to announce."""
    rest = leftovers(members)
    return {
        name: raw
        for name, raw in rest.items()
        if name not in _SILENT
        and not (name == "caller" and bytes(raw).replace(b" ", b"") == _DIRECT)
        and not (name == "async" and bytes(raw) == _FALSE)
    }


def _thoughts(members: Members, where: Where) -> Raw:
    """The texts of a reasoning item as one: the summary, and the model's own words where a host gives those."""
    texts: list[Raw] = []
    for name in ("summary", "content"):
        raw = take(members, name)
        here: Where = (where, name)
        parts = [] if raw is None else open_objects(raw, here)
        texts += [need_string(part, "text", (here, at)) for at, part in enumerate(parts)]
    return joined(texts, _BREAK) if texts else _EMPTY


def _sign(part: Thinking, sealed: Raw, ident: Raw | None) -> None:
    """Ours is `ITEM ID:ENCRYPTED`, as the stream decoder says it; redacted reasoning of another vendor has its data for text."""
    part.origin, opaque = untagged(bytes(sealed)[1:-1], NAME)
    if part.origin == NAME and bytes(sealed)[1:-1] == opaque:
        opaque = b"%b:%b" % (b"" if ident is None else bytes(ident)[1:-1], opaque)
    data = redacted_data(opaque)
    if data is None:
        part.signature = Raw(b'"%b"' % opaque)
    else:
        part.redacted, part.text = True, Raw(b'"%b"' % data)


def _effort(members: Members, where: Where) -> Raw | None:
    raw = members.get("reasoning")
    if raw is None or memoryview(raw)[0] != 0x7B:
        return None
    here: Where = (where, "reasoning")
    return take_string(open_object(raw, here), "effort", here)


_READERS: Final[dict[str, Callable[[_Reading, Members, Where], None]]] = {
    "message": _Reading.message,
    "reasoning": _Reading.reasoning,
    "function_call": _Reading.function_call,
    "custom_tool_call": _Reading.custom_call,
    "local_shell_call": _Reading.local_shell_call,
    "shell_call": _Reading.shell_call,
    "apply_patch_call": _Reading.patch_call,
    "function_call_output": _Reading.output,
    "custom_tool_call_output": _Reading.output,
    "local_shell_call_output": _Reading.output,
    "shell_call_output": _Reading.shell_output,
    "apply_patch_call_output": _Reading.patch_output,
}


def read_turns(raw: Raw | None, items: list[Members] | None, forms: Forms) -> list[Turn]:
    """`input`: a string, or items. `forms` are those of the request's tools, for the names of calls."""
    if raw is not None:
        return [ItemTurn(role="user", parts=[Text(text=raw, where=INPUT)], plain=True, where=INPUT)]
    reading = _Reading(forms)
    for index, members in enumerate(items or ()):
        reading.item(members, (INPUT, index))
    return [*reading.turns]
