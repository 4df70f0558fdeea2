"""The real Codex without a terminal: through the gateway to every backend, and directly as a test of this harness."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scripted.answer import Answer, Call, Fail, Result, Text, Thinking, Usage, says
from scripted.asked import Asked
from scripted.upstream import Record, Upstream

from .cells import WIDE_BACKENDS
from .codex import CODEX, CODEX_OF_CHAT, Codex, Outcome
from .conftest import SessionStage
from .gateway import KEY
from .npm import Package, Unavailable
from .speech import SPEECHES

pytestmark = pytest.mark.e2e
VIAS = ("direct", *WIDE_BACKENDS)
FEW = ("responses", "anthropic")
"""Where a case differs only by whether there is a translation."""
UNTYPED = ("openai",)
"""Codex 0.80 puts `name` beside `function` in its tools. Hosts take it; the scripted Chat service does not, and between two of
one dialect the gateway changes nothing."""
OWN_MODELS = ("gemini", "bedrock")
WORDS = 'Grüße 👋 "quoted" \\n'
PATCH = "*** Begin Patch\n*** Update File: notes.txt\n@@\n-alpha\n+omega é 👋\n*** End Patch\n"
# What a model is offered depends on its name: shell and apply_patch; shell alone, with namespaces; one `exec` that runs
# scripts, in a namespace, brought by an item of the input ("responses lite").
MODELS = ("gpt-5.5", "gpt-5", "gpt-6-sol")


class Desk:
    """A Codex at work: `do` gives it a prompt whose script the upstream follows."""

    def __init__(self, stage: SessionStage, via: str, place: Path, package: Package = CODEX, provider: str = "gateway") -> None:
        native = "openai" if package is CODEX_OF_CHAT else "responses"
        self.backend = native if via == "direct" else via
        if self.backend not in stage.scripted.upstreams:
            pytest.skip(f"there is no scripted upstream of {self.backend} yet")
        self.upstream: Upstream = stage.scripted[self.backend]
        root = stage.scripted.root(native) if via == "direct" else stage.root(via)
        self.codex = Codex(root, KEY, place, package, provider)
        self.notes = self.codex.project / "notes.txt"
        self.name = f"codex-{place.name}"
        self._prompts = 0
        self._script = ""

    def do(self, prompt: str, model: str, *answers: Answer, options: tuple[str, ...] = ()) -> Outcome:
        self._prompts += 1
        self._script = f"{self.name}-{self._prompts}"
        directive = self.upstream.script(self._script, answers)
        outcome = self.codex.run(f"{prompt} {directive}", model, *options)
        refused = [r.refusal.message for r in self.records() if r.refusal]
        assert not refused, f"refused: {refused}\n{outcome}"
        return outcome

    def model(self, name: str) -> str:
        """`name`, or where only the vendor's own models are served one of those, which Codex knows as little as `gpt-5`."""
        if self.backend not in OWN_MODELS:
            return name
        if name != "gpt-5":
            pytest.skip(f"{self.backend} has no model {name}")
        return SPEECHES[self.backend].models[1]

    def records(self) -> list[Record]:
        return self.upstream.calls(self._script)

    def heard(self) -> Asked:
        return SPEECHES[self.backend].hear(self.records()[-1].body)

    def offered(self, *names: str) -> str:
        """The name under which this upstream was offered the first of `names` that Codex has for this model."""
        tools = [tool.name for tool in self.heard().tools]
        found = (t for n in names for t in tools if t == n or t.endswith((f"__{n}", f".{n}", f"_{n}")))
        return next(found, "") or pytest.fail(f"none of {names} in {tools}")

    def results(self) -> list[str]:
        """What each tool call was told to have given, in order: there is one call a turn."""
        parts = [p for t in self.heard().turns for p in t.parts]
        return ["".join(q.text for q in p.parts if isinstance(q, Text)) for p in parts if isinstance(p, Result)]


def _installed(package: Package) -> str:
    try:
        return package.install()
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def version() -> str:
    return _installed(CODEX)


@pytest.fixture(params=VIAS)
def desk(request: pytest.FixtureRequest, stage: SessionStage, version: str, tmp_path: Path) -> Iterator[Desk]:
    yield Desk(stage, request.param, tmp_path)


@pytest.fixture(params=FEW)
def near(request: pytest.FixtureRequest, stage: SessionStage, version: str, tmp_path: Path) -> Iterator[Desk]:
    yield Desk(stage, request.param, tmp_path)


def test_the_version_is_known(version: str, record_property: Callable[[str, object], None]) -> None:
    record_property("codex", version)
    print(f"Codex {version}")
    assert version[0].isdigit()


def steps(desk: Desk, model: str) -> tuple[Call, Call]:
    """(a shell command, an edit), as calls of the tools that the model was offered."""
    show = "printf 'alpha\\n' > notes.txt && cat notes.txt"
    if model.startswith("gpt-6"):
        run = desk.offered("exec")
        patch = f"text(await tools.apply_patch({json.dumps(PATCH)}));"
        return Call(run, {"input": f"text(await tools.exec_command({json.dumps({'cmd': show})}));"}), Call(run, {"input": patch})
    shell = desk.offered("exec_command", "shell_command")
    if model == "gpt-5.5":
        return Call(shell, {"cmd": show}), Call(desk.offered("apply_patch"), {"input": PATCH})
    return Call(shell, {"cmd": show}), Call(shell, {"cmd": f"apply_patch <<'EOF'\n{PATCH}EOF"})


@pytest.mark.parametrize("model", MODELS)
def test_a_tool_loop_edits_a_file(desk: Desk, model: str) -> None:
    """First words alone, in which the upstream is offered the tools; then the shell, the edit and the end."""
    model, shape = desk.model(model), model
    outcome = desk.do("Say it.", model, says(WORDS, usage=Usage(input=1234, output=56)))
    assert outcome.text == WORDS and outcome.code == 0, outcome
    assert outcome.usage["input_tokens"] == 1234 and outcome.usage["output_tokens"] == 56
    shell, edit = steps(desk, shape)
    outcome = desk.do("Edit the notes.", model, says("I look.", shell), Answer((edit,)), says("Edited."))
    assert outcome.text == "Edited." and outcome.code == 0, outcome
    assert desk.notes.read_text() == "omega é 👋\n", desk.results()
    assert "alpha" in desk.results()[0]


@pytest.mark.parametrize("via", [v for v in VIAS if v != "direct" and v not in UNTYPED])
def test_the_chat_wire_edits_a_file(stage: SessionStage, via: str, tmp_path: Path) -> None:
    _installed(CODEX_OF_CHAT)
    desk = Desk(stage, via, tmp_path, CODEX_OF_CHAT)
    show = ["bash", "-lc", "printf 'alpha\\n' > notes.txt && cat notes.txt"]
    patch = ["bash", "-lc", f"apply_patch <<'EOF'\n{PATCH}EOF"]
    answers = (says("I look.", Call("shell", {"command": show})), Answer((Call("shell", {"command": patch}),)), says(WORDS))
    outcome = desk.do("Edit the notes.", desk.model("gpt-5"), *answers)
    assert outcome.text == WORDS and outcome.code == 0, outcome
    assert desk.notes.read_text() == "omega é 👋\n", desk.results()
    assert "alpha" in desk.results()[0]


def test_reasoning_goes_through_a_tool_loop(near: Desk) -> None:
    """Its encrypted reasoning comes back to the service that issued it; the upstream verifies it."""
    call = Call("exec_command", {"cmd": "echo hi"})
    answers = (Answer((Thinking("I weigh it."), Text("Looking."), call)), Answer((Thinking("I decide."), Text("Decided."))))
    settings = ("-c", 'model_reasoning_effort="medium"', "-c", 'model_reasoning_summary="auto"')
    outcome = near.do("Think.", "gpt-5", *answers, options=settings)
    assert outcome.text == "Decided.", outcome
    thoughts = [p for t in near.heard().turns for p in t.parts if isinstance(p, Thinking)]
    assert [p.text for p in thoughts] == ["I weigh it."]


def test_a_failure_of_the_upstream_is_retried(near: Desk) -> None:
    fail = Fail(status=429, times=1, message="not this time", headers=(("retry-after", "1"),))
    outcome = near.do("Say it.", "gpt-5.5", says("Second time.", fail=fail))
    assert outcome.text == "Second time." and len(near.records()) == 2, outcome


@pytest.mark.parametrize("how", ["event", "cut"])
def test_a_break_in_the_stream_is_not_taken_for_the_whole(near: Desk, how: str) -> None:
    """Codex asks again; half an answer never becomes the result."""
    fail = Fail(how, "mid", status=529, times=1)  # type: ignore[arg-type]
    answer = says("one two three four", fail=fail).styled(pieces=8, habit="failed" if near.backend == "responses" else "")
    outcome = near.do("Say it.", "gpt-5.5", answer)
    assert outcome.text == "one two three four" and len(near.records()) == 2, outcome


def test_a_refusal_of_the_upstream_is_shown(near: Desk) -> None:
    fail = Fail(status=400, message="the widget is bent")
    outcome = near.do("Say it.", "gpt-5.5", says("never", fail=fail))
    assert outcome.code != 0 and "the widget is bent" in outcome.output and "never" not in outcome.output, outcome
    assert len(near.records()) == 1


def test_a_session_is_resumed(near: Desk) -> None:
    first = near.do("The word is xylophone.", "gpt-5.5", says("Noted."))
    assert first.text == "Noted.", first
    again = near.do("Which word?", "gpt-5.5", says("x"), says("xylophone"), options=("resume", "--last"))
    assert again.code == 0, again
    said = [p.text for t in near.heard().turns for p in t.parts if isinstance(p, Text)]
    assert any("The word is xylophone." in s for s in said) and "Noted." in said


def test_an_answer_by_a_schema(near: Desk, tmp_path: Path) -> None:
    shape = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
    (tmp_path / "shape.json").write_text(json.dumps(shape))
    outcome = near.do("Say it.", "gpt-5.5", says('{"a": 1}'), options=("--output-schema", str(tmp_path / "shape.json")))
    assert json.loads(outcome.text) == {"a": 1}
    heard = dict(near.heard().schema or {})
    heard.pop("title", None)  # where the name of the schema goes
    assert heard == shape


def test_the_provider_that_is_built_in_falls_back_from_its_websocket(stage: SessionStage, version: str, tmp_path: Path) -> None:
    """It tries a websocket first; 426 sends it to POST at once."""
    desk = Desk(stage, "anthropic", tmp_path, provider="openai")
    outcome = desk.do("Say it.", "gpt-5.5", says(WORDS))
    assert outcome.text == WORDS and len(desk.records()) == 1, outcome
