"""Agents from npm, installed on first use under `.cache/e2e/npm`. Knows no agent."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .judges import CACHE

HOME = CACHE / "npm"
_VERSION = re.compile(r"\d+\.\d+\.\d+[\w.-]*")


class Unavailable(Exception):
    """There is no node or npm here, or the package cannot be had."""


@dataclass(frozen=True)
class Package:
    """`binary` is the command that the package brings; `release` empty for the newest, else it gets a home of its own."""

    name: str
    binary: str
    release: str = ""

    @property
    def home(self) -> Path:
        return CACHE / f"npm-{self.binary}-{self.release}" if self.release else HOME

    @property
    def path(self) -> Path:
        return self.home / "node_modules" / ".bin" / self.binary

    def install(self) -> str:
        """The version that will be run: the newest that the registry has, or the one already here when it is not asked."""
        if not shutil.which("npm") or not shutil.which("node"):
            raise Unavailable(f"npm and node are needed to run {self.name}")
        have = self.version() if self.path.exists() else ""
        wanted = self.release or _npm(("view", self.name, "version")).strip()
        if not wanted and not have:
            raise Unavailable(f"npm cannot find {self.name}")
        if wanted and wanted != have:
            self.home.mkdir(parents=True, exist_ok=True)
            _npm(("install", "--prefix", str(self.home), "--no-audit", "--no-fund", f"{self.name}@{wanted}"))
            have = self.version() if self.path.exists() else ""
        if not have:
            raise Unavailable(f"{self.name} {wanted} did not install")
        return have

    def version(self) -> str:
        """As the binary itself says it; empty if it does not run."""
        done = subprocess.run([str(self.path), "--version"], capture_output=True, text=True, timeout=60, check=False)
        found = _VERSION.search(done.stdout)
        return found[0] if found and done.returncode == 0 else ""


def _npm(arguments: Sequence[str]) -> str:
    done = subprocess.run(["npm", *arguments], capture_output=True, text=True, timeout=300, check=False)
    return done.stdout if done.returncode == 0 else ""
