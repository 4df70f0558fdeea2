"""Writes the conversation of an OpenAI Chat Completions request. Reads nothing.

What the API demands and a neutral conversation need not have: answers hold only text and calls, tool messages only text, and they
come directly behind the calls. Pictures and files that a tool returned therefore follow in a user message.
"""

from __future__ import annotations

from typing import Final

from msgspec import Raw
from msgspec.structs import replace

from anyllm_fast.dialects.arguments import string_of_arguments
from anyllm_fast.dialects.openai_chat_cache import drop, write_own
from anyllm_fast.dialects.openai_chat_media import Parts, flat, write_part
from anyllm_fast.dialects.openai_chat_messages import REASONING
from anyllm_fast.neutral.custom_tools import args_of
from anyllm_fast.neutral.members import joined, open_object, string_of, text_of
from anyllm_fast.neutral.outgoing import Json, Outgoing, digest
from anyllm_fast.neutral.pairing import Step, pair
from anyllm_fast.neutral.request import Foreign, Media, Part, Refusal, Text, Thinking, ToolCall, ToolResult, Turn
from anyllm_fast.neutral.signatures import is_marked

MARK: Final = "anyllm:"  # our own mark in place of a signature names the member that the reasoning came in: see Thinking
MAX_IDENT: Final = 40  # longer ids of calls are a 400 of the API
_OWNERS: Final = frozenset({"", "anthropic", "openai_chat"})  # whose signatures stand in thinking_blocks without a tag

_EMPTY: Final = Raw(b'""')
_NEWLINE: Final = b"\\n"
_BREAK: Final = Raw(b'"\\n"')
_SAYS_SO: Final = b"error"


class Conversation:
    """`messages` of one request."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing
        self._messages: list[Json] = []
        self._names: set[bytes] = set()
        self._shown: Parts = []  # pictures and files of tool results, due in the next user message

    def write(self) -> list[Json]:
        request = self._outgoing.request
        self._system()
        turns = request.turns if self._outgoing.own else _visible(request.turns)
        for step in pair(turns):
            self._step(step)
        self._show()
        if turns and turns[-1].role == "assistant" and not self._outgoing.own:
            self._outgoing.lose(turns[-1].where, "the target answers anew, it does not continue an answer that was begun")
        return self._messages

    def _system(self) -> None:
        """One message for the whole system prompt: a bare string, which every host takes, unless there are marks to keep."""
        texts = [text for text in self._outgoing.request.system if self._outgoing.own or not text.vendor_only]
        if texts:
            turn = Turn(role="system", parts=[*texts], plain=self._outgoing.request.system_plain)
            self._add_system(turn, turn.parts)

    def _add_system(self, turn: Turn, parts: list[Part]) -> None:
        outgoing = self._outgoing
        developer = turn.developer if outgoing.own else outgoing.profile.developer_role
        shown: list[Part] = []
        if not outgoing.own:
            parts, shown = outgoing.parted(parts)
        texts = [part for part in flat(parts, outgoing) if not self._is_empty(part)]
        if shown:
            self._user(_APART, shown)
        if not texts and not outgoing.own:
            self._announce({}, turn)
            return
        out: Json = {"role": "developer" if developer else "system"}
        out["content"] = self._content(turn, texts, _NEWLINE, join=True)
        self._add(out, turn)

    def _is_empty(self, part: Part) -> bool:
        """Whether it is a text that says nothing; what it has beside its words is announced."""
        if not isinstance(part, Text) or part.text != _EMPTY:
            return False
        if not self._outgoing.own:
            write_part(part, self._outgoing)
        return True

    def _step(self, step: Step) -> None:
        turn = step.turns[0]
        for other in step.turns[1:]:
            self._announce({}, other)
        if turn.role == "assistant":
            self._show()
            self._answer(turn, step)
        elif turn.role == "system":
            self._show()
            self._add_system(turn, step.parts)
        else:
            self._user(turn, step.parts)

    def _user(self, turn: Turn, parts: list[Part]) -> None:
        outgoing = self._outgoing
        shown, self._shown = self._shown, []
        content = list(flat(parts, outgoing))
        out: Json = {"role": "user"}
        if shown:
            out["content"] = [*shown, *(write_part(part, outgoing) for part in content)]
        elif content or outgoing.own:
            out["content"] = self._content(turn, content, _NEWLINE, join=not outgoing.profile.text_arrays)
        else:
            self._announce({}, turn)
            return
        self._add(out, turn)

    def _answer(self, turn: Turn, step: Step) -> None:
        outgoing = self._outgoing
        out: Json = {"role": "assistant"}
        said: list[Part] = []
        made: list[Media] = []
        calls: list[Json] = []
        for part in flat(step.parts, outgoing, spaced=True):
            match part:
                case Text():
                    said.append(part)
                case ToolCall():
                    calls.append(self._call(part))
                    _separate(said)
                case Thinking():
                    self._thinking(part, out)
                    _separate(said)
                case Refusal() if outgoing.own and part.where and part.where[1] == "refusal":
                    out["refusal"] = part.text
                case Foreign() if part.type == "audio":
                    out["audio"] = open_object(part.raw, part.where)["audio"]
                case Media() if outgoing.own and _is_of_images(part):
                    out.setdefault("images", []).append(write_part(part, outgoing))
                case Media():
                    made.append(part)
                    _separate(said)
                    said.append(Text(text=string_of(f"[{part.kind} {len(made)} of this answer is in the next user message]")))
                    _separate(said)
                case _:
                    said.append(part)
        if said and said[-1] is _SEPARATOR:
            said.pop()
        if said or turn.plain:
            out["content"] = self._content(turn, said, b"", join=True)
        elif outgoing.own and not calls and not {"audio", "images", "refusal"}.intersection(out):
            out["content"] = []
        elif calls or outgoing.own:
            out["content"] = None
        if calls:
            out["tool_calls"] = calls
        if len(out) > 1:
            self._add(out, turn)
        else:
            self._announce({}, turn)
        for result in step.results:
            self._result(result)
        for number, media in enumerate(made, 1):
            self._show_later(media, f"[{media.kind} {number} of the answer before]")

    def _call(self, part: ToolCall) -> Json:
        outgoing = self._outgoing
        custom = part.custom and (outgoing.own or outgoing.profile.custom_tools)
        kind = "custom" if custom else "function"
        body: Json = {"name": outgoing.tool_name(part.name, (part.where, "name"), outgoing.profile.tool_name_limit)}
        if custom:
            body["input"] = part.args
        else:
            body["arguments"] = string_of_arguments(args_of(part.args) if part.custom else part.args)
        out: Json = {"id": self._ident(part.ident), "type": kind, kind: body}
        if part.cache is not None:
            if outgoing.own:
                write_own(out, part.cache, outgoing)
            else:
                drop(part.cache, outgoing)
        if part.private or part.inner:
            outgoing.private(out, part.private, part.where)
            outgoing.inner(out, part.inner, part.where)
        return out

    def _ident(self, ident: Raw) -> Raw:
        if self._outgoing.own or len(memoryview(ident)) - 2 <= MAX_IDENT:
            return ident
        return string_of("call_" + digest(text_of(ident))[:32])

    def _thinking(self, part: Thinking, out: Json) -> None:
        """Reasoning goes back only in the member in which such a host sent it. What another provider has signed stays away."""
        outgoing = self._outgoing
        outgoing.private({}, part.private, part.where)
        signature = "" if part.signature is None else text_of(part.signature)
        name = signature.removeprefix(MARK)
        if name in REASONING and name != signature and (outgoing.own or outgoing.profile.takes_reasoning):
            out[name] = joined([out[name], part.text], b"") if name in out else part.text
        elif _is_block(part, outgoing):
            out.setdefault("thinking_blocks", []).append(_block(part))
        else:
            outgoing.lose(part.where, "reasoning that is bound to another provider")

    def _result(self, result: ToolResult) -> None:
        outgoing = self._outgoing
        out: Json = {"role": "tool", "tool_call_id": self._ident(result.ident)}
        if outgoing.own:
            turn = Turn(role="user", parts=result.parts, plain=result.plain)
            out["content"] = self._content(turn, result.parts, _NEWLINE, join=False)
            if result.name is not None:
                out["name"] = result.name
            if result.cache is not None:
                write_own(out, result.cache, outgoing)
        else:
            out["content"] = self._result_content(result)
        if result.private:
            outgoing.private(out, result.private, result.where)
        self._messages.append(out)

    def _result_content(self, result: ToolResult) -> Raw | Parts:
        outgoing = self._outgoing
        texts: list[Part] = []
        media: list[Media] = []
        for part in flat(result.parts, outgoing):
            if isinstance(part, Media):
                media.append(part)
                texts.append(Text(text=string_of(f"[{part.kind} {len(media)} of this result is in the next user message]")))
            else:
                texts.append(part)
        if result.failed:
            _say_failed(texts)
        if result.cache is not None:
            last = texts[-1] if texts else None
            if isinstance(last, Text) and outgoing.profile.cache_breakpoints:
                texts[-1] = replace(last, cache=result.cache)
            else:
                drop(result.cache, outgoing)
        for number, part in enumerate(media, 1):
            self._show_later(part, f"[{part.kind} {number} of the result of tool call {text_of(result.ident)}]")
        return self._content(_APART, texts, _NEWLINE, join=not outgoing.profile.text_arrays) if texts else _EMPTY

    def _show_later(self, part: Media, label: str) -> None:
        self._shown += [{"type": "text", "text": label}, write_part(part, self._outgoing)]

    def _show(self) -> None:
        if self._shown:
            self._messages.append({"role": "user", "content": self._shown})
            self._shown = []

    def _content(self, turn: Turn, parts: list[Part], separator: bytes, *, join: bool) -> Raw | Parts:
        """A bare string where there is one text, or where several may be joined and carry nothing else; else an array."""
        outgoing = self._outgoing
        first = parts[0] if parts else None
        if type(first) is Text and len(parts) == 1 and not (outgoing.own or first.cache or first.citations or first.private):
            return first.text
        if outgoing.own:
            if turn.plain and isinstance(first, Text) and first.cache is None:
                return first.text
            return [write_part(part, outgoing) for part in parts]
        texts = [part for part in parts if type(part) is Text or type(part) is Refusal]
        kept = outgoing.profile.cache_breakpoints and any(part.cache is not None for part in texts if isinstance(part, Text))
        if len(texts) < len(parts) or kept or (len(texts) > 1 and not join):
            return [write_part(part, outgoing) for part in parts if part is not _SEPARATOR]
        for part in texts:
            if part.private or (isinstance(part, Text) and (part.cache is not None or part.citations is not None)):
                write_part(part, outgoing)  # announces what the bare string leaves out
        return joined([part.text for part in texts], separator) if texts else _EMPTY

    def _add(self, out: Json, turn: Turn) -> None:
        if turn.name is not None:
            out["name"] = turn.name
        self._announce(out, turn)
        self._messages.append(out)

    def _announce(self, out: Json, turn: Turn) -> None:
        if turn.private or turn.inner:
            self._outgoing.private(out, turn.private, turn.where)
            self._outgoing.inner(out, turn.inner, turn.where)


_APART: Final = Turn(role="user", parts=[])  # stands for a turn where there is none
_SEPARATOR: Final = Text(text=_BREAK)
"""Between texts of one answer that something stood between; texts that were neighbours are pieces of one (cited) sentence."""


def _separate(said: list[Part]) -> None:
    if said and said[-1] is not _SEPARATOR:
        said.append(_SEPARATOR)


def _visible(turns: list[Turn]) -> list[Turn]:
    """Without the system turns that a later user turn has made invisible."""
    if not any(turn.transient for turn in turns):
        return turns
    last = max((place for place, turn in enumerate(turns) if turn.role == "user"), default=-1)
    return [turn for place, turn in enumerate(turns) if not turn.transient or place > last]


def _say_failed(texts: list[Part]) -> None:
    """The API has no mark for a failed tool, so the text says it, if it does not already."""
    first = texts[0] if texts else None
    if not isinstance(first, Text) or len(memoryview(first.text)) <= 2:
        texts[: 0 if first is None else 1] = [Text(text=Raw(b'"Error"'))]
        return
    inside = bytes(first.text)[1:]
    if _SAYS_SO not in inside[:32].lower():
        texts[0] = Text(text=Raw(b'"Error: ' + inside), cache=first.cache, private=first.private, where=first.where)


def _is_of_images(part: Media) -> bool:
    match part.where:
        case ((_, "images"), _):
            return True
    return False


def _is_block(part: Thinking, outgoing: Outgoing) -> bool:
    """Whether a block goes back in thinking_blocks: what such a host has sent, and in this dialect what is Anthropic's."""
    if is_marked(part.text if part.redacted else part.signature):
        return False
    if outgoing.own:
        return part.origin in _OWNERS
    return part.origin == "openai_chat" and outgoing.profile.takes_reasoning


def _block(part: Thinking) -> Json:
    if part.redacted:
        return {"type": "redacted_thinking", "data": part.text, **part.private}
    out: Json = {"type": "thinking", "thinking": part.text, **part.private}
    if part.signature is not None:
        out["signature"] = part.signature
    return out
