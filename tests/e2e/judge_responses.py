"""The openai SDK as a judge by its Responses interface: a request a line on stdin, what it made of the answer on stdout.

Runs under the interpreter of the SDK version being judged; imports nothing of this project.
"""

import asyncio
import time
from functools import cache

import openai
from judging import TIMEOUT, arguments, describe, dump, judge, shape, told

ENDS = ("response.completed", "response.incomplete")
DELTAS = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
    "response.reasoning_summary_text.delta": "summary",
}
POLL_SECONDS = 10.0


def options(job):
    return job["base_url"], job.get("key", "e2e-key"), job.get("retries", 0), job.get("timeout", TIMEOUT)


def make(kind, base_url, key, retries, timeout):
    return kind(base_url=base_url + "/v1", api_key=key, max_retries=retries, timeout=timeout)


@cache
def client_of(*options):
    """One client for all jobs to one place: making one costs more than a call."""
    return make(openai.OpenAI, *options)


class Failed(Exception):
    """The SDK hands a failure over as an event or a status, which a program has to look at; this one does."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


def told_failure(error):
    """An APIError, told by an event: it has neither status nor headers."""
    return {"classes": [error.kind, "APIError"], "status": None, "message": str(error), "body": None, "headers": {}}


def checked(response):
    if response.status in ("failed", "cancelled"):
        raise Failed("ResponseFailed", response.error.message if response.error else response.status)
    return response


def whole(job):
    client = client_of(*options(job))
    raw = client.responses.with_raw_response.create(**arguments(client.responses.create, job))
    try:
        return {"final": dump(checked(raw.parse())), "headers": dict(raw.headers)}
    except Failed as error:
        return {"error": told_failure(error), "headers": dict(raw.headers)}


class Heard:
    """What the events of one stream said."""

    def __init__(self):
        self.final = None
        self.deltas = []
        self.said = {}

    def take(self, event):
        if event.type == "error":
            raise Failed("ResponseErrorEvent", event.message)
        if event.type == "response.failed":
            checked(event.response)
        if event.type in ENDS:
            self.final = event.response
        if member := DELTAS.get(event.type):
            place = event.output_index, member
            self.said[place] = self.said.get(place, "") + event.delta
            if member == "text":
                self.deltas.append(event.delta)

    def unlike(self):
        """Where the deltas say another thing than the last event does."""
        told = {}
        for index, item in enumerate(self.final.output):
            for part in getattr(item, "content", None) or ():
                member = "refusal" if part.type == "refusal" else "text"
                told[index, member] = told.get((index, member), "") + getattr(part, member)
            for part in getattr(item, "summary", None) or ():
                told[index, "summary"] = told.get((index, "summary"), "") + part.text
            for member in ("arguments", "input"):
                if item.type in ("function_call", "custom_tool_call") and getattr(item, member, None):
                    told[index, member] = getattr(item, member)
        told = {k: v for k, v in told.items() if v}
        return "" if told == self.said else f"deltas {self.said!r} but at the end {told!r}"


def stream(job):
    client = client_of(*options(job))
    heard = Heard()
    with client.responses.stream(**arguments(client.responses.stream, job)) as events:
        headers = dict(events._response.headers)
        try:
            for event in events:
                heard.take(event)
                if event.type == "response.output_text.delta":
                    told(job, len(heard.deltas))
                    if job.get("leave_after") == len(heard.deltas):
                        events.close()
                        return {"left": True, "headers": headers}
            if heard.final is None or heard.final.status == "completed":
                heard.final = events.get_final_response()
        except Failed as error:
            return {"error": told_failure(error), "partial": "".join(heard.deltas), "headers": headers}
        except Exception as error:
            return {"error": describe(error), "partial": "".join(heard.deltas), "headers": headers}
    if unlike := heard.unlike():
        return {"error": told_failure(Failed("Unlike", unlike)), "partial": "".join(heard.deltas), "headers": headers}
    return {"final": dump(heard.final), "deltas": heard.deltas, "headers": headers}


async def stream_async(job):
    async with make(openai.AsyncOpenAI, *options(job)) as client:
        async with client.responses.stream(**arguments(client.responses.stream, job)) as events:
            headers = dict(events._response.headers)
            final = await events.get_final_response()
        return {"final": dump(final), "headers": headers}


def raw(job):
    """Every event as it came, for what an accumulator hides."""
    client = client_of(*options(job))
    events = client.responses.create(**arguments(client.responses.create, job), stream=True)
    return {"raw": [dump(e) for e in events], "headers": dict(events.response.headers)}


def parse(job):
    """A structured answer by the SDK's own helper, which writes the schema."""
    client = client_of(*options(job))
    method = client.responses.parse
    response = method(**arguments(method, job), text_format=shape())
    return {"final": dump(response), "parsed": response.output_parsed.model_dump()}


def count(job):
    client = client_of(*options(job))
    return {"final": dump(client.responses.input_tokens.count(**arguments(client.responses.input_tokens.count, job)))}


def compact(job):
    client = client_of(*options(job))
    return {"final": dump(client.responses.compact(**arguments(client.responses.compact, job)))}


def kept(job):
    """A response made, asked for, its input listed a page of two at a time, deleted, and asked for once more."""
    client = client_of(*options(job))
    made = client.responses.create(**arguments(client.responses.create, job))
    found = client.responses.retrieve(made.id)
    items = [dump(item) for item in client.responses.input_items.list(made.id, limit=2, order="asc")]
    client.responses.delete(made.id)
    try:
        client.responses.retrieve(made.id)
        gone = None
    except Exception as error:
        gone = describe(error)
    return {"final": dump(made), "found": dump(found), "items": items, "gone": gone}


def background(job):
    """Asked for until it is done; or cancelled at once."""
    client = client_of(*options(job))
    response = client.responses.create(**arguments(client.responses.create, job), background=True)
    statuses = [response.status]
    if job.get("cancel"):
        return {"final": dump(client.responses.cancel(response.id)), "statuses": statuses}
    end = time.monotonic() + POLL_SECONDS
    while response.status in ("queued", "in_progress") and time.monotonic() < end:
        time.sleep(0.02)
        response = client.responses.retrieve(response.id)
        statuses.append(response.status)
    return {"final": dump(response), "statuses": statuses}


def models(job):
    client = client_of(*options(job))
    return {"final": {"ids": [m.id for m in client.models.list()]}}


MODES = {
    "whole": whole,
    "stream": stream,
    "raw": raw,
    "parse": parse,
    "count": count,
    "compact": compact,
    "kept": kept,
    "background": background,
    "models": models,
    "async": lambda job: asyncio.run(stream_async(job)),
}

if __name__ == "__main__":
    judge(MODES)
