"""Configuration: variables, env file and command line become one frozen Settings. Opens no socket and starts nothing.

Exports the shape at once and the reader on first use: a worker that was handed its Settings never loads the reader.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from anyllm_fast.config.settings import DEMO, Backend, Network, Proxy, Settings, Timeouts, Tls, map_model, mask

if TYPE_CHECKING:
    from anyllm_fast.config.load import Resolved
    from anyllm_fast.config.notes import Note

__all__ = [
    "DEMO",
    "Backend",
    "Network",
    "Proxy",
    "Settings",
    "Timeouts",
    "Tls",
    "current_settings",
    "install_settings",
    "load_settings",
    "map_model",
    "mask",
    "resolve",
]

_installed: list[Settings] = []
"""At most one: what the supervisor handed to this worker."""


def install_settings(settings: Settings) -> None:
    """Gives this process its Settings, before `anyllm_fast.app` is imported. Later calls replace them (tests)."""
    _installed[:] = [settings]


def current_settings() -> Settings:
    """The Settings of this process: those installed, else read from its environment (`granian anyllm_fast.app:app`).

    Raises ConfigError in the second case.
    """
    if not _installed:
        import os

        install_settings(load_settings(os.environ, None, Path.cwd())[0])
    return _installed[0]


def load_settings(
    environ: Mapping[str, str], env_file: Path | None, cwd: Path, flags: Mapping[str, str] | None = None
) -> tuple[Settings, list[Note]]:
    """Settings and what is worth telling about them. `flags` (variable -> text) win over `environ`, that over the env file.

    Raises ConfigError: the first mistake, in one line.
    """
    from anyllm_fast.errors import ConfigError

    resolved = resolve(environ, env_file, cwd, flags)
    if resolved.settings is None:
        raise ConfigError(resolved.errors[0])
    return resolved.settings, list(resolved.notes)


def resolve(environ: Mapping[str, str], env_file: Path | None, cwd: Path, flags: Mapping[str, str] | None = None) -> Resolved:
    """The same with every mistake collected and the origin of every value. Never raises for bad input."""
    from anyllm_fast.config import load

    return load.resolve(environ, env_file, cwd, flags or {})
