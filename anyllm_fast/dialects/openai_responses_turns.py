"""Writes `instructions` and `input` of an OpenAI Responses request. Reads nothing.

The model's own turn becomes items in the order in which it happened: reasoning, messages, calls. Results follow as items of their
own, pictures and files inside them. What a model answered goes as output_text, which is the only text that the API takes from it.
"""

from __future__ import annotations

from typing import Final

from msgspec import Raw
from msgspec.structs import replace

from anyllm_fast.dialects.arguments import string_of_arguments
from anyllm_fast.dialects.openai_chat_cache import drop
from anyllm_fast.dialects.openai_responses_items import NAME
from anyllm_fast.dialects.openai_responses_media import announce, flat, write_answer, write_part
from anyllm_fast.neutral.custom_tools import args_of
from anyllm_fast.neutral.members import joined, refuse, string_of, text_of
from anyllm_fast.neutral.outgoing import Json, Outgoing
from anyllm_fast.neutral.pairing import Step, pair
from anyllm_fast.neutral.request import CustomTool, Media, Part, Refusal, Text, Thinking, ToolCall, ToolResult, Turn, hoisted

MAX_IDENT: Final = 64

_EMPTY: Final = Raw(b'""')
_NEWLINE: Final = b"\\n"
_SAYS_SO: Final = b"error"


class Conversation:
    """`instructions` and `input` of one request."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing
        self._items: list[Json] = []
        self._custom: set[bytes] = set()  # ids of calls that were written as calls of free-form tools
        self._shown: list[Json] = []  # pictures of an answer, due in the next user message
        tools = (outgoing.request.tools or ()) if outgoing.profile.custom_tools else ()
        self._free = {bytes(tool.name) for tool in tools if isinstance(tool, CustomTool)}

    def write(self, out: Json) -> None:
        """Sets both members; `input` comes last, so that a longer conversation only adds to the end of the body."""
        outgoing, request = self._outgoing, self._outgoing.request
        leading, turns = hoisted(request)
        if not turns:  # the API wants something to answer
            leading, turns = [], leading
        self._instructions(out, leading)
        turns = _visible(turns)
        for step in pair(turns):
            self._step(step)
        self._show()
        if not self._items and "instructions" in out:
            self._message("user", [{"type": "input_text", "text": out.pop("instructions")}])
        if turns and turns[-1].role == "assistant":
            outgoing.lose(turns[-1].where, "the target answers anew, it does not continue an answer that was begun")
        out["input"] = self._items

    # -- the system prompt ---------------------------------------------------------------------------------------------

    def _instructions(self, out: Json, leading: list[Turn]) -> None:
        """Plain text at the head of everything. A message of its own with cache marks to keep; and where any JSON is asked for,
        because the API demands that word in the input, which instructions are no part of."""
        outgoing, shape = self._outgoing, self._outgoing.request.format
        parts: list[Part] = [text for text in outgoing.request.system if not text.vendor_only]
        for turn in leading:
            self._announce(turn)
            parts += turn.parts
        parts = list(flat(parts, outgoing))
        texts = [part for part in parts if isinstance(part, Text)]
        marked = outgoing.profile.cache_breakpoints and any(part.cache is not None for part in texts)
        if len(texts) < len(parts) or marked or (shape is not None and shape.kind == "json"):
            self._system(parts)
        elif texts:
            for part in texts:
                self._plain(part)
            out["instructions"] = joined([part.text for part in texts], _NEWLINE)

    def _system(self, parts: list[Part]) -> None:
        if parts:
            self._message("developer", [write_part(part, self._outgoing) for part in parts])

    def _plain(self, part: Text) -> None:
        """Announces what a bare string leaves out."""
        announce(part, self._outgoing)
        if part.cache is not None:
            drop(part.cache, self._outgoing)

    # -- turns ---------------------------------------------------------------------------------------------------------

    def _step(self, step: Step) -> None:
        turn = step.turns[0]
        for each in step.turns:
            self._announce(each)
        if turn.role == "assistant":
            self._show()
            self._answer(step)
        elif turn.role == "system":
            self._show()
            self._system(list(flat(step.parts, self._outgoing)))
        else:
            self._user(list(flat(step.parts, self._outgoing)))

    def _user(self, parts: list[Part]) -> None:
        shown, self._shown = self._shown, []
        content = shown + [write_part(part, self._outgoing) for part in parts]
        if content:
            self._message("user", content)

    def _show(self) -> None:
        if self._shown:
            self._user([])

    def _answer(self, step: Step) -> None:
        said: list[Json] = []
        for part in flat(step.parts, self._outgoing, spaced=True):
            match part:
                case Text() | Refusal():
                    said.append(write_answer(part, self._outgoing))
                case Media():
                    self._picture(part, said)
                case ToolCall():
                    self._say(said)
                    self._call(part)
                case Thinking():
                    self._say(said)
                    self._thinking(part)
                case _:
                    raise refuse(part.where, "a part that the target does not take in an answer of the model")
        self._say(said)
        for result in step.results:
            self._result(result)

    def _say(self, said: list[Json]) -> None:
        if said:
            self._message("assistant", said)
            said.clear()

    def _message(self, role: str, content: list[Json]) -> None:
        self._items.append({"type": "message", "role": role, "content": [*content]})

    def _picture(self, part: Media, said: list[Json]) -> None:
        """Answers hold only text, so what the model made is shown to it by the user."""
        number = len(self._shown) // 2 + 1
        label = f"[{part.kind} {number} of this answer is in the next user message]"
        said.append({"type": "output_text", "text": label, "annotations": []})
        shown = write_part(part, self._outgoing)
        self._shown += [{"type": "input_text", "text": f"[{part.kind} {number} of your answer]"}, shown]

    def _thinking(self, part: Thinking) -> None:
        """Reasoning goes back only to those who have encrypted it, in the item that it came in."""
        outgoing = self._outgoing
        outgoing.private({}, part.private, part.where)
        opaque = b"" if part.signature is None else bytes(part.signature)[1:-1]
        ident, _, sealed = opaque.partition(b":")
        if part.origin != NAME or part.redacted or not sealed:
            outgoing.lose(part.where, "reasoning that the target has not encrypted cannot be given to it")
            return
        item: Json = {"type": "reasoning"}
        if ident:
            item["id"] = Raw(b'"%b"' % ident)
        item["summary"] = [] if part.text == _EMPTY else [{"type": "summary_text", "text": part.text}]
        item["encrypted_content"] = Raw(b'"%b"' % sealed)
        self._items.append(item)

    def _call(self, part: ToolCall) -> None:
        outgoing = self._outgoing
        name = outgoing.tool_name(part.name, (part.where, "name"), outgoing.profile.tool_name_limit)
        ident = outgoing.call_id(part.ident, MAX_IDENT)
        if part.custom and bytes(part.name) in self._free:
            self._custom.add(bytes(part.ident))
            self._items.append({"type": "custom_tool_call", "call_id": ident, "name": name, "input": part.args})
        else:
            args = string_of_arguments(args_of(part.args) if part.custom else part.args)
            self._items.append({"type": "function_call", "call_id": ident, "name": name, "arguments": args})
        if part.cache is not None:
            drop(part.cache, outgoing)
        if part.private or part.inner:
            outgoing.private({}, part.private, part.where)
            outgoing.inner({}, part.inner, part.where)

    def _result(self, result: ToolResult) -> None:
        outgoing = self._outgoing
        parts = list(flat(result.parts, outgoing))
        if result.failed:
            _say_failed(parts)
        if result.cache is not None:
            last = parts[-1] if parts else None
            if isinstance(last, Text) and outgoing.profile.cache_breakpoints:
                parts[-1] = replace(last, cache=result.cache)
            else:
                drop(result.cache, outgoing)
        kind = "custom_tool_call_output" if bytes(result.ident) in self._custom else "function_call_output"
        item: Json = {"type": kind, "call_id": outgoing.call_id(result.ident, MAX_IDENT)}
        item["output"] = self._output(parts)
        outgoing.private({}, result.private, result.where)
        self._items.append(item)

    def _output(self, parts: list[Part]) -> Raw | list[Json]:
        """A bare string where there is one text, which every host takes; else an array."""
        first = parts[0] if parts else None
        if first is None:
            return _EMPTY
        if isinstance(first, Text) and len(parts) == 1 and not (first.cache and self._outgoing.profile.cache_breakpoints):
            self._plain(first)
            return first.text
        return [write_part(part, self._outgoing) for part in parts]

    def _announce(self, turn: Turn) -> None:
        outgoing = self._outgoing
        if turn.name is not None:
            outgoing.lose((turn.where, "name"))
        if turn.private or turn.inner:
            outgoing.private({}, turn.private, turn.where)
            outgoing.inner({}, turn.inner, turn.where)


def _visible(turns: list[Turn]) -> list[Turn]:
    """Without the system turns that a later user turn has made invisible."""
    if not any(turn.transient for turn in turns):
        return turns
    last = max((place for place, turn in enumerate(turns) if turn.role == "user"), default=-1)
    return [turn for place, turn in enumerate(turns) if not turn.transient or place > last]


def _say_failed(parts: list[Part]) -> None:
    """The API has no mark for a failed tool, so the text says it, if it does not already."""
    first = parts[0] if parts else None
    if not isinstance(first, Text):
        parts.insert(0, Text(text=string_of("Error")))
    elif _SAYS_SO not in text_of(first.text)[:32].lower().encode():
        parts[0] = replace(first, text=Raw(b'"Error: ' + bytes(first.text)[1:]))
