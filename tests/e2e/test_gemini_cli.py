"""The real gemini-cli without a terminal: through the gateway to every backend, and directly as a test of this harness."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scripted.answer import Answer, Call, Fail, Result, Text, Thinking, says
from scripted.asked import Asked
from scripted.upstream import Record, Upstream

from .cells import WIDE_BACKENDS
from .conftest import SessionStage
from .gateway import KEY
from .gemini_cli import GEMINI_CLI, GeminiCli, Outcome
from .npm import Unavailable
from .speech import SPEECHES

pytestmark = pytest.mark.e2e
VIAS = ("direct", *WIDE_BACKENDS)
FEW = ("gemini", "openai", "anthropic")
"""Where a case costs seconds and differs only by whether there is a translation."""


class Desk:
    """A gemini-cli at work: `do` gives it a prompt whose script the upstream follows."""

    def __init__(self, stage: SessionStage, via: str, place: Path, name: str) -> None:
        self.backend = "gemini" if via == "direct" else via
        if self.backend not in stage.scripted.upstreams:
            pytest.skip(f"there is no scripted upstream of {self.backend} yet")
        self.upstream: Upstream = stage.scripted[self.backend]
        root = stage.scripted.root("gemini") if via == "direct" else stage.root(via)
        self.cli = GeminiCli(root, KEY, place)
        self.project = self.cli.project
        self.name = name
        self._prompts = 0
        self._script = ""

    def do(self, prompt: str, *answers: Answer, options: tuple[str, ...] = ()) -> Outcome:
        self._prompts += 1
        self._script = f"{self.name}-{self._prompts}"
        directive = self.upstream.script(self._script, answers)
        outcome = self.cli.run(f"{prompt} {directive}", SPEECHES[self.backend].models[1], *options)
        refused = [r.refusal.message for r in self.records() if r.refusal]
        assert not refused, f"refused: {refused}\n{outcome}"
        return outcome

    def records(self) -> list[Record]:
        return self.upstream.calls(self._script)

    def heard(self) -> Asked:
        return SPEECHES[self.backend].hear(self.records()[-1].body)

    def results(self) -> list[str]:
        """What each tool call of the conversation was told to have given, in the order of the calls."""
        parts = [p for t in self.heard().turns for p in t.parts]
        given = {p.id: "".join(q.text for q in p.parts if isinstance(q, Text)) for p in parts if isinstance(p, Result)}
        return [given[p.id] for p in parts if isinstance(p, Call)]


@pytest.fixture(scope="session")
def version() -> str:
    try:
        version = GEMINI_CLI.install()
    except Unavailable as reason:
        pytest.skip(str(reason))
    return version


@pytest.fixture
def desk(request: pytest.FixtureRequest, stage: SessionStage, version: str, tmp_path: Path) -> Iterator[Desk]:
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)
    yield Desk(stage, request.param, tmp_path, name)


def test_the_version_is_known(version: str, record_property: Callable[[str, object], None]) -> None:
    record_property("gemini_cli", version)
    assert version[0].isdigit()


@pytest.mark.parametrize("desk", VIAS, indirect=True)
def test_a_session_edits_a_file_and_is_resumed(desk: Desk) -> None:
    """Thoughts, a single call, two at once, odd characters both ways; then the history as it is written on a resume."""
    path = desk.project / "notes.txt"
    edit = {"file_path": str(path), "old_string": "alpha", "new_string": "omega", "instruction": "the other end"}
    outcome = desk.do(
        "Write the notes, „so“ 👩‍👩‍👧.",
        Answer((Thinking("I weigh it."), Text("I write."), Call("write_file", {"file_path": str(path), "content": TEXT}))),
        Answer((Call("replace", edit), Call("run_shell_command", {"command": "echo ran", "description": "says so"}))),
        Answer((Call("run_shell_command", {"command": f"cat {path}", "description": "shows it"}),)),
        says("Written: Grüße 👋 שלום."),
    )
    assert outcome.code == 0 and outcome.result["status"] == "success", outcome
    assert outcome.said.endswith("Written: Grüße 👋 שלום.") and "I write." in outcome.said
    assert path.read_text() == TEXT.replace("alpha", "omega")
    assert len(desk.records()) == 4 and all(r.complete for r in desk.records())
    created, replaced, ran, shown = desk.results()
    assert "notes.txt" in created and "omega" in replaced and "ran" in ran and 'omega "β"' in shown
    assert "„so“ 👩‍👩‍👧" in "".join(p.text for t in desk.heard().turns for p in t.parts if isinstance(p, Text))

    again = desk.do("Which word?", says("omega"), options=("--resume", "latest"))
    assert again.code == 0 and again.said.endswith("omega"), again
    assert len(desk.results()) == 4, desk.heard()


@pytest.mark.parametrize("desk", FEW[:2], indirect=True)
def test_a_separator_of_javascript_is_no_end_of_a_line(desk: Desk) -> None:
    """Its SDK finds the end of an event with a pattern that stops at U+2028: Google's servers write that escaped."""
    outcome = desk.do("Say it.", says("one \u2028 two \u2029 three"))
    assert outcome.code == 0 and outcome.said == "one \u2028 two \u2029 three", outcome


TEXT = 'alpha "β"\n\\n 👋\n'


@pytest.mark.parametrize("desk", FEW, indirect=True)
def test_a_failure_of_the_upstream_is_retried(desk: Desk) -> None:
    fail = Fail(status=429, times=1, message="slow down", headers=(("retry-after", "1"),))
    outcome = desk.do("Say it.", says("Second time.", fail=fail))
    assert outcome.code == 0 and outcome.said == "Second time.", outcome
    assert len(desk.records()) == 2


@pytest.mark.parametrize("desk", FEW, indirect=True)
def test_a_refusal_is_shown(desk: Desk) -> None:
    outcome = desk.do("Say it.", says("never", fail=Fail(status=400, message="the widget is bent")))
    assert outcome.code != 0 and "the widget is bent" in outcome.output + outcome.errors, outcome
    assert "never" not in outcome.output


@pytest.mark.parametrize("desk", FEW, indirect=True)
def test_an_error_in_the_stream_is_not_taken_for_its_end(desk: Desk) -> None:
    """It is shown, or the turn is asked for again; half an answer is never the result."""
    fail = Fail("event", "mid", status=503, times=1, message="overloaded in the middle")
    outcome = desk.do("Say it.", says("one two three four", fail=fail).styled(pieces=8, pace=0.02))
    if outcome.code == 0:
        assert outcome.said.endswith("one two three four") and len(desk.records()) == 2, outcome
    else:
        assert "overloaded in the middle" in outcome.output + outcome.errors, outcome
