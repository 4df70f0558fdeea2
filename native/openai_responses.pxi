# The decoder of OpenAI Responses. Twin of dialects.openai_responses_decoder.ResponsesDecoder, where the rules are explained.
#
# A delta is like the one before but for its string, its sequence_number and, at OpenAI, a padding: see Shape.

cdef enum:
    R_TYPE
    R_INDEX
    R_ITEM_ID
    R_CONTENT_INDEX
    R_SUMMARY_INDEX
    R_DELTA
    R_LOGPROBS
    R_TEXT
    R_REFUSAL
    R_ARGUMENTS
    R_INPUT
    R_ITEM
    R_PART
    R_ANNOTATION
    R_RESPONSE
    R_ERROR
    R_NUMBER
    R_PADDING
    RESPONSES_EVENT_NAMES

cdef enum:
    I_TYPE
    I_ID
    I_CONTENT
    I_SUMMARY
    I_ENCRYPTED
    I_CALL_ID
    I_NAME
    I_NAMESPACE
    I_ARGUMENTS
    I_INPUT
    I_ACTION
    I_OPERATION
    I_ENVIRONMENT
    I_RESULT
    ITEM_NAMES

cdef Name[RESPONSES_EVENT_NAMES] RESPONSES_EVENT
cdef Name[ITEM_NAMES] ITEM
cdef Name[5] ITEM_PART
cdef Name[3] RESPONSE_HEAD

fill(
    RESPONSES_EVENT,
    (
        b"type", b"output_index", b"item_id", b"content_index", b"summary_index", b"delta", b"logprobs", b"text", b"refusal",
        b"arguments", b"input", b"item", b"part", b"annotation", b"response", b"error", b"sequence_number", b"obfuscation",
    ),
)
fill(
    ITEM,
    (
        b"type", b"id", b"content", b"summary", b"encrypted_content", b"call_id", b"name", b"namespace", b"arguments", b"input",
        b"action", b"operation", b"environment", b"result",
    ),
)
fill(ITEM_PART, (b"type", b"text", b"refusal", b"annotations", b"logprobs"))
fill(RESPONSE_HEAD, (b"id", b"model", b"output"))


# -- frames that are alike ----------------------------------------------------------------------------------------------

cdef enum:
    HOLE_PIECE
    HOLE_NUMBER
    HOLE_PADDING


cdef struct Shape:
    # A frame without the values that change: what stands between them, one after the other. See likeness.pxi.
    Buf literal
    int holes
    int[3] sorts
    Py_ssize_t[3] ends  # where in `literal` what stands before a hole ends
    bint known


cdef bint is_shaped(Shape* shape, Span data, Span* piece) noexcept nogil:
    cdef const char* p = data.p
    cdef const char* end = data.p + data.n
    cdef const char* q
    cdef Py_ssize_t at = 0, n
    cdef int i
    if not shape.known:
        return False
    for i in range(shape.holes):
        n = shape.ends[i] - at
        if end - p < n or memcmp(p, shape.literal.p + at, <size_t>n):
            return False
        p += n
        at += n
        if shape.sorts[i] == HOLE_NUMBER:
            q = skip_digits(p, end)
            if q == NULL or (p[0] == 48 and q - p > 1):
                return False
            p = q
        else:
            q = skip_string(p, end)
            if q == NULL:
                return False
            if shape.sorts[i] == HOLE_PIECE:
                piece[0] = span(p, q - 1 - p)
            p = q - 1
    return equal(span(p, end - p), span(shape.literal.p + at, shape.literal.n - at))


cdef int shape_of(Shape* shape, Span data, Span piece, Span number, Span padding) except -1:
    # `piece` and `padding` are insides of strings in `data`, `number` is digits; the last two may be missing.
    cdef Span[3] spans
    cdef int[3] sorts
    cdef Span s
    cdef int count = 1, i, k, sort
    cdef const char* p = data.p
    spans[0] = piece
    sorts[0] = HOLE_PIECE
    if number.p != NULL:
        spans[count] = number
        sorts[count] = HOLE_NUMBER
        count += 1
    if padding.p != NULL:
        spans[count] = padding
        sorts[count] = HOLE_PADDING
        count += 1
    for i in range(1, count):
        for k in range(i, 0, -1):
            if spans[k].p < spans[k - 1].p:
                s, sort = spans[k], sorts[k]
                spans[k], sorts[k] = spans[k - 1], sorts[k - 1]
                spans[k - 1], sorts[k - 1] = s, sort
    shape.known = False
    shape.literal.n = 0
    for i in range(count):
        put(&shape.literal, p, spans[i].p - p)
        shape.ends[i] = shape.literal.n
        shape.sorts[i] = sorts[i]
        p = spans[i].p + spans[i].n
    put(&shape.literal, p, data.p + data.n - p)
    shape.holes = count
    shape.known = True
    return 0


# -- decoding -----------------------------------------------------------------------------------------------------------

cdef enum:
    ITEM_OTHER
    ITEM_MESSAGE
    ITEM_REASONING
    ITEM_FUNCTION
    ITEM_CUSTOM
    ITEM_LOCAL_SHELL
    ITEM_SHELL
    ITEM_PATCH
    ITEM_IMAGE

cdef enum:
    SORT_SUMMARY
    SORT_WORDS

cdef enum:
    DELTA_TEXT
    DELTA_REFUSAL
    DELTA_SUMMARY
    DELTA_WORDS
    DELTA_ARGS


cdef struct OpenItem:
    # An output item that has begun and is not done.
    long long serial
    long long index
    int kind
    long long key  # of a call that was told
    bint fed
    long long said
    long long noted
    long long thought
    int spot_sort  # where the thinking is that was said last
    long long spot_at
    Buf type
    Buf ident
    Buf call_id
    Buf name


cdef int item_kind(Span s) noexcept nogil:
    if same(s, b"message"):
        return ITEM_MESSAGE
    if same(s, b"reasoning"):
        return ITEM_REASONING
    if same(s, b"function_call"):
        return ITEM_FUNCTION
    if same(s, b"custom_tool_call"):
        return ITEM_CUSTOM
    if same(s, b"local_shell_call"):
        return ITEM_LOCAL_SHELL
    if same(s, b"shell_call"):
        return ITEM_SHELL
    if same(s, b"apply_patch_call"):
        return ITEM_PATCH
    return ITEM_IMAGE if same(s, b"image_generation_call") else ITEM_OTHER


cdef void free_item(OpenItem* it) noexcept:
    release(&it.type)
    release(&it.ident)
    release(&it.call_id)
    release(&it.name)


cdef int replace(Buf* b, Span s) except -1:
    b.n = 0
    return put_span(b, s)


cdef inline long long at_of(Span raw) noexcept nogil:
    cdef long long value = number(raw)
    return value if value > 0 else 0


cdef inline bint is_call(int kind) noexcept nogil:
    return kind == ITEM_FUNCTION or kind == ITEM_CUSTOM


cdef inline bint is_built_in(int kind) noexcept nogil:
    return kind == ITEM_LOCAL_SHELL or kind == ITEM_SHELL or kind == ITEM_PATCH


cdef bint is_hosted(Span environment) noexcept nogil:
    cdef Py_ssize_t i
    cdef Py_ssize_t end = environment.n if environment.n < 48 else 48
    for i in range(end - 8):
        if memcmp(environment.p + i, b"container", 9) == 0:
            return True
    return False


cdef class ResponsesDecoder(Decoder):
    """Twin of dialects.openai_responses_decoder.ResponsesDecoder."""

    cdef bint begun
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
    cdef Shape shape
    cdef int shape_delta
    cdef long long shape_serial
    cdef long long shape_at
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
        release(&self.shape.literal)

    cdef int on_finish(self, Sink sink) except -1:
        return self.failed(shared("dialects.openai_responses_ends").ENDED_EARLY, sink)

    cdef bint is_plain(self, Span event, Span data, bint committed) except -1:
        return is_delta(data)

    cdef int on_frame(self, Span event, Span data, Sink sink) except -1:
        cdef bytes mended
        cdef Span piece
        cdef OpenItem* it
        data = stripped(data)
        if self.over or not data.n or same(data, b"[DONE]"):
            return 0
        if is_shaped(&self.shape, data, &piece):
            it = self.by_serial(self.shape_serial)
            if it != NULL:
                return self.on_delta(self.shape_delta, it, self.shape_at, piece, sink)
        self.shape.known = False
        if self.read(event, data, sink):
            return 0
        repair = shared("dialects.repair")
        mended = to_bytes(data)
        try:
            mended = repair.mend(mended)
            if self.read(event, span_of(mended), sink):
                self.shape.known = False
                return 0
            why = repair.NO_OBJECT
        except repair.Malformed as error:
            why = str(error)
        return self.failed(repair.unreadable(to_bytes(data), why), sink)

    cdef bint read(self, Span event, Span data, Sink sink) except -1:
        # False if the frame is not sound; then nothing was said of it.
        cdef Span[RESPONSES_EVENT_NAMES] e
        cdef Span kind
        cdef const char* end = data.p + data.n
        if data.p[0] != 123 or members(data.p + 1, end, 1, RESPONSES_EVENT, RESPONSES_EVENT_NAMES, e) != end:
            return False
        kind = string(e[R_TYPE])
        if same(kind, b"error") or same(kind, b"response.error") or (
            not kind.n and (is_object(e[R_ERROR]) or string(e[R_ERROR]).n)
        ):
            self.failed(shared("dialects.openai_responses_ends").error_event(to_bytes(data)), sink)
            return True
        if not kind.n:
            kind = event
        if not kind.n or same(kind, b"message"):
            why = shared("dialects.openai_responses_ends").NO_TYPE
            self.failed(shared("dialects.repair").unreadable(to_bytes(data), why), sink)
            return True
        if not begins(kind, b"response."):
            return True
        if not self.begun:
            self.start(e[R_RESPONSE], sink)
        self.handle(span(kind.p + 9, kind.n - 9), e, data, sink)
        return True

    cdef int handle(self, Span kind, Span* e, Span data, Sink sink) except -1:
        # `kind` is the event's type without `response.`.
        cdef bytes whole
        if same(kind, b"output_text.delta"):
            return self.delta(DELTA_TEXT, ITEM_MESSAGE, e, data, sink)
        if same(kind, b"function_call_arguments.delta") or same(kind, b"custom_tool_call_input.delta"):
            return self.args(e, data, sink)
        if same(kind, b"reasoning_summary_text.delta"):
            return self.delta(DELTA_SUMMARY, ITEM_REASONING, e, data, sink)
        if same(kind, b"reasoning_text.delta"):
            return self.delta(DELTA_WORDS, ITEM_REASONING, e, data, sink)
        if same(kind, b"refusal.delta"):
            return self.delta(DELTA_REFUSAL, ITEM_MESSAGE, e, data, sink)
        if same(kind, b"output_item.added"):
            return self.item_added(e, sink)
        if same(kind, b"output_item.done"):
            return self.item_done(number(e[R_INDEX]), string(e[R_ITEM_ID]), e[R_ITEM], sink)
        if same(kind, b"content_part.done"):
            return self.part_done(e, sink)
        if same(kind, b"output_text.done"):
            return self.text_done(e, sink)
        if same(kind, b"output_text.annotation.added"):
            return self.annotation(e, sink)
        if same(kind, b"refusal.done"):
            return self.refusal_done(e, sink)
        if same(kind, b"reasoning_summary_text.done") or same(kind, b"reasoning_summary_part.done"):
            return self.summary_done(e, sink)
        if same(kind, b"reasoning_text.done"):
            return self.words_done(e, sink)
        if same(kind, b"function_call_arguments.done") or same(kind, b"custom_tool_call_input.done"):
            return self.args_done(e, sink)
        if same(kind, b"completed") or same(kind, b"incomplete") or same(kind, b"failed") or same(kind, b"cancelled"):
            whole = b"response." + to_bytes(kind)
            return self.conclude(whole, e[R_RESPONSE], sink)
        if begins(kind, b"audio."):
            return sink.on_private(text(b"audio"), text(b"null"))
        return 0

    cdef int start(self, Span response, Sink sink) except -1:
        cdef Span[3] h
        self.begun = True
        read_members(response, RESPONSE_HEAD, 3, h)
        return sink.on_start(string(h[0]), string(h[1]))

    cdef int conclude(self, bytes kind, Span response, Sink sink) except -1:
        cdef Span[3] h
        cdef Span item = nothing()
        cdef Counts c
        cdef bytes name, raw
        if not self.serials:
            read_members(response, RESPONSE_HEAD, 3, h)
            while not self.over and next_object(h[2], &item):
                self.item_done(-1, nothing(), item, sink)
        while self.open and not self.over:
            self.take_out(0, sink)
        if self.over:
            return 0
        self.over = True
        end = shared("dialects.openai_responses_ends").judge_end(kind, to_bytes(response), self.calls > 0, bool(self.refused))
        if end.usage is not None:
            c = counts_of(end.usage)
            sink.on_usage(&c)
        for name, raw in end.private:
            sink.on_private(span_of(name), span_of(raw))
        if end.failure is not None:
            return sink.on_fail(end.failure)
        sink.on_stop(end.reason, None)
        return sink.on_end()

    # -- items ----------------------------------------------------------------------------------------------------------

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

    cdef int on_delta(self, int delta, OpenItem* it, long long at, Span s, Sink sink) except -1:
        if delta == DELTA_TEXT:
            return self.say(it, at, s, sink)
        if delta == DELTA_ARGS:
            return self.feed(it, s, sink)
        if delta == DELTA_REFUSAL:
            return self.refuse(it, at, s, sink)
        return self.think(it, SORT_SUMMARY if delta == DELTA_SUMMARY else SORT_WORDS, at, s, sink)

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

    cdef int delta(self, int delta, int kind, Span* e, Span data, Sink sink) except -1:
        cdef OpenItem* it = self.found(e, kind, sink)
        cdef long long at = at_of(e[R_SUMMARY_INDEX] if delta == DELTA_SUMMARY else e[R_CONTENT_INDEX])
        if it == NULL:
            return 0
        self.on_delta(delta, it, at, string(e[R_DELTA]), sink)
        if delta == DELTA_TEXT and self.probe(e[R_LOGPROBS], sink):
            return 0
        return self.learn(delta, it.serial, at, e, data)

    cdef int learn(self, int delta, long long serial, long long at, Span* e, Span data) except -1:
        cdef Span digits = e[R_NUMBER]
        if e[R_DELTA].n < 2 or e[R_DELTA].p[0] != 34 or not string(e[R_TYPE]).n:
            return 0
        if number(digits) < 0:
            digits = nothing()
        shape_of(&self.shape, data, string(e[R_DELTA]), digits, string(e[R_PADDING]))
        self.shape_delta = delta
        self.shape_serial = serial
        self.shape_at = at
        return 0

    cdef int text_done(self, Span* e, Sink sink) except -1:
        cdef OpenItem* it = self.found(e, ITEM_MESSAGE, sink)
        cdef long long at = at_of(e[R_CONTENT_INDEX])
        if it != NULL and at > it.said:
            self.say(it, at, string(e[R_TEXT]), sink)
            self.probe(e[R_LOGPROBS], sink)
        return 0

    cdef int refusal_done(self, Span* e, Sink sink) except -1:
        cdef OpenItem* it = self.found(e, ITEM_MESSAGE, sink)
        cdef long long at = at_of(e[R_CONTENT_INDEX])
        if it != NULL:
            self.refuse(it, at, string(e[R_REFUSAL]) if at > it.said else nothing(), sink)
        return 0

    cdef int part_done(self, Span* e, Sink sink) except -1:
        cdef OpenItem* it
        if is_object(e[R_PART]):
            it = self.found(e, ITEM_MESSAGE, sink)
            if it != NULL:
                self.part(it, at_of(e[R_CONTENT_INDEX]), e[R_PART], sink)
        return 0

    cdef int annotation(self, Span* e, Sink sink) except -1:
        # Where a host sends no deltas, it comes before its text: the finished part says both.
        cdef int found = self.where(number(e[R_INDEX]), string(e[R_ITEM_ID]))
        cdef long long at = at_of(e[R_CONTENT_INDEX])
        if is_object(e[R_ANNOTATION]) and found >= 0 and at <= self.items[found].said:
            if at > self.items[found].noted:
                self.items[found].noted = at
            self.note(e[R_ANNOTATION], sink)
        return 0

    cdef int summary_done(self, Span* e, Sink sink) except -1:
        # The text of a part, or the part itself.
        cdef OpenItem* it = self.found(e, ITEM_REASONING, sink)
        cdef long long at = at_of(e[R_SUMMARY_INDEX])
        cdef Span[5] p
        if it != NULL and at > it.thought:
            read_members(e[R_PART], ITEM_PART, 5, p)
            self.think(it, SORT_SUMMARY, at, string(e[R_TEXT]) if string(e[R_TEXT]).n else string(p[1]), sink)
        return 0

    cdef int words_done(self, Span* e, Sink sink) except -1:
        cdef OpenItem* it = self.found(e, ITEM_REASONING, sink)
        cdef long long at = at_of(e[R_CONTENT_INDEX])
        if it != NULL and at > it.said:
            self.think(it, SORT_WORDS, at, string(e[R_TEXT]), sink)
        return 0

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

    cdef int args(self, Span* e, Span data, Sink sink) except -1:
        cdef int at = self.where(number(e[R_INDEX]), string(e[R_ITEM_ID]))
        if at < 0 or not is_call(self.items[at].kind):
            return self.failed(shared("dialects.openai_responses_ends").NO_ITEM, sink) if self.sees_all else 0
        self.feed(&self.items[at], string(e[R_DELTA]), sink)
        return self.learn(DELTA_ARGS, self.items[at].serial, 0, e, data)

    cdef int args_done(self, Span* e, Sink sink) except -1:
        cdef int at = self.where(number(e[R_INDEX]), string(e[R_ITEM_ID]))
        cdef OpenItem* it
        if at >= 0:
            it = &self.items[at]
            if is_call(it.kind) and it.key >= 0 and not it.fed:
                self.feed(it, string(e[R_INPUT] if it.kind == ITEM_CUSTOM else e[R_ARGUMENTS]), sink)
        return 0


# -- the bypass ---------------------------------------------------------------------------------------------------------

cdef const char* skip_delta_type(const char* p, const char* end) noexcept nogil:
    # Past `"type":"response.NAME.delta"` at p, NULL if that is not what stands there.
    cdef const char* q
    if not begins(span(p, end - p), b'"type":'):
        return NULL
    p += 7
    if p < end and p[0] == 32:
        p += 1
    if not begins(span(p, end - p), b'"response.'):
        return NULL
    q = p = p + 10
    while q < end and (97 <= q[0] <= 122 or q[0] == 95 or q[0] == 46):
        q += 1
    if q == end or q[0] != 34 or q - p < 6 or memcmp(q - 6, b".delta", 6):
        return NULL
    return q + 1


cdef bint is_delta(Span data) noexcept nogil:
    # Twin of dialects.openai_responses_stream._is_plain.
    cdef const char* end = data.p + data.n
    cdef const char* p
    cdef const char* q
    if data.n == 0:
        return False
    if data.p[0] == 123 and skip_delta_type(data.p + 1, end) != NULL:
        return True
    if data.n < 2 or (end - 1)[0] != 125:
        return False
    p = end - 64 if data.n > 64 else data.p
    while p < end:
        if p[0] == 44 or p[0] == 123:
            q = p + 1
            if q < end and q[0] == 32:
                q += 1
            q = skip_delta_type(q, end)
            if q == end - 1:
                return True
        p += 1
    return False
