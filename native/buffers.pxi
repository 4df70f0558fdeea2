# Spans, growing buffers and token counts: the plain data of the native module. Knows no JSON.

cdef enum:
    MAX_DEPTH = 128
    MAX_CALLS = 128
    HELD_MAX = 4 << 20
    SEED = 512


cdef struct Span:
    # Bytes that somebody else owns. p is NULL where there is nothing, which is not the same as n == 0.
    const char* p
    Py_ssize_t n


cdef inline Span span(const char* p, Py_ssize_t n) noexcept nogil:
    cdef Span s
    s.p = p
    s.n = n
    return s


cdef inline Span nothing() noexcept nogil:
    return span(NULL, 0)


cdef inline Span span_of(bytes text):
    return span(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))


cdef inline bytes to_bytes(Span s):
    return PyBytes_FromStringAndSize(s.p, s.n) if s.n else b""


cdef inline Span text(const char* literal) noexcept nogil:
    return span(literal, <Py_ssize_t>strlen(literal))


cdef inline bint same(Span s, const char* literal) noexcept nogil:
    return s.n == <Py_ssize_t>strlen(literal) and memcmp(s.p, literal, strlen(literal)) == 0


cdef inline bint begins(Span s, const char* literal) noexcept nogil:
    return s.n >= <Py_ssize_t>strlen(literal) and memcmp(s.p, literal, strlen(literal)) == 0


cdef inline bint equal(Span a, Span b) noexcept nogil:
    return a.n == b.n and (a.n == 0 or memcmp(a.p, b.p, <size_t>a.n) == 0)


# -- buffers ------------------------------------------------------------------------------------------------------------

cdef struct Buf:
    # Owned bytes. Zeroed memory is an empty one.
    char* p
    Py_ssize_t n
    Py_ssize_t cap


cdef int grow(Buf* b, Py_ssize_t more) except -1:
    cdef Py_ssize_t cap = b.cap * 2 if b.cap else 256
    cdef char* p
    if more > (<Py_ssize_t>1 << 40) - b.n:
        raise MemoryError
    if cap < b.n + more:
        cap = b.n + more
    p = <char*>PyMem_Realloc(b.p, <size_t>cap)
    if p == NULL:
        raise MemoryError
    b.p = p
    b.cap = cap
    return 0


cdef inline int put(Buf* b, const char* p, Py_ssize_t n) except -1:
    if n > b.cap - b.n:
        grow(b, n)
    if n:
        memcpy(b.p + b.n, p, <size_t>n)
        b.n += n
    return 0


cdef inline int put_span(Buf* b, Span s) except -1:
    return put(b, s.p, s.n)


cdef inline int put_text(Buf* b, const char* literal) except -1:
    return put(b, literal, <Py_ssize_t>strlen(literal))


cdef int put_bytes(Buf* b, bytes text) except -1:
    return put(b, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))


cdef int put_int(Buf* b, long long value) except -1:
    cdef char digits[24]
    cdef int at = 24
    cdef bint negative = value < 0
    cdef unsigned long long rest = <unsigned long long>(-value if negative else value)
    while True:
        at -= 1
        digits[at] = <char>(48 + rest % 10)
        rest //= 10
        if not rest:
            break
    if negative:
        at -= 1
        digits[at] = 45
    return put(b, digits + at, 24 - at)


cdef inline Span held(Buf* b) noexcept nogil:
    return span(b.p, b.n)


cdef void release(Buf* b) noexcept:
    PyMem_Free(b.p)
    b.p = NULL
    b.n = b.cap = 0


cdef int trim(Buf* b, Py_ssize_t keep) except -1:
    # Empties a buffer; gives back what one large frame made of it.
    b.n = 0
    if b.cap > keep:
        release(b)
    return 0


# -- counts -------------------------------------------------------------------------------------------------------------

cdef struct Counts:
    # neutral.usage.Usage, member for member.
    long long input
    long long output
    long long cache_read
    long long cache_write
    long long cache_write_1h
    long long reasoning
    long long audio_input
    long long audio_output
    long long web_searches
    long long tool_prompt


cdef Counts unknown_counts() noexcept nogil:
    cdef Counts c
    c.input = c.output = c.cache_read = c.cache_write = c.cache_write_1h = -1
    c.reasoning = c.audio_input = c.audio_output = c.web_searches = c.tool_prompt = -1
    return c


cdef inline void merge(long long* before, long long given) noexcept nogil:
    # -1 says nothing, and neither does a 0 where there was more: counts are cumulative.
    if given > 0 or (given == 0 and before[0] < 0):
        before[0] = given


cdef object usage_of(Counts c):
    return Usage(
        c.input, c.output, c.cache_read, c.cache_write, c.cache_write_1h, c.reasoning, c.audio_input, c.audio_output, c.web_searches,
        c.tool_prompt
    )


cdef Counts counts_of(object usage):
    cdef Counts c
    c.input = usage.input
    c.output = usage.output
    c.cache_read = usage.cache_read
    c.cache_write = usage.cache_write
    c.cache_write_1h = usage.cache_write_1h
    c.reasoning = usage.reasoning
    c.audio_input = usage.audio_input
    c.audio_output = usage.audio_output
    c.web_searches = usage.web_searches
    c.tool_prompt = usage.tool_prompt
    return c


# -- what is written once, in Python ------------------------------------------------------------------------------------

cdef dict _modules = {}


cdef object shared(str name):
    # A module of anyllm_fast that both twins call. Imported late: those modules import this one.
    cdef object module = _modules.get(name)
    if module is None:
        module = _modules[name] = import_module("anyllm_fast." + name)
    return module
