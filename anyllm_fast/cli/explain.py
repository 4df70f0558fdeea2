"""`explain`: what becomes of every member of a dialect's schema on its way to another. Prints the ledger; translates nothing."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator

from anyllm_fast.config.spelling import closest
from anyllm_fast.errors import ConfigError
from anyllm_fast.neutral.ledger import DIALECTS, PLURALS, TITLES, WHATS, Row, rows

NAMES = {
    "anthropic": "anthropic",
    "messages": "anthropic",
    "openai_chat": "openai_chat",
    "chat": "openai_chat",
    "openai": "openai_chat",
    "openai_responses": "openai_responses",
    "responses": "openai_responses",
    "gemini": "gemini",
    "generatecontent": "gemini",
    "bedrock": "bedrock",
    "converse": "bedrock",
}
HINT = "write a lane as FROM:TO, for example messages:gemini"


def explain(words: tuple[str, ...]) -> str:
    """The text for `explain [LANE [PATH]]`. Raises ConfigError for a lane or a path that there is not."""
    if not words:
        return _lanes()
    source, target = read_lane(words[0])
    if source == target:
        return f"{TITLES[source]} to itself: nothing is translated; the body goes out as it came, but for the model's name.\n"
    wanted = words[1] if len(words) > 1 else ""
    lines = [f"{TITLES[source]} to {TITLES[target]}"]
    found = 0
    for what in WHATS:
        picked = [row for row in rows(what, source, target) if _fits(row, wanted)]
        if picked:
            found += len(picked)
            lines += ["", f"{PLURALS[what]}: {_sums(picked)}", *_table(picked)]
    if not found:
        raise ConfigError(f"no member of {TITLES[source]} is called {wanted[:80]!r}; name it as Type.member or by its path")
    return "\n".join(lines) + "\n"


def read_lane(text: str) -> tuple[str, str]:
    """`messages:chat`, `messages>chat` or `anthropic-to-gemini`."""
    for sign in (":", ">", "-to-", "_to_", "->"):
        source, found, target = text.lower().partition(sign)
        if found:
            return _name(source), _name(target.lstrip(">"))
    raise ConfigError(f"{text[:80]!r} is no lane; {HINT}")


def _name(word: str) -> str:
    name = NAMES.get(word.strip(" -"))
    if name is None:
        meant = closest(word, tuple(NAMES))
        raise ConfigError(f"no dialect is called {word[:40]!r}{f' (did you mean {meant}?)' if meant else ''}; {HINT}")
    return name


def _lanes() -> str:
    lines = [f"{'lane':<36} " + " ".join(f"{what:<28}" for what in PLURALS.values()).rstrip()]
    for source in DIALECTS:
        for target in DIALECTS:
            if source != target:
                sums = [_short(list(rows(what, source, target))) for what in WHATS]
                lines.append(f"{source + ':' + target:<36} " + " ".join(f"{text:<28}" for text in sums).rstrip())
    lines += ["", "members mapped or emulated / without meaning there / dropped and announced / refused with their path"]
    return "\n".join([*lines, f"{HINT}; a path behind it picks members, for example cache_control", ""])


def _short(found: list[Row]) -> str:
    counts = Counter(row.fate for row in found)
    return f"{counts['mapped'] + counts['emulated']} / {counts['defaulted']} / {counts['dropped']} / {counts['refused']}"


def _sums(found: list[Row]) -> str:
    return ", ".join(f"{count} {fate}" for fate, count in Counter(row.fate for row in found).items())


def _fits(row: Row, wanted: str) -> bool:
    """By Type.member, by either alone, or by a path as it stands in x-anyllm-degradation: its last name counts."""
    if not wanted:
        return True
    if wanted.lower() in row.key.lower():
        return True
    steps = [step for step in wanted.split(".") if not step.isdigit()]
    return bool(steps) and row.key.rpartition(".")[2] == steps[-1]


def _table(found: list[Row]) -> Iterator[str]:
    width = min(max(len(row.key) for row in found), 48)
    for row in found:
        said = textwrap.wrap(row.how, 70) or [""]
        yield f"  {row.key:<{width}}  {row.fate:<9}  {said[0]}".rstrip()
        for line in said[1:]:
            yield f"  {'':<{width}}  {'':<9}  {line}"
