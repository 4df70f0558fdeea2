"""`version`: what runs here. Imports nothing heavy."""

from __future__ import annotations

import importlib.metadata
import platform

from anyllm_fast import __version__


def implementation() -> str:
    """`native` or `python`. Raises ConfigError if ANYLLM_FAST_IMPL asks for what is not there."""
    from anyllm_fast._impl import IMPL

    return IMPL


def write_version() -> str:
    rows = (
        ("anyllm-fast", __version__),
        ("implementation", implementation()),
        ("python", f"{platform.python_version()} ({platform.python_implementation()})"),
        *((package, _installed(package)) for package in ("granian", "uvloop", "httptools", "msgspec")),
        ("platform", platform.platform()),
    )
    return "".join(f"{name:15} {value}\n" for name, value in rows)


def _installed(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
