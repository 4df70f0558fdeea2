# A strict JSON scanner over bytes that somebody else owns (RFC 8259). Builds nothing, unescapes nothing but keys.
#
# What it accepts is exactly what msgspec accepts plus two things that msgspec does not look at in strings that it skips: UTF-8 is
# checked, and nesting is bounded. So a frame that one twin reads the other reads too. tests/test_twins.py compares the two verdicts
# over mutated frames.
#
# Strings are most of a frame. They are walked eight bytes at a time: one subtraction per question finds whether any of the
# eight is a quote, a backslash, a control character or not ASCII, all of which show in the byte's highest bit. A borrow can mark a byte
# above a marked one, never below, so the lowest mark is always right (https://graphics.stanford.edu/~seander/bithacks.html, ZeroInWord).

cdef extern from *:
    """
    #if defined(_MSC_VER) && defined(_M_X64)
    #include <intrin.h>
    static __inline int anyllm_first(unsigned long long mask) { unsigned long i; _BitScanForward64(&i, mask); return (int)(i >> 3); }
    #elif (defined(__GNUC__) || defined(__clang__)) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    #define anyllm_first(mask) (__builtin_ctzll(mask) >> 3)
    #else
    #define anyllm_first(mask) 0
    #endif
    """
    int anyllm_first(uint64_t mask) noexcept nogil


cdef inline bint is_white(char c) noexcept nogil:
    return c == 32 or c == 10 or c == 13 or c == 9


cdef inline const char* white(const char* p, const char* end) noexcept nogil:
    while p < end and is_white(p[0]):
        p += 1
    return p


cdef inline bint is_digit(char c) noexcept nogil:
    return 48 <= c <= 57


cdef int hex_value(char c) noexcept nogil:
    if 48 <= c <= 57:
        return c - 48
    if 97 <= (c | 32) <= 102:
        return (c | 32) - 87
    return -1


cdef int unit(const char* p, const char* end) noexcept nogil:
    # The UTF-16 unit of the escape \uXXXX at p, -1 if it is none.
    cdef int value = 0, digit, i
    if end - p < 6 or p[0] != 92 or p[1] != 117:
        return -1
    for i in range(2, 6):
        digit = hex_value(p[i])
        if digit < 0:
            return -1
        value = value * 16 + digit
    return value


cdef const char* skip_escape(const char* p, const char* end) noexcept nogil:
    # Past the escape at p; NULL if it is none, or half of a surrogate pair.
    cdef int first, second
    if end - p < 2:
        return NULL
    if p[1] != 117:
        return p + 2 if memchr(b'"\\/bfnrt', p[1], 8) != NULL else NULL
    first = unit(p, end)
    if first < 0 or 0xDC00 <= first <= 0xDFFF:
        return NULL
    if first < 0xD800 or first > 0xDFFF:
        return p + 6
    second = unit(p + 6, end)
    return p + 12 if 0xDC00 <= second <= 0xDFFF else NULL


cdef inline bint follows(const char* p, const char* end, int low, int high) noexcept nogil:
    return p < end and low <= <unsigned char>p[0] <= high


cdef const char* skip_utf8(const char* p, const char* end) noexcept nogil:
    # Past the character at p that is not ASCII; NULL if it is not UTF-8 (Unicode, table 3-7).
    cdef unsigned char first = <unsigned char>p[0]
    cdef int low = 0x80, high = 0xBF, more
    if first < 0xC2 or first > 0xF4:
        return NULL
    if first < 0xE0:
        more = 1
    elif first < 0xF0:
        more = 2
        if first == 0xE0:
            low = 0xA0
        elif first == 0xED:
            high = 0x9F
    else:
        more = 3
        if first == 0xF0:
            low = 0x90
        elif first == 0xF4:
            high = 0x8F
    if not follows(p + 1, end, low, high):
        return NULL
    if more > 1 and not follows(p + 2, end, 0x80, 0xBF):
        return NULL
    if more > 2 and not follows(p + 3, end, 0x80, 0xBF):
        return NULL
    return p + 1 + more


cdef const char* skip_string(const char* p, const char* end) noexcept nogil:
    # p is past the opening quote; the result past the closing one, NULL if there is none or the string is not sound.
    cdef uint64_t word, mask
    cdef unsigned char c
    while p < end:
        if end - p >= 8:
            memcpy(&word, p, 8)
            mask = (
                (word - <uint64_t>0x2020202020202020)
                | ((word ^ <uint64_t>0x2222222222222222) - <uint64_t>0x0101010101010101)
                | ((word ^ <uint64_t>0x5C5C5C5C5C5C5C5C) - <uint64_t>0x0101010101010101)
                | word
            ) & <uint64_t>0x8080808080808080
            if not mask:
                p += 8
                continue
            p += anyllm_first(mask)
        c = <unsigned char>p[0]
        if c == 34:
            return p + 1
        if c == 92:
            p = skip_escape(p, end)
        elif c >= 128:
            p = skip_utf8(p, end)
        elif c >= 32:
            p += 1
        else:
            return NULL
        if p == NULL:
            return NULL
    return NULL


cdef const char* skip_digits(const char* p, const char* end) noexcept nogil:
    if p == end or not is_digit(p[0]):
        return NULL
    while p < end and is_digit(p[0]):
        p += 1
    return p


cdef const char* skip_number(const char* p, const char* end) noexcept nogil:
    if p[0] == 45:
        p += 1
    if p < end and p[0] == 48:
        p += 1
        if p < end and is_digit(p[0]):
            return NULL
    else:
        p = skip_digits(p, end)
    if p != NULL and p < end and p[0] == 46:
        p = skip_digits(p + 1, end)
    if p != NULL and p < end and (p[0] | 32) == 101:
        p += 1
        if p < end and (p[0] == 43 or p[0] == 45):
            p += 1
        p = skip_digits(p, end)
    return p


cdef inline const char* skip_word(const char* p, const char* end, const char* word) noexcept nogil:
    return p + strlen(word) if begins(span(p, end - p), word) else NULL


cdef const char* skip_value(const char* p, const char* end, int depth) noexcept nogil:
    # Past the value at p, which lies in `depth` objects and arrays. NULL if it is not sound or lies too deep.
    if p == end:
        return NULL
    if p[0] == 34:
        return skip_string(p + 1, end)
    if p[0] == 123:
        return skip_object(p + 1, end, depth + 1)
    if p[0] == 91:
        return skip_array(p + 1, end, depth + 1)
    if p[0] == 110:
        return skip_word(p, end, b"null")
    if p[0] == 116:
        return skip_word(p, end, b"true")
    if p[0] == 102:
        return skip_word(p, end, b"false")
    if p[0] == 45 or is_digit(p[0]):
        return skip_number(p, end)
    return NULL


cdef const char* skip_object(const char* p, const char* end, int depth) noexcept nogil:
    cdef Span key
    cdef bint first = True
    if depth > MAX_DEPTH:
        return NULL
    while True:
        p = next_key(p, end, &key, first)
        if p == NULL or key.p == NULL:
            return p
        p = skip_value(p, end, depth)
        if p == NULL:
            return NULL
        first = False


cdef const char* skip_array(const char* p, const char* end, int depth) noexcept nogil:
    cdef Span item
    cdef bint first = True
    if depth > MAX_DEPTH:
        return NULL
    while True:
        p = next_item(p, end, &item, first, depth)
        if p == NULL or item.p == NULL:
            return p
        first = False


cdef const char* next_key(const char* p, const char* end, Span* key, bint first) noexcept nogil:
    # From behind `{` or a value to the next value, its key in `key`; past `}` with key.p NULL; NULL if it is neither.
    p = white(p, end)
    if p == end:
        return NULL
    if p[0] == 125:
        key.p = NULL
        return p + 1
    if not first:
        if p[0] != 44:
            return NULL
        p = white(p + 1, end)
    if p == end or p[0] != 34:
        return NULL
    key.p = p + 1
    p = skip_string(p + 1, end)
    if p == NULL:
        return NULL
    key.n = p - 1 - key.p
    p = white(p, end)
    if p == end or p[0] != 58:
        return NULL
    return white(p + 1, end)


cdef const char* next_place(const char* p, const char* end, bint first) noexcept nogil:
    # From behind `[` or an item to the next one; past `]`; NULL if it is neither. An item never follows a `]` at once.
    p = white(p, end)
    if p == end:
        return NULL
    if p[0] == 93:
        return p + 1
    if not first:
        if p[0] != 44:
            return NULL
        p = white(p + 1, end)
    return p if p < end else NULL


cdef const char* next_item(const char* p, const char* end, Span* item, bint first, int depth) noexcept nogil:
    # From behind `[` or an item past the next one, which is in `item`; past `]` with item.p NULL; NULL if it is neither.
    item.p = NULL
    p = next_place(p, end, first)
    if p == NULL or (p - 1)[0] == 93:
        return p
    item.p = p
    p = skip_value(p, end, depth)
    if p != NULL:
        item.n = p - item.p
    return p


# -- members ------------------------------------------------------------------------------------------------------------

cdef struct Name:
    const char* p
    Py_ssize_t n


cdef list _kept_names = []  # the tables point into them


cdef int fill(Name* table, tuple names) except -1:
    cdef int i
    cdef bytes name
    _kept_names.append(names)
    for i, name in enumerate(names):
        table[i].p = PyBytes_AS_STRING(name)
        table[i].n = PyBytes_GET_SIZE(name)
    return 0


cdef Span plain_key(Span key, char* room, Py_ssize_t size) noexcept nogil:
    # A key without its escapes, in `room` if it has any. Only ASCII is worth it: no name that is asked for has anything else.
    cdef const char* p = key.p
    cdef const char* end = key.p + key.n
    cdef Py_ssize_t n = 0
    cdef int value
    if key.n == 0 or memchr(key.p, 92, <size_t>key.n) == NULL:
        return key
    while p < end:
        if n == size:
            return key
        if p[0] != 92:
            room[n] = p[0]
            p += 1
        elif p[1] == 117:
            value = unit(p, end)
            if value < 0 or value > 127:
                return key
            room[n] = <char>value
            p += 6
        elif p[1] == 34 or p[1] == 92 or p[1] == 47:
            room[n] = p[1]
            p += 2
        else:
            return key
        n += 1
    return span(room, n)


cdef int place_of(Span key, const Name* names, int count) noexcept nogil:
    # Which of the names a key is, -1 if none.
    cdef char[32] room
    cdef Span plain
    cdef int i
    for i in range(count):
        if names[i].n == key.n and names[i].p[0] == key.p[0] and memcmp(names[i].p, key.p, <size_t>key.n) == 0:
            return i
    plain = plain_key(key, room, 32)
    return place_of(plain, names, count) if plain.p != key.p else -1


cdef const char* members(const char* p, const char* end, int depth, const Name* names, int count, Span* out) noexcept nogil:
    # Walks the object whose `{` is behind p; out[i] becomes the raw value of names[i] (the last one given), NULL if it has none.
    cdef Span key
    cdef const char* value
    cdef bint first = True
    cdef int i
    memset(out, 0, <size_t>count * sizeof(Span))
    if depth > MAX_DEPTH:
        return NULL
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


cdef inline bint is_object(Span raw) noexcept nogil:
    return raw.n > 0 and raw.p[0] == 123


cdef inline bint is_array(Span raw) noexcept nogil:
    return raw.n > 0 and raw.p[0] == 91


cdef inline bint read_members(Span raw, const Name* names, int count, Span* out) noexcept nogil:
    # The members of a sound value; False if it is no object.
    if not is_object(raw):
        memset(out, 0, <size_t>count * sizeof(Span))
        return False
    return members(raw.p + 1, raw.p + raw.n, 1, names, count, out) != NULL


cdef bint next_object(Span array, Span* item) noexcept nogil:
    # The next object of a sound array; `item` is the one before, or NULL at the start. What is no object is passed over.
    cdef const char* end = array.p + array.n
    cdef const char* p
    cdef bint first = item.p == NULL
    if not is_array(array):
        return False
    p = array.p + 1 if first else item.p + item.n
    while True:
        p = next_item(p, end, item, first, 1)
        if p == NULL or item.p == NULL:
            return False
        if item.p[0] == 123:
            return True
        first = False


cdef inline Span string(Span raw) noexcept nogil:
    # The inside of a JSON string; n is 0 for anything else.
    if raw.n >= 2 and raw.p[0] == 34:
        return span(raw.p + 1, raw.n - 2)
    return nothing()


cdef long long number(Span raw) noexcept nogil:
    # A count; -1 for anything else (absent, negative, a fraction, or of more than 15 digits).
    cdef long long value = 0
    cdef Py_ssize_t i
    if raw.n == 0 or raw.n > 15:
        return -1
    for i in range(raw.n):
        if not is_digit(raw.p[i]):
            return -1
        value = value * 10 + (raw.p[i] - 48)
    return value


cdef inline Span stripped(Span s) noexcept nogil:
    cdef const char* end = s.p + s.n
    cdef const char* p = white(s.p, end)
    while end > p and is_white((end - 1)[0]):
        end -= 1
    return span(p, end - p)


def is_sound(bytes data not None):
    """Whether the scanner takes `data` for one JSON value. For the test that compares it with msgspec."""
    cdef Span s = stripped(span_of(data))
    return skip_value(s.p, s.p + s.n, 0) == s.p + s.n
