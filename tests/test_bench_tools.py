"""The bench's own tools: the mock and the generator agree, and the generator notices every fault. Measures no speed."""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHES = Path(__file__).resolve().parent.parent / "benches"
DIALECTS = ("chat", "messages")
FORMS = [(dialect, stream) for dialect in DIALECTS for stream in (False, True)]
pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None or shutil.which("make") is None or not Path("/proc/self/smaps").exists(),
    reason="the bench tools need make, a C compiler and Linux",
)


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled with bounds checks where the compiler has them, so that a slip in the tools is a failure here."""
    into = tmp_path_factory.mktemp("tools")
    for flags in ("-g -O1 -fsanitize=address,undefined -fno-sanitize-recover", "-O2"):
        done = subprocess.run(
            ["make", "-s", "-B", "-C", str(BENCHES / "tools"), f"BIN={into}", f"CFLAGS={flags}"], capture_output=True, text=True
        )
        if done.returncode == 0 and subprocess.run([into / "load"], capture_output=True).returncode == 2:
            return into
    pytest.fail(f"the tools do not build: {done.stderr}")


@pytest.fixture(scope="module")
def mock(tools: Path) -> Iterator[int]:
    process = subprocess.Popen([tools / "mock", "127.0.0.1", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline().split()[1])
        assert process.poll() is None, process.stderr and process.stderr.read()
    finally:
        process.kill()
        process.communicate()


def load(tools: Path, port: int, dialect: str, stream: bool, *options: str) -> dict[str, Any]:
    """Runs the generator to its end; its report, with `said` for the words before it."""
    command = [str(tools / "load"), "--port", str(port), "--timeout", "5"]
    command += ["--path", "/v1/chat/completions"] if dialect == "chat" else ["--path", "/v1/messages", "--messages"]
    command += ["--stream"] if stream else []
    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, timeout=60, env={"ASAN_OPTIONS": "detect_leaks=0"}
    )
    assert done.stderr == ""
    *said, report = done.stdout.splitlines()
    return {**json.loads(report), "said": said, "code": done.returncode}


def stats(port: int) -> dict[str, int]:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"GET /stats HTTP/1.1\r\nhost: x\r\n\r\n")
        found: dict[str, int] = json.loads(sock.recv(65536).partition(b"\r\n\r\n")[2])
        return found


# They agree


@pytest.mark.parametrize(("dialect", "stream"), FORMS)
def test_right_answers_are_all_counted_and_none_is_an_error(tools: Path, mock: int, dialect: str, stream: bool) -> None:
    before = stats(mock)
    report = load(tools, mock, dialect, stream, "--connections", "8", "--requests", "200", "--deltas", "30", "--reply", "900")
    after = stats(mock)
    assert (report["errors"], report["shown_errors"], report["code"]) == (0, [], 0)
    assert report["said"] == ["measure", "end"]
    assert report["sent"] == report["checked"] == after["requests"] - before["requests"] == 200
    assert after["streams"] - before["streams"] == (200 if stream else 0)
    assert report["usage_ok"] == report["requests"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_paced_deltas_arrive_one_by_one(tools: Path, mock: int, dialect: str) -> None:
    options = ("--connections", "5", "--requests", "5", "--deltas", "6", "--gap-ms", "20", "--stagger-ms", "40")
    report = load(tools, mock, dialect, True, *options)
    assert (report["errors"], report["deltas"]) == (0, 30)
    assert report["p50_us"] >= 6 * 20_000, "six gaps at least, the last one before the ending"


def test_a_window_ends_by_time_and_open_answers_are_still_checked(tools: Path, mock: int) -> None:
    options = ("--connections", "4", "--seconds", "0.3", "--warmup", "0.1", "--deltas", "10", "--gap-ms", "30")
    report = load(tools, mock, "chat", True, *options)
    assert report["errors"] == 0
    assert report["checked"] == report["sent"] > report["requests"]


def test_a_body_from_a_file_carries_the_marker(tools: Path, mock: int, tmp_path: Path) -> None:
    body = tmp_path / "body.json"
    filler = "x" * 300_000
    body.write_text(json.dumps({"model": "m", "messages": [{"role": "user", "content": f"{filler} [bench] {filler}"}]}))
    report = load(tools, mock, "messages", False, "--connections", "2", "--requests", "20", "--reply", "333", "--body", str(body))
    assert (report["errors"], report["checked"]) == (0, 20)


# Faults of the mock are noticed

STREAM_FAULTS = {
    "drop:17": "delta 18 where 17 was due",
    "drop:29": "29 deltas of 30",
    "dup:17": "delta 17 where 18 was due",
    "swap:17": "delta 18 where 17 was due",
    "foreign:17": "a delta of request",
    "garble:17": "",
    "cut:17": "closed after 17 deltas",
    "noend:0": "no terminator",
    "nofinish:0": "",
    "status:503": "status 503",
}
WHOLE_FAULTS = {
    "foreign:0": "a delta of request",
    "garble:0": "not JSON",
    "cut:0": "closed after 0 deltas",
    "short:0": "899 bytes of text, not 900",
    "status:429": "status 429",
}
FAULTS = [
    (stream, fault, words) for stream, faults in ((True, STREAM_FAULTS), (False, WHOLE_FAULTS)) for fault, words in faults.items()
]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("stream", "fault", "words"), FAULTS)
def test_a_fault_is_noticed_in_every_answer(tools: Path, mock: int, dialect: str, stream: bool, fault: str, words: str) -> None:
    options = ("--connections", "3", "--requests", "12", "--deltas", "30", "--reply", "900", "--fault", fault)
    report = load(tools, mock, dialect, stream, *options)
    assert (report["checked"], report["errors"], report["requests"], report["code"]) == (12, 12, 0, 1)
    assert all(words in shown for shown in report["shown_errors"])


@pytest.mark.parametrize(("dialect", "stream"), FORMS)
def test_a_wrong_count_of_tokens_is_told_but_no_error(tools: Path, mock: int, dialect: str, stream: bool) -> None:
    report = load(tools, mock, dialect, stream, "--connections", "2", "--requests", "10", "--fault", "usage:0")
    assert (report["errors"], report["requests"], report["usage_ok"]) == (0, 10, 0)


# Answers that no mock gives: raw bytes


@contextmanager
def answering(pieces: Sequence[bytes]) -> Iterator[int]:
    """A server that answers its first request with these pieces, a write each, and then waits until the client goes."""

    def serve() -> None:
        client, _ = server.accept()
        with client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            request = b""
            while b"[bench" not in request:
                request += client.recv(65536)
            for piece in pieces:
                client.sendall(piece)
            client.settimeout(10)
            while client.recv(65536):
                pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)


def mark(seq: int) -> bytes:
    return b"#%010d:%05d:%020d#" % (1, seq, 1)


def chat_frames(deltas: int) -> bytes:
    head = b'data: {"object": "chat.completion.chunk","choices" : [ {"delta":{"content":"\\"a\\u0020"}}]}\n\n: a comment\n\n'
    chunk = b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]}\n\n'
    end = b'data: {"object":"chat.completion.chunk","choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    return head + b"".join(chunk % mark(seq) for seq in range(deltas)) + end


def messages_frames(deltas: int) -> bytes:
    def event(name: bytes, rest: bytes = b"") -> bytes:
        return b'event: %b\ndata: {"type":"%b"%b}\n\n' % (name, name, rest)

    text = b',"index":0,"delta":{"type":"text_delta","text":"%b"}'
    frames = [event(b"message_start", b',"message":{"usage":{}}'), event(b"ping"), event(b"content_block_start", b',"index":0')]
    frames += [event(b"content_block_delta", text % mark(seq)) for seq in range(deltas)]
    frames += [event(b"content_block_stop", b',"index":0'), event(b"message_delta", b',"delta":{"stop_reason":"end_turn"}')]
    return b"".join([*frames, event(b"message_stop")])


FRAMES = {"chat": chat_frames, "messages": messages_frames}
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%X;ext=1\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def load_once(tools: Path, port: int, dialect: str, *options: str) -> dict[str, Any]:
    return load(tools, port, dialect, True, "--connections", "1", "--requests", "1", "--deltas", "3", *options)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_any_cutting_of_a_right_stream_is_right(tools: Path, dialect: str, size: int, line_end: bytes) -> None:
    raw = STREAM_HEAD + chunked(FRAMES[dialect](3).replace(b"\n", line_end), size)
    with answering([raw[at : at + size] for at in range(0, len(raw), size)]) as port:
        report = load_once(tools, port, dialect)
    assert (report["errors"], report["shown_errors"], report["deltas"]) == (0, [], 3)


def spoiled() -> list[Any]:
    """Right answers with one thing wrong: (dialect, body or head, what is said)."""
    chat, messages = chat_frames(3), messages_frames(3)
    stop = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
    return [
        pytest.param("chat", chat + b"data: {}\n\n", "a frame after [DONE]", id="frame after the end"),
        pytest.param("chat", chat[:-1], "ends inside a frame", id="no blank line at the end"),
        pytest.param("chat", chat.replace(b'"stop"', b'"length"'), "finish_reason", id="wrong finish_reason"),
        pytest.param("chat", chat.replace(b"data: [DONE]", b"data: [DONE]\n\ndata: [DONE]"), "after [DONE]", id="two ends"),
        pytest.param("chat", chat.replace(b"chat.completion.chunk", b"text_completion", 1), "not a chunk", id="wrong object"),
        pytest.param("chat", chat.replace(b":00002:", b":0000x:"), "delta 0 where 2", id="broken number"),
        pytest.param("chat", chat.replace(b"#0000000001:00002", b"#1:2"), "a broken mark", id="broken mark"),
        pytest.param("chat", messages, "not a chunk", id="the other dialect"),
        pytest.param("messages", chat, "not an event", id="the other dialect in messages"),
        pytest.param("messages", messages.replace(stop, b""), "stop_reason", id="block left open"),
        pytest.param("messages", messages.replace(stop, stop + stop), "a stop outside its block", id="block stopped twice"),
        pytest.param(
            "messages", messages.replace(b"event: ping", b"event: pong"), "event and type differ", id="wrong event name"
        ),
        pytest.param(
            "messages", messages[messages.index(b"event: ping") :].replace(b"event: ping", b": x", 1), "event", id="no start"
        ),
        pytest.param(
            "messages", messages.replace(b'"ping"', b'"error"').replace(b": ping", b": error"), "unknown event", id="error"
        ),
        pytest.param("messages", messages.replace(b'_start","index":0', b'_start","index":1'), "out of order", id="wrong index"),
    ]


@pytest.mark.parametrize(("dialect", "body", "words"), spoiled())
def test_a_stream_with_one_thing_wrong_is_an_error(tools: Path, dialect: str, body: bytes, words: str) -> None:
    with answering([STREAM_HEAD + chunked(body, 64)]) as port:
        report = load_once(tools, port, dialect)
    assert report["errors"] == 1
    assert words in report["shown_errors"][0]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        pytest.param(STREAM_HEAD + chunked(chat_frames(3), 64) + b"HTTP", "bytes after the answer", id="bytes after the end"),
        pytest.param(
            STREAM_HEAD.replace(b"event-stream", b"plain") + chunked(chat_frames(3), 64), "content-type", id="content-type"
        ),
        pytest.param(STREAM_HEAD + b"5\r\ndata: \r\n", "a chunk longer than it said", id="wrong chunk size"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata", "neither content-length", id="no framing"
        ),
        pytest.param(STREAM_HEAD + chunked(chat_frames(3), 64)[:-5], "no end after 2 s, 3 deltas", id="no last chunk"),
    ],
)
def test_broken_http_is_an_error(tools: Path, raw: bytes, words: str) -> None:
    with answering([raw]) as port:
        report = load_once(tools, port, "chat", "--timeout", "2")
    assert report["errors"] == 1
    assert words in report["shown_errors"][0]


# Budgets


@pytest.fixture(scope="module")
def enforce() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_enforce", BENCHES / "enforce.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def result_of(ratio: float | None, errors: int = 0, ready: float = 0.2) -> dict[str, Any]:
    found: dict[str, Any] = {"errors": errors, "checked": 10, "shown_errors": ["request 1: wrong"]}
    if ratio is not None:
        found["x_nginx"] = ratio
    lane = {"title": "", "unit": "request", "systems": {"fast": found}}
    return {"kind": "server", "lanes": {"L1b": lane}, "processes": {"fast": {"ready_s": ready}}, "problems": []}


BUDGETS = {"x_nginx": {"L1b": 4.0}, "process": {"ready_s": 1.0}}


@pytest.mark.parametrize(
    ("result", "code", "words"),
    [
        pytest.param(result_of(3.9), 0, "kept", id="kept"),
        pytest.param(result_of(4.1), 1, "EXCEEDED  L1b, CPU per request, x nginx: 4.10 (at most 4)", id="ratio exceeded"),
        pytest.param(result_of(3.9, ready=1.5), 1, "EXCEEDED  ready_s: 1.50 (at most 1)", id="start exceeded"),
        pytest.param(result_of(None), 1, "MISSING", id="no nginx, no ratio"),
        pytest.param(result_of(None, errors=1), 1, "ERRORS    L1b: 1 wrong answers of 10", id="an error"),
    ],
)
def test_a_budget_is_kept_exceeded_or_missing(
    enforce: ModuleType, capsys: pytest.CaptureFixture[str], result: dict[str, Any], code: int, words: str
) -> None:
    assert enforce.enforce(result, BUDGETS) == code
    assert words in capsys.readouterr().out


def test_the_budgets_in_the_repository_name_lanes_of_the_short_form(enforce: ModuleType) -> None:
    budgets = enforce.read_budgets(BENCHES / "budgets.toml")["server"]
    listed = subprocess.run(
        ["python3", "-c", "import lanes; print(*lanes.SHORT)"], cwd=BENCHES, capture_output=True, text=True, check=True
    )
    assert set(budgets["x_nginx"]) <= set(listed.stdout.split())
