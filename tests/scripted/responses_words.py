"""How the OpenAI Responses service words a refusal: its error object and the faults that types alone tell."""

from __future__ import annotations

from .typed import Fault, Path
from .upstream import Refusal


def bad(message: str, param: str | None = None, code: str | None = None, status: int = 400) -> Refusal:
    return Refusal(status, message, "invalid_request_error", param, code)


def dotted(path: Path) -> str:
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")


def of_fault(fault: Fault) -> Refusal:
    where = dotted(fault.path)
    match fault.kind:
        case "unknown":
            return bad(f"Unknown parameter: '{where}'.", where, "unknown_parameter")
        case "missing":
            return bad(f"Missing required parameter: '{where}'.", where, "missing_required_parameter")
        case "value":
            return bad(f"Invalid value for '{where}'. Supported values are: {fault.detail}.", where, "invalid_value")
        case _:
            return bad(f"Invalid type for '{where}': expected {fault.detail}.", where, "invalid_type")
