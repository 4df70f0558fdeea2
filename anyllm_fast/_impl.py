"""Which twin runs: the native module or the Python one. The only file that asks.

ANYLLM_FAST_IMPL=native   fail loudly if the native module is missing
ANYLLM_FAST_IMPL=python   use the Python twins
(unset)                   native if it was built
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import Final

from anyllm_fast.errors import ConfigError


def _choose(wanted: str) -> ModuleType | None:
    if wanted not in {"", "native", "python"}:
        raise ConfigError(f"ANYLLM_FAST_IMPL={wanted!r} is not one of native, python")
    if wanted == "python":
        return None
    try:
        return importlib.import_module("anyllm_fast._native")
    except ImportError as error:
        if wanted == "native":
            raise ConfigError(
                f"ANYLLM_FAST_IMPL=native, but the native module cannot be loaded ({error}); reinstall with a C compiler and "
                "ANYLLM_FAST_BUILD=native to see why"
            ) from error
        return None


native: Final[ModuleType | None] = _choose(os.environ.get("ANYLLM_FAST_IMPL", ""))
IMPL: Final[str] = "python" if native is None else "native"
