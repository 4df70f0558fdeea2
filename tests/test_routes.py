"""routes: the table, its dialects, its refusals."""

from __future__ import annotations

import pytest

from anyllm_fast import routes
from anyllm_fast.errors import MethodNotAllowed, NotFound

ANTHROPIC = {b"anthropic-version": b"2023-06-01"}


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
    ],
)
def test_a_path_leads_to_its_operation_in_its_dialect(method: str, path: str, operation: str, dialect: str) -> None:
    route = routes.find(method, path, b"", {}, frozenset())
    assert (route.operation, route.dialect) == (operation, dialect)


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
