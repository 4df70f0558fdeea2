"""docs/configuration.md, written from the table of variables: `python -m anyllm_fast.config.document > docs/configuration.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from anyllm_fast.config.hosts import Host, hosts
from anyllm_fast.config.variable import Group
from anyllm_fast.config.variables import TYPES, VARIABLES, Type, Variable

_HEAD = """\
# Configuration

<!-- Written by `make docs` (anyllm_fast/config/document.py); edit anyllm_fast/config/variables.py. -->

Everything is set by variables: in the environment, in an env file, a few on the command line. `anyllm-fast check`
prints what is in force, where each value came from, what is set in vain, and where calls would go. It exits with 1 if
`serve` would not start.

```
anyllm-fast serve  [--host H] [--port N] [--workers N|auto] [--log-level L] [--env-file PATH]     # `serve` may be left out
anyllm-fast check  [the same options]
anyllm-fast version
```

## Where a value comes from

1. the command line,
2. the environment,
3. the env file,
4. the default.

A variable that is set but empty counts as unset, except `IP_ALLOWLIST`. The environment wins over the env file even
where it is empty. An alias counts only where the variable itself is unset. Flags are true for `true` and `1`, false
for `false`, `0`, `no` and `off`; anything else is an error, because anyllm_proxy reads a `yes` as false and few who
write it mean that.

## The env file

The first of these is read, and only that one: the file named by `--env-file`, `./.anyllm.env`, `.anyllm.env` in the
data directory (`ANYLLM_HOME`, else `~/.anyllm`). A file named by `--env-file` must exist.

```
# one KEY=VALUE per line; `export ` in front is fine
OPENAI_BASE_URL=http://localhost:8000/v1
PROXY_API_KEYS=sk-first,sk-second
ANYLLM_UPSTREAM_HEADERS="x-team: search\\nx-tier: gold"
```

White space around line, key and value is dropped. A comment needs a line of its own. Inside `"..."` the escapes
`\\n`, `\\t`, `\\r`, `\\\\` and `\\"` are undone; inside `'...'` nothing is. Nothing is interpolated. A line
that cannot be used is reported with its number and left out; the rest of the file counts. The file's variables are
for the gateway only and do not enter the environment of its processes.

## Who is let in

| Set | Callers |
|---|---|
| `PROXY_API_KEYS` | those who show one of the keys |
| `PROXY_OPEN_RELAY=true`, no keys | anyone who shows any credential |
| neither, demo backend | anyone; there is nothing to protect |
| neither, any other backend | nobody, until one of the two is set |

## Which backend

`BACKEND`, or what its default says; [providers.md](providers.md) has an example for each. A client that speaks a dialect that
the backend speaks too is passed through. Loopback and private addresses are fine (vLLM, llama.cpp, Ollama). Cloud metadata
addresses, credentials inside a URL and the gateway's own address are refused. Requests that name a `haiku` go to
`SMALL_MODEL`, those that name a `sonnet` or an `opus` to `BIG_MODEL`; other names pass as they are. A prefix such as
`/azure/v1/...` names the backend.
"""

_TAIL = """\
## Signals

SIGTERM and SIGINT stop accepting and let open calls finish, at most `ANYLLM_SHUTDOWN_SECS`; a second one ends them.
SIGHUP replaces the workers one by one with the same configuration. Workers end when their supervisor is gone.
"""


def write_document() -> str:
    """The whole file's text."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _HEAD
    groups: dict[Group, list[Variable]] = {}
    for row in VARIABLES:
        groups.setdefault(row.group, []).append(row)
    later = groups.pop("Later")
    for group, rows in groups.items():
        yield f"## {group}\n"
        yield from _hosts_table() if group == "Hosts" else _table(rows)
        yield ""
    yield "## Types\n"
    used: set[Type] = {row.type for rows in groups.values() for row in rows}
    yield from (f"- {name}: {meaning}" for name, meaning in TYPES.items() if name in used)
    yield ""
    yield "## Known, but not used by this version\n"
    yield "Setting one of these is no mistake: it is reported and has no effect yet. Names that other programs own as well are"
    yield "reported at a start only if they stand in the env file; `check` names them all.\n"
    yield from _later_table(later)
    yield ""
    yield _TAIL.rstrip()


def _table(rows: list[Variable]) -> Iterator[str]:
    yield "| Variable | Type | Default | Meaning |"
    yield "|---|---|---|---|"
    for row in rows:
        default = row.shown_default or (f"`{row.default}`" if row.default else "")
        meaning = row.meaning
        if row.flag:
            meaning += f" Command line: `{row.flag}`."
        if row.aliases:
            meaning += " Alias: " + ", ".join(f"`{alias}`" for alias in row.aliases) + "."
        yield f"| `{row.name}` | {row.type} | {default} | {meaning} |"


def _hosts_table() -> Iterator[str]:
    yield "OpenAI-compatible hosts: `BACKEND` is the id or an alias. Of several variables the first that is set counts; the key's"
    yield "is a secret, the address's a URL. `OPENAI_API_KEY` and `OPENAI_BASE_URL` count where the host's own are unset."
    yield "`anyllm_fast/data/hosts.toml` is where they come from.\n"
    yield "| `BACKEND` | Address | Key | Address is changed by | Speaks besides Chat |"
    yield "|---|---|---|---|---|"
    yield from (_host_row(host) for host in sorted(hosts().host, key=lambda host: host.id))


def _host_row(host: Host) -> str:
    cells = (
        _quoted(host.id, *host.aliases),
        f"`{host.base}`" if host.base else "has to be set",
        _quoted(*host.keys) + (", not needed" if host.keys else "not needed") * host.local,
        _quoted(*host.bases, *host.placeholders),
        ", ".join(sorted(word.capitalize() for word in host.speaks)),
    )
    return f"| {' | '.join(cells)} |"


def _quoted(*names: str) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _later_table(rows: list[Variable]) -> Iterator[str]:
    yield "| For | Variables |"
    yield "|---|---|"
    by_meaning: dict[str, list[str]] = {}
    for row in rows:
        names = by_meaning.setdefault(row.meaning, [])
        names.append(f"`{row.name}` (set `{row.instead}`)" if row.instead else f"`{row.name}`")
        names += [f"`{alias}`" for alias in row.aliases]
    for meaning, names in by_meaning.items():
        yield f"| {meaning} | {', '.join(names)} |"


if __name__ == "__main__":
    sys.stdout.write(write_document())
