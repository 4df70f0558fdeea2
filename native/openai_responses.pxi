# The decoder of OpenAI Responses: its frames and events. Twin of dialects.openai_responses_decoder.ResponsesDecoder.
#
# A delta is like the one before but for its string, its sequence_number and, at OpenAI, a padding: see Shape.

cdef class ResponsesDecoder(ResponsesItems):
    """Twin of dialects.openai_responses_decoder.ResponsesDecoder."""

    cdef bint begun
    cdef Shape shape
    cdef int shape_delta
    cdef long long shape_serial
    cdef long long shape_at

    def __dealloc__(self):
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
        if same(kind, b"audio.delta") and string(e[R_DELTA]).n:
            self.thinking = -1
            media = shared("dialects.media")
            whole = media.media(media.SAMPLES, to_bytes(string(e[R_DELTA])))
            return sink.on_private(text(b"media"), span_of(whole))
        if same(kind, b"audio.transcript.delta") and string(e[R_DELTA]).n:
            self.thinking = -1
            return sink.on_text(string(e[R_DELTA]))
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

    # -- pieces and finished parts --------------------------------------------------------------------------------------

    cdef int on_delta(self, int delta, OpenItem* it, long long at, Span s, Sink sink) except -1:
        if delta == DELTA_TEXT:
            return self.say(it, at, s, sink)
        if delta == DELTA_ARGS:
            return self.feed(it, s, sink)
        if delta == DELTA_REFUSAL:
            return self.refuse(it, at, s, sink)
        return self.think(it, SORT_SUMMARY if delta == DELTA_SUMMARY else SORT_WORDS, at, s, sink)

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
        cdef OpenItem* it
        cdef long long at = at_of(e[R_CONTENT_INDEX])
        if is_object(e[R_ANNOTATION]):
            it = self.found(e, ITEM_MESSAGE, sink)
            if it != NULL:
                if at > it.noted:
                    it.noted = at
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
