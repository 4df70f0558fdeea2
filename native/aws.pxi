# AWS event-stream framing. Twin of wire/aws.py, where the rules are explained.
#
# The checksum is most of the work: CRC-32 of every byte. Where the processor multiplies without carries, sixteen bytes at a time are
# folded into the next ones (Gopal et al., "Fast CRC Computation Using PCLMULQDQ", Intel 2009; the constants are powers of x modulo the
# polynomial); elsewhere, and for what is left, tables take eight bytes at a time. 187 bytes: 15 ns, 60 by tables.

from libc.stdint cimport uint32_t
from libc.string cimport memmove

cdef extern from *:
    """
    #include <stdint.h>
    #include <stddef.h>
    #if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
    #include <immintrin.h>
    #define ANYLLM_FOLD(x, k, more) _mm_xor_si128(_mm_xor_si128( \
        _mm_clmulepi64_si128(x, k, 0x00), _mm_clmulepi64_si128(x, k, 0x11)), more)
    static int anyllm_folds(void) {
        return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
    }
    __attribute__((target("pclmul,sse4.1")))
    static uint32_t anyllm_fold(uint32_t crc, const unsigned char* p, size_t n) {
        const __m128i by64 = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4), by16 = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
        const __m128i by8 = _mm_set_epi64x(0, 0x0163cd6124), reduce = _mm_set_epi64x(0x01f7011641, 0x01db710641);
        const __m128i low = _mm_setr_epi32(-1, 0, -1, 0);
        const __m128i* q = (const __m128i*)p;
        __m128i a = _mm_xor_si128(_mm_loadu_si128(q), _mm_cvtsi32_si128((int)crc)), b, c, d;
        q += 1; n -= 16;
        if (n >= 48) {
            b = _mm_loadu_si128(q); c = _mm_loadu_si128(q + 1); d = _mm_loadu_si128(q + 2);
            q += 3; n -= 48;
            while (n >= 64) {
                a = ANYLLM_FOLD(a, by64, _mm_loadu_si128(q));
                b = ANYLLM_FOLD(b, by64, _mm_loadu_si128(q + 1));
                c = ANYLLM_FOLD(c, by64, _mm_loadu_si128(q + 2));
                d = ANYLLM_FOLD(d, by64, _mm_loadu_si128(q + 3));
                q += 4; n -= 64;
            }
            a = ANYLLM_FOLD(a, by16, b);
            a = ANYLLM_FOLD(a, by16, c);
            a = ANYLLM_FOLD(a, by16, d);
        }
        while (n >= 16) {
            a = ANYLLM_FOLD(a, by16, _mm_loadu_si128(q));
            q += 1; n -= 16;
        }
        a = _mm_xor_si128(_mm_srli_si128(a, 8), _mm_clmulepi64_si128(a, by16, 0x10));
        a = _mm_xor_si128(_mm_srli_si128(a, 4), _mm_clmulepi64_si128(_mm_and_si128(a, low), by8, 0x00));
        b = _mm_and_si128(_mm_clmulepi64_si128(_mm_and_si128(a, low), reduce, 0x10), low);
        a = _mm_xor_si128(a, _mm_clmulepi64_si128(b, reduce, 0x00));
        return (uint32_t)_mm_extract_epi32(a, 1);
    }
    #else
    static int anyllm_folds(void) { return 0; }
    static uint32_t anyllm_fold(uint32_t crc, const unsigned char* p, size_t n) { return crc; }
    #endif
    """
    bint anyllm_folds() noexcept nogil
    uint32_t anyllm_fold(uint32_t crc, const unsigned char* p, size_t n) noexcept nogil

cdef enum:
    PRELUDE = 12
    TRAILER = 4

cdef enum:
    NO_BITS = 1 << 24

cdef enum:
    AWS_EVENT
    AWS_FAILED

cdef int[10] HEADER_SIZES
HEADER_SIZES[:] = [0, 0, 1, 2, 4, 8, 0, 0, 8, 16]  # of a value by its type; 6 and 7 say it themselves
cdef uint32_t[8][256] CRC
cdef bint FOLDS = anyllm_folds()
cdef uint32_t[4][256] SIX_BITS  # of each of four characters, in their place; NO_BITS for any other
cdef char[64] BASE64


cdef void fill_tables() noexcept:
    cdef uint32_t value
    cdef int i, j
    for i in range(256):
        value = <uint32_t>i
        for j in range(8):
            value = (value >> 1) ^ (<uint32_t>0xEDB88320 if value & 1 else <uint32_t>0)
        CRC[0][i] = value
        for j in range(4):
            SIX_BITS[j][i] = NO_BITS
    for i in range(256):
        for j in range(1, 8):
            CRC[j][i] = (CRC[j - 1][i] >> 8) ^ CRC[0][CRC[j - 1][i] & 255]
    memcpy(BASE64, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 64)
    for i in range(64):
        for j in range(4):
            SIX_BITS[j][<unsigned char>BASE64[i]] = <uint32_t>i << (18 - 6 * j)


fill_tables()


cdef inline uint32_t little(const unsigned char* p) noexcept nogil:
    return <uint32_t>p[0] | <uint32_t>p[1] << 8 | <uint32_t>p[2] << 16 | <uint32_t>p[3] << 24


cdef inline uint32_t big(const char* s) noexcept nogil:
    cdef const unsigned char* p = <const unsigned char*>s
    return <uint32_t>p[3] | <uint32_t>p[2] << 8 | <uint32_t>p[1] << 16 | <uint32_t>p[0] << 24


cdef inline uint32_t four(int at, uint32_t w) noexcept nogil:
    return CRC[at + 3][w & 255] ^ CRC[at + 2][(w >> 8) & 255] ^ CRC[at + 1][(w >> 16) & 255] ^ CRC[at][w >> 24]


cdef uint32_t crc_of(uint32_t crc, const char* s, Py_ssize_t n) noexcept nogil:
    # The checksum of what `crc` is the checksum of, and of n more bytes.
    cdef const unsigned char* p = <const unsigned char*>s
    cdef Py_ssize_t whole
    crc = ~crc
    if FOLDS and n >= 32:
        whole = n & ~<Py_ssize_t>15
        crc = anyllm_fold(crc, p, <size_t>whole)
        p += whole
        n -= whole
    while n >= 8:
        crc = four(4, little(p) ^ crc) ^ four(0, little(p + 4))
        p += 8
        n -= 8
    while n:
        crc = (crc >> 8) ^ CRC[0][(crc ^ p[0]) & 255]
        p += 1
        n -= 1
    return ~crc


cdef inline void write_big(char* p, uint32_t value) noexcept nogil:
    p[0] = <char>(value >> 24)
    p[1] = <char>(value >> 16)
    p[2] = <char>(value >> 8)
    p[3] = <char>value


cdef inline int put_big(Buf* b, uint32_t value) except -1:
    cdef char[4] room
    write_big(room, value)
    return put(b, room, 4)


# -- base64 -------------------------------------------------------------------------------------------------------------

cdef bint put_decoded(Buf* b, Span s) except -1:
    # False if it is not base64 of the plainest form; then nothing was put.
    cdef const unsigned char* p = <const unsigned char*>s.p
    cdef const unsigned char* end = p + s.n
    cdef Py_ssize_t before = b.n
    cdef int pads = 0
    cdef uint32_t three
    cdef unsigned char* q
    if s.n % 4:
        return False
    if s.n and (end - 1)[0] == 61:
        pads = 2 if (end - 2)[0] == 61 else 1
        end -= 4
    grow_for(b, s.n // 4 * 3)
    q = <unsigned char*>(b.p + b.n)
    while p < end:
        three = SIX_BITS[0][p[0]] | SIX_BITS[1][p[1]] | SIX_BITS[2][p[2]] | SIX_BITS[3][p[3]]
        if three & NO_BITS:
            return False
        q[0] = <unsigned char>(three >> 16)
        q[1] = <unsigned char>(three >> 8)
        q[2] = <unsigned char>three
        p += 4
        q += 3
    if pads:
        three = SIX_BITS[0][p[0]] | SIX_BITS[1][p[1]] | (SIX_BITS[2][p[2]] if pads == 1 else <uint32_t>0)
        if three & NO_BITS:
            return False
        q[0] = <unsigned char>(three >> 16)
        q[1] = <unsigned char>(three >> 8)
        q += 3 - pads
    b.n = before + (<char*>q - (b.p + before))
    return True


cdef int put_encoded(Buf* b, Span s) except -1:
    cdef const unsigned char* p = <const unsigned char*>s.p
    cdef Py_ssize_t n = s.n
    cdef char* q
    cdef uint32_t three
    grow_for(b, (n + 2) // 3 * 4)
    q = b.p + b.n
    while n >= 3:
        three = <uint32_t>p[0] << 16 | <uint32_t>p[1] << 8 | p[2]
        q[0] = BASE64[three >> 18]
        q[1] = BASE64[(three >> 12) & 63]
        q[2] = BASE64[(three >> 6) & 63]
        q[3] = BASE64[three & 63]
        p += 3
        q += 4
        n -= 3
    if n:
        three = <uint32_t>p[0] << 16 | (<uint32_t>p[1] << 8 if n == 2 else <uint32_t>0)
        q[0] = BASE64[three >> 18]
        q[1] = BASE64[(three >> 12) & 63]
        q[2] = BASE64[(three >> 6) & 63] if n == 2 else 61
        q[3] = 61
        q += 4
    b.n = q - b.p
    return 0


cdef inline int grow_for(Buf* b, Py_ssize_t n) except -1:
    if n > b.cap - b.n:
        grow(b, n)
    return 0


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
