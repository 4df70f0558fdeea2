"""The state behind the Responses API where the upstream keeps none: earlier replies, background runs, compaction.

store.py       what is kept of a reply, and the interface of a store; the one in memory
sqlite.py      the same in a file that all workers share
state.py       previous_response_id before a call, keeping the reply after it
background.py  calls that nobody waits for

What is asked of a response by its id (GET, DELETE, cancel, input_items, compact) is in response_operations.py.
"""
