"""Counts of calls per backend, as GET /metrics shows them. One set per worker."""

from __future__ import annotations

import msgspec

from anyllm_fast.call import Call, Policy
from anyllm_fast.config import Settings


class Counters(msgspec.Struct):
    """Of one backend. The first seven are the proxy's that we replace, by the same names."""

    requests_total: int = 0
    requests_success: int = 0
    requests_error: int = 0
    streams_started: int = 0
    streams_completed: int = 0
    streams_failed: int = 0
    streams_client_disconnected: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    bytes_out: int = 0
    duration_ms: float = 0.0
    first_byte_ms: float = 0.0


class Metrics(Policy):
    """Counts a call when it is over: once, by how it ended."""

    def __init__(self, backends: list[str]) -> None:
        self.backends = {name: Counters() for name in backends}
        self.refused = 0  # calls that never reached a backend: bad credentials, unknown models, bad bodies

    @classmethod
    def open(cls, settings: Settings) -> Metrics:
        return cls([backend.name for backend in settings.backends])

    def settle(self, call: Call) -> None:
        outcome = call.outcome
        if call.target is None:
            self.refused += bool(outcome.error)
            return
        counters = self.backends[call.target.name]
        counters.requests_total += 1
        failed = bool(outcome.error) or outcome.status >= 400 or outcome.client_gone
        if failed:
            counters.requests_error += 1
        else:
            counters.requests_success += 1
        if call.stream and outcome.first_byte_at and outcome.status == 200:
            counters.streams_started += 1
            if outcome.client_gone:
                counters.streams_client_disconnected += 1
            elif failed:
                counters.streams_failed += 1
            else:
                counters.streams_completed += 1
        usage = outcome.usage
        counters.input_tokens += max(usage.input, 0)
        counters.output_tokens += max(usage.output, 0)
        counters.cache_read_tokens += max(usage.cache_read, 0)
        counters.cache_write_tokens += max(usage.cache_write, 0)
        counters.bytes_out += outcome.bytes_out
        counters.duration_ms += (outcome.ended_at - call.started) * 1000
        if outcome.first_byte_at:
            counters.first_byte_ms += (outcome.first_byte_at - call.started) * 1000


def as_json(metrics: Metrics) -> bytes:
    """The shape of the proxy that we replace: per backend and in total."""
    total = dict.fromkeys(("requests_total", "requests_success", "requests_error"), 0)
    for counters in metrics.backends.values():
        for name in total:
            total[name] += getattr(counters, name)
    return msgspec.json.encode({"backends": metrics.backends, "total": total, "refused": metrics.refused})


def as_prometheus(metrics: Metrics) -> bytes:
    """Text exposition format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats)."""
    lines: list[str] = []
    for field in Counters.__struct_fields__:
        suffix = "" if field.endswith("_total") else "_total"
        lines.append(f"# TYPE anyllm_{field}{suffix} counter")
        for backend, counters in metrics.backends.items():
            lines.append(f'anyllm_{field}{suffix}{{backend="{backend}"}} {getattr(counters, field)}')
    lines += ["# TYPE anyllm_requests_refused_total counter", f"anyllm_requests_refused_total {metrics.refused}", ""]
    return "\n".join(lines).encode()
