"""Checks the signature of a request as AWS does: made again from what arrived, by botocore's own signer."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from .upstream import Refusal
from .wire import Request

KEY_ID = "AKIAE2E"
SECRET = "secret"
REGION = "us-east-1"
SERVICE = "bedrock"
DRIFT = timedelta(minutes=5)
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
    r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})\Z"
)
MUST_SIGN = ("host", "x-amz-date")


def refusal_of_signature(request: Request) -> Refusal | None:
    given = request.header("authorization")
    if given is None:
        return Refusal(403, "Missing Authentication Token", "MissingAuthenticationTokenException")
    found = AUTHORIZATION.match(given)
    if found is None:
        return Refusal(403, "Authorization header requires 'Credential' parameter.", "IncompleteSignatureException")
    key, day, region, service, names, signature = found.groups()
    if key != KEY_ID:
        return Refusal(403, "The security token included in the request is invalid.", "UnrecognizedClientException")
    stamp = request.header("x-amz-date") or ""
    if (region, service) != (REGION, SERVICE) or not stamp.startswith(day):
        return _wrong(f"Credential should be scoped to a valid region and correct service: {region}/{service}/{day}")
    if abs(datetime.now(UTC) - _moment(stamp)) > DRIFT:
        return _wrong(f"Signature expired: {stamp}")
    signed = names.split(";")
    if signed != sorted(signed) or not set(MUST_SIGN) <= set(signed):
        return _wrong(f"'Host' and 'X-Amz-Date' must be signed, in order: {names}")
    amz = {k.lower() for k, _ in request.headers if k.lower().startswith("x-amz-")}
    if unsigned := amz - set(signed):
        return _wrong(f"There were headers present in the request which were not signed: {sorted(unsigned)}")
    digest = request.header("x-amz-content-sha256")
    if digest not in (None, hashlib.sha256(request.body).hexdigest()):
        return _wrong("The value passed in as x-amz-content-sha256 does not match what was computed.")
    if not hmac.compare_digest(_computed(request, signed, stamp), signature):
        return _wrong(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key"
            " and signing method. Consult the service documentation for details."
        )
    return None


def _computed(request: Request, signed: list[str], stamp: str) -> str:
    """What the signature should be."""
    host = request.header("host") or ""
    again = AWSRequest(method=request.method, url=f"http://{host}{request.target}", data=request.body)
    for name in signed:
        for key, value in request.headers:
            if key.lower() == name:
                again.headers.add_header(key, value)
    again.context["timestamp"] = stamp
    signer = SigV4Auth(Credentials(KEY_ID, SECRET), SERVICE, REGION)
    return str(signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again))


def _moment(stamp: str) -> datetime:
    try:
        return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def _wrong(message: str) -> Refusal:
    return Refusal(403, message, "InvalidSignatureException")
