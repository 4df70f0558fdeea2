"""One lane of the matrix: an SDK, the way it takes, and what came out, read back into the meaning of the upstream.

A cell asks through `Lane.send` and holds `Got` against the `Answer` that the upstream was given. Reads replies, writes
requests with `scripted.asked`; knows no feature.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from scripted.answer import Answer, Call, Part, Redacted, Result, Text, Thinking
from scripted.asked import Asked, Turn, Verbatim, merged, read_chat, read_messages, write_chat, write_messages
from scripted.host import Scripted
from scripted.upstream import Record, Upstream

from .judges import Judge, Sdk

# By the client's and the upstream's dialect: a model that does not reason (through the mapping of `gateway.MODELS`), and
# one that does. Sonnet 4.5 does either.
MODELS = {
    ("anthropic", "openai"): ("claude-haiku-4-5", "claude-opus-5-5"),
    ("openai", "openai"): ("gpt-4.1", "gpt-5"),
    ("anthropic", "anthropic"): ("claude-sonnet-4-5", "claude-sonnet-4-5"),
    ("openai", "anthropic"): ("claude-sonnet-4-5", "claude-sonnet-4-5"),
}
_numbers = itertools.count(1)


class Stage(Protocol):
    """What a session owns: the upstreams, the gateways, the judges."""

    scripted: Scripted

    def judge(self, sdk: Sdk) -> Judge: ...

    def root(self, via: str) -> str: ...


@dataclass(frozen=True)
class Way:
    """`via` is `direct`, or the backend of the gateway between; `openai/python` forces the Python twins there."""

    sdk: Sdk
    via: str
    mode: str

    @property
    def ingress(self) -> str:
        return self.sdk.vendor

    @property
    def egress(self) -> str:
        return self.sdk.vendor if self.via == "direct" else self.via.partition("/")[0]

    @property
    def direct(self) -> bool:
        return self.via == "direct"

    @property
    def crosses(self) -> bool:
        return self.ingress != self.egress

    @property
    def streamed(self) -> bool:
        return self.mode != "whole"

    def __str__(self) -> str:
        return f"{self.sdk}>{self.via}-{self.mode}"


@dataclass(frozen=True)
class Meaning:
    """A reply as a dialect's client understands it. `stop` is in the words of that dialect."""

    text: str = ""
    thinking: str = ""
    calls: tuple[tuple[str, str], ...] = ()  # (name, canonical arguments)
    stop: str | None = None
    input: int = 0
    cached: int = 0
    written: int = 0
    output: int = 0
    refusal: str = ""


@dataclass
class Got:
    """A verdict of the SDK, with the answer it should be and the records of the upstream."""

    lane: Lane
    asked: Asked
    answer: Answer
    script: str
    verdict: dict[str, Any]
    sent: dict[str, Any] = field(default_factory=dict)

    # -- what the client has ------------------------------------------------------------------------------------------

    @property
    def final(self) -> dict[str, Any]:
        assert "final" in self.verdict, self._story()
        final: dict[str, Any] = self.verdict["final"]
        return final

    @property
    def error(self) -> dict[str, Any]:
        assert "error" in self.verdict, f"no error, but {json.dumps(self.verdict)[:1500]}\n{self._story()}"
        error: dict[str, Any] = self.verdict["error"]
        return error

    @property
    def headers(self) -> dict[str, str]:
        return {k.lower(): v for k, v in self.verdict.get("headers", {}).items()}

    @property
    def losses(self) -> str:
        """What the gateway announced that it could not carry."""
        return self.headers.get("x-anyllm-degradation", "")

    @property
    def meaning(self) -> Meaning:
        return READERS[self.lane.way.ingress](self.final)

    # -- what the upstream has ----------------------------------------------------------------------------------------

    @property
    def records(self) -> list[Record]:
        return self.lane.upstream.calls(self.script)

    @property
    def record(self) -> Record:
        records = self.records
        assert records, f"the upstream never saw this request\n{self._story()}"
        return records[-1]

    @property
    def heard(self) -> Asked:
        assert self.record.refusal is None, self._story()
        return (read_messages if self.lane.way.egress == "anthropic" else read_chat)(self.record.body)

    # -- judgements ---------------------------------------------------------------------------------------------------

    def same(self, **changes: Any) -> Got:
        """The SDK's object is what the upstream meant. `changes` are fields of Meaning that this cell expects else."""
        expected = replace(expected_meaning(self.lane.way, self.answer, self.record.body), **changes)
        assert self.meaning == expected, f"\n got {self.meaning}\nmeant {expected}\n{self._story()}"
        return self

    def arrived(self) -> Got:
        """The upstream heard what the client asked: the turns, the system text, the tools and the plain parameters."""
        heard = self.heard
        assert flat(heard.turns) == flat(self.asked.turns), self._story()
        assert squeezed(heard.system) == squeezed(self.asked.system), self._story()
        for name in ("choice", "parallel", "temperature", "top_p", "stops", "schema", "user", "max_tokens"):
            wanted, found = getattr(self.asked, name), getattr(heard, name)
            assert wanted in (None, "", ()) or _alike(wanted, found), f"{name}: {wanted!r} became {found!r}\n{self._story()}"
        assert [_shown(t) for t in heard.tools] == [_shown(t) for t in self.asked.tools], self._story()
        return self

    def failed(self, *classes: str, status: int | tuple[int, ...] = (), says: str = "") -> Got:
        """The SDK raised one of `classes`, with this status and these words."""
        error = self.error
        assert set(classes) & set(error["classes"]), f"{error}\n{self._story()}"
        wanted = (status,) if isinstance(status, int) else status
        assert not wanted or error["status"] in wanted, f"{error}\n{self._story()}"
        assert says in error["message"], f"{error}\n{self._story()}"
        return self

    # -- the next turn ------------------------------------------------------------------------------------------------

    def replay(self) -> Turn:
        """The assistant's message as a program keeps it: the SDK's object, put back into the conversation."""
        if self.lane.way.ingress == "anthropic":
            return Turn("assistant", (Verbatim({"role": "assistant", "content": _unparsed(self.final["content"])}),))
        return Turn("assistant", (Verbatim(_unaccumulated(self.final["choices"][0]["message"])),))

    def call_ids(self) -> list[str]:
        if self.lane.way.ingress == "anthropic":
            return [b["id"] for b in self.final["content"] if b["type"] == "tool_use"]
        return [c["id"] for c in self.final["choices"][0]["message"].get("tool_calls") or ()]

    def then(self, *parts: Part | str, turn: Turn | None = None, **changes: Any) -> Got:
        """The same conversation one turn on: the assistant's message replayed (or `turn`), then `parts` of the user."""
        said = tuple(Text(p) if isinstance(p, str) else p for p in parts)
        turns = (*self.asked.turns, turn or self.replay(), Turn("user", said))
        return self.lane.go_on(self, replace(self.asked, turns=turns, **changes))

    def results(self, *texts: str) -> list[Result]:
        return [Result(i, (Text(t),)) for i, t in zip(self.call_ids(), texts, strict=True)]

    def _story(self) -> str:
        lines = [f"way: {self.lane.way}", f"verdict: {json.dumps(self.verdict, ensure_ascii=False)[:3000]}"]
        for record in self.records[-3:]:
            lines.append(f"upstream got: {record.request.body.decode(errors='replace')[:3000]}")
            lines.append(f"upstream refused: {record.refusal}" if record.refusal else f"complete: {record.complete}")
        return "\n".join(lines)


class Lane:
    """One way through one stage. `send` asks once and gives what the SDK made of it."""

    def __init__(self, stage: Stage, way: Way) -> None:
        self.stage = stage
        self.way = way
        self._answers: dict[str, tuple[Answer, ...]] = {}

    @property
    def upstream(self) -> Upstream:
        return self.stage.scripted[self.way.egress]

    def model(self, reasons: bool = False) -> str:
        return MODELS[self.way.ingress, self.way.egress][reasons]

    def send(self, asked: Asked, *answers: Answer, extra: Mapping[str, Any] | None = None, **job: Any) -> Got:
        """`extra` are fields of the client's own dialect; `job` goes to the judge (headers, retries, on_first, mode)."""
        script = f"s{next(_numbers)}"
        self._answers[script] = answers
        asked = asked.prompted(self.upstream.script(script, answers))
        return self._ask(asked, script, answers[0], extra or {}, job)

    def go_on(self, before: Got, asked: Asked) -> Got:
        answers = self._answers[before.script]
        step = sum(t.role == "assistant" for t in asked.turns) - sum(t.role == "assistant" for t in _first(before))
        return self._ask(asked, before.script, answers[min(step, len(answers) - 1)], {}, {})

    def send_body(self, body: Mapping[str, Any], *answers: Answer, **job: Any) -> Got:
        """A request in the client's own dialect; its last user text must hold `{script}`."""
        script = f"s{next(_numbers)}"
        directive = self.upstream.script(script, answers)
        full = json.loads(json.dumps(body).replace("{script}", directive.replace('"', '\\"')))
        full = {"model": self.model("thinking" in full), **full}
        verdict = self.judged(full, job)
        return Got(self, Asked(), answers[0], script, verdict, full)

    def _ask(self, asked: Asked, script: str, answer: Answer, extra: Mapping[str, Any], job: dict[str, Any]) -> Got:
        model = job.pop("model", "") or self.model(bool(asked.effort or asked.budget or "thinking" in extra))
        write = write_messages if self.way.ingress == "anthropic" else write_chat
        body = {**write(asked, model), **extra}
        return Got(self, asked, answer, script, self.judged(body, job), body)

    def judged(self, body: Mapping[str, Any], job: dict[str, Any]) -> dict[str, Any]:
        direct = self.way.direct
        root = self.stage.scripted.root(self.way.ingress) if direct else self.stage.root(self.way.via)
        return self.stage.judge(self.way.sdk).ask({"mode": self.way.mode, "base_url": root, "body": body, **job})


def _first(got: Got) -> tuple[Turn, ...]:
    """The turns before the directive: what was history already when the conversation was first asked."""
    turns = got.asked.turns
    last = max(i for i, t in enumerate(turns) for p in t.parts if isinstance(p, Text) and "[[script" in p.text)
    return turns[: last + 1]


# -- reading replies --------------------------------------------------------------------------------------------------


def read_message(final: Mapping[str, Any]) -> Meaning:
    content = final["content"]
    usage = final["usage"]
    return Meaning(
        text="".join(b["text"] for b in content if b["type"] == "text"),
        thinking="".join(b["thinking"] for b in content if b["type"] == "thinking"),
        calls=tuple((b["name"], canonical(b["input"])) for b in content if b["type"] == "tool_use"),
        stop=final["stop_reason"],
        input=usage.get("input_tokens") or 0,
        cached=usage.get("cache_read_input_tokens") or 0,
        written=usage.get("cache_creation_input_tokens") or 0,
        output=usage.get("output_tokens") or 0,
    )


def read_completion(final: Mapping[str, Any]) -> Meaning:
    choice = final["choices"][0]
    message = choice["message"]
    usage = final.get("usage") or {}
    details = usage.get("prompt_tokens_details") or {}
    calls = [c["function"] for c in message.get("tool_calls") or ()]
    return Meaning(
        text=message.get("content") or "",
        thinking=message.get("reasoning_content") or message.get("reasoning") or "",
        calls=tuple((c["name"], canonical(json.loads(c["arguments"] or "{}"))) for c in calls),
        stop=choice["finish_reason"],
        input=usage.get("prompt_tokens") or 0,
        cached=details.get("cached_tokens") or 0,
        written=details.get("cache_write_tokens") or 0,
        output=usage.get("completion_tokens") or 0,
        refusal=message.get("refusal") or "",
    )


READERS = {"anthropic": read_message, "openai": read_completion}

_STOPS = {
    "anthropic": {
        "end": "end_turn",
        "length": "max_tokens",
        "tools": "tool_use",
        "stop_sequence": "stop_sequence",
        "refusal": "refusal",
    },
    "openai": {
        "end": "stop",
        "length": "length",
        "tools": "tool_calls",
        "stop_sequence": "stop",
        "refusal": "content_filter",
    },
}


def expected_meaning(way: Way, answer: Answer, body: Mapping[str, Any]) -> Meaning:
    """The answer in the words of the client's dialect, as far as the upstream's dialect can have said it."""
    usage = answer.usage
    stop = _STOPS[way.ingress].get(answer.ending, answer.ending)
    if way.egress == "openai" and answer.ending == "stop_sequence":
        stop = _STOPS[way.ingress]["end"]  # the Chat dialect says only `stop`
    calls = tuple((c.name, canonical(c.args)) for c in answer.calls)
    thinking = answer.thinking
    if way.egress == "anthropic" and (body.get("thinking") or {}).get("type") not in ("enabled", "adaptive"):
        thinking = ""
    counts = {"input": usage.input, "cached": usage.cached, "written": usage.written, "output": usage.output}
    if way.ingress == "openai":
        counts["input"] = usage.input + usage.cached + usage.written
    return Meaning(answer.text, thinking, calls, stop, refusal=answer.refusal, **counts)


def canonical(arguments: Any) -> str:
    """Arguments as JSON with their keys in the order they came: a reordering is a change."""
    return json.dumps(arguments, ensure_ascii=False) if not isinstance(arguments, str) else arguments


def flat(turns: tuple[Turn, ...]) -> list[tuple[str, tuple[Any, ...]]]:
    """Turns for comparison: merged, thinking aside (its cells look at it), ids by order, replayed messages read."""
    ids: dict[str, str] = {}

    def known(call_id: str) -> str:
        return ids.setdefault(call_id, f"call {len(ids)}")

    rows: list[tuple[str, tuple[Any, ...]]] = []
    for turn in merged(_read(t) for t in turns):
        parts: list[Any] = []
        for part in turn.parts:
            match part:
                case Thinking() | Redacted():
                    continue
                case Result():
                    parts.append(replace(part, id=known(part.id)))
                case Text() if not part.text:
                    continue
                case Call():
                    parts.append((part.name, canonical(part.args), known(part.id)))
                case _:
                    parts.append(part)
        rows.append((turn.role, tuple(parts)))
    return rows


def _read(turn: Turn) -> Turn:
    first = turn.parts[0] if turn.parts else None
    if not isinstance(first, Verbatim):
        return turn
    message = dict(first.message)
    if isinstance(message.get("content"), list):
        return read_messages({"messages": [message], "max_tokens": 1}).turns[0]
    return read_chat({"messages": [message]}).turns[0]


def squeezed(texts: tuple[str, ...]) -> str:
    """System text without its white space: how the pieces are joined is the gateway's choice."""
    return re.sub(r"\s+", "", "".join(texts))


def _alike(wanted: Any, found: Any) -> bool:
    """Equal, for a schema in the order of its keys too; a title may carry the name that a Chat schema has beside it."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return canonical(wanted) == canonical({k: v for k, v in found.items() if k != "title" or k in wanted})
    return bool(wanted == found)


def _shown(tool: Any) -> tuple[str, str, str]:
    return tool.name, tool.about, canonical(dict(tool.schema))


def _unparsed(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Content blocks as a request takes them: without what the SDK added for its reader."""
    return [{k: v for k, v in b.items() if v is not None and k != "parsed_output"} for b in blocks]


def _unaccumulated(message: dict[str, Any]) -> dict[str, Any]:
    """A Chat message as a request takes it: without what the SDK's accumulator and parser added."""
    kept = {k: v for k, v in message.items() if v is not None and k != "parsed"}
    if calls := kept.get("tool_calls"):
        kept["tool_calls"] = [_bare_call(c) for c in calls]
    return kept


def _bare_call(call: dict[str, Any]) -> dict[str, Any]:
    function = {k: v for k, v in call["function"].items() if k != "parsed_arguments"}
    return {**{k: v for k, v in call.items() if k != "index"}, "function": function}
