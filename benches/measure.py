"""One measurement each: a lane on a running system, its start, its memory. Decides nothing and prints nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lanes import PATHS, Lane
from processes import Tree, busy_seconds, free_port
from systems import KEY, MODELS, Unavailable

TOOLS = Path(__file__).resolve().parent / "tools"
READY_PATIENCE = 30.0
IDLE_AFTER = 1.0  # seconds between the first answer and weighing
Sample = dict[str, Any]


@dataclass(frozen=True)
class Tools:
    """The mock that runs, and the generator, which is started for each lane."""

    mock: Tree
    port: int
    cpu: int | None
    binaries: Path
    bodies: Callable[[str, str], Path]


def build_tools() -> Path:
    """Compiles mock and load where the sources are newer. Raises Unavailable when that fails."""
    try:
        done = subprocess.run(["make", "-s", "-C", str(TOOLS)], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Unavailable("make is not installed: the bench tools cannot be built") from None
    if done.returncode:
        raise Unavailable(f"the bench tools do not build (a C compiler is needed): {done.stderr.strip()}")
    return TOOLS / "bin"


def start_mock(binaries: Path, directory: Path, cpu: int | None, host: str = "127.0.0.1") -> tuple[Tree, int]:
    port = free_port()
    tree = Tree([str(binaries / "mock"), host, str(port)], directory / "mock.log", cpu=cpu)
    wait_until(lambda: bool(mock_stats(port)), tree, "the mock")
    return tree, port


def wait_until(ready: Callable[[], bool], tree: Tree, what: str) -> None:
    deadline = time.monotonic() + READY_PATIENCE
    while time.monotonic() < deadline and tree.process.poll() is None:
        try:
            if ready():
                return
        except OSError:
            pass
        time.sleep(0.002)
    raise Unavailable(f"{what} did not start: {tree.last_words() or 'it said nothing'}")


def ask(port: int, request: bytes) -> bytes:
    """One request on a connection of its own; what comes back until the connection closes or goes quiet after an answer."""
    with socket.create_connection(("127.0.0.1", port), 2.0) as sock:
        sock.sendall(request)
        reply = b""
        while b"\r\n\r\n" not in reply and (data := sock.recv(65536)):
            reply += data
        return reply


def mock_stats(port: int) -> dict[str, int]:
    reply = ask(port, b"GET /stats HTTP/1.1\r\nhost: mock\r\n\r\n")
    found: dict[str, int] = json.loads(reply.partition(b"\r\n\r\n")[2] or b"{}")
    return found


def first_answer(tree: Tree, port: int, dialect: str, name: str) -> float:
    """Seconds from exec to the first 200 on a small request of that dialect."""
    message = {"role": "user", "content": "[bench n=1 deltas=1 reply=60] hello"}
    body = json.dumps({"model": MODELS[dialect], "max_tokens": 16, "messages": [message]}).encode()
    head = f"POST {PATHS[dialect]} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\n"
    request = head.encode() + f"anthropic-version: 2023-06-01\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    wait_until(lambda: ask(port, request).startswith(b"HTTP/1.1 200"), tree, name)
    return time.monotonic() - tree.started


def load_command(tools: Tools, lane: Lane, port: int) -> list[str]:
    command = [str(tools.binaries / "load"), "--port", str(port), "--path", PATHS[lane.client], "--model", MODELS[lane.client]]
    command += ["--connections", str(lane.connections), "--seconds", str(lane.seconds), "--warmup", str(lane.warmup)]
    command += ["--header", f"authorization: Bearer {KEY}"]
    if lane.client == "messages":
        command += ["--messages", "--header", "anthropic-version: 2023-06-01"]
    if lane.deltas:
        command += ["--stream", "--deltas", str(lane.deltas), "--gap-ms", str(lane.gap_ms), "--stagger-ms", str(lane.stagger_ms)]
    if lane.body:
        command += ["--body", str(tools.bodies(lane.body, MODELS[lane.client]))]
    return command


def open_load(tools: Tools, command: list[str]) -> subprocess.Popen[str]:
    pinned = command if tools.cpu is None else ["taskset", "-c", str(tools.cpu), *command]
    return subprocess.Popen(pinned, stdout=subprocess.PIPE, text=True)


def run_lane(tools: Tools, lane: Lane, tree: Tree | None, port: int) -> Sample:
    """What the generator reports, and the CPU of the system and of the tools between its `measure` and its `end`."""
    before = mock_stats(tools.port)["requests"]
    load = open_load(tools, load_command(tools, lane, port))
    assert load.stdout is not None
    load.stdout.readline()  # measure
    before_window = clocks(tools, tree)
    load.stdout.readline()  # end
    seconds, system, mock, busy = (after - before for before, after in zip(before_window, clocks(tools, tree), strict=True))
    sample: Sample = json.loads(load.stdout.readline() or "{}")
    load.wait()
    if not sample:
        raise Unavailable("the load generator died")
    seen = mock_stats(tools.port)["requests"] - before
    if not sample["errors"] and seen != sample["sent"]:
        sample["errors"] = abs(seen - sample["sent"])
        sample["shown_errors"] = [f"{sample['sent']} requests were sent, {seen} reached the upstream"]
    units = sample["deltas"] if lane.deltas else sample["requests"]
    sample["cpu_us"] = system * 1e6 / units if units else 0.0
    sample["rate"] = units / seconds
    sample["system_cpu"] = system / seconds
    sample["foreign_cpu"] = max(busy - system, 0.0) / seconds if tree and tree.cpu is not None else 0.0
    sample["tools_cpu"] = (mock + sample["cpu_s"]) / seconds
    sample["usage_ok"] = sample["usage_ok"] / sample["requests"] if sample["requests"] else 0.0
    return sample


def clocks(tools: Tools, tree: Tree | None) -> tuple[float, float, float, float]:
    """Now; CPU seconds of the system, of the mock, and of everybody on the system's CPU."""
    if tree is None:
        return time.monotonic(), 0.0, tools.mock.cpu_seconds(), 0.0
    return time.monotonic(), tree.cpu_seconds(), tools.mock.cpu_seconds(), busy_seconds(tree.cpu)


def stream_memory(tools: Tools, lane: Lane, tree: Tree, port: int) -> tuple[float, Sample]:
    """KB of PSS that each of the lane's open streams adds, at 65 % of their time; and what the generator reports."""
    before = tree.pss_mb()
    load = open_load(tools, [*load_command(tools, lane, port), "--requests", str(lane.connections)])
    time.sleep(lane.deltas * lane.gap_ms / 1000 * 0.65)
    during = tree.pss_mb()
    output, _ = load.communicate()
    return (during - before) * 1024 / lane.connections, json.loads(output.splitlines()[-1])


def machine() -> dict[str, Any]:
    cpu = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 1024 / 1024
    return {"cpu": cpu, "cpus": os.cpu_count(), "memory_gb": round(memory), "kernel": os.uname().release}
