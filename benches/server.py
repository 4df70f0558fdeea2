"""The server bench: runs lanes on whole servers, nginx and ours by turns, and collects what they cost. Judges nothing."""

from __future__ import annotations

import argparse
import datetime
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import enforce
import measure
import report
from bodies import write_body
from lanes import LANES, MEMORY, SHORT, Lane
from processes import Placement, Tree, free_port
from systems import SYSTEMS, Bench, System, Unavailable, borrow_address, return_address

HERE = Path(__file__).resolve().parent
DISTURBED = 0.15  # of the system's CPU used by others: deltas that wait together are relayed together, and look cheaper
BUSY_TOOLS = 0.8  # of their CPU: above it a paced lane measures the generator
MEDIANS = ("cpu_us", "rate", "system_cpu", "tools_cpu", "foreign_cpu", "usage_ok")
TIMES = ("p50_us", "p99_us", "p999_us", "ttft_p50_us", "ttft_p99_us", "added_p50_us", "added_p99_us")


@dataclass
class Run:
    """A bench in progress: what is measured where, and all samples by lane, system and round."""

    bench: Bench
    tools: measure.Tools
    systems: list[System]
    lanes: list[Lane]
    rounds: int
    samples: dict[str, dict[str, list[measure.Sample]]] = field(default_factory=dict)
    weights: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def note(self, system: System, what: str, value: float) -> None:
        self.weights.setdefault(system.name, {}).setdefault(what, []).append(value)

    def drop(self, system: System, why: str) -> None:
        self.problems.append(f"{system.name}: {why}")
        say(f"  {system.name} is left out: {why}")
        self.systems.remove(system)


def say(line: str) -> None:
    print(line, flush=True)


# Alone: start, memory


@contextmanager
def running(run: Run, system: System, upstream: str) -> Iterator[tuple[Tree, int, float]]:
    """The system, answering; and the seconds that this took. A relay that cannot translate answers in any dialect."""
    port = free_port()
    tree = system.start(run.bench, port, upstream)
    try:
        yield tree, port, measure.first_answer(tree, port, "chat", system.name)
    finally:
        tree.stop()


def weigh(run: Run) -> None:
    """Start and idle memory of each system, with no other one beside it that shares its pages."""
    for system in list(run.systems):
        try:
            with running(run, system, "chat") as (tree, _, ready):
                run.note(system, "ready_s", ready)
                time.sleep(measure.IDLE_AFTER)
                run.note(system, "idle_mb", tree.footprint_mb())
                run.note(system, "idle_pss_mb", tree.pss_mb())
        except Unavailable as error:
            run.drop(system, str(error))


def weigh_streams(run: Run) -> None:
    for lane in MEMORY.values():
        for system in run.systems:
            with running(run, system, lane.upstream) as (tree, port, _):
                each, sample = measure.stream_memory(run.tools, lane, tree, port)
            if sample["errors"]:
                run.problems.append(f"{system.name}, {lane.name}: {sample['errors']} errors; {sample['shown_errors'][0][:60]}")
            else:
                run.note(system, f"stream_kb_{lane.name}", each)
            say(f"  {lane.name:5} {system.name:12} {each:6.1f} KB per open stream, {sample['errors']} errors")


# Together: lanes


def run_lanes(run: Run, number: int) -> None:
    """One round: all systems up, each lane on each of them in turn, in the opposite order in every other round."""
    for upstream in ("chat", "messages"):
        lanes = [lane for lane in run.lanes if lane.upstream == upstream]
        trees: dict[str, tuple[Tree, int]] = {}
        try:
            for system in run.systems if lanes else []:
                port = free_port()
                trees[system.name] = system.start(run.bench, port, upstream), port
                measure.first_answer(*trees[system.name], "chat", system.name)
            for lane in lanes:
                for system in run.systems if number % 2 == 0 else reversed(run.systems):
                    run_one(run, lane, system, *trees[system.name])
            for system in run.systems if lanes else []:
                run.note(system, "loaded_mb", trees[system.name][0].footprint_mb())
        finally:
            for tree, _ in trees.values():
                tree.stop()


def run_one(run: Run, lane: Lane, system: System, tree: Tree, port: int) -> None:
    sample = measure.run_lane(run.tools, lane, tree, port)
    run.samples.setdefault(lane.name, {}).setdefault(system.name, []).append(sample)
    say(f"  {lane.name:5} {system.name:12} {report.sample_line(lane, sample)}")
    for shown in sample["shown_errors"][:2]:
        say(f"        {shown}")
    if lane.gap_ms and sample["tools_cpu"] > BUSY_TOOLS:
        run.problems.append(f"{lane.name}, {system.name}: mock and generator took {sample['tools_cpu']:.2f} of a CPU")


def find_disturbance(run: Run) -> None:
    shares = [sample["foreign_cpu"] for systems in run.samples.values() for samples in systems.values() for sample in samples]
    disturbed = [share for share in shares if share > DISTURBED]
    if disturbed:
        what = f"other processes took more than {DISTURBED:.0%} of the system's CPU in {len(disturbed)} of {len(shares)} samples"
        run.problems.append(f"{what}, up to {max(disturbed):.0%}")


def run_direct(run: Run) -> None:
    """The generator straight on the mock: what the harness itself can do."""
    for name in ("L1b", "L3", "L5b"):
        sample = measure.run_lane(run.tools, LANES[name], None, run.tools.port)
        run.samples.setdefault(name, {}).setdefault("direct", []).append(sample)
        say(f"  {name:5} {'direct':12} {report.sample_line(LANES[name], sample)}")


# What comes out


def summary(run: Run, short: bool, placement: Placement) -> dict[str, Any]:
    lanes: dict[str, Any] = {}
    for lane in run.lanes:
        systems = {name: lane_summary(run, lane, name) for name in run.samples.get(lane.name, {})}
        lanes[lane.name] = {"title": lane.title, "unit": lane.unit, "translated": lane.translated, "systems": systems}
    processes = {name: {what: median(values) for what, values in found.items()} for name, found in run.weights.items()}
    return {
        "kind": "server",
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "form": "short" if short else "full",
        "rounds": run.rounds,
        "pinned": placement.system is not None,
        "machine": measure.machine(),
        "versions": {system.name: system.version(run.bench) for system in run.systems},
        "about": {system.name: system.about for system in run.systems},
        "processes": processes,
        "lanes": lanes,
        "problems": run.problems,
    }


def lane_summary(run: Run, lane: Lane, name: str) -> dict[str, Any]:
    """Medians over the rounds; the ratio to nginx is the median of the rounds' own ratios. No speed with a single error."""
    samples = run.samples[lane.name][name]
    result: dict[str, Any] = {what: sum(sample[what] for sample in samples) for what in ("errors", "checked")}
    if result["errors"]:
        return result | {"shown_errors": [shown for sample in samples for shown in sample["shown_errors"]][:5]}
    result |= {what: median(sample[what] for sample in samples) for what in (*MEDIANS, *TIMES)}
    nginx = run.samples[lane.name].get("nginx", [])
    if name not in ("nginx", "direct") and len(nginx) == len(samples) and not any(sample["errors"] for sample in nginx):
        ratios = [ours["cpu_us"] / theirs["cpu_us"] for ours, theirs in zip(samples, nginx, strict=True)]
        result |= {"x_nginx": median(ratios), "x_nginx_rounds": ratios}
    return result


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="the form of CI: nginx and ours, four lanes, under three minutes")
    parser.add_argument(
        "--system", action="append", choices=list(SYSTEMS), help="this one (again for more); nginx is always there"
    )
    parser.add_argument("--lane", action="append", choices=list(LANES), help="this one (again for more)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--reference", type=Path, metavar="PATH", help="a built anyllm_proxy, to measure beside ours")
    parser.add_argument("--budgets", type=Path, metavar="FILE", help="hold the result against these; exit 1 if one is exceeded")
    parser.add_argument("--write", action="store_true", help="write the result into benches/README.md")
    return parser.parse_args()


def choose_systems(options: argparse.Namespace) -> list[System]:
    names = options.system or (["fast"] if options.short else ["fast", "floor", "floor-loop"])
    if options.reference and "reference" not in names:
        names = [*names, "reference"]
    if "reference" in names and not options.reference:
        raise Unavailable("the reference needs --reference PATH")
    return [SYSTEMS[name] for name in dict.fromkeys(["nginx", *names])]


def choose_lanes(options: argparse.Namespace) -> list[Lane]:
    names = options.lane or (SHORT if options.short else LANES)
    return [LANES[name] for name in LANES if name in names]


@contextmanager
def opened(options: argparse.Namespace, placement: Placement) -> Iterator[Run]:
    """Tools built, mock up, a directory for everything; all of it gone afterwards."""
    systems, binaries = choose_systems(options), measure.build_tools()
    problems: list[str] = []
    borrowed = False
    if options.reference:
        try:
            borrowed = borrow_address()
        except Unavailable as error:
            problems.append(f"reference: {error}")
            say(f"  the reference is left out: {error}")
            systems = [system for system in systems if system.name != "reference"]
    with tempfile.TemporaryDirectory(prefix="anyllm-bench-") as name:
        directory = Path(name)
        mock, port = measure.start_mock(binaries, directory, placement.tools, "0.0.0.0" if options.reference else "127.0.0.1")
        try:
            reference = options.reference.resolve() if options.reference else None
            bench = Bench(port, directory, placement.system, reference)
            tools = measure.Tools(mock, port, placement.tools, binaries, partial(write_body, directory=directory))
            yield Run(bench, tools, systems, choose_lanes(options), options.rounds, problems=problems)
        finally:
            mock.stop()
            if borrowed:
                return_address()


def run_all(options: argparse.Namespace, placement: Placement) -> dict[str, Any]:
    with opened(options, placement) as run:
        for number in range(run.rounds):
            say(f"round {number + 1} of {run.rounds}")
            weigh(run)
            run_lanes(run, number)
        if not options.short and not options.lane:
            say("memory, and the harness alone")
            weigh_streams(run)
            run_direct(run)
        find_disturbance(run)
        return summary(run, options.short, placement)


def main() -> int:
    options = read_options()
    placement = Placement.of_this_machine()
    if placement.tools is None:
        say("only one CPU: nothing is pinned, and the system shares it with mock and generator, so no figure is worth much")
    else:
        os.sched_setaffinity(0, {placement.tools})
    try:
        result = run_all(options, placement)
    except Unavailable as error:
        say(f"bench-server: {error}")
        return 2
    path = report.save(result, HERE / "results")
    say(report.tables(result))
    say(f"written: {path.relative_to(HERE.parent)}")
    if options.write:
        report.write_readme(result, HERE / "README.md")
    return enforce.enforce(result, enforce.read_budgets(options.budgets)["server"]) if options.budgets else 0


if __name__ == "__main__":
    sys.exit(main())
