"""LLM gateway: any client dialect to any backend, streamed, with nothing lost in silence."""

__version__ = "0.1.0"
