# The encoder of Bedrock Converse. Twin of dialects.bedrock_stream.ConverseEncoder.

cdef class ConverseEncoder(Ordered):
    """Twin of dialects.bedrock_stream.ConverseEncoder."""

    cdef long long index
    cdef Buf piece  # how a delta of the open block begins
    cdef const char* tail  # and ends
    cdef bint fed  # the open call had input
    cdef bint foreign
    cdef str why
    cdef bytes sequence

    def __init__(self, options):
        self.options = options
        self.foreign = options.origin not in ("", shared("dialects.bedrock_content").NAME)
        self.index = -1

    def __dealloc__(self):
        release(&self.piece)

    cdef int write_start(self) except -1:
        return put_text(&self.out, b'event: messageStart\ndata: {"role":"assistant"}\n\n')

    cdef int begin(self, const char* before, const char* tail) except -1:
        self.index += 1
        self.piece.n = 0
        self.put_delta(&self.piece)
        self.tail = tail
        return put_text(&self.piece, before)

    cdef int put_delta(self, Buf* b) except -1:
        put_text(b, b'event: contentBlockDelta\ndata: {"contentBlockIndex":')
        put_int(b, self.index)
        return put_text(b, b',"delta":')

    cdef int write_open(self, int kind) except -1:
        if kind == THINKING:
            return self.begin(b'{"reasoningContent":{"text":"', b'"}}}\n\n')
        return self.begin(b'{"text":"', b'"}}\n\n')

    cdef int write_piece(self, int kind, Span s) except -1:
        put_span(&self.out, held(&self.piece))
        put_span(&self.out, s)
        return put_text(&self.out, self.tail)

    cdef int write_seal(self, Span signature) except -1:
        cdef bytes tagged
        if self.foreign:
            tagged = shared("neutral.signatures").tagged(self.options.origin, to_bytes(signature))
            signature = span_of(tagged)
        self.put_delta(&self.out)
        put_text(&self.out, b'{"reasoningContent":{"signature":"')
        put_span(&self.out, signature)
        return put_text(&self.out, b'"}}}\n\n')

    cdef int write_close(self, int kind) except -1:
        if kind == CALL and not self.fed:
            self.write_args(0, text(b"{}"))
        put_text(&self.out, b'event: contentBlockStop\ndata: {"contentBlockIndex":')
        put_int(&self.out, self.index)
        return put_text(&self.out, b"}\n\n")

    cdef int write_redacted(self, Span data) except -1:
        self.index += 1
        self.put_delta(&self.out)
        put_text(&self.out, b'{"reasoningContent":{"redactedContent":"')
        put_bytes(&self.out, shared("dialects.bedrock_reply").write_redacted(to_bytes(data), self.options.origin))
        put_text(&self.out, b'"}}}\n\n')
        return self.write_close(THINKING)

    cdef int write_call(self, int count, Span ident, Span name) except -1:
        self.begin(b'{"toolUse":{"input":"', b'"}}}\n\n')
        self.fed = False
        put_text(&self.out, b'event: contentBlockStart\ndata: {"contentBlockIndex":')
        put_int(&self.out, self.index)
        put_text(&self.out, b',"start":{"toolUse":{"toolUseId":"')
        put_span(&self.out, ident)
        put_text(&self.out, b'","name":"')
        put_span(&self.out, name)
        return put_text(&self.out, b'"}}}\n\n')

    cdef int write_args(self, int count, Span s) except -1:
        self.fed = True
        return self.write_piece(CALL, s)

    cdef bint carry(self, Span name, Span raw) except -1:
        cdef bytes written
        if same(name, b"citation") or (same(name, b"annotation") and self.opened == TEXT):
            return self.carry_citation(name, raw)
        written = shared("dialects.bedrock_ends").write_private(to_bytes(name), to_bytes(raw), self.index + 1)
        if written is None or not self.turn_to(NOTHING):
            return False
        self.index += 1
        put_bytes(&self.out, written)
        return True

    cdef bint carry_citation(self, Span name, Span raw) except -1:
        cdef object written = shared("dialects.bedrock_ends").write_citation(to_bytes(name), to_bytes(raw))
        if written is None or not self.turn_to(TEXT):
            return False
        for lost in written[1]:
            self.lose(span_of(lost))
        self.put_delta(&self.out)
        put_text(&self.out, b'{"citation":')
        put_bytes(&self.out, written[0])
        put_text(&self.out, b"}}\n\n")
        return True

    cdef int write_stop(self, str reason, bytes sequence) except -1:
        self.why = reason
        self.sequence = sequence
        return 0

    cdef int write_end(self) except -1:
        ends = shared("dialects.bedrock_ends")
        stop = (self.why, self.sequence)
        return put_bytes(&self.out, ends.write_end(self.options, stop, usage_of(self.counted), self.losses))

    cdef int write_losses(self) except -1:
        return 0  # in the last event (write_end)

    cdef int write_failure(self, object failure) except -1:
        return put_bytes(&self.out, shared("dialects.bedrock_ends").write_failure(failure))
