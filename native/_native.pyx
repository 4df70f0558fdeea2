# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, nonecheck=False, cdivision=True
"""The streaming core in C: twins of anyllm_fast/wire and anyllm_fast/dialects/*_stream.py, under the same names and in the same order.

Nothing here decides anything that its twin does not: both give the same bytes, failures and losses for any input in any cutting,
and tests/test_twins.py holds them to it. What happens once per stream is not here at all but called in Python (dialects/*_ends.py).

    json.pxi          what is JSON, and where in it the members are that somebody asks for
    buffers.pxi       spans, growing buffers, token counts
    sse.pxi           framing
    sink.pxi          the events of a reply as C calls; a Sink in Python behind the same calls
    order.pxi         the outgoing automaton
    anthropic.pxi     decoder and encoder
    chat_calls.pxi    tool calls of Chat, however they are numbered
    openai_chat.pxi   decoder and encoder
    pipe.pxi          Pipe and Watch
    splice.pxi        a member of a request body replaced

Rules: no Python object per frame; every allocation checked; `noexcept nogil` on what only looks at bytes; a pointer into a chunk or a
frame is never kept past the call that was given it.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from libc.stdint cimport uint64_t
from libc.string cimport memchr, memcmp, memcpy, memset

from importlib import import_module

from anyllm_fast.errors import ConfigError
from anyllm_fast.neutral.stream import Failure
from anyllm_fast.neutral.usage import Usage

include "buffers.pxi"
include "json.pxi"
include "sse.pxi"
include "sink.pxi"
include "order.pxi"
include "anthropic.pxi"
include "chat_calls.pxi"
include "openai_chat.pxi"
include "pipe.pxi"
include "splice.pxi"
