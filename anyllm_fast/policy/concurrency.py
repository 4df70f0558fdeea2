"""How many calls a backend carries at once. Counts, nothing else."""

from __future__ import annotations

from anyllm_fast.call import Call, Policy
from anyllm_fast.config import Settings
from anyllm_fast.errors import RateLimited


class Concurrency(Policy):
    """At most `max_concurrency` calls per backend and worker. A permit is held until the reply's last byte."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: dict[str, int] = {}

    @classmethod
    def open(cls, settings: Settings) -> Concurrency | None:
        return cls(settings.max_concurrency) if settings.max_concurrency else None

    def admit(self, call: Call) -> None:
        assert call.target is not None  # noqa: S101 - admit runs after the target is known
        name = call.target.name
        held = self._open.get(name, 0)
        if held >= self._limit:
            raise RateLimited("Proxy concurrency limit reached", headers=[(b"retry-after", b"1")])
        self._open[name] = held + 1
        call.permit = True

    def settle(self, call: Call) -> None:
        if call.permit and call.target is not None:
            call.permit = False
            self._open[call.target.name] -= 1
