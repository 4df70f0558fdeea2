"""The command line: which command, with which options. Does nothing itself; each command is a file, imported when it runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from anyllm_fast.errors import ConfigError

NAME = "anyllm-fast"
LATER = frozenset({"run", "providers", "keys", "replay", "diff", "selftest", "admin", "export", "import"})
TAKES_WORDS = {"explain": 2}
VALUE_OPTIONS = ("--host", "--port", "-p", "--workers", "--env-file", "--log-level")
ADMIN_OPTIONS = ("--webui", "--admin")
USAGE = """\
usage: {prog} [serve] [options]    start the gateway
       {prog} check [options]      print what the configuration means, and what is wrong with it
       {prog} explain [LANE [PATH]]
                                       what a lane does with every field, e.g. explain messages:gemini cache_control
       {prog} version              print versions

options:
  --host H          address to listen on (LISTEN_HOST)
  --port N, -p N    port to listen on (LISTEN_PORT, 3000)
  --workers N|auto  worker processes; auto is one per core (ANYLLM_WORKERS, 1)
  --log-level L     off, error, warn, info, debug or trace (ANYLLM_LOG_LEVEL)
  --env-file PATH   read variables from here instead of ./.anyllm.env
  --webui, --admin  accepted; the admin UI is not part of this version yet
  --help, --version

Everything else is set by variables: docs/configuration.md lists them all.
"""


class UsageError(Exception):
    """The command line cannot be understood: one line."""


class Options(msgspec.Struct, frozen=True):
    """What the words after the program's name say. `flags` are variables that they set."""

    command: str
    prog: str
    flags: dict[str, str] = {}
    env_file: Path | None = None
    admin: str = ""  # the option that asked for the admin UI
    words: tuple[str, ...] = ()  # what stands behind the command


def run(argv: Sequence[str]) -> int:
    """Parses and runs. Every foreseeable failure is one line on stderr: exit code 2 for the command line, 1 for the rest."""
    prog = program_name(argv[0] if argv else "")
    try:
        options = parse(prog, argv[1:])
        return _execute(options)
    except UsageError as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 2
    except ConfigError as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `check | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _execute(options: Options) -> int:
    match options.command:
        case "serve":
            from anyllm_fast.cli.serve import serve

            return serve(options)
        case "check":
            from anyllm_fast.cli.check import check

            return check(options)
        case "explain":
            from anyllm_fast.cli.explain import explain

            print(explain(options.words), end="")
        case "version":
            from anyllm_fast.cli.version import write_version

            print(write_version(), end="")
        case _:
            print(USAGE.format(prog=options.prog), end="")
    return 0


def program_name(path: str) -> str:
    name = Path(path).name.removesuffix(".exe")
    return NAME if not name or name.endswith(".py") or name.startswith("-") else name


def parse(prog: str, words: Sequence[str]) -> Options:
    """The command is the first word that is neither an option nor an option's value; without one it is `serve`.

    Raises UsageError.
    """
    given: dict[str, str] = {}
    command = ""
    after: list[str] = []
    rest = iter(words)
    for word in rest:
        option, equals, value = word.partition("=")
        if not word.startswith("-"):
            if command in TAKES_WORDS and len(after) < TAKES_WORDS[command]:
                after.append(word)
                continue
            if command:
                raise UsageError(f"unknown argument '{word}'; {command} takes options only")
            command = _command(prog, word)
        elif option in VALUE_OPTIONS:
            value = value if equals else next(rest, "")
            if not value:
                raise UsageError(f"{option} needs a value")
            given[option] = value
        elif word in ADMIN_OPTIONS:
            given["--webui"] = word
        elif word in {"--help", "-h", "--version", "-V"}:
            command = "help" if word in {"--help", "-h"} else "version"
            break
        else:
            raise UsageError(f"unknown argument '{word}'{_did_you_mean(option, (*VALUE_OPTIONS, *ADMIN_OPTIONS, '--help'))}")
    return msgspec.structs.replace(_options(command or "serve", prog, given), words=tuple(after))


def _command(prog: str, word: str) -> str:
    if word in {"serve", "check", "explain", "version", "help"}:
        return word
    if word in LATER:
        raise UsageError(f"'{word}' is not in this version; it has serve, check, explain and version")
    meant = _did_you_mean(word, ("serve", "check", "explain", "version"))
    raise UsageError(f"unknown command '{word}'{meant}; {prog} --help lists them")


def _did_you_mean(word: str, words: Sequence[str]) -> str:
    from anyllm_fast.config.spelling import closest

    meant = closest(word, words)
    return f" (did you mean {meant}?)" if meant else ""


def _options(command: str, prog: str, given: dict[str, str]) -> Options:
    from anyllm_fast.config.variables import VARIABLES

    if "-p" in given:
        given["--port"] = given.pop("-p")
    flags = {row.name: given[row.flag] for row in VARIABLES if row.flag in given}
    env_file = Path(given["--env-file"]) if "--env-file" in given else None
    return Options(command, prog, flags, env_file, given.get("--webui", ""))
