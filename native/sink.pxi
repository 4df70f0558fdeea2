# The events of a reply as C calls. Twin of the Sink protocol in neutral/stream.py; the methods there have the same names without on_.

cdef class Sink:
    # Spans are valid during the call only. Reasons, sequences and failures are Python objects: they come once per stream.

    cdef int on_start(self, Span ident, Span model) except -1:
        return 0

    cdef int on_text(self, Span s) except -1:
        return 0

    cdef int on_refusal(self, Span s) except -1:
        return 0

    cdef int on_thinking(self, Span s) except -1:
        return 0

    cdef int on_seal(self, Span signature) except -1:
        return 0

    cdef int on_redacted(self, Span data) except -1:
        return 0

    cdef int on_tool(self, long long key, Span ident, Span name) except -1:
        return 0

    cdef int on_args(self, long long key, Span s) except -1:
        return 0

    cdef int on_private(self, Span name, Span raw) except -1:
        return 0

    cdef int on_usage(self, Counts* counts) except -1:
        return 0

    cdef int on_stop(self, str reason, bytes sequence) except -1:
        return 0

    cdef int on_fail(self, object failure) except -1:
        return 0

    cdef int on_end(self) except -1:
        return 0


cdef class Relay(Sink):
    # A Sink in Python behind the calls of this module.

    cdef object target

    def __init__(self, target):
        self.target = target

    cdef int on_start(self, Span ident, Span model) except -1:
        self.target.start(to_bytes(ident), to_bytes(model))
        return 0

    cdef int on_text(self, Span s) except -1:
        self.target.text(to_bytes(s))
        return 0

    cdef int on_refusal(self, Span s) except -1:
        self.target.refusal(to_bytes(s))
        return 0

    cdef int on_thinking(self, Span s) except -1:
        self.target.thinking(to_bytes(s))
        return 0

    cdef int on_seal(self, Span signature) except -1:
        self.target.seal(to_bytes(signature))
        return 0

    cdef int on_redacted(self, Span data) except -1:
        self.target.redacted(to_bytes(data))
        return 0

    cdef int on_tool(self, long long key, Span ident, Span name) except -1:
        self.target.tool(key, to_bytes(ident), to_bytes(name))
        return 0

    cdef int on_args(self, long long key, Span s) except -1:
        self.target.args(key, to_bytes(s))
        return 0

    cdef int on_private(self, Span name, Span raw) except -1:
        self.target.private(to_bytes(name), to_bytes(raw))
        return 0

    cdef int on_usage(self, Counts* counts) except -1:
        self.target.usage(usage_of(counts[0]))
        return 0

    cdef int on_stop(self, str reason, bytes sequence) except -1:
        self.target.stop(reason, sequence)
        return 0

    cdef int on_fail(self, object failure) except -1:
        self.target.fail(failure)
        return 0

    cdef int on_end(self) except -1:
        self.target.end()
        return 0


cdef Sink native_sink(object sink):
    return <Sink>sink if isinstance(sink, Sink) else Relay(sink)


cdef class Decoder:
    # Twin of the Decoder protocol in wire/pipe.py.

    cdef bint over
    cdef bint sees_all

    def __cinit__(self):
        self.sees_all = True

    cdef int on_frame(self, Span event, Span data, Sink sink) except -1:
        return 0

    cdef int on_finish(self, Sink sink) except -1:
        return 0

    cdef int on_skip(self) except -1:
        return 0

    cdef bint is_plain(self, Span event, Span data, bint committed) except -1:
        # Twin of Watched.is_plain, where Watch has no way of its own to tell.
        return False

    cdef int failed(self, object failure, Sink sink) except -1:
        if not self.over:
            self.over = True
            sink.on_fail(failure)
        return 0

    def frame(self, bytes event not None, bytes data not None, sink):
        self.on_frame(span_of(event), span_of(data), native_sink(sink))

    def finish(self, sink):
        self.on_finish(native_sink(sink))

    def skip(self):
        self.on_skip()
