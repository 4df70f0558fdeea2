# Frames that differ from an earlier one in a single string, which most do: in a piece of content, reasoning or arguments.
#
# Such a frame is remembered as the bytes before that string and behind it. A frame with the same bytes around a sound string means the
# same with the new string in it, and need not be parsed: JSON has no context that could make it otherwise. OpenAI pads chunks with a
# random string (`obfuscation`), so one more string, behind the first, may differ if nothing depends on it.

cdef struct Likeness:
    Buf before
    Buf behind
    Py_ssize_t padding  # where in `behind` the padding's value begins; -1 if there is none
    bint known


cdef void forget(Likeness* like) noexcept:
    release(&like.before)
    release(&like.behind)
    like.known = False


cdef bint is_like(Likeness* like, Span data, Span* piece) noexcept nogil:
    # Whether `data` is like what was learned; `piece` is its string.
    cdef const char* end = data.p + data.n
    cdef const char* p
    cdef const char* q
    if not like.known or data.n <= like.before.n or memcmp(data.p, like.before.p, <size_t>like.before.n):
        return False
    p = data.p + like.before.n
    q = skip_string(p, end)
    if q == NULL:
        return False
    piece[0] = span(p, q - 1 - p)
    if like.padding < 0:
        return equal(span(q, end - q), held(&like.behind))
    if end - q <= like.padding or memcmp(q, like.behind.p, <size_t>like.padding):
        return False
    q = skip_string(q + like.padding, end)
    return q != NULL and equal(span(q, end - q), span(like.behind.p + like.padding, like.behind.n - like.padding))


cdef int learn(Likeness* like, Span data, Span piece, Span padding) except -1:
    # `piece` and `padding` are insides of strings in `data`; there may be no padding.
    cdef const char* end = data.p + data.n
    cdef const char* behind = piece.p + piece.n + 1
    like.known = False
    like.before.n = like.behind.n = 0
    like.padding = -1
    put(&like.before, data.p, piece.p - data.p)
    if padding.n and padding.p > behind:
        put(&like.behind, behind, padding.p - behind)
        like.padding = like.behind.n
        behind = padding.p + padding.n + 1
    put(&like.behind, behind, end - behind)
    like.known = True
    return 0
