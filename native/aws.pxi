# AWS event-stream framing. Twin of wire/aws.py, where the rules are explained.

cdef enum:
    PRELUDE = 12
    TRAILER = 4

cdef enum:
    AWS_EVENT
    AWS_FAILED

cdef int[10] HEADER_SIZES
HEADER_SIZES[:] = [0, 0, 1, 2, 4, 8, 0, 0, 8, 16]  # of a value by its type; 6 and 7 say it themselves

# -- from AWS -----------------------------------------------------------------------------------------------------------

cdef class AwsToSse:
    """Twin of wire.aws.AwsToSse."""

    cdef Py_ssize_t max_frame
    cdef bint inner
    cdef Buf held
    cdef Py_ssize_t need
    cdef Buf headers  # read last: most messages have the same
    cdef bint known  # they were read
    cdef Buf name
    cdef Buf prefix  # how a frame of that name begins
    cdef int kind
    cdef Buf chunk  # what was in the base64
    cdef Buf out
    cdef Decoder decoder  # of an AwsPipe: it gets the frames themselves, and nothing is written
    cdef Sink sink
    cdef readonly object failure
    cdef readonly Py_ssize_t boundary

    def __init__(self, Py_ssize_t max_frame, bint inner):
        self.max_frame = max_frame
        self.inner = inner
        self.need = PRELUDE

    def __dealloc__(self):
        release(&self.held)
        release(&self.headers)
        release(&self.name)
        release(&self.prefix)
        release(&self.chunk)
        release(&self.out)

    def feed(self, bytes chunk not None):
        cdef Span data = span_of(chunk)
        cdef Py_ssize_t before = self.held.n
        cdef Py_ssize_t end
        cdef bytes out
        self.boundary = 0
        if self.failure is not None:
            return b""
        if before or data.n < self.need:
            put_span(&self.held, data)
            if self.held.n < self.need:
                return b""
            data = held(&self.held)
        end = self.read(data)
        self.boundary = end - before if end > before else 0
        if self.failure is not None:
            release(&self.held)
        elif not before:
            put(&self.held, data.p + end, data.n - end)
        elif end == data.n:
            trim(&self.held, 65536)
        elif end:
            memmove(self.held.p, self.held.p + end, <size_t>(data.n - end))
            self.held.n = data.n - end
        out = to_bytes(held(&self.out))
        trim(&self.out, 262144)
        return out

    def finish(self):
        if self.held.n and self.failure is None:
            self.failure = shared("wire.aws").CUT
        return b""

    cdef Py_ssize_t read(self, Span data) except -1:
        # Where the last whole message of `data` ends; sets `need` for what is behind it.
        cdef Py_ssize_t place = 0
        cdef long long total, headers
        cdef uint32_t checksum
        cdef const char* p
        while True:
            self.need = PRELUDE
            if data.n - place < PRELUDE:
                return place
            p = data.p + place
            total = big(p)
            headers = big(p + 4)
            checksum = crc_of(0, p, 8)
            if checksum != big(p + 8):
                self.failure = shared("wire.aws").BAD_CHECKSUM
            elif total > self.max_frame:
                self.failure = shared("wire.aws").too_large(self.max_frame)
            elif total < PRELUDE + TRAILER + headers:
                self.failure = shared("wire.aws").BAD_LENGTHS
            elif data.n - place < total:
                self.need = <Py_ssize_t>total
                return place
            else:
                self.message(p, <Py_ssize_t>total, <Py_ssize_t>headers, checksum)
                if self.failure is None:
                    place += <Py_ssize_t>total
                if self.decoder is not None and self.decoder.over:
                    return place
            if self.failure is not None:
                return place

    cdef int message(self, const char* p, Py_ssize_t total, Py_ssize_t length, uint32_t checksum) except -1:
        # `checksum` is that of the first eight bytes.
        cdef Py_ssize_t end = total - TRAILER
        cdef Span raw = span(p + PRELUDE, length)
        cdef Span payload = span(p + PRELUDE + length, end - PRELUDE - length)
        cdef Span kind
        if crc_of(checksum, p + 8, end - 8) != big(p + end):
            self.failure = shared("wire.aws").BAD_CHECKSUM
            return 0
        if not self.known or not equal(raw, held(&self.headers)):
            if not self.read_headers(raw):
                self.failure = shared("wire.aws").BAD_HEADERS
                return 0
        if self.kind == AWS_FAILED:
            aws = shared("wire.aws")
            return self.written(aws.write_exception(aws.read_headers(to_bytes(raw)), to_bytes(payload), bool(self.inner)))
        if not self.inner and self.decoder is not None:
            return self.frame(held(&self.name), payload)
        if not self.inner:
            if has_line_end(payload):
                return self.frame(held(&self.name), payload)
            grow_for(&self.out, self.prefix.n + payload.n + 2)
            put_span(&self.out, held(&self.prefix))
            put_span(&self.out, payload)
            return put(&self.out, b"\n\n", 2)
        if not same(held(&self.name), b"chunk"):
            return self.written(shared("wire.aws").PING)
        self.chunk.n = 0
        if not self.unwrap(payload):
            inner = shared("wire.aws").read_chunk(to_bytes(payload))
            if inner is None:
                self.failure = shared("wire.aws").BAD_CHUNK
                return 0
            put_bytes(&self.chunk, inner)
        self.inside(held(&self.chunk))
        return trim(&self.chunk, 65536)

    cdef bint read_headers(self, Span raw) except -1:
        # False if they cannot be read, or a value has a line end in it.
        cdef const unsigned char* p = <const unsigned char*>raw.p
        cdef const unsigned char* end = p + raw.n
        cdef Span name, value
        cdef int kind
        cdef Py_ssize_t size
        self.known = False
        self.kind = AWS_EVENT
        self.name.n = 0
        while p < end:
            if end - p < 2 + p[0]:
                return False
            name = span(<const char*>p + 1, p[0])
            p += 1 + p[0]
            kind = p[0]
            p += 1
            if kind == 6 or kind == 7:
                if end - p < 2:
                    return False
                size = <Py_ssize_t>p[0] << 8 | p[1]
                p += 2
            elif kind > 9:
                return False
            else:
                size = HEADER_SIZES[kind]
            if end - p < size:
                return False
            value = span(<const char*>p, size)
            p += size
            if kind != 7:
                continue
            if has_line_end(value):
                return False
            if same(name, b":event-type"):
                self.name.n = 0
                put_span(&self.name, value)
            elif same(name, b":message-type"):
                self.kind = AWS_FAILED if same(value, b"exception") or same(value, b"error") else AWS_EVENT
        self.prefix.n = 0
        if self.name.n:
            put_text(&self.prefix, b"event: ")
            put_span(&self.prefix, held(&self.name))
            put_text(&self.prefix, b"\n")
        put_text(&self.prefix, b"data: ")
        self.headers.n = 0
        put_span(&self.headers, raw)
        self.known = True
        return True

    cdef bint unwrap(self, Span payload) except -1:
        # The base64 of {"bytes":"..."} or {"bytes":"...","p":"abc"}; False for anything else.
        cdef const char* end = payload.p + payload.n
        cdef const char* p
        cdef const char* q
        if not begins(payload, b'{"bytes":"'):
            return False
        p = payload.p + 10
        q = <const char*>memchr(p, 34, <size_t>(end - p))
        if q == NULL:
            return False
        payload = span(q + 1, end - q - 1)
        if not same(payload, b"}"):
            if not begins(payload, b',"p":"'):
                return False
            end = skip_string(payload.p + 6, end)
            if end == NULL or payload.p + payload.n - end != 1 or end[0] != 125:
                return False
        return put_decoded(&self.chunk, span(p, q - p))

    cdef int inside(self, Span inner) except -1:
        # An event of Anthropic's, whose type leads it.
        cdef const char* p = inner.p + 9
        cdef const char* end = inner.p + inner.n
        cdef bytes name
        if begins(inner, b'{"type":"'):
            while p < end and (97 <= p[0] <= 122 or p[0] == 95):
                p += 1
            if p < end and p[0] == 34 and p > inner.p + 9:
                return self.frame(span(inner.p + 9, p - inner.p - 9), inner)
        name = shared("wire.aws").type_of(to_bytes(inner))
        return self.frame(span_of(name), inner)

    cdef int written(self, bytes sse) except -1:
        # A frame of one line of data that was written in Python.
        cdef Span s = span_of(sse)
        cdef const char* line = <const char*>memchr(s.p, 10, <size_t>s.n)
        if self.decoder is None:
            return put_span(&self.out, s)
        return self.decoder.on_frame(span(s.p + 7, line - s.p - 7), span(line + 7, s.p + s.n - 2 - line - 7), self.sink)

    cdef int frame(self, Span name, Span data) except -1:
        cdef const char* p = data.p
        cdef const char* end = data.p + data.n
        cdef const char* q
        cdef bytes lines
        if self.decoder is not None:
            if not has_line_end(data):
                return self.decoder.on_frame(name, data, self.sink)
            lines = to_bytes(data).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            return self.decoder.on_frame(name, span_of(lines), self.sink)
        if name.n:
            put_text(&self.out, b"event: ")
            put_span(&self.out, name)
            put_text(&self.out, b"\n")
        put_text(&self.out, b"data: ")
        if not has_line_end(data):
            put_span(&self.out, data)
            return put_text(&self.out, b"\n\n")
        q = p
        while p < end:
            if p[0] == 10 or p[0] == 13:
                put(&self.out, q, p - q)
                put_text(&self.out, b"\ndata: ")
                if p[0] == 13 and end - p > 1 and p[1] == 10:
                    p += 1
                q = p + 1
            p += 1
        put(&self.out, q, end - q)
        return put_text(&self.out, b"\n\n")


cdef inline bint has_line_end(Span s) noexcept nogil:
    return s.n > 0 and (memchr(s.p, 10, <size_t>s.n) != NULL or memchr(s.p, 13, <size_t>s.n) != NULL)


# -- to AWS -------------------------------------------------------------------------------------------------------------

cdef class SseToAws:
    """Twin of wire.aws.SseToAws."""

    cdef bint inner
    cdef Framer framer
    cdef Buf name
    cdef Buf headers  # for that name
    cdef Buf chunk
    cdef Buf out

    def __init__(self, bint inner):
        self.inner = inner
        self.framer = Framer(<Py_ssize_t>1 << 62)
        put_bytes(&self.headers, shared("wire.aws").write_headers(b":event-type", b"", b"event"))

    def __dealloc__(self):
        release(&self.name)
        release(&self.headers)
        release(&self.chunk)
        release(&self.out)

    def feed(self, bytes sse not None):
        cdef Span event, data
        self.framer.start(PyBytes_AS_STRING(sse), PyBytes_GET_SIZE(sse))
        while self.framer.next(&event, &data):
            self.message(event, data)
        return self.taken()

    def finish(self):
        cdef Span event, data
        if self.framer.finish(&event, &data):
            self.message(event, data)
        return self.taken()

    cdef bytes taken(self):
        cdef bytes out = to_bytes(held(&self.out))
        trim(&self.out, 262144)
        return out

    cdef int message(self, Span event, Span data) except -1:
        if self.inner:
            if same(event, b"error") or begins(data, b'{"type":"error"') or begins(data, b'{"type": "error"'):
                return put_bytes(&self.out, shared("wire.aws").exception_of(to_bytes(data)))
            self.chunk.n = 0
            put_text(&self.chunk, b'{"bytes":"')
            put_encoded(&self.chunk, data)
            put_text(&self.chunk, b'"}')
            self.write(text(b"chunk"), held(&self.chunk))
            return trim(&self.chunk, 65536)
        if is_exception(event):
            aws = shared("wire.aws")
            name = aws.MODEL_ERROR if same(event, b"error") else to_bytes(event)
            return put_bytes(&self.out, aws.write_message(aws.write_headers(b":exception-type", name, b"exception"), to_bytes(data)))
        return self.write(event, data)

    cdef int write(self, Span event, Span payload) except -1:
        cdef Py_ssize_t total
        cdef Py_ssize_t begin = self.out.n
        cdef uint32_t checksum
        if not equal(event, held(&self.name)):
            self.name.n = self.headers.n = 0
            put_span(&self.name, event)
            put_bytes(&self.headers, shared("wire.aws").write_headers(b":event-type", to_bytes(event), b"event"))
        total = PRELUDE + self.headers.n + payload.n + TRAILER
        grow_for(&self.out, total)
        put_big(&self.out, <uint32_t>total)
        put_big(&self.out, <uint32_t>self.headers.n)
        checksum = crc_of(0, self.out.p + begin, 8)
        put_big(&self.out, checksum)
        put_span(&self.out, held(&self.headers))
        put_span(&self.out, payload)
        return put_big(&self.out, crc_of(checksum, self.out.p + begin + 8, total - TRAILER - 8))


cdef inline bint is_exception(Span event) noexcept nogil:
    # Twin of bedrock_ends.is_exception: whether an event says that the stream failed.
    return same(event, b"error") or (event.n >= 9 and memcmp(event.p + event.n - 9, b"Exception", 9) == 0)
