"""anyllm_fast/providers: where each backend's calls go, in which dialects, and what is known of its models."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from anyllm_fast.call import Target
from anyllm_fast.config import Backend
from anyllm_fast.config.hosts import Host
from anyllm_fast.config.settings import Aws, Azure, Google, Speech
from anyllm_fast.errors import ConfigError
from anyllm_fast.providers import bedrock, gemini, open_target, openai

OPENAI = Backend(name="openai", kind="openai", base_url="https://api.openai.com", api_key="k")
AZURE = Backend(
    name="azure",
    kind="azure",
    base_url="https://r.openai.azure.com/openai",
    api_prefix="",
    api_key="k",
    auth="api-key",
    azure=Azure(api_version="2025-04-01-preview"),
)
AZURE_V1 = replace(AZURE, api_prefix="/v1", azure=Azure())
GEMINI = Backend(
    name="gemini",
    kind="gemini",
    base_url="https://generativelanguage.googleapis.com",
    api_prefix="/v1beta",
    api_key="k",
    auth="x-goog-api-key",
    big_model="gemini-2.5-pro",
)
VERTEX = Backend(
    name="vertex",
    kind="vertex",
    base_url="https://us-east5-aiplatform.googleapis.com",
    api_key="t",
    big_model="gemini-2.5-pro",
    google=Google(project="my-project", region="us-east5"),
)
BEDROCK = Backend(
    name="bedrock",
    kind="bedrock",
    base_url="https://bedrock-runtime.us-east-1.amazonaws.com",
    api_prefix="",
    api_key="token",
    api="auto",
    big_model="anthropic.claude-sonnet-4-20250514-v1:0",
    aws=Aws(region="us-east-1"),
)
PLACE = "/v1/projects/my-project/locations/us-east5"


def spoken(target: Target, model: str) -> list[str]:
    return [surface.dialect for surface in target.surfaces(model)]


def paths(target: Target, model: str, dialect: str) -> tuple[str, str]:
    surface = target.surface(model, dialect)
    return surface.path(model, False).decode(), surface.path(model, True).decode()


# --- OpenAI ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "api", "speaks", "model", "dialects"),
    [
        ("https://api.openai.com", "chat", (), "gpt-4o", ["openai_chat", "openai_responses"]),
        ("https://eu.api.openai.com", "chat", (), "gpt-4o", ["openai_chat", "openai_responses"]),
        ("https://api.openai.com", "responses", (), "gpt-4o", ["openai_responses", "openai_chat"]),
        ("https://api.openai.com", "auto", (), "gpt-4o", ["openai_chat", "openai_responses"]),
        ("https://api.openai.com", "auto", (), "gpt-5.1", ["openai_responses", "openai_chat"]),
        ("https://api.openai.com", "chat", (), "gpt-5.1-codex-max", ["openai_responses"]),
        ("https://api.openai.com", "chat", (), "o3-pro", ["openai_responses"]),
        ("https://api.openai.com", "chat", (), "o3-deep-research", ["openai_responses"]),
        ("https://api.openai.com", "chat", ("chat",), "o3-pro", ["openai_chat"]),
        ("http://localhost:8000", "chat", (), "gpt-5.1-codex", ["openai_chat"]),
        ("http://localhost:8000", "responses", (), "llama", ["openai_responses"]),
        ("http://localhost:8000", "chat", ("messages", "chat"), "llama", ["anthropic", "openai_chat"]),
        ("http://localhost:8000", "responses", ("chat", "responses"), "llama", ["openai_responses", "openai_chat"]),
    ],
)
def test_which_dialects_a_host_speaks_and_which_is_preferred(
    base: str, api: str, speaks: tuple[Speech, ...], model: str, dialects: list[str]
) -> None:
    assert spoken(open_target(replace(OPENAI, base_url=base, api=api, speaks=speaks)), model) == dialects


def test_a_client_gets_its_own_dialect_and_others_the_preferred_one() -> None:
    target = open_target(OPENAI)
    assert paths(target, "gpt-4o", "openai_responses") == ("/v1/responses", "/v1/responses")
    assert paths(target, "gpt-4o", "openai_chat") == ("/v1/chat/completions", "/v1/chat/completions")
    assert target.surface("gpt-4o", "gemini").dialect == "openai_chat"
    own = open_target(replace(OPENAI, base_url="http://h:1/sub", api_prefix="/v4", speaks=("chat", "messages")))
    assert paths(own, "m", "anthropic")[0] == "/sub/v4/messages"


def test_messages_at_a_foreign_host_are_written_for_what_it_knows() -> None:
    target = open_target(replace(OPENAI, base_url="http://h:1", speaks=("messages",)))
    profile = target.surfaces("qwen3")[0].profile("qwen3")
    assert (profile.adaptive_thinking, profile.default_max_tokens) == (False, 8192)
    assert target.surfaces("m")[0].profile("claude-opus-4-6").adaptive_thinking


@pytest.mark.parametrize(
    ("model", "official", "custom", "tokens"),
    [
        ("gpt-5.1", True, True, "max_completion_tokens"),
        ("gpt-4o", True, False, "max_completion_tokens"),
        ("gpt-5.1", False, False, "max_completion_tokens"),
        ("qwen3", False, False, "max_tokens"),
    ],
)
def test_facts_of_chat_and_responses_models(model: str, official: bool, custom: bool, tokens: str) -> None:
    profile = openai.profile_of(model, official=official, stream_usage=True)
    assert (profile.custom_tools, profile.max_tokens_field) == (custom, tokens)


# --- hosts of the table ------------------------------------------------------------------------------------------------------


def test_a_rows_facts_are_true_of_its_models_and_nothing_else_changes() -> None:
    host = Host(id="h", facts={"text_arrays": False, "top_k": True, "max_tokens_field": "max_completion_tokens"})
    target = open_target(Backend(name="h", kind="compatible", base_url="http://h:1", host=host, omit_stream_options=True))
    profile = target.surfaces("m")[0].profile("m")
    usual = openai.profile_of("m", official=False, stream_usage=False)
    assert profile == replace(usual, text_arrays=False, top_k=True, max_tokens_field="max_completion_tokens")


@pytest.mark.parametrize(
    ("host", "error"),
    [
        (Host(id="h", facts={"colour": True}), "the row of host h has unknown facts: colour"),
        (Host(id="h", facts={"top_k": "yes"}), "the row of host h has a fact of the wrong type"),
        (Host(id="h", speaks={"latin": ""}), "the row of host h speaks something unknown: latin"),
    ],
)
def test_a_row_that_says_nonsense_is_one_line(host: Host, error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        open_target(Backend(name="h", kind="compatible", base_url="http://h:1", host=host))


def test_the_operator_knows_better_what_a_host_speaks() -> None:
    host = Host(id="h", base="http://h:1", speaks={"messages": "/anthropic/v1/messages"})
    backend = Backend(name="h", kind="compatible", base_url="http://h:1", host=host)
    assert spoken(open_target(backend), "m") == ["openai_chat", "anthropic"]
    assert spoken(open_target(replace(backend, speaks=("messages",))), "m") == ["anthropic"]
    assert paths(open_target(replace(backend, speaks=("messages",))), "m", "anthropic")[0] == "/anthropic/v1/messages"


# --- Azure -------------------------------------------------------------------------------------------------------------------


def test_azures_deployments_are_in_the_path_and_encoded() -> None:
    target = open_target(AZURE)
    chat = "/openai/deployments/a%2Fb%20c%3F/chat/completions?api-version=2025-04-01-preview"
    assert paths(target, "a/b c?", "openai_chat") == (chat, chat)
    assert paths(target, "gpt-4o", "openai_responses")[0] == "/openai/responses?api-version=2025-04-01-preview"
    assert target.models == b"/openai/models?api-version=2025-04-01-preview"
    assert dict(target.credentials)[b"api-key"] == b"k"
    assert target.sign is None


def test_an_older_api_version_has_no_responses_and_an_old_one_no_stream_options() -> None:
    older = open_target(replace(AZURE, azure=Azure(api_version="2024-10-21")))
    assert spoken(older, "gpt-4o") == ["openai_chat"]
    assert older.surfaces("gpt-4o")[0].profile("gpt-4o").include_stream_usage
    old = open_target(replace(AZURE, azure=Azure(api_version="2024-06-01")))
    assert not old.surfaces("gpt-4o")[0].profile("gpt-4o").include_stream_usage


def test_azures_v1_surface_has_the_deployment_in_the_body() -> None:
    target = open_target(AZURE_V1)
    assert spoken(target, "gpt-4o") == ["openai_chat", "openai_responses"]
    assert paths(target, "prod", "openai_chat")[0] == "/openai/v1/chat/completions"
    assert paths(target, "prod", "openai_responses")[0] == "/openai/v1/responses"
    preview = open_target(replace(AZURE_V1, azure=Azure(api_version="preview")))
    assert paths(preview, "prod", "openai_responses")[0] == "/openai/v1/responses?api-version=preview"


def test_every_call_goes_to_the_deployment_that_is_named_and_is_written_for_its_model() -> None:
    azure = Azure(api_version="2024-10-21", deployment="prod", model="o3")
    target = open_target(replace(AZURE, azure=azure))
    assert (target.model_of("gpt-4o"), target.model_of("claude-sonnet-4-5")) == ("prod", "prod")
    assert not target.surfaces("prod")[0].profile("prod").samples
    sized = open_target(replace(AZURE, azure=azure, small_model="small"))
    assert (sized.model_of("claude-haiku-4-5"), sized.model_of("claude-opus-4-5")) == ("small", "prod")


def test_claude_in_a_foundry_resource_speaks_messages() -> None:
    target = open_target(replace(AZURE_V1, base_url="https://r.services.ai.azure.com/openai"))
    assert spoken(target, "claude-sonnet-4-5") == ["anthropic"]
    assert paths(target, "claude-sonnet-4-5", "openai_chat")[0] == "/anthropic/v1/messages"
    assert dict(target.credentials)[b"x-api-key"] == b"k"


# --- Gemini and Vertex -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-3-pro-preview", "/v1beta/models/gemini-3-pro-preview"),
        ("models/gemini-3-pro-preview", "/v1beta/models/gemini-3-pro-preview"),
        ("tunedModels/mine-1", "/v1beta/tunedModels/mine-1"),
        ("a/../b?c#d:e", "/v1beta/models/a%2F..%2Fb%3Fc%23d%3Ae"),
    ],
)
def test_geminis_models_are_in_the_path_and_encoded(model: str, path: str) -> None:
    target = open_target(GEMINI)
    assert paths(target, model, "gemini") == (f"{path}:generateContent", f"{path}:streamGenerateContent?alt=sse")
    count = target.surfaces(model)[0].count_tokens
    assert count is not None
    assert count(model).decode() == f"{path}:countTokens"
    assert target.models == b"/v1beta/models?pageSize=1000"
    assert target.credentials == ((b"x-goog-api-key", b"k"),)


def test_geminis_chat_endpoint_is_used_where_it_is_asked_for() -> None:
    target = open_target(replace(GEMINI, api="openai"))
    assert paths(target, "gemini-2.5-pro", "gemini")[0] == "/v1beta/openai/chat/completions"


@pytest.mark.parametrize(
    ("model", "levels", "signatures"),
    [
        ("gemini-2.5-flash", False, False),
        ("models/gemini-3-pro-preview", True, True),
        ("gemini-3.1-flash", True, True),
        ("gemini-10-pro", True, True),
        ("gemini-flash-latest", False, True),
        ("gemma-3-27b-it", False, False),
    ],
)
def test_facts_of_gemini_models(model: str, levels: bool, signatures: bool) -> None:
    profile = gemini.profile_of(model)
    assert (profile.thinking_levels, profile.call_signatures, profile.media_results) == (levels, signatures, levels)
    assert not profile.labels


@pytest.mark.parametrize(
    ("model", "dialect", "carrier", "whole", "streamed"),
    [
        (
            "gemini-2.5-pro",
            "gemini",
            "",
            f"{PLACE}/publishers/google/models/gemini-2.5-pro:generateContent",
            f"{PLACE}/publishers/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
        ),
        (
            "claude-sonnet-4-5@20250929",
            "anthropic",
            "vertex_anthropic",
            f"{PLACE}/publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict",
            f"{PLACE}/publishers/anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict",
        ),
        (
            "anthropic/claude-opus-4-6",
            "anthropic",
            "vertex_anthropic",
            f"{PLACE}/publishers/anthropic/models/claude-opus-4-6:rawPredict",
            f"{PLACE}/publishers/anthropic/models/claude-opus-4-6:streamRawPredict",
        ),
        (
            "meta/llama-4-maverick",
            "openai_chat",
            "",
            f"{PLACE}/endpoints/openapi/chat/completions",
            f"{PLACE}/endpoints/openapi/chat/completions",
        ),
        (
            "endpoints/123",
            "gemini",
            "",
            f"{PLACE}/endpoints/123:generateContent",
            f"{PLACE}/endpoints/123:streamGenerateContent?alt=sse",
        ),
        (
            "projects/p2/locations/eu/publishers/anthropic/models/claude-opus-4-6",
            "anthropic",
            "vertex_anthropic",
            "/v1/projects/p2/locations/eu/publishers/anthropic/models/claude-opus-4-6:rawPredict",
            "/v1/projects/p2/locations/eu/publishers/anthropic/models/claude-opus-4-6:streamRawPredict",
        ),
    ],
)
def test_vertex_takes_a_model_where_its_publisher_has_it(
    model: str, dialect: str, carrier: str, whole: str, streamed: str
) -> None:
    target = open_target(VERTEX)
    assert target.model_of(model) == model
    (surface,) = target.surfaces(model)
    assert (surface.dialect, surface.carrier) == (dialect, carrier)
    assert paths(target, model, dialect) == (whole, streamed)


def test_vertex_maps_plain_names_and_knows_labels() -> None:
    target = open_target(VERTEX)
    assert target.model_of("claude-sonnet-4-5") == "gemini-2.5-pro"
    assert target.surfaces("gemini-3-pro")[0].profile("gemini-3-pro").labels
    assert target.models is None


def test_a_vertex_key_without_a_project_is_express_mode() -> None:
    target = open_target(replace(VERTEX, auth="x-goog-api-key", google=Google(region="global")))
    assert paths(target, "gemini-2.5-pro", "gemini")[0] == "/v1/publishers/google/models/gemini-2.5-pro:generateContent"
    assert target.credentials == ((b"x-goog-api-key", b"t"),)


# --- Bedrock -----------------------------------------------------------------------------------------------------------------

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
PROFILE = f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{CLAUDE}"
OPAQUE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"


@pytest.mark.parametrize(
    ("api", "model", "dialects"),
    [
        ("auto", CLAUDE, ["anthropic", "bedrock"]),
        ("auto", PROFILE, ["anthropic", "bedrock"]),
        ("auto", "anthropic.claude-3-haiku-20240307-v1:0", ["anthropic", "bedrock"]),
        ("auto", OPAQUE, ["bedrock"]),
        ("auto", "us.amazon.nova-pro-v1:0", ["bedrock"]),
        ("converse", CLAUDE, ["bedrock"]),
        ("invoke", CLAUDE, ["anthropic"]),
        ("invoke", OPAQUE, ["anthropic"]),
        ("invoke", "us.amazon.nova-pro-v1:0", ["bedrock"]),
    ],
)
def test_claude_is_invoked_and_everything_else_converses(api: str, model: str, dialects: list[str]) -> None:
    assert spoken(open_target(replace(BEDROCK, api=api)), model) == dialects


def test_bedrocks_ids_are_in_the_path_and_encoded() -> None:
    target = open_target(BEDROCK)
    encoded = "us.anthropic.claude-sonnet-4-5-20250929-v1%3A0"
    assert paths(target, CLAUDE, "anthropic") == (
        f"/model/{encoded}/invoke",
        f"/model/{encoded}/invoke-with-response-stream",
    )
    assert paths(target, CLAUDE, "bedrock") == (f"/model/{encoded}/converse", f"/model/{encoded}/converse-stream")
    assert paths(target, PROFILE, "bedrock")[0] == (
        f"/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2F{encoded}/converse"
    )
    assert {surface.dialect: surface.carrier for surface in target.surfaces(CLAUDE)} == {
        "anthropic": "invoke",
        "bedrock": "converse",
    }
    assert target.credentials == ((b"authorization", b"Bearer token"),)
    assert target.sign is None


def test_without_a_token_calls_to_bedrock_are_signed() -> None:
    keys = Aws(region="us-east-1", access_key_id="AKIA", secret_access_key="s")
    target = open_target(replace(BEDROCK, api_key="", aws=keys))
    assert target.sign is not None
    assert target.credentials == ()


@pytest.mark.parametrize(
    ("requested", "model"),
    [
        ("claude-sonnet-4-5", "anthropic.claude-sonnet-4-20250514-v1:0"),
        (CLAUDE, CLAUDE),
        ("anthropic.claude-opus-4-1-20250805-v1:0", "anthropic.claude-opus-4-1-20250805-v1:0"),
        (PROFILE, PROFILE),
        ("us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", "us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("gpt-4o", "gpt-4o"),
    ],
)
def test_an_id_in_bedrocks_own_form_is_not_mapped(requested: str, model: str) -> None:
    assert open_target(BEDROCK).model_of(requested) == model


@pytest.mark.parametrize(
    ("model", "claude", "caches", "system"),
    [
        (CLAUDE, True, True, True),
        (PROFILE, True, True, True),
        ("global.anthropic.claude-opus-4-6-v1", True, True, True),
        ("anthropic.claude-3-haiku-20240307-v1:0", True, False, True),
        ("us.amazon.nova-pro-v1:0", False, True, True),
        ("mistral.mistral-7b-instruct-v0:2", False, False, False),
        ("amazon.titan-text-express-v1", False, False, False),
        (OPAQUE, False, False, True),
    ],
)
def test_facts_of_bedrocks_models(model: str, claude: bool, caches: bool, system: bool) -> None:
    profile = bedrock.profile_of(model)
    assert (profile.anthropic_model, profile.cache_points, profile.system_prompts) == (claude, caches, system)
    assert bedrock.profile_of("us.anthropic.claude-3-haiku-20240307-v1:0").default_max_tokens == 4096
