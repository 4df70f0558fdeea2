"""What a dialect must be able to do to take part. One implementation per file in dialects/, one row in its table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from anyllm_fast.errors import GatewayError
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.reply import Reply
from anyllm_fast.neutral.request import Request
from anyllm_fast.neutral.stream import Failure, Pipe, Sink, StreamOptions
from anyllm_fast.neutral.usage import Usage


class Peek(msgspec.Struct, frozen=True):
    """What routing must know of a body: asked for before anything else is decoded."""

    model: str
    stream: bool
    include_usage: bool


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about the upstream that a writer asks. Never its name."""

    default_max_tokens: int = 8192  # where the target demands a limit and the client gave none
    max_tokens_field: str = "max_completion_tokens"  # Chat: older compatible hosts know only max_tokens
    include_stream_usage: bool = True  # Chat: host knows stream_options
    cache_breakpoints: bool = False  # Chat: host and model know prompt_cache_breakpoint
    top_k: bool = False  # Chat: host knows top_k (vLLM, llama.cpp and most compatible ones; OpenAI does not)
    samples: bool = True  # model takes temperature and top_p
    reasoning_effort: bool = True  # Chat: model takes reasoning_effort
    takes_reasoning: bool = True  # Chat: host takes reasoning back in the member of an answer in which one like it sent it
    reasoning_off: str = "none"  # Chat: the word of reasoning_effort that means off; "" if the model has none
    adaptive_thinking: bool = True  # Anthropic: model takes thinking.type adaptive and output_config.effort
    thinking_off: bool = True  # Anthropic: model takes thinking.type disabled
    temperature_with_top_p: bool = False  # Anthropic: model takes both in one request (before Opus 4.1)
    system_turns: bool = False  # Anthropic: model takes role system among the messages (from Opus 4.8)
    developer_role: bool = False  # Chat: system prompts go out as developer
    text_arrays: bool = True  # Chat: host takes content as an array of texts; else they are joined
    tool_name_limit: int = 64  # Chat: longest name of a function
    web_search_options: bool = False  # Chat: model searches the web by itself
    custom_tools: bool = False  # Chat, Responses: host takes free-form tools; else they go as functions
    thinking_levels: bool = False  # Gemini: model takes thinkingLevel (from Gemini 3); else thinkingBudget
    call_signatures: bool = False  # Gemini: model refuses calls in the history without thoughtSignature (from Gemini 3)
    media_results: bool = False  # Gemini: model takes media inside functionResponse (from Gemini 3)
    json_schemas: bool = True  # Gemini: host takes parametersJsonSchema and responseJsonSchema; else the OpenAPI subset
    labels: bool = False  # Gemini: host takes labels (Vertex)
    server_tools_with_functions: bool = False  # Gemini: model takes Google's own tools beside functions (from Gemini 3)
    format_with_tools: bool = True  # Gemini: model takes a response schema beside functions (from Gemini 3)
    part_resolution: bool = False  # Gemini: model takes mediaResolution on one part (from Gemini 3)
    anthropic_model: bool = False  # Converse: a Claude model, which takes its own fields in additionalModelRequestFields
    cache_points: bool = False  # Converse: model takes cachePoint
    system_prompts: bool = True  # Converse: model takes system
    cache_point_lives: bool = False  # Converse: model takes ttl in cachePoint (Claude from 4.5)
    enforced_schemas: bool = True  # Converse: model takes outputConfig.textFormat and strict tools; else words
    converse_effort: str = ""  # Converse: reasoning_effort, reasoningConfig or outputConfig: where others than Claude take it
    stored: bool = True  # Responses: host keeps replies, so it is told not to (store: false)
    hosted_tools: bool = True  # Responses: host runs OpenAI's own tools (web_search, code_interpreter)
    reasoning_summary: bool = True  # Responses: host shows summaries of reasoning to those who ask
    least_tokens: int = 16  # Responses: smallest limit that the host takes


class ModelInfo(msgspec.Struct, frozen=True):
    """A row of a models list."""

    id: str
    created: int = 0
    owned_by: str = ""
    display_name: str = ""


ModelList = Sequence[ModelInfo]


class Dialect(Protocol):
    """A wire dialect, both ways. All `bytes` bodies are UTF-8 JSON. Readers raise InvalidRequest with the field's path."""

    name: str
    content_type_stream: bytes
    request_id_header: bytes
    """The reply header in which the vendor's SDKs look for a request id to show in their errors."""
    keepalive: bytes
    """A frame that may be sent between two others to keep an idle connection open; b"" where clients take none."""

    signs: bool
    """Upstreams of this dialect sign their reasoning and want it back with the results of tools."""
    gives_back: bool
    """Clients of this dialect give reasoning back with its signature. Where not, it is kept for them."""

    def peek(self, body: bytes) -> Peek:
        """Raises InvalidRequest for a body that is no sound JSON object. `model` is "" where the dialect has it in the path."""
        ...

    def read_counted(self, body: bytes) -> bytes:
        """The request in the body of a token count, where that wraps one. Raises InvalidRequest."""
        ...

    def read_request(self, body: bytes, losses: Losses) -> Request: ...

    def write_request(self, request: Request, model: str, profile: Profile, losses: Losses) -> bytes: ...

    def read_reply(self, body: bytes, losses: Losses) -> Reply:
        """A whole reply. Raises ValueError if it is none (the gateway makes it UpstreamBroken)."""
        ...

    def read_stream(self, body: bytes, max_frame: int) -> Reply:
        """The reply that a whole stream stands for; with its `failure` where it was cut or said so. Never raises."""
        ...

    def write_reply(self, reply: Reply, options: StreamOptions, losses: Losses) -> bytes: ...

    def read_usage(self, body: bytes) -> Usage:
        """Counts of a whole reply that is passed on unread; unknown counts if it says none. Never raises."""
        ...

    def read_error(self, status: int, body: bytes) -> Failure:
        """An upstream's error answer, any form it may take (also HTML, empty, or of another vendor). Never raises."""
        ...

    def read_failure(self, body: bytes) -> Failure | None:
        """The error in a body that came with status 200, or None if it is no error object."""
        ...

    def write_error(self, error: GatewayError, request_id: str) -> bytes: ...

    def error_headers(self, error: GatewayError) -> list[tuple[bytes, bytes]]:
        """Reply headers that the vendor's clients read an error from, beside its body."""
        ...

    def write_count(self, tokens: int) -> bytes:
        """The answer to a token count."""
        ...

    def read_count(self, body: bytes) -> int:
        """An upstream's answer to a token count. ValueError if it is none."""
        ...

    def status_of(self, error: GatewayError) -> int:
        """The HTTP status that this dialect's vendor would send for the error."""
        ...

    def write_models(self, models: ModelList) -> bytes: ...

    def write_model(self, info: ModelInfo) -> bytes: ...

    def read_models(self, body: bytes) -> list[ModelInfo]:
        """An upstream's models list. ValueError if it is none."""
        ...

    def open_pipe(self, client: Dialect, options: StreamOptions, max_frame: int) -> Pipe:
        """A pipe from this dialect's stream (upstream) to `client`'s. On the diagonal: a Watch."""
        ...

    def encoder(self, options: StreamOptions) -> Encoder: ...


class Encoder(Sink, Protocol):
    """A Sink that appends bytes."""

    losses: list[str]
    """Names of what it could not carry, each once."""

    def take(self) -> bytes:
        """What was appended since the last call."""
        ...
