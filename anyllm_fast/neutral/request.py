"""A request in the neutral middle: the union of what the dialects can say. Knows no dialect.

Leaves are `msgspec.Raw` wherever nothing inside has to look at them: strings stay quoted and escaped, numbers as they were
written, schemas and arguments with their key order and white space. That is fast, and it keeps the provider's prompt cache:
the same conversation gives the same bytes. `None` means that the client did not say.

`where` on a node is its path in the client's body, for error messages and announced losses. `private` holds the members that only
the source dialect knows, under their own names: a writer of another dialect announces them, the same dialect writes them back.
`inner` is the same for an object that the reader took apart (a tool's `function`, an image's `source`): what was left in it,
under the object's name.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Raw

from anyllm_fast.neutral.losses import ROOT, Where

Members = dict[str, Raw]
Inner = dict[str, Members]

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class CacheMark(msgspec.Struct, gc=False):
    """The prompt up to and including this node may be cached. `ttl` in seconds, 0 = the provider's default."""

    ttl: int = 0
    private: Members = {}
    where: Where = ROOT  # of the mark itself; its last step is the member's name in the source dialect


class Text(msgspec.Struct, kw_only=True, gc=False):
    text: Raw  # JSON string
    cache: CacheMark | None = None
    citations: Raw | None = None  # array in the source dialect's form
    vendor_only: bool = False  # the client's accounting with its own vendor (Claude Code's billing line): no other may see it
    private: Members = {}
    where: Where = ROOT


class Media(msgspec.Struct, kw_only=True, gc=False):
    """An image, document, audio or video. Exactly one of data, url, file_id, text, parts is set."""

    kind: Literal["image", "document", "audio", "video"]
    data: Raw | None = None  # JSON string of base64
    media_type: str = ""  # of `data`: image/png, application/pdf, audio/wav ...
    url: Raw | None = None  # JSON string, http(s)
    file_id: Raw | None = None  # JSON string, a file of the upstream's own
    text: Raw | None = None  # JSON string: a plain-text document
    parts: list[Part] | None = None  # a document given as content blocks
    name: Raw | None = None  # JSON string: title or file name
    name_where: Where = ROOT
    context: Raw | None = None  # JSON string: what the document is about (Anthropic)
    citations: Raw | None = None  # citations switch of a document (Anthropic object)
    detail: Raw | None = None  # JSON string: resolution asked for (OpenAI)
    detail_where: Where = ROOT
    cache: CacheMark | None = None
    private: Members = {}
    inner: Inner = {}
    where: Where = ROOT


class Thinking(msgspec.Struct, kw_only=True, gc=False):
    """The model's reasoning, coming back. `signature` opaque, b'""' or None if there was none. `redacted`: `text` is the
    encrypted data. `origin` is the dialect whose upstream signed it, as the reader found out (signatures.py): a writer of that
    dialect gives it back exactly as it was, any other leaves the signature out and announces that. "" where nobody signed.
    A signature of the form `anyllm:FIELD` names the field by which an upstream without signatures sent this text
    (anyllm:reasoning_content), so that it can be given back there and to nobody else."""

    text: Raw  # JSON string
    signature: Raw | None = None  # JSON string, without our tag
    origin: str = ""  # name of the dialect that the signature (or the redacted data) belongs to
    redacted: bool = False
    cache: CacheMark | None = None
    private: Members = {}
    where: Where = ROOT


class ToolCall(msgspec.Struct, kw_only=True, gc=False):
    ident: Raw  # JSON string
    name: Raw  # JSON string
    args: Raw  # the arguments themselves: a JSON object, as written
    custom: bool = False  # a free-form tool: `args` is a JSON string of raw text
    cache: CacheMark | None = None
    private: Members = {}
    inner: Inner = {}
    where: Where = ROOT


class ToolResult(msgspec.Struct, kw_only=True, gc=False):
    ident: Raw  # JSON string, the call's id
    parts: list[Part]
    plain: bool = False  # content was a bare string, so `parts` is one Text
    failed: bool = False
    name: Raw | None = None
    cache: CacheMark | None = None
    private: Members = {}
    where: Where = ROOT


class Refusal(msgspec.Struct, kw_only=True, gc=False):
    text: Raw
    private: Members = {}
    where: Where = ROOT


class Foreign(msgspec.Struct, kw_only=True, gc=False):
    """A content part that only its own dialect knows (server tools, search results, ...), kept whole.

    `parts` says the same in neutral parts, for every other dialect: an empty list where nothing is shown to the model, None where
    it cannot be said (a writer of another dialect refuses). `unsaid` are the paths of what they leave out (encrypted for the
    source's own servers, or instructions to them), which a writer announces.
    """

    type: str
    raw: Raw
    parts: list[Part] | None = None
    unsaid: list[Where] = []
    cache: CacheMark | None = None
    where: Where = ROOT


Part = Text | Media | Thinking | ToolCall | ToolResult | Refusal | Foreign


class Turn(msgspec.Struct, kw_only=True, gc=False):
    """One message. Tool results live in user turns (Anthropic's way); `system` turns may stand anywhere, also before all others:
    a dialect that keeps its system prompt among the messages reads it as turns (see `hoisted`)."""

    role: Literal["user", "assistant", "system"]
    parts: list[Part]
    plain: bool = False  # content was a bare string
    name: Raw | None = None  # participant's name (OpenAI)
    developer: bool = False  # role was `developer`, OpenAI's newer word for system
    effort: Raw | None = None  # JSON string: from this system turn on, the model works with this effort (Anthropic)
    effort_where: Where = ROOT
    transient: bool = False  # shown to the model only until the next user turn (Anthropic clear_at)
    private: Members = {}
    inner: Inner = {}
    where: Where = ROOT


class Tool(msgspec.Struct, kw_only=True, gc=False):
    """A function that the client runs."""

    name: Raw
    description: Raw | None = None
    schema: Raw | None = None  # JSON schema of the arguments; None: takes none
    strict: Raw | None = None  # true/false
    cache: CacheMark | None = None
    deferred: bool = False  # not shown to the model until a search finds it (Anthropic defer_loading)
    found: bool = False  # deferred, and the history shows that a search has found it (or the target could never search)
    private: Members = {}
    inner: Inner = {}
    where: Where = ROOT


class ToolForm(msgspec.Struct, frozen=True):
    """How a client calls a tool of its own that is a plain function for everybody else (Request.forms, StreamOptions.forms).

    kind: `custom` (free-form: the neutral arguments are `{"input": "the text"}`), `namespaced` (a function inside a namespace),
    `local_shell`, `shell`, `apply_patch` (OpenAI's built-in tools that the client runs; arguments as in their call items).
    """

    kind: Literal["custom", "namespaced", "local_shell", "shell", "apply_patch"]
    name: bytes  # span: the tool's name in the client's own words
    namespace: bytes = b""  # span


class ServerTool(msgspec.Struct, kw_only=True):
    """A tool that the provider runs. `kind` is the neutral name where two dialects share one, else ''."""

    kind: Literal["web_search", "web_fetch", "code_execution", ""] = ""
    type: str = ""  # in the source dialect
    raw: Raw = Raw(b"{}")
    allowed_domains: Raw | None = None
    blocked_domains: Raw | None = None
    max_uses: Raw | None = None
    user_location: Raw | None = None  # {"type":"approximate","city","region","country","timezone"}
    context_size: Raw | None = None
    cache: CacheMark | None = None
    private: Members = {}
    paths: dict[str, Where] = {}  # member of these -> where the client said it, where its dialect has another name or place
    where: Where = ROOT

    def path(self, member: str) -> Where:
        return self.paths.get(member) or (self.where, member)


class CustomTool(msgspec.Struct, kw_only=True):
    """A free-form tool: its input is text, by a grammar if `format` says so (OpenAI custom tools).

    A target without such tools gets it as a function with one argument (custom_tools.as_function). In replies a call of one has
    the arguments `{"input": "the text"}`, whoever made it; its client's encoder takes the text out again (ToolForm `custom`).
    """

    name: Raw
    description: Raw | None = None
    format: Raw | None = None
    private: Members = {}
    inner: Inner = {}
    where: Where = ROOT


class ToolChoice(msgspec.Struct, kw_only=True):
    mode: Literal["auto", "none", "required", "tool", "allowed"]
    name: Raw | None = None  # mode tool
    allowed: Raw | None = None  # mode allowed: OpenAI's allowed_tools object
    names: list[str] = []  # mode allowed: the tools that may be called
    required: bool = False  # mode allowed: one of them has to be
    custom: bool = False
    private: Members = {}
    inner: Inner = {}
    where: Where = ROOT


class Reasoning(msgspec.Struct, kw_only=True):
    """How much the model may think. `mode` budget: `budget` tokens; adaptive: the model decides, guided by `effort`;
    between_tools: the same, but only between tool calls (Anthropic); effort: `effort` alone was said, of thinking; off; "": only
    `effort` was said, of all work."""

    mode: Literal["budget", "adaptive", "between_tools", "effort", "off", ""] = ""
    budget: int | None = None
    effort: Raw | None = None  # JSON string: none minimal low medium high xhigh max, or a newer word
    display: Raw | None = None  # summarized | omitted | updates (Anthropic's words)
    private: Members = {}
    where: Where = ROOT
    effort_where: Where = ROOT
    display_where: Where = ROOT


class OutputFormat(msgspec.Struct, kw_only=True):
    kind: Literal["text", "json", "json_schema"]
    schema: Raw | None = None
    name: Raw | None = None
    description: Raw | None = None
    strict: Raw | None = None
    private: Members = {}
    inner: Inner = {}
    where: Where = ROOT


class Request(msgspec.Struct, kw_only=True):
    """One model call. Numbers are Raw, validated as numbers by the reader, spliced as written."""

    model: str
    source: str = ""  # name of the dialect that it was read from: `private` members are of that dialect
    stream: bool = False
    system: list[Text] = []
    system_plain: bool = False  # system was a bare string
    turns: list[Turn] = []
    tools: list[Tool | ServerTool | CustomTool] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    reasoning: Reasoning | None = None
    format: OutputFormat | None = None
    max_tokens: Raw | None = None
    temperature: Raw | None = None
    top_p: Raw | None = None
    top_k: Raw | None = None
    stop: list[Raw] | None = None  # JSON strings
    user: Raw | None = None  # who asks, opaque (metadata.user_id, user, safety_identifier)
    service_tier: Raw | None = None
    seed: Raw | None = None  # integer
    presence_penalty: Raw | None = None
    frequency_penalty: Raw | None = None
    logprobs: bool | None = None
    top_logprobs: Raw | None = None  # count
    verbosity: Raw | None = None  # JSON string: low medium high (OpenAI)
    metadata: Raw | None = (
        None  # object of strings that the service keeps with the call (OpenAI metadata, Converse requestMetadata)
    )
    store: Raw | None = None  # true/false: the service may keep the reply
    cache_key: Raw | None = None  # JSON string: requests with the same one share a prompt cache (OpenAI prompt_cache_key)
    cache_retention: Raw | None = None  # JSON string (OpenAI prompt_cache_retention)
    include_usage: bool = False  # stream_options.include_usage
    cache: CacheMark | None = None  # automatic caching of the whole prompt (Anthropic top-level cache_control)
    private: Members = {}  # top-level members that only the source dialect knows
    inner: Inner = {}
    idle: set[str] = set()  # of those, what says only the documented default (`n`, `stream_options.x`): no loss
    forms: dict[bytes, ToolForm] = {}  # set by a reader: tool's name in `tools` (span) -> how the client itself calls it
    renamed: dict[bytes, bytes] = {}  # set by a writer: tool's name at the target -> the client's own (spans)
    where: dict[str, Where] = {}  # neutral field -> path, where it is not the obvious one

    def path(self, field: str) -> Where:
        """Where the client said `field`."""
        return self.where.get(field) or (ROOT, field)


def hoisted(request: Request) -> tuple[list[Turn], list[Turn]]:
    """The leading system turns, and the turns after them: for dialects whose system prompt is a field of its own."""
    turns = request.turns
    first = next((place for place, turn in enumerate(turns) if turn.role != "system"), len(turns))
    return turns[:first], turns[first:]
