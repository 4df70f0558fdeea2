"""The lanes of the server bench: what a client asks, in which dialect, of an upstream that speaks which. Data only."""

from __future__ import annotations

from dataclasses import dataclass

PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}


@dataclass(frozen=True)
class Lane:
    """One load. A lane with a gap is paced: its unit of cost is the delta; a burst's too; otherwise the request."""

    name: str
    client: str  # dialect of the client: a key of PATHS
    upstream: str  # dialect that the system under test has to speak upstream
    connections: int
    deltas: int = 0  # 0: a whole reply
    gap_ms: int = 0
    body: str | None = None  # a name in bodies.BODIES; None: the generator's own 1 KB
    seconds: float = 2.5
    warmup: float = 0.5
    stagger_ms: int = 0

    @property
    def unit(self) -> str:
        return "chunk" if self.deltas else "request"

    @property
    def translated(self) -> bool:
        return self.client != self.upstream

    @property
    def title(self) -> str:
        size = "215 KB agent turn" if self.body else "1 KB"
        form = f"{self.client} to {self.upstream}"
        if self.gap_ms:
            return f"{form}, {self.connections} streams paced {1000 // self.gap_ms}/s"
        if self.deltas:
            return f"{form}, burst of {self.deltas} deltas, c={self.connections}"
        return f"{form}, {size}, c={self.connections}"


def _paced(name: str, client: str, upstream: str, connections: int) -> Lane:
    """Streams of 2 s that start evenly spread over 2 s: the window sees starts, middles and ends in their true shares."""
    return Lane(name, client, upstream, connections, 100, 20, seconds=4.0, warmup=2.2, stagger_ms=2000)


LANES = {
    lane.name: lane
    for lane in (
        Lane("L1", "chat", "chat", 16),
        Lane("L1b", "chat", "chat", 64),
        Lane("L2", "messages", "chat", 16),
        Lane("L2b", "messages", "chat", 64),
        Lane("L2r", "chat", "messages", 16),
        Lane("L3", "chat", "chat", 16, 100),
        Lane("L4", "messages", "chat", 16, 100),
        _paced("L5", "chat", "chat", 100),
        _paced("L5b", "chat", "chat", 300),
        _paced("L6", "messages", "chat", 100),
        _paced("L6b", "messages", "chat", 300),
        Lane("L7", "messages", "chat", 4, body="agent-turn"),
        Lane("L7n", "messages", "messages", 4, body="agent-turn"),
    )
}
SHORT = ("L1b", "L2", "L5b", "L6b")

# Memory per open stream: as many slow streams at once, weighed when 65 % of their time is over.
MEMORY = {
    "L8": Lane("L8", "chat", "chat", 300, 60, 100),
    "L8t": Lane("L8t", "messages", "chat", 300, 60, 100),
}
