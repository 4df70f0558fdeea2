"""Frameworks above the SDKs: their own agents, tools, structured answers and exceptions, through the gateway and directly.

`direct` is the framework straight at the scripted service that its client is made for: it tests the harness.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from scripted.answer import Answer, Call, Document, Fail, Image, Result, Text, Thinking, Usage, says
from scripted.asked import Asked
from scripted.upstream import Record

from .cells import WIDE_BACKENDS
from .cells_text import ODD, PDF, PNG
from .conftest import SessionStage
from .frameworks import FRAMEWORKS, Framework, Unavailable
from .gateway import KEY
from .judges import Worker
from .lanes import MODELS
from .speech import SPEECHES

pytestmark = pytest.mark.e2e
CITY = "São “Paulo” 北京"
WEATHER = Call("get_weather", {"city": CITY, "days": 2})
OSLO = Call("get_weather", {"city": "Oslo", "days": 1})
BERGEN = Call("get_weather", {"city": "Bergen", "days": 1}, id="call_later_1")  # LangGraph takes an id for one call
WORDS = "First I weigh it. Ünïcode 👋\nThen I decide."
PROVES = ("anthropic", "bedrock")  # services that take reasoning back only with their signature, and want it in a tool loop
MEANT = {"zeta": "Grüße “here”", "alpha": [3, 1, 2]}
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Lane:
    framework: Framework
    client: str
    via: str

    @property
    def crosses(self) -> bool:
        return self.ingress != self.egress

    @property
    def ingress(self) -> str:
        return self.framework.clients[self.client]

    @property
    def egress(self) -> str:
        return self.ingress if self.via == "direct" else self.via

    def model(self, thinks: bool) -> str:
        if thinks and (self.ingress, self.egress) == ("anthropic", "openai"):
            return "claude-sonnet-4-5"  # one that thinks by a budget, under a name that the gateway maps as well
        return (MODELS.get((self.ingress, self.egress)) or SPEECHES[self.egress].models)[thinks]

    def __str__(self) -> str:
        return f"{self.framework}-{self.client}>{self.via}"


@dataclass
class Said:
    """A framework's verdict with what the upstream recorded of it."""

    lane: Lane
    verdict: dict[str, Any]
    records: list[Record] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        assert name in self.verdict, f"{self}"
        return self.verdict[name]

    def heard(self, at: int = -1) -> Asked:
        assert len(self.records) > at, f"{self}"
        return SPEECHES[self.lane.egress].hear(self.records[at].body)

    def __str__(self) -> str:
        lines = [f"{self.lane}", json.dumps(self.verdict, ensure_ascii=False)[:3000]]
        for record in self.records[-3:]:
            lines.append(f"upstream got: {record.request.target} {record.request.body.decode(errors='replace')[:3000]}")
            lines.append(f"upstream refused: {record.refusal}" if record.refusal else f"complete: {record.complete}")
        return "\n".join(lines)


class Desk:
    """One lane of one framework. `do` has it hold a conversation that the upstream follows by its script."""

    def __init__(self, stage: SessionStage, worker: Worker, lane: Lane) -> None:
        self.lane = lane
        self._worker = worker
        self._upstream = stage.scripted[lane.egress]
        self._root = stage.scripted.root(lane.ingress) if lane.via == "direct" else stage.root(lane.via)

    def do(self, *answers: Answer, prompts: tuple[str, ...] = ("go",), mode: str = "whole", **job: Any) -> Said:
        script = f"f{next(_numbers)}"
        first = f"{prompts[0]} {self._upstream.script(script, answers)}"
        plain = {"system": "", "tools": False, "think": False, "form": "", "files": [], "max_tokens": 8000}
        asked = {
            "mode": "converse",
            "client": self.lane.client,
            "base_url": self._root,
            "key": KEY,
            "direct": self.lane.via == "direct",
            "model": self.lane.model(bool(job.get("think"))),
            "streamed": mode == "stream",
            "prompts": [first, *prompts[1:]],
            **plain,
            **job,
        }
        verdict = self._worker.ask(asked)
        said = Said(self.lane, verdict, self._upstream.calls(script))
        refusals = [r.refusal for r in said.records if r.refusal]
        assert not refusals, f"{said}"
        return said

    def shows(self, record: Record) -> bool:
        return SPEECHES[self.lane.egress].shows(record.body)


LANES = [Lane(f, client, via) for f in FRAMEWORKS for client in f.clients for via in (*WIDE_BACKENDS, "direct")]


@pytest.fixture(scope="session")
def workers() -> Iterator[dict[str, Worker | str]]:
    """A process for each framework, opened on first use; the reason where there can be none."""
    opened: dict[str, Worker | str] = {}
    yield opened
    for worker in opened.values():
        if isinstance(worker, Worker):
            worker.close()


def on_every_lane(*modes: str) -> pytest.MarkDecorator:
    """Where nothing is translated, the last of the modes is enough."""
    ways = [(lane, mode) for lane in LANES for mode in modes if lane.crosses or mode == modes[-1]]
    return pytest.mark.parametrize(("desk", "mode"), ways, indirect=["desk"], ids=[f"{lane}-{mode}" for lane, mode in ways])


@pytest.fixture
def desk(request: pytest.FixtureRequest, stage: SessionStage, workers: dict[str, Worker | str]) -> Desk:
    lane: Lane = request.param
    if not {lane.ingress, lane.egress} <= set(stage.scripted.upstreams) & set(SPEECHES):
        pytest.skip(f"there is no scripted service for {lane}")
    worker = workers.get(lane.framework.name)
    if worker is None or (isinstance(worker, Worker) and not worker.alive):
        try:
            worker = lane.framework.open()
        except Unavailable as reason:
            worker = str(reason)
        workers[lane.framework.name] = worker
    if isinstance(worker, str):
        pytest.skip(worker)
    return Desk(stage, worker, lane)


def told(asked: Asked, *cities: str) -> bool:
    """Whether the results are these, in this order. A client of Gemini wraps the text of each in an object."""
    found = [p for t in asked.turns for p in t.parts if isinstance(p, Result)]
    texts = ["".join(p.text for p in r.parts if isinstance(p, Text)) for r in found]
    plain = [json.dumps(json.loads(t), ensure_ascii=False) if t.startswith("{") else t for t in texts]
    return len(plain) == len(cities) and all(f"21 °C in {c}" in t for c, t in zip(cities, plain, strict=True))


def words(asked: Asked) -> list[str]:
    return [p.text for t in asked.turns for p in t.parts if isinstance(p, Text)]


@on_every_lane("whole")
def test_a_text_is_answered(desk: Desk, mode: str) -> None:
    answer = says("Grüße from upstream 👋.", usage=Usage(input=1234, output=56))
    said = desk.do(answer, prompts=("Ωhat is “it”?",), mode=mode, system="Be terse — “always”.")
    assert said["texts"] == [answer.text], f"{said}"
    assert said["usage"] == {"input": 1234, "output": 56}, f"{said}"
    heard = said.heard()
    assert words(heard)[0].startswith("Ωhat is “it”?") and "".join(heard.system) == "Be terse — “always”.", f"{said}"


@on_every_lane("stream")
def test_a_stream_is_put_together(desk: Desk, mode: str) -> None:
    for tcp, escaped in ((0, False), (3, True)):
        answer = says(ODD * 3, usage=Usage(input=1234, output=56)).styled(pieces=9, tcp=tcp, ascii=escaped)
        said = desk.do(answer, mode=mode)
        assert said["said"] == ODD * 3 and "".join(said["deltas"]) == ODD * 3 and len(said["deltas"]) > 3, f"{said}"
        assert said["usage"] == {"input": 1234, "output": 56}, f"{said}"


@on_every_lane("whole", "stream")
def test_the_agent_calls_its_tool(desk: Desk, mode: str) -> None:
    said = desk.do(says("Looking. ", WEATHER), says("It is sunny."), mode=mode, tools=True)
    assert said["ran"] == [WEATHER.args] and said["texts"] == ["It is sunny."], f"{said}"
    assert said["said"] == "Looking. It is sunny.", f"{said}"
    assert len(said.records) == 2 and told(said.heard(), CITY), f"{said}"
    tool = said.heard().tools[0]
    assert (tool.name, tool.about) == ("get_weather", "Weather of a place"), f"{said}"
    assert tool.schema["properties"]["city"]["description"] == "name, e.g. 北京", f"{said}"


@on_every_lane("stream")
def test_the_agent_calls_tools_at_once_and_again(desk: Desk, mode: str) -> None:
    said = desk.do(Answer((WEATHER, OSLO)), Answer((BERGEN,)), says("Compared."), mode=mode, tools=True)
    assert said["texts"] == ["Compared."] and len(said["ran"]) == 3, f"{said}"
    assert told(said.heard(), CITY, "Oslo", "Bergen"), f"{said}"


@on_every_lane("whole", "stream")
def test_a_structured_answer_by_the_services_own_way(desk: Desk, mode: str) -> None:
    if (desk.lane.framework.name, desk.lane.client) == ("ai_sdk", "bedrock") and desk.lane.egress != "bedrock":
        pytest.skip("the AI SDK asks only models with Bedrock's names of Claude for it")
    said = desk.do(says(json.dumps(MEANT, ensure_ascii=False)), mode=mode, form="native")
    assert said["object"] == MEANT, f"{said}"
    schema = said.heard().schema
    assert schema and list(schema["properties"]) == ["zeta", "alpha"], f"{said}"


@on_every_lane("stream")
def test_a_structured_answer_by_a_tool(desk: Desk, mode: str) -> None:
    framework = desk.lane.framework
    if desk.lane.client not in framework.by_tool:
        pytest.skip(f"{framework} asks this client for structured answers only by the service's own way")
    said = desk.do(Answer((Call(framework.tool, MEANT),)), mode=mode, form="tool")
    assert said["object"] == MEANT and len(said.records) == 1, f"{said}"
    assert said.heard().tools[0].name == framework.tool, f"{said}"


@on_every_lane("whole", "stream")
def test_reasoning_goes_through_a_tool_loop(desk: Desk, mode: str) -> None:
    """The services verify their own signatures on the way back, in the loop and in the turn after it."""
    first = Answer((Thinking(WORDS), Text("Looking. "), WEATHER))
    more = Answer((Thinking("Now I know."), Text("Decided. "))), Answer((Thinking("Again."), Text("Done.")))
    bound = 0 if desk.lane.client == "compatible" else 8000  # it says max_tokens, which OpenAI's reasoning models refuse
    job: dict[str, Any] = {"mode": mode, "tools": True, "think": True, "max_tokens": bound}
    said = desk.do(first, *more, prompts=("think", "and then?"), **job)
    assert said["texts"] == ["Decided. ", "Done."] and said["ran"] == [WEATHER.args], f"{said}"
    assert len(said.records) == 3 and words(said.heard())[-1] == "and then?", f"{said}"
    shown = [desk.shows(record) for record in said.records]
    assert shown[0] or (desk.lane.ingress, desk.lane.egress) == ("openai", "responses"), f"{said}"  # no client of Chat asks
    if desk.lane.client not in desk.lane.framework.silent:
        meant = "".join(a.thinking for a, was in zip((first, *more), shown, strict=True) if was)
        assert said["thinking"].replace("\n\n", "") == meant, f"{said}"
    if desk.lane.client in desk.lane.framework.returns and desk.lane.egress in PROVES:
        assert all(shown) and [p.text for t in said.heard(1).turns for p in t.parts if isinstance(p, Thinking)] == [WORDS], (
            f"{said}"
        )


@on_every_lane("whole", "stream")
def test_a_failure_is_the_frameworks_own_exception(desk: Desk, mode: str) -> None:
    status = {"whole": 400, "stream": 429}[mode]
    said = desk.do(replace(says("never"), fail=Fail(status=status, message="the widget is bent")), mode=mode)
    error = said["error"]
    framework = desk.lane.framework
    assert framework.passes.get(desk.lane.client, framework.raises[status]) in error["classes"], f"{said}"
    assert "the widget is bent" in error["message"], f"{said}"


@on_every_lane("stream")
def test_a_break_in_the_stream_is_an_exception(desk: Desk, mode: str) -> None:
    fail = Fail("event", "mid", status=500, message="the widget is bent")
    said = desk.do(replace(says("one two three four five six").styled(pieces=6), fail=fail), mode=mode)
    if desk.lane.client in desk.lane.framework.blind:
        assert said["stop"] not in ("stop", "tool-calls") and said["said"].startswith("one "), f"{said}"
        return
    assert "the widget is bent" in said["error"]["message"], f"{said}"
    assert said["error"]["partial"].startswith("one "), f"{said}"


@on_every_lane("whole")
def test_a_picture_and_a_document_arrive(desk: Desk, mode: str) -> None:
    files = [{"media": "image/png", "data": PNG}, {"media": "application/pdf", "data": PDF}]
    said = desk.do(says("Seen."), mode=mode, files=files)
    assert said["texts"] == ["Seen."], f"{said}"
    parts = [p for t in said.heard().turns for p in t.parts]
    assert [p.data for p in parts if isinstance(p, Image)] == [PNG], f"{said}"
    assert [p.data for p in parts if isinstance(p, Document)] == [PDF], f"{said}"
