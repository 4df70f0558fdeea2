# The decoder of OpenAI Chat Completions. Twin of dialects.openai_chat_stream.ChatDecoder, where the rules are explained.
#
# A chunk like the one before is not parsed: see likeness.pxi.

cdef enum:
    MARK_NONE
    MARK_REASONING_CONTENT
    MARK_REASONING
    MARK_THINKING

cdef Span mark_text(int mark) noexcept nogil:
    if mark == MARK_REASONING_CONTENT:
        return text(b"anyllm:reasoning_content")
    return text(b"anyllm:reasoning") if mark == MARK_REASONING else text(b"anyllm:thinking")


cdef enum:
    LIKE_NONE
    LIKE_CONTENT
    LIKE_REASONING_CONTENT
    LIKE_REASONING
    LIKE_THINKING
    LIKE_ARGS


cdef class ChatDecoder(Decoder):
    """Twin of dialects.openai_chat_stream.ChatDecoder."""

    cdef bint begun
    cdef bint came
    cdef bint refused
    cdef bint others
    cdef int origin  # mark of the plain reasoning that is open
    cdef long long block  # index of the entry of thinking_blocks that is open
    cdef bytes finished
    cdef bytes matched
    cdef Calls calls
    cdef Counts counted
    cdef Likeness like
    cdef int like_piece
    cdef long long like_index  # of the call whose arguments it is
    cdef Span single  # the string that was the only effect of the chunk
    cdef int single_piece
    cdef long long single_index
    cdef int effects

    def __cinit__(self):
        self.block = -1
        self.finished = b""
        self.calls = Calls()
        self.counted = unknown_counts()

    def __dealloc__(self):
        forget(&self.like)

    cdef int on_skip(self) except -1:
        self.came = True
        return 0

    cdef int on_finish(self, Sink sink) except -1:
        if self.over:
            return 0
        if self.finished:
            return self.conclude(sink)
        return self.failed(shared("dialects.openai_chat_ends").ENDED_EARLY, sink)

    cdef int on_frame(self, Span event, Span data, Sink sink) except -1:
        cdef bytes mended
        cdef Span piece
        data = stripped(data)
        if self.over or not data.n:
            return 0
        if not event.n and is_like(&self.like, data, &piece) and (piece.n or self.like_piece == LIKE_CONTENT):
            return self.on_piece(self.like_piece, self.like_index, piece, sink)
        if same(data, b"[DONE]"):
            return self.conclude(sink)
        if same(event, b"error"):
            return self.failed(shared("dialects.repair").in_stream_error(to_bytes(data)), sink)
        if self.read(data, data, sink):
            return 0
        repair = shared("dialects.repair")
        mended = to_bytes(data)
        try:
            mended = repair.mend(mended)
            if self.read(span_of(mended), data, sink):
                return 0
            why = repair.NO_OBJECT
        except repair.Malformed as error:
            why = str(error)
        return self.failed(repair.unreadable(to_bytes(data), why), sink)

    cdef int conclude(self, Sink sink) except -1:
        cdef object verdict
        self.over = True
        self.settle(sink)
        self.calls.begin_rest(sink)
        verdict = shared("dialects.openai_chat_ends").judge_stop(
            self.finished,
            self.matched,
            self.calls.begun if self.sees_all else -1,
            bool(self.refused),
            bool(self.came or self.calls.begun > 0),
        )
        if isinstance(verdict, Failure):
            return sink.on_fail(verdict)
        sink.on_stop(verdict[0], verdict[1])
        return sink.on_end()

    cdef bint read(self, Span data, Span source, Sink sink) except -1:
        # False if the chunk is not sound; then nothing was said of it. `source` is the chunk as it came.
        cdef Chunk c
        cdef Span[1] g
        cdef Span usage
        if not read_chunk(data, &c):
            return False
        if is_error(&c):
            self.failed(shared("dialects.repair").in_stream_error(to_bytes(source)), sink)
            return True
        if not self.begun:
            self.begun = True
            put(&self.calls.seed, source.p, source.n if source.n < SEED else SEED)
            sink.on_start(string(c.top[K_ID]), string(c.top[K_MODEL]))
        self.effects = 0
        self.single = nothing()
        if c.others:
            self.effects += 1
            if not self.others:  # said once
                self.others = True
                sink.on_private(text(b"choices"), text(b"null"))
        usage = c.top[K_USAGE]
        if not is_object(usage):
            read_members(c.top[K_GROQ], GROQ, 1, g)
            usage = g[0]
        if not is_object(usage) and c.found:
            usage = c.choice[O_USAGE]
        if is_object(usage):
            self.effects += 1
            count_chat(usage, &self.counted)
            sink.on_usage(&self.counted)
        if is_object(c.top[K_MODERATION]):
            self.effects += 2
            sink.on_private(text(b"moderation"), c.top[K_MODERATION])
        if c.found:
            self.read_choice(c.choice, sink)
        if data.p == source.p and self.effects == 1 and self.single.p != NULL:
            learn(&self.like, data, self.single, string(c.top[K_PADDING]))
            self.like_piece = self.single_piece
            self.like_index = self.single_index
        return True

    cdef int read_choice(self, Span* o, Sink sink) except -1:
        cdef Span s
        if is_object(o[O_DELTA]):
            self.read_delta(o[O_DELTA], sink)
        if is_object(o[O_LOGPROBS]):
            self.read_logprobs(o[O_LOGPROBS], sink)
        s = string(o[O_FINISH])
        if s.n:
            self.effects += 1
            self.finished = to_bytes(s)
        s = string(o[O_STOP])
        if not s.n:
            s = string(o[O_MATCHED])
        if s.n:
            self.effects += 1
            self.matched = to_bytes(s)
        return 0

    # -- pieces ---------------------------------------------------------------------------------------------------------

    cdef int on_piece(self, int piece, long long index, Span s, Sink sink) except -1:
        if piece == LIKE_CONTENT:
            return self.say(s, sink)
        if piece == LIKE_ARGS:
            return self.on_call(index, nothing(), nothing(), s, False, sink)
        return self.think(piece - LIKE_REASONING_CONTENT + MARK_REASONING_CONTENT, s, sink)

    cdef inline void note(self, int piece, Span s, long long index) noexcept:
        # One effect of this chunk; if it stays the only one, the next chunk may be like it.
        self.effects += 1
        self.single = s
        self.single_piece = piece
        self.single_index = index

    # -- content --------------------------------------------------------------------------------------------------------

    cdef int read_delta(self, Span delta, Sink sink) except -1:
        cdef Span[CHAT_DELTA_NAMES] d
        cdef Span item = nothing()
        read_members(delta, CHAT_DELTA, CHAT_DELTA_NAMES, d)
        self.read_thoughts(d, sink)
        if is_array(d[T_CONTENT]):
            while next_object(d[T_CONTENT], &item):
                self.effects += 2
                self.read_part(item, sink)
        elif string(d[T_CONTENT]).n:
            self.note(LIKE_CONTENT, string(d[T_CONTENT]), 0)
            self.say(string(d[T_CONTENT]), sink)
        if string(d[T_REFUSAL]).n:
            self.effects += 2
            self.refuse(string(d[T_REFUSAL]), sink)
        item = nothing()
        while next_object(d[T_CALLS], &item):
            self.read_call(item, sink)
        if is_object(d[T_FUNCTION]):
            self.effects += 2
            self.read_function(LEGACY, nothing(), d[T_FUNCTION], False, sink)
        item = nothing()
        while next_object(d[T_ANNOTATIONS], &item):
            self.effects += 2
            sink.on_private(text(b"annotation"), item)
        item = nothing()
        while next_object(d[T_IMAGES], &item):
            self.effects += 2
            self.read_image(item, sink)
        if is_object(d[T_AUDIO]):
            self.effects += 2
            self.read_audio(d[T_AUDIO], sink)
        return 0

    cdef int read_logprobs(self, Span raw, Sink sink) except -1:
        cdef Span[2] l
        cdef Span item = nothing()
        self.effects += 2
        read_members(raw, LOGPROBS, 2, l)
        if next_object(l[0], &item):
            sink.on_private(text(b"logprobs"), l[0])
        item = nothing()
        if next_object(l[1], &item):
            sink.on_private(text(b"logprobs.refusal"), l[1])
        return 0

    cdef int read_image(self, Span raw, Sink sink) except -1:
        # A generated picture; one that only has an address goes as the Markdown of it.
        cdef bytes shown, url
        shown, url = shared("dialects.media").read_image(to_bytes(raw))
        if shown:
            self.show(shown, sink)
        elif url:
            url = b"![image](%b)" % url
            self.say(span_of(url), sink)
        return 0

    cdef int read_audio(self, Span raw, Sink sink) except -1:
        # What is said as text, and the samples that it sounds like.
        cdef Span[2] a
        read_members(raw, AUDIO, 2, a)
        self.say(string(a[1]), sink)
        if string(a[0]).n:
            generated = shared("dialects.media")
            self.show(generated.media(generated.SAMPLES, to_bytes(string(a[0]))), sink)
        return 0

    cdef int show(self, bytes shown, Sink sink) except -1:
        self.settle(sink)
        self.came = True
        return sink.on_private(text(b"media"), span_of(shown))

    cdef int say(self, Span s, Sink sink) except -1:
        if s.n:
            self.settle(sink)
            self.came = True
            sink.on_text(s)
        return 0

    cdef int refuse(self, Span s, Sink sink) except -1:
        if s.n:
            self.settle(sink)
            self.came = self.refused = True
            sink.on_refusal(s)
        return 0

    cdef int read_part(self, Span raw, Sink sink) except -1:
        # Content in parts: hosts with several modalities, and Mistral when it thinks.
        cdef Span[4] part, inner
        cdef Span kind, item = nothing()
        cdef bytes name
        read_members(raw, PART, 4, part)
        kind = string(part[0])
        if same(kind, b"text") or same(kind, b"output_text"):
            return self.say(string(part[1]), sink)
        if same(kind, b"refusal"):
            return self.refuse(string(part[2]), sink)
        if same(kind, b"thinking"):
            self.think(MARK_THINKING, string(part[3]), sink)
            while next_object(part[3], &item):
                read_members(item, PART, 4, inner)
                self.think(MARK_THINKING, string(inner[1]), sink)
            return 0
        self.settle(sink)
        self.came = True
        name = b"content." + (to_bytes(kind) or b"part")
        return sink.on_private(span_of(name), raw)

    cdef int read_thoughts(self, Span* d, Sink sink) except -1:
        # Reasoning under the names it has. Where one chunk says it twice, the form with more in it is taken.
        cdef Span[BLOCK_NAMES] b
        cdef Span item = nothing(), s
        cdef bint said = False
        cdef int i
        while not said and next_object(d[T_BLOCKS], &item):
            read_members(item, BLOCK, BLOCK_NAMES, b)
            said = string(b[B_THINKING]).n > 0
        for i in range(3):
            s = string(d[T_REASONING_CONTENT + i])
            if s.n and not said:
                said = True
                self.note(LIKE_REASONING_CONTENT + i, s, 0)
                self.think(MARK_REASONING_CONTENT + i, s, sink)
        item = nothing()
        while next_object(d[T_BLOCKS], &item):
            self.effects += 2
            read_members(item, BLOCK, BLOCK_NAMES, b)
            self.read_block(b, sink)
        item = nothing()
        while next_object(d[T_DETAILS], &item):
            self.effects += 2
            read_members(item, BLOCK, BLOCK_NAMES, b)
            self.read_detail(item, b, said, sink)
        return 0

    cdef int read_block(self, Span* b, Sink sink) except -1:
        cdef long long index
        if string(b[B_DATA]).n:
            self.settle(sink)
            self.came = True
            sink.on_redacted(string(b[B_DATA]))
        if string(b[B_THINKING]).n:
            index = number(b[B_INDEX])
            if self.block >= 0 and index >= 0 and self.block != index:
                sink.on_seal(nothing())
            self.think(MARK_NONE, string(b[B_THINKING]), sink)
            self.block = index
        if string(b[B_SIGNATURE]).n:
            self.seal(string(b[B_SIGNATURE]), sink)
        return 0

    cdef int read_detail(self, Span raw, Span* b, bint said, Sink sink) except -1:
        # OpenRouter's form: the text beside `reasoning`, and what only it has: signatures and encrypted reasoning.
        if not said:
            self.think(MARK_REASONING, string(b[B_TEXT]) if string(b[B_TEXT]).n else string(b[B_SUMMARY]), sink)
        if string(b[B_SIGNATURE]).n:
            self.seal(string(b[B_SIGNATURE]), sink)
        if string(b[B_DATA]).n:
            self.end_thought(sink)
            sink.on_private(text(b"reasoning_details"), raw)
        return 0

    cdef int think(self, int mark, Span s, Sink sink) except -1:
        if s.n:
            if self.origin != mark:
                self.end_thought(sink)
                self.origin = mark
            if self.calls.waiting:
                self.calls.begin_named(sink)
            self.came = True
            sink.on_thinking(s)
        return 0

    cdef int seal(self, Span signature, Sink sink) except -1:
        self.came = True
        self.origin = MARK_NONE
        self.block = -1
        return sink.on_seal(signature)

    cdef inline int end_thought(self, Sink sink) except -1:
        cdef int mark = self.origin
        self.block = -1
        if mark:
            self.origin = MARK_NONE
            sink.on_seal(mark_text(mark))
        return 0

    cdef inline int settle(self, Sink sink) except -1:
        # Something else comes: plain reasoning gets its mark, and calls that wait for an id begin without one.
        self.end_thought(sink)
        if self.calls.waiting:
            self.calls.begin_named(sink)
        return 0

    # -- calls ----------------------------------------------------------------------------------------------------------

    cdef int read_call(self, Span raw, Sink sink) except -1:
        cdef Span[5] t
        cdef Span[2] f
        cdef long long index
        cdef bint custom
        read_members(raw, TOOL, 5, t)
        index = number(t[0])
        custom = is_object(t[4])
        if custom:
            read_members(t[4], CUSTOM, 2, f)
        else:
            read_members(t[2], FUNCTION, 2, f)
        if index >= 0 and not string(t[1]).n and not string(f[0]).n and string(f[1]).n:
            self.note(LIKE_ARGS, string(f[1]), index)
        else:
            self.effects += 2
        if index < 0:
            index = NO_INDEX
        if custom:
            return self.on_call(index, string(t[1]), string(f[0]), string(f[1]), True, sink)
        return self.read_function(index, string(t[1]), t[2], same(string(t[3]), b"custom"), sink)

    cdef int read_function(self, long long index, Span ident, Span function, bint custom, Sink sink) except -1:
        cdef Span[2] f
        cdef bytes escaped
        read_members(function, FUNCTION, 2, f)
        if is_object(f[1]):
            escaped = shared("neutral.spans").escaped(to_bytes(f[1]))
            return self.on_call(index, ident, string(f[0]), span_of(escaped), custom, sink)
        return self.on_call(index, ident, string(f[0]), string(f[1]), custom, sink)

    cdef int on_call(self, long long index, Span ident, Span name, Span args, bint custom, Sink sink) except -1:
        cdef Slot* slot
        if self.over:
            return 0
        slot = self.calls.find(index, ident, name, args)
        if slot == NULL:
            self.settle(sink)
            if self.calls.count >= MAX_CALLS or index >= MAX_CALLS:
                return self.failed(shared("dialects.repair").TOO_MANY_CALLS, sink)
            slot = self.calls.add(index)
            slot.custom = custom
        if not self.calls.feed(slot, ident, name, args, sink):
            self.failed(shared("dialects.repair").HELD_TOO_MUCH, sink)
        return 0


cdef inline bint same_bytes(const char* p, const char* end, const char* other, Py_ssize_t n) noexcept nogil:
    return end - p == n and memcmp(p, other, <size_t>n) == 0
