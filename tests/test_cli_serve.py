"""anyllm_fast/cli/serve.py, supervisor.py and worker.py: starting, running and stopping, as a service manager meets it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from anyllm_fast import __version__
from anyllm_fast.cli.supervisor import find_address, max_connections
from anyllm_fast.cli.worker import KEEPALIVE_IDLE, _tune_listeners
from anyllm_fast.errors import ConfigError
from tests.served import PATIENCE, SECRET, Server, clean, command, free_port


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[Server]]:
    started: list[Server] = []
    yield started
    for server in started:
        server.stop()


@pytest.fixture
def server(tmp_path: Path, servers: list[Server]) -> Server:
    servers.append(Server(tmp_path))
    return servers[0].wait_ready()


def gone(pid: int, patience: float = PATIENCE) -> bool:
    deadline = time.monotonic() + patience
    while True:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)


# --- starting ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "error"),
    [
        ({"LISTEN_PORT": "x"}, "LISTEN_PORT must be a number in 1-65535, got 'x'"),
        ({"BACKEND": "azure"}, "AZURE_OPENAI_ENDPOINT is required when BACKEND=azure"),
        (
            {"LISTEN_PORT": "x", "LOG_BODIES": "y"},
            "LISTEN_PORT must be a number in 1-65535, got 'x' (and 1 more: anyllm-fast check)",
        ),
        ({"LISTEN_HOST": "no.such.host.invalid"}, "LISTEN_HOST 'no.such.host.invalid' cannot be resolved: "),
        ({"LISTEN_HOST": "203.0.113.7"}, "LISTEN_HOST '203.0.113.7' is not an address of this machine"),
        ({"ANYLLM_FAST_IMPL": "cobol"}, "unknown ANYLLM_FAST_IMPL value 'cobol', expected 'native' or 'python'"),
    ],
)
def test_what_keeps_it_from_starting_is_one_line_and_exit_code_1(tmp_path: Path, environ: dict[str, str], error: str) -> None:
    done = command("serve", cwd=tmp_path, environ=environ)
    assert done.returncode == 1
    assert done.stderr.startswith(f"anyllm-fast: {error}")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_port_in_use_is_one_line_also_when_it_is_our_own(tmp_path: Path, server: Server) -> None:
    done = command("--port", str(server.port), cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        f"anyllm-fast: port {server.port} is already in use; choose another with --port or LISTEN_PORT, "
        f"or stop what listens on 127.0.0.1:{server.port}\n"
    )
    assert server.get()["port"] == server.port


def test_an_address_is_given_as_the_number_that_the_server_needs() -> None:
    assert find_address("localhost", free_port()) in {"127.0.0.1", "::1"}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        with pytest.raises(ConfigError, match="already in use"):
            find_address("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(ConfigError, match="already in use"):
            find_address("0.0.0.0", taken.getsockname()[1])


def test_a_start_is_announced_on_stderr_when_it_answers(tmp_path: Path, servers: list[Server]) -> None:
    (tmp_path / ".anyllm.env").write_text(f"OPENAI_API_KEY={SECRET}\nPROXY_API_KEYS=k\nOPENAI_APIKEY=x\nlower=1\n")
    servers.append(Server(tmp_path, "--webui", "--host", "127.0.0.1"))
    server = servers[0].wait_ready()
    assert server.get() == {"pid": server.get()["pid"], "port": server.port, "key": SECRET, "upgrade": "http"}
    lines = server.errors.read_text().splitlines()
    assert lines[0] == f"anyllm_proxy: data directory: {tmp_path / '.anyllm'}"
    assert lines[1] == "anyllm_proxy: loaded 3 variable(s) from env file"
    assert lines[2] == "anyllm-fast: the admin UI is not part of this version yet; --webui has no effect"
    assert lines[3].startswith(f'anyllm-fast: {tmp_path / ".anyllm.env"}:3: key "OPENAI_APIKEY" is not a recognized variable')
    assert lines[4].startswith(f'anyllm-fast: {tmp_path / ".anyllm.env"}:4: ignoring key "lower"')
    assert lines[5].startswith(f"anyllm-fast {__version__} (")
    assert SECRET not in "\n".join(lines)
    assert server.output.read_bytes() == b""
    assert not (tmp_path / ".anyllm").exists()


def test_workers_have_the_settings_and_no_environment_has_the_secret(tmp_path: Path, servers: list[Server]) -> None:
    file = tmp_path / "e"
    file.write_text(f"OPENAI_API_KEY={SECRET}\nPROXY_API_KEYS=k\nLISTEN_HOST=127.0.0.1\n")
    servers.append(Server(tmp_path, "--env-file", str(file)))
    server = servers[0].wait_ready()
    said = server.get()
    assert said["key"] == SECRET
    for pid in (said["pid"], server.process.pid):
        assert SECRET.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
        assert SECRET.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_too_many_warnings_are_counted_instead(tmp_path: Path, servers: list[Server]) -> None:
    (tmp_path / ".anyllm.env").write_text("BIG_MODEL=x\n" + "nonsense\n" * 100)
    servers.append(Server(tmp_path))
    text = servers[0].wait_ready().errors.read_text()
    assert text.count("ignoring malformed line (no '=')") == 20
    assert "more warnings: anyllm-fast check" in text


def test_an_app_that_cannot_be_made_is_one_line_and_exit_code_1(tmp_path: Path, servers: list[Server]) -> None:
    app = "from anyllm_fast.errors import ConfigError\nraise ConfigError('no luck today')\n"
    servers.append(Server(tmp_path, app=app))
    assert servers[0].process.wait(PATIENCE) == 1
    lines = servers[0].errors.read_text().splitlines()
    assert [line for line in lines if "data directory" not in line] == ["anyllm-fast: no luck today"]


def test_an_app_that_fails_in_its_worker_is_not_started_again_and_again(tmp_path: Path, servers: list[Server]) -> None:
    app = "import os\nasync def app(scope, receive, send):\n    os.write(2, b'once')\n    os._exit(3)\n"
    servers.append(Server(tmp_path, app=app))
    assert servers[0].process.wait(PATIENCE) == 1
    text = servers[0].errors.read_text()
    assert text.count("once") == 1
    assert "ready in" not in text


def test_importing_the_app_starts_nothing_so_that_it_can_be_forked(tmp_path: Path) -> None:
    code = "import threading, anyllm_fast.app; print(threading.active_count())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("1\n", "")


# --- running -----------------------------------------------------------------------------------------------------------------


def test_an_upgrade_reaches_the_app_as_plain_http(server: Server) -> None:
    headers = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": "eA=="}
    assert server.get("/", headers)["upgrade"] == "http"


def test_hundreds_of_open_streams_do_not_keep_out_the_next_client(server: Server) -> None:
    streams = [server.open("/hang") for _ in range(400)]
    assert server.get()["port"] == server.port
    assert len(streams) == 400


@pytest.mark.slow
def test_sighup_replaces_the_workers_without_an_outage(server: Server) -> None:
    before = server.get()["pid"]
    server.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + PATIENCE
    while not gone(before, 0.0) and time.monotonic() < deadline:
        server.get()
        time.sleep(0.05)
    assert server.get()["pid"] != before


def test_a_crashed_worker_is_replaced(tmp_path: Path, servers: list[Server]) -> None:
    servers.append(Server(tmp_path, "--workers", "2"))
    server = servers[0].wait_ready()
    pids: set[int] = set()
    deadline = time.monotonic() + PATIENCE
    while len(pids) < 2 and time.monotonic() < deadline:
        pids.add(server.get()["pid"])
    assert len(pids) == 2
    os.kill(min(pids), signal.SIGKILL)
    later: set[int] = set()
    while len(later - pids) < 1 and time.monotonic() < deadline:
        try:
            later.add(server.get()["pid"])
        except OSError:  # connections that the dead one had accepted
            time.sleep(0.05)
    assert later - pids


def test_sigterm_lets_open_calls_finish_and_accepts_no_new_ones(server: Server) -> None:
    response = server.open("/slow")
    server.process.terminate()
    body = response.read()
    assert body.startswith(b"...{")
    assert json.loads(body.lstrip(b"."))["port"] == server.port
    assert server.process.wait(PATIENCE) == 0
    with pytest.raises(OSError):
        server.get()


def test_sigint_stops_an_idle_server_with_idle_connections(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert idle.recv(100).startswith(b"HTTP/1.1 200")
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(PATIENCE) == 0


def test_a_second_signal_cuts_what_is_still_open(server: Server) -> None:
    response = server.open("/hang")
    pid = server.get()["pid"]
    server.process.terminate()
    time.sleep(0.5)
    assert server.process.poll() is None
    server.process.terminate()
    server.process.wait(PATIENCE)
    assert gone(pid)
    with pytest.raises((OSError, http.client.HTTPException)):
        response.read()


def test_open_calls_are_cut_after_the_shutdown_time(tmp_path: Path, servers: list[Server]) -> None:
    servers.append(Server(tmp_path, environ={"ANYLLM_SHUTDOWN_SECS": "1"}))
    server = servers[0].wait_ready()
    response = server.open("/hang")
    server.process.terminate()
    server.process.wait(PATIENCE)
    with pytest.raises((OSError, http.client.HTTPException)):
        response.read()


def test_workers_end_when_their_supervisor_is_killed(server: Server) -> None:
    pid = server.get()["pid"]
    server.process.kill()
    server.process.wait(PATIENCE)
    assert gone(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/net/tcp")
def test_accepted_connections_are_kept_alive(server: Server) -> None:
    """The timer column of an established connection is 02 when the keep-alive timer runs (proc_net_tcp.rst)."""
    deadline = time.monotonic() + PATIENCE
    timer = ""
    while not timer.startswith("02:") and time.monotonic() < deadline:  # the first few milliseconds' connections are not
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            client.recv(100)
            ends = [f"0100007F:{port:04X}" for port in (server.port, client.getsockname()[1])]
            rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
            (timer,) = (row[5] for row in rows if row[1:3] == ends)
    assert timer.startswith("02:")


def test_a_listening_socket_is_found_and_its_children_inherit() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        before = _tune_listeners()  # those of other tests in this process
        listener.listen(1)
        assert _tune_listeners() == before + 1
        with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            if hasattr(socket, "TCP_KEEPIDLE"):
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == KEEPALIVE_IDLE


def test_connections_stay_below_half_of_the_file_descriptors() -> None:
    resource = pytest.importorskip("resource")
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = max_connections()
    assert allowed >= 64
    assert allowed * 2 <= max(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 128)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= soft
