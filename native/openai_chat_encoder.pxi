# The encoder of OpenAI Chat Completions. Twin of dialects.openai_chat_stream.ChatEncoder.

cdef Py_ssize_t length_of(Span s) noexcept nogil:
    # Characters that a sound span stands for.
    cdef Py_ssize_t count = 0
    cdef const char* p = s.p
    cdef const char* end = s.p + s.n
    cdef int value
    while p < end:
        if p[0] == 92:
            value = unit(p, end)
            if value < 0:
                p += 2
            else:
                p += 12 if 0xD800 <= value <= 0xDBFF else 6
            count += 1
        else:
            count += (<unsigned char>p[0] & 0xC0) != 0x80
            p += 1
    return count


cdef class ChatEncoder(Ordered):
    """Twin of dialects.openai_chat_stream.ChatEncoder."""

    cdef bytes head
    cdef str origin  # whose signatures they are, if not Anthropic's
    cdef object custom  # calls of free-form tools; None if the client has no such tool
    cdef long long images
    cdef Buf delta  # how every chunk with a delta begins
    cdef long long thought
    cdef long long length
    cdef long long began
    cdef list citations
    cdef long long annotations
    cdef bint refused

    def __init__(self, options):
        self.interleaves = True
        self.options = options
        self.head = shared("dialects.openai_chat_ends").chunk_head(options)
        self.origin = shared("dialects.openai_chat_ends").foreign(options.origin)
        if options.forms:
            self.custom = shared("dialects.openai_chat_custom").CustomCalls(options.forms)
        self.delta.n = 0
        put_bytes(&self.delta, self.head)
        put_text(&self.delta, b'"choices":[{"index":0,"delta":{')
        self.citations = []

    def __dealloc__(self):
        release(&self.delta)

    cdef inline int begin(self) except -1:
        return put_span(&self.out, held(&self.delta))

    cdef inline int close(self) except -1:
        return put_text(&self.out, b'},"logprobs":null,"finish_reason":null}]}\n\n')

    cdef int write_start(self) except -1:
        self.begin()
        put_text(&self.out, b'"role":"assistant","content":"","refusal":null')
        return self.close()

    cdef int write_open(self, int kind) except -1:
        if kind == TEXT:
            self.began = self.length
        elif kind == REFUSAL:
            self.refused = True
        return 0

    cdef int write_piece(self, int kind, Span s) except -1:
        self.begin()
        if kind == TEXT:
            self.length += length_of(s)
            put_text(&self.out, b'"content":"')
        elif kind == REFUSAL:
            put_text(&self.out, b'"refusal":"')
        else:
            put_text(&self.out, b'"reasoning_content":"')
            put_span(&self.out, s)
            put_text(&self.out, b'","thinking_blocks":[{"index":')
            put_int(&self.out, self.thought)
            put_text(&self.out, b',"type":"thinking","thinking":"')
            put_span(&self.out, s)
            put_text(&self.out, b'"}]')
            return self.close()
        put_span(&self.out, s)
        put_text(&self.out, b'"')
        return self.close()

    cdef int write_seal(self, Span signature) except -1:
        self.begin()
        put_text(&self.out, b'"thinking_blocks":[{"index":')
        put_int(&self.out, self.thought)
        put_text(&self.out, b',"type":"thinking","thinking":"","signature":"')
        put_tagged(&self.out, self.origin, signature)
        put_text(&self.out, b'"}]')
        return self.close()

    cdef int write_close(self, int kind) except -1:
        if kind == THINKING:
            self.thought += 1
        elif kind == TEXT:
            self.write_citations(self.began)
        return 0

    cdef int write_redacted(self, Span data) except -1:
        self.begin()
        put_text(&self.out, b'"thinking_blocks":[{"index":')
        put_int(&self.out, self.thought)
        put_text(&self.out, b',"type":"redacted_thinking","data":"')
        put_tagged(&self.out, self.origin, data)
        put_text(&self.out, b'"}]')
        self.thought += 1
        return self.close()

    cdef int write_call(self, int count, Span ident, Span name) except -1:
        if self.custom is not None and self.custom.begin(count, to_bytes(name)):
            write_custom_call = shared("dialects.openai_chat_custom").write_custom_call
            return self.write_entry(write_custom_call(count, to_bytes(ident), to_bytes(name)))
        self.begin()
        put_text(&self.out, b'"tool_calls":[{"index":')
        put_int(&self.out, count)
        put_text(&self.out, b',"id":"')
        put_span(&self.out, ident)
        put_text(&self.out, b'","type":"function","function":{"name":"')
        put_span(&self.out, name)
        put_text(&self.out, b'","arguments":""}}]')
        return self.close()

    cdef int write_entry(self, bytes entry) except -1:
        # An entry of tool_calls that was made in Python.
        self.begin()
        put_text(&self.out, b'"tool_calls":[')
        put_bytes(&self.out, entry)
        put_text(&self.out, b"]")
        return self.close()

    cdef int write_args(self, int count, Span s) except -1:
        cdef object said
        if self.custom is not None and self.custom.has(count):
            said = self.custom.feed(count, to_bytes(s))
            if isinstance(said, Failure):
                self.on_fail(said)
            elif said:
                self.write_entry(said)
            return 0
        self.begin()
        put_text(&self.out, b'"tool_calls":[{"index":')
        put_int(&self.out, count)
        put_text(&self.out, b',"function":{"arguments":"')
        put_span(&self.out, s)
        put_text(&self.out, b'"}}]')
        return self.close()

    cdef bint carry(self, Span name, Span raw) except -1:
        if same(name, b"citation"):
            self.citations.append(to_bytes(raw))
            return True
        if same(name, b"annotation") and begins(raw, b'{"'):
            self.turn_to(self.opened)
            self.write_annotation(raw)
            return True
        if (same(name, b"logprobs") or same(name, b"logprobs.refusal")) and begins(raw, b"["):
            self.turn_to(self.opened)
            put_bytes(&self.out, self.head)
            put_bytes(&self.out, shared("dialects.openai_chat_ends").write_logprobs(to_bytes(name), to_bytes(raw)))
            return True
        return same(name, b"media") and self.write_media(raw)

    cdef bint write_media(self, Span raw) except -1:
        cdef bytes delta = shared("dialects.openai_chat_ends").write_media(to_bytes(raw), self.images, self.options)
        if not delta:
            return False
        self.turn_to(self.opened)
        self.begin()
        put_bytes(&self.out, delta)
        self.close()
        self.images += 1
        return True

    cdef int write_citations(self, long long began) except -1:
        # The citations of a text, once it is known where it ends.
        cdef list citations
        cdef object annotation
        if not self.citations:
            return 0
        citations = self.citations
        self.citations = []
        annotation_of = shared("dialects.citations").annotation_of
        for citation in citations:
            annotation = annotation_of(citation, began, self.length)
            if annotation is None:
                self.lose(text(b"citation"))
            else:
                self.write_annotation(span_of(annotation))
        return 0

    cdef int write_annotation(self, Span raw) except -1:
        self.begin()
        put_text(&self.out, b'"annotations":[{"index":')
        put_int(&self.out, self.annotations)
        put_text(&self.out, b",")
        put(&self.out, raw.p + 1, raw.n - 1)
        put_text(&self.out, b"]")
        self.annotations += 1
        return self.close()

    cdef int write_stop(self, str reason, bytes sequence) except -1:
        if self.custom is not None:
            for entry in self.custom.rest():
                self.write_entry(entry)
        self.write_citations(self.length)
        ends = shared("dialects.openai_chat_ends")
        return put_bytes(&self.out, ends.write_stop(self.head, reason, sequence, bool(self.refused)))

    cdef int write_end(self) except -1:
        ends = shared("dialects.openai_chat_ends")
        if self.options.include_usage and (self.counted.input >= 0 or self.counted.output >= 0):
            put_bytes(&self.out, ends.write_usage_chunk(self.head, usage_of(self.counted)))
        return put_bytes(&self.out, ends.DONE)

    cdef int write_failure(self, object failure) except -1:
        return put_bytes(&self.out, shared("dialects.openai_chat_ends").write_failure(failure))
