"""Writes the system prompt and the conversation of a Bedrock Converse request. Reads nothing.

What the API demands and a neutral conversation need not have: user and assistant take turns (neighbours of one role are put
together) and a user begins, the results of all calls of an answer open the next user message, calls stand behind the text of an
answer, media are the user's, a document comes with a text, nothing is blank, the last answer does not end in white space.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Raw
from msgspec.structs import replace

from anyllm_fast.dialects.bedrock_blocks import Writer
from anyllm_fast.dialects.bedrock_cache import Blocks, settle_points, settled, write_point
from anyllm_fast.neutral.losses import ROOT
from anyllm_fast.neutral.members import open_array, refuse
from anyllm_fast.neutral.outgoing import Json, Outgoing
from anyllm_fast.neutral.pairing import Step, pair
from anyllm_fast.neutral.request import (
    Foreign,
    Media,
    OutputFormat,
    Part,
    ServerTool,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
    hoisted,
)

ONE_CALL: Final = "Call at most one tool in an answer."
JSON_ONLY: Final = "Answer with one JSON object and nothing else: no code fence, no words before or after it."

_TAIL: Final = re.compile(rb"(?<!\\)(?:\\\\)*((?: |\\[nrt])+)\"$")
_SOMETHING: Final = Raw(b'"."')
"""The shortest thing that a user can be said to have said."""
_SHOWN: Final = Raw(b'"[from the answer above]"')


class _Message:
    """One outgoing message in the making."""

    __slots__ = ("blocks", "results", "role", "turn")

    def __init__(self, role: str, turn: Turn | None) -> None:
        self.role = role
        self.blocks: Blocks = []
        self.results = False
        self.turn = turn


class Conversation:
    """`system` and `messages` of one request."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing
        self._writer = Writer(outgoing)
        self._messages: list[_Message] = []
        self._shown: list[Part] = []  # media of answers, due in the next user message

    def write(self, out: Json) -> None:
        """Sets both members; `messages` comes last, so that a longer conversation only adds to the end of the body."""
        outgoing, request = self._outgoing, self._outgoing.request
        if outgoing.own:
            leading: list[Turn] = []
            turns = [turn for turn in request.turns if turn.where != (ROOT, "system")]
        else:
            leading, turns = hoisted(replace(request, turns=_visible(request.turns)))
        system = self._system(leading)
        if system and not outgoing.own and not outgoing.profile.system_prompts:
            self._message("user", None).blocks += system
            system = []
        for step in pair(turns):
            self._step(step)
        self._show()
        kept = [message for message in self._messages if message.blocks or outgoing.own]
        if not outgoing.own:
            kept = self._demanded(kept, system)
            write_point(kept[-1].blocks if kept else system, request.cache, outgoing)
        settle_points(outgoing)
        if outgoing.own and "system" in out:  # points before all text: see read_system
            system[:0] = open_array(out["system"], (ROOT, "system"))
        if system:
            out["system"] = settled(system)
        if kept:
            out["messages"] = [self._closed(message) for message in kept]

    def _demanded(self, kept: list[_Message], system: Blocks) -> list[_Message]:
        if (kept or system or self._outgoing.request.turns) and (not kept or kept[0].role != "user"):
            first = _Message("user", None)
            first.blocks.append({"text": _SOMETHING})
            kept.insert(0, first)
        for message in kept:
            _accompany(message)
        if kept:
            _trim(kept[-1])
        return kept

    def _system(self, leading: list[Turn]) -> Blocks:
        request, outgoing = self._outgoing.request, self._outgoing
        parts: list[Part] = [text for text in request.system if outgoing.own or not text.vendor_only]
        for turn in leading:
            self._announce(turn)
            texts, shown = outgoing.parted(turn.parts)
            parts += texts
            if shown:
                self._writer.write(shown, self._message("user", turn).blocks)
        blocks: Blocks = []
        self._writer.write(parts, blocks)
        if request.format is not None and not outgoing.own and (words := in_words(request.format, outgoing)):
            blocks.append({"text": words})
        if one_at_a_time(outgoing):
            blocks.append({"text": ONE_CALL})
        return blocks

    def _step(self, step: Step) -> None:
        turn = step.turns[0]
        for each in step.turns:
            self._announce(each)
        if turn.role == "system":
            self._system_turn(step)
            return
        message = self._message(turn.role, turn)
        if turn.role == "assistant":
            self._answer(step.parts, message)
        else:
            self._ask(step.parts, message)
        if step.results:
            results = self._message("user", next((each for each in step.turns if each.role == "user"), None))
            results.results = True
            self._writer.write(list(step.results), results.blocks)

    def _answer(self, parts: list[Part], message: _Message) -> None:
        if self._outgoing.own:
            self._writer.write(parts, message.blocks)
            return
        flat = list(self._flat(parts))
        said = [part for part in flat if not isinstance(part, ToolCall | Media)]
        calls: list[Part] = [part for part in flat if isinstance(part, ToolCall)]
        self._shown += [part for part in flat if isinstance(part, Media)]
        for part in said:
            if isinstance(part, ToolResult):
                raise refuse(part.where, "a tool result belongs into a user message, behind the call that it answers")
        self._writer.write([*said, *calls], message.blocks)

    def _flat(self, parts: list[Part]) -> list[Part]:
        """Foreign parts as what they say, so that a picture among them is found."""
        flat: list[Part] = []
        for part in parts:
            if isinstance(part, Foreign) and part.parts is not None and any(isinstance(each, Media) for each in part.parts):
                self._outgoing.foreign(part)
                flat += part.parts
            else:
                flat.append(part)
        return flat

    def _ask(self, parts: list[Part], message: _Message) -> None:
        if not self._outgoing.own:
            for part in parts:
                if isinstance(part, Thinking | ToolCall):
                    raise refuse(part.where, "the target takes reasoning and tool calls from the model only")
            self._show(message)
        self._writer.write(parts, message.blocks)

    def _show(self, message: _Message | None = None) -> None:
        """Media are the user's in this API: those of an answer follow it, with a word that says where they are from."""
        if self._shown:
            shown, self._shown = self._shown, []
            blocks = (message or self._message("user", None)).blocks
            blocks.append({"text": _SHOWN})
            self._writer.write(shown, blocks)

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
        turn, outgoing = step.turns[0], self._outgoing
        behind_user = bool(self._messages) and self._messages[-1].role == "user"
        if outgoing.own or (outgoing.profile.system_turns and behind_user):
            message = _Message("system", turn)
            self._writer.write(step.parts, message.blocks)
            self._messages.append(message)
            return
        texts, shown = outgoing.parted(step.parts)
        said = outgoing.framed(texts, turn.where)
        message = self._message("user", turn)
        self._writer.write([*([] if said is None else [said]), *shown], message.blocks)

    def _announce(self, turn: Turn) -> None:
        outgoing = self._outgoing
        if outgoing.own:
            return
        outgoing.private({}, turn.private, turn.where)
        outgoing.inner({}, turn.inner, turn.where)
        if turn.name is not None:
            outgoing.lose((turn.where, "name"))

    def _closed(self, message: _Message) -> Json:
        out: Json = {"role": message.role, "content": settled(message.blocks)}
        if message.turn is not None and self._outgoing.own:
            self._outgoing.private(out, message.turn.private, message.turn.where)
        return out


def in_words(shape: OutputFormat, outgoing: Outgoing) -> str:
    """What the model is told of the answer's form where the API cannot hold it to one."""
    if shape.kind == "text" or (shape.kind == "json_schema" and shape.schema is not None and outgoing.profile.enforced_schemas):
        return ""
    if shape.kind == "json_schema" and shape.schema is not None:
        return f"{JSON_ONLY} It has to follow this JSON schema:\n{bytes(shape.schema).decode()}"
    return JSON_ONLY


def one_at_a_time(outgoing: Outgoing) -> bool:
    """Whether the model is told in words to make its calls one after the other. (Claude has a setting for it.)"""
    request = outgoing.request
    if request.parallel_tools is not False or outgoing.own or outgoing.profile.anthropic_model:
        return False
    return any(not isinstance(tool, ServerTool) for tool in request.tools or ())


def _visible(turns: list[Turn]) -> list[Turn]:
    """Without the system turns that a later user turn has made invisible."""
    last = max((place for place, turn in enumerate(turns) if turn.role == "user"), default=-1)
    return [turn for place, turn in enumerate(turns) if not turn.transient or place > last]


def _accompany(message: _Message) -> None:
    """The API takes a document only beside a text."""
    kinds = {kind for block in message.blocks if isinstance(block, dict) for kind in block}
    if "document" in kinds and "text" not in kinds:
        message.blocks.append({"text": _SOMETHING})


def _trim(message: _Message) -> None:
    """The API refuses white space at the end of an answer that it is to continue."""
    last = message.blocks[-1] if message.blocks else None
    if message.role != "assistant" or not isinstance(last, dict) or "text" not in last:
        return
    found = _TAIL.search(last["text"])
    if found is not None:
        last["text"] = Raw(bytes(last["text"])[: found.start(1)] + b'"')
