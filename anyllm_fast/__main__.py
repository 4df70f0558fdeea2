"""The console script. Nothing else: workers import this file too when they are spawned."""

from __future__ import annotations

import sys


def main() -> int:
    """Runs the command line; the exit code."""
    from anyllm_fast.cli import run

    return run(sys.argv)


if __name__ == "__main__":
    sys.exit(main())
