"""boto3 as a judge of Converse: a request a line on stdin, what the SDK made of the answer a line on stdout.

A job's body is what `client.converse` takes, with blobs as base64. boto3 has no accumulator for streams, so the events are put
together here as AWS's examples do. Runs under the interpreter of the SDK version being judged; imports nothing of this project.
"""

import asyncio
import base64
import json
from functools import cache

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from judging import TIMEOUT, describe, judge, told

KEYS = {"aws_access_key_id": "AKIAE2E", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
SENT = {}  # headers of the job that is being done
HEARD = {}  # headers and body of the reply that came last


@cache
def client_of(service, base_url, retries, timeout):
    """One client for all jobs to one place: making one costs more than a call."""
    config = Config(retries={"total_max_attempts": 1 + retries, "mode": "standard"}, read_timeout=timeout, proxies={})
    client = boto3.client(service, endpoint_url=base_url, config=config, **KEYS)
    client.meta.events.register("before-sign", add_headers)
    client.meta.events.register("before-call", forget)
    client.meta.events.register("after-call", remember)
    return client


def add_headers(request, **_):
    """A gateway's key travels beside the signature: boto3 sends no bearer token over plain http."""
    for name, value in SENT.items():
        request.headers[name] = value


def forget(**_):
    HEARD.clear()


def remember(http_response, **_):
    HEARD["headers"] = dict(http_response.headers)
    HEARD["status"] = http_response.status_code
    if http_response.status_code >= 300:
        HEARD["body"] = http_response.content.decode("utf-8", "replace")


def open_client(job, service="bedrock-runtime"):
    SENT.clear()
    SENT.update({"x-api-key": job.get("key", "e2e-key"), **job.get("headers", {})})
    return client_of(service, job["base_url"], job.get("retries", 0), job.get("timeout", TIMEOUT))


def arguments(job, operation):
    """The job's body with bytes where the service model has blobs, and `model` under boto3's name."""
    client = open_client(job)
    body = dict(job["body"])
    if "model" in body:
        body["modelId"] = body.pop("model")
    return blobs(body, client.meta.service_model.operation_model(operation).input_shape)


def blobs(value, shape):
    """Base64 as bytes. What this version does not know is left as it is, for the SDK to say so."""
    if shape is None or getattr(shape, "is_document_type", False):
        return value
    if shape.type_name == "blob" and isinstance(value, str):
        return base64.b64decode(value)
    if shape.type_name == "structure" and isinstance(value, dict):
        return {k: blobs(v, shape.members.get(k)) for k, v in value.items()}
    if shape.type_name == "list" and isinstance(value, list):
        return [blobs(v, shape.member) for v in value]
    return value


def plain(value):
    """The SDK's objects as JSON."""
    return json.loads(json.dumps(value, default=lambda data: base64.b64encode(data).decode()))


def whole(job):
    reply = open_client(job).converse(**arguments(job, "Converse"))
    final = {k: v for k, v in reply.items() if k != "ResponseMetadata"}
    return {"final": plain(final), "headers": reply["ResponseMetadata"]["HTTPHeaders"]}


class Gathered:
    """The events of a stream as one reply."""

    def __init__(self):
        self.blocks, self.arguments, self.said, self.deltas, self.events = {}, {}, {}, [], []

    def add(self, event):
        ((name, body),) = event.items()
        self.events.append(name)
        if name == "contentBlockStart":
            assert body["contentBlockIndex"] not in self.blocks, f"block {body['contentBlockIndex']} opened twice"
            self.blocks[body["contentBlockIndex"]] = {kind: dict(start) for kind, start in body["start"].items()}
        elif name == "contentBlockDelta":
            self._delta(body["contentBlockIndex"], body["delta"])
        elif name != "contentBlockStop":
            assert name not in self.said, f"{name} came twice"
            self.said[name] = body

    def _delta(self, index, delta):
        ((kind, piece),) = delta.items()
        block = self.blocks.setdefault(index, {})
        if kind == "text":
            block["text"] = block.get("text", "") + piece
            if piece:
                self.deltas.append(piece)
        elif kind == "toolUse":
            self.arguments[index] = self.arguments.get(index, "") + piece["input"]
        elif kind == "citation":
            block.setdefault("citations", []).append(piece)
        elif kind == "reasoningContent":
            inside = block.setdefault("reasoningContent", {})
            if "redactedContent" in piece:
                inside["redactedContent"] = inside.get("redactedContent", b"") + piece["redactedContent"]
            else:
                text = inside.setdefault("reasoningText", {"text": ""})
                for name, value in piece.items():
                    text[name] = text.get(name, "") + value
        else:
            block[kind] = piece

    def final(self):
        for index, text in self.arguments.items():
            self.blocks[index]["toolUse"]["input"] = json.loads(text) if text else {}
        assert list(self.blocks) == sorted(self.blocks), f"blocks out of order: {list(self.blocks)}"
        stop = self.said["messageStop"]
        content = [cited(block) for block in self.blocks.values()]
        return {
            "output": {"message": {"role": self.said["messageStart"]["role"], "content": content}},
            **stop,
            **self.said.get("metadata", {}),
        }


def cited(block):
    """Text with citations as a whole reply has it."""
    if "citations" not in block:
        return block
    return {"citationsContent": {"content": [{"text": block["text"]}], "citations": block["citations"]}}


def stream(job):
    gathered = Gathered()
    reply = open_client(job).converse_stream(**arguments(job, "ConverseStream"))
    headers = reply["ResponseMetadata"]["HTTPHeaders"]
    try:
        for event in reply["stream"]:
            before = len(gathered.deltas)
            gathered.add(event)
            if len(gathered.deltas) > before:
                told(job, len(gathered.deltas))
                if job.get("leave_after") == len(gathered.deltas):
                    reply["stream"].close()
                    return {"left": True, "headers": headers}
    except Exception as error:
        return {"error": described(error), "partial": "".join(gathered.deltas), "headers": headers}
    if "messageStop" not in gathered.said:
        return {"unfinished": gathered.events, "partial": "".join(gathered.deltas), "headers": headers}
    return {"final": plain(gathered.final()), "events": gathered.events, "deltas": gathered.deltas, "headers": headers}


def raw(job):
    """Every event as it came, for what gathering hides."""
    reply = open_client(job).converse_stream(**arguments(job, "ConverseStream"))
    return {"raw": [plain(e) for e in reply["stream"]], "headers": reply["ResponseMetadata"]["HTTPHeaders"]}


def framed(job):
    """The bytes of the body as they came, and of the request as they went."""
    sent = []
    client = open_client(job)
    client.meta.events.register("before-send", lambda request, **_: sent.append(request.body), unique_id="sent")
    try:
        reply = client.converse_stream(**arguments(job, "ConverseStream"))
    finally:
        client.meta.events.unregister("before-send", unique_id="sent")
    return {"framed": plain(reply["stream"]._raw_stream.read()), "sent": plain(sent[0])}


def count(job):
    body = arguments({**job, "body": {k: v for k, v in job["body"].items() if k not in ("inferenceConfig",)}}, "Converse")
    model = body.pop("modelId")
    counted = open_client(job).count_tokens(modelId=model, input={"converse": body})
    return {"final": {"inputTokens": counted["inputTokens"]}}


def models(job):
    listed = open_client(job, "bedrock").list_foundation_models()
    return {"final": {"ids": [m["modelId"] for m in listed["modelSummaries"]]}}


def described(error):
    """boto3 has what the service said in `response`; the class of a modelled error is its name."""
    response = getattr(error, "response", None) or {}
    out = describe(Exception(str(error)))
    out["classes"] = [c.__name__ for c in type(error).__mro__]
    out["headers"] = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    out["status"] = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    out["code"] = response.get("Error", {}).get("Code")
    out["body"] = HEARD.get("body")
    out["message"] = response.get("Error", {}).get("Message", str(error))
    if isinstance(error, ClientError):
        out["classes"].append(out["code"])  # a stream raises one class for all of them
    if not isinstance(error, ClientError | BotoCoreError):
        out["classes"].append("Other")
    return out


def guarded(mode):
    def run(job):
        try:
            return mode(job)
        except Exception as error:
            return {"error": described(error)}

    return run


MODES = {
    "whole": whole,
    "stream": stream,
    "raw": raw,
    "framed": framed,
    "count": count,
    "models": models,
    "async": lambda job: asyncio.run(asyncio.to_thread(stream, job)),
}

if __name__ == "__main__":
    judge({name: guarded(mode) for name, mode in MODES.items()})
