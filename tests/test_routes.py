"""routes: the table, its dialects, its refusals."""

from __future__ import annotations

import pytest

from anyllm_fast import routes
from anyllm_fast.errors import MethodNotAllowed, NotFound

ANTHROPIC = {b"anthropic-version": b"2023-06-01"}
ARN = "arn:aws:bedrock:us:1:inference-profile/m"


@pytest.mark.parametrize(
    ("method", "path", "operation", "dialect"),
    [
        ("POST", "/v1/messages", "generate", "anthropic"),
        ("POST", "/v1/messages/count_tokens", "count_tokens", "anthropic"),
        ("POST", "/v1/chat/completions", "generate", "openai_chat"),
        ("POST", "/chat/completions", "generate", "openai_chat"),
        ("GET", "/v1/models", "models", "openai_chat"),
        ("GET", "/health", "health", "anthropic"),
        ("HEAD", "/", "root", "anthropic"),
        ("GET", "/v1/models/claude-x", "model", "openai_chat"),
        ("GET", "/v1/models/meta/llama-3", "model", "openai_chat"),
        ("POST", "/v1/completions", "generate", "openai_chat"),
        ("POST", "/v1/responses", "generate", "openai_responses"),
        ("GET", "/v1/responses", "websocket", "openai_responses"),
        ("GET", "/v1/responses/resp_1", "response", "openai_responses"),
        ("DELETE", "/v1/responses/resp_1", "response_delete", "openai_responses"),
        ("POST", "/v1/responses/resp_1/cancel", "response_cancel", "openai_responses"),
        ("GET", "/v1/responses/resp_1/input_items", "response_items", "openai_responses"),
        ("POST", "/v1/responses/input_tokens", "count_tokens", "openai_responses"),
        ("POST", "/v1/responses/compact", "response_compact", "openai_responses"),
        ("GET", "/v1beta/models", "models", "gemini"),
        ("GET", "/v1beta/models/gemini-x", "model", "gemini"),
    ],
)
def test_a_path_leads_to_its_operation_in_its_dialect(method: str, path: str, operation: str, dialect: str) -> None:
    route = routes.find(method, path, b"", {}, frozenset())
    assert (route.operation, route.dialect) == (operation, dialect)


@pytest.mark.parametrize(
    ("path", "query", "operation", "dialect", "model", "stream", "carrier"),
    [
        ("/v1beta/models/gemini-x:generateContent", b"", "generate", "gemini", "gemini-x", False, ""),
        ("/v1/models/gemini-x:streamGenerateContent", b"alt=sse", "generate", "gemini", "gemini-x", True, ""),
        ("/v1alpha/models/gemini-x:streamGenerateContent", b"key=k", "generate", "gemini", "gemini-x", True, "json_array"),
        ("/v1beta/models/ft:gpt-4o:org:generateContent", b"", "generate", "gemini", "ft:gpt-4o:org", False, ""),
        ("/v1beta/models/meta/llama:countTokens", b"", "count_tokens", "gemini", "meta/llama", False, ""),
        ("/v1/projects/p/locations/l/publishers/google/models/g:generateContent", b"", "generate", "gemini", "g", False, ""),
        ("/model/anthropic.claude-x-v1:0/converse", b"", "generate", "bedrock", "anthropic.claude-x-v1:0", False, "converse"),
        ("/model/m/converse-stream", b"", "generate", "bedrock", "m", True, "converse"),
        ("/model/arn:aws:bedrock:us:1:inference-profile/m/invoke", b"", "generate", "anthropic", *(ARN, False, "invoke")),
        ("/model/m/invoke-with-response-stream", b"", "generate", "anthropic", "m", True, "invoke"),
        ("/model/m/count-tokens", b"", "count_tokens", "bedrock", "m", False, ""),
    ],
)
def test_a_path_may_name_the_model_and_the_form(
    path: str, query: bytes, operation: str, dialect: str, model: str, stream: bool, carrier: str
) -> None:
    for prefix, backend in (("", ""), ("/b", "b")):
        route = routes.find("POST", prefix + path, query, {}, frozenset({"b"}))
        assert (route.operation, route.dialect, route.model) == (operation, dialect, model)
        assert (route.stream, route.carrier, route.backend) == (stream, carrier, backend)


def test_the_callers_of_bedrock_get_its_errors_whatever_the_bodies_are() -> None:
    assert routes.find("POST", "/model/m/invoke", b"", {}, frozenset()).errors == "bedrock"
    assert routes.dialect_of("/model/m/nope", {}) == "bedrock"
    assert routes.dialect_of("/v1beta/nope", {}) == "gemini"
    assert routes.dialect_of("/v1/models", {b"x-goog-api-key": b"k"}) == "gemini"


def test_a_models_list_is_written_for_who_asks() -> None:
    assert routes.find("GET", "/v1/models", b"", ANTHROPIC, frozenset()).dialect == "anthropic"
    assert routes.find("GET", "/v1/models/m", b"", ANTHROPIC, frozenset()).dialect == "anthropic"


def test_a_backend_prefix_names_the_backend() -> None:
    route = routes.find("POST", "/openai/v1/messages", b"", {}, frozenset({"openai"}))
    assert (route.backend, route.operation) == ("openai", "generate")
    with pytest.raises(NotFound):
        routes.find("POST", "/other/v1/messages", b"", {}, frozenset({"openai"}))


def test_a_wrong_method_is_told_the_right_one() -> None:
    with pytest.raises(MethodNotAllowed) as caught:
        routes.find("GET", "/v1/messages", b"", {}, frozenset())
    assert caught.value.status == 405
    assert (b"allow", b"POST") in caught.value.headers
    with pytest.raises(MethodNotAllowed):
        routes.find("DELETE", "/v1/models/m", b"", {}, frozenset())


@pytest.mark.parametrize("path", ["/nope", "/v1", "/v1/messages/", "/v1/messagesx", "//v1/messages", "/v1/models/", ""])
def test_an_unknown_path_is_not_found(path: str) -> None:
    with pytest.raises(NotFound):
        routes.find("POST", path, b"", {}, frozenset({"openai"}))


def test_an_unknown_path_is_answered_in_the_dialect_of_its_prefix() -> None:
    assert routes.dialect_of("/v1/chat/nope", {}) == "openai_chat"
    assert routes.dialect_of("/v1/messages/nope", {}) == "anthropic"
    assert routes.dialect_of("/nope", {}) == "anthropic"
    assert routes.dialect_of("/v1/chat/nope", ANTHROPIC) == "anthropic"


def test_only_health_and_the_root_need_no_credential() -> None:
    assert routes.find("GET", "/health", b"", {}, frozenset()).public
    assert routes.find("GET", "/", b"", {}, frozenset()).public
    assert not routes.find("GET", "/metrics", b"", {}, frozenset()).public
    assert not routes.find("GET", "/v1/models", b"", {}, frozenset()).public
