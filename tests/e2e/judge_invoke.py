"""boto3 as a judge of InvokeModel with Anthropic's bodies: a request a line on stdin, what came back a line on stdout.

boto3 gives a body's bytes and a stream's chunks; they are read here as AWS's examples do. Runs under the interpreter of the SDK
version being judged; imports nothing of this project.
"""

import asyncio
import json

from judge_bedrock import described, guarded, open_client
from judging import judge, told


def arguments(job):
    body = dict(job["body"])
    return {"modelId": body.pop("model"), "body": json.dumps(body, ensure_ascii=False).encode()}


def whole(job):
    reply = open_client(job).invoke_model(**arguments(job))
    return {"final": json.loads(reply["body"].read()), "headers": reply["ResponseMetadata"]["HTTPHeaders"]}


class Gathered:
    """Claude's events as one message."""

    def __init__(self):
        self.message, self.texts, self.deltas, self.ended = {}, {}, [], False

    def add(self, event):
        kind = event["type"]
        if kind == "message_start":
            self.message = event["message"]
        elif kind == "content_block_start":
            assert event["index"] == len(self.message["content"]), f"block {event['index']} out of order"
            self.message["content"].append(event["content_block"])
        elif kind == "content_block_delta":
            self._delta(self.message["content"][event["index"]], event["index"], event["delta"])
        elif kind == "message_delta":
            self.message |= event["delta"]
            self.message["usage"] |= event["usage"]
        elif kind == "message_stop":
            self.ended = True

    def _delta(self, block, index, delta):
        kind = delta["type"]
        if kind == "text_delta":
            block["text"] += delta["text"]
            self.deltas.append(delta["text"])
        elif kind == "thinking_delta":
            block["thinking"] += delta["thinking"]
        elif kind == "signature_delta":
            block["signature"] = block.get("signature", "") + delta["signature"]
        elif kind == "input_json_delta":
            self.texts[index] = self.texts.get(index, "") + delta["partial_json"]
            block["input"] = {}
        elif kind == "citations_delta":
            block.setdefault("citations", []).append(delta["citation"])

    def final(self):
        for index, text in self.texts.items():
            self.message["content"][index]["input"] = json.loads(text) if text else {}
        return self.message


def stream(job):
    gathered = Gathered()
    reply = open_client(job).invoke_model_with_response_stream(**arguments(job))
    headers = reply["ResponseMetadata"]["HTTPHeaders"]
    try:
        for part in reply["body"]:
            before = len(gathered.deltas)
            gathered.add(json.loads(part["chunk"]["bytes"]))
            if len(gathered.deltas) > before:
                told(job, len(gathered.deltas))
    except Exception as error:
        return {"error": described(error), "partial": "".join(gathered.deltas), "headers": headers}
    if not gathered.ended:
        return {"unfinished": True, "partial": "".join(gathered.deltas), "headers": headers}
    return {"final": gathered.final(), "deltas": gathered.deltas, "headers": headers}


def raw(job):
    """Every chunk's event as it came."""
    reply = open_client(job).invoke_model_with_response_stream(**arguments(job))
    return {"raw": [json.loads(part["chunk"]["bytes"]) for part in reply["body"]]}


def count(job):
    given = arguments(job)
    counted = open_client(job).count_tokens(modelId=given["modelId"], input={"invokeModel": {"body": given["body"]}})
    return {"final": {"inputTokens": counted["inputTokens"]}}


MODES = {
    "whole": whole,
    "stream": stream,
    "raw": raw,
    "count": count,
    "async": lambda job: asyncio.run(asyncio.to_thread(stream, job)),
}

if __name__ == "__main__":
    judge({name: guarded(mode) for name, mode in MODES.items()})
