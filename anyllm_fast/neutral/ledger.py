"""What becomes of every member of a dialect's schema on its way to another dialect. Rows of data; translates nothing.

A lane has no rows of its own. Each dialect says twice what it does, in data/ledger_NAME.toml: what its members are in the middle
(`read`), and what it makes of each field of the middle when it is the target (`write`). A lane is the one over the other, so a
new dialect brings one file and is at once in a row with all others. For requests, replies and streams each:

    whole      a type that is taken as one thing -> field; nothing inside it needs a row
    read       `Type.member` -> field of the middle. Types are named as in the vendor's SDK, without `Beta` and `Param`
    nodes      a type -> node of the middle, for rows that refuse one node inside another (`Turn.assistant > Media.image`)
    defaults   `Type.member` -> values that say what holds without them; to leave these out loses nothing ("*": any value)
    older      members that the newest SDK does not have and that are read all the same
    write      field -> [fate, how or why]

Fields that are none of a structure: `private` (only this dialect knows it), `structure` (an object around others), `default`,
`note`. Names may have `*` in them; the exact one counts first, then the first that fits. Fates:

    mapped     the target says the same
    emulated   the target says it in another way; what is left over is announced
    defaulted  it says nothing of what is asked or answered (ids, times, parts of counts): the target has its own, or none
    dropped    announced in x-anyllm-degradation and the log
    refused    the request is answered with 400, with the path

The rows are held against the SDKs' types and against the code by tests/test_ledger.py. `python -m anyllm_fast.neutral.ledger
FILE` writes the matrix between two marks of a Markdown file (docs/fidelity.md).
"""

from __future__ import annotations

import fnmatch
import json
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

What = Literal["request", "reply", "stream"]
Fate = Literal["mapped", "emulated", "defaulted", "dropped", "refused"]

DIALECTS: Final = ("anthropic", "openai_chat", "openai_responses", "gemini", "bedrock")
WHATS: Final[tuple[What, ...]] = ("request", "reply", "stream")
TITLES: Final = {
    "anthropic": "Anthropic Messages",
    "openai_chat": "OpenAI Chat Completions",
    "openai_responses": "OpenAI Responses",
    "gemini": "Gemini generateContent",
    "bedrock": "Bedrock Converse",
}
PLURALS: Final[dict[What, str]] = {"request": "requests", "reply": "replies", "stream": "streams"}
BEGIN: Final = "<!-- generated from the rows by `python -m anyllm_fast.neutral.ledger docs/fidelity.md`; do not edit below -->"
END: Final = "<!-- end of the generated part -->"


class Written(msgspec.Struct, frozen=True, array_like=True):
    """What a target makes of a field."""

    fate: Fate
    how: str


class Row(msgspec.Struct, frozen=True):
    """One member, or one whole type, on one lane."""

    key: str
    field: str
    fate: Fate
    how: str


class Sheet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rows of one dialect for requests, replies or streams."""

    read: dict[str, str]
    write: dict[str, Written]
    whole: dict[str, str] = {}
    nodes: dict[str, str] = {}
    defaults: dict[str, list[Any]] = {}
    older: dict[str, list[str]] = {}

    def field(self, key: str) -> str | None:
        """The field of the middle for `Type.member`, or for the name of a whole type; None: no row."""
        found: str | None = _find(self.whole, key) or _find(self.read, key)
        return found

    def is_whole(self, type_name: str) -> bool:
        return _find(self.whole, type_name) is not None

    def is_default(self, key: str, value: Any) -> bool:
        values = _find(self.defaults, key) or ()
        return "*" in values or json.dumps(value, sort_keys=True) in [json.dumps(one, sort_keys=True) for one in values]


def _find(table: dict[str, Any], key: str) -> Any:
    if key in table:
        return table[key]
    return next((table[name] for name in table if "*" in name and fnmatch.fnmatchcase(key, name)), None)


@cache
def sheet(dialect: str, what: What) -> Sheet:
    return _file(dialect)[what]


@cache
def _file(dialect: str) -> dict[str, Sheet]:
    text = files("anyllm_fast").joinpath("data", f"ledger_{dialect}.toml").read_text()
    return msgspec.convert(tomllib.loads(text), type=dict[str, Sheet])


def fate(what: What, source: str, target: str, key: str) -> Row | None:
    """What becomes of `Type.member` (or of a whole type) of `source` at `target`; None where a row is missing."""
    field = sheet(source, what).field(key)
    if field is None:
        return None
    written = sheet(target, what).write.get(field)
    return None if written is None else Row(key, field, written.fate, written.how)


def refusals(what: What, source: str, target: str, types: tuple[str, ...]) -> list[str]:
    """Why `target` refuses these types inside one another, outermost first; nothing if it does not."""
    nodes = sheet(source, what).nodes
    write = sheet(target, what).write
    path = [nodes[name] for name in types if name in nodes]
    wanted = [*path, *(f"{outer} > {inner}" for at, outer in enumerate(path) for inner in path[at + 1 :])]
    return [write[name].how for name in wanted if name in write and write[name].fate == "refused"]


def rows(what: What, source: str, target: str) -> Iterator[Row]:
    """All rows of a lane, in the order of the source's file; names with `*` stand for all that they fit."""
    here = sheet(source, what)
    for key in [*here.read, *here.whole]:
        row = fate(what, source, target, key)
        if row is None:
            raise LookupError(f"{target}: no row for {here.field(key)!r} ({source} {what} {key})")
        yield row


def missing(what: What, source: str, target: str) -> list[str]:
    """Fields that `source` reads and `target` has no row for."""
    here, there = sheet(source, what), sheet(target, what)
    return sorted({field for field in [*here.read.values(), *here.whole.values()] if field not in there.write})


# -- the matrix --------------------------------------------------------------------------------------------------------


def matrix() -> str:
    """All lanes as Markdown: the sums, then a table for each source with a column for each target."""
    out = ["## How much of each lane", "", *_overview(), ""]
    for source in DIALECTS:
        for what in WHATS:
            out += _table(source, what)
    return "\n".join(out)


def counts(what: What, source: str, target: str) -> dict[str, int]:
    """How many members of the source have which fate at the target."""
    found: dict[str, int] = {}
    for row in rows(what, source, target):
        found[row.fate] = found.get(row.fate, 0) + 1
    return found


def _overview() -> Iterator[str]:
    yield "Members carried (mapped or emulated) / without meaning at the target (defaulted) / announced (dropped) / refused."
    yield ""
    yield "| from | to | requests | replies | streams |"
    yield "|---|---|---|---|---|"
    for source in DIALECTS:
        for target in DIALECTS:
            if source != target:
                cells = " | ".join(_sums(counts(what, source, target)) for what in WHATS)
                yield f"| {TITLES[source]} | {TITLES[target]} | {cells} |"


def _sums(found: dict[str, int]) -> str:
    carried = found.get("mapped", 0) + found.get("emulated", 0)
    return f"{carried} / {found.get('defaulted', 0)} / {found.get('dropped', 0)} / {found.get('refused', 0)}"


def _table(source: str, what: What) -> Iterator[str]:
    targets = [target for target in DIALECTS if target != source]
    yield f"## {TITLES[source]}: {PLURALS[what]}"
    yield ""
    yield f"| member | in the middle | {' | '.join('to ' + TITLES[target] for target in targets)} |"
    yield "|---|---" + "|---" * len(targets) + "|"
    lanes = [list(rows(what, source, target)) for target in targets]
    for same in zip(*lanes, strict=True):
        cells = " | ".join(f"{row.fate}: {row.how}" if row.how else row.fate for row in same)
        yield f"| `{same[0].key}` | {same[0].field} | {cells} |"
    yield ""
    for target in targets:
        yield from _places(what, target)


def _places(what: What, target: str) -> Iterator[str]:
    inside = [(name, written) for name, written in sheet(target, what).write.items() if " > " in name]
    if inside:
        yield f"Refused by place at {TITLES[target]}:"
        yield ""
        for name, written in inside:
            yield f"- `{name}`: {written.how}"
        yield ""


def main(path: Path) -> None:
    """Puts the matrix between the marks of the file at `path`."""
    text = path.read_text()
    head, begin, _ = text.partition(BEGIN)
    if not begin:
        sys.exit(f"{path}: no line {BEGIN!r}")
    path.write_text(f"{head}{BEGIN}\n\n{matrix()}\n{END}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
