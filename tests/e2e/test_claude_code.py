"""The real Claude Code in print mode: through the gateway to both backends, and directly as a test of this harness."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scripted.answer import Answer, Call, Fail, Image, Result, Text, Thinking, Usage, says
from scripted.asked import Asked, read_chat, read_messages
from scripted.upstream import Record, Upstream

from .claude import CLAUDE_CODE, Claude, Outcome
from .conftest import SessionStage
from .gateway import KEY
from .npm import Unavailable

pytestmark = pytest.mark.e2e
VIAS = ("direct", "anthropic", "openai", "openai/python")
MODELS = ("claude-opus-5-5", "claude-sonnet-4-5")


class Desk:
    """A Claude Code at work: `do` gives it a prompt whose script the upstream follows."""

    def __init__(self, stage: SessionStage, via: str, place: Path, name: str) -> None:
        self.backend = "anthropic" if via == "direct" else via.partition("/")[0]
        self.upstream: Upstream = stage.scripted[self.backend]
        root = stage.scripted.root("anthropic") if via == "direct" else stage.root(via)
        self.claude = Claude(root, KEY, place)
        self.project = self.claude.project
        self.name = name
        self.direct = via == "direct"
        self._prompts = 0
        self._script = ""

    def do(self, prompt: str, *answers: Answer, options: tuple[str, ...] = (), form: str = "json") -> Outcome:
        self._prompts += 1
        self._script = f"{self.name}-{self._prompts}"
        directive = self.upstream.script(self._script, answers)
        outcome = self.claude.run(f"{prompt} {directive}", *options, form=form)
        assert not self.refusals(), f"refused: {self.refusals()}\n{outcome}"
        return outcome

    def records(self) -> list[Record]:
        return self.upstream.calls(self._script)

    def refusals(self) -> list[str]:
        return [r.refusal.message for r in self.records() if r.refusal]

    def heard(self, at: int = -1) -> Asked:
        body = self.records()[at].body
        return read_messages(body) if self.backend == "anthropic" else read_chat(body)


@pytest.fixture(scope="session")
def version() -> str:
    try:
        version = CLAUDE_CODE.install()
    except Unavailable as reason:
        pytest.skip(str(reason))
    return version


@pytest.fixture(params=VIAS)
def desk(request: pytest.FixtureRequest, stage: SessionStage, version: str, tmp_path: Path) -> Iterator[Desk]:
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)
    yield Desk(stage, request.param, tmp_path, name)


def test_the_version_is_known(version: str, record_property: Callable[[str, object], None]) -> None:
    record_property("claude_code", version)
    print(f"Claude Code {version}")
    assert version[0].isdigit()


def test_text_is_printed(desk: Desk) -> None:
    outcome = desk.do("Say it.", says("Grüße from upstream 👋."), form="text")
    assert outcome.output.strip() == "Grüße from upstream 👋." and outcome.code == 0, outcome
    assert len(desk.records()) == 1


@pytest.mark.parametrize("model", MODELS)
def test_each_form_of_its_requests_is_taken(desk: Desk, model: str) -> None:
    """The shape of the request depends on the model's name: adaptive or manual thinking, system messages, tools."""
    outcome = desk.do("Say it.", says("Done.", usage=Usage(input=1234, output=56)), options=("--model", model))
    assert outcome.result["result"] == "Done." and not outcome.result["is_error"], outcome
    assert outcome.result["usage"]["input_tokens"] == 1234 and outcome.result["usage"]["output_tokens"] == 56
    assert len(desk.records()) == 1
    if not desk.direct and desk.backend == "openai":
        assert desk.heard().tools and desk.heard().system


def test_a_tool_loop_edits_a_file(desk: Desk) -> None:
    path = desk.project / "notes.txt"
    outcome = desk.do(
        "Write the notes.",
        says("I write.", Call("Write", {"file_path": str(path), "content": 'alpha "β"\n\\n 👋\n'})),
        Answer((Call("Edit", {"file_path": str(path), "old_string": "alpha", "new_string": "omega"}),)),
        Answer((Call("Bash", {"command": f"cat {path}", "description": "shows it"}),)),
        says("Written."),
    )
    assert outcome.result["result"] == "Written.", outcome
    assert path.read_text() == 'omega "β"\n\\n 👋\n'
    last = [p for t in desk.heard().turns for p in t.parts if isinstance(p, Result)][-1]
    assert "omega" in "".join(p.text for p in last.parts if isinstance(p, Text))


def test_parallel_tools_run(desk: Desk) -> None:
    calls = [Call("Bash", {"command": f"echo out{n} > {n}.txt && echo ran{n}", "description": "r"}) for n in range(3)]
    outcome = desk.do("Run three.", says("Three at once.", *calls), says("All ran."))
    assert outcome.result["result"] == "All ran.", outcome
    assert sorted(p.name for p in desk.project.glob("*.txt")) == ["0.txt", "1.txt", "2.txt"]
    results = {p.id: p for t in desk.heard().turns for p in t.parts if isinstance(p, Result)}
    ids = [p.id for t in desk.heard().turns for p in t.parts if isinstance(p, Call)]
    said = ["".join(p.text for p in results[i].parts if isinstance(p, Text)).strip() for i in ids]
    assert said == ["ran0", "ran1", "ran2"]


def test_a_picture_is_read(desk: Desk) -> None:
    path = desk.project / "red.png"
    path.write_bytes(png())
    outcome = desk.do("Look.", Answer((Call("Read", {"file_path": str(path)}),)), says("It is red."))
    assert outcome.result["result"] == "It is red.", outcome
    parts = [q for t in desk.heard().turns for p in t.parts for q in (p.parts if isinstance(p, Result) else (p,))]
    images = [p for p in parts if isinstance(p, Image)]
    assert len(images) == 1 and images[0].media.startswith("image/") and images[0].data


@pytest.mark.parametrize("model", MODELS)
def test_thinking_goes_through_a_tool_loop(desk: Desk, model: str) -> None:
    """The Messages upstream verifies its own signature on the way back; a Chat upstream gets no foreign thinking."""
    outcome = desk.do(
        "Think.",
        Answer((Thinking("I weigh it."), Text("Looking."), Call("Bash", {"command": "echo hi", "description": "r"}))),
        Answer((Thinking("I decide."), Text("Decided."))),
        options=("--model", model),
        form="stream-json",
    )
    assert outcome.result["result"] == "Decided.", outcome
    assert len(desk.records()) == 2
    thoughts = "".join(b["thinking"] for b in outcome.blocks("thinking"))
    if desk.backend == "openai":
        assert thoughts == "I weigh it.I decide."
    else:
        heard = [p for t in desk.heard().turns for p in t.parts if isinstance(p, Thinking)]
        assert len(heard) == 1


def test_a_session_is_resumed(desk: Desk) -> None:
    first = desk.do("The word is xylophone.", says("Noted."))
    assert first.result["result"] == "Noted.", first
    again = desk.do("Which word?", says("xylophone"), options=("--resume", first.result["session_id"]))
    assert again.result["result"] == "xylophone", again
    said = [p.text for t in desk.heard().turns for p in t.parts if isinstance(p, Text)]
    assert any("The word is xylophone." in s for s in said) and "Noted." in said


@pytest.mark.parametrize("status", [500, 529, 429])
def test_a_failure_of_the_upstream_is_retried(desk: Desk, status: int) -> None:
    fail = Fail(status=status, times=1, message="not this time", headers=(("retry-after", "1"),))
    outcome = desk.do("Say it.", says("Second time.", fail=fail))
    assert outcome.result["result"] == "Second time.", outcome
    assert len(desk.records()) == 2


@pytest.mark.parametrize("how", ["event", "cut", "eof"])
def test_a_break_in_the_stream_is_not_taken_for_the_whole(desk: Desk, how: str) -> None:
    """Claude Code asks again, with or without a stream; half an answer never becomes the result."""
    if how == "eof" and desk.direct:
        pytest.skip("a service that ends early without a word is not noticed by the client alone")
    fail = Fail(how, "mid", status=529, times=1)  # type: ignore[arg-type]
    outcome = desk.do("Say it.", says("one two three four", fail=fail).styled(pieces=8))
    assert outcome.result["result"] == "one two three four", outcome
    assert len(desk.records()) == 2


def test_a_refusal_of_the_upstream_is_shown(desk: Desk) -> None:
    fail = Fail(status=404, message="the model gpt-9 does not exist here")
    outcome = desk.do("Say it.", says("never", fail=fail))
    assert outcome.code != 0 and outcome.result["is_error"], outcome
    assert "never" not in outcome.result["result"]


def test_stream_json_has_every_step(desk: Desk) -> None:
    outcome = desk.do(
        "Run it.",
        says("Running.", Call("Bash", {"command": "echo hi", "description": "r"})),
        says("Ran."),
        options=("--include-partial-messages",),
        form="stream-json",
    )
    kinds = [line["type"] for line in outcome.lines]
    assert kinds[-1] == "result" and outcome.result["result"] == "Ran."
    assert [b["text"] for b in outcome.blocks("text")] == ["Running.", "Ran."]
    assert [b["input"]["command"] for b in outcome.blocks("tool_use")] == ["echo hi"]
    deltas = [line["event"] for line in outcome.lines if line["type"] == "stream_event"]
    texts = [e["delta"]["text"] for e in deltas if e["type"] == "content_block_delta" and "text" in e["delta"]]
    assert "".join(texts) == "Running.Ran." and len(texts) > 2


def test_a_sub_agent_answers(desk: Desk) -> None:
    """A second conversation inside the first, with its own system prompt and tools."""
    prompt = 'Find it. [[script {"say": "The sub agent found it."}]]'
    call = Call("Agent", {"description": "finds it", "prompt": prompt, "subagent_type": "general-purpose"})
    outcome = desk.do("Delegate.", Answer((call,)), says("Found."))
    assert outcome.result["result"] == "Found.", outcome
    results = [p for t in desk.heard().turns for p in t.parts if isinstance(p, Result)]
    said = "".join(q.text for p in results for q in p.parts if isinstance(q, Text))
    assert results, desk.heard()
    assert "found it" in said or "launched" in said.lower(), said


def png() -> bytes:
    """A red picture of 16 x 16 that a real decoder takes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\x00" + b"\xff\x00\x00" * 16 for _ in range(16))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
