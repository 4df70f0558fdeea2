"""What a scripted upstream means, before any dialect writes it. Knows no JSON of a vendor and no socket."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal


@dataclass(frozen=True)
class Cite:
    """A web citation: the one kind that both dialects can say."""

    url: str
    title: str
    quote: str


@dataclass(frozen=True)
class Text:
    text: str
    cites: tuple[Cite, ...] = ()


@dataclass(frozen=True)
class Thinking:
    text: str


@dataclass(frozen=True)
class Redacted:
    """Thinking that only its issuer can read; `data` is its opaque wire form once it was issued."""

    data: str


@dataclass(frozen=True)
class Own:
    """A content block that only the Messages dialect has, as its JSON. The Chat dialect cannot answer with it."""

    block: Mapping[str, Any]


@dataclass(frozen=True)
class Call:
    """A tool call. `args` may be a string to send arguments that are no JSON object."""

    name: str
    args: Mapping[str, Any] | str = field(default_factory=dict)
    id: str = ""

    @property
    def json(self) -> str:
        return self.args if isinstance(self.args, str) else json.dumps(self.args, ensure_ascii=False)


@dataclass(frozen=True)
class Image:
    """`data` is base64 with `media`; a picture by address has `url` and nothing else."""

    media: str = ""
    data: str = ""
    url: str = ""


@dataclass(frozen=True)
class Document:
    data: str
    media: str = "application/pdf"
    name: str = ""


@dataclass(frozen=True)
class Result:
    """What a tool gave back, by the id of its call."""

    id: str
    parts: tuple[Text | Image | Document, ...]
    failed: bool = False


Part = Text | Thinking | Redacted | Own | Call | Image | Document | Result


@dataclass(frozen=True)
class Usage:
    """Tokens. `input` counts neither `cached` nor `written`; `output` counts `reasoning`."""

    input: int = 11
    cached: int = 0
    written: int = 0
    output: int = 7
    reasoning: int = 0


Stop = Literal["", "end", "length", "tools", "stop_sequence", "refusal", "pause_turn", "model_context_window_exceeded"]


@dataclass(frozen=True)
class Style:
    """How the meaning is written: everything here may change without the meaning changing."""

    pieces: int = 3  # deltas per text, thinking or arguments
    tcp: int = 0  # bytes per socket write; 0: one write a frame; -1: all in one write
    newline: str = "\n"
    space: bool = True  # `data: x` or `data:x`
    comments: bool = False
    bom: bool = False
    role: Literal["empty", "null", "none", "text"] = "empty"  # what the first Chat chunk says besides the role
    finish_with_content: bool = False
    interleave: bool = False  # arguments of parallel calls in turns
    index: bool = True  # tool_calls[].index present
    whole_calls: bool = False  # each call in one delta
    finish_stop: bool = False  # Chat: finish_reason "stop" though tools were called
    reasoning: Literal["reasoning_content", "reasoning"] = "reasoning_content"
    usage: Literal["asked", "always", "never", "with_finish"] = "asked"
    done: bool = True  # [DONE] / message_stop
    last_blank: bool = True  # the last frame ends with its blank line
    ascii: bool = False  # JSON with \\u escapes and surrogate pairs, "\\/" for a slash
    encoding: Literal["", "gzip", "br", "zstd"] = ""
    document: bool = False  # one JSON document though a stream was asked
    pings: bool = False
    late_input: bool = False  # Messages: input tokens only in message_delta
    id_late: bool = False  # Chat: the id of a call only in its second delta
    habit: str = ""  # a name of `chat_habits` or `messages_habits`
    hold: str = ""  # after the first delta wait until the test releases this name
    pace: float = 0.0  # seconds between frames


@dataclass(frozen=True)
class Fail:
    """An upstream that does not do its part. `times` 0 is always; n is only the first n requests of the script."""

    how: Literal["status", "event", "cut", "reset", "eof", "html", "json200", "empty", "hang"] = "status"
    at: Literal["before", "after_first", "mid", "late"] = "before"
    status: int = 500
    kind: str = ""
    message: str = "the scripted upstream fails here"
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""  # instead of the dialect's own error object; in a stream the data of the frame
    times: int = 0


@dataclass(frozen=True)
class Answer:
    parts: tuple[Part, ...] = ()
    stop: Stop = ""
    stop_sequence: str = ""
    usage: Usage = Usage()
    refusal: str = ""
    others: tuple[str, ...] = ()  # texts of choices 1.. (Chat, n > 1)
    style: Style = Style()
    fail: Fail | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        return "".join(p.text for p in self.parts if isinstance(p, Text))

    @property
    def thinking(self) -> str:
        return "".join(p.text for p in self.parts if isinstance(p, Thinking))

    @property
    def calls(self) -> tuple[Call, ...]:
        return tuple(p for p in self.parts if isinstance(p, Call))

    @property
    def ending(self) -> str:
        if self.stop:
            return self.stop
        if self.refusal:
            return "refusal"
        return "tools" if self.calls else "end"

    def styled(self, **changes: Any) -> Answer:
        return replace(self, style=replace(self.style, **changes))


def says(text: str, *more: Part, **changes: Any) -> Answer:
    """The usual answer: some text, then `more` parts; `changes` are fields of Answer."""
    return Answer(parts=((Text(text),) if text else ()) + more, **changes)


def pieces(text: str, count: int) -> list[str]:
    """`text` in `count` parts of about equal length (fewer when it is shorter), never an empty one."""
    size = max(1, -(-len(text) // max(1, count)))
    return [text[i : i + size] for i in range(0, len(text), size)]


# -- scripts inside a prompt: they survive every translation, because they are the text --------------------------------

_DIRECTIVE = re.compile(r"\[\[script (@[\w.-]+|\{.*?\})\]\]", re.DOTALL)


def find_directive(text: str) -> str | None:
    """The last `[[script ...]]` in a text: `@name` of a registered script, or the JSON of an answer."""
    found = _DIRECTIVE.findall(text)
    return found[-1] if found else None


def answer_of_json(source: str) -> Answer:
    """`{"say","think","tools":[{"name","args"}],"stop","usage":{},"style":{},"fail":{}}` as an Answer."""
    plan = json.loads(source)
    parts: list[Part] = []
    if think := plan.get("think"):
        parts.append(Thinking(think))
    if say := plan.get("say"):
        parts.append(Text(say))
    parts += [Call(c["name"], c.get("args", {}), c.get("id", "")) for c in plan.get("tools", ())]
    style = {**plan.get("style", {}), **({"pieces": plan["chunks"]} if "chunks" in plan else {})}
    fail = plan.get("fail")
    return Answer(
        parts=tuple(parts),
        stop=plan.get("stop", ""),
        refusal=plan.get("refusal", ""),
        usage=_filled(Usage, plan.get("usage", {})),
        style=_filled(Style, style),
        fail=_filled(Fail, fail) if fail else None,
    )


def _filled(kind: Any, given: Mapping[str, Any]) -> Any:
    known = {f.name for f in fields(kind)}
    if unknown := set(given) - known:
        raise ValueError(f"unknown {kind.__name__} fields in a script: {sorted(unknown)}")
    return kind(**given)
