"""boto3 as the judge of Converse streams: what it makes of AWS messages that a loopback socket sends. Knows no gateway."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config

from anyllm_fast import wire
from anyllm_fast.wire import aws

ASK = [{"role": "user", "content": [{"text": "hi"}]}]


@contextmanager
def answering(head: bytes, body: bytes) -> Iterator[int]:
    """A server that gives one answer to one request, and its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_answer, args=(server, head, body), daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)


def _answer(server: socket.socket, head: bytes, body: bytes) -> None:
    peer, _ = server.accept()
    with peer:
        peer.settimeout(5)
        got = b""
        while b"\r\n\r\n" not in got:
            got += peer.recv(65536)
        before, _, rest = got.partition(b"\r\n\r\n")
        lengths = [int(line.split(b":")[1]) for line in before.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        while lengths and len(rest) < lengths[0]:
            rest += peer.recv(65536)
        peer.sendall(head + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body))
        for at in range(0, len(body), 97):
            peer.sendall(body[at : at + 97])


def client(port: int, service: str = "bedrock-runtime") -> Any:
    config = Config(retries={"total_max_attempts": 1}, proxies={})
    keys = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "secret"}
    return boto3.client(service, region_name="us-east-1", endpoint_url=f"http://127.0.0.1:{port}", config=config, **keys)


def judged(twin: Any, sse: bytes) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any]]:
    """(content blocks, messageStop, metadata) that boto3's events add up to. Raises what boto3 raises."""
    frame = (aws if twin.name == "python" else wire).SseToAws(False)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\n"
    found: list[dict[str, Any]] = []
    said: dict[str, Any] = {}
    with answering(head, frame.feed(sse) + frame.finish()) as port:
        for event in client(port).converse_stream(modelId="m", messages=ASK)["stream"]:
            ((name, body),) = event.items()
            if name == "contentBlockStart":
                assert body["contentBlockIndex"] == len(found)
                found.append({kind: dict(start) for kind, start in body["start"].items()})
            elif name == "contentBlockDelta":
                if body["contentBlockIndex"] == len(found):
                    found.append({})
                _add(found[body["contentBlockIndex"]], body["delta"])
            else:
                said[name] = body
    for block in found:
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"])
    assert said["messageStart"] == {"role": "assistant"}
    return found, said["messageStop"], said["metadata"]


def _add(block: dict[str, Any], delta: dict[str, Any]) -> None:
    ((kind, piece),) = delta.items()
    match kind:
        case "text":
            block["text"] = block.get("text", "") + piece
        case "citation":
            block.setdefault("citations", []).append(piece)
        case _:
            inside = block.setdefault(kind, {})
            for name, value in piece.items():
                inside[name] = inside[name] + value if name in inside else value
