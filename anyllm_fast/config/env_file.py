"""The env file: where it is looked for, and its syntax. Knows variable names only to tell a misspelt one.

`KEY=VALUE` per line, `export ` in front is fine. White space around line, key and value is dropped; blank lines and lines
that begin with `#` are comments, a `#` further on is part of the value. In `"..."` the escapes `\\n \\t \\r \\\\ \\"` are
undone, in `'...'` none. Nothing is interpolated and no value spans lines. Of two lines with one key the later wins. A line
that cannot be used is reported and the rest of the file still counts.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from anyllm_fast.config.notes import Note, info, quoted, warning
from anyllm_fast.config.spelling import nearest_variable
from anyllm_fast.config.variables import known
from anyllm_fast.errors import ConfigError

NAME = ".anyllm.env"
MAX_FILE = 1 << 20
MAX_LINE = 64 << 10  # a list of a few hundred keys is a few KB
_KEY = re.compile(r"[A-Z_][A-Z0-9_]*")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"'}
_ESCAPE = re.compile(r'\\([ntr\\"])')


class Entry(msgspec.Struct, frozen=True):
    key: str
    value: str
    line: int


class EnvFile(msgspec.Struct, frozen=True):
    """`entries` in the file's order, each key once (the last one's value and line)."""

    path: Path
    entries: tuple[Entry, ...] = ()
    notes: tuple[Note, ...] = ()


def data_directory(environ: Mapping[str, str]) -> Path:
    """ANYLLM_HOME, else `.anyllm` in the home directory, else in the working directory. It need not exist."""
    chosen = environ.get("ANYLLM_HOME", "").strip()
    if chosen:
        return Path(chosen)
    return Path(environ.get("HOME") or environ.get("USERPROFILE") or ".") / ".anyllm"


def find_env_file(explicit: Path | None, environ: Mapping[str, str], cwd: Path) -> Path | None:
    """The one file that is read: the explicit one (whether it exists or not), ./.anyllm.env, or that of the data directory."""
    if explicit is not None:
        return cwd / explicit
    for directory in (cwd, cwd / data_directory(environ)):
        with contextlib.suppress(OSError, ValueError):  # a name that no file can have, a directory that we may not enter
            if (directory / NAME).is_file():
                return directory / NAME
    return None


def read_env_file(path: Path, *, explicit: bool) -> EnvFile:
    """Raises ConfigError if an explicit file cannot be used at all; one that was only found is then reported and left out."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
        entries, notes = parse_env(data, str(path))
    except (OSError, ValueError, ConfigError) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        message = f"could not read env file {quoted(str(path), 500)}: {reason}"
        if explicit:
            raise ConfigError(message) from error
        return EnvFile(path, (), (warning(str(path), message),))
    return EnvFile(path, entries, (*notes, *_permission_notes(path, entries)))


def parse_env(data: bytes, where: str) -> tuple[tuple[Entry, ...], list[Note]]:
    """Entries and what is wrong with the rest. Raises ConfigError for what is no env file: too large, binary, nothing usable."""
    if len(data) > MAX_FILE:
        raise ConfigError(f"larger than {MAX_FILE} bytes")
    if b"\0" in data:
        raise ConfigError("file contains binary content (null bytes)")
    found: dict[str, Entry] = {}
    notes: list[Note] = []
    content = False
    for number, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        at = f"{where}:{number}"
        line = raw.strip()
        if not line or line.startswith(b"#"):
            continue
        content = True
        pair = _read_line(line, at, notes)
        if pair is None:
            continue
        key, value = pair
        if key in found:
            notes.append(
                warning(at, f'key "{key}" appears more than once; last value wins (first on line {found.pop(key).line})')
            )
        found[key] = Entry(key, value, number)
        notes += _doubts(key, value, at)
    if content and not found:
        raise ConfigError(f"no valid KEY=VALUE entries found — is this a {NAME} file?")
    return tuple(found.values()), notes


def _read_line(line: bytes, at: str, notes: list[Note]) -> tuple[str, str] | None:
    if len(line) > MAX_LINE:
        notes.append(warning(at, f"ignoring line longer than {MAX_LINE} bytes"))
        return None
    try:
        text = line.decode()
    except UnicodeDecodeError:
        notes.append(warning(at, "ignoring line that is not UTF-8"))
        return None
    key, equals, value = text.strip().partition("=")
    if not equals:
        notes.append(warning(at, "ignoring malformed line (no '=')"))
        return None
    key = re.sub(r"^export\s+", "", key).strip()
    if not _KEY.fullmatch(key):
        meant = nearest_variable(key)
        hint = f"; did you mean {meant}?" if meant else ""
        shown = key if len(key) <= 64 and key.isprintable() else key[:64].encode("unicode_escape").decode()
        notes.append(warning(at, f'ignoring key "{shown}": not a valid env var name (must match [A-Z_][A-Z0-9_]*){hint}'))
        return None
    return key, _unquote(value.strip())


def _unquote(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1]:
        if value[0] == '"':
            return _ESCAPE.sub(lambda found: _ESCAPES[found[1]], value[1:-1])
        if value[0] == "'":
            return value[1:-1]
    return value


def _doubts(key: str, value: str, at: str) -> list[Note]:
    doubts = []
    if not value:
        doubts.append(info(at, f"{key} is empty, which is the same as unset"))
    if " #" in value:
        doubts.append(warning(at, f"the value of {key} contains ' #': a comment needs a line of its own"))
    if not known(key):
        meant = nearest_variable(key)
        hint = f"; did you mean {meant}?" if meant else ""
        doubts.append(warning(at, f'key "{key}" is not a recognized variable{hint}'))
    return doubts


def _permission_notes(path: Path, entries: tuple[Entry, ...]) -> list[Note]:
    try:
        mode = path.stat().st_mode & 0o777
    except OSError:
        return []
    if mode & 0o077 and any(entry.value and entry.key.endswith(("_KEY", "_KEYS", "_TOKEN", "_PASSWORD")) for entry in entries):
        return [info(str(path), f"holds secrets and can be read by other users (mode {mode:04o}); chmod 600 is safer")]
    return []
