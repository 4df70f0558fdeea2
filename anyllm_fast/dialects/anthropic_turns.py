"""Writes the system prompt and the conversation of an Anthropic Messages request. Reads nothing.

What the API demands and a neutral conversation need not have: user and assistant take turns (neighbours of one role are put
together), the results of all calls of an answer open the next user turn, no text is blank, the last answer does not end in
white space.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Raw

from anyllm_fast.dialects.anthropic_blocks import Blocks, Writer
from anyllm_fast.neutral.members import refuse, string_of
from anyllm_fast.neutral.outgoing import Json, Outgoing
from anyllm_fast.neutral.pairing import Step, pair
from anyllm_fast.neutral.request import Foreign, Media, OutputFormat, Part, Text, Turn, hoisted

JSON_ONLY: Final = Raw(b'"Answer with one JSON object and nothing else: no code fence, no words before or after it."')

_TAIL: Final = re.compile(rb"(?<!\\)(?:\\\\)*((?: |\\[nrt])+)\"$")


class _Message:
    """One outgoing message in the making. `plain`: it may go out as a bare string, if it stays a single text."""

    __slots__ = ("blocks", "plain", "results", "role", "turn")

    def __init__(self, role: str, turn: Turn | None) -> None:
        self.role = role
        self.blocks: Blocks = []
        self.plain = False
        self.results = False
        self.turn = turn

    def content(self) -> Raw | Blocks:
        if self.plain and len(self.blocks) == 1:
            block = self.blocks[0]
            if isinstance(block, dict) and block.keys() == {"type", "text"}:
                text: Raw = block["text"]
                return text
        return self.blocks


class Conversation:
    """`system` and `messages` of one request."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing
        self._writer = Writer(outgoing)
        self._messages: list[_Message] = []

    def write(self, out: Json) -> None:
        """Sets both members; `messages` comes last, so that a longer conversation only adds to the end of the body."""
        outgoing, request = self._outgoing, self._outgoing.request
        leading, turns = ([], request.turns) if outgoing.own else hoisted(request)
        system = self._system(leading)
        for step in pair(turns):
            self._step(step)
        kept = [message for message in self._messages if message.blocks or outgoing.own]
        if not kept and system:
            message = _Message("user", None)
            message.blocks, message.plain, system = system, len(system) == 1, []
            kept.append(message)
        if not kept and request.turns:
            where = request.turns[0].where  # the conversation's own name is the first step of its turns' paths
            while where and where[0]:
                where = where[0]
            raise refuse(where, "there is no text in them that could be sent")
        if kept and not outgoing.own:
            if kept[0].role == "assistant":  # the API wants a user first; Chat does not
                kept.insert(0, _opening())
            _trim(kept[-1])
        if system:
            out["system"] = self._as_said(system, leading)
        out["messages"] = [self._closed(message) for message in kept]

    def _system(self, leading: list[Turn]) -> Blocks:
        request = self._outgoing.request
        texts: list[Part] = list(request.system)
        for turn in leading:
            self._announce(turn)
            texts += self._texts(turn.parts, turn)
        blocks: Blocks = []
        self._writer.write([text for text in texts if self._outgoing.own or not _withheld(text)], blocks)
        if request.format is not None and is_loose(request.format):
            blocks.append({"type": "text", "text": JSON_ONLY})
        return blocks

    def _texts(self, parts: list[Part], turn: Turn) -> list[Part]:
        """What a system prompt can hold; pictures and files in one become the user's words."""
        if self._outgoing.own:
            return parts
        texts, shown = self._outgoing.parted(parts)
        if shown:
            self._writer.write(shown, self._message("user", turn).blocks)
        return texts

    def _as_said(self, system: Blocks, leading: list[Turn]) -> Raw | Blocks:
        request = self._outgoing.request
        message = _Message("system", None)
        message.blocks = system
        message.plain = request.system_plain or (not request.system and len(leading) == 1 and leading[0].plain)
        return message.content()

    def _step(self, step: Step) -> None:
        turn = step.turns[0]
        for each in step.turns:
            self._announce(each)
        if turn.role == "system":
            self._system_turn(step)
            return
        message = self._message(turn.role, turn)
        message.plain = turn.plain and not message.blocks
        said, shown = self._apart(step.parts) if turn.role == "assistant" and not self._outgoing.own else (step.parts, [])
        self._writer.write(said, message.blocks)
        if step.results:
            results = self._message("user", next((each for each in step.turns if each.role == "user"), None))
            results.results = True
            self._writer.write(list(step.results), results.blocks)
        if shown:
            self._writer.write(shown, self._message("user", None).blocks)

    def _apart(self, parts: list[Part]) -> tuple[list[Part], list[Part]]:
        """An answer without the pictures and files that the model made, which the API takes from the user only; and these."""
        said: list[Part] = []
        shown: list[Part] = []
        for part in self._opened(parts):
            if isinstance(part, Media):
                number = len(shown) // 2 + 1
                said.append(Text(text=string_of(f"[{part.kind} {number} of this answer is in the next user message]")))
                shown += [Text(text=string_of(f"[{part.kind} {number} of the answer before]")), part]
            else:
                said.append(part)
        return said, shown

    def _opened(self, parts: list[Part]) -> Iterator[Part]:
        for part in parts:
            if isinstance(part, Foreign) and part.parts and any(isinstance(inner, Media) for inner in part.parts):
                self._outgoing.foreign(part)
                yield from part.parts
            else:
                yield part

    def _message(self, role: str, turn: Turn | None) -> _Message:
        """The message that takes a turn's blocks: the last one if it has the role, unless it was sent apart in this dialect."""
        while self._messages and not self._messages[-1].blocks and not self._outgoing.own:
            self._messages.pop()  # nothing of it was left to say
        if self._messages:
            last = self._messages[-1]
            if last.role == role and (last.results or not self._outgoing.own):
                last.results = False
                if last.turn is None:
                    last.turn = turn
                return last
        message = _Message(role, turn)
        self._messages.append(message)
        return message

    def _system_turn(self, step: Step) -> None:
        """Newest models take the role, behind a user turn; to others the words go as the user's, marked as what they are."""
        turn = step.turns[0]
        outgoing = self._outgoing
        behind_user = bool(self._messages) and self._messages[-1].role == "user"
        if outgoing.own or (outgoing.profile.system_turns and behind_user):
            message = _Message("system", turn)
            message.plain = turn.plain
            texts = self._texts(step.parts, turn)
            self._writer.write(texts, message.blocks)
            self._messages.append(message)
            return
        said = outgoing.framed(self._texts(step.parts, turn), turn.where)
        if said is not None:
            message = self._message("user", turn)
            message.plain = not message.blocks
            self._writer.write([said], message.blocks)

    def _announce(self, turn: Turn) -> None:
        if self._outgoing.own:
            return
        if turn.private or turn.inner:
            self._outgoing.private({}, turn.private, turn.where)
            self._outgoing.inner({}, turn.inner, turn.where)
        if turn.name is not None:
            self._outgoing.lose((turn.where, "name"))

    def _closed(self, message: _Message) -> Json:
        out: Json = {"role": message.role, "content": message.content()}
        turn = message.turn
        if turn is not None and self._outgoing.own:
            if turn.transient:
                out["clear_at"] = "next_user_message"
            if turn.effort is not None:
                out["output_config"] = {"effort": turn.effort}
            self._outgoing.private(out, turn.private, turn.where)
            self._outgoing.inner(out, turn.inner, turn.where)
        return out


def is_loose(shape: OutputFormat) -> bool:
    """Whether any JSON is asked for. The API enforces only schemas, and takes none that leaves an object open."""
    return shape.kind == "json" or (shape.kind == "json_schema" and shape.schema is None)


def _opening() -> _Message:
    """The shortest thing that a user can be said to have said."""
    message = _Message("user", None)
    message.blocks, message.plain = [{"type": "text", "text": Raw(b'"."')}], True
    return message


def _withheld(part: Part) -> bool:
    return isinstance(part, Text) and part.vendor_only


def _trim(message: _Message) -> None:
    """The API refuses white space at the end of an answer that it is to continue."""
    last = message.blocks[-1] if message.blocks else None
    if message.role != "assistant" or not isinstance(last, dict) or last["type"] != "text":
        return
    found = _TAIL.search(last["text"])
    if found is not None:
        last["text"] = Raw(bytes(last["text"])[: found.start(1)] + b'"')
