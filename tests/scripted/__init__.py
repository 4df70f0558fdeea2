"""Scripted upstreams: strict stand-ins for the OpenAI Chat and Anthropic Messages services. May not import the gateway.

A test says what an upstream will mean (`Answer`); the upstream refuses what the real service refuses, writes the meaning
in its dialect, whole or streamed, and records what it received. The standard library only, so that it also runs alone:
`python -m scripted` from `tests/`.
"""
