"""Which backend the variables describe, and what contradicts it. Checks addresses, connects to nothing."""

from __future__ import annotations

from msgspec.structs import replace

from anyllm_fast.config.notes import info, quoted, warning
from anyllm_fast.config.settings import DEMO, Backend, Kind
from anyllm_fast.config.spelling import closest
from anyllm_fast.config.urls import BaseUrl, is_loopback, is_private, read_base_url
from anyllm_fast.config.values import Reader
from anyllm_fast.config.variables import BY_NAME
from anyllm_fast.errors import ConfigError

KINDS: tuple[Kind, ...] = ("openai", "anthropic", "demo")
OWN_PROTOCOL = frozenset({"azure", "vertex", "vertex_ai", "gemini", "bedrock", "sagemaker"})
"""Known from anyllm_proxy, with a protocol or a signature that this version does not speak."""
_COMPATIBLE = """
groq together_ai openrouter fireworks_ai mistral perplexity deepseek cerebras ollama hosted_vllm databricks sambanova
nebius deepinfra novita cohere_chat ai21 huggingface anyscale xai nvidia_nim codestral moonshot volcengine minimax
zhipuai featherless_ai friendliai lambda_ai hyperbolic nscale github aleph_alpha nlp_cloud clarifai predibase replicate
chutes gmi_cloud meta_llama ai_ml_api voyage scaleway baseten lm_studio llamafile xinference azure_ai watsonx cloudflare
snowflake petals triton dashscope jina ovhcloud infinity gradient_ai galadriel morph lemonade docker_model_runner
xiaomi_mimo public_ai nanogpt wandb bytez siliconflow blackboxai pollinations stability_ai iflytek baidu lmsys deepgram
assemblyai elevenlabs playht cartesia brave serper tavily exa
"""
OPENAI_COMPATIBLE = frozenset(_COMPATIBLE.split())
"""The catalog ids of anyllm_proxy that are reached with OPENAI_BASE_URL here."""

_OPENAI = ("OPENAI_API_KEY", "OPENAI_BASE_URL")
_ANTHROPIC = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL")
_OF_KIND: dict[Kind, tuple[str, ...]] = {
    "openai": (*_OPENAI, "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "BIG_MODEL", "SMALL_MODEL", "OMIT_STREAM_OPTIONS"),
    "anthropic": _ANTHROPIC,
}
_OAUTH_PREFIX = "sk-ant-oat"


def read_backend(reader: Reader, listen_port: int) -> Backend:
    """The one backend of this version. Mistakes go to `reader.errors`; what is set in vain to `reader.notes`."""
    kind = choose(reader)
    _note_what_is_unused(reader, kind)
    if kind == "openai":
        backend = _aim(reader, _read_openai(reader), "OPENAI_BASE_URL", "/chat/completions", listen_port)
    elif kind == "anthropic":
        backend = _aim(reader, _read_anthropic(reader), "ANTHROPIC_BASE_URL", "/messages", listen_port)
    else:
        return DEMO
    return replace(backend, headers=reader.headers("ANYLLM_UPSTREAM_HEADERS"))


def choose(reader: Reader) -> Kind:
    """BACKEND, else by what is set: OPENAI_* before ANTHROPIC_*, and the demo where there is neither."""
    wanted = reader.text("BACKEND").lower()
    if not wanted:
        openai, anthropic = any(map(reader.given, _OPENAI)), any(map(reader.given, _ANTHROPIC))
        return "openai" if openai else "anthropic" if anthropic else "demo"
    if wanted in KINDS:
        return wanted
    if wanted in OWN_PROTOCOL:
        reader.fail("BACKEND", f"BACKEND={wanted} is known but not available in this version; it has {', '.join(KINDS)}")
    elif wanted in OPENAI_COMPATIBLE:
        reader.fail(
            "BACKEND",
            f"BACKEND={wanted} is known but not available by name in this version; use BACKEND=openai with its address in "
            "OPENAI_BASE_URL and its key in OPENAI_API_KEY",
        )
    else:
        meant = closest(wanted, KINDS)
        hint = f" (did you mean {meant}?)" if meant else ""
        shown = quoted(reader.values["BACKEND"].text.strip())
        reader.fail("BACKEND", f"unknown BACKEND value {shown}. Known values: {', '.join(KINDS)}{hint}")
    return "demo"


def _read_openai(reader: Reader) -> Backend:
    if reader.choice("OPENAI_API_FORMAT") == "responses":
        reader.fail("OPENAI_API_FORMAT", "OPENAI_API_FORMAT=responses is known but not available in this version; it has chat")
    return Backend(
        name="openai",
        kind="openai",
        base_url=reader.url("OPENAI_BASE_URL"),
        api_key=reader.secret("OPENAI_API_KEY"),
        organization=reader.token("OPENAI_ORG_ID"),
        project=reader.token("OPENAI_PROJECT_ID"),
        big_model=reader.text("BIG_MODEL"),
        small_model=reader.text("SMALL_MODEL"),
        omit_stream_options=reader.flag("OMIT_STREAM_OPTIONS"),
    )


def _read_anthropic(reader: Reader) -> Backend:
    key, token = reader.secret("ANTHROPIC_API_KEY"), reader.secret("ANTHROPIC_AUTH_TOKEN")
    if key and token:
        reader.notes.append(info("ANTHROPIC_AUTH_TOKEN", "not used, because ANTHROPIC_API_KEY is set"))
    bearer = not key or key.startswith(_OAUTH_PREFIX)
    return Backend(
        name="anthropic",
        kind="anthropic",
        base_url=reader.url("ANTHROPIC_BASE_URL"),
        api_key=key or token,
        auth="bearer" if bearer else "x-api-key",
    )


def _aim(reader: Reader, backend: Backend, name: str, operation: str, listen_port: int) -> Backend:
    """The backend with its URL taken apart and checked against its key and against our own address."""
    try:
        url = read_base_url(name, backend.base_url, operation)
    except ConfigError as error:
        reader.fail(name, str(error))
        return backend
    if is_loopback(url.host) and url.port == listen_port:
        reader.fail(
            name,
            f"{name} rejected: {quoted(backend.base_url)} is this gateway itself (port {listen_port}); that setting is"
            " for clients, unset it for the gateway",
        )
    _judge_key(reader, backend, url, name)
    return replace(backend, base_url=url.base, api_prefix=url.prefix)


def _judge_key(reader: Reader, backend: Backend, url: BaseUrl, name: str) -> None:
    vendor = BY_NAME[name].default == url.base
    if vendor and not backend.api_key:
        if backend.kind == "anthropic":
            reader.fail("BACKEND", "ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN is required when BACKEND=anthropic")
        else:
            reader.notes.append(warning("OPENAI_API_KEY", f"not set: {url.base} will refuse every call"))
    if backend.api_key and not url.tls and not is_private(url.host):
        reader.notes.append(warning(name, "plain http: the key and all prompts cross the network unencrypted"))


def _note_what_is_unused(reader: Reader, kind: Kind) -> None:
    """Variables of a backend that is not the one in use: said, because a forgotten one is often why calls go elsewhere."""
    tell = info if reader.given("BACKEND") else warning
    for owner, names in _OF_KIND.items():
        if owner != kind:
            reader.notes += [tell(name, f"not used, the backend is {kind}") for name in names if reader.given(name)]
