# The decoder of Gemini generateContent. Twin of dialects.gemini_stream.GeminiDecoder, where the rules are explained.
#
# Most chunks differ from the one before in a piece of text and in the counts of usageMetadata. Such a chunk is remembered as the bytes
# before the text and those behind it, with a hole for each count of what was generated. A chunk with the same bytes around a sound string, and counts in
# the holes, means the same with the new text and counts, and is not parsed: JSON has no context that could make it otherwise.

cdef class GeminiDecoder(Decoder):
    """Twin of dialects.gemini_stream.GeminiDecoder."""

    cdef bint begun
    cdef bint others
    cdef bytes finished
    cdef bint blocked
    cdef int calls
    cdef set idents
    cdef object partial
    cdef long long[GU_COUNTS] tokens
    cdef Counts counted
    cdef Buf signature  # of the text that is open
    cdef Buf said
    cdef bint said_enough
    cdef list notes
    cdef Py_ssize_t notes_size
    cdef set lost
    cdef Buf before
    cdef Buf behind
    cdef Holes holes
    cdef bint known  # a chunk was learned
    cdef bint like_thought

    def __cinit__(self):
        cdef int i
        self.finished = b""
        self.counted = unknown_counts()
        self.idents = set()
        self.notes = []
        self.lost = set()
        for i in range(GU_COUNTS):
            self.tokens[i] = -1

    def __dealloc__(self):
        release(&self.signature)
        release(&self.said)
        release(&self.before)
        release(&self.behind)

    cdef int on_frame(self, Span event, Span data, Sink sink) except -1:
        cdef bytes mended
        data = stripped(data)
        if self.over or not data.n or same(data, b"[DONE]"):
            return 0
        if self.known and self.once_more(data, sink):
            return 0
        if self.read(data, True, sink):
            return 0
        repair = shared("dialects.repair")
        mended = to_bytes(data)
        try:
            mended = repair.mend(mended)
            if self.read(span_of(mended), False, sink):
                return 0
            why = repair.NO_OBJECT
        except repair.Malformed as error:
            why = str(error)
        return self.failed(repair.unreadable(to_bytes(data), why), sink)

    cdef int on_finish(self, Sink sink) except -1:
        cdef list annotations, lost
        cdef bytes raw
        if self.over:
            return 0
        if not (self.finished or self.blocked or (self.calls and self.partial is None)):
            return self.failed(shared("dialects.gemini_ends").ENDED_EARLY, sink)
        self.over = True
        self.end_partial(sink)
        if self.notes:
            annotations, lost = shared("dialects.gemini_notes").read_notes(self.notes, to_bytes(held(&self.said)))
            for raw in annotations:
                sink.on_private(text(b"annotation"), span_of(raw))
            self.lose(lost, sink)
        self.settle(sink)
        self.lose(shared("dialects.gemini_ends").unsaid_finish(self.finished), sink)
        sink.on_stop(shared("dialects.gemini_ends").judge_stop(self.finished, bool(self.blocked), self.calls), None)
        return sink.on_end()

    cdef int lose(self, list lost, Sink sink) except -1:
        cdef bytes name, raw
        for name, raw in lost:
            if name not in self.lost and len(self.lost) < MAX_LOSSES:
                self.lost.add(name)
                sink.on_private(span_of(name), span_of(raw))
        return 0

    # -- chunks ---------------------------------------------------------------------------------------------------------

    cdef bint once_more(self, Span data, Sink sink) except -1:
        # A chunk that differs from the last one in its text and counts only.
        cdef const char* end = data.p + data.n
        cdef const char* p = data.p + self.before.n
        cdef const char* q
        cdef Span piece
        cdef long long[MAX_HOLES] found
        cdef long long value
        cdef Py_ssize_t at = 0
        cdef int i
        if data.n <= self.before.n or memcmp(data.p, self.before.p, <size_t>self.before.n):
            return False
        q = skip_string(p, end)
        if q == NULL:
            return False
        piece = span(p, q - 1 - p)
        for i in range(self.holes.n):
            if end - q <= self.holes.items[i].at - at or memcmp(q, self.behind.p + at, <size_t>(self.holes.items[i].at - at)):
                return False
            q += self.holes.items[i].at - at
            at = self.holes.items[i].at
            p = q
            value = 0
            while q < end and is_digit(q[0]):
                if q - p == 15:
                    return False
                value = value * 10 + (q[0] - 48)
                q += 1
            if q == p or (p[0] == 48 and q - p > 1):
                return False
            found[i] = value
        if not equal(span(q, end - q), span(self.behind.p + at, self.behind.n - at)):
            return False
        if self.holes.n:
            for i in range(self.holes.n):
                if self.holes.items[i].count >= 0:
                    merge(&self.tokens[self.holes.items[i].count], found[i])
            self.say_usage(sink)
        if piece.n:
            self.say_text(piece, self.like_thought, sink)
        return True

    cdef int learn(self, Span data, Span piece, bint thought, Holes* holes) except -1:
        cdef const char* p = piece.p + piece.n + 1
        cdef int i
        self.known = False
        if holes.too_many or (holes.n and holes.items[0].p < p):
            return 0
        self.before.n = self.behind.n = 0
        put(&self.before, data.p, piece.p - data.p)
        self.holes = holes[0]
        for i in range(holes.n):
            put(&self.behind, p, holes.items[i].p - p)
            self.holes.items[i].at = self.behind.n
            p = holes.items[i].p + holes.items[i].n
        put(&self.behind, p, data.p + data.n - p)
        self.like_thought = thought
        self.known = True
        return 0

    cdef bint read(self, Span data, bint learns, Sink sink) except -1:
        # False if the chunk is not sound; then nothing was said of it.
        cdef Span[GC_NAMES] c
        cdef GeminiChoice found
        cdef bint strange = False
        cdef const char* end = data.p + data.n
        cdef Span source = data
        cdef bytes tidied
        cdef list lost = None
        if data.p[0] != 123 or walk_chunk(data, c, &found, &strange) != end:
            return False
        if strange:
            learns = False
            tidied, lost = shared("dialects.gemini_event").tidy(to_bytes(data))
            data = span_of(tidied)
            walk_chunk(data, c, &found, &strange)
        if is_object(c[GC_ERROR]) or string(c[GC_ERROR]).n:
            self.failed(shared("dialects.repair").in_stream_error(to_bytes(source)), sink)
            return True
        if not self.begun:
            self.begun = True
            sink.on_start(string(c[GC_RESPONSE]), string(c[GC_VERSION]))
        if lost:
            self.lose(lost, sink)
        self.read_chunk(data, c, &found, learns, sink)
        return True

    cdef int read_chunk(self, Span data, Span* c, GeminiChoice* found, bint learns, Sink sink) except -1:
        cdef Span* o = found.members
        cdef Span[GP_NAMES] part
        cdef Span item = nothing()
        cdef Holes holes
        cdef bint ignored = False
        cdef list lost
        holes.n = 0
        holes.too_many = False
        if is_object(c[GC_USAGE]):
            self.count(c[GC_USAGE], &holes)
            self.say_usage(sink)
        if is_object(c[GC_FEEDBACK]):
            learns = False
            blocked, lost = shared("dialects.gemini_ends").blocked(to_bytes(c[GC_FEEDBACK]))
            self.blocked = self.blocked or blocked
            self.lose(lost, sink)
        if found.others:  # said once
            learns = False
            if not self.others:
                self.others = True
                sink.on_private(text(b"candidates"), text(b"null"))
        if not found.found:
            return 0
        if found.count == 1:
            learns = learns and is_bare(found.part)
            self.on_part(found.part, sink)
        else:
            learns = False
            while not self.over and next_object(found.parts, &item):
                open_known(item, GEMINI_PART, GP_NAMES, part, &ignored)
                self.on_part(part, sink)
        if self.sees_all and not self.over:
            self.about(o, &learns, sink)
        if string(o[GO_FINISH]).n:
            learns = False
            self.finished = to_bytes(string(o[GO_FINISH]))
        if learns and string(found.part[GP_TEXT]).n and not self.over:
            self.learn(data, string(found.part[GP_TEXT]), same(found.part[GP_THOUGHT], b"true"), &holes)
        return 0

    cdef int about(self, Span* o, bint* learns, Sink sink) except -1:
        # What a candidate says of its text: sources wait for the end of it.
        cdef object note
        cdef bytes tokens
        cdef int i
        for i in range(GO_GROUNDING, GO_CITATION + 1):
            if is_object(o[i]) and o[i].n > 2:
                learns[0] = False
                note = (b"groundingMetadata" if i == GO_GROUNDING else b"citationMetadata", to_bytes(o[i]))
                if not self.notes or note != self.notes[len(self.notes) - 1]:
                    self.notes_size += o[i].n
                    if self.notes_size > HELD_MAX:
                        return self.failed(shared("dialects.repair").HELD_TOO_MUCH, sink)
                    self.notes.append(note)
        if is_object(o[GO_LOGPROBS]):
            learns[0] = False
            tokens = shared("dialects.gemini_notes").read_logprobs(to_bytes(o[GO_LOGPROBS]))
            if tokens is not None:
                sink.on_private(text(b"logprobs"), span_of(tokens))
        if contains(o[GO_RATINGS], b'"blocked"') and shared("dialects.gemini_ends").rated_blocked(to_bytes(o[GO_RATINGS])):
            learns[0] = False
            self.lose([(b"candidates.safetyRatings", to_bytes(o[GO_RATINGS]))], sink)
        return 0

    # -- counts ---------------------------------------------------------------------------------------------------------

    cdef void count(self, Span raw, Holes* holes) noexcept:
        cdef Span[GU_NAMES] u
        cdef int i
        if contains(raw, b"_token"):
            read_members(raw, GEMINI_SNAKE_USAGE, GU_NAMES, u)
        else:
            read_members(raw, GEMINI_USAGE, GU_NAMES, u)
        for i in range(GU_TOOLS + 1):
            if u[i].p != NULL:
                if i == GU_CANDIDATES or i == GU_THOUGHTS:
                    add_hole(holes, u[i], i)
                merge(&self.tokens[i], number(u[i]))
        if u[GU_TOTAL].p != NULL:
            add_hole(holes, u[GU_TOTAL], GU_IGNORED)
        for i in range(GU_AUDIO_IN, GU_AUDIO_OUT + 1):
            self.count_audio(u[i], i, holes)

    cdef void count_audio(self, Span details, int count, Holes* holes) noexcept:
        cdef Span[3] d
        cdef Span item = nothing(), n
        cdef bint found = False
        while next_object(details, &item):
            read_members(item, GEMINI_DETAIL, 3, d)
            n = d[1] if d[1].p != NULL else d[2]
            if not found and same(string(d[0]), b"AUDIO"):
                found = True
                merge(&self.tokens[count], number(n))
                if count == GU_AUDIO_OUT:
                    add_hole(holes, n, count)
            elif n.p != NULL and count == GU_AUDIO_OUT:
                add_hole(holes, n, GU_IGNORED)

    cdef int say_usage(self, Sink sink) except -1:
        # In the middle's convention, see gemini_event.Tokens.usage.
        cdef long long* t = self.tokens
        cdef Counts* c = &self.counted
        if t[GU_PROMPT] >= 0:
            c.input = t[GU_PROMPT] - (t[GU_CACHED] if t[GU_CACHED] > 0 else 0)
            if c.input < 0:
                c.input = 0
            if t[GU_TOOLS] > 0:
                c.input += t[GU_TOOLS]
        if t[GU_CANDIDATES] >= 0 or t[GU_THOUGHTS] >= 0:
            c.output = (t[GU_CANDIDATES] if t[GU_CANDIDATES] > 0 else 0) + (t[GU_THOUGHTS] if t[GU_THOUGHTS] > 0 else 0)
        c.cache_read = t[GU_CACHED]
        c.reasoning = t[GU_THOUGHTS]
        c.audio_input = t[GU_AUDIO_IN]
        c.audio_output = t[GU_AUDIO_OUT]
        c.tool_prompt = t[GU_TOOLS]
        return sink.on_usage(c)

    # -- parts ----------------------------------------------------------------------------------------------------------

    cdef int on_part(self, Span* part, Sink sink) except -1:
        cdef bint called = is_object(part[GP_CALL])
        cdef bint thought = same(part[GP_THOUGHT], b"true")
        cdef Span signature = string(part[GP_SIGNATURE])
        cdef bytes made
        if called and signature.n:
            self.settle(sink)
            self.seal("c", signature, sink)
        if string(part[GP_TEXT]).n:
            self.say_text(string(part[GP_TEXT]), thought, sink)
        if is_object(part[GP_INLINE]):
            self.media(part[GP_INLINE], thought, sink)
        if is_object(part[GP_CODE]):
            made = shared("dialects.gemini_ends").code_span(to_bytes(part[GP_CODE]))
            self.say_text(span_of(made), False, sink)
        if is_object(part[GP_RESULT]):
            made = shared("dialects.gemini_ends").result_span(to_bytes(part[GP_RESULT]))
            self.say_text(span_of(made), False, sink)
        if called:
            self.settle(sink)
            self.call(to_bytes(part[GP_CALL]), sink)
        elif signature.n:
            self.settle(sink)
            if thought:
                self.seal("h", signature, sink)
            elif is_object(part[GP_INLINE]):
                self.seal("m", signature, sink)
            else:
                put_span(&self.signature, signature)
        return 0

    cdef inline int say_text(self, Span s, bint thought, Sink sink) except -1:
        if self.signature.n:
            self.settle(sink)
        if thought:
            return sink.on_thinking(s)
        if self.sees_all:
            keep_said(&self.said, &self.said_enough, s)
        return sink.on_text(s)

    cdef int settle(self, Sink sink) except -1:
        # Something else comes: the text is signed first.
        cdef bytes signature
        if self.signature.n:
            signature = to_bytes(held(&self.signature))
            self.signature.n = 0
            self.seal("t", span_of(signature), sink)
        return 0

    cdef int seal(self, str kind, Span signature, Sink sink) except -1:
        cdef object said = shared("dialects.gemini_ends").read_seal(kind, to_bytes(signature))
        cdef bytes opaque
        if said is None:
            return 0
        redacted, opaque = said
        return sink.on_redacted(span_of(opaque)) if redacted else sink.on_seal(span_of(opaque))

    cdef int media(self, Span raw, bint thought, Sink sink) except -1:
        cdef bytes made = None
        self.settle(sink)
        if not thought:
            made = shared("dialects.gemini_ends").media_of(to_bytes(raw))
        if made is None:
            return sink.on_private(text(b"candidates.content.parts.inlineData"), raw)
        return sink.on_private(text(b"media"), span_of(made))

    # -- calls ----------------------------------------------------------------------------------------------------------

    cdef int call(self, bytes raw, Sink sink) except -1:
        cdef object call = shared("dialects.gemini_partial").read_call(raw)
        cdef bytes args
        if self.partial is None and not call.says_anything:
            return 0
        if call.name or self.partial is None:
            self.end_partial(sink)
            if not self.begin(call.ident, call.name, sink):
                return 0
            if call.args is not None:
                args = call.args
                return sink.on_args(self.calls - 1, span_of(args))
            self.partial = shared("dialects.gemini_partial").PartialCall(self.calls - 1)
        self.partial.feed(raw)
        if self.partial.too_much:
            return self.failed(shared("dialects.repair").HELD_TOO_MUCH, sink)
        if not call.goes_on:
            self.end_partial(sink)
        return 0

    cdef bint begin(self, bytes ident, bytes name, Sink sink) except -1:
        if self.calls >= MAX_CALLS:
            self.failed(shared("dialects.repair").TOO_MANY_CALLS, sink)
            return False
        if ident in self.idents:
            ident = b""
        self.idents.add(ident)
        self.calls += 1
        sink.on_tool(self.calls - 1, span_of(ident), span_of(name))
        return True

    cdef int end_partial(self, Sink sink) except -1:
        cdef object partial = self.partial
        cdef bytes args
        if partial is not None:
            self.partial = None
            args = partial.finish()
            return sink.on_args(partial.key, span_of(args))
        return 0


cdef int keep_said(Buf* said, bint* enough, Span s) except -1:
    if enough[0] or said.n + s.n > SAID_MAX:
        enough[0] = True
        return 0
    return put_span(said, s)


cdef bint is_bare(Span* part) noexcept nogil:
    # A part that is text, or a thought, and nothing else.
    return not (
        string(part[GP_SIGNATURE]).n or is_object(part[GP_CALL]) or is_object(part[GP_INLINE]) or is_object(part[GP_CODE])
        or is_object(part[GP_RESULT])
    )


