"""The systems of the server bench: how each is started, and what it can do. Measures nothing."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from processes import Tree

HERE = Path(__file__).resolve().parent
KEY = "bench-key-0123456789abcdef0123456789"
MODELS = {"chat": "gpt-4o", "messages": "claude-sonnet-4-5"}
NGINX_HINT = "nginx is not installed: apt-get install -y nginx-light (or nginx); it is the measure that the budgets are ratios of"
BORROWED = "100.64.0.1"  # shared address space (RFC 6598): the reference takes no loopback upstream, but this one


class Unavailable(Exception):
    """A system that cannot run here, with the reason and, where there is one, the remedy."""


@dataclass(frozen=True)
class Bench:
    """What a system needs to know to start: where the mock is, where to write, which CPU to stay on."""

    mock: int
    directory: Path
    cpu: int | None
    reference: Path | None = None


@dataclass(frozen=True)
class System:
    """`start` gets the bench, the port to listen on and the dialect to speak upstream, and returns at once."""

    name: str
    about: str
    start: Callable[[Bench, int, str], Tree]
    version: Callable[[Bench], str]
    translates: bool = True  # False: runs a translated lane verbatim, against the mock in the client's own dialect


def spawn(bench: Bench, name: str, command: list[str], env: Mapping[str, str]) -> Tree:
    """Starts `command` in a directory of its own with a bare environment, so that no setting of the user leaks in."""
    home = bench.directory / name
    home.mkdir(exist_ok=True)
    bare = {"PATH": os.environ.get("PATH", ""), "HOME": str(home), "LANG": "C.UTF-8", **env}
    return Tree(command, bench.directory / f"{name}.log", bare, home, bench.cpu)


# nginx


def find_nginx() -> str:
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/sbin:/usr/local/nginx/sbin")
    if found is None:
        raise Unavailable(NGINX_HINT)
    return found


NGINX_CONFIG = """daemon off;
worker_processes 1;
pid {home}/nginx.pid;
error_log {home}/error.log;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_max_body_size 64m;
    client_body_buffer_size 1m;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    upstream mock {{ server 127.0.0.1:{mock}; keepalive 512; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://mock;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""


def start_nginx(bench: Bench, port: int, upstream: str) -> Tree:
    binary = find_nginx()
    home = bench.directory / "nginx"
    home.mkdir(exist_ok=True)
    config = home / "nginx.conf"
    config.write_text(NGINX_CONFIG.format(home=home, mock=bench.mock, port=port))
    return spawn(bench, "nginx", [binary, "-e", str(home / "error.log"), "-p", str(home), "-c", str(config)], {})


def version_nginx(bench: Bench) -> str:
    said = subprocess.run([find_nginx(), "-v"], capture_output=True, text=True, check=True)
    return (said.stderr or said.stdout).strip().rpartition("/")[2]


# anyllm_fast


def fast_command() -> list[str]:
    script = Path(sys.executable).parent / "anyllm-fast"
    return [str(script)] if script.exists() else [sys.executable, "-m", "anyllm_fast"]


def start_fast(bench: Bench, port: int, upstream: str) -> Tree:
    """One worker, a static key checked, everything else at its default."""
    base = f"http://127.0.0.1:{bench.mock}"
    backends = {
        "chat": {"BACKEND": "openai", "OPENAI_BASE_URL": base, "OPENAI_API_KEY": "x"},
        "messages": {"BACKEND": "anthropic", "ANTHROPIC_BASE_URL": base, "ANTHROPIC_API_KEY": "x"},
    }
    env = {"PROXY_API_KEYS": KEY, "BIG_MODEL": MODELS["chat"], "SMALL_MODEL": "gpt-4o-mini", "RUST_LOG": "error"}
    return spawn(
        bench, f"fast-{upstream}", [*fast_command(), "serve", "--port", str(port), "--workers", "1"], env | backends[upstream]
    )


def version_fast(bench: Bench) -> str:
    said = subprocess.run([*fast_command(), "version"], capture_output=True, text=True, check=False).stdout
    twin = next((line.split()[1] for line in said.splitlines() if line.startswith("implementation")), "unknown")
    return f"{metadata.version('anyllm-fast')} ({twin}) on {stack_versions()}"


def stack_versions() -> str:
    names = ("granian", "uvloop", "httptools", "msgspec")
    return f"Python {sys.version.split()[0]}, " + ", ".join(f"{name} {metadata.version(name)}" for name in names)


# the floor


def start_floor(server: str) -> Callable[[Bench, int, str], Tree]:
    def start(bench: Bench, port: int, upstream: str) -> Tree:
        command = [sys.executable, str(HERE / "floor.py"), "--server", server]
        return spawn(bench, f"floor-{server}", [*command, "--port", str(port), "--upstream", f"127.0.0.1:{bench.mock}"], {})

    return start


def version_floor(bench: Bench) -> str:
    return stack_versions()


# the reference


def borrow_address() -> bool:
    """Gives `lo` an address that is not loopback. True if it was not there before (the caller gives it back)."""
    ip = shutil.which("ip", path=os.environ.get("PATH", "") + ":/sbin:/usr/sbin")
    if ip is None:
        raise Unavailable(
            f"the reference refuses loopback upstreams, and without the `ip` command {BORROWED} cannot be put on lo"
        )
    if BORROWED in subprocess.run([ip, "addr", "show", "lo"], capture_output=True, text=True, check=False).stdout:
        return False
    done = subprocess.run([ip, "addr", "add", f"{BORROWED}/32", "dev", "lo"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"the reference refuses loopback upstreams, and {BORROWED} cannot be put on lo: {done.stderr.strip()}")
    return True


def return_address() -> None:
    subprocess.run(["ip", "addr", "del", f"{BORROWED}/32", "dev", "lo"], capture_output=True, check=False)


def start_reference(bench: Bench, port: int, upstream: str) -> Tree:
    """One static key as for ours; its answer cache, on by default, is off, since it would answer in the upstream's place."""
    assert bench.reference is not None
    base = f"http://{BORROWED}:{bench.mock}"
    backends = {
        "chat": {"BACKEND": "openai", "OPENAI_BASE_URL": base, "OPENAI_API_KEY": "x"},
        "messages": {"BACKEND": "anthropic", "ANTHROPIC_BASE_URL": base, "ANTHROPIC_API_KEY": "x"},
    }
    env = {"LISTEN_PORT": str(port), "PROXY_API_KEYS": KEY, "BIG_MODEL": MODELS["chat"], "SMALL_MODEL": "gpt-4o-mini"}
    env |= {"RUST_LOG": "error", "CACHE_MAX_ENTRIES": "0"}
    return spawn(bench, f"reference-{upstream}", [str(bench.reference)], env | backends[upstream])


def version_reference(bench: Bench) -> str:
    """It has no --version, so the file tells which one it is."""
    assert bench.reference is not None
    return f"binary with sha256 {hashlib.sha256(bench.reference.read_bytes()).hexdigest()[:12]}"


SYSTEMS = {
    system.name: system
    for system in (
        System("nginx", "proxy_pass, unbuffered, keep-alive upstream", start_nginx, version_nginx, translates=False),
        System("fast", "anyllm_fast, one worker, a static key", start_fast, version_fast),
        System("floor", "a bare relay under Granian", start_floor("granian"), version_floor, translates=False),
        System("floor-loop", "a bare relay on one loop", start_floor("loop"), version_floor, translates=False),
        System("reference", "anyllm_proxy, a static key", start_reference, version_reference),
    )
}
