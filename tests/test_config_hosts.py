"""anyllm_fast/config/hosts.py and data/hosts.toml: every row of the table of OpenAI-compatible hosts, and what one row brings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from anyllm_fast.config import Backend, resolve
from anyllm_fast.config.backends import KINDS
from anyllm_fast.config.hosts import Host, Unserved, hosts, plain, read_table
from anyllm_fast.config.urls import is_loopback, read_base_url
from anyllm_fast.config.variables import known
from anyllm_fast.providers import open_target
from anyllm_fast.providers.compatible import facts_of
from anyllm_fast.providers.openai import WAYS

ROWS = hosts().host
REFERENCE = """
groq together_ai openrouter fireworks_ai mistral perplexity deepseek cerebras ollama hosted_vllm databricks sambanova
nebius deepinfra novita cohere_chat ai21 huggingface anyscale xai nvidia_nim codestral moonshot volcengine minimax
zhipuai featherless_ai friendliai lambda_ai hyperbolic nscale github aleph_alpha nlp_cloud clarifai predibase replicate
chutes gmi_cloud meta_llama ai_ml_api voyage scaleway baseten lm_studio llamafile xinference azure_ai watsonx cloudflare
snowflake petals triton dashscope jina ovhcloud infinity gradient_ai galadriel morph lemonade docker_model_runner
xiaomi_mimo public_ai nanogpt wandb bytez siliconflow blackboxai pollinations stability_ai iflytek baidu lmsys deepgram
assemblyai elevenlabs playht cartesia brave serper tavily exa sagemaker
"""


def read(environ: dict[str, str]) -> Backend:
    resolved = resolve({"HOME": "/nonexistent-home", **environ}, None, Path("/nonexistent"))
    assert resolved.errors == ()
    assert resolved.settings is not None
    return resolved.settings.backends[0]


@pytest.mark.parametrize("host", ROWS, ids=lambda host: host.id)
def test_a_row_is_sound(host: Host) -> None:
    values = dict.fromkeys(host.placeholders, "https://h" if host.base.startswith("{") else "a")
    if host.base:
        url = read_base_url(host.id, host.address(values), "/chat/completions", "")
        assert url.tls or (host.local and is_loopback(url.host))
        assert not host.address(values).endswith("/")
    else:
        assert host.bases, "an address has to come from somewhere"
    assert host.keys or host.local
    for name in host.variables:
        assert re.fullmatch(r"[A-Z][A-Z0-9_]+", name)
        assert known(name)
    for word, path in host.speaks.items():
        assert word in {"responses", "messages"}
        assert not path or (path.startswith("/") and host.base)
    facts_of(host, stream_usage=True)("any-model")


def test_no_id_or_alias_stands_for_two_things() -> None:
    names = [plain(name) for row in (*ROWS, *hosts().unserved) for name in (row.id, *row.aliases)]
    assert len(names) == len(set(names))
    assert not {*names} & {*KINDS}


@pytest.mark.parametrize("name", REFERENCE.split())
def test_an_id_that_anyllm_proxy_knows_is_served_or_refused_with_a_reason(name: str) -> None:
    row = hosts().find(name)
    assert row is not None
    assert isinstance(row, Host) or row.why


@pytest.mark.parametrize("name", ["nano-gpt", "nanogpt", "NANO_GPT", "zai", "zhipuai", "Together-AI", "vllm", "scx_ai"])
def test_a_host_is_found_by_id_or_alias_in_either_spelling(name: str) -> None:
    assert isinstance(hosts().find(name), Host)


@pytest.mark.parametrize("host", ROWS, ids=lambda host: host.id)
def test_every_host_becomes_a_target(host: Host) -> None:
    environ = {"BACKEND": host.id, "PROXY_API_KEYS": "k", **dict.fromkeys(host.keys[:1], "key-0123456789")}
    environ |= dict.fromkeys(host.placeholders, "name")
    if not host.base:
        environ[host.bases[0]] = "http://127.0.0.1:9/v1"
    backend = read(environ)
    target = open_target(backend)
    assert backend.name == target.name == host.id
    assert {surface.dialect for surface in target.surfaces("m")} == {
        "openai_chat",
        *(WAYS[word].dialect for word in host.speaks),  # type: ignore[index]  # test_a_row_is_sound knows the words
    }
    assert target.surfaces("m")[0].dialect == "openai_chat"
    assert target.surfaces("m")[0].path("m", False).endswith(b"/chat/completions")
    assert target.credentials == (((b"authorization", b"Bearer key-0123456789"),) if host.keys else ())


def test_a_row_with_a_misspelt_member_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown field `key`"):
        read_table('[[host]]\nid = "x"\nkey = ["X"]\n')


def test_what_is_refused_says_why() -> None:
    row = hosts().find("voyage")
    assert isinstance(row, Unserved)
    errors = resolve({"BACKEND": "voyage"}, None, Path("/nonexistent")).errors
    assert errors == ("BACKEND=voyage is known but cannot be used: voyage serves embeddings and rankings",)


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"BACKEND": "groq"}, "https://api.groq.com/openai/v1/chat/completions"),
        ({"BACKEND": "zhipuai"}, "https://api.z.ai/api/paas/v4/chat/completions"),
        ({"BACKEND": "perplexity"}, "https://api.perplexity.ai/chat/completions"),
        ({"BACKEND": "deepinfra"}, "https://api.deepinfra.com/v1/openai/chat/completions"),
        ({"BACKEND": "github"}, "https://models.github.ai/inference/chat/completions"),
        ({"BACKEND": "ollama"}, "http://localhost:11434/v1/chat/completions"),
        ({"BACKEND": "ollama", "OLLAMA_API_BASE": "http://10.0.0.1:11434"}, "http://10.0.0.1:11434/v1/chat/completions"),
        ({"BACKEND": "groq", "OPENAI_BASE_URL": "http://h:1/v1"}, "http://h:1/v1/chat/completions"),
        (
            {"BACKEND": "groq", "OPENAI_BASE_URL": "http://h:1/v1", "GROQ_API_BASE": "http://own:1/x/v1"},
            "http://own:1/x/v1/chat/completions",
        ),
        ({"BACKEND": "databricks", "DATABRICKS_HOST": "https://w.net"}, "https://w.net/serving-endpoints/chat/completions"),
        ({"BACKEND": "databricks", "DATABRICKS_HOST": "w.net"}, "https://w.net/serving-endpoints/chat/completions"),
        (
            {"BACKEND": "cloudflare", "CLOUDFLARE_ACCOUNT_ID": "abc"},
            "https://api.cloudflare.com/client/v4/accounts/abc/ai/v1/chat/completions",
        ),
    ],
)
def test_calls_go_to_the_hosts_address_or_where_it_was_moved(environ: dict[str, str], url: str) -> None:
    assert read(environ).url("/v1/chat/completions") == url


@pytest.mark.parametrize(
    ("environ", "key"),
    [
        ({"GROQ_API_KEY": "own", "OPENAI_API_KEY": "other"}, "own"),
        ({"OPENAI_API_KEY": "other"}, "other"),
        ({}, ""),
    ],
)
def test_a_hosts_own_key_counts_before_openais(environ: dict[str, str], key: str) -> None:
    assert read({"BACKEND": "groq", **environ}).api_key == key


def test_another_vendors_key_is_not_sent_in_silence() -> None:
    resolved = resolve({"BACKEND": "groq", "OPENAI_API_KEY": "k"}, None, Path("/nonexistent"))
    told = [note.text for note in resolved.notes if note.about == "OPENAI_API_KEY"]
    assert told == ["is sent to https://api.groq.com/openai/v1, because GROQ_API_KEY is not set"]


@pytest.mark.parametrize(
    ("environ", "error"),
    [
        ({"BACKEND": "azure_ai"}, "AZURE_AI_API_BASE is required when BACKEND=azure_ai, which has no address of its own"),
        (
            {"BACKEND": "cloudflare"},
            "CLOUDFLARE_ACCOUNT_ID is required when BACKEND=cloudflare, which has no address of its own",
        ),
        (
            {"BACKEND": "groq", "GROQ_API_BASE": "http://169.254.169.254/v1"},
            "GROQ_API_BASE rejected: cloud metadata address 169.254.169.254 not allowed",
        ),
        (
            {"BACKEND": "hosted_vllm", "LISTEN_PORT": "8000"},
            "HOSTED_VLLM_API_BASE rejected: 'http://localhost:8000/v1' is this gateway itself (port 8000); that setting is for"
            " clients, unset it for the gateway",
        ),
        (
            {"BACKEND": "snowflake", "SNOWFLAKE_ACCOUNT_ID": "evil.example/x?"},
            "SNOWFLAKE_ACCOUNT_ID rejected: it must not have a query or a fragment",
        ),
    ],
)
def test_an_address_that_cannot_be_used_is_one_line(environ: dict[str, str], error: str) -> None:
    assert resolve(environ, None, Path("/nonexistent")).errors == (error,)


def test_a_host_that_was_moved_loses_the_paths_that_are_its_vendors_own() -> None:
    usual, moved = read({"BACKEND": "moonshot"}), read({"BACKEND": "moonshot", "MOONSHOT_API_BASE": "http://h:1/v1"})
    paths = {surface.dialect: surface.path("m", False) for surface in open_target(usual).surfaces("m")}
    assert paths == {
        "openai_chat": b"/v1/chat/completions",
        "anthropic": b"/anthropic/v1/messages",
        "openai_responses": b"/v1/responses",
    }
    assert {surface.dialect for surface in open_target(moved).surfaces("m")} == {"openai_chat", "openai_responses"}
