# A chunk of a Gemini stream as its members. Twin of dialects/gemini_event.py. Calls no Sink.

cdef enum:
    GC_CANDIDATES
    GC_USAGE
    GC_FEEDBACK
    GC_VERSION
    GC_RESPONSE
    GC_TIME
    GC_ERROR
    GC_NAMES

cdef enum:
    GO_CONTENT
    GO_FINISH
    GO_INDEX
    GO_RATINGS
    GO_GROUNDING
    GO_CITATION
    GO_LOGPROBS
    GO_AVERAGE
    GO_COUNT
    GO_NAMES

cdef enum:
    GP_TEXT
    GP_THOUGHT
    GP_SIGNATURE
    GP_CALL
    GP_INLINE
    GP_CODE
    GP_RESULT
    GP_NAMES

cdef enum:
    GU_PROMPT
    GU_CACHED
    GU_CANDIDATES
    GU_THOUGHTS
    GU_TOOLS
    GU_AUDIO_IN
    GU_AUDIO_OUT
    GU_COUNTS  # the ones above are kept
    GU_TOTAL = GU_COUNTS
    GU_NAMES
    GU_IGNORED = -1

cdef enum:
    MAX_HOLES = 12
    MAX_PACKED = 262144
    SAID_MAX = 1 << 20

cdef Name[GC_NAMES] GEMINI_CHUNK
cdef Name[GO_NAMES] GEMINI_CANDIDATE
cdef Name[2] GEMINI_CONTENT
cdef Name[GP_NAMES] GEMINI_PART
cdef Name[GU_NAMES] GEMINI_USAGE
cdef Name[GU_NAMES] GEMINI_SNAKE_USAGE
cdef Name[3] GEMINI_DETAIL

fill(
    GEMINI_CHUNK,
    (b"candidates", b"usageMetadata", b"promptFeedback", b"modelVersion", b"responseId", b"createTime", b"error"),
)
fill(
    GEMINI_CANDIDATE,
    (
        b"content", b"finishReason", b"index", b"safetyRatings", b"groundingMetadata", b"citationMetadata", b"logprobsResult",
        b"avgLogprobs", b"tokenCount",
    ),
)
fill(GEMINI_CONTENT, (b"parts", b"role"))
fill(
    GEMINI_PART,
    (
        b"text", b"thought", b"thoughtSignature", b"functionCall", b"inlineData", b"executableCode", b"codeExecutionResult",
    ),
)
fill(
    GEMINI_USAGE,
    (
        b"promptTokenCount", b"cachedContentTokenCount", b"candidatesTokenCount", b"thoughtsTokenCount", b"toolUsePromptTokenCount",
        b"promptTokensDetails", b"candidatesTokensDetails", b"totalTokenCount",
    ),
)
fill(
    GEMINI_SNAKE_USAGE,
    (
        b"prompt_token_count", b"cached_content_token_count", b"candidates_token_count", b"thoughts_token_count",
        b"tool_use_prompt_token_count", b"prompt_tokens_details", b"candidates_tokens_details", b"total_token_count",
    ),
)
fill(GEMINI_DETAIL, (b"modality", b"tokenCount", b"token_count"))


cdef const char* known_members(
    const char* p, const char* end, int depth, const Name* names, int count, Span* out, bint* strange
) noexcept nogil:
    # As `members`, and says whether there is a member of another name.
    cdef Span key
    cdef const char* value
    cdef bint first = True
    cdef int i
    memset(out, 0, <size_t>count * sizeof(Span))
    while True:
        value = next_key(p, end, &key, first)
        if value == NULL or key.p == NULL:
            return value
        p = skip_value(value, end, depth)
        if p == NULL:
            return NULL
        first = False
        i = place_of(key, names, count)
        if i >= 0:
            out[i] = span(value, p - value)
        else:
            strange[0] = True


cdef inline void open_known(Span raw, const Name* names, int count, Span* out, bint* strange) noexcept nogil:
    # The members of a sound value, none if it is no object.
    if is_object(raw):
        known_members(raw.p + 1, raw.p + raw.n, 1, names, count, out, strange)
    else:
        memset(out, 0, <size_t>count * sizeof(Span))


cdef struct GeminiChoice:
    # Candidate 0, whose index protobuf leaves out.
    bint found
    bint others  # there are candidates that are lost
    Span[GO_NAMES] members
    Span parts
    int count  # of parts
    Span[GP_NAMES] part  # the last one


cdef const char* walk_chunk(Span data, Span* out, GeminiChoice* g, bint* strange) noexcept nogil:
    # The members of the chunk, of its candidate and of its last part in one walk; NULL if it is not sound. `strange`: there are
    # members, down to the parts, that nobody knows.
    cdef const char* p = data.p + 1
    cdef const char* end = data.p + data.n
    cdef const char* value
    cdef Span key
    cdef bint first = True
    cdef int i
    memset(out, 0, sizeof(Span) * GC_NAMES)
    memset(g, 0, sizeof(GeminiChoice))
    while True:
        value = next_key(p, end, &key, first)
        if value == NULL or key.p == NULL:
            return value
        first = False
        i = place_of(key, GEMINI_CHUNK, GC_NAMES)
        if i == GC_CANDIDATES:
            memset(g, 0, sizeof(GeminiChoice))
        if i == GC_CANDIDATES and value < end and value[0] == 91:
            p = walk_candidates(value + 1, end, g, strange)
        else:
            p = skip_value(value, end, 1)
        if p == NULL:
            return NULL
        if i >= 0:
            out[i] = span(value, p - value)
        else:
            strange[0] = True


cdef const char* walk_candidates(const char* p, const char* end, GeminiChoice* g, bint* strange) noexcept nogil:
    cdef GeminiChoice other
    cdef GeminiChoice* one
    cdef long long index
    cdef int place = 0
    cdef bint first = True
    while True:
        p = next_place(p, end, first)
        if p == NULL or (p - 1)[0] == 93:
            return p
        first = False
        if p[0] != 123:
            p = skip_value(p, end, 2)
        else:
            one = &other if g.found else g
            p = walk_candidate(p + 1, end, one, strange)
            index = number(one.members[GO_INDEX])
            if not g.found and (index == 0 or (index < 0 and place == 0)):
                g.found = True
            else:
                g.others = True
            place += 1
        if p == NULL:
            return NULL


cdef const char* walk_candidate(const char* p, const char* end, GeminiChoice* one, bint* strange) noexcept nogil:
    cdef const char* value
    cdef Span key
    cdef bint first = True
    cdef int i
    memset(one.members, 0, sizeof(one.members))
    one.count = 0
    one.parts = nothing()
    while True:
        value = next_key(p, end, &key, first)
        if value == NULL or key.p == NULL:
            return value
        first = False
        i = place_of(key, GEMINI_CANDIDATE, GO_NAMES)
        if i == GO_CONTENT:
            one.count = 0
            one.parts = nothing()
        if i == GO_CONTENT and value < end and value[0] == 123:
            p = walk_content(value + 1, end, one, strange)
        else:
            p = skip_value(value, end, 3)
        if p == NULL:
            return NULL
        if i >= 0:
            one.members[i] = span(value, p - value)
        else:
            strange[0] = True


cdef const char* walk_content(const char* p, const char* end, GeminiChoice* one, bint* strange) noexcept nogil:
    cdef const char* value
    cdef Span key
    cdef bint first = True
    cdef int i
    while True:
        value = next_key(p, end, &key, first)
        if value == NULL or key.p == NULL:
            return value
        first = False
        i = place_of(key, GEMINI_CONTENT, 2)
        if i < 0:
            strange[0] = True
        if i == 0:
            one.count = 0
            if value < end and value[0] == 91:
                p = walk_parts(value + 1, end, one, strange)
            else:
                p = skip_value(value, end, 4)
            if p != NULL:
                one.parts = span(value, p - value)
        else:
            p = skip_value(value, end, 4)
        if p == NULL:
            return NULL


cdef const char* walk_parts(const char* p, const char* end, GeminiChoice* one, bint* strange) noexcept nogil:
    cdef bint first = True
    while True:
        p = next_place(p, end, first)
        if p == NULL or (p - 1)[0] == 93:
            return p
        first = False
        if p[0] == 123:
            one.count += 1
            p = known_members(p + 1, end, 6, GEMINI_PART, GP_NAMES, one.part, strange)
        else:
            p = skip_value(p, end, 5)
        if p == NULL:
            return NULL


cdef bint contains(Span s, const char* word) noexcept nogil:
    cdef Py_ssize_t n = <Py_ssize_t>strlen(word)
    cdef const char* p = s.p
    cdef const char* end = s.p + s.n
    while end - p >= n:
        p = <const char*>memchr(p, word[0], <size_t>(end - p - n + 1))
        if p == NULL:
            return False
        if memcmp(p, word, <size_t>n) == 0:
            return True
        p += 1
    return False


cdef struct Hole:
    const char* p  # while it is learned: where in the chunk
    Py_ssize_t n
    Py_ssize_t at  # where in `behind`
    int count  # which of the counts it is


cdef struct Holes:
    Hole[MAX_HOLES] items
    int n
    bint too_many


cdef void add_hole(Holes* holes, Span raw, int count) noexcept nogil:
    # In the order of their places.
    cdef int i = holes.n
    if holes.n == MAX_HOLES or number(raw) < 0:
        holes.too_many = True
        return
    while i > 0 and holes.items[i - 1].p > raw.p:
        holes.items[i] = holes.items[i - 1]
        i -= 1
    holes.items[i].p = raw.p
    holes.items[i].n = raw.n
    holes.items[i].count = count
    holes.n += 1
