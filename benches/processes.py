"""Process trees as the kernel sees them: CPU time, memory, pinning. It starts and stops processes and interprets nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

CLOCK_TICK = os.sysconf("SC_CLK_TCK")
PROCESS_CLOCK = 2  # CPUCLOCK_SCHED in the kernel's posix-timers.h: the clock id of a foreign process is (~pid << 3) | 2


@dataclass(frozen=True)
class Placement:
    """Which CPU the system under test has alone, and which one the mock and the generator share; None: not pinned."""

    system: int | None
    tools: int | None

    @classmethod
    def of_this_machine(cls) -> Placement:
        cpus = sorted(os.sched_getaffinity(0))
        return cls(cpus[0], cpus[1]) if len(cpus) > 1 else cls(None, None)


@dataclass
class Tree:
    """A process and all that it started, pinned to one CPU. Output goes to `log`, which the error messages quote."""

    command: Sequence[str]
    log: Path
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    cpu: int | None = None
    process: subprocess.Popen[bytes] = field(init=False)
    started: float = field(init=False)

    def __post_init__(self) -> None:
        command = list(self.command) if self.cpu is None else ["taskset", "-c", str(self.cpu), *self.command]
        with self.log.open("ab") as out:
            self.started = time.monotonic()
            self.process = subprocess.Popen(
                command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=self.env, cwd=self.cwd, start_new_session=True
            )

    def stop(self) -> None:
        """Asks all of the tree to end, and kills after three seconds what has not. Only our own processes."""
        pids = self.pids()
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(3)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def pids(self) -> list[int]:
        return tree_of(self.process.pid)

    def cpu_seconds(self) -> float:
        return sum(cpu_seconds(pid) for pid in self.pids())

    def pss_mb(self) -> float:
        return sum(rollup(pid).get("Pss", 0) for pid in self.pids()) / 1024

    def footprint_mb(self) -> float:
        return footprint_kb(self.pids()) / 1024

    def last_words(self, count: int = 5) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])


def tree_of(root: int) -> list[int]:
    """The living process and its descendants, by the parent numbers in /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = [root] if Path(f"/proc/{root}").exists() else []
    for pid in found:
        found.extend(children.get(pid, []))
    return found


def cpu_seconds(pid: int) -> float:
    """User plus system time of all threads, ended ones included; 0 for a process that is gone.

    The process clock counts nanoseconds; utime + stime of /proc/PID/stat are the same time in ticks of 10 ms.
    """
    try:
        return time.clock_gettime((~pid << 3) | PROCESS_CLOCK)
    except OSError:
        return cpu_ticks(pid) / CLOCK_TICK


def cpu_ticks(pid: int) -> int:
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
    return 0


def busy_seconds(cpu: int | None) -> float:
    """What all processes together have used of this CPU (of all CPUs for None), the hypervisor's share (steal) included."""
    name = "cpu" if cpu is None else f"cpu{cpu}"
    for line in Path("/proc/stat").read_text().splitlines():
        fields = line.split()
        if fields[0] == name:
            ticks = [int(field) for field in fields[1:9]]
            return (sum(ticks) - ticks[3] - ticks[4]) / CLOCK_TICK  # idle, iowait
    return 0.0


def rollup(pid: int) -> dict[str, int]:
    """Kilobytes by name, from smaps_rollup. Pss: a page that several processes share counts as a part for each."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        return {line.split()[0].rstrip(":"): int(line.split()[1]) for line in lines}
    return {}


def footprint_kb(pids: Sequence[int]) -> int:
    """What the processes occupy together: their own pages, and of each mapped file the largest part that one has resident.

    PSS would charge a part of libpython to any other Python process on the machine, this bench included: 30 % less than this.
    """
    own = 0
    files: dict[str, int] = {}
    for pid in pids:
        own += rollup(pid).get("Pss_Anon", 0) + rollup(pid).get("Pss_Shmem", 0)
        with contextlib.suppress(OSError):
            for name, size in mapped_files(pid).items():
                files[name] = max(files.get(name, 0), size)
    return own + sum(files.values())


def mapped_files(pid: int) -> dict[str, int]:
    """Resident kilobytes of each mapped file, without the pages that the process has made its own."""
    sizes: dict[str, int] = {}
    name = ""
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        fields = line.split()
        if not fields[0].endswith(":"):
            name = fields[5] if len(fields) > 5 and fields[5].startswith("/") else ""
        elif name and fields[0] in ("Rss:", "Anonymous:"):
            sizes[name] = sizes.get(name, 0) + int(fields[1]) * (1 if fields[0] == "Rss:" else -1)
    return sizes


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
