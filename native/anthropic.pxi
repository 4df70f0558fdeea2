# The decoder of Anthropic Messages. Twin of dialects.anthropic_stream.AnthropicDecoder, where the rules are explained.
#
# Most frames are one more piece of the same block, so they differ from the one before in a single string. The bytes before that string
# are remembered (`before`), with what they meant: a frame that begins with the same bytes, goes on with a sound string and ends
# with the two braces means the same for the new string, and is not parsed. JSON has no context that could make it otherwise.

cdef enum:
    E_TYPE
    E_INDEX
    E_DELTA
    E_MESSAGE
    E_BLOCK
    E_USAGE
    E_ERROR
    EVENT_NAMES

cdef enum:
    D_TYPE
    D_TEXT
    D_THINKING
    D_SIGNATURE
    D_PARTIAL
    D_CITATION
    D_REASON
    D_SEQUENCE
    DELTA_NAMES

cdef enum:
    C_TYPE
    C_TEXT
    C_CITATIONS
    C_THINKING
    C_SIGNATURE
    C_DATA
    C_ID
    C_NAME
    C_INPUT
    CONTENT_NAMES

cdef Name[EVENT_NAMES] EVENT
cdef Name[DELTA_NAMES] DELTA
cdef Name[CONTENT_NAMES] CONTENT
cdef Name[3] MESSAGE
cdef Name[7] USAGE
cdef Name[1] HOUR
cdef Name[1] THOUGHT
cdef Name[1] SEARCHES


fill(EVENT, (b"type", b"index", b"delta", b"message", b"content_block", b"usage", b"error"))
fill(
    DELTA,
    (b"type", b"text", b"thinking", b"signature", b"partial_json", b"citation", b"stop_reason", b"stop_sequence"),
)
fill(CONTENT, (b"type", b"text", b"citations", b"thinking", b"signature", b"data", b"id", b"name", b"input"))
fill(MESSAGE, (b"id", b"model", b"usage"))
fill(
    USAGE,
    (
        b"input_tokens", b"output_tokens", b"cache_creation_input_tokens", b"cache_read_input_tokens", b"cache_creation",
        b"output_tokens_details", b"server_tool_use",
    ),
)
fill(HOUR, (b"ephemeral_1h_input_tokens",))
fill(THOUGHT, (b"thinking_tokens",))
fill(SEARCHES, (b"web_search_requests",))


cdef void count_anthropic(Span raw, Counts* c) noexcept nogil:
    cdef Span[7] u
    cdef Span[1] inner
    if not read_members(raw, USAGE, 7, u):
        return
    merge(&c.input, number(u[0]))
    merge(&c.output, number(u[1]))
    merge(&c.cache_write, number(u[2]))
    merge(&c.cache_read, number(u[3]))
    if read_members(u[4], HOUR, 1, inner):
        merge(&c.cache_write_1h, number(inner[0]))
    if read_members(u[5], THOUGHT, 1, inner):
        merge(&c.reasoning, number(inner[0]))
    if read_members(u[6], SEARCHES, 1, inner):
        merge(&c.web_searches, number(inner[0]))


# -- decoding -----------------------------------------------------------------------------------------------------------

cdef enum:
    BLOCK_TEXT
    BLOCK_THINKING
    BLOCK_REDACTED
    BLOCK_CALL
    BLOCK_PRIVATE

cdef enum:
    PIECE_NONE
    PIECE_TEXT
    PIECE_THINKING
    PIECE_ARGS


cdef struct Block:
    # A content block that has started and not stopped.
    long long index
    int kind
    long long key  # of a call
    bint fed  # a call had input, thinking had text
    Buf signature
    Buf name  # of a private block
    Buf raw  # of a call: its input; of a private block: the block as it started


cdef class AnthropicDecoder(Decoder):
    """Twin of dialects.anthropic_stream.AnthropicDecoder."""

    cdef bint begun
    cdef Block[MAX_CALLS] blocks  # in the order in which they started
    cdef int open
    cdef dict deltas  # index -> list of bytes, of private blocks
    cdef long long last
    cdef bint after_text
    cdef int calls
    cdef Py_ssize_t kept
    cdef bytes reason
    cdef bytes sequence
    cdef Counts counted
    cdef Buf before
    cdef int piece
    cdef long long piece_index

    def __cinit__(self):
        self.last = -1
        self.reason = b""
        self.counted = unknown_counts()
        self.deltas = {}

    def __dealloc__(self):
        cdef int i
        for i in range(self.open):
            free_block(&self.blocks[i])
        release(&self.before)

    cdef int on_finish(self, Sink sink) except -1:
        return self.failed(shared("dialects.anthropic_ends").ENDED_EARLY, sink)

    cdef int on_frame(self, Span event, Span data, Sink sink) except -1:
        cdef bytes mended
        data = stripped(data)
        if self.over or not data.n or same(data, b"[DONE]"):
            return 0
        if self.piece and self.once_more(data, sink):
            return 0
        if self.read(data, sink):
            return 0
        repair = shared("dialects.repair")
        mended = to_bytes(data)
        try:
            mended = repair.mend(mended)
            if self.read(span_of(mended), sink):
                return 0
            why = repair.NO_OBJECT
        except repair.Malformed as error:
            why = str(error)
        return self.failed(repair.unreadable(to_bytes(data), why), sink)

    cdef bint once_more(self, Span data, Sink sink) except -1:
        # A frame that differs from the last delta in its string only.
        cdef const char* p = data.p + self.before.n
        cdef const char* end = data.p + data.n
        cdef const char* q
        if data.n <= self.before.n or memcmp(data.p, self.before.p, <size_t>self.before.n):
            return False
        q = skip_string(p, end)
        if q == NULL:
            return False
        data = span(p, q - 1 - p)
        q = white(q, end)
        if q == end or q[0] != 125:
            return False
        q = white(q + 1, end)
        if end - q != 1 or q[0] != 125:
            return False
        return self.on_piece(self.piece, self.block(self.piece_index), data, sink)

    cdef int learn(self, Span data, Span raw, int piece, long long index) except -1:
        # Remembers how a frame began whose last value, but for two braces, is the string `raw`.
        cdef const char* end = data.p + data.n
        cdef const char* q
        self.piece = PIECE_NONE
        if raw.n < 2 or raw.p[0] != 34:
            return 0
        q = white(raw.p + raw.n, end)
        if q == end or q[0] != 125:
            return 0
        q = white(q + 1, end)
        if end - q != 1 or q[0] != 125:
            return 0
        self.before.n = 0
        put(&self.before, data.p, raw.p + 1 - data.p)
        self.piece = piece
        self.piece_index = index
        return 0

    cdef bint read(self, Span data, Sink sink) except -1:
        # False if the frame is not sound; then nothing was said of it.
        cdef Span[EVENT_NAMES] e
        cdef Span kind
        cdef const char* end = data.p + data.n
        if data.p[0] != 123 or members(data.p + 1, end, 1, EVENT, EVENT_NAMES, e) != end:
            return False
        kind = string(e[E_TYPE])
        if same(kind, b"content_block_delta"):
            self.block_delta(e, data, sink)
        elif same(kind, b"content_block_start"):
            self.block_start(e, sink)
        elif same(kind, b"content_block_stop"):
            self.block_stop(e, sink)
        elif same(kind, b"message_start"):
            self.message_start(e, sink)
        elif same(kind, b"message_delta"):
            self.message_delta(e, data, sink)
        elif same(kind, b"message_stop"):
            self.message_stop(sink)
        elif same(kind, b"error") or (not kind.n and (is_object(e[E_ERROR]) or string(e[E_ERROR]).n)):
            self.failed(shared("dialects.repair").in_stream_error(to_bytes(data)), sink)
        elif not kind.n:
            why = shared("dialects.anthropic_ends").NO_TYPE
            self.failed(shared("dialects.repair").unreadable(to_bytes(data), why), sink)
        elif not same(kind, b"ping"):
            sink.on_private(kind, data)
        return True

    # -- events ---------------------------------------------------------------------------------------------------------

    cdef int message_start(self, Span* e, Sink sink) except -1:
        cdef Span[3] m
        if self.begun:
            return 0
        self.begun = True
        read_members(e[E_MESSAGE], MESSAGE, 3, m)
        sink.on_start(string(m[0]), string(m[1]))
        if is_object(e[E_MESSAGE]):
            self.say(shared("dialects.anthropic_ends").unsaid_in_message(to_bytes(e[E_MESSAGE])), sink)
        if is_object(m[2]):
            count_anthropic(m[2], &self.counted)
            sink.on_usage(&self.counted)
        return 0

    cdef int message_delta(self, Span* e, Span data, Sink sink) except -1:
        cdef Span[DELTA_NAMES] d
        read_members(e[E_DELTA], DELTA, DELTA_NAMES, d)
        if string(d[D_REASON]).n:
            self.reason = to_bytes(string(d[D_REASON]))
            self.sequence = to_bytes(string(d[D_SEQUENCE])) or None
        self.say(shared("dialects.anthropic_ends").unsaid_in_end(to_bytes(data)), sink)
        if is_object(e[E_USAGE]):
            count_anthropic(e[E_USAGE], &self.counted)
            sink.on_usage(&self.counted)
        return 0

    cdef int say(self, list unsaid, Sink sink) except -1:
        # Members that only this dialect knows.
        cdef bytes name, raw
        for name, raw in unsaid:
            sink.on_private(span_of(name), span_of(raw))
        return 0

    cdef int message_stop(self, Sink sink) except -1:
        cdef object reason, sequence
        while self.open:
            self.take_out(0, sink)
        self.over = True
        reason, sequence = shared("dialects.anthropic_ends").judge_stop(self.reason, self.sequence, self.calls)
        sink.on_stop(reason, sequence)
        return sink.on_end()

    cdef int block_start(self, Span* e, Sink sink) except -1:
        cdef Span[CONTENT_NAMES] c
        cdef Span kind
        cdef Block* b
        cdef int at
        self.last = number(e[E_INDEX]) if number(e[E_INDEX]) >= 0 else self.last + 1
        self.piece = PIECE_NONE
        if not read_members(e[E_BLOCK], CONTENT, CONTENT_NAMES, c):
            return 0
        kind = string(c[C_TYPE])
        at = self.where(self.last)
        if at >= 0:
            self.take_out(at, sink)
        if self.open >= MAX_CALLS:
            return self.failed(shared("dialects.repair").TOO_MANY_CALLS, sink)
        b = &self.blocks[self.open]
        memset(b, 0, sizeof(Block))
        self.open += 1
        b.index = self.last
        b.key = -1
        self.say(shared("dialects.anthropic_ends").unsaid_in_block(to_bytes(kind), to_bytes(e[E_BLOCK])), sink)
        if same(kind, b"text"):
            b.kind = BLOCK_TEXT
            return self.start_text(c, sink)
        if same(kind, b"thinking"):
            self.after_text = False
            b.kind = BLOCK_THINKING
            put_span(&b.signature, string(c[C_SIGNATURE]))
            if string(c[C_THINKING]).n:
                b.fed = True
                sink.on_thinking(string(c[C_THINKING]))
        elif same(kind, b"redacted_thinking"):
            self.after_text = False
            b.kind = BLOCK_REDACTED
            sink.on_redacted(string(c[C_DATA]))
        elif same(kind, b"tool_use"):
            self.after_text = False
            b.kind = BLOCK_CALL
            self.start_call(b, c, sink)
        else:
            b.kind = BLOCK_PRIVATE
            put_span(&b.name, kind if kind.n else text(b"content_block"))
            self.keep(b, e[E_BLOCK], sink)
        return 0

    cdef int start_text(self, Span* c, Sink sink) except -1:
        cdef Span item = nothing()
        if self.after_text:
            self.after_text = False
            sink.on_text(nothing())  # another text block, not more of the same
        if string(c[C_TEXT]).n:
            sink.on_text(string(c[C_TEXT]))
        while next_object(c[C_CITATIONS], &item):
            sink.on_private(text(b"citation"), item)
        return 0

    cdef int start_call(self, Block* b, Span* c, Sink sink) except -1:
        if self.calls >= MAX_CALLS:
            return self.failed(shared("dialects.repair").TOO_MANY_CALLS, sink)
        b.key = self.calls
        self.calls += 1
        if is_object(c[C_INPUT]):
            put_span(&b.raw, c[C_INPUT])
        return sink.on_tool(b.key, string(c[C_ID]), string(c[C_NAME]))

    cdef int block_delta(self, Span* e, Span data, Sink sink) except -1:
        cdef Span[DELTA_NAMES] d
        cdef Span kind, raw
        cdef Block* b
        cdef long long index = number(e[E_INDEX])
        cdef int piece = PIECE_NONE
        self.piece = PIECE_NONE
        if not read_members(e[E_DELTA], DELTA, DELTA_NAMES, d):
            return 0
        if index < 0:
            index = self.last
        b = self.block(index)
        kind = string(d[D_TYPE])
        if b != NULL and b.kind == BLOCK_PRIVATE:
            return self.keep(b, e[E_DELTA], sink)
        if same(kind, b"text_delta"):
            piece = PIECE_TEXT
            raw = d[D_TEXT]
        elif same(kind, b"thinking_delta"):
            piece = PIECE_THINKING
            raw = d[D_THINKING]
        elif same(kind, b"input_json_delta"):
            if b == NULL or b.key < 0:
                return self.failed(shared("dialects.anthropic_ends").NO_BLOCK, sink) if self.sees_all else 0
            piece = PIECE_ARGS
            raw = d[D_PARTIAL]
        elif same(kind, b"signature_delta"):
            if b != NULL and string(d[D_SIGNATURE]).n:
                b.signature.n = 0
                put_span(&b.signature, string(d[D_SIGNATURE]))
        elif same(kind, b"citations_delta") and is_object(d[D_CITATION]):
            sink.on_private(text(b"citation"), d[D_CITATION])
        else:
            sink.on_private(kind if kind.n else text(b"delta"), e[E_DELTA])
        if piece:
            self.on_piece(piece, b, string(raw), sink)
            self.learn(data, raw, piece, index)
        return 0

    cdef bint on_piece(self, int piece, Block* b, Span s, Sink sink) except -1:
        # False if the block is not one that takes such a piece.
        if b != NULL and b.kind == BLOCK_PRIVATE:
            return False
        if piece == PIECE_ARGS:
            if b == NULL or b.key < 0:
                return False
            if s.n:
                b.fed = True
                sink.on_args(b.key, s)
        elif s.n and piece == PIECE_TEXT:
            sink.on_text(s)
        elif s.n:
            if b != NULL:
                b.fed = True
            sink.on_thinking(s)
        return True

    cdef int block_stop(self, Span* e, Sink sink) except -1:
        cdef long long index = number(e[E_INDEX])
        cdef int at = self.where(self.last if index < 0 else index)
        return self.take_out(at, sink) if at >= 0 else 0

    # -- blocks ---------------------------------------------------------------------------------------------------------

    cdef int where(self, long long index) noexcept:
        cdef int i = self.open - 1
        while i >= 0 and self.blocks[i].index != index:
            i -= 1
        return i

    cdef Block* block(self, long long index) noexcept:
        cdef int at = self.where(index)
        return &self.blocks[at] if at >= 0 else NULL

    cdef int keep(self, Block* b, Span raw, Sink sink) except -1:
        self.kept += raw.n
        if self.kept > HELD_MAX:
            return self.failed(shared("dialects.repair").HELD_TOO_MUCH, sink)
        if b.raw.n:
            self.deltas.setdefault(b.index, []).append(to_bytes(raw))
        else:
            put_span(&b.raw, raw)
        return 0

    cdef int take_out(self, int at, Sink sink) except -1:
        # The block has stopped: what is to be said of it, and it is forgotten.
        cdef Block b = self.blocks[at]
        cdef int i
        for i in range(at, self.open - 1):
            self.blocks[i] = self.blocks[i + 1]
        self.open -= 1
        self.piece = PIECE_NONE
        try:
            self.close(&b, sink)
        finally:
            free_block(&b)
        return 0

    cdef int close(self, Block* b, Sink sink) except -1:
        cdef list deltas
        cdef bytes text
        if b.kind == BLOCK_TEXT:
            self.after_text = True
        elif b.kind == BLOCK_THINKING:
            if b.fed or b.signature.n:
                sink.on_seal(held(&b.signature))
        elif b.kind == BLOCK_CALL:
            if not b.fed:
                text = to_bytes(held(&b.raw)) if b.raw.n else b"{}"
                text = shared("neutral.spans").escaped(text)
                sink.on_args(b.key, span_of(text))
        elif b.kind == BLOCK_PRIVATE:
            deltas = self.deltas.pop(b.index, [])
            self.kept -= b.raw.n + sum(map(len, deltas))
            text = to_bytes(held(&b.raw))
            if deltas:
                text = shared("dialects.repair").assemble(text, deltas)
            sink.on_private(held(&b.name), span_of(text))
        return 0


cdef void free_block(Block* b) noexcept:
    release(&b.signature)
    release(&b.name)
    release(&b.raw)
