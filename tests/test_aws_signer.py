"""providers/aws_signer.py: botocore's chain behind it, against metadata services and an STS of our own on loopback."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from anyllm_fast.providers import aws_signer
from anyllm_fast.providers.aws_signer import NoCredentials, Refreshed, open_signer
from anyllm_fast.providers.sigv4 import Credentials, Scope
from anyllm_fast.upstream import Origin, Timeouts, UpstreamRequest

AWS = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ROLE_ARN", "AWS_ENDPOINT_URL_STS"),
    *("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_REGION"),
    *("AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_DEFAULT_REGION", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
)
ROLE = {"AccessKeyId": "AKIAROLE", "SecretAccessKey": "s", "Token": "t", "Code": "Success", "Type": "AWS-HMAC"}


class Service(ThreadingHTTPServer):
    """Metadata of containers and instances, and STS, in one."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked: list[tuple[str, str, dict[str, str]]] = []


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        self._seen()
        role = {**ROLE, "Expiration": (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")}
        if self.path.endswith("/security-credentials/"):
            self._say(b"the-role")
        elif self.headers.get("Authorization", "secret") == "secret":
            self._say(json.dumps(role).encode())
        else:
            self._say(b"{}", 403)

    def do_PUT(self) -> None:
        self._seen()
        self._say(b"imds-token")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self._seen(body)
        expires = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._say(
            f"<R><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>AKIAWEB</AccessKeyId><SecretAccessKey>s"
            f"</SecretAccessKey><SessionToken>t</SessionToken><Expiration>{expires}</Expiration></Credentials>"
            f"</AssumeRoleWithWebIdentityResult></R>".encode(),
            kind="text/xml",
        )

    def log_message(self, *arguments: Any) -> None: ...

    def _seen(self, body: str = "") -> None:
        self.server.asked.append((self.command, self.path, {**dict(self.headers), "body": body}))

    def _say(self, body: bytes, status: int = 200, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in AWS:
        monkeypatch.setenv(name, "")  # so that what a test sets is undone
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


async def signed(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, given: Credentials | None = None) -> dict[str, str]:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    request = UpstreamRequest(Origin("https", "h", 443), b"POST", b"/model/m/converse", [], b"{}", Timeouts())
    await open_signer("us-east-1", given, {})(request)
    return {name.decode(): value.decode() for name, value in request.headers}


async def test_keys_that_are_given_need_no_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = await signed({}, monkeypatch, Credentials("AKIAGIVEN", "s", "t"))
    assert "Credential=AKIAGIVEN/" in headers["authorization"] and "/us-east-1/bedrock/" in headers["authorization"]
    assert headers["x-amz-security-token"] == "t"


async def test_a_profile_of_the_shared_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "credentials"
    path.write_text(
        "[default]\naws_access_key_id=A\naws_secret_access_key=s\n[work]\naws_access_key_id=AKIAWORK\naws_secret_access_key=s\n"
    )
    headers = await signed({"AWS_SHARED_CREDENTIALS_FILE": str(path), "AWS_PROFILE": "work"}, monkeypatch)
    assert "Credential=AKIAWORK/" in headers["authorization"]


async def test_the_metadata_of_a_container(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    full = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{service.url}/creds", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "secret"}
    headers = await signed(full, monkeypatch)
    assert "Credential=AKIAROLE/" in headers["authorization"] and headers["x-amz-security-token"] == "t"
    assert service.asked[0][1] == "/creds"


async def test_the_metadata_of_an_instance(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    where = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": service.url, "AWS_EC2_METADATA_DISABLED": "false"}
    headers = await signed(where, monkeypatch)
    assert "Credential=AKIAROLE/" in headers["authorization"]
    assert [method for method, _, _ in service.asked] == ["PUT", "GET", "GET"]


async def test_a_web_identity(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = tmp_path / "token"
    token.write_text("the-jwt")
    where = {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/r",
        "AWS_ENDPOINT_URL_STS": service.url,
        "AWS_REGION": "us-east-1",
    }
    headers = await signed(where, monkeypatch)
    assert "Credential=AKIAWEB/" in headers["authorization"]
    assert "WebIdentityToken=the-jwt" in service.asked[0][2]["body"]


async def test_nothing_found_is_an_answer_that_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoCredentials, match="AWS_ACCESS_KEY_ID") as caught:
        await signed({}, monkeypatch)
    assert caught.value.status == 502


async def test_a_profile_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoCredentials, match="nowhere"):
        await signed({"AWS_PROFILE": "nowhere"}, monkeypatch)


# -- when they are asked for again -------------------------------------------------------------------------------------


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(aws_signer.time, "monotonic", lambda: self.now)


def refreshed(*results: Credentials | Exception) -> tuple[Refreshed, list[int]]:
    asked: list[int] = []

    def fetch() -> Credentials:
        asked.append(1)
        found = results[min(len(asked), len(results)) - 1]
        if isinstance(found, Exception):
            raise found
        return found

    return Refreshed(fetch, Scope("r")), asked


ONE, TWO = Credentials("one", "s"), Credentials("two", "s")


async def test_calls_that_come_together_ask_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made, asked = refreshed(ONE)
    assert await asyncio.gather(*(made._current() for _ in range(5))) == [ONE] * 5
    assert len(asked) == 1


async def test_after_a_minute_new_ones_are_fetched_beside_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    made, asked = refreshed(ONE, TWO)
    assert await made._current() == ONE
    clock.now += 61
    assert await made._current() == ONE  # did not wait
    assert made._asking is not None
    await made._asking
    assert await made._current() == TWO and len(asked) == 2


async def test_where_a_refresh_fails_the_old_ones_go_on_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    made, _ = refreshed(ONE, OSError("metadata is gone"))
    await made._current()
    clock.now += 61
    assert await made._current() == ONE
    clock.now += 600
    with pytest.raises(NoCredentials, match="metadata is gone"):
        await made._current()
