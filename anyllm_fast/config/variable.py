"""The shape of a row of the table of variables, and how its types are called. Holds no row: variables.py has them."""

from __future__ import annotations

from typing import Literal

import msgspec

Type = Literal[
    "choice",
    "count",
    "flag",
    "headers",
    "list",
    "networks",
    "path",
    "port",
    "seconds",
    "secret",
    "secrets",
    "text",
    "url",
    "workers",
]
TYPES: dict[Type, str] = {
    "choice": "one of a few words",
    "count": "whole number",
    "flag": "`true` or `1`; `false` or `0`",
    "headers": "`Name: value`, one per line (`\\n` inside double quotes in the env file)",
    "list": "comma-separated",
    "networks": "comma-separated addresses and CIDR blocks",
    "path": "file or directory",
    "port": "1-65535",
    "seconds": "seconds, a fraction is allowed",
    "secret": "text, never shown",
    "secrets": "comma-separated, never shown",
    "text": "text",
    "url": "http or https URL",
    "workers": "whole number or `auto`",
}
Group = Literal[
    "Server",
    "Backend",
    "OpenAI and Anthropic",
    "Azure OpenAI",
    "Gemini and Vertex AI",
    "Bedrock",
    "Hosts",
    "Access",
    "Upstream connections",
    "Limits",
    "Logs and announcements",
    "Files",
    "Later",
]


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """One row. `default` is text, parsed like a set value; `shown_default` is what documents say where it depends on others."""

    name: str
    type: Type
    default: str = ""
    meaning: str
    group: Group
    aliases: tuple[str, ...] = ()  # read in this order when the name itself is unset or empty
    choices: tuple[str, ...] = ()
    least: float = 0
    most: float = float("inf")
    shown_default: str = ""
    flag: str = ""  # the command line's name for it
    status: Literal["used", "later"] = "used"
    shared: bool = False
    instead: str = ""  # what to set here instead of it

    @property
    def hidden(self) -> bool:
        """Whether its value may be printed at all."""
        return self.type in {"secret", "secrets", "headers"}


def used(group: Group, name: str, type_: Type, default: str, meaning: str, **more: object) -> Variable:
    """A row of a variable that does something. `more` are further members of Variable."""
    row = {"group": group, "name": name, "type": type_, "default": default, "meaning": meaning, **more}
    return msgspec.convert(row, Variable)


def later(names: str, meaning: str, **more: object) -> list[Variable]:
    """Rows of variables that are known and wait."""
    rows = [
        {"group": "Later", "type": "text", "status": "later", "name": name, "meaning": meaning, **more} for name in names.split()
    ]
    return msgspec.convert(rows, list[Variable])
