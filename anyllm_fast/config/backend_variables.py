"""Rows of the table of variables: which backend there is, and what each kind of it needs. Parses no value.

Names are those of anyllm_proxy where it has one, else those of the vendor's own tools, with LiteLLM's as aliases.
"""

from __future__ import annotations

from anyllm_fast.config.hosts import hosts
from anyllm_fast.config.variable import Variable, used

_CHOICE = (
    used(
        "Backend",
        "BACKEND",
        "text",
        "",
        "Where calls go: `openai` (also any server that speaks OpenAI's APIs), `anthropic`, `azure`, `gemini`, `vertex`,"
        " `bedrock`, the id of a host from the table below, or `demo` (built in, needs no account).",
        shown_default="the first of openai, anthropic, azure, gemini, vertex, bedrock of which a variable of its own is set,"
        " else `demo`",
    ),
    used(
        "Backend",
        "BIG_MODEL",
        "text",
        "",
        "Upstream model for requests that name a `sonnet` or `opus`. Not on anthropic. Names in the backend's own form (an `@` on"
        " vertex, a vendor's prefix or an ARN on bedrock) stay as they are.",
        shown_default="`gpt-4o` on openai and azure, `gemini-2.5-pro` on gemini and vertex,"
        " `anthropic.claude-sonnet-4-20250514-v1:0` on bedrock, none on hosts of the table",
    ),
    used(
        "Backend",
        "SMALL_MODEL",
        "text",
        "",
        "The same for requests that name a `haiku`.",
        shown_default="`gpt-4o-mini`, `gemini-2.5-flash`, `anthropic.claude-haiku-4-5-20251001-v1:0`, none",
    ),
    used(
        "Backend",
        "ANYLLM_BACKEND_DIALECTS",
        "list",
        "",
        "What an OpenAI-compatible server speaks, the preferred first: `chat`, `responses`, `messages` (Anthropic's, at"
        " `/v1/messages`). A client that speaks one of them is passed through.",
        shown_default="`chat,responses` for api.openai.com, what the table below says for its hosts, else `chat`",
    ),
    used(
        "Backend",
        "OMIT_STREAM_OPTIONS",
        "flag",
        "false",
        "Do not ask an OpenAI-compatible backend for usage in streams, for servers that refuse `stream_options`.",
    ),
    used("Backend", "ANYLLM_UPSTREAM_HEADERS", "headers", "", "Headers added to every request to the backend."),
)

_VENDORS = (
    used(
        "OpenAI and Anthropic",
        "OPENAI_API_KEY",
        "secret",
        "",
        "Key for the OpenAI-compatible server. A local server needs none. For a host of the table: used if its own is unset.",
    ),
    used(
        "OpenAI and Anthropic",
        "OPENAI_BASE_URL",
        "url",
        "https://api.openai.com",
        "Address of the OpenAI-compatible server, with or without the trailing `/v1`. Loopback and private addresses are fine.",
    ),
    used("OpenAI and Anthropic", "OPENAI_ORG_ID", "text", "", "Sent as `openai-organization`.", aliases=["OPENAI_ORGANIZATION"]),
    used("OpenAI and Anthropic", "OPENAI_PROJECT_ID", "text", "", "Sent as `openai-project`.", aliases=["OPENAI_PROJECT"]),
    used(
        "OpenAI and Anthropic",
        "OPENAI_API_FORMAT",
        "choice",
        "chat",
        "Which API clients of other dialects are translated to, where the server speaks both: `chat`, `responses`, or `auto`"
        " (Responses for reasoning models). `responses` at an unknown server: it speaks that and not Chat.",
        choices=["chat", "responses", "auto"],
    ),
    used(
        "OpenAI and Anthropic",
        "ANTHROPIC_API_KEY",
        "secret",
        "",
        "Key for Anthropic, sent as `x-api-key` (an OAuth token as Bearer).",
    ),
    used(
        "OpenAI and Anthropic",
        "ANTHROPIC_AUTH_TOKEN",
        "secret",
        "",
        "Bearer token for Anthropic; used if ANTHROPIC_API_KEY is unset.",
    ),
    used(
        "OpenAI and Anthropic",
        "ANTHROPIC_BASE_URL",
        "url",
        "https://api.anthropic.com",
        "Address of the Anthropic-compatible server, with or without the trailing `/v1`.",
        aliases=["ANTHROPIC_API_BASE"],
    ),
)

_AZURE = (
    used(
        "Azure OpenAI",
        "AZURE_OPENAI_ENDPOINT",
        "url",
        "",
        "Address of the resource. Ending in `/openai/v1` it selects the v1 surface, where the model is the deployment; else calls"
        " go to `/openai/deployments/NAME`.",
        aliases=["AZURE_API_BASE"],
    ),
    used(
        "Azure OpenAI", "AZURE_OPENAI_API_KEY", "secret", "", "Key of the resource, sent as `api-key`.", aliases=["AZURE_API_KEY"]
    ),
    used(
        "Azure OpenAI",
        "AZURE_OPENAI_AD_TOKEN",
        "secret",
        "",
        "Token from Entra ID, sent as Bearer; used if there is no key. It is not refreshed.",
        aliases=["AZURE_AD_TOKEN"],
    ),
    used(
        "Azure OpenAI",
        "AZURE_OPENAI_API_VERSION",
        "text",
        "",
        "`api-version` of the calls. From `2025-03-01-preview` on the deployments surface has Responses too.",
        aliases=["AZURE_API_VERSION"],
        shown_default="`2024-10-21`; none on the v1 surface",
    ),
    used(
        "Azure OpenAI",
        "AZURE_OPENAI_DEPLOYMENT",
        "text",
        "",
        "The deployment that every call goes to, unless BIG_MODEL or SMALL_MODEL is set and says otherwise.",
        shown_default="the deployment named like the model",
    ),
    used(
        "Azure OpenAI",
        "AZURE_OPENAI_MODEL",
        "text",
        "",
        "What AZURE_OPENAI_DEPLOYMENT serves (`o3`, `gpt-5.1`), where its name does not tell: models differ in what they take.",
    ),
    used(
        "Azure OpenAI",
        "AZURE_TENANT_ID",
        "text",
        "",
        "With AZURE_CLIENT_ID and AZURE_CLIENT_SECRET: tokens are fetched from Entra ID for this service principal.",
        shared=True,
    ),
    used("Azure OpenAI", "AZURE_CLIENT_ID", "text", "", "Application id of the service principal.", shared=True),
    used("Azure OpenAI", "AZURE_CLIENT_SECRET", "secret", "", "Its secret.", shared=True),
    used(
        "Azure OpenAI",
        "AZURE_AUTHORITY_HOST",
        "url",
        "https://login.microsoftonline.com",
        "Where Entra ID is asked.",
        shared=True,
    ),
    used(
        "Azure OpenAI",
        "AZURE_SCOPE",
        "text",
        "https://cognitiveservices.azure.com/.default",
        "The scope of the token.",
        shared=True,
    ),
)

_GOOGLE = (
    used(
        "Gemini and Vertex AI",
        "GEMINI_API_KEY",
        "secret",
        "",
        "Key for the Gemini API, sent as `x-goog-api-key`.",
    ),
    used("Gemini and Vertex AI", "GOOGLE_API_KEY", "secret", "", "The same; used if GEMINI_API_KEY is unset.", shared=True),
    used(
        "Gemini and Vertex AI",
        "GEMINI_BASE_URL",
        "url",
        "https://generativelanguage.googleapis.com",
        "Address of the Gemini API, with or without the trailing `/v1beta`.",
        aliases=["GOOGLE_GEMINI_BASE_URL", "GEMINI_API_BASE"],
    ),
    used(
        "Gemini and Vertex AI",
        "GEMINI_API_FORMAT",
        "choice",
        "native",
        "`native`: generateContent. `openai`: the Chat endpoint that the Gemini API has as well.",
        choices=["native", "openai"],
    ),
    used(
        "Gemini and Vertex AI",
        "VERTEX_PROJECT",
        "text",
        "",
        "Google Cloud project.",
        aliases=["VERTEXAI_PROJECT"],
        shown_default="GOOGLE_CLOUD_PROJECT, else the project of the credentials file",
    ),
    used(
        "Gemini and Vertex AI",
        "GOOGLE_CLOUD_PROJECT",
        "text",
        "",
        "The same; used if VERTEX_PROJECT is unset.",
        aliases=["ANTHROPIC_VERTEX_PROJECT_ID"],
        shared=True,
    ),
    used(
        "Gemini and Vertex AI",
        "VERTEX_REGION",
        "text",
        "",
        "Its location: a region, `global`, `us` or `eu`.",
        aliases=["VERTEX_LOCATION", "VERTEXAI_LOCATION"],
        shown_default="GOOGLE_CLOUD_LOCATION, else `global`",
    ),
    used(
        "Gemini and Vertex AI",
        "GOOGLE_CLOUD_LOCATION",
        "text",
        "",
        "The same; used if VERTEX_REGION is unset.",
        aliases=["CLOUD_ML_REGION"],
        shared=True,
    ),
    used(
        "Gemini and Vertex AI",
        "VERTEX_API_BASE",
        "url",
        "",
        "Origin of Vertex AI; `/v1/projects/...` is added.",
        aliases=["GOOGLE_VERTEX_BASE_URL", "VERTEXAI_API_BASE"],
        shown_default="`https://aiplatform.googleapis.com`, with the region in front",
    ),
    used(
        "Gemini and Vertex AI",
        "VERTEX_API_KEY",
        "secret",
        "",
        "Key for Vertex AI, sent as `x-goog-api-key`. Without a project: express mode.",
    ),
    used(
        "Gemini and Vertex AI",
        "GOOGLE_ACCESS_TOKEN",
        "secret",
        "",
        "Token for Vertex AI, sent as Bearer; used if VERTEX_API_KEY is unset. It is not refreshed.",
        shared=True,
    ),
    used(
        "Gemini and Vertex AI",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "path",
        "",
        "Credentials file (service account, authorized user, external account), whose tokens are refreshed ahead of time. Needs"
        " `pip install 'anyllm-fast[vertex]'`.",
        shared=True,
        shown_default="gcloud's application_default_credentials.json, else the metadata server",
    ),
    used(
        "Gemini and Vertex AI",
        "GCE_METADATA_HOST",
        "text",
        "169.254.169.254",
        "Host of the metadata server.",
        shared=True,
    ),
)


def _aws(name: str, type_: str, meaning: str, **more: object) -> Variable:
    return used("Bedrock", name, type_, "", meaning, shared=True, **more)  # type: ignore[arg-type]  # checked by msgspec


_BEDROCK = (
    _aws("AWS_REGION", "text", "Region of Bedrock.", aliases=["AWS_DEFAULT_REGION", "AWS_REGION_NAME", "BEDROCK_REGION"]),
    used(
        "Bedrock",
        "BEDROCK_API",
        "choice",
        "auto",
        "`auto`: Claude models by InvokeModel, which carries Anthropic's bodies, other models and Converse clients by Converse."
        " `converse` or `invoke`: that one wherever it can be.",
        choices=["auto", "converse", "invoke"],
    ),
    _aws(
        "AWS_BEARER_TOKEN_BEDROCK",
        "secret",
        "Bedrock API key, sent as Bearer. Without it calls are signed with the AWS credentials that are found.",
    ),
    _aws("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "url", "Address of Bedrock.", shown_default="AWS_ENDPOINT_URL, else the region's"),
    _aws("AWS_ENDPOINT_URL", "url", "Address of every AWS service."),
    _aws("AWS_ENDPOINT_URL_STS", "url", "Address of STS, which is asked for a role's credentials."),
    _aws("AWS_ACCESS_KEY_ID", "secret", "Static credentials."),
    _aws("AWS_SECRET_ACCESS_KEY", "secret", "Static credentials."),
    _aws("AWS_SESSION_TOKEN", "secret", "With temporary credentials."),
    _aws("AWS_PROFILE", "text", "Profile of the credentials and config files."),
    _aws("AWS_SHARED_CREDENTIALS_FILE", "path", "Credentials file.", shown_default="`~/.aws/credentials`"),
    _aws("AWS_CONFIG_FILE", "path", "Config file.", shown_default="`~/.aws/config`"),
    _aws("AWS_ROLE_ARN", "text", "Role to take on with a web identity."),
    _aws("AWS_ROLE_SESSION_NAME", "text", "Its session name."),
    _aws("AWS_WEB_IDENTITY_TOKEN_FILE", "path", "Token of the web identity (Kubernetes)."),
    _aws("AWS_CONTAINER_CREDENTIALS_FULL_URI", "text", "Where a container gets credentials (EKS, ECS)."),
    _aws("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "text", "The same, as a path at 169.254.170.2."),
    _aws("AWS_CONTAINER_AUTHORIZATION_TOKEN", "secret", "Sent with that request."),
    _aws("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "path", "A file with it."),
    _aws("AWS_EC2_METADATA_SERVICE_ENDPOINT", "text", "Instance metadata.", shown_default="`http://169.254.169.254`"),
    used("Bedrock", "AWS_EC2_METADATA_DISABLED", "flag", "false", "Do not ask it.", shared=True),
)

BACKEND: tuple[Variable, ...] = (*_CHOICE, *_VENDORS, *_AZURE, *_GOOGLE, *_BEDROCK)


def _of_hosts() -> tuple[Variable, ...]:
    """The variables of the table of hosts, each once. One that another backend has already is read as that one is."""
    known = {name for row in BACKEND for name in (row.name, *row.aliases)}
    found: dict[str, Variable] = {}
    for host in hosts().host:
        for type_, names, what in (
            ("secret", host.keys, "Key"),
            ("url", host.bases, "Address"),
            ("text", host.placeholders, "Part of the address"),
        ):
            for name in names:
                if name not in known and name not in found:
                    found[name] = used("Hosts", name, type_, "", f"{what} of {host.id}.", shared=True)  # type: ignore[arg-type]
    return tuple(found.values())


HOSTS: tuple[Variable, ...] = _of_hosts()
