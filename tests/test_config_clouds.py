"""anyllm_fast/config/azure.py, google.py and aws.py: what the clouds' variables mean, and the one line for each mistake."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from anyllm_fast.config import Backend, resolve
from tests.accounts import authorized_user, service_account

AZURE = {"BACKEND": "azure", "AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com", "AZURE_OPENAI_API_KEY": "key-0123456789"}
VERTEX = {"BACKEND": "vertex", "VERTEX_PROJECT": "p", "GOOGLE_ACCESS_TOKEN": "t"}
BEDROCK = {"BACKEND": "bedrock", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "hush-hush"}
PRINCIPAL = {"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client", "AZURE_CLIENT_SECRET": "hush-hush"}


@pytest.fixture(autouse=True)
def _nobodys_gcloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The machine's own credentials are no part of a test."""
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))


def errors(environ: dict[str, str]) -> tuple[str, ...]:
    return resolve(environ, None, Path("/nonexistent")).errors


def read(environ: dict[str, str]) -> Backend:
    resolved = resolve(environ, None, Path("/nonexistent"))
    assert resolved.errors == ()
    assert resolved.settings is not None
    return resolved.settings.backends[0]


# --- Azure -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "base", "prefix", "deployment", "version"),
    [
        ("https://r.openai.azure.com", "https://r.openai.azure.com/openai", "", "", "2024-10-21"),
        ("https://r.openai.azure.com/", "https://r.openai.azure.com/openai", "", "", "2024-10-21"),
        ("https://r.openai.azure.com/openai", "https://r.openai.azure.com/openai", "", "", "2024-10-21"),
        ("https://r.openai.azure.com/openai/v1", "https://r.openai.azure.com/openai", "/v1", "", ""),
        ("https://r.openai.azure.com/openai/v1/", "https://r.openai.azure.com/openai", "/v1", "", ""),
        (
            "https://r.openai.azure.com/openai/deployments/prod/chat/completions?api-version=2025-01-01-preview",
            "https://r.openai.azure.com/openai",
            "",
            "prod",
            "2025-01-01-preview",
        ),
        ("http://127.0.0.1:9/azure/openai/v1", "http://127.0.0.1:9/azure/openai", "/v1", "", ""),
        ("http://127.0.0.1:9", "http://127.0.0.1:9/openai", "", "", "2024-10-21"),
    ],
)
def test_the_endpoint_says_which_surface_is_meant(endpoint: str, base: str, prefix: str, deployment: str, version: str) -> None:
    backend = read({**AZURE, "AZURE_OPENAI_ENDPOINT": endpoint})
    assert (backend.base_url, backend.api_prefix) == (base, prefix)
    assert (backend.azure.deployment, backend.azure.api_version) == (deployment, version)


@pytest.mark.parametrize(
    ("environ", "key", "auth", "client"),
    [
        ({"AZURE_OPENAI_API_KEY": "k", "AZURE_OPENAI_AD_TOKEN": "t"}, "k", "api-key", ""),
        ({"AZURE_API_KEY": "k"}, "k", "api-key", ""),
        ({"AZURE_OPENAI_AD_TOKEN": "t", **PRINCIPAL}, "t", "bearer", ""),
        (PRINCIPAL, "", "bearer", "client"),
    ],
)
def test_a_key_counts_before_a_token_and_that_before_a_principal(
    environ: dict[str, str], key: str, auth: str, client: str
) -> None:
    backend = read({"BACKEND": "azure", "AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com", **environ})
    assert (backend.api_key, backend.auth, backend.azure.client_id) == (key, auth, client)


def test_models_are_deployments_unless_one_is_named() -> None:
    assert (read(AZURE).big_model, read(AZURE).small_model) == ("gpt-4o", "gpt-4o-mini")
    named = read({**AZURE, "AZURE_OPENAI_DEPLOYMENT": "prod", "SMALL_MODEL": "small"})
    assert (named.azure.deployment, named.big_model, named.small_model) == ("prod", "", "small")


@pytest.mark.parametrize(
    "host", ["https://login.microsoftonline.us", "login.microsoftonline.us", "https://login.microsoftonline.us/"]
)
def test_the_authority_is_a_host_or_a_url(host: str) -> None:
    environ = {"BACKEND": "azure", "AZURE_OPENAI_ENDPOINT": "https://r", **PRINCIPAL, "AZURE_AUTHORITY_HOST": host}
    assert read(environ).azure.authority == "https://login.microsoftonline.us"


# --- Google ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "url", "key"),
    [
        ({"GEMINI_API_KEY": "k"}, "https://generativelanguage.googleapis.com/v1beta", "k"),
        ({"GOOGLE_API_KEY": "g"}, "https://generativelanguage.googleapis.com/v1beta", "g"),
        ({"GEMINI_API_KEY": "k", "GOOGLE_API_KEY": "g"}, "https://generativelanguage.googleapis.com/v1beta", "k"),
        ({"GEMINI_API_KEY": "k", "GEMINI_BASE_URL": "http://h:1/v1beta/openai"}, "http://h:1/v1beta", "k"),
        ({"GEMINI_API_KEY": "k", "GOOGLE_GEMINI_BASE_URL": "http://h:1"}, "http://h:1/v1beta", "k"),
        ({"GEMINI_BASE_URL": "http://127.0.0.1:9/v1alpha"}, "http://127.0.0.1:9/v1alpha", ""),
    ],
)
def test_gemini_is_where_its_variables_say(environ: dict[str, str], url: str, key: str) -> None:
    backend = read({"BACKEND": "gemini", **environ})
    assert (backend.url("/v1"), backend.api_key, backend.auth) == (url, key, "x-goog-api-key")
    assert (backend.big_model, backend.small_model) == ("gemini-2.5-pro", "gemini-2.5-flash")


@pytest.mark.parametrize(
    ("environ", "base"),
    [
        ({}, "https://aiplatform.googleapis.com"),
        ({"VERTEX_REGION": "global"}, "https://aiplatform.googleapis.com"),
        ({"VERTEX_REGION": "europe-west4"}, "https://europe-west4-aiplatform.googleapis.com"),
        ({"VERTEXAI_LOCATION": "us-east5"}, "https://us-east5-aiplatform.googleapis.com"),
        ({"GOOGLE_CLOUD_LOCATION": "us-east5"}, "https://us-east5-aiplatform.googleapis.com"),
        ({"VERTEX_LOCATION": "eu", "GOOGLE_CLOUD_LOCATION": "us"}, "https://aiplatform.eu.rep.googleapis.com"),
        ({"VERTEX_API_BASE": "http://127.0.0.1:9", "VERTEX_REGION": "us-east5"}, "http://127.0.0.1:9"),
        ({"GOOGLE_VERTEX_BASE_URL": "http://127.0.0.1:9/v1/"}, "http://127.0.0.1:9"),
    ],
)
def test_vertex_has_an_origin_by_region(environ: dict[str, str], base: str) -> None:
    backend = read({**VERTEX, **environ})
    assert (backend.base_url, backend.api_prefix) == (base, "/v1")


def test_a_credentials_file_names_the_project_where_no_variable_does(tmp_path: Path) -> None:
    environ = {"BACKEND": "vertex", "GOOGLE_APPLICATION_CREDENTIALS": str(service_account(tmp_path))}
    assert read(environ).google.project == "project-of-the-file"
    assert read({**environ, "GOOGLE_CLOUD_PROJECT": "shared"}).google.project == "shared"
    assert read({**environ, "GOOGLE_CLOUD_PROJECT": "shared", "VERTEXAI_PROJECT": "own"}).google.project == "own"


def test_gclouds_own_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "gcloud").mkdir()
    path = tmp_path / "gcloud" / "application_default_credentials.json"
    path.write_text(authorized_user(tmp_path).read_text())
    backend = read({"BACKEND": "vertex"})
    assert (backend.google.credentials_file, backend.google.project) == (str(path), "who-pays")


def test_without_any_credentials_the_metadata_server_is_asked() -> None:
    google = read({"BACKEND": "vertex", "VERTEX_PROJECT": "p"}).google
    assert (google.credentials_file, google.metadata_url) == ("", "http://169.254.169.254")
    moved = {"BACKEND": "vertex", "VERTEX_PROJECT": "p", "GCE_METADATA_HOST": "127.0.0.1:9"}
    assert read(moved).google.metadata_url == "http://127.0.0.1:9"


# --- AWS ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "https://bedrock-runtime.us-east-1.amazonaws.com"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-west-1"}, "https://bedrock-runtime.eu-west-1.amazonaws.com"),
        ({"AWS_REGION": "cn-north-1"}, "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "http://127.0.0.1:9"),
        ({"AWS_ENDPOINT_URL": "http://h:8", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "http://127.0.0.1:9/"}, "http://127.0.0.1:9"),
    ],
)
def test_bedrock_has_an_address_by_region_or_variable(environ: dict[str, str], url: str) -> None:
    assert read({**BEDROCK, **environ}).url("/v1") == url


def test_awss_own_tools_get_their_variables_and_nothing_else() -> None:
    aws = read({**BEDROCK, "AWS_PROFILE": "work", "AWS_EC2_METADATA_DISABLED": "true", "AWS_SHARED_CREDENTIALS_FILE": "/c"}).aws
    assert (aws.access_key_id, aws.secret_access_key) == ("AKIA", "hush-hush")
    assert dict(aws.variables) == {
        "AWS_PROFILE": "work",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SHARED_CREDENTIALS_FILE": "/c",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def test_a_metadata_address_may_stand_where_metadata_is_meant() -> None:
    environ = {**BEDROCK, "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials"}
    assert ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials") in read(environ).aws.variables


# --- mistakes ----------------------------------------------------------------------------------------------------------------

METADATA = "rejected: cloud metadata address 169.254.169.254 not allowed"


@pytest.mark.parametrize(
    ("environ", "error"),
    [
        (
            {"BACKEND": "azure", "AZURE_OPENAI_API_KEY": "k"},
            "AZURE_OPENAI_ENDPOINT is required when BACKEND=azure",
        ),
        (
            {"BACKEND": "azure", "AZURE_OPENAI_ENDPOINT": "https://r"},
            "AZURE_OPENAI_API_KEY, AZURE_OPENAI_AD_TOKEN or AZURE_TENANT_ID with AZURE_CLIENT_ID and AZURE_CLIENT_SECRET is"
            " required when BACKEND=azure",
        ),
        ({**AZURE, "AZURE_OPENAI_ENDPOINT": "http://169.254.169.254"}, f"AZURE_OPENAI_ENDPOINT {METADATA}"),
        (
            {**AZURE, "AZURE_OPENAI_ENDPOINT": "r.openai.azure.com"},
            "AZURE_OPENAI_ENDPOINT rejected: invalid URL: it has no scheme, write http://... or https://...",
        ),
        (
            {**AZURE, "AZURE_OPENAI_API_VERSION": "1&x=y"},
            "AZURE_OPENAI_API_VERSION must be a version such as 2024-10-21",
        ),
        (
            {"BACKEND": "azure", "AZURE_OPENAI_ENDPOINT": "https://r", **PRINCIPAL, "AZURE_TENANT_ID": "a/b"},
            "AZURE_TENANT_ID must be the id or a domain of a tenant",
        ),
        ({"BACKEND": "gemini"}, "GEMINI_API_KEY or GOOGLE_API_KEY is required when BACKEND=gemini"),
        (
            {"BACKEND": "gemini", "GEMINI_API_KEY": "k", "GEMINI_API_FORMAT": "x"},
            "unknown GEMINI_API_FORMAT value 'x', expected 'native' or 'openai'",
        ),
        (
            {"BACKEND": "vertex", "GOOGLE_ACCESS_TOKEN": "t"},
            "VERTEX_PROJECT is required when BACKEND=vertex and the credentials do not name a project",
        ),
        (
            {**VERTEX, "VERTEX_PROJECT": "a/b"},
            "VERTEX_PROJECT contains invalid characters: only alphanumeric, '-', '_', '.' are allowed, got: 'a/b'",
        ),
        (
            {**VERTEX, "VERTEX_REGION": "a/b"},
            "VERTEX_REGION contains invalid characters: only alphanumeric, '-', '_', '.' are allowed, got: 'a/b'",
        ),
        (
            {"BACKEND": "vertex", "VERTEX_PROJECT": "p", "GOOGLE_APPLICATION_CREDENTIALS": "/nonexistent/file.json"},
            "GOOGLE_APPLICATION_CREDENTIALS: cannot read '/nonexistent/file.json': No such file or directory",
        ),
        ({"BACKEND": "bedrock"}, "AWS_REGION is required when BACKEND=bedrock"),
        (
            {**BEDROCK, "AWS_REGION": "a/b"},
            "AWS_REGION contains invalid characters: only alphanumeric, '-', '_', '.' are allowed, got: 'a/b'",
        ),
        ({**BEDROCK, "AWS_SECRET_ACCESS_KEY": ""}, "AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not"),
        ({**BEDROCK, "AWS_ACCESS_KEY_ID": ""}, "AWS_SECRET_ACCESS_KEY is set and AWS_ACCESS_KEY_ID is not"),
        ({**BEDROCK, "AWS_ENDPOINT_URL_STS": "http://169.254.169.254"}, f"AWS_ENDPOINT_URL_STS {METADATA}"),
        ({**BEDROCK, "BEDROCK_API": "x"}, "unknown BEDROCK_API value 'x', expected 'auto', 'converse' or 'invoke'"),
        (
            {**BEDROCK, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "v2"},
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI must be a path that begins with /",
        ),
    ],
)
def test_a_mistake_is_one_line_that_names_the_variable(environ: dict[str, str], error: str) -> None:
    assert errors(environ) == (error,)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nonsense", "is no JSON object"),
        ("[]", "is no JSON object"),
        (json.dumps({"type": "cat", "private_key": "hush-hush"}), "has no known type; it must be one of service_account,"),
    ],
)
def test_a_credentials_file_that_is_none_is_one_line_and_shows_nothing_of_it(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "file.json"
    path.write_text(text)
    (error,) = errors({"BACKEND": "vertex", "VERTEX_PROJECT": "p", "GOOGLE_APPLICATION_CREDENTIALS": str(path)})
    assert error.startswith(f"GOOGLE_APPLICATION_CREDENTIALS: '{path}' {why}")
    assert "hush-hush" not in error


def test_a_principal_that_is_not_whole_is_said_and_not_used() -> None:
    resolved = resolve({**AZURE, "AZURE_CLIENT_ID": "c", "AZURE_TENANT_ID": "t"}, None, Path("/nonexistent"))
    assert resolved.errors == ()
    assert [note.text for note in resolved.notes if note.about == "AZURE_TENANT_ID"] == [
        "not used, because AZURE_CLIENT_SECRET is not set"
    ]


@pytest.mark.parametrize(
    "environ", [AZURE, {"BACKEND": "azure", "AZURE_OPENAI_ENDPOINT": "https://r", **PRINCIPAL}, VERTEX, BEDROCK], ids=str
)
def test_no_repr_shows_a_secret_and_a_worker_can_be_handed_the_backend(environ: dict[str, str]) -> None:
    backend = read(environ)
    assert pickle.loads(pickle.dumps(backend)) == backend
    for secret in ("key-0123456789", "hush-hush"):
        assert secret not in repr(backend)
