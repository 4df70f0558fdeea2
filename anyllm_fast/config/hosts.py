"""The table of OpenAI-compatible hosts (data/hosts.toml) as rows: ids, addresses, variables, quirks. Checks its form, reads no
variable and connects to nothing.

A host is one row there. Everything else follows from it: BACKEND takes its id, its variables are known and documented, its calls
go to its address with its key.
"""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from pathlib import Path

import msgspec

_FILE = Path(__file__).parent.parent / "data" / "hosts.toml"
_PLACEHOLDER = re.compile(r"\{([A-Z][A-Z0-9_]*)\}")


class Host(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row.

    `base` is the URL that OpenAI's SDKs are given for it, to which `/chat/completions` is added; `{VARIABLE}` in it stands for a
    variable's value. "" means that the operator has to say it. `speaks` has what it speaks beside Chat: the path on its origin,
    or "" where that is the base with `/responses` or `/messages`. `facts` are members of neutral.dialect.Profile.
    """

    id: str
    base: str = ""
    aliases: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()  # variables; the first that is set counts
    bases: tuple[str, ...] = ()  # variables that move it, likewise
    local: bool = False  # on the operator's machine or network: needs no key
    speaks: dict[str, str] = {}
    facts: dict[str, bool | int | str] = {}

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The variables that its address is made with."""
        return tuple(_PLACEHOLDER.findall(self.base))

    @property
    def variables(self) -> tuple[str, ...]:
        return (*self.keys, *self.bases, *self.placeholders)

    def address(self, values: dict[str, str]) -> str:
        """The base URL with every placeholder filled in."""
        return _PLACEHOLDER.sub(lambda found: values[found[1]], self.base)


class Unserved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An id that is known from other gateways and has no chat models behind a Chat endpoint. `why` ends a sentence."""

    id: str
    why: str
    aliases: tuple[str, ...] = ()


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    host: tuple[Host, ...] = ()
    unserved: tuple[Unserved, ...] = ()

    def find(self, name: str) -> Host | Unserved | None:
        """The row of an id or alias; `-` and `_` are the same in it, case is ignored."""
        wanted = plain(name)
        rows: tuple[Host | Unserved, ...] = (*self.host, *self.unserved)
        for row in rows:
            if wanted in map(plain, (row.id, *row.aliases)):
                return row
        return None

    def ids(self) -> tuple[str, ...]:
        return tuple(name for row in self.host for name in (row.id, *row.aliases))


def plain(name: str) -> str:
    return name.lower().replace("-", "_")


def read_table(text: str) -> Table:
    """Raises ValueError for a text that is no such table."""
    return msgspec.convert(tomllib.loads(text), Table)


@lru_cache(maxsize=1)
def hosts() -> Table:
    """The table of this installation. About 5 ms at the first call."""
    return read_table(_FILE.read_text(encoding="utf-8"))
