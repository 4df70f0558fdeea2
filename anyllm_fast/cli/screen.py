"""The start screen: one screen that says what runs and how to use it. Text only; shows no secret."""

from __future__ import annotations

from anyllm_fast import __version__
from anyllm_fast.config.settings import Access, Backend, Settings, mask
from anyllm_fast.config.urls import is_loopback

_MESSAGES = """{"model":"claude-sonnet-4-5","max_tokens":100,"messages":[{"role":"user","content":"Hello"}]}"""
_CHAT = """{"model":"gpt-4o","messages":[{"role":"user","content":"Hello"}]}"""
_CALLERS: dict[Access, str] = {
    "keys": "{keys} (PROXY_API_KEYS)",
    "open_relay": "anyone who shows any credential (PROXY_OPEN_RELAY)",
    "demo": "anyone; there is nothing to protect on the demo backend",
    "closed": "NOBODY: every call is refused until PROXY_API_KEYS or PROXY_OPEN_RELAY=true is set",
}


def write_screen(prog: str, settings: Settings, implementation: str, seconds: float) -> str:
    """About 15 lines. `seconds` is how long the start took."""
    base = local_url(settings)
    key = "any" if settings.access in {"open_relay", "demo"} else "YOUR_PROXY_KEY"
    workers = "1 worker" if settings.workers == 1 else f"{settings.workers} workers"
    lines = [
        f"{prog} {__version__} ({implementation}) listens on {listen_url(settings)}, {workers}, ready in {seconds:.2f} s",
        *(f"  backend      {describe(backend)}" for backend in settings.backends),
        f"  callers      {describe_callers(settings)}",
        "",
        f"  Claude Code  ANTHROPIC_BASE_URL={base} ANTHROPIC_API_KEY={key} claude",
        f'  openai SDK   OpenAI(base_url="{base}/v1", api_key="{key}")',
        f"  curl         curl {base}/v1/messages -H 'x-api-key: {key}' -H 'content-type: application/json' \\",
        f"                 -d '{_MESSAGES}'",
        f"               curl {base}/v1/chat/completions -H 'authorization: Bearer {key}' -H 'content-type: application/json' \\",
        f"                 -d '{_CHAT}'",
        "",
        f"  Ctrl-C stops it; `{prog} check` explains the configuration.",
    ]
    return "\n".join(lines)


def describe(backend: Backend) -> str:
    if backend.kind == "demo":
        return (
            "DEMO, built in: its answers are made up and no account is needed.\n"
            "               For a real one set OPENAI_BASE_URL and OPENAI_API_KEY, or ANTHROPIC_API_KEY."
        )
    parts = [f"{backend.name} {backend.url('/v1')}", _credential(backend)]
    if backend.big_model and backend.small_model:
        parts.append(f"sonnet, opus -> {backend.big_model}; haiku -> {backend.small_model}")
    return ", ".join(parts)


def _credential(backend: Backend) -> str:
    if backend.api_key:
        return f"key {mask(backend.api_key)}"
    match backend.kind:
        case "azure":
            return f"tokens for {backend.azure.client_id}"
        case "vertex":
            return f"tokens from {backend.google.credentials_file or backend.google.metadata_url}"
        case "bedrock":
            return "AWS credentials"
    return "no key"


def describe_callers(settings: Settings) -> str:
    count = len(settings.proxy_key_digests)
    text = _CALLERS[settings.access].format(keys=f"holders of {'one key' if count == 1 else f'one of {count} keys'}")
    if settings.ip_allowlist is not None:
        text += f"; {len(settings.ip_allowlist)} address range(s) only (IP_ALLOWLIST)"
    return text


def listen_url(settings: Settings) -> str:
    return f"http://{_bracketed(settings.host)}:{settings.port}"


def local_url(settings: Settings) -> str:
    """How a client on this machine reaches it."""
    host = "localhost" if is_loopback(settings.host) else settings.host
    return f"http://{_bracketed(host)}:{settings.port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
