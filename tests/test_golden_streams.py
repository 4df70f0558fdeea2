"""Every stream in tests/corpus/streams, as a client of each other dialect gets it, against tests/golden/streams.

A golden file is named as its stream, and for all clients but the first (OTHER) `-to-<client>` behind it. It holds the bytes and,
below a line, what the pipe said of the reply. UPDATE_GOLDEN=1 writes them anew; read the difference before you keep it.
"""

from __future__ import annotations

import os
from typing import Any

import msgspec
import pytest

from tests.streams import DIALECTS, GOLDEN, OTHER, Outcome, corpus, dialect_of, each_twin, load, pass_by, piped, run, translate

PAIRS = [(name, client) for name in corpus() for client in DIALECTS if client not in (OTHER[dialect_of(name)], dialect_of(name))]


def shown(found: Outcome) -> bytes:
    said = {name: getattr(found, name) for name in ("committed", "ended", "failure", "stop_reason", "losses")}
    counts = {name: n for name, n in msgspec.to_builtins(found.usage).items() if n >= 0}
    return found.out + b"---\n" + msgspec.json.format(msgspec.json.encode({**said, "usage": counts}), indent=1) + b"\n"


@each_twin
@pytest.mark.parametrize("name", corpus())
def test_a_stream_comes_out_as_its_golden_file_says(twin: Any, name: str) -> None:
    hold(name, shown(translate(twin, load(name), dialect_of(name))))


@each_twin
@pytest.mark.parametrize(("name", "client"), PAIRS)
def test_a_stream_comes_out_for_every_other_client_as_its_golden_file_says(twin: Any, name: str, client: str) -> None:
    hold(f"{name}-to-{client}", shown(run(piped(twin, dialect_of(name), client), [load(name)])))


def hold(name: str, found: bytes) -> None:
    golden = GOLDEN / f"{name}.sse"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_bytes(found)
    assert found == golden.read_bytes()


@each_twin
@pytest.mark.parametrize("name", corpus())
def test_a_stream_that_is_only_watched_is_judged_as_the_translated_one_is(twin: Any, name: str) -> None:
    dialect = dialect_of(name)
    passed, translated = pass_by(twin, load(name), dialect), translate(twin, load(name), dialect)
    assert passed.failure == translated.failure
    assert passed.usage == translated.usage
    assert passed.ended
    if name not in UNSEEN:
        assert passed.stop_reason == translated.stop_reason


UNSEEN = {"openai_chat_ollama_reasoning_tools", "openai_chat_bare_host", "openai_chat_refusal"}
"""Their finish_reason is wrong, and what shows it is in deltas, which are not read when the stream only passes by."""


def test_every_golden_file_has_its_stream() -> None:
    assert {path.stem for path in GOLDEN.glob("*.sse")} == {*corpus(), *(f"{name}-to-{client}" for name, client in PAIRS)}
    assert all(OTHER[dialect_of(name)] for name in corpus())
