# What a stream of OpenAI Responses is about: output items, what was said of them and what was not. Twin of the lower half of
# dialects.openai_responses_decoder.ResponsesDecoder, where the rules are explained. Reads no frames.

cdef class ResponsesItems(Decoder):
    # The items that are open, and what is said of them to a Sink.

    cdef OpenItem[MAX_CALLS] items  # in the order in which they began
    cdef int open
    cdef long long serials
    cdef long long last
    cdef Buf done
    cdef long long spot_serial
    cdef long long spot_at
    cdef long long thinking
    cdef int calls
    cdef bint refused
    cdef Buf deep

    def __cinit__(self):
        self.last = -1
        self.spot_serial = -1
        self.thinking = -1

    def __dealloc__(self):
        cdef int i
        for i in range(self.open):
            free_item(&self.items[i])
        release(&self.done)
        release(&self.deep)

    cdef OpenItem* by_serial(self, long long serial) noexcept:
        cdef int i
        for i in range(self.open - 1, -1, -1):
            if self.items[i].serial == serial:
                return &self.items[i]
        return NULL

    cdef int where(self, long long index, Span ident) noexcept:
        # By output_index; by item_id where there is none; else the one that began last.
        cdef int i
        for i in range(self.open - 1, -1, -1):
            if index >= 0:
                if self.items[i].index == index:
                    return i
            elif not ident.n or equal(held(&self.items[i].ident), ident):
                return i
        return -1

    cdef OpenItem* begin(self, long long index, int kind, Span type, Sink sink) except? NULL:
        # NULL if there are too many.
        cdef OpenItem* it
        if self.open >= MAX_CALLS or (self.calls >= MAX_CALLS and (is_call(kind) or is_built_in(kind))):
            self.failed(shared("dialects.repair").TOO_MANY_CALLS, sink)
            return NULL
        if index < 0:
            index = self.last + 1
        if index > self.last:
            self.last = index
        it = &self.items[self.open]
        memset(it, 0, sizeof(OpenItem))
        self.open += 1
        it.serial = self.serials
        self.serials += 1
        it.index = index
        it.kind = kind
        it.key = it.said = it.noted = it.thought = it.spot_at = -1
        it.spot_sort = -1
        put_span(&it.type, type)
        return it

    cdef OpenItem* found(self, Span* e, int kind, Sink sink) except? NULL:
        # The item of a piece; hosts leave out how one begins.
        cdef long long index = number(e[R_INDEX])
        cdef int at = self.where(index, string(e[R_ITEM_ID]))
        cdef OpenItem* it
        if at >= 0:
            return &self.items[at]
        it = self.begin(index, kind, text(b"message") if kind == ITEM_MESSAGE else text(b"reasoning"), sink)
        if it != NULL:
            put_span(&it.ident, string(e[R_ITEM_ID]))
        return it

    cdef int item_added(self, Span* e, Sink sink) except -1:
        cdef Span[ITEM_NAMES] r
        cdef OpenItem* it
        cdef long long index = number(e[R_INDEX])
        cdef int i, at = -1
        if not read_members(e[R_ITEM], ITEM, ITEM_NAMES, r):
            return 0
        for i in range(self.open):
            if at < 0 and self.items[i].index == index:
                at = i
        if at >= 0:
            if equal(held(&self.items[at].ident), string(r[I_ID])):
                return 0
            self.take_out(at, sink)
        it = self.begin(index, item_kind(string(r[I_TYPE])), string(r[I_TYPE]), sink)
        if it == NULL:
            return 0
        self.take(it, r)
        if is_call(it.kind) and it.name.n:
            self.begin_call(it, sink)
        return 0

    cdef int take(self, OpenItem* it, Span* r) except -1:
        if string(r[I_ID]).n:
            replace(&it.ident, string(r[I_ID]))
        if string(r[I_CALL_ID]).n:
            replace(&it.call_id, string(r[I_CALL_ID]))
        if string(r[I_NAME]).n:
            it.name.n = 0
            if string(r[I_NAMESPACE]).n:
                put_span(&it.name, string(r[I_NAMESPACE]))
                put_text(&it.name, b"__")
            put_span(&it.name, string(r[I_NAME]))
        return 0

    cdef int item_done(self, long long index, Span item_id, Span raw, Sink sink) except -1:
        cdef Span[ITEM_NAMES] r
        cdef Span ident, type
        cdef OpenItem it
        cdef int at, i
        if not read_members(raw, ITEM, ITEM_NAMES, r):
            return 0
        ident = string(r[I_ID])
        type = string(r[I_TYPE])
        at = self.where(index, ident if ident.n else item_id)
        if at < 0 or (index < 0 and not equal(held(&self.items[at].type), type)):
            if 0 <= index <= self.last and equal(ident, held(&self.done)):
                return 0  # once more
            if self.begin(index, item_kind(type), type, sink) == NULL:
                return 0
            at = self.open - 1
        self.take(&self.items[at], r)
        it = self.items[at]
        for i in range(at, self.open - 1):
            self.items[i] = self.items[i + 1]
        self.open -= 1
        try:
            replace(&self.done, held(&it.ident))
            if type.n:
                replace(&it.type, type)
                it.kind = item_kind(type)
            self.finish_item(&it, r, raw, sink)
        finally:
            free_item(&it)
        return 0

    cdef int finish_item(self, OpenItem* it, Span* r, Span raw, Sink sink) except -1:
        cdef Span item = nothing(), given
        cdef long long at = 0
        cdef bytes made, name
        if it.kind == ITEM_MESSAGE:
            while next_object(r[I_CONTENT], &item):
                self.part(it, at, item, sink)
                at += 1
        elif it.kind == ITEM_REASONING:
            self.finish_reasoning(it, r, sink)
        elif is_call(it.kind):
            if it.key < 0:
                self.begin_call(it, sink)
            if not it.fed:
                given = r[I_INPUT] if it.kind == ITEM_CUSTOM else r[I_ARGUMENTS]
                if is_object(given):
                    made = shared("neutral.spans").escaped(to_bytes(given))
                    self.feed(it, span_of(made), sink)
                else:
                    self.feed(it, string(given), sink)
            self.close(it, sink)
        elif is_built_in(it.kind) and not is_hosted(r[I_ENVIRONMENT]):
            given = r[I_OPERATION] if it.kind == ITEM_PATCH else r[I_ACTION]
            made = shared("dialects.openai_responses_decoder").BUILT_IN[to_bytes(held(&it.type))]
            replace(&it.name, span_of(made))
            self.begin_call(it, sink)
            made = shared("neutral.spans").escaped(to_bytes(given)) if is_object(given) else b"{}"
            sink.on_args(it.key, span_of(made))
        elif it.kind == ITEM_IMAGE and string(r[I_RESULT]).n:
            made = shared("dialects.openai_responses_ends").image(to_bytes(raw))
            sink.on_private(text(b"media"), span_of(made))
        else:
            return sink.on_private(held(&it.type) if it.type.n else text(b"item"), raw)
        for name, made in shared("dialects.openai_responses_ends").unsaid(to_bytes(held(&it.type)), to_bytes(raw)):
            sink.on_private(span_of(name), span_of(made))
        return 0

    cdef int finish_reasoning(self, OpenItem* it, Span* r, Sink sink) except -1:
        cdef Span[5] part
        cdef Span item = nothing(), sealed
        cdef long long at = 0
        cdef Buf b
        while next_object(r[I_SUMMARY], &item):
            if at > it.thought:
                read_members(item, ITEM_PART, 5, part)
                self.think(it, SORT_SUMMARY, at, string(part[1]), sink)
            at += 1
        if not it.fed:
            item = nothing()
            at = 0
            while next_object(r[I_CONTENT], &item):
                read_members(item, ITEM_PART, 5, part)
                self.think(it, SORT_WORDS, at, string(part[1]), sink)
                at += 1
        sealed = string(r[I_ENCRYPTED])
        if not sealed.n:
            return self.end_thought(it, sink)
        self.thinking = -1
        memset(&b, 0, sizeof(Buf))
        try:
            put_span(&b, held(&it.ident))
            put_text(&b, b":")
            put_span(&b, sealed)
            sink.on_seal(held(&b))
        finally:
            release(&b)
        return 0

    cdef int take_out(self, int at, Sink sink) except -1:
        # The item ends without a word, and is forgotten.
        cdef OpenItem it = self.items[at]
        cdef int i
        for i in range(at, self.open - 1):
            self.items[i] = self.items[i + 1]
        self.open -= 1
        try:
            self.close(&it, sink)
        finally:
            free_item(&it)
        return 0

    cdef int close(self, OpenItem* it, Sink sink) except -1:
        if it.kind == ITEM_REASONING:
            return self.end_thought(it, sink)
        if is_call(it.kind):
            if it.key < 0:
                self.begin_call(it, sink)
            if it.kind == ITEM_CUSTOM:
                return sink.on_args(it.key, text(b'\\"}') if it.fed else text(b'{\\"input\\":\\"\\"}'))
            return 0 if it.fed else sink.on_args(it.key, text(b"{}"))
        if it.kind != ITEM_MESSAGE:
            return sink.on_private(held(&it.type) if it.type.n else text(b"item"), text(b"null"))
        return 0

    cdef int end_thought(self, OpenItem* it, Sink sink) except -1:
        if it.serial != self.thinking:
            return 0
        self.thinking = -1
        return sink.on_seal(nothing())

    # -- texts ----------------------------------------------------------------------------------------------------------

    cdef int say(self, OpenItem* it, long long at, Span s, Sink sink) except -1:
        if not s.n:
            return 0
        if self.spot_serial != it.serial or self.spot_at != at:
            if self.spot_serial >= 0:
                sink.on_text(nothing())  # another text, not more of the same
            self.spot_serial = it.serial
            self.spot_at = at
        if at > it.said:
            it.said = at
        self.thinking = -1
        return sink.on_text(s)

    cdef int refuse(self, OpenItem* it, long long at, Span s, Sink sink) except -1:
        self.refused = True
        if not s.n:
            return 0
        if at > it.said:
            it.said = at
        self.thinking = -1
        return sink.on_refusal(s)

    cdef int think(self, OpenItem* it, int sort, long long at, Span s, Sink sink) except -1:
        if not s.n:
            return 0
        if it.fed and (it.spot_sort != sort or it.spot_at != at):
            sink.on_thinking(text(b"\\n\\n"))
        it.fed = True
        it.spot_sort = sort
        it.spot_at = at
        if sort == SORT_SUMMARY:
            if at > it.thought:
                it.thought = at
        elif at > it.said:
            it.said = at
        self.thinking = it.serial
        return sink.on_thinking(s)

    cdef int part(self, OpenItem* it, long long at, Span raw, Sink sink) except -1:
        # A finished part: what was not said of it yet.
        cdef Span[5] p
        cdef Span kind, item = nothing()
        cdef bint fresh = at > it.said
        cdef bytes name
        read_members(raw, ITEM_PART, 5, p)
        kind = string(p[0])
        if same(kind, b"output_text") or same(kind, b"text"):
            if fresh:
                self.say(it, at, string(p[1]), sink)
                self.probe(p[4], sink)
            if at > it.noted:
                while next_object(p[3], &item):
                    it.noted = at
                    self.note(item, sink)
        elif same(kind, b"refusal"):
            self.refused = True
            if fresh:
                self.refuse(it, at, string(p[2]), sink)
        elif same(kind, b"reasoning_text"):
            if fresh:
                self.think(it, SORT_WORDS, at, string(p[1]), sink)
        elif fresh and not same(kind, b"summary_text"):
            it.said = at
            name = b"content." + (to_bytes(kind) or b"part")
            sink.on_private(span_of(name), raw)
        return 0

    cdef int note(self, Span raw, Sink sink) except -1:
        cdef bytes name, value
        name, value = shared("dialects.openai_responses_ends").annotation(to_bytes(raw))
        return sink.on_private(span_of(name), span_of(value))

    cdef bint probe(self, Span raw, Sink sink) except -1:
        cdef Span item = nothing()
        if not next_object(raw, &item):
            return False
        sink.on_private(text(b"logprobs"), raw)
        return True

    # -- calls ----------------------------------------------------------------------------------------------------------

    cdef int begin_call(self, OpenItem* it, Sink sink) except -1:
        self.thinking = -1
        it.key = self.calls
        self.calls += 1
        return sink.on_tool(it.key, held(&it.call_id) if it.call_id.n else held(&it.ident), held(&it.name))

    cdef int feed(self, OpenItem* it, Span s, Sink sink) except -1:
        if not s.n:
            return 0
        if it.key < 0:
            self.begin_call(it, sink)
        if it.kind == ITEM_CUSTOM:
            if not it.fed:
                sink.on_args(it.key, text(b'{\\"input\\":\\"'))
            self.deepen(s)
            s = held(&self.deep)
        it.fed = True
        sink.on_args(it.key, s)
        return trim(&self.deep, 65536)

    cdef int deepen(self, Span s) except -1:
        # Twin of neutral.custom_tools.deeper.
        cdef Py_ssize_t i, begin = 0
        self.deep.n = 0
        for i in range(s.n):
            if s.p[i] == 92 or s.p[i] == 34:
                put(&self.deep, s.p + begin, i - begin)
                put_text(&self.deep, b"\\")
                begin = i
        return put(&self.deep, s.p + begin, s.n - begin)
