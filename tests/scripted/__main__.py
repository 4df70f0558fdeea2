"""`python -m scripted [OPENAI_PORT ANTHROPIC_PORT]`: both upstreams by hand, until interrupted."""

from __future__ import annotations

import sys
import time

from .host import Scripted

if __name__ == "__main__":
    first, second = (int(p) for p in (sys.argv[1:] or ("9101", "9102")))
    with Scripted((first, second)) as scripted:
        sys.stdout.write(f"OpenAI Chat: {scripted.root('openai')}/v1\nAnthropic Messages: {scripted.root('anthropic')}\n")
        sys.stdout.flush()
        while True:
            time.sleep(3600)
