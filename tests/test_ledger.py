"""anyllm_fast/neutral/ledger.py and its rows: complete against the SDKs' types, and true of the code.

For each member of a schema there are bodies with it and without it. What the rows call mapped or emulated must change what comes
out, what they call dropped must be announced, what they call refused must be refused with its path; and nothing, whatever the
rows say, may vanish: neither come out nor be announced, unless it says a documented default.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from anyllm_fast.dialects import DIALECTS
from anyllm_fast.errors import InvalidRequest
from anyllm_fast.neutral import ledger
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.ledger import What, fate, refusals, sheet
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.stream import StreamOptions
from tests import sendable
from tests.replies import OPTIONS
from tests.sdk_bodies import Case, Schema, cases, distinct, minimal
from tests.sdk_schema import SCHEMAS, objects

ROOT = Path(__file__).parents[1]
LANES = [(source, target) for source in DIALECTS for target in DIALECTS if source != target]
LANE = pytest.mark.parametrize(("source", "target"), LANES, ids=lambda name: name)
SHEET = pytest.mark.parametrize(("dialect", "what"), SCHEMAS, ids=lambda name: name)

Outcome = Literal["out", "announced", "refused", "vanished", "around"]
"""`around`: what stands around the member is announced, and no request without the member can tell whether that is all."""


def quiet(source: str) -> StreamOptions:
    """What is announced must not count as come out."""
    return msgspec.structs.replace(OPTIONS, origin=source, announce=False)


@cache
def all_cases(dialect: str, what: What) -> tuple[Case, ...]:
    schema = Schema(sheet(dialect, what).is_whole, sendable.values(dialect), lambda key: False)
    roots = [found for root in SCHEMAS[dialect, what] for found in objects(root)]
    return tuple(distinct(case for root in roots for case in cases(root, schema)))


# -- the rows are complete ---------------------------------------------------------------------------------------------


def test_the_ledger_knows_every_dialect() -> None:
    assert set(ledger.DIALECTS) == set(DIALECTS)


@SHEET
def test_every_member_of_the_pinned_sdk_has_a_row(dialect: str, what: What) -> None:
    without = {case.key for case in all_cases(dialect, what) if sheet(dialect, what).field(case.key) is None}
    assert not without


@SHEET
def test_no_row_is_for_something_that_the_sdk_does_not_have(dialect: str, what: What) -> None:
    keys = {case.key for case in all_cases(dialect, what)}
    here = sheet(dialect, what)
    used = {row for key in keys for row in (row_of(here.whole, key) or row_of(here.read, key),)}
    assert {*here.read, *here.whole} - used == set(here.older.get("members", ()))


def row_of(table: dict[str, Any], key: str) -> str | None:
    return key if key in table else next((name for name in table if "*" in name and ledger._find({name: 1}, key)), None)


@pytest.mark.parametrize("what", ledger.WHATS)
@LANE
def test_every_field_that_is_read_has_a_row_at_the_other_dialect(what: What, source: str, target: str) -> None:
    assert ledger.missing(what, source, target) == []
    assert list(ledger.rows(what, source, target))


@pytest.mark.parametrize("what", ledger.WHATS)
@pytest.mark.parametrize("target", DIALECTS)
def test_no_field_has_a_row_that_nobody_reads(what: What, target: str) -> None:
    sources = [sheet(source, what) for source in DIALECTS if source != target]
    read = {field for here in sources for field in [*here.read.values(), *here.whole.values(), *here.nodes.values()]}
    assert {name for name in sheet(target, what).write if not set(name.split(" > ")) <= read} <= set(FOR_LATER[what])


FOR_LATER: dict[What, tuple[str, ...]] = {
    "request": (
        *("default", "system", "top_k", "Media.cache", "Media.document.detail", "Media.s3", "Media.video", "Text.cache"),
        *("Text.citations", "Turn.effort", "Turn.transient", "include", "ServerTool.user_location", "ServerTool.blocked_domains"),
    ),
    "reply": (
        *("default", "note", "order", "stop_sequence", "Usage.cache_write_1h", "Usage.web_fetches", "Usage.web_searches"),
        *("Usage.tool_prompt", "failure", "item"),
    ),
    "stream": (
        *("default", "note", "order", "stop_sequence", "Usage.cache_write_1h", "Usage.web_fetches", "Usage.web_searches"),
        *("CallPart.custom", "RefusalPart.text", "TextPart.annotations.place", "Usage.tool_prompt"),
        *("failure", "item", "padding", "progress"),
    ),
}
"""Fields that a target can write and that no other dialect says by its published types (hosts around OpenAI do say some)."""


# -- the rows are true -------------------------------------------------------------------------------------------------


def outcome(what: What, source: str, target: str, case: Case) -> Outcome:
    if what == "request":
        return request_outcome(source, target, case)
    run = reply_run if what == "reply" else stream_run
    out, losses = run(source, target, case.body)
    try:
        without, before = run(source, target, case.without)
    except (ValueError, KeyError):  # it was something that a reply cannot be without
        return "out"
    if losses == before:  # there is no doing without the member: look at a reply without all that is around it
        before = run(source, target, least(source, what))[1]
    return "out" if out != without else "announced" if losses - before else "vanished"


@cache
def least(dialect: str, what: What) -> Any:
    """The reply that says the least, or a stream without an event of its own."""
    if what == "stream":
        return {}
    schema = Schema(sheet(dialect, what).is_whole, sendable.values(dialect), lambda key: False)
    return minimal(SCHEMAS[dialect, what][0], schema)


def request_outcome(source: str, target: str, case: Case) -> Outcome:
    losses = Losses()
    try:
        out = request_run(source, target, case.body, losses)
    except InvalidRequest as error:
        assert touches(error.where, case.path), f"refused with the path {error.where}, not {case.path}: {error}"
        return "refused"
    announced = any(touches(path, case.path) for path, _ in losses)
    try:
        without = request_run(source, target, case.without, Losses(), case.body)
    except InvalidRequest:  # it was something that a request cannot be without
        return "around" if announced else "out"
    return "out" if out != without else "announced" if announced else "vanished"


def request_run(source: str, target: str, body: Any, losses: Losses, about: Any = None) -> bytes:
    return request_bytes(source, target, sendable.request(source, body, about), losses)


def request_bytes(source: str, target: str, body: bytes, losses: Losses) -> bytes:
    request = DIALECTS[source].read_request(body, losses)
    return DIALECTS[target].write_request(request, "m", Profile(), losses)


def touches(where: str, path: tuple[str, ...]) -> bool:
    """Whether one path is the other or lies on its way, indices aside."""
    one = [step for step in where.split(".") if not step.isdigit()]
    return one[: len(path)] == list(path)[: len(one)]


def reply_run(source: str, target: str, body: Any) -> tuple[bytes, set[str]]:
    losses = Losses()
    reply = DIALECTS[source].read_reply(sendable.reply(source, body), losses)
    return DIALECTS[target].write_reply(reply, quiet(source), losses), {path for path, _ in losses}


def stream_run(source: str, target: str, body: Any) -> tuple[bytes, set[str]]:
    pipe = DIALECTS[source].open_pipe(DIALECTS[target], quiet(source), 1 << 20)
    out = pipe.feed(sendable.stream(source, body)) + pipe.finish()
    return out, set(pipe.losses)


def judged(what: What, source: str, target: str) -> Iterator[tuple[Case, Outcome, str]]:
    """(case, what became of it, its fate), without those that a target refuses for their place."""
    for case in all_cases(source, what):
        row = fate(what, source, target, case.key)
        assert row is not None
        found = outcome(what, source, target, case)
        if found == "refused" and refusals(what, source, target, case.types):
            continue
        if found == "vanished" and (row.field == "structure" or sheet(source, what).is_default(case.key, case.value)):
            continue
        yield case, found, row.fate


@pytest.mark.parametrize("what", ledger.WHATS)
@LANE
def test_nothing_vanishes(what: What, source: str, target: str) -> None:
    lost = {
        ".".join(case.path): case.value
        for case, found, expected in judged(what, source, target)
        if found == "vanished" and expected != "defaulted"
    }
    assert lost == {}


NEEDED: dict[str, set[Outcome]] = {
    "mapped": {"out", "around"},
    "emulated": {"out", "around"},
    "dropped": {"announced", "around"},
    "refused": {"refused"},
    "defaulted": {"out", "announced", "vanished", "around"},
}


@pytest.mark.parametrize("what", ledger.WHATS)
@LANE
def test_what_becomes_of_a_member_is_what_its_row_says(what: What, source: str, target: str) -> None:
    found: dict[str, set[str]] = defaultdict(set)
    expected: dict[str, str] = {}
    for case, seen, row in judged(what, source, target):
        found[case.key].add(seen)
        expected[case.key] = row
    wrong = {
        key: (expected[key], seen)
        for key, seen in found.items()
        if not NEEDED[expected[key]] & seen or ("refused" in seen and expected[key] != "refused")
    }
    assert wrong == {}


# -- the matrix --------------------------------------------------------------------------------------------------------


def test_the_matrix_in_the_docs_is_the_one_that_the_rows_make(tmp_path: Path) -> None:
    page = ROOT / "docs" / "fidelity.md"
    copy = tmp_path / "fidelity.md"
    copy.write_text(page.read_text())
    ledger.main(copy)
    assert copy.read_text() == page.read_text(), "run `python -m anyllm_fast.neutral.ledger docs/fidelity.md`"


def test_a_page_without_the_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "other.md"
    page.write_text("words\n")
    with pytest.raises(SystemExit, match=r"no line"):
        ledger.main(page)
    assert page.read_text() == "words\n"
