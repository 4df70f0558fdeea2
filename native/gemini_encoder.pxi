# The encoder of Gemini generateContent. Twin of dialects.gemini_stream.GeminiEncoder, where the rules are explained.

cdef const char* GEMINI_HEAD = b'data: {"candidates":[{"content":{"parts":['


cdef bint has_separator(Span s) noexcept nogil:
    # Whether U+2028 or U+2029 is in it (E2 80 A8 and A9): rare, and rewritten in Python.
    cdef const char* p = s.p
    cdef const char* end = s.p + s.n
    while p < end:
        p = <const char*>memchr(p, 0xE2, <size_t>(end - p))
        if p == NULL:
            return False
        if end - p >= 3 and <unsigned char>p[1] == 0x80 and (<unsigned char>p[2] & 0xFE) == 0xA8:
            return True
        p += 1
    return False


cdef class GeminiEncoder(Ordered):
    """Twin of dialects.gemini_stream.GeminiEncoder."""

    cdef Buf tail  # what follows the part in every chunk but the last
    cdef bint packs
    cdef Buf thought  # the open one, where its signature will want it
    cdef Py_ssize_t thought_size
    cdef Buf signature  # waits for the part to be put on
    cdef Buf said
    cdef bint said_enough
    cdef Py_ssize_t began  # where in what was said the open text began
    cdef object notes
    cdef bytes ident
    cdef bytes name
    cdef Buf arguments
    cdef Py_ssize_t arguments_size
    cdef bint refused
    cdef object last

    def __init__(self, options):
        ends = shared("dialects.gemini_ends")
        self.options = options
        self.tail.n = 0
        put_bytes(&self.tail, ends.chunk_tail(options))
        self.packs = options.origin not in ("", "gemini")
        self.last = ends.LastChunk()

    def __dealloc__(self):
        release(&self.tail)
        release(&self.thought)
        release(&self.signature)
        release(&self.said)
        release(&self.arguments)

    cdef inline int begin(self) except -1:
        return put_text(&self.out, GEMINI_HEAD)

    cdef inline int close(self) except -1:
        return put_span(&self.out, held(&self.tail))

    cdef Py_ssize_t said_size(self) noexcept:
        return SAID_MAX if self.said_enough else self.said.n

    cdef int write_open(self, int kind) except -1:
        if kind == THINKING:
            return self.flush()
        self.began = self.said_size()
        if kind == REFUSAL:
            self.refused = True
        return 0

    cdef int write_piece(self, int kind, Span s) except -1:
        if kind == THINKING:
            if self.packs and self.thought_size <= MAX_PACKED:
                self.thought_size += s.n
                put_span(&self.thought, s)
        else:
            keep_said(&self.said, &self.said_enough, s)
        if self.ended:
            return 0
        self.begin()
        put_text(&self.out, b'{"text":"')
        if has_separator(s):
            put_bytes(&self.out, shared("dialects.gemini_ends").one_line(to_bytes(s)))
        else:
            put_span(&self.out, s)
        put_text(&self.out, b'"')
        if kind == THINKING:
            put_text(&self.out, b',"thought":true')
        elif self.signature.n:
            self.sign()
        put_text(&self.out, b"}")
        return self.close()

    cdef int sign(self) except -1:
        # The signature that waits, as a member.
        if self.signature.n:
            put_text(&self.out, b',"thoughtSignature":"')
            put_span(&self.out, held(&self.signature))
            put_text(&self.out, b'"')
            self.signature.n = 0
        return 0

    cdef int flush(self) except -1:
        if self.signature.n:
            self.sign_empty(b'{"text":""')
        return 0

    cdef int sign_empty(self, const char* part) except -1:
        if self.ended:
            self.signature.n = 0
            return 0
        self.begin()
        put_text(&self.out, part)
        self.sign()
        put_text(&self.out, b"}")
        return self.close()

    cdef int write_seal(self, Span signature) except -1:
        cdef str kind
        cdef bytes value
        kind, value = shared("dialects.gemini_ends").write_seal(
            self.options.origin, to_bytes(signature), to_bytes(held(&self.thought))
        )
        self.flush()
        put_bytes(&self.signature, value)
        if kind == "h":
            self.sign_empty(b'{"text":"","thought":true')
        elif kind == "t" or kind == "m":
            self.flush()
        return 0

    cdef int write_close(self, int kind) except -1:
        if kind == THINKING:
            self.thought.n = 0
            self.thought_size = 0
        elif kind == CALL:
            self.end_call()
        elif self.notes is not None:
            self.notes.close(self.began, self.said_size())
        return 0

    cdef int write_redacted(self, Span data) except -1:
        self.flush()
        put_bytes(&self.signature, shared("dialects.gemini_ends").write_redacted(self.options.origin, to_bytes(data)))
        return 0 if self.packs else self.flush()

    cdef int write_call(self, int count, Span ident, Span name) except -1:
        self.ident = to_bytes(ident)
        self.name = to_bytes(name)
        self.arguments.n = 0
        self.arguments_size = 0
        return 0

    cdef int write_args(self, int count, Span s) except -1:
        self.arguments_size += s.n
        if self.arguments_size > HELD_MAX:
            return self.on_fail(shared("dialects.repair").HELD_TOO_MUCH)
        return put_span(&self.arguments, s)

    cdef int end_call(self) except -1:
        cdef bytes args = shared("dialects.gemini_ends").read_args(to_bytes(held(&self.arguments)))
        trim(&self.arguments, 262144)
        if self.ended:
            return 0
        self.begin()
        put_text(&self.out, b'{"functionCall":{"id":"')
        put_bytes(&self.out, self.ident)
        put_text(&self.out, b'","name":"')
        put_bytes(&self.out, self.name)
        put_text(&self.out, b'","args":')
        put_bytes(&self.out, args)
        put_text(&self.out, b"}")
        self.sign()
        put_text(&self.out, b"}")
        return self.close()

    cdef bint carry(self, Span name, Span raw) except -1:
        cdef object part
        if same(name, b"media"):
            part = shared("dialects.gemini_ends").write_media(to_bytes(raw))
            if part is not None and self.turn_to(NOTHING):
                self.flush()
                if not self.ended:
                    self.begin()
                    put_bytes(&self.out, part)
                    self.close()
            return part is not None
        if not (same(name, b"citation") or same(name, b"annotation") or same(name, b"logprobs")):
            return False
        if self.notes is None:
            self.notes = shared("dialects.gemini_notes").Notes()
        return self.notes.add(to_bytes(name), to_bytes(raw))

    cdef int write_stop(self, str reason, bytes sequence) except -1:
        cdef bytes name
        cdef list lost
        self.flush()
        self.last.stop = reason
        self.last.refused = bool(self.refused)
        if sequence is not None:
            self.lose(text(b"stop_sequence"))
        if self.notes is not None:
            self.last.notes, lost = self.notes.write(to_bytes(held(&self.said)))
            for name in lost:
                self.lose(span_of(name))
        return 0

    cdef int write_losses(self) except -1:
        self.last.losses = self.losses
        return 0

    cdef int write_end(self) except -1:
        return put_bytes(&self.out, shared("dialects.gemini_ends").write_last(self.options, self.last, usage_of(self.counted)))

    cdef int write_failure(self, object failure) except -1:
        return put_bytes(&self.out, shared("dialects.gemini_ends").write_failure(failure))
