"""Reads Gemini's contents and systemInstruction into turns. Writes nothing.

Calls and their responses are paired here, because Gemini pairs them loosely: by id where both have one, else by name, else by
their order. Seen: responses with ids that no call has (gemini-cli's sub-agents), every response twice (gemini-cli --resume).
"""

from __future__ import annotations

from typing import Final

from msgspec import Raw

from anyllm_fast.dialects.gemini_parts import EMPTY, Reader, made_id, said_by
from anyllm_fast.dialects.gemini_spelling import open_message, open_messages, spelled
from anyllm_fast.neutral.losses import ROOT, Losses, Where
from anyllm_fast.neutral.members import is_string, leftovers, open_objects, refuse, take, take_text
from anyllm_fast.neutral.request import Foreign, Members, Part, Request, Text, ToolCall, ToolResult, Turn

_USERS: Final = ("user", "function", "tool")


def read_turns(contents: list[Members], where: Where, losses: Losses) -> list[Turn]:
    pairing = _Pairing(losses)
    return [pairing.turn(_read_turn(spelled(members), (where, index))) for index, members in enumerate(contents)]


def _read_turn(members: Members, where: Where) -> Turn:
    """A turn without a role is the user's, unless it holds calls."""
    role = take_text(members, "role", where)
    raw = take(members, "parts")
    place: Where = (where, "parts")
    parts = [] if raw is None else open_objects(raw, place)
    if role is None:
        role = "model" if any("functionCall" in part or "function_call" in part for part in parts) else "user"
    if role not in (*_USERS, "model"):
        raise refuse((where, "role"), f"expected user, model, function or tool, got {role!r}")
    reader = Reader(role == "model")
    for index, part in enumerate(parts):
        reader.read(part, (place, index))
    turn = Turn(role="assistant" if role == "model" else "user", parts=reader.parts, where=where)
    turn.private = leftovers(members)
    return turn


class _Pairing:
    """Gives every response the id of the call that it answers. Calls wait from one answer of the model to the next."""

    __slots__ = ("_answered", "_losses", "_waiting")

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._waiting: list[ToolCall] = []
        self._answered: list[tuple[Raw, ToolResult]] = []  # as the client wrote the id, and the response

    def turn(self, turn: Turn) -> Turn:
        if turn.role == "assistant":
            self._calls(turn)
            return turn
        kept: list[Part] = []
        for part in turn.parts:
            if not isinstance(part, ToolResult) or self._answer(part):
                kept.append(part)
        turn.parts = kept
        return turn

    def _calls(self, turn: Turn) -> None:
        calls = [part for part in turn.parts if isinstance(part, ToolCall)]
        if calls and not self._waiting:
            self._answered = []
        for call in calls:
            if any(call.ident == other.ident for other in self._waiting):
                call.ident = made_id(call.where)
            self._waiting.append(call)

    def _answer(self, result: ToolResult) -> bool:
        """False for a response that came before."""
        given = result.ident
        if given != EMPTY and not any(call.ident == given for call in self._waiting):
            for known, before in self._answered:
                if known == given and result.name in (None, before.name):
                    if said_by(before) != said_by(result):
                        self._losses.add(result.where, "another response to the same call came before it")
                    return False
        call = self._called(result)
        if call is not None:
            self._waiting.remove(call)
            result.ident = call.ident
            result.name = result.name if result.name is not None else call.name
        elif given == EMPTY:
            result.ident = made_id(result.where)
        self._answered.append((given, result))
        return True

    def _called(self, result: ToolResult) -> ToolCall | None:
        if not self._waiting:
            return None
        by_id = next((call for call in self._waiting if call.ident == result.ident), None)
        by_name = next((call for call in self._waiting if call.name == result.name), None)
        return by_id or by_name or self._waiting[0]


def read_system(raw: Raw, request: Request) -> None:
    """A Content, its parts alone, or a bare string. What is no text in it is shown to the model as the user's first words."""
    where: Where = (ROOT, "systemInstruction")
    if is_string(raw):
        request.system, request.system_plain = [Text(text=raw, where=where)], True
        return
    place: Where = (where, "parts")
    if memoryview(raw)[0] == 0x5B:
        parts, place = open_messages(raw, where), where
    else:
        members = open_message(raw, where)
        members.pop("role", None)  # user or system, which means nothing here
        inside = take(members, "parts")
        parts = [] if inside is None else open_messages(inside, place)
        if "text" in members and not parts:  # a single part
            parts, members = [members], {}
        rest = leftovers(members)
        if rest:
            request.inner["systemInstruction"] = rest
    reader = Reader(False)
    for index, part in enumerate(parts):
        reader.read(part, (place, index))
    request.system = [part for part in reader.parts if isinstance(part, Text)]
    others: list[Part] = [part for part in reader.parts if not isinstance(part, Text)]
    if others:
        request.turns.insert(0, Turn(role="user", parts=others, where=where))


def held_by_google(name: Raw, where: Where) -> Turn:
    """A prompt that Google keeps. No other vendor can be shown it, so every other writer refuses this part."""
    return Turn(role="user", parts=[Foreign(type="cachedContent", raw=name, parts=None, where=where)], where=where)


def held_name(turn: Turn) -> Raw | None:
    part = turn.parts[0] if len(turn.parts) == 1 else None
    return part.raw if isinstance(part, Foreign) and part.type == "cachedContent" else None
