"""Near misses: the word that a misspelt one was probably meant to be. Knows words, no meaning."""

from __future__ import annotations

from collections.abc import Iterable

from anyllm_fast.config.variables import ALIAS_OF, BY_NAME

_NAMES = (*BY_NAME, *ALIAS_OF)
_BARE = {name.upper().replace("_", ""): name for name in reversed(_NAMES)}


def nearest_variable(name: str) -> str:
    """The known variable that a misspelt one was probably meant to be, or ""."""
    upper = name.upper()
    same = _BARE.get(upper.replace("_", "").replace("-", ""))
    if same:
        return same
    # one end is nearly always typed right; comparing with every name would cost a start 80 ms for a usual environment
    return closest(upper, [each for each in _NAMES if each[:3] == upper[:3] or each[-4:] == upper[-4:]])


def closest(word: str, words: Iterable[str]) -> str:
    """The word at most one edit away (two from 12 letters on, none under 4), or ""."""
    allowed = 0 if len(word) < 4 else 1 if len(word) < 12 else 2
    best, distance = "", allowed + 1
    for each in words:
        if abs(len(each) - len(word)) < distance:
            edits = _edits(word, each, distance)
            if edits < distance:
                best, distance = each, edits
    return best


def _edits(one: str, other: str, enough: int) -> int:
    """Insertions, deletions, replacements and swaps of neighbours (optimal string alignment); `enough` if no fewer."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        previous, row = row, [i]
        for j, right in enumerate(other, 1):
            cost = min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (left != right))
            if i > 1 and j > 1 and left == other[j - 2] and one[i - 2] == right:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) >= enough:
            return enough
        before = previous
    return row[-1]
