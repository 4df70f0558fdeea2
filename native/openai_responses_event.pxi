# An event of an OpenAI Responses stream as its members, events that are alike, and items. Calls no Sink.
# Twin of dialects/openai_responses_event.py.

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


# -- items --------------------------------------------------------------------------------------------------------------

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
