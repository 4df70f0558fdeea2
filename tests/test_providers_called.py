"""From variables to the wire: what a raw loopback server sees when each backend is configured and called."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from raw_upstream import SeenRequest, ok, raw_upstream

from anyllm_fast.call import Target
from anyllm_fast.config import Backend, resolve
from anyllm_fast.config.address import aim
from anyllm_fast.config.compatible import read_compatible
from anyllm_fast.config.hosts import Host, read_table
from anyllm_fast.config.values import Reader
from anyllm_fast.providers import open_target
from anyllm_fast.upstream import Timeouts, UpstreamRequest
from anyllm_fast.upstream.client import UpstreamOptions, open_upstream
from tests.accounts import service_account


@pytest.fixture(autouse=True)
def _nobodys_gcloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))


def configured(environ: dict[str, str]) -> Backend:
    resolved = resolve({"HOME": "/nonexistent-home", **environ}, None, Path("/nonexistent"))
    assert resolved.errors == ()
    assert resolved.settings is not None
    return resolved.settings.backends[0]


async def call(target: Target, requested: str, dialect: str) -> None:
    """As the gateway does it: path by the surface, credentials, then the signature."""
    model = target.model_of(requested)
    surface = target.surface(model, dialect)
    request = UpstreamRequest(
        target.origin, b"POST", surface.path(model, False), list(target.credentials), b"{}", Timeouts(5, 5, 5, 5)
    )
    if target.sign is not None:
        await target.sign(request)
    upstream = open_upstream(UpstreamOptions())
    try:
        reply = await upstream.send(request)
        assert await reply.read(100) == b"called"
    finally:
        await upstream.close()


async def seen_by(environ: dict[str, str], requested: str, dialect: str) -> SeenRequest:
    async with raw_upstream([ok(b"called")]) as upstream:
        moved = {name: value.replace("{url}", upstream.url) for name, value in environ.items()}
        await call(open_target(configured(moved)), requested, dialect)
        return upstream.requests[0]


@pytest.mark.parametrize(
    ("environ", "requested", "dialect", "line", "header"),
    [
        (
            {
                "BACKEND": "openai",
                "OPENAI_BASE_URL": "{url}/v1",
                "OPENAI_API_KEY": "k",
                "ANYLLM_BACKEND_DIALECTS": "chat,responses",
            },
            "gpt-4o",
            "openai_responses",
            b"POST /v1/responses HTTP/1.1",
            (b"authorization", b"Bearer k"),
        ),
        (
            {
                "BACKEND": "azure",
                "AZURE_OPENAI_ENDPOINT": "{url}",
                "AZURE_OPENAI_API_KEY": "k",
                "AZURE_OPENAI_DEPLOYMENT": "my prod",
            },
            "claude-sonnet-4-5",
            "anthropic",
            b"POST /openai/deployments/my%20prod/chat/completions?api-version=2024-10-21 HTTP/1.1",
            (b"api-key", b"k"),
        ),
        (
            {"BACKEND": "azure", "AZURE_OPENAI_ENDPOINT": "{url}/openai/v1", "AZURE_OPENAI_AD_TOKEN": "t"},
            "gpt-4.1",
            "openai_responses",
            b"POST /openai/v1/responses HTTP/1.1",
            (b"authorization", b"Bearer t"),
        ),
        (
            {"GEMINI_API_KEY": "k", "GOOGLE_GEMINI_BASE_URL": "{url}"},
            "claude-haiku-4-5",
            "anthropic",
            b"POST /v1beta/models/gemini-2.5-flash:generateContent HTTP/1.1",
            (b"x-goog-api-key", b"k"),
        ),
        (
            {"VERTEX_PROJECT": "p", "VERTEX_REGION": "us-east5", "VERTEX_API_BASE": "{url}", "GOOGLE_ACCESS_TOKEN": "t"},
            "claude-opus-4-5@20251101",
            "anthropic",
            b"POST /v1/projects/p/locations/us-east5/publishers/anthropic/models/claude-opus-4-5@20251101:rawPredict HTTP/1.1",
            (b"authorization", b"Bearer t"),
        ),
        (
            {
                "BACKEND": "bedrock",
                "AWS_REGION": "us-east-1",
                "AWS_BEARER_TOKEN_BEDROCK": "t",
                "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "{url}",
            },
            "us.amazon.nova-pro-v1:0",
            "bedrock",
            b"POST /model/us.amazon.nova-pro-v1%3A0/converse HTTP/1.1",
            (b"authorization", b"Bearer t"),
        ),
        (
            {"BACKEND": "hosted_vllm", "HOSTED_VLLM_API_BASE": "{url}/v1"},
            "qwen3",
            "anthropic",
            b"POST /v1/messages HTTP/1.1",
            (b"authorization", None),
        ),
        (
            {"BACKEND": "zai", "ZAI_API_BASE": "{url}/api/paas/v4", "ZAI_API_KEY": "k"},
            "glm-5",
            "openai_chat",
            b"POST /api/paas/v4/chat/completions HTTP/1.1",
            (b"authorization", b"Bearer k"),
        ),
    ],
    ids=lambda value: value.get("BACKEND", "chosen") if isinstance(value, dict) else "",
)
async def test_a_backend_is_called_as_its_variables_say(
    environ: dict[str, str], requested: str, dialect: str, line: bytes, header: tuple[bytes, bytes | None]
) -> None:
    seen = await seen_by(environ, requested, dialect)
    assert seen.line == line
    assert seen.header(header[0]) == header[1]


async def test_a_new_host_is_one_row() -> None:
    """Its id, its variable, its address and its facts: nothing else says anything about it."""
    async with raw_upstream([ok(b"called")]) as upstream:
        table = read_table(
            f"""
            [[host]]
            id = "brand_new"
            base = "{upstream.url}/v2"
            keys = ["OPENAI_API_KEY"]
            local = true
            speaks = {{ responses = "", messages = "/claude/v1/messages" }}
            facts = {{ top_k = true, text_arrays = false }}
            """
        )
        host = table.find("Brand-New")
        assert isinstance(host, Host)
        reader = Reader({})
        backend = aim(reader, read_compatible(reader, host, host.id), 3000)
        assert reader.errors == []
        target = open_target(backend)
        for dialect in ("openai_chat", "openai_responses", "anthropic", "gemini"):
            await call(target, "any/model", dialect)
        assert [seen.line for seen in upstream.requests] == [
            b"POST /v2/chat/completions HTTP/1.1",
            b"POST /v2/responses HTTP/1.1",
            b"POST /claude/v1/messages HTTP/1.1",
            b"POST /v2/chat/completions HTTP/1.1",
        ]
    profile = target.surface("any/model", "gemini").profile("any/model")
    assert (profile.top_k, profile.text_arrays) == (True, False)


async def test_vertex_is_called_with_a_token_of_the_credentials_file(tmp_path: Path) -> None:
    told = json.dumps({"access_token": "of-the-file", "expires_in": 3600, "token_type": "Bearer"}).encode()
    async with raw_upstream([ok(told)]) as google, raw_upstream([ok(b"called")]) as vertex:
        environ = {
            "BACKEND": "vertex",
            "GOOGLE_APPLICATION_CREDENTIALS": str(service_account(tmp_path, f"{google.url}/token")),
            "GOOGLE_VERTEX_BASE_URL": vertex.url,
        }
        target = open_target(configured(environ))
        await call(target, "gemini-2.5-flash", "gemini")
        await call(target, "gemini-2.5-flash", "gemini")
        assert len(google.requests) == 1
        assert "assertion" in parse_qs(google.requests[0].body.decode())
        assert [seen.header(b"authorization") for seen in vertex.requests] == [b"Bearer of-the-file"] * 2
        assert vertex.requests[0].line.startswith(b"POST /v1/projects/project-of-the-file/locations/global/publishers/google/")


async def test_vertex_is_called_with_a_token_of_the_metadata_server() -> None:
    told = json.dumps({"access_token": "of-the-machine", "expires_in": 3600}).encode()
    async with raw_upstream([ok(told)]) as metadata, raw_upstream([ok(b"called")]) as vertex:
        environ = {
            "BACKEND": "vertex",
            "VERTEX_PROJECT": "p",
            "GCE_METADATA_HOST": f"127.0.0.1:{metadata.port}",
            "VERTEX_API_BASE": vertex.url,
        }
        await call(open_target(configured(environ)), "claude-opus-4-5@20251101", "anthropic")
        assert vertex.requests[0].header(b"authorization") == b"Bearer of-the-machine"


async def test_azure_is_called_with_a_token_of_entra_id() -> None:
    told = json.dumps({"access_token": "of-entra", "expires_in": 3599}).encode()
    async with raw_upstream([ok(told)]) as entra, raw_upstream([ok(b"called")]) as azure:
        environ = {
            "BACKEND": "azure",
            "AZURE_OPENAI_ENDPOINT": f"{azure.url}/openai/v1/",
            "AZURE_TENANT_ID": "t",
            "AZURE_CLIENT_ID": "c",
            "AZURE_CLIENT_SECRET": "s",
            "AZURE_AUTHORITY_HOST": entra.url,
        }
        await call(open_target(configured(environ)), "gpt-4o", "openai_chat")
        assert azure.requests[0].line == b"POST /openai/v1/chat/completions HTTP/1.1"
        assert azure.requests[0].header(b"authorization") == b"Bearer of-entra"
        assert azure.requests[0].header(b"api-key") is None


async def test_bedrock_is_called_with_a_signature() -> None:
    environ = {
        "BACKEND": "bedrock",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT_URL": "{url}",
    }
    seen = await seen_by(environ, "anthropic.claude-3-haiku-20240307-v1:0", "anthropic")
    assert seen.line == b"POST /model/anthropic.claude-3-haiku-20240307-v1%3A0/invoke HTTP/1.1"
    assert (seen.header(b"authorization") or b"").startswith(b"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
