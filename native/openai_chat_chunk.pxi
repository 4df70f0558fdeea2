# A chunk of a Chat Completions stream as its members. Twin of dialects/openai_chat_chunk.py. Calls no Sink.

cdef enum:
    K_ID
    K_MODEL
    K_CHOICES
    K_USAGE
    K_GROQ
    K_ERROR
    K_OBJECT
    K_MESSAGE
    K_PADDING
    K_MODERATION
    CHUNK_NAMES

cdef enum:
    O_INDEX
    O_DELTA
    O_FINISH
    O_STOP
    O_MATCHED
    O_USAGE
    O_ERROR
    O_LOGPROBS
    CHOICE_NAMES

cdef enum:
    T_CONTENT
    T_REFUSAL
    T_REASONING_CONTENT
    T_REASONING
    T_THINKING
    T_BLOCKS
    T_DETAILS
    T_CALLS
    T_FUNCTION
    T_ANNOTATIONS
    T_AUDIO
    T_IMAGES
    CHAT_DELTA_NAMES

cdef enum:
    B_INDEX
    B_TYPE
    B_THINKING
    B_TEXT
    B_SUMMARY
    B_SIGNATURE
    B_DATA
    BLOCK_NAMES

cdef Name[CHUNK_NAMES] CHUNK
cdef Name[CHOICE_NAMES] CHOICE
cdef Name[CHAT_DELTA_NAMES] CHAT_DELTA
cdef Name[BLOCK_NAMES] BLOCK
cdef Name[4] PART
cdef Name[5] TOOL
cdef Name[2] FUNCTION
cdef Name[2] CUSTOM
cdef Name[2] LOGPROBS
cdef Name[2] AUDIO
cdef Name[5] CHAT_USAGE
cdef Name[5] CHAT_DETAILS
cdef Name[1] GROQ

fill(CHUNK, (b"id", b"model", b"choices", b"usage", b"x_groq", b"error", b"object", b"message", b"obfuscation", b"moderation"))
fill(CHOICE, (b"index", b"delta", b"finish_reason", b"stop_reason", b"matched_stop", b"usage", b"error", b"logprobs"))
fill(
    CHAT_DELTA,
    (
        b"content", b"refusal", b"reasoning_content", b"reasoning", b"thinking", b"thinking_blocks", b"reasoning_details", b"tool_calls",
        b"function_call", b"annotations", b"audio", b"images",
    ),
)
fill(BLOCK, (b"index", b"type", b"thinking", b"text", b"summary", b"signature", b"data"))
fill(PART, (b"type", b"text", b"refusal", b"thinking"))
fill(TOOL, (b"index", b"id", b"function", b"type", b"custom"))
fill(FUNCTION, (b"name", b"arguments"))
fill(CUSTOM, (b"name", b"input"))
fill(LOGPROBS, (b"content", b"refusal"))
fill(AUDIO, (b"data", b"transcript"))
fill(
    CHAT_USAGE,
    (b"prompt_tokens", b"completion_tokens", b"prompt_tokens_details", b"completion_tokens_details", b"prompt_cache_hit_tokens"),
)
fill(CHAT_DETAILS, (b"cached_tokens", b"cache_write_tokens", b"cache_creation_tokens", b"reasoning_tokens", b"audio_tokens"))
fill(GROQ, (b"usage",))


cdef struct Chunk:
    Span[CHUNK_NAMES] top
    Span[CHOICE_NAMES] choice  # choice 0; where choices have no index, the first one
    bint found
    bint others  # there are choices that are lost
    bint failed  # a choice has an error inside (OpenRouter)


cdef bint read_chunk(Span data, Chunk* c) noexcept nogil:
    # Whether the chunk is a sound object; its members, and those of its choice, in one walk.
    cdef const char* p = data.p + 1
    cdef const char* end = data.p + data.n
    cdef const char* value
    cdef Span key
    cdef bint first = True
    cdef int i
    memset(c, 0, sizeof(Chunk))
    if data.p[0] != 123:
        return False
    while True:
        value = next_key(p, end, &key, first)
        if value == NULL:
            return False
        if key.p == NULL:
            return value == end
        first = False
        i = place_of(key, CHUNK, CHUNK_NAMES)
        if i == K_CHOICES:
            c.found = c.others = c.failed = False
            p = read_choices(value, end, c) if value[0] == 91 else skip_value(value, end, 1)
        else:
            p = skip_value(value, end, 1)
        if p == NULL:
            return False
        if i >= 0:
            c.top[i] = span(value, p - value)


cdef const char* read_choices(const char* p, const char* end, Chunk* c) noexcept nogil:
    # Past the array whose `[` is at p; NULL if it is not sound.
    cdef Span[CHOICE_NAMES] other
    cdef Span* into
    cdef const char* begin
    cdef bint first = True
    cdef long long index
    p += 1
    while True:
        begin = next_place(p, end, first)
        if begin == NULL or (begin - 1)[0] == 93:
            return begin
        into = &other[0] if c.found else c.choice
        if begin[0] == 123:
            p = members(begin + 1, end, 3, CHOICE, CHOICE_NAMES, into)
        else:
            p = skip_value(begin, end, 2)
            memset(into, 0, CHOICE_NAMES * sizeof(Span))
        if p == NULL:
            return NULL
        if is_object(into[O_ERROR]):
            c.failed = True
        index = number(into[O_INDEX])
        if not c.found and (index == 0 or (index < 0 and first)):
            c.found = True
        else:
            c.others = True
        first = False


cdef bint is_error(Chunk* c) noexcept nogil:
    # In any of the forms that are in use; see openai_chat_chunk.is_error.
    if is_object(c.top[K_ERROR]) or string(c.top[K_ERROR]).n or same(string(c.top[K_OBJECT]), b"error"):
        return True
    return c.failed if is_array(c.top[K_CHOICES]) else string(c.top[K_MESSAGE]).n > 0


cdef void count_chat(Span raw, Counts* c) noexcept nogil:
    cdef Span[5] u, prompt, completion
    cdef long long read, written, whole
    read_members(raw, CHAT_USAGE, 5, u)
    read_members(u[2], CHAT_DETAILS, 5, prompt)
    read_members(u[3], CHAT_DETAILS, 5, completion)
    read = number(prompt[0])
    if read < 0:
        read = number(u[4])
    written = number(prompt[1])
    if written < 0:
        written = number(prompt[2])
    whole = number(u[0])
    if whole >= 0:
        whole -= (read if read > 0 else 0) + (written if written > 0 else 0)
        if whole < 0:
            whole = 0
    merge(&c.input, whole)
    merge(&c.output, number(u[1]))
    merge(&c.cache_read, read)
    merge(&c.cache_write, written)
    merge(&c.reasoning, number(completion[3]))
    merge(&c.audio_input, number(prompt[4]))
    merge(&c.audio_output, number(completion[4]))
