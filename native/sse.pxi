# Server-sent events: bytes in any cutting to frames. Twin of wire/sse.py. Knows no JSON.
#
# A frame that lies whole in a chunk, with one data line, is handed out as a pointer into the chunk: nothing is copied. What a chunk
# leaves over is copied once: the data lines of the frame so far to `lines`, the line that is not complete to `partial`.

cdef class Framer:
    cdef Py_ssize_t max_frame
    cdef const char* begin  # of the chunk
    cdef const char* end
    cdef const char* place  # everything before it was looked at
    cdef const char* lf  # the next LF from place on, NULL if there is none
    cdef Buf partial
    cdef Buf lines
    cdef Buf event
    cdef Span borrowed  # the only data line so far, in the chunk
    cdef int data_lines
    cdef bint first_line
    cdef bint after_cr
    cdef bint bare  # the lines of the frame are data as they are
    cdef bint given  # the frame in lines, event and borrowed was handed out
    cdef bint too_large
    cdef Py_ssize_t rest
    cdef Py_ssize_t boundary
    cdef Py_ssize_t frame_begin  # of the frame that was given, 0 also if it began before this chunk

    def __cinit__(self, Py_ssize_t max_frame):
        self.max_frame = max_frame
        self.first_line = True

    def __dealloc__(self):
        release(&self.partial)
        release(&self.lines)
        release(&self.event)

    cdef void start(self, const char* p, Py_ssize_t n) noexcept:
        self.begin = self.place = p
        self.end = p + n
        self.boundary = 0
        if n == 0:
            return
        if self.after_cr and p[0] == 10:
            self.place += 1
            if not self.rest:
                self.boundary = 1
        self.after_cr = False
        self.lf = <const char*>memchr(self.place, 10, <size_t>(self.end - self.place))

    cdef int next(self, Span* event, Span* data) except -1:
        # 1 with the next frame, valid until the next call; 0 when the chunk is used up, or a frame was too large.
        cdef const char* cut
        cdef const char* p
        cdef Span line
        if self.given:
            self.clear()
        while self.place < self.end and not self.too_large:
            p = self.place
            if self.lf != NULL and self.lf < p:
                self.lf = <const char*>memchr(p, 10, <size_t>(self.end - p))
            cut = <const char*>memchr(p, 13, <size_t>((self.lf if self.lf != NULL else self.end) - p))
            if cut == NULL:
                cut = self.lf
            if cut == NULL:
                self.count(self.end - p)
                self.place = self.end
                if not self.too_large:
                    put(&self.partial, p, self.end - p)
                break
            self.count(cut - p)
            self.place = cut + 1
            if cut[0] == 13:
                if self.place == self.end:
                    self.after_cr = True
                elif self.place[0] == 10:
                    self.place += 1
            line = span(p, cut - p)
            self.complete(&line)
            if line.n:
                self.read(line)
                continue
            self.frame_begin = self.boundary
            self.boundary = self.place - self.begin
            if self.data_lines and not self.too_large:
                self.give(event, data)
                return 1
            self.clear()
        self.keep()
        return 0

    cdef int finish(self, Span* event, Span* data) except -1:
        # 1 with the frame that the end of the body left without its blank line.
        cdef Span line
        if self.given:
            self.clear()
        if self.too_large or not (self.partial.n or self.data_lines):
            return 0
        line = nothing()
        self.complete(&line)
        if line.n:
            self.read(line)
        if not self.data_lines:
            return 0
        self.give(event, data)
        return 1

    cdef void count(self, Py_ssize_t more) noexcept:
        self.rest += more
        if self.rest > self.max_frame:
            self.too_large = True

    cdef int complete(self, Span* piece) except -1:
        # Makes the end of a line the whole line; it is in `partial` if it began in a chunk before.
        if self.partial.n:
            put_span(&self.partial, piece[0])
            piece[0] = held(&self.partial)
        if self.first_line:
            self.first_line = False
            if begins(piece[0], b"\xef\xbb\xbf"):
                piece[0] = span(piece.p + 3, piece.n - 3)
        if not piece.n:
            self.partial.n = 0
        return 0

    cdef int read(self, Span line) except -1:
        cdef bint whole = not self.partial.n  # the line lies in the chunk
        cdef Span value
        if self.bare or (line.p[0] == 123 and not self.data_lines):
            self.bare = True
            self.event.n = 0
            put_text(&self.event, b"{")
            value = line
        elif begins(line, b"data:"):
            value = after_colon(line, 5)
        elif same(line, b"data"):
            value = span(line.p, 0)
        else:
            if begins(line, b"event:"):
                self.event.n = 0
                put_span(&self.event, after_colon(line, 6))
            elif same(line, b"event"):
                self.event.n = 0
            self.partial.n = 0
            return 0
        if self.data_lines == 0 and whole:
            self.borrowed = value
        else:
            self.keep()
            if self.data_lines:
                put_text(&self.lines, b"\n")
            put_span(&self.lines, value)
        self.data_lines += 1
        trim(&self.partial, 65536)
        return 0

    cdef int keep(self) except -1:
        # The chunk goes, or another line comes: what was borrowed has to be owned.
        if self.borrowed.p != NULL and not self.given:
            put_span(&self.lines, self.borrowed)
            self.borrowed = nothing()
        return 0

    cdef void give(self, Span* event, Span* data) noexcept:
        event[0] = held(&self.event)
        data[0] = self.borrowed if self.borrowed.p != NULL else held(&self.lines)
        self.given = True
        self.rest = 0

    cdef int clear(self) except -1:
        self.given = self.bare = False
        self.data_lines = 0
        self.borrowed = nothing()
        self.event.n = 0
        self.rest = 0
        return trim(&self.lines, 65536)

    cdef str why(self):
        return shared("wire.sse").too_large(self.max_frame)


cdef inline Span after_colon(Span line, Py_ssize_t n) noexcept nogil:
    if line.n > n and line.p[n] == 32:
        n += 1
    return span(line.p + n, line.n - n)


cdef class Frames:
    """Twin of wire.sse.Frames."""

    cdef Framer framer
    cdef readonly list places

    def __init__(self, Py_ssize_t max_frame):
        self.framer = Framer(max_frame)
        self.places = []

    @property
    def rest(self):
        return self.framer.rest

    @property
    def boundary(self):
        return self.framer.boundary

    @property
    def failure(self):
        return self.framer.why() if self.framer.too_large else None

    def feed(self, bytes chunk not None):
        cdef Framer framer = self.framer
        cdef Span event, data
        cdef list frames = []
        self.places = []
        framer.start(PyBytes_AS_STRING(chunk), PyBytes_GET_SIZE(chunk))
        while framer.next(&event, &data):
            frames.append((to_bytes(event), to_bytes(data)))
            self.places.append((framer.frame_begin, framer.boundary))
        return frames

    def finish(self):
        cdef Span event, data
        return [(to_bytes(event), to_bytes(data))] if self.framer.finish(&event, &data) else []
