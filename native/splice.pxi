# Replaces the value of a top-level member of a JSON object. Twin of wire/splice.py: the body is valid, so only strings and depth matter.

cdef const char* past_string(const char* p, const char* end) noexcept nogil:
    # p is past the opening quote of a string that is sound; eight bytes at a time, see json.pxi.
    cdef uint64_t word, mask
    while p < end:
        if end - p >= 8:
            memcpy(&word, p, 8)
            mask = (word ^ <uint64_t>0x2222222222222222) - <uint64_t>0x0101010101010101
            mask &= ~(word ^ <uint64_t>0x2222222222222222)
            mask |= ((word ^ <uint64_t>0x5C5C5C5C5C5C5C5C) - <uint64_t>0x0101010101010101) & ~(word ^ <uint64_t>0x5C5C5C5C5C5C5C5C)
            mask &= <uint64_t>0x8080808080808080
            if not mask:
                p += 8
                continue
            p += anyllm_first(mask)
        if p[0] == 34:
            return p + 1
        p += 2 if p[0] == 92 else 1
    return end


cdef int replace(const char* p, const char* end, Span key, Span value, Buf* out) except -1:
    # Appends the object at p to `out` with `value` in place of every value of `key`; nothing if it has none.
    cdef const char* done = p
    cdef const char* begin = NULL
    cdef const char* stop
    cdef Span name = nothing()
    cdef char room[64]
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
                begin = white(begin, p)
                stop = stripped(span(begin, p - begin)).p + stripped(span(begin, p - begin)).n
                put(out, done, begin - done)
                put_span(out, value)
                done = stop
                begin = NULL
            if p[0] != 44:
                depth -= 1
        p += 1
    if out.n:
        put(out, done, end - done)
    return 0


def splice_model(bytes body not None, bytes model not None):
    """Twin of wire.splice.splice_model."""
    return splice_member(body, b"model", b'"' + model + b'"')


def splice_member(bytes body not None, bytes key not None, bytes raw_json not None):
    """Twin of wire.splice.splice_member."""
    cdef Buf out
    cdef Span whole = span_of(body)
    memset(&out, 0, sizeof(Buf))
    try:
        replace(whole.p, whole.p + whole.n, span_of(key), span_of(raw_json), &out)
        return PyBytes_FromStringAndSize(out.p, out.n) if out.n else body
    finally:
        release(&out)
