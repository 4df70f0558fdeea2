"""anyllm_fast/config/backends.py: which backend the variables describe."""

from __future__ import annotations

from pathlib import Path

import pytest

from anyllm_fast.config import map_model, resolve
from anyllm_fast.config.load import Resolved
from anyllm_fast.config.settings import Settings

NOWHERE = Path("/nonexistent-working-directory")
OPENAI = {"OPENAI_API_KEY": "sk-openai-0123456789", "PROXY_API_KEYS": "client-key"}


def read(environ: dict[str, str]) -> Resolved:
    return resolve({"HOME": "/nonexistent-home", **environ}, None, NOWHERE)


def settings(environ: dict[str, str]) -> Settings:
    resolved = read(environ)
    assert resolved.errors == ()
    assert resolved.settings is not None
    return resolved.settings


def warnings(environ: dict[str, str]) -> list[str]:
    return [str(note) for note in read(environ).notes if note.level == "warning"]


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, "demo"),
        ({"OPENAI_API_KEY": "k"}, "openai"),
        ({"OPENAI_BASE_URL": "http://localhost:8000/v1"}, "openai"),
        ({"ANTHROPIC_API_KEY": "k"}, "anthropic"),
        ({"ANTHROPIC_AUTH_TOKEN": "k"}, "anthropic"),
        ({"ANTHROPIC_BASE_URL": "http://localhost:8000"}, "anthropic"),
        ({"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}, "openai"),
        ({"OPENAI_API_KEY": "", "ANTHROPIC_API_KEY": "k"}, "anthropic"),
        ({"BACKEND": "anthropic", "OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}, "anthropic"),
        ({"BACKEND": "OpenAI", "ANTHROPIC_API_KEY": "k"}, "openai"),
        ({"BACKEND": "demo", "OPENAI_API_KEY": "k"}, "demo"),
        ({"BACKEND": "", "OPENAI_API_KEY": "k"}, "openai"),
        ({"GEMINI_API_KEY": "k"}, "gemini"),
        ({"GOOGLE_API_KEY": "k", "GOOGLE_CLOUD_PROJECT": "p", "AWS_ACCESS_KEY_ID": "k"}, "demo"),
        ({"VERTEX_PROJECT": "p", "GOOGLE_ACCESS_TOKEN": "t"}, "vertex"),
        ({"BACKEND": "vertex_ai", "GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_ACCESS_TOKEN": "t"}, "vertex"),
        ({"AZURE_API_BASE": "https://r.openai.azure.com", "AZURE_API_KEY": "k", "GEMINI_API_KEY": "k"}, "azure"),
        ({"AWS_BEARER_TOKEN_BEDROCK": "k", "AWS_REGION": "eu-west-1"}, "bedrock"),
        ({"ANTHROPIC_API_KEY": "k", "GEMINI_API_KEY": "k"}, "anthropic"),
        ({"GROQ_API_KEY": "k"}, "demo"),
    ],
)
def test_the_backend_follows_from_what_is_set(environ: dict[str, str], name: str) -> None:
    made = settings(environ)
    assert made.backends[0].name == made.backends[0].kind == name
    assert made.demo == (name == "demo")
    assert made.host == ("127.0.0.1" if name == "demo" else "0.0.0.0")


@pytest.mark.parametrize(
    "base", ["http://127.0.0.1:8000", "http://localhost:11434/v1", "http://[::1]:8080/", "http://10.0.0.2:1"]
)
def test_a_local_server_needs_no_key(base: str) -> None:
    made = settings({"BACKEND": "openai", "OPENAI_BASE_URL": base, "PROXY_API_KEYS": "k"})
    assert made.backends[0].api_key == ""
    assert made.backends[0].url("/v1/chat/completions").count("/v1") == 1
    assert warnings({"BACKEND": "openai", "OPENAI_BASE_URL": base, "PROXY_API_KEYS": "k"}) == []


def test_the_openai_backend_has_everything_that_was_set() -> None:
    backend = settings(
        {
            **OPENAI,
            "OPENAI_BASE_URL": "https://h/v1/",
            "OPENAI_ORGANIZATION": "org",
            "OPENAI_PROJECT_ID": "proj",
            "BIG_MODEL": "large",
            "OMIT_STREAM_OPTIONS": "1",
            "ANYLLM_UPSTREAM_HEADERS": "X-Team: search\n\nX-Tier:gold ",
        }
    ).backends[0]
    assert (backend.base_url, backend.api_prefix, backend.api_key, backend.auth) == (
        "https://h",
        "/v1",
        OPENAI["OPENAI_API_KEY"],
        "bearer",
    )
    assert (backend.organization, backend.project) == ("org", "proj")
    assert (backend.big_model, backend.small_model) == ("large", "gpt-4o-mini")
    assert backend.omit_stream_options
    assert backend.headers == (("x-team", "search"), ("x-tier", "gold"))
    assert map_model(backend, "claude-sonnet-4-5") == "large"


@pytest.mark.parametrize(
    ("environ", "key", "auth"),
    [
        ({"ANTHROPIC_API_KEY": "sk-ant-api03-x"}, "sk-ant-api03-x", "x-api-key"),
        ({"ANTHROPIC_AUTH_TOKEN": "tok"}, "tok", "bearer"),
        ({"ANTHROPIC_API_KEY": "k", "ANTHROPIC_AUTH_TOKEN": "tok"}, "k", "x-api-key"),
        ({"ANTHROPIC_API_KEY": "sk-ant-oat01-x"}, "sk-ant-oat01-x", "bearer"),
    ],
)
def test_an_anthropic_key_is_kept_with_the_header_that_it_goes_in(environ: dict[str, str], key: str, auth: str) -> None:
    backend = settings({"BACKEND": "anthropic", **environ}).backends[0]
    assert (backend.api_key, backend.auth) == (key, auth)
    assert (backend.big_model, backend.small_model) == ("", "")


@pytest.mark.parametrize(
    ("environ", "error"),
    [
        (
            {"BACKEND": "deepgram"},
            "BACKEND=deepgram is known but cannot be used: deepgram recognizes speech",
        ),
        (
            {"BACKEND": "Foo"},
            "unknown BACKEND value 'Foo'. Known values: openai, anthropic, azure, gemini, vertex, bedrock, demo, and the hosts of"
            " the documentation",
        ),
        (
            {"BACKEND": "antropic"},
            "unknown BACKEND value 'antropic'. Known values: openai, anthropic, azure, gemini, vertex, bedrock, demo, and the"
            " hosts of the documentation (did you mean anthropic?)",
        ),
        (
            {**OPENAI, "ANYLLM_BACKEND_DIALECTS": "chat,gemini"},
            "unknown ANYLLM_BACKEND_DIALECTS entry 'gemini', expected 'chat', 'responses' or 'messages'",
        ),
        ({"BACKEND": "anthropic"}, "ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN is required when BACKEND=anthropic"),
        (
            {**OPENAI, "OPENAI_API_FORMAT": "x"},
            "unknown OPENAI_API_FORMAT value 'x', expected 'chat', 'responses' or 'auto'",
        ),
        (
            {**OPENAI, "OPENAI_BASE_URL": "http://localhost:3000/v1"},
            "OPENAI_BASE_URL rejected: 'http://localhost:3000/v1' is this gateway itself (port 3000); that setting is for"
            " clients, unset it for the gateway",
        ),
        (
            {"ANTHROPIC_BASE_URL": "http://127.0.0.1:81", "LISTEN_PORT": "81"},
            "ANTHROPIC_BASE_URL rejected: 'http://127.0.0.1:81' is this gateway itself (port 81); that setting is for clients,"
            " unset it for the gateway",
        ),
        (
            {**OPENAI, "OPENAI_BASE_URL": "http://metadata.google.internal"},
            "OPENAI_BASE_URL rejected: hostname 'metadata.google.internal' not allowed",
        ),
        ({"OPENAI_API_KEY": "sk\u00e9"}, "OPENAI_API_KEY contains a character that cannot stand in an HTTP header"),
        ({"OPENAI_API_KEY": "a\nb"}, "OPENAI_API_KEY contains a character that cannot stand in an HTTP header"),
        ({**OPENAI, "OPENAI_ORG_ID": "a\x7f"}, "OPENAI_ORG_ID contains a character that cannot stand in an HTTP header"),
        ({**OPENAI, "ANYLLM_UPSTREAM_HEADERS": "x"}, "ANYLLM_UPSTREAM_HEADERS must hold lines of the form 'Name: value'"),
        ({**OPENAI, "ANYLLM_UPSTREAM_HEADERS": "a b: x"}, "ANYLLM_UPSTREAM_HEADERS must hold lines of the form 'Name: value'"),
        (
            {**OPENAI, "ANYLLM_UPSTREAM_HEADERS": "Host: x"},
            "ANYLLM_UPSTREAM_HEADERS must not set 'host'; the gateway does",
        ),
        (
            {**OPENAI, "ANYLLM_UPSTREAM_HEADERS": "a: \x01"},
            "ANYLLM_UPSTREAM_HEADERS contains a character that cannot stand in an HTTP header",
        ),
    ],
)
def test_a_backend_that_cannot_be_used_is_one_line(environ: dict[str, str], error: str) -> None:
    assert read(environ).errors == (error,)


def test_mistakes_in_variables_of_a_backend_that_is_not_used_do_not_count() -> None:
    assert read({"BACKEND": "demo", "OPENAI_BASE_URL": "nonsense", "ANTHROPIC_API_KEY": "\n\u00e9"}).errors == ()


def test_variables_of_another_backend_are_named_and_those_that_others_own_only_mentioned() -> None:
    notes = read({**OPENAI, "GEMINI_API_KEY": "k", "AWS_PROFILE": "work", "GROQ_API_KEY": "k", "VERTEX_PROJECT": "p"}).notes
    told = {note.about: note for note in notes}
    assert (told["GEMINI_API_KEY"].level, told["GEMINI_API_KEY"].text) == ("warning", "not used, the backend is openai")
    assert told["VERTEX_PROJECT"].level == "warning"
    assert told["AWS_PROFILE"].level == "info"
    assert (told["GROQ_API_KEY"].level, told["GROQ_API_KEY"].text) == (
        "info",
        "not used, the backend is openai; BACKEND=groq would use it",
    )


def test_what_several_backends_read_is_not_called_unused() -> None:
    notes = read({"BACKEND": "gemini", "GEMINI_API_KEY": "k", "BIG_MODEL": "gemini-3-pro", "OPENAI_API_KEY": "k"}).notes
    assert [(note.level, note.about) for note in notes if "not used" in note.text] == [("info", "OPENAI_API_KEY")]
    environ = {"BACKEND": "vertex", "VERTEX_PROJECT": "p", "GOOGLE_ACCESS_TOKEN": "t", "GOOGLE_API_KEY": "k"}
    assert [note.about for note in read(environ).notes if "not used" in note.text] == ["GOOGLE_API_KEY"]


def test_what_a_host_speaks_can_be_said() -> None:
    backend = settings({**OPENAI, "OPENAI_BASE_URL": "http://h:1", "ANYLLM_BACKEND_DIALECTS": "Responses, chat"}).backends[0]
    assert backend.speaks == ("responses", "chat")


def test_tokens_are_fetched_by_the_same_proxy_and_authorities_as_the_calls() -> None:
    made = settings({**OPENAI, "HTTPS_PROXY": "http://p:1"})
    assert made.backends[0].proxy == made.proxy
    assert made.backends[0].tls == made.tls
