"""Bedrock Converse: the dialect as one object. Errors and models lists are written here; the rest is delegated.

    requests   bedrock_request.py    whole replies   bedrock_reply.py    streams   bedrock_stream.py, by wire/
    errors of an upstream, whoever wrote them                upstream_error.py

AWS says what an error is in the header x-amzn-errortype, and its SDKs raise a class of that name; the body has only the message.
Names and statuses are those of the service models bedrock-runtime 2023-09-30 and bedrock 2023-04-20. The model is in the path.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from anyllm_fast import wire
from anyllm_fast.dialects import bedrock_reply, bedrock_request, bedrock_stream, upstream_error
from anyllm_fast.dialects.peek import unsound
from anyllm_fast.dialects.recorded import record
from anyllm_fast.dialects.repair import ABSENT, is_object
from anyllm_fast.errors import GatewayError, InvalidRequest, Kind
from anyllm_fast.neutral.dialect import Dialect, Encoder, ModelInfo, Peek, Profile
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.reply import Reply
from anyllm_fast.neutral.request import Request
from anyllm_fast.neutral.stream import Failure, Pipe, StreamOptions
from anyllm_fast.neutral.usage import Usage
from anyllm_fast.wire.aws import AwsToSse, is_framed

ERRORS: Final[dict[Kind, tuple[str, int]]] = {
    "invalid_request": ("ValidationException", 400),
    "authentication": ("UnrecognizedClientException", 403),
    "billing": ("ServiceQuotaExceededException", 400),
    "permission": ("AccessDeniedException", 403),
    "not_found": ("ResourceNotFoundException", 404),
    "method_not_allowed": ("UnknownOperationException", 404),
    "conflict": ("ConflictException", 400),
    "too_large": ("ValidationException", 400),
    "unprocessable": ("ValidationException", 400),
    "rate_limit": ("ThrottlingException", 429),
    "api": ("InternalServerException", 500),
    "timeout": ("ModelTimeoutException", 408),
    "overloaded": ("ServiceUnavailableException", 503),
}
"""Type and status of each kind. `api` keeps its own status from 500 up: SDKs retry 500, 502, 503 and 504."""
MODEL_FAILED: Final = ("ModelErrorException", 424)
"""What a failure of the model itself is, that came with its own status."""
_ARN: Final = "arn:aws:bedrock:::foundation-model/"


class _Error(msgspec.Struct):
    message: str


class _Lifecycle(msgspec.Struct):
    status: str


class _Model(msgspec.Struct, rename="camel"):
    """FoundationModelSummary. What a model takes and gives is not known; text it does."""

    model_arn: str
    model_id: str
    model_name: str
    provider_name: str
    input_modalities: list[str]
    output_modalities: list[str]
    response_streaming_supported: bool
    customizations_supported: list[str]
    inference_types_supported: list[str]
    model_lifecycle: _Lifecycle


class _Models(msgspec.Struct, rename="camel"):
    model_summaries: list[_Model]


class _Details(msgspec.Struct, rename="camel"):
    model_details: _Model


class _TheirModel(msgspec.Struct, rename="camel"):
    model_id: str = ""
    model_name: Any = ""
    provider_name: Any = ""


class _TheirModels(msgspec.Struct, rename="camel"):
    model_summaries: list[_TheirModel]


class _Count(msgspec.Struct, rename="camel"):
    input_tokens: int


class _Input(msgspec.Struct):
    converse: msgspec.Raw = ABSENT


class _Counted(msgspec.Struct):
    input: _Input


class _Bare(msgspec.Struct):
    """What a body with status 200 must have to be an error all the same."""

    output: Any = None
    message: Any = None
    type: Any = msgspec.field(default=None, name="__type")


class _Anything(msgspec.Struct):
    """No member is looked at."""


_encode = msgspec.json.Encoder().encode
_decode_models = msgspec.json.Decoder(_TheirModels).decode
_decode_counted = msgspec.json.Decoder(_Counted).decode
_decode_count = msgspec.json.Decoder(_Count).decode
_decode_bare = msgspec.json.Decoder(_Bare).decode
_prove = msgspec.json.Decoder(_Anything).decode


class BedrockConverse:
    """Implements neutral.dialect.Dialect."""

    name: str = "bedrock"
    request_id_header: bytes = b"x-amzn-requestid"
    content_type_stream: bytes = b"application/vnd.amazon.eventstream"
    keepalive: bytes = b""
    signs: bool = True
    gives_back: bool = True

    def peek(self, body: bytes) -> Peek:
        """Model and whether it is a stream are in the path; the body only has to be a sound JSON object."""
        try:
            if not body.isascii():
                body.decode()
            _prove(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise unsound(body, error) from None
        return Peek("", False, True)

    def read_counted(self, body: bytes) -> bytes:
        """CountTokens wraps a Converse request, or a body of InvokeModel's as base64, which is of another dialect."""
        try:
            converse = _decode_counted(body).input.converse
        except (msgspec.MsgspecError, RecursionError) as error:
            raise unsound(body, error) from None
        if not is_object(converse):
            raise InvalidRequest("required: only Converse requests can be counted here", where="input.converse")
        return bytes(converse)

    def read_request(self, body: bytes, losses: Losses) -> Request:
        return bedrock_request.read_request(body, losses)

    def write_request(self, request: Request, model: str, profile: Profile, losses: Losses) -> bytes:
        return bedrock_request.write_request(request, model, profile, losses)

    def read_reply(self, body: bytes, losses: Losses) -> Reply:
        return bedrock_reply.read_reply(body, losses)

    def read_stream(self, body: bytes, max_frame: int) -> Reply:
        """In AWS's framing as it leaves the service, or without."""
        if not is_framed(body):
            return record(bedrock_stream.ConverseDecoder(), body, max_frame)
        unframe = AwsToSse(max_frame, False)
        sse = unframe.feed(body) + unframe.finish()
        reply = record(bedrock_stream.ConverseDecoder(), sse, 2 * max_frame)
        if unframe.failure is not None and not reply.ended:
            reply.failure = unframe.failure  # it says more than that the rest is missing
        return reply

    def write_reply(self, reply: Reply, options: StreamOptions, losses: Losses) -> bytes:
        return bedrock_reply.write_reply(reply, options, losses)

    def read_usage(self, body: bytes) -> Usage:
        return bedrock_reply.read_usage(body)

    def read_error(self, status: int, body: bytes) -> Failure:
        """424 is the model's failure, not the caller's."""
        failure = upstream_error.read_error(status, body)
        if status == MODEL_FAILED[1] and failure.kind == "invalid_request":
            return msgspec.structs.replace(failure, kind="api")
        return failure

    def read_failure(self, body: bytes) -> Failure | None:
        """Also an error as AWS writes it: a message, or a type, where the answer should be."""
        return upstream_error.read_failure(body) or (upstream_error.read_error(500, body) if _is_error(body) else None)

    def write_error(self, error: GatewayError, request_id: str) -> bytes:
        """The message alone; the rest is in the headers."""
        return _encode(_Error(str(error)))

    def status_of(self, error: GatewayError) -> int:
        """The HTTP status that Bedrock would send for this error."""
        status = _said(error)[1]
        return error.status if status == 500 and error.status >= 500 else status

    def error_headers(self, error: GatewayError) -> list[tuple[bytes, bytes]]:
        return [(b"x-amzn-errortype", _said(error)[0].encode())]

    def write_count(self, tokens: int) -> bytes:
        return _encode(_Count(tokens))

    def read_count(self, body: bytes) -> int:
        return _decode_count(body).input_tokens

    def open_pipe(self, client: Dialect, options: StreamOptions, max_frame: int) -> Pipe:
        if client is self:
            return wire.open_watch("bedrock", max_frame)
        return wire.open_translation(wire.ConverseDecoder(), client.encoder(options), max_frame)

    def encoder(self, options: StreamOptions) -> Encoder:
        return wire.ConverseEncoder(options)

    def write_models(self, models: Sequence[ModelInfo]) -> bytes:
        """ListFoundationModels."""
        return _encode(_Models([_model(info) for info in models]))

    def write_model(self, info: ModelInfo) -> bytes:
        """GetFoundationModel."""
        return _encode(_Details(_model(info)))

    def read_models(self, body: bytes) -> list[ModelInfo]:
        """An upstream's ListFoundationModels. ValueError if it is none."""
        return [
            ModelInfo(m.model_id, 0, _text(m.provider_name), _text(m.model_name))
            for m in _decode_models(body).model_summaries
            if m.model_id
        ]


def _said(error: GatewayError) -> tuple[str, int]:
    return MODEL_FAILED if error.kind == "api" and error.status == MODEL_FAILED[1] else ERRORS[error.kind]


def _model(info: ModelInfo) -> _Model:
    name, owner = info.display_name or info.id, info.owned_by or "system"
    return _Model(_ARN + info.id, info.id, name, owner, ["TEXT"], ["TEXT"], True, [], ["ON_DEMAND"], _Lifecycle("ACTIVE"))


def _is_error(body: bytes) -> bool:
    try:
        found = _decode_bare(body)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return False
    return found.output is None and (isinstance(found.message, str) or isinstance(found.type, str))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


BEDROCK: Final = BedrockConverse()
