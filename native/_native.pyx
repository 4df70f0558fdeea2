# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, nonecheck=False, cdivision=True
"""The streaming core in C: twins of anyllm_fast/wire and anyllm_fast/dialects/*_stream.py, under the same names and in the same order.

Nothing here decides anything that its twin does not: both give the same bytes, failures and losses for any input in any cutting,
and tests/test_twins.py holds them to it. What happens once per stream is not here at all but called in Python (dialects/*_ends.py).

    buffers.pxi        spans, growing buffers, token counts
    json.pxi           what is JSON, and where in it the members are that somebody asks for
    sse.pxi            framing
    sink.pxi           the events of a reply as C calls; a Sink in Python behind the same calls
    order.pxi          the outgoing automaton
    likeness.pxi       frames that need not be parsed
    aws*.pxi           AWS event-stream framing: checksum and base64, messages to frames and back, a pipe behind it
    anthropic*.pxi     decoder and encoder
    bedrock*.pxi       decoder and encoder of Converse
    openai_chat*.pxi   the shape of a chunk, tool calls, decoder, encoder
    gemini*.pxi        the shape of a chunk, decoder, encoder
    pipe.pxi           Pipe and Watch
    splice.pxi         a member of a request body replaced

Rules: no Python object per frame; every allocation checked; `noexcept nogil` on what only looks at bytes; a pointer into a chunk or a
frame is never kept past the call that was given it.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.stdint cimport uint64_t
from libc.string cimport memchr, memcmp, memcpy, memset, strlen

from importlib import import_module

from anyllm_fast.neutral.stream import Failure, Remembered
from anyllm_fast.neutral.usage import Usage

include "buffers.pxi"
include "json.pxi"
include "sse.pxi"
include "sink.pxi"
include "order.pxi"
include "likeness.pxi"
include "aws_bytes.pxi"
include "aws.pxi"
include "anthropic.pxi"
include "anthropic_encoder.pxi"
include "bedrock.pxi"
include "bedrock_encoder.pxi"
include "openai_chat_chunk.pxi"
include "openai_chat_calls.pxi"
include "openai_chat.pxi"
include "openai_chat_encoder.pxi"
include "gemini_chunk.pxi"
include "gemini.pxi"
include "gemini_encoder.pxi"
include "openai_responses_event.pxi"
include "openai_responses_items.pxi"
include "openai_responses.pxi"
include "openai_responses_encoder.pxi"
include "pipe.pxi"
include "aws_pipe.pxi"
include "splice.pxi"
