"""Text to values: gathers what is set from flags, environment and env file, and reads it by the type of its row.

Knows the table of variables, nothing of what they are for. Mistakes are collected, so that `check` can show all of them.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from anyllm_fast.config.env_file import Entry
from anyllm_fast.config.notes import Note, info, quoted, warning
from anyllm_fast.config.settings import Network
from anyllm_fast.config.variables import BY_NAME, Type, Variable
from anyllm_fast.errors import ConfigError

T = TypeVar("T")
ENVIRONMENT = "environment"
COMMAND_LINE = "command line"
DEFAULT = "default"

_TRUE = frozenset({"true", "1"})
_FALSE = frozenset({"false", "0", "no", "off"})
_QUOTES = dict.fromkeys(map(ord, "‘’“”"))
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2, token
_OWN_HEADERS = frozenset(
    {
        "host",
        "content-length",
        "content-type",
        "content-encoding",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "accept-encoding",
        "proxy-authorization",
        "authorization",
        "x-api-key",
    }
)


class Value(msgspec.Struct, frozen=True):
    """A set value. `origin` is "environment", "command line" or FILE:LINE; `name` the name it was set by, maybe an alias."""

    name: str
    text: str
    origin: str

    @property
    def whence(self) -> str:
        """The end of an error message: where to look, unless the variable itself stands in the environment."""
        return "" if self.origin in {ENVIRONMENT, DEFAULT} else f" [{self.origin}]"


def gather(environ: Mapping[str, str], path: Path | None, entries: Iterable[Entry], flags: Mapping[str, str]) -> dict[str, Value]:
    """Variable -> what is set, aliases resolved. Flags win over the environment, the environment (even empty) over the file."""
    raw = {entry.key: Value(entry.key, entry.value, f"{path}:{entry.line}") for entry in entries}
    raw |= {name: Value(name, text, ENVIRONMENT) for name, text in environ.items()}
    raw |= {name: Value(name, text, COMMAND_LINE) for name, text in flags.items()}
    values: dict[str, Value] = {}
    for row in BY_NAME.values():
        found = [raw[name] for name in (row.name, *row.aliases) if name in raw]
        if found:
            values[row.name] = next((value for value in found if value.text.strip()), found[0])
    return values


class Reader:
    """Reads values by name. A mistake is kept in `errors` and the row's default taken, so that reading goes on."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self.values = values
        self.errors: list[str] = []
        self.notes: list[Note] = []
        self.read: set[str] = set()

    def given(self, name: str) -> bool:
        """Whether it is set to something. A variable that is set but empty counts as unset."""
        value = self.values.get(name)
        return value is not None and bool(value.text.strip())

    def text(self, name: str) -> str:
        return self._take(name, ("text", "path"), _text)

    def token(self, name: str) -> str:
        """Text that may stand in a header."""
        return self._take(name, ("text",), lambda row, text: visible(row.name, text))

    def url(self, name: str) -> str:
        """As written; `urls` and `proxies` take it apart."""
        return self._take(name, ("url",), lambda row, text: text)

    def path(self, name: str) -> str:
        return self._take(name, ("path",), lambda row, text: os.path.expanduser(_text(row, text)))  # noqa: PTH111 - stays text

    def flag(self, name: str) -> bool:
        return self._take(name, ("flag",), _flag)

    def port(self, name: str) -> int:
        return self._take(name, ("port",), _port)

    def count(self, name: str) -> int:
        return self._take(name, ("count",), _count)

    def workers(self, name: str) -> int:
        return self._take(name, ("workers",), _workers)

    def seconds(self, name: str) -> float:
        return self._take(name, ("seconds",), _seconds)

    def choice(self, name: str) -> str:
        return self._take(name, ("choice",), _choice)

    def words(self, name: str) -> tuple[str, ...]:
        return self._take(name, ("list",), _words)

    def networks(self, name: str) -> tuple[Network, ...]:
        return self._take(name, ("networks",), _networks)

    def headers(self, name: str) -> tuple[tuple[str, str], ...]:
        return self._take(name, ("headers",), _headers)

    def secret(self, name: str) -> str:
        """A credential as it may stand in a header: visible ASCII. Typographic quotes, which come from documents, are dropped."""
        return self._take(name, ("secret",), self._clean)

    def password(self, name: str) -> str:
        """A secret that never stands in a header: any text, as it is."""
        return self._take(name, ("secret",), lambda row, text: text)

    def secrets(self, name: str) -> tuple[str, ...]:
        """Several of the kind."""
        return self._take(name, ("secrets",), lambda row, text: _split(self._clean(row, text)))

    def fail(self, name: str, message: str) -> None:
        value = self.values.get(name)
        self.errors.append(message + (value.whence if value else ""))

    def _take(self, name: str, types: tuple[Type, ...], parse: Callable[[Variable, str], T]) -> T:
        row = BY_NAME[name]
        if row.type not in types:
            raise TypeError(f"{name} is a {row.type}, read as {types[0]}")
        self.read.add(name)
        if self.given(name):
            value = self.values[name]
            try:
                return parse(row, value.text.strip())
            except ConfigError as error:
                alias = f" [{value.name}]" if value.name != name else ""
                self.errors.append(f"{error}{alias}{value.whence}")
        return parse(row, row.default)

    def _clean(self, row: Variable, text: str) -> str:
        return visible(row.name, self._unquoted(row, text))

    def _unquoted(self, row: Variable, text: str) -> str:
        plain = text.translate(_QUOTES)
        if plain != text:
            self.notes.append(warning(row.name, "typographic quotes were removed from the value"))
        return plain.strip()


def visible(name: str, text: str) -> str:
    """`text` if it may stand in a header's value. Raises ConfigError, which does not show it."""
    if not text.isascii() or not text.isprintable():
        raise ConfigError(f"{name} contains a character that cannot stand in an HTTP header")
    return text


def _text(row: Variable, text: str) -> str:
    if not text.isprintable():
        raise ConfigError(f"{row.name} contains a control character")
    return text


def _flag(row: Variable, text: str) -> bool:
    if text in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ConfigError(f"{row.name} must be 'true' or 'false', got {quoted(text)}")


def _port(row: Variable, text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text[:6]) > 65535:
        raise ConfigError(f"{row.name} must be a number in 1-65535, got {quoted(text)}")
    if int(text) == 0:
        raise ConfigError(f"{row.name} cannot be 0")
    return int(text)


def _count(row: Variable, text: str) -> int:
    plain = text.replace("_", "")
    if not plain.isascii() or not plain.isdigit() or len(plain) > 18 or not row.least <= int(plain) <= row.most:
        raise ConfigError(f"{row.name} must be a whole number{_bounds(row)}, got {quoted(text)}")
    return int(plain)


def _seconds(row: Variable, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not row.least <= number <= row.most or number == float("inf"):
        raise ConfigError(f"{row.name} must be a number of seconds{_bounds(row)}, got {quoted(text)}")
    return number


def _bounds(row: Variable) -> str:
    if row.most == float("inf"):
        return f" of {row.least:g} or more"
    return f" in {row.least:.15g}-{row.most:.15g}"


def _workers(row: Variable, text: str) -> int:
    if text.lower() == "auto":
        return cores()
    if not text.isascii() or not text.isdigit() or not row.least <= int(text[:6]) <= row.most:
        raise ConfigError(f"{row.name} must be 'auto' or a whole number{_bounds(row)}, got {quoted(text)}")
    return int(text)


def cores() -> int:
    """Cores that this process may keep busy: its affinity, and a container's CPU quota (cgroup v2) rounded up."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()[:2]
        if quota != "max":
            allowed = min(allowed, -(-int(quota) // int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        pass
    return max(allowed, 1)


def _choice(row: Variable, text: str) -> str:
    lowered = text.lower()
    if text and lowered not in row.choices:
        *others, last = (f"'{word}'" for word in row.choices)
        raise ConfigError(f"unknown {row.name} value {quoted(text)}, expected {', '.join(others)} or {last}")
    return lowered


def _split(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def _words(row: Variable, text: str) -> tuple[str, ...]:
    return _split(_text(row, text))


def _networks(row: Variable, text: str) -> tuple[Network, ...]:
    found: list[Network] = []
    for word in _split(text):
        try:
            found.append(ipaddress.ip_network(word, strict=False))
        except ValueError as error:
            what = "CIDR" if "/" in word else "entry"
            reason = "not an IPv4 or IPv6 network" if "/" in word else "not an IPv4 or IPv6 address"
            raise ConfigError(f"invalid {row.name} {what} {quoted(word)}: {reason}") from error
    return tuple(found)


def _headers(row: Variable, text: str) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for line in filter(None, (line.strip() for line in text.splitlines())):
        name, colon, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        if not colon or not _HEADER_NAME.fullmatch(name):
            raise ConfigError(f"{row.name} must hold lines of the form 'Name: value'")
        if name in _OWN_HEADERS:
            raise ConfigError(f"{row.name} must not set '{name}'; the gateway does")
        found.append((name, visible(row.name, value)))
    return tuple(found)


_LEVELS = {str(number): word for number, word in enumerate(("off", "error", "warn", "info", "debug", "trace"))}
_LEVELS |= {word: word for word in tuple(_LEVELS.values())} | {"warning": "warn"}
_OURS = frozenset({"anyllm_proxy", "anyllm-proxy", "anyllm_fast", "anyllm-fast"})


def read_rust_log(reader: Reader, default: str) -> str:
    """The level that RUST_LOG gives this program: its own directive, else the global one, else errors only."""
    text = reader.text("RUST_LOG")
    if not text:
        return default
    levels: dict[str, str] = {}
    for directive in filter(None, (part.strip() for part in text.split(","))):
        target, equals, level = directive.rpartition("=")
        known = _LEVELS.get(level.strip().lower())
        if equals and known:
            levels[target.split("[")[0].strip()] = known
        elif not equals and known:
            levels[""] = known
        elif not equals and re.fullmatch(r"[\w:-]+", directive):
            levels[directive] = "trace"
        else:
            reader.notes.append(warning("RUST_LOG", f"ignoring the directive {quoted(directive)}"))
    if not levels:
        return default
    own = next((levels[target] for target in _OURS if target in levels), None)
    if own is None and "" not in levels:
        reader.notes.append(info("RUST_LOG", "names other programs only, so that errors alone are logged here"))
    return own or levels.get("", "error")
