# From upstream bytes to client bytes. Twin of wire/pipe.py, where the rules are explained.

cdef class Pipe:
    """Twin of wire.pipe.Pipe."""

    cdef Framer framer
    cdef Decoder decoder
    cdef Ordered encoder

    def __init__(self, Decoder decoder not None, Ordered encoder not None, Py_ssize_t max_frame):
        self.framer = Framer(max_frame)
        self.decoder = decoder
        self.encoder = encoder

    @property
    def committed(self):
        return self.encoder.started

    @property
    def ended(self):
        return self.encoder.ended

    @property
    def failure(self):
        return self.encoder.failure

    @property
    def stop_reason(self):
        return self.encoder.stop_reason

    @property
    def usage(self):
        return usage_of(self.encoder.counted)

    @property
    def losses(self):
        return self.encoder.losses

    @property
    def remembered(self):
        return self.encoder.remembered

    def feed(self, bytes chunk not None):
        cdef Framer framer = self.framer
        cdef Ordered encoder = self.encoder
        cdef Span event, data
        if encoder.ended:
            return b""
        framer.start(PyBytes_AS_STRING(chunk), PyBytes_GET_SIZE(chunk))
        while framer.next(&event, &data):
            self.decoder.on_frame(event, data, encoder)
            if encoder.ended:
                break
        if framer.too_large:
            encoder.on_fail(broken(framer))
        return encoder.taken()

    def finish(self):
        cdef Span event, data
        if self.encoder.ended:
            return b""
        if self.framer.finish(&event, &data):
            self.decoder.on_frame(event, data, self.encoder)
        self.decoder.on_finish(self.encoder)
        return self.encoder.taken()

    def fail(self, failure):
        if self.encoder.ended:
            return b""
        self.encoder.on_fail(failure)
        return self.encoder.taken()


cdef object broken(Framer framer):
    return shared("wire.pipe").broken(framer.why())


cdef class Gauge(Sink):
    # A Sink that writes nothing: what a stream that passes by says about its reply.

    cdef bint committed
    cdef bint ended
    cdef object failure
    cdef object stop_reason
    cdef Counts counted

    def __cinit__(self):
        self.counted = unknown_counts()

    cdef int on_text(self, Span s) except -1:
        self.committed = True
        return 0

    cdef int on_refusal(self, Span s) except -1:
        self.committed = True
        return 0

    cdef int on_thinking(self, Span s) except -1:
        self.committed = True
        return 0

    cdef int on_seal(self, Span signature) except -1:
        self.committed = True
        return 0

    cdef int on_redacted(self, Span data) except -1:
        self.committed = True
        return 0

    cdef int on_tool(self, long long key, Span ident, Span name) except -1:
        self.committed = True
        return 0

    cdef int on_args(self, long long key, Span s) except -1:
        self.committed = True
        return 0

    cdef int on_private(self, Span name, Span raw) except -1:
        self.committed = True
        return 0

    cdef int on_usage(self, Counts* counts) except -1:
        self.counted = counts[0]
        return 0

    cdef int on_stop(self, str reason, bytes sequence) except -1:
        self.committed = True
        self.stop_reason = reason
        return 0

    cdef int on_fail(self, object failure) except -1:
        self.failure = failure
        self.ended = True
        return 0

    cdef int on_end(self) except -1:
        self.ended = True
        return 0


cdef Decoder watched_decoder(str dialect):
    if dialect == "anthropic":
        return AnthropicDecoder()
    if dialect == "openai_chat":
        return ChatDecoder()
    if dialect == "gemini":
        return GeminiDecoder()
    if dialect == "bedrock":
        return ConverseDecoder()
    if dialect == "openai_responses":
        return ResponsesDecoder()
    raise ValueError(dialect)


WATCHED = ("anthropic", "bedrock", "openai_chat", "gemini", "openai_responses")


cdef bint is_noise(Span event, Span data) except -1:
    return same(event, b"{") and b'"error"' not in to_bytes(data)


cdef class Watch:
    """Twin of wire.pipe.Watch."""

    cdef Framer framer
    cdef Decoder decoder
    cdef Gauge gauge
    cdef object watched
    cdef bint anthropic
    cdef bint chat
    cdef Buf held
    cdef Likeness like
    cdef unsigned int unlike
    cdef readonly list losses
    cdef readonly list remembered

    def __init__(self, str dialect not None, Py_ssize_t max_frame):
        self.watched = shared("wire.pipe").watched(dialect)
        self.anthropic = dialect == "anthropic"
        self.framer = Framer(max_frame)
        self.chat = dialect == "openai_chat"
        self.decoder = watched_decoder(dialect)
        self.decoder.sees_all = False
        self.gauge = Gauge()
        self.losses = []
        self.remembered = []

    def __dealloc__(self):
        release(&self.held)
        forget(&self.like)

    @property
    def committed(self):
        return bool(self.gauge.committed)

    @property
    def ended(self):
        return bool(self.gauge.ended)

    @property
    def failure(self):
        return self.gauge.failure

    @property
    def stop_reason(self):
        return self.gauge.stop_reason

    @property
    def usage(self):
        return usage_of(self.gauge.counted)

    def feed(self, bytes chunk not None):
        cdef Framer framer = self.framer
        cdef Span event, data
        if self.gauge.ended:
            return b""
        framer.start(PyBytes_AS_STRING(chunk), PyBytes_GET_SIZE(chunk))
        while framer.next(&event, &data):
            self.look(event, data)
            if self.gauge.failure is not None and not self.watched.is_error(to_bytes(event), to_bytes(data)):
                return self.released(chunk, framer.frame_begin) + self.watched.write_failure(self.gauge.failure)
            if self.gauge.ended:
                return self.released(chunk, framer.boundary)
        if framer.too_large:
            self.gauge.on_fail(broken(framer))
            return self.released(chunk, framer.boundary) + self.watched.write_failure(self.gauge.failure)
        return self.forward(chunk)

    def finish(self):
        cdef Span event, data
        cdef bytes out = b""
        if self.gauge.ended:
            return b""
        if self.framer.finish(&event, &data) and not is_noise(event, data):
            self.decoder.on_frame(event, data, self.gauge)  # never unread: it may be half a frame
            if self.gauge.failure is None or self.watched.is_error(to_bytes(event), to_bytes(data)):
                out = shared("wire.pipe").closed(to_bytes(held(&self.held)))
        if not self.gauge.ended:
            self.decoder.on_finish(self.gauge)
            if self.gauge.failure is None:
                return out + self.watched.terminator
            return out + self.watched.write_failure(self.gauge.failure)
        if not out and self.gauge.failure is not None:
            return self.watched.write_failure(self.gauge.failure)
        return out

    def fail(self, failure):
        if self.gauge.ended:
            return b""
        self.gauge.on_fail(failure)
        return self.watched.write_failure(failure)

    cdef int look(self, Span event, Span data) except -1:
        cdef bint plain
        if is_noise(event, data):
            return 0
        if self.anthropic:
            plain = begins(data, b'{"type":"content_block_') or begins(data, b'{"type": "content_block_')
        elif self.chat:
            plain = self.gauge.committed and not same(event, b"error") and self.is_plain(data)
        else:
            plain = self.decoder.is_plain(event, data, self.gauge.committed)
        if not plain:
            return self.decoder.on_frame(event, data, self.gauge)
        self.gauge.committed = True
        return self.decoder.on_skip()

    cdef bint is_plain(self, Span data) except -1:
        cdef Span piece
        if is_like(&self.like, data, &piece) and not same(piece, b"error"):
            self.unlike = 0
            return True
        if not is_plain_chunk(data):
            return False
        if self.unlike < 4 or self.unlike % 16 == 0:  # where no two chunks are alike, it is not worth much
            study(&self.like, data)
        self.unlike += 1
        return True

    cdef bytes forward(self, bytes chunk):
        # Everything up to the last blank line; the rest waits.
        cdef Py_ssize_t end = self.framer.boundary
        cdef bytes out = self.released(chunk, end)
        put(&self.held, PyBytes_AS_STRING(chunk) + end, PyBytes_GET_SIZE(chunk) - end)
        return out

    cdef bytes released(self, bytes chunk, Py_ssize_t end):
        # What was held, and the chunk up to `end`; nothing if the frame that is held did not end. A chunk that leaves whole, with
        # nothing before it, is returned itself.
        cdef bytes out
        if not end:
            return b""
        if not self.held.n:
            return chunk if end == PyBytes_GET_SIZE(chunk) else PyBytes_FromStringAndSize(PyBytes_AS_STRING(chunk), end)
        put(&self.held, PyBytes_AS_STRING(chunk), end)
        out = PyBytes_FromStringAndSize(self.held.p, self.held.n)
        trim(&self.held, 65536)
        return out


cdef bint is_plain_chunk(Span data) noexcept nogil:
    # Twin of the search in dialects/openai_chat_stream._is_plain.
    cdef const char* end = data.p + data.n
    cdef const char* p = data.p
    cdef bint choices = False
    cdef Span rest
    while True:
        p = next_quote(p, end)
        if p == end:
            return choices
        rest = span(p, end - p)
        if rest.n < 7:
            return choices
        if p[1] == 99 and begins(rest, b'"choices"'):
            choices = True
        elif p[1] == 117 and begins(rest, b'"usage"') and tells(p + 7, end, True):
            return False
        elif p[1] == 102 and begins(rest, b'"finish_reason"') and tells(p + 15, end, True):
            return False
        elif p[1] == 101 and begins(rest, b'"error"') and tells(p + 7, end, False):
            return False
        p += 1


cdef inline const char* next_quote(const char* p, const char* end) noexcept nogil:
    # The first quote from p on, or `end`; eight bytes at a time, see json.pxi.
    cdef uint64_t word, mask
    while end - p >= 8:
        memcpy(&word, p, 8)
        word ^= <uint64_t>0x2222222222222222
        mask = (word - <uint64_t>0x0101010101010101) & ~word & <uint64_t>0x8080808080808080
        if mask:
            p += anyllm_first(mask)
            if p[0] == 34:
                return p
            p += 1
        else:
            p += 8
    while p < end and p[0] != 34:
        p += 1
    return p


cdef bint tells(const char* p, const char* end, bint needs_colon) noexcept nogil:
    # Whether what follows a key is not a colon and null. Without a colon it is no key, which tells nothing, but for `error`.
    p = white(p, end)
    if p == end or p[0] != 58:
        return not needs_colon
    p = white(p + 1, end)
    return not begins(span(p, end - p), b"null")


cdef int study(Likeness* like, Span data) except -1:
    # Learns an ordinary chunk by the string in it that is most likely to change.
    cdef Chunk c
    cdef Span[CHAT_DELTA_NAMES] d
    cdef Span[3] t
    cdef Span[2] f
    cdef Span item = nothing(), piece
    cdef int i
    like.known = False
    data = stripped(data)
    if not data.n or not read_chunk(data, &c) or not c.found:
        return 0
    read_members(c.choice[O_DELTA], CHAT_DELTA, CHAT_DELTA_NAMES, d)
    piece = string(d[T_CONTENT])
    for i in range(T_REASONING_CONTENT, T_THINKING + 1):
        if not piece.n:
            piece = string(d[i])
    if not piece.n and next_object(d[T_CALLS], &item):
        read_members(item, TOOL, 3, t)
        read_members(t[2], FUNCTION, 2, f)
        piece = string(f[1])
    return learn(like, data, piece, string(c.top[K_PADDING])) if piece.n else 0
