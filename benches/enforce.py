"""Holds a bench result against budgets.toml: prints each budget with what was measured; one exceeded or not measured fails."""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SYSTEM = "fast"


def read_budgets(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return tomllib.load(file)


def measured(result: Mapping[str, Any], budgets: Mapping[str, Any]) -> list[tuple[str, float, float | None]]:
    """Each budget as (name, limit, value); no value where the result has none, or where errors forbid one."""
    found: list[tuple[str, float, float | None]] = []
    for lane, limit in budgets.get("x_nginx", {}).items():
        of_lane = result["lanes"].get(lane, {})
        ours = of_lane.get("systems", {}).get(SYSTEM, {})
        found.append((f"{lane}, CPU per {of_lane.get('unit', 'unit')}, x nginx", limit, ours.get("x_nginx")))
    ours = result["processes"].get(SYSTEM, {})
    found += [(f"{what}", limit, ours.get(what)) for what, limit in budgets.get("process", {}).items()]
    return found


def enforce(result: Mapping[str, Any], budgets: Mapping[str, Any]) -> int:
    """The exit code: 0 if all budgets are kept and no lane of ours had an error."""
    failed = False
    for name, limit, value in measured(result, budgets):
        kept = value is not None and value <= limit
        failed |= not kept
        shown = "not measured" if value is None else f"{value:.2f}"
        print(f"{'kept' if kept else 'EXCEEDED' if value is not None else 'MISSING':9} {name}: {shown} (at most {limit:g})")
    for lane, found in result["lanes"].items():
        ours = found["systems"].get(SYSTEM)
        if ours and ours["errors"]:
            failed = True
            print(
                f"{'ERRORS':9} {lane}: {ours['errors']} wrong answers of {ours['checked']}: {'; '.join(ours['shown_errors'][:2])}"
            )
    for problem in result["problems"]:
        print(f"{'problem':9} {problem}")
    return int(failed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path, nargs="?", default=HERE / "results" / "server.json")
    parser.add_argument("--budgets", type=Path, default=HERE / "budgets.toml")
    options = parser.parse_args()
    result = json.loads(options.result.read_text())
    return enforce(result, read_budgets(options.budgets)[result["kind"]])


if __name__ == "__main__":
    sys.exit(main())
