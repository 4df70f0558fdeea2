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

from scripted.answer import Answer, Call, Document, Part, Redacted, Result, Text, Thinking
from scripted.asked import Asked, Turn, Verbatim, merged, read_chat, read_messages
from scripted.bedrock_asked import read_turns
from scripted.gemini_asked import read_contents
from scripted.host import Scripted
from scripted.responses_asked import item_to_turn
from scripted.upstream import Record, Upstream

from .judges import Judge, Sdk
from .speech import SPEECHES, Meaning, canonical

# By the client's and the upstream's dialect, where the client's names go through the mapping of `gateway.MODELS`: a model that
# does not reason, and one that does. Elsewhere the upstream's own names are asked for.
MODELS = {("anthropic", "openai"): ("claude-haiku-4-5", "claude-opus-5-5")}
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
    def widens(self) -> bool:
        """Whether one end is neither Messages nor Chat."""
        return bool({self.ingress, self.egress} - {"anthropic", "openai"})

    @property
    def streamed(self) -> bool:
        return self.mode != "whole"

    def __str__(self) -> str:
        return f"{self.sdk}>{self.via}-{self.mode}"


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
        return SPEECHES[self.lane.way.ingress].read(self.final)

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
        return SPEECHES[self.lane.way.egress].hear(self.record.body)

    # -- judgements ---------------------------------------------------------------------------------------------------

    def same(self, **changes: Any) -> Got:
        """The SDK's object is what the upstream meant. `changes` are fields of Meaning that this cell expects else."""
        expected = replace(expected_meaning(self.lane.way, self.answer, self.record.body), **changes)
        assert self.meaning == expected, f"\n got {self.meaning}\nmeant {expected}\n{self._story()}"
        return self

    def arrived(self) -> Got:
        """The upstream heard what the client asked: the turns, the system text, the tools and the plain parameters."""
        heard, asked = self.heard, self._sayable()
        assert flat(heard.turns) == flat(asked.turns), self._story()
        assert squeezed(heard.system) == squeezed(asked.system), self._story()
        for name in ("choice", "parallel", "temperature", "top_p", "stops", "schema", "user", "max_tokens"):
            wanted, found = getattr(asked, name), getattr(heard, name)
            assert wanted in (None, "", ()) or _alike(wanted, found), f"{name}: {wanted!r} became {found!r}\n{self._story()}"
        assert [_shown(t) for t in heard.tools] == [_shown(t) for t in asked.tools], self._story()
        return self

    def _sayable(self) -> Asked:
        """What was asked as far as both dialects can say it. What the client could say and the upstream cannot is announced."""
        said = SPEECHES[self.lane.way.ingress].sayable(self.asked)
        heard = SPEECHES[self.lane.way.egress].sayable(said)
        assert heard == said or self.losses, f"nothing was announced\n{self._story()}"
        return heard

    def failed(self, *classes: str, status: int | tuple[int, ...] = (), says: str = "") -> Got:
        """The SDK raised one of `classes`, with this status and these words."""
        error = self.error
        mine = SPEECHES[self.lane.way.ingress]
        renamed = mine.statuses if self.lane.way.crosses or not self.records else {}  # without a record it is the gateway's own
        assert {mine.raises.get(c, c) for c in classes} & set(error["classes"]), f"{error}\n{self._story()}"
        asked = (status,) if isinstance(status, int) else status
        wanted = {renamed.get(s, s) for s in asked}
        if not self.lane.way.crosses:  # the answer as it was, or its meaning where it was no answer of the dialect
            wanted |= {mine.statuses.get(s, s) for s in asked}
        assert not wanted or error["status"] in wanted, f"{error}\n{self._story()}"
        assert says in error["message"], f"{error}\n{self._story()}"
        return self

    # -- the next turn ------------------------------------------------------------------------------------------------

    def replay(self) -> Turn:
        """The assistant's message as a program keeps it: the SDK's object, put back into the conversation."""
        return SPEECHES[self.lane.way.ingress].replay(self.final)

    def call_ids(self) -> list[str]:
        return SPEECHES[self.lane.way.ingress].call_ids(self.final)

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
        known = MODELS.get((self.way.ingress, self.way.egress)) or SPEECHES[self.way.egress].models
        return known[reasons]

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
        body = {**SPEECHES[self.way.ingress].write(asked, model), **extra}
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


# -- expectations -----------------------------------------------------------------------------------------------------


def expected_meaning(way: Way, answer: Answer, body: Mapping[str, Any]) -> Meaning:
    """The answer in the words of the client's dialect, as far as the upstream's dialect can have said it."""
    usage = answer.usage
    speech, theirs = SPEECHES[way.ingress], SPEECHES[way.egress]
    stop = speech.stops.get(answer.ending, answer.ending)
    if way.egress in SAYS_ONLY_STOP and answer.ending == "stop_sequence":
        stop = speech.stops["end"]
    calls = tuple((c.name, canonical(c.args)) for c in answer.calls)
    thinking = answer.thinking if theirs.shows(body) else ""
    written = usage.written if theirs.counts_written else 0
    counts = {"cached": usage.cached, "written": written if speech.counts_written else 0, "output": usage.output}
    counts["input"] = usage.input + usage.written - written
    if speech.input_is_all:
        counts["input"] = usage.input + usage.cached + usage.written
    return Meaning(answer.text, thinking, calls, stop, refusal=answer.refusal, **counts)


SAYS_ONLY_STOP = ("openai", "responses", "gemini")
"""Dialects that do not tell a stop sequence from an end."""


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
                case Document():
                    parts.append(replace(part, name=part.name.removesuffix(".pdf")))  # which its media type says too
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
    if "output" in message:
        return merged(t for i in message["output"] if (t := item_to_turn(i)))[0]
    if "parts" in message:
        return read_contents([message])[0]
    if isinstance(message.get("content"), list) and "type" not in (*message["content"], {})[0]:
        return read_turns([message])[0]
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
