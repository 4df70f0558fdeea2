# Replaces the value of a top-level member of a JSON object. Twin of wire/splice.py: the body is valid, so only strings and depth matter.

cdef const char* past_string(const char* p, const char* end) noexcept nogil:
    # p is past the opening quote of a string that is sound: it ends at a quote behind an even number of backslashes.
    cdef const char* quote = p
    cdef const char* slash
    while True:
        quote = <const char*>memchr(quote, 34, <size_t>(end - quote))
        if quote == NULL:
            return end
        slash = quote
        while slash > p and (slash - 1)[0] == 92:
            slash -= 1
        quote += 1
        if (quote - 1 - slash) % 2 == 0:
            return quote


cdef int find_values(const char* p, const char* end, Span key, Buf* found) except -1:
    # Appends to `found` the spans of all values of the member `key` of the object at p.
    cdef const char* begin = NULL
    cdef const char* stop
    cdef Span name = nothing(), value
    cdef char[64] room
    cdef Py_ssize_t depth = 0
    while p < end:
        if p[0] == 34:
            stop = past_string(p + 1, end)
            if depth == 1 and begin == NULL:
                name = span(p + 1, stop - p - 2)
            p = stop
            continue
        if p[0] == 123 or p[0] == 91:
            depth += 1
            if depth == 1 and p[0] != 123:
                return 0
        elif p[0] == 58:
            if depth == 1 and name.p != NULL and equal(plain_key(name, room, 64), key):
                begin = p + 1
            name = nothing()
        elif p[0] == 44 or p[0] == 125 or p[0] == 93:
            if depth == 1 and begin != NULL:
                value = stripped(span(begin, p - begin))
                put(found, <const char*>&value, sizeof(Span))
                begin = NULL
            if p[0] != 44:
                depth -= 1
        p += 1
    return 0


def splice_model(bytes body not None, bytes model not None):
    """Twin of wire.splice.splice_model."""
    return splice_member(body, b"model", b'"' + model + b'"')


def splice_member(bytes body not None, bytes key not None, bytes raw_json not None):
    """Twin of wire.splice.splice_member."""
    cdef Span whole = span_of(body), value = span_of(raw_json)
    cdef Buf found
    memset(&found, 0, sizeof(Buf))
    try:
        find_values(whole.p, whole.p + whole.n, span_of(key), &found)
        return replaced(whole, value, <Span*>found.p, found.n // <Py_ssize_t>sizeof(Span)) if found.n else body
    finally:
        release(&found)


cdef bytes replaced(Span whole, Span value, Span* found, Py_ssize_t count):
    cdef Py_ssize_t size = whole.n + count * value.n, i
    cdef const char* done = whole.p
    cdef char* out
    cdef bytes text
    for i in range(count):
        size -= found[i].n
    text = PyBytes_FromStringAndSize(NULL, size)
    out = PyBytes_AS_STRING(text)
    for i in range(count):
        out = copied(out, span(done, found[i].p - done))
        out = copied(out, value)
        done = found[i].p + found[i].n
    copied(out, span(done, whole.p + whole.n - done))
    return text


cdef inline char* copied(char* out, Span s) noexcept nogil:
    if s.n:
        memcpy(out, s.p, <size_t>s.n)
    return out + s.n
