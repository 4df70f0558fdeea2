# The encoder of OpenAI Responses. Twin of dialects.openai_responses_stream.ResponsesEncoder.
#
# What happens once per item is written by dialects.openai_responses_writer.Writer, for both twins. Here is what happens per piece.

cdef enum:
    KEPT_MAX = 64 << 20


cdef class ResponsesEncoder(Ordered):
    """Twin of dialects.openai_responses_stream.ResponsesEncoder."""

    cdef object writer
    cdef long long number  # of the next event; the writer's own is behind while pieces are written
    cdef Buf head  # how a piece of the open block begins: up to its number
    cdef Buf middle
    cdef Buf tail
    cdef bint pieces
    cdef Buf text  # of the open block or call
    cdef Py_ssize_t kept  # bytes of all texts
    cdef str why

    def __init__(self, options):
        self.options = options
        self.writer = shared("dialects.openai_responses_writer").Writer(options)
        self.why = "end_turn"

    def __dealloc__(self):
        release(&self.head)
        release(&self.middle)
        release(&self.tail)
        release(&self.text)

    cdef object begin(self):
        # The writer, with our number.
        self.writer.number = self.number
        return self.writer

    cdef int wrote(self, bytes out) except -1:
        self.number = self.writer.number
        return put_bytes(&self.out, out)

    cdef int aim(self) except -1:
        self.head.n = self.middle.n = self.tail.n = 0
        put_bytes(&self.head, self.writer.head)
        put_bytes(&self.middle, self.writer.middle)
        put_bytes(&self.tail, self.writer.tail)
        return 0

    cdef int keep(self, Py_ssize_t n) except -1:
        self.kept += n
        if self.kept > KEPT_MAX:
            return self.on_fail(shared("dialects.openai_responses_ends").KEPT_TOO_MUCH)
        return 0

    cdef inline int put_piece(self, Span s) except -1:
        put_span(&self.out, held(&self.head))
        put_int(&self.out, self.number)
        put_span(&self.out, held(&self.middle))
        put_span(&self.out, s)
        put_span(&self.out, held(&self.tail))
        self.number += 1
        return 0

    cdef int write_start(self) except -1:
        return self.wrote(self.begin().start())

    cdef int write_open(self, int kind) except -1:
        self.text.n = 0
        self.wrote(self.begin().open(kind))
        return self.aim()

    cdef int write_piece(self, int kind, Span s) except -1:
        if kind == THINKING and not self.text.n:
            self.wrote(self.begin().open_summary())
            self.aim()
        put_span(&self.text, s)
        self.put_piece(s)
        return self.keep(s.n)

    cdef int write_seal(self, Span signature) except -1:
        self.writer.seal(to_bytes(signature))
        return self.keep(signature.n)

    cdef int write_close(self, int kind) except -1:
        cdef bytes text = to_bytes(held(&self.text))
        trim(&self.text, 65536)
        if kind == CALL:
            return self.wrote(self.begin().close_call(text, bool(self.balance.complete)))
        return self.wrote(self.begin().close(kind, text))

    cdef int write_redacted(self, Span data) except -1:
        self.wrote(self.begin().redacted(to_bytes(data)))
        return self.keep(data.n)

    cdef int write_call(self, int count, Span ident, Span name) except -1:
        self.text.n = 0
        self.wrote(self.begin().open_call(to_bytes(ident), to_bytes(name)))
        self.pieces = self.writer.pieces
        return self.aim()

    cdef int write_args(self, int count, Span s) except -1:
        put_span(&self.text, s)
        if self.pieces:
            self.put_piece(s)
        return self.keep(s.n)

    cdef bint carry(self, Span name, Span raw) except -1:
        cdef object written = None
        cdef bytes known = to_bytes(name), given
        if same(name, b"annotation") or same(name, b"citation"):
            given = to_bytes(raw)
            written = self.begin().note(self.opened, known, given)
        elif same(name, b"logprobs"):
            if self.opened == TEXT:
                written = self.begin().logprobs(to_bytes(raw))
        else:
            given = to_bytes(raw)
            if not self.writer.is_item(known, given):
                return False
            if not self.turn_to(NOTHING):
                return True
            written = self.begin().item(known, given)
        if written is None:
            return False
        self.wrote(written)
        self.keep(raw.n)
        return True

    cdef int write_stop(self, str reason, bytes sequence) except -1:
        cdef bytes name
        for name in self.writer.forgotten():
            self.lose(span_of(name))
        if sequence is not None:
            self.lose(text(b"stop_sequence"))
        self.why = reason
        return self.wrote(self.begin().stop(reason))

    cdef int write_end(self) except -1:
        return self.wrote(self.begin().end(self.why, usage_of(self.counted)))

    cdef int write_failure(self, object failure) except -1:
        return self.wrote(self.begin().failed(usage_of(self.counted), failure))
