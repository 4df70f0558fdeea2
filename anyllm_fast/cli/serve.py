"""`serve`: reads the configuration, says what is in force, starts the workers. Handles no request."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from anyllm_fast.cli import Options
from anyllm_fast.config import Settings, resolve
from anyllm_fast.config.load import Resolved
from anyllm_fast.errors import ConfigError

TARGET = "anyllm_fast.app:app"
MAX_WARNINGS = 20
_STARTED = time.monotonic()


def serve(options: Options) -> int:
    """Runs until it is told to stop; the exit code. Raises ConfigError, also for a port that cannot be had."""
    resolved = resolve(os.environ, options.env_file, Path.cwd(), options.flags)
    settings = resolved.settings
    if settings is None:
        more = len(resolved.errors) - 1
        raise ConfigError(resolved.errors[0] + (f" (and {more} more: {options.prog} check)" if more else ""))

    from anyllm_fast.cli.screen import write_screen
    from anyllm_fast.cli.supervisor import find_address, supervise
    from anyllm_fast.cli.version import implementation

    twin = implementation()
    address = find_address(settings.host, settings.port)
    say(opening(options, resolved))

    def announce() -> None:
        say([write_screen(options.prog, settings, twin, time.monotonic() - _STARTED)])

    with shared_store(settings) as shared:
        return supervise(address, shared, TARGET, announce)


@contextmanager
def shared_store(settings: Settings) -> Iterator[Settings]:
    """Several workers have to know each other's responses: without a file of the operator's they share one of ours."""
    if settings.responses_store or settings.workers == 1:
        yield settings
        return
    with TemporaryDirectory(prefix="anyllm-fast-", ignore_cleanup_errors=True) as place:
        yield msgspec.structs.replace(settings, responses_store=str(Path(place) / "responses.db"))


def opening(options: Options, resolved: Resolved) -> list[str]:
    """What is said before anything starts. The first two lines are those of the proxy that this one replaces."""
    lines = [f"anyllm_proxy: data directory: {resolved.data_directory}"]
    if resolved.loaded:
        lines.append(f"anyllm_proxy: loaded {resolved.loaded} variable(s) from env file")
    if options.admin:
        lines.append(f"{options.prog}: the admin UI is not part of this version yet; {options.admin} has no effect")
    warnings = [f"{options.prog}: {note}" for note in resolved.notes if note.level == "warning"]
    if len(warnings) > MAX_WARNINGS:
        warnings[MAX_WARNINGS:] = [f"{options.prog}: and {len(warnings) - MAX_WARNINGS} more warnings: {options.prog} check"]
    return lines + warnings


def say(lines: list[str]) -> None:
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    sys.stderr.flush()
