# The decoder of Bedrock Converse. Twin of dialects.bedrock_stream.ConverseDecoder, where the rules are explained.
#
# A piece that goes on with the block that is open differs from the one before in its string and its padding only (likeness.pxi).
# What was learned of it holds until a block starts or stops.

cdef enum:
    V_INDEX
    V_DELTA
    V_START
    V_REASON
    V_EXTRA
    V_USAGE
    V_TRACE
    V_PADDING
    CONVERSE_NAMES

cdef enum:
    P_TEXT
    P_TOOL
    P_REASONING
    P_CITATION
    P_IMAGE
    P_RESULT
    PIECE_NAMES

cdef Name[CONVERSE_NAMES] CONVERSE
cdef Name[PIECE_NAMES] CONVERSE_DELTA
cdef Name[3] CONVERSE_START
cdef Name[4] CONVERSE_TOOL
cdef Name[4] REASONING
cdef Name[5] TOKENS
cdef Name[2] DETAIL

fill(
    CONVERSE,
    (
        b"contentBlockIndex", b"delta", b"start", b"stopReason", b"additionalModelResponseFields", b"usage", b"trace", b"p",
    ),
)
fill(CONVERSE_DELTA, (b"text", b"toolUse", b"reasoningContent", b"citation", b"image", b"toolResult"))
fill(CONVERSE_START, (b"toolUse", b"toolResult", b"image"))
fill(CONVERSE_TOOL, (b"toolUseId", b"name", b"type", b"input"))
fill(REASONING, (b"text", b"signature", b"redactedContent", b"data"))
fill(TOKENS, (b"inputTokens", b"outputTokens", b"cacheReadInputTokens", b"cacheWriteInputTokens", b"cacheDetails"))
fill(DETAIL, (b"ttl", b"inputTokens"))


cdef void count_converse(Span raw, Counts* c) noexcept nogil:
    cdef Span[5] u
    cdef Span[2] d
    cdef Span item = nothing()
    cdef long long hour = -1, n
    if not read_members(raw, TOKENS, 5, u):
        return
    merge(&c.input, number(u[0]))
    merge(&c.output, number(u[1]))
    merge(&c.cache_read, number(u[2]))
    merge(&c.cache_write, number(u[3]))
    while next_object(u[4], &item):
        read_members(item, DETAIL, 2, d)
        n = number(d[1])
        if hour < 0:
            hour = 0
        if same(string(d[0]), b"1h") and n > 0:
            hour += n
    merge(&c.cache_write_1h, hour)


cdef class ConverseDecoder(Decoder):
    """Twin of dialects.bedrock_stream.ConverseDecoder."""

    cdef bint begun
    cdef Block[MAX_CALLS] blocks  # in the order in which they began
    cdef int open
    cdef dict deltas  # index -> list of bytes, of blocks that are kept whole
    cdef long long last
    cdef bint after_text
    cdef int calls
    cdef Py_ssize_t kept
    cdef bint stopped
    cdef bint came  # counts
    cdef Counts counted
    cdef Likeness like
    cdef int piece
    cdef long long piece_index

    def __cinit__(self):
        self.last = -1
        self.counted = unknown_counts()
        self.deltas = {}

    def __dealloc__(self):
        cdef int i
        for i in range(self.open):
            free_block(&self.blocks[i])
        forget(&self.like)

    cdef bint is_plain(self, Span event, Span data, bint committed) except -1:
        return begins(event, b"contentBlock") and not is_exception(event)

    cdef int on_finish(self, Sink sink) except -1:
        if self.over:
            return 0
        if self.stopped:
            return self.conclude(sink)
        return self.failed(shared("dialects.bedrock_ends").ENDED_EARLY, sink)

    cdef int conclude(self, Sink sink) except -1:
        self.over = True
        return sink.on_end()

    cdef int on_frame(self, Span event, Span data, Sink sink) except -1:
        cdef bytes mended
        cdef Span piece
        data = stripped(data)
        if self.over:
            return 0
        if self.like.known and same(event, b"contentBlockDelta") and is_like(&self.like, data, &piece):
            return self.on_piece(self.piece, self.block(self.piece_index), piece, sink)
        if is_exception(event):
            return self.failed(shared("dialects.bedrock_ends").read_exception(to_bytes(event), to_bytes(data)), sink)
        if not data.n or self.read(event, data, sink):
            return 0
        repair = shared("dialects.repair")
        mended = to_bytes(data)
        try:
            mended = repair.mend(mended)
            if self.read(event, span_of(mended), sink):
                return 0
            why = repair.NO_OBJECT
        except repair.Malformed as error:
            why = str(error)
        return self.failed(repair.unreadable(to_bytes(data), why), sink)

    cdef bint read(self, Span event, Span data, Sink sink) except -1:
        # False if the event is not sound; then nothing was said of it.
        cdef Span[CONVERSE_NAMES] e
        cdef const char* end = data.p + data.n
        if data.p[0] != 123 or members(data.p + 1, end, 1, CONVERSE, CONVERSE_NAMES, e) != end:
            return False
        if not event.n:
            self.failed(shared("dialects.repair").unreadable(to_bytes(data), shared("dialects.bedrock_ends").NO_NAME), sink)
            return True
        if not self.begun:
            self.begun = True
            sink.on_start(nothing(), nothing())
        self.like.known = False
        if same(event, b"contentBlockDelta"):
            self.block_delta(e, data, sink)
        elif same(event, b"contentBlockStart"):
            self.block_start(e, sink)
        elif same(event, b"contentBlockStop"):
            self.block_stop(e, sink)
        elif same(event, b"messageStop"):
            self.message_stop(e, sink)
        elif same(event, b"metadata"):
            self.metadata(e, sink)
        elif not (same(event, b"messageStart") or same(event, b"initial-response") or same(event, b"ping")):
            sink.on_private(event, data)
        return True

    # -- events ---------------------------------------------------------------------------------------------------------

    cdef int message_stop(self, Span* e, Sink sink) except -1:
        cdef bytes reason
        cdef object sequence = None, rest, why
        if self.stopped:
            return 0
        while self.open:
            self.take_out(0, sink)
        ends = shared("dialects.bedrock_ends")
        reason = to_bytes(string(e[V_REASON]))
        if is_object(e[V_EXTRA]):
            sequence, rest = ends.read_extra(to_bytes(e[V_EXTRA]))
            if rest is not None:
                sink.on_private(text(b"additionalModelResponseFields"), span_of(rest))
        if ends.is_malformed(reason):
            rest = b'"' + reason + b'"'
            sink.on_private(text(b"stopReason"), span_of(rest))
        self.stopped = True
        judged = shared("dialects.bedrock_reply").judge_stop(reason, sequence, self.calls if self.sees_all else -1)
        sink.on_stop(judged[0], judged[1])
        return self.conclude(sink) if self.came else 0

    cdef int metadata(self, Span* e, Sink sink) except -1:
        if is_object(e[V_TRACE]) and not same(e[V_TRACE], b"{}"):
            sink.on_private(text(b"trace"), e[V_TRACE])
        if is_object(e[V_USAGE]):
            self.came = True
            count_converse(e[V_USAGE], &self.counted)
            sink.on_usage(&self.counted)
            if self.stopped:
                self.conclude(sink)
        return 0

    cdef int block_start(self, Span* e, Sink sink) except -1:
        cdef Span[3] s
        cdef Span[4] t
        cdef Block* b
        cdef long long index = number(e[V_INDEX])
        cdef int at
        if index < 0:
            index = self.last + 1
        at = self.where(index)
        if at >= 0:
            self.take_out(at, sink)
        if not is_object(e[V_START]) or same(e[V_START], b"{}"):
            return 0
        read_members(e[V_START], CONVERSE_START, 3, s)
        if is_object(s[0]):
            read_members(s[0], CONVERSE_TOOL, 4, t)
            if string(t[2]).n:
                return self.keep_start(index, text(b"toolUse"), e[V_START], sink)
            b = self.begin(index, BLOCK_CALL, sink)
            if b == NULL:
                return 0
            b.key = self.calls
            self.calls += 1
            return sink.on_tool(b.key, string(t[0]), string(t[1]))
        if is_object(s[1]):
            return self.keep_start(index, text(b"toolResult"), e[V_START], sink)
        if is_object(s[2]):
            return self.keep_start(index, text(b"image"), e[V_START], sink)
        return self.keep_start(index, text(b"contentBlock"), e[V_START], sink)

    cdef int keep_start(self, long long index, Span kind, Span start, Sink sink) except -1:
        cdef Block* b = self.begin(index, BLOCK_PRIVATE, sink)
        if b == NULL:
            return 0
        put_span(&b.name, kind)
        put_span(&b.raw, start)
        return self.weigh_up(start.n, sink)

    cdef int block_delta(self, Span* e, Span data, Sink sink) except -1:
        cdef Span[PIECE_NAMES] d
        cdef Span[4] t
        cdef Block* b
        cdef long long index = number(e[V_INDEX])
        if not read_members(e[V_DELTA], CONVERSE_DELTA, PIECE_NAMES, d):
            return 0
        if index < 0:
            index = self.last if self.last > 0 else 0
        b = self.block(index)
        if b != NULL and b.kind == BLOCK_PRIVATE:
            return self.keep(b, e[V_DELTA], sink)
        if d[P_TEXT].n and d[P_TEXT].p[0] == 34:
            self.say(index, b, string(d[P_TEXT]), sink)
            return self.learn(data, d[P_TEXT], e[V_PADDING], PIECE_TEXT, index)
        if is_object(d[P_TOOL]):
            read_members(d[P_TOOL], CONVERSE_TOOL, 4, t)
            self.input(b, t[3], sink)
            return self.learn(data, t[3], e[V_PADDING], PIECE_ARGS, index) if b != NULL and b.key >= 0 else 0
        if is_object(d[P_REASONING]):
            return self.reason(index, b, d[P_REASONING], data, e[V_PADDING], sink)
        if is_object(d[P_CITATION]):
            for name, raw in shared("dialects.bedrock_ends").read_citation(to_bytes(d[P_CITATION])):
                sink.on_private(span_of(name), span_of(raw))
            return 0
        return self.keep_delta(index, d, e[V_DELTA], sink)

    cdef int learn(self, Span data, Span raw, Span padding, int piece, long long index) except -1:
        if self.over or raw.n < 2 or raw.p[0] != 34:
            return 0
        self.piece = piece
        self.piece_index = index
        return learn(&self.like, data, string(raw), string(padding))

    cdef int keep_delta(self, long long index, Span* d, Span raw, Sink sink) except -1:
        cdef Block* b
        cdef Span kind
        cdef int at
        if is_object(d[P_IMAGE]):
            kind = text(b"image")
        elif is_array(d[P_RESULT]):
            kind = text(b"toolResult")
        else:
            return sink.on_private(text(b"delta"), raw)
        at = self.where(index)
        if at >= 0:
            self.take_out(at, sink)
        b = self.begin(index, BLOCK_PRIVATE, sink)
        if b == NULL:
            return 0
        put_span(&b.name, kind)
        put_text(&b.raw, b"{}")
        return self.keep(b, raw, sink)

    cdef int block_stop(self, Span* e, Sink sink) except -1:
        cdef long long index = number(e[V_INDEX])
        cdef int at = self.where(self.last if index < 0 else index)
        return self.take_out(at, sink) if at >= 0 else 0

    # -- content --------------------------------------------------------------------------------------------------------

    cdef int on_piece(self, int piece, Block* b, Span s, Sink sink) except -1:
        # More of a block that is open; the kind of the piece and of the block were seen to fit.
        if not s.n:
            return 0
        if piece == PIECE_TEXT:
            return sink.on_text(s)
        b.fed = True
        return sink.on_args(b.key, s) if piece == PIECE_ARGS else sink.on_thinking(s)

    cdef int say(self, long long index, Block* b, Span s, Sink sink) except -1:
        cdef bint parted = self.after_text
        if b == NULL:
            if self.begin(index, BLOCK_TEXT, sink) == NULL:
                return 0
            if parted:
                sink.on_text(nothing())  # another text block, not more of the same
        return sink.on_text(s) if s.n else 0

    cdef int input(self, Block* b, Span given, Sink sink) except -1:
        cdef bytes escaped
        cdef Span s = string(given)
        if b == NULL or b.key < 0:
            return self.failed(shared("dialects.bedrock_ends").NO_BLOCK, sink) if self.sees_all else 0
        if is_object(given):
            escaped = shared("neutral.spans").escaped(to_bytes(given))
            s = span_of(escaped)
        if s.n:
            b.fed = True
            sink.on_args(b.key, s)
        return 0

    cdef int reason(self, long long index, Block* b, Span raw, Span data, Span padding, Sink sink) except -1:
        cdef Span[4] r
        cdef Span s
        read_members(raw, REASONING, 4, r)
        s = string(r[2]) if string(r[2]).n else string(r[3])
        if s.n:
            self.after_text = False
            return sink.on_redacted(s)
        if b == NULL:
            b = self.begin(index, BLOCK_THINKING, sink)
        if b == NULL:
            return 0
        put_span(&b.signature, string(r[1]))
        if not string(r[0]).n:
            return 0
        b.fed = True
        sink.on_thinking(string(r[0]))
        return 0 if string(r[1]).n else self.learn(data, r[0], padding, PIECE_THINKING, index)

    # -- blocks ---------------------------------------------------------------------------------------------------------

    cdef int where(self, long long index) noexcept:
        cdef int i = self.open - 1
        while i >= 0 and self.blocks[i].index != index:
            i -= 1
        return i

    cdef Block* block(self, long long index) noexcept:
        cdef int at = self.where(index)
        return &self.blocks[at] if at >= 0 else NULL

    cdef Block* begin(self, long long index, int kind, Sink sink) except? NULL:
        # NULL if there are too many.
        cdef Block* b
        if self.open >= MAX_CALLS or (kind == BLOCK_CALL and self.calls >= MAX_CALLS):
            self.failed(shared("dialects.repair").TOO_MANY_CALLS, sink)
            return NULL
        b = &self.blocks[self.open]
        memset(b, 0, sizeof(Block))
        self.open += 1
        self.last = b.index = index
        self.after_text = kind == BLOCK_TEXT
        b.kind = kind
        b.key = -1
        return b

    cdef int keep(self, Block* b, Span raw, Sink sink) except -1:
        self.deltas.setdefault(b.index, []).append(to_bytes(raw))
        return self.weigh_up(raw.n, sink)

    cdef int weigh_up(self, Py_ssize_t size, Sink sink) except -1:
        self.kept += size
        return self.failed(shared("dialects.repair").HELD_TOO_MUCH, sink) if self.kept > HELD_MAX else 0

    cdef int take_out(self, int at, Sink sink) except -1:
        cdef Block b = self.blocks[at]
        cdef bytes name, raw
        cdef list deltas
        self.open -= 1
        memmove(&self.blocks[at], &self.blocks[at + 1], <size_t>(self.open - at) * sizeof(Block))
        try:
            if b.kind == BLOCK_THINKING:
                if b.fed or b.signature.n:
                    sink.on_seal(held(&b.signature))
            elif b.kind == BLOCK_CALL:
                if not b.fed:
                    sink.on_args(b.key, text(b"{}"))
            elif b.kind == BLOCK_PRIVATE:
                deltas = self.deltas.pop(b.index, [])
                self.kept -= b.raw.n + sum(map(len, deltas))
                ends = shared("dialects.bedrock_ends")
                name, raw = ends.assemble(to_bytes(held(&b.name)), to_bytes(held(&b.raw)), deltas)
                sink.on_private(span_of(name), span_of(raw))
        finally:
            free_block(&b)
        return 0
