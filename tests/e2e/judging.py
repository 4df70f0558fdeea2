"""What both SDK judges share: the loop over jobs, the arguments, the description of an error. Imports no SDK."""

import inspect
import json
import sys
import urllib.request

TIMEOUT = 20.0


def judge(modes):
    """A JSON job a line on stdin, a JSON verdict a line on stdout."""
    for line in sys.stdin:
        job = json.loads(line)
        try:
            out = modes[job["mode"]](job)
        except Exception as error:
            out = {"error": describe(error)}
        sys.stdout.write(json.dumps(out) + "\n")
        sys.stdout.flush()


def arguments(method, job):
    """Fields that this version of the SDK does not know yet go into the body all the same."""
    known = inspect.signature(method).parameters
    body = dict(job["body"])
    named = {k: body.pop(k) for k in list(body) if k in known}
    return {**named, "extra_body": body or None, "extra_headers": job.get("headers") or None}


def shape():
    """The class by which a program asks for a structured answer. Made late: only an SDK's own process has pydantic."""
    from pydantic import BaseModel

    class Answer(BaseModel):
        zeta: str
        alpha: list[int]

    return Answer


def dump(model):
    return model.to_dict(mode="json", warnings=False)


def told(job, count):
    """Lets the upstream go on once the first delta is here: a gateway that holds it back never gets further."""
    if count == 1 and job.get("on_first"):
        urllib.request.urlopen(job["on_first"], timeout=5).read()


def describe(error):
    response = getattr(error, "response", None)
    return {
        "classes": [c.__name__ for c in type(error).__mro__],
        "status": getattr(error, "status_code", None),
        "message": str(error),
        "body": getattr(error, "body", None),
        "headers": dict(getattr(response, "headers", None) or {}),  # botocore's response is a dict
    }
