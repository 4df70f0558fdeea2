# The encoder of Anthropic Messages. Twin of dialects.anthropic_stream.AnthropicEncoder.

cdef int put_tagged(Buf* b, str origin, Span opaque) except -1:
    # A signature as it leaves for a client; `origin` is empty where it leaves as it is.
    if not origin:
        return put_span(b, opaque)
    return put_bytes(b, shared("neutral.signatures").tagged(origin, to_bytes(opaque)))


cdef class AnthropicEncoder(Ordered):
    """Twin of dialects.anthropic_stream.AnthropicEncoder."""

    cdef long long index
    cdef Buf piece  # how a delta of the open block begins
    cdef str origin  # whose signatures they are, if not Anthropic's own
    cdef str why
    cdef bytes sequence

    def __init__(self, options):
        self.options = options
        self.origin = shared("dialects.anthropic_ends").foreign(options.origin)
        self.index = -1

    def __dealloc__(self):
        release(&self.piece)

    cdef int write_start(self) except -1:
        return put_bytes(&self.out, shared("dialects.anthropic_ends").write_start(self.options, usage_of(self.counted)))

    cdef int begin(self) except -1:
        self.index += 1
        put_text(&self.out, b'event: content_block_start\ndata: {"type":"content_block_start","index":')
        put_int(&self.out, self.index)
        return put_text(&self.out, b',"content_block":')

    cdef int put_delta(self, Buf* b) except -1:
        put_text(b, b'event: content_block_delta\ndata: {"type":"content_block_delta","index":')
        put_int(b, self.index)
        return put_text(b, b',"delta":')

    cdef int write_open(self, int kind) except -1:
        self.begin()
        self.piece.n = 0
        self.put_delta(&self.piece)
        if kind == THINKING:
            put_text(&self.out, b'{"type":"thinking","thinking":"","signature":""}}\n\n')
            put_text(&self.piece, b'{"type":"thinking_delta","thinking":"')
        else:
            put_text(&self.out, b'{"type":"text","text":""}}\n\n')
            put_text(&self.piece, b'{"type":"text_delta","text":"')
        return 0

    cdef int write_piece(self, int kind, Span s) except -1:
        put_span(&self.out, held(&self.piece))
        put_span(&self.out, s)
        return put_text(&self.out, b'"}}\n\n')

    cdef int write_seal(self, Span signature) except -1:
        self.put_delta(&self.out)
        put_text(&self.out, b'{"type":"signature_delta","signature":"')
        put_tagged(&self.out, self.origin, signature)
        return put_text(&self.out, b'"}}\n\n')

    cdef int write_close(self, int kind) except -1:
        put_text(&self.out, b'event: content_block_stop\ndata: {"type":"content_block_stop","index":')
        put_int(&self.out, self.index)
        return put_text(&self.out, b"}\n\n")

    cdef int write_redacted(self, Span data) except -1:
        self.begin()
        put_text(&self.out, b'{"type":"redacted_thinking","data":"')
        put_tagged(&self.out, self.origin, data)
        put_text(&self.out, b'"}}\n\n')
        return self.write_close(CALL)

    cdef int write_call(self, int count, Span ident, Span name) except -1:
        self.begin()
        put_text(&self.out, b'{"type":"tool_use","id":"')
        put_span(&self.out, ident)
        put_text(&self.out, b'","name":"')
        put_span(&self.out, name)
        put_text(&self.out, b'","input":{}}}\n\n')
        self.piece.n = 0
        self.put_delta(&self.piece)
        return put_text(&self.piece, b'{"type":"input_json_delta","partial_json":"')

    cdef int write_args(self, int count, Span s) except -1:
        return self.write_piece(CALL, s)

    cdef bint carry(self, Span name, Span raw) except -1:
        cdef object citation
        if same(name, b"media"):
            return self.write_image(raw)
        if same(name, b"annotation") and self.opened == TEXT:
            citation = shared("dialects.citations").citation_of(to_bytes(raw))
            if citation is None:
                return False
            raw = span_of(citation)
        elif not (same(name, b"citation") and self.turn_to(TEXT)):
            return False
        self.put_delta(&self.out)
        put_text(&self.out, b'{"type":"citations_delta","citation":')
        put_span(&self.out, raw)
        put_text(&self.out, b"}}\n\n")
        return True

    cdef bint write_image(self, Span raw) except -1:
        cdef object block = shared("dialects.media").image_block(to_bytes(raw))
        if block is None or not self.turn_to(NOTHING):
            return False
        self.begin()
        put_bytes(&self.out, block)
        put_text(&self.out, b"}\n\n")
        self.write_close(CALL)
        return True

    cdef int write_stop(self, str reason, bytes sequence) except -1:
        self.why = reason
        self.sequence = sequence
        return 0

    cdef int write_end(self) except -1:
        ends = shared("dialects.anthropic_ends")
        return put_bytes(&self.out, ends.write_stop(self.why, self.sequence, usage_of(self.counted)))

    cdef int write_failure(self, object failure) except -1:
        return put_bytes(&self.out, shared("dialects.anthropic_ends").write_failure(failure))
