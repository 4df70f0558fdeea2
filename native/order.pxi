# The outgoing automaton: what every encoder does about order. Twin of dialects/order.py, where the rules are explained.
#
# Held events are records in one buffer: an event number, a key, and two spans with their lengths before them.

cdef enum:
    NOTHING = 0
    TEXT = 1
    REFUSAL = 2
    THINKING = 3
    CALL = 4

cdef enum:
    HELD_TEXT
    HELD_REFUSAL
    HELD_THINKING
    HELD_SEAL
    HELD_REDACTED
    HELD_TOOL
    HELD_ARGS
    HELD_PRIVATE

cdef enum:
    MAX_LOSSES = 64
    RECORD = 16


# -- balance ------------------------------------------------------------------------------------------------------------

cdef struct Balance:
    # Whether the JSON object or array that arrives in escaped pieces is complete.
    long long depth
    bint quoted
    bint escaped
    bint complete


cdef inline Py_ssize_t unit_length(const char* p, const char* end) noexcept nogil:
    if p[0] != 92 or end - p < 2:
        return 1
    return 2 if p[1] != 117 else (6 if end - p >= 6 else end - p)


cdef inline int meaning(const char* p, Py_ssize_t n) noexcept nogil:
    # The character of the escape or byte at p, as far as it can matter: 0 for one that cannot.
    if n == 1:
        return p[0]
    if n == 2:
        return p[1] if p[1] == 34 or p[1] == 92 else 0
    return hex_value(p[4]) * 16 + hex_value(p[5]) if n == 6 and p[2] == 48 and p[3] == 48 else 0


cdef void weigh(Balance* b, Span s) noexcept nogil:
    cdef const char* p = s.p
    cdef const char* end = s.p + s.n
    cdef Py_ssize_t n
    cdef int sign
    while p < end and not b.complete:
        n = unit_length(p, end)
        sign = meaning(p, n)
        p += n
        if b.escaped:
            b.escaped = False
        elif sign == 34:
            b.quoted = not b.quoted
        elif b.quoted:
            b.escaped = sign == 92
        elif sign == 123 or sign == 91:
            b.depth += 1
        elif (sign == 125 or sign == 93) and b.depth:
            b.depth -= 1
            b.complete = not b.depth


cdef bint is_blank(Span s) noexcept nogil:
    # White space, escaped or not.
    cdef Py_ssize_t i = 0
    while i < s.n:
        if s.p[i] == 32:
            i += 1
        elif s.p[i] == 92 and i + 1 < s.n and (s.p[i + 1] == 110 or s.p[i + 1] == 114 or s.p[i + 1] == 116):
            i += 2
        else:
            return False
    return True


# -- the automaton ------------------------------------------------------------------------------------------------------

cdef class Ordered(Sink):
    cdef Buf out
    cdef Buf waiting
    cdef Py_ssize_t waiting_size
    cdef int opened
    cdef long long key
    cdef int place  # of the open call in keys
    cdef Balance balance
    cdef long long[MAX_CALLS] keys
    cdef int calls
    cdef Counts counted
    cdef bint interleaves
    cdef bint draining
    cdef bint flushing
    cdef readonly bint started
    cdef readonly bint ended
    cdef readonly object failure
    cdef readonly object stop_reason
    cdef readonly list losses
    cdef readonly list remembered
    cdef Buf memory_text  # of the block that is open, where it is to be remembered
    cdef list memory  # since the last call: (text, signature, redacted)
    cdef bint remembers
    cdef object options

    def __cinit__(self):
        self.counted = unknown_counts()
        self.losses = []
        self.remembered = []
        self.memory = []

    def __dealloc__(self):
        release(&self.out)
        release(&self.memory_text)
        release(&self.waiting)

    def take(self):
        """What was written since the last call."""
        return self.taken()

    cdef bytes taken(self):
        cdef bytes out
        if not self.out.n:
            return b""
        out = PyBytes_FromStringAndSize(self.out.p, self.out.n)
        trim(&self.out, 262144)
        return out

    @property
    def counts(self):
        return usage_of(self.counted)

    # -- the Sink in Python ---------------------------------------------------------------------------------------------

    def start(self, bytes ident not None, bytes model not None):
        self.on_start(span_of(ident), span_of(model))

    def text(self, bytes s not None):
        self.on_text(span_of(s))

    def refusal(self, bytes s not None):
        self.on_refusal(span_of(s))

    def thinking(self, bytes s not None):
        self.on_thinking(span_of(s))

    def seal(self, bytes signature not None):
        self.on_seal(span_of(signature))

    def redacted(self, bytes data not None):
        self.on_redacted(span_of(data))

    def tool(self, long long key, bytes ident not None, bytes name not None):
        self.on_tool(key, span_of(ident), span_of(name))

    def args(self, long long key, bytes s not None):
        self.on_args(key, span_of(s))

    def private(self, bytes name not None, bytes raw not None):
        self.on_private(span_of(name), span_of(raw))

    def usage(self, counts):
        cdef Counts c = counts_of(counts)
        self.on_usage(&c)

    def stop(self, str reason not None, bytes sequence):
        self.on_stop(reason, sequence)

    def fail(self, failure):
        self.on_fail(failure)

    def end(self):
        self.on_end()

    # -- the Sink -------------------------------------------------------------------------------------------------------

    cdef int on_text(self, Span s) except -1:
        if self.waits():
            return self.hold(HELD_TEXT, 0, s, nothing())
        if s.n:
            return self.say(TEXT, s)
        if self.opened == TEXT:
            self.shut()
        return 0

    cdef int on_refusal(self, Span s) except -1:
        if self.waits():
            return self.hold(HELD_REFUSAL, 0, s, nothing())
        return self.say(REFUSAL, s) if s.n else 0

    cdef int on_thinking(self, Span s) except -1:
        if self.waits():
            return self.hold(HELD_THINKING, 0, s, nothing())
        if not s.n:
            return 0
        self.say(THINKING, s)
        if self.remembers:
            put_span(&self.memory_text, s)
        return 0

    cdef int on_seal(self, Span signature) except -1:
        if self.waits():
            return self.hold(HELD_SEAL, 0, signature, nothing())
        if signature.n and self.turn_to(THINKING):
            self.write_seal(signature)
        if self.remembers:
            if signature.n:
                self.memory.append((to_bytes(held(&self.memory_text)), to_bytes(signature), False))
            self.memory_text.n = 0
        if self.opened == THINKING:
            self.shut()
        return 0

    cdef int on_redacted(self, Span data) except -1:
        if self.waits():
            return self.hold(HELD_REDACTED, 0, data, nothing())
        if self.turn_to(NOTHING):
            if self.remembers:
                self.memory.append((b"", to_bytes(data), True))
            self.write_redacted(data)
        return 0

    cdef int on_tool(self, long long key, Span ident, Span name) except -1:
        cdef int place
        cdef bytes made
        cdef bytes original  # the options hold it as long as it is read
        if self.waits():
            return self.hold(HELD_TOOL, key, ident, name)
        if self.calls >= MAX_CALLS:
            return self.on_fail(shared("dialects.repair").TOO_MANY_CALLS)
        if self.turn_to(NOTHING):
            place = self.calls
            self.keys[place] = key
            self.calls += 1
            if not self.interleaves:
                self.opened = CALL
                self.key = key
                self.place = place
                memset(&self.balance, 0, sizeof(Balance))
            made = None
            if not ident.n:
                made = shared("dialects.order").call_id(self.options.ident, place)
                ident = span_of(made)
            if self.memory:
                self.remembered += [Remembered(to_bytes(ident), *one) for one in self.memory]
                self.memory.clear()
            original = None
            if self.options.names:
                original = self.options.names.get(to_bytes(name))
            self.write_call(place, ident, name if original is None else span_of(original))
        return 0

    cdef int on_args(self, long long key, Span s) except -1:
        cdef int place
        if not s.n or self.ended:
            return 0
        if self.opened == CALL and key == self.key:
            self.write_args(self.place, s)
            weigh(&self.balance, s)
            if self.balance.complete and self.waiting.n and not self.draining:
                self.drain()
            return 0
        place = self.find(key)
        if place < 0:
            if self.waits():
                return self.hold(HELD_ARGS, key, s, nothing())
            return self.on_fail(shared("dialects.order").UNKNOWN_CALL)
        if self.interleaves:
            return self.write_args(place, s)
        if not is_blank(s):
            self.on_fail(shared("dialects.order").LATE_ARGUMENTS)
        return 0

    cdef int on_private(self, Span name, Span raw) except -1:
        if self.waits():
            return self.hold(HELD_PRIVATE, 0, name, raw)
        if not self.ended and not self.carry(name, raw):
            self.lose(name)
        return 0

    cdef int on_usage(self, Counts* counts) except -1:
        self.counted = counts[0]
        return 0

    cdef int on_stop(self, str reason, bytes sequence) except -1:
        if self.stop_reason is not None or self.ended:
            return 0
        self.flushing = True
        self.drain()
        if self.turn_to(NOTHING):
            self.stop_reason = reason
            self.write_stop(reason, sequence)
        return 0

    cdef int on_fail(self, object failure) except -1:
        if not self.ended:
            self.failure = failure
            self.ended = True
            self.opened = NOTHING
            self.write_failure(failure)
        return 0

    cdef int on_end(self) except -1:
        self.on_stop("tool_use" if self.calls else "end_turn", None)
        if not self.ended:
            self.shut()  # a damaged upstream may go on after its stop
            self.ended = True
            if self.losses and self.options.announce:
                self.write_losses()
            self.write_end()
        return 0

    # -- order ----------------------------------------------------------------------------------------------------------

    cdef int find(self, long long key) noexcept:
        cdef int i = self.calls - 1
        while i >= 0 and self.keys[i] != key:
            i -= 1
        return i

    cdef inline int say(self, int kind, Span s) except -1:
        if self.opened == kind or self.turn_to(kind):
            self.write_piece(kind, s)
        return 0

    cdef bint turn_to(self, int kind) except -1:
        if self.ended:
            return False
        if not self.started:
            self.started = True
            self.remembers = self.options.remember
            self.write_start()
        if self.opened != kind:
            self.shut()
            if kind != NOTHING:
                self.opened = kind
                self.write_open(kind)
        return True

    cdef int shut(self) except -1:
        cdef int kind = self.opened
        if kind != NOTHING:
            self.opened = NOTHING
            self.write_close(kind)
        return 0

    cdef inline bint waits(self) noexcept:
        return self.waiting.n != 0 or self.blocked()

    cdef inline bint blocked(self) noexcept:
        return self.opened == CALL and (self.flushing or not self.balance.complete)

    cdef int hold(self, int event, long long key, Span a, Span b) except -1:
        if self.ended:
            return 0
        self.waiting_size += RECORD + a.n + b.n
        if self.waiting_size > HELD_MAX:
            return self.on_fail(shared("dialects.repair").HELD_TOO_MUCH)
        put(&self.waiting, <const char*>&event, sizeof(int))
        put(&self.waiting, <const char*>&key, sizeof(long long))
        put(&self.waiting, <const char*>&a.n, sizeof(Py_ssize_t))
        put_span(&self.waiting, a)
        put(&self.waiting, <const char*>&b.n, sizeof(Py_ssize_t))
        put_span(&self.waiting, b)
        return 0

    cdef int drain(self) except -1:
        cdef Buf records
        self.draining = True
        try:
            while self.waiting.n and not self.ended:
                if self.flushing:
                    self.shut()
                elif self.blocked():
                    break
                records = self.waiting
                memset(&self.waiting, 0, sizeof(Buf))
                self.waiting_size = 0
                try:
                    self.again(held(&records))
                finally:
                    release(&records)
        finally:
            self.draining = False
        return 0

    cdef int again(self, Span records) except -1:
        # Runs held events through the methods that held them.
        cdef const char* p = records.p
        cdef const char* end = records.p + records.n
        cdef int event
        cdef long long key
        cdef Span a, b
        while p < end:
            memcpy(&event, p, sizeof(int))
            p += sizeof(int)
            memcpy(&key, p, sizeof(long long))
            p += sizeof(long long)
            p = unpacked(p, &a)
            p = unpacked(p, &b)
            if event == HELD_TEXT:
                self.on_text(a)
            elif event == HELD_REFUSAL:
                self.on_refusal(a)
            elif event == HELD_THINKING:
                self.on_thinking(a)
            elif event == HELD_SEAL:
                self.on_seal(a)
            elif event == HELD_REDACTED:
                self.on_redacted(a)
            elif event == HELD_TOOL:
                self.on_tool(key, a, b)
            elif event == HELD_ARGS:
                self.on_args(key, a)
            else:
                self.on_private(a, b)
        return 0

    cdef int lose(self, Span name) except -1:
        cdef str known = to_bytes(name).decode("utf-8", "replace")
        if known not in self.losses and len(self.losses) < MAX_LOSSES:
            self.losses.append(known)
        return 0

    # -- what a dialect writes ------------------------------------------------------------------------------------------

    cdef int write_start(self) except -1:
        return 0

    cdef int write_open(self, int kind) except -1:
        return 0

    cdef int write_piece(self, int kind, Span s) except -1:
        return 0

    cdef int write_seal(self, Span signature) except -1:
        return 0

    cdef int write_close(self, int kind) except -1:
        return 0

    cdef int write_redacted(self, Span data) except -1:
        return 0

    cdef int write_call(self, int count, Span ident, Span name) except -1:
        return 0

    cdef int write_args(self, int count, Span s) except -1:
        return 0

    cdef bint carry(self, Span name, Span raw) except -1:
        return False

    cdef int write_stop(self, str reason, bytes sequence) except -1:
        return 0

    cdef int write_end(self) except -1:
        return 0

    cdef int write_failure(self, object failure) except -1:
        return 0

    cdef int write_losses(self) except -1:
        cdef bytes said = shared("dialects.order").loss_comment(self.losses)
        return put_span(&self.out, span_of(said))


cdef inline const char* unpacked(const char* p, Span* s) noexcept nogil:
    memcpy(&s.n, p, sizeof(Py_ssize_t))
    s.p = p + sizeof(Py_ssize_t)
    return s.p + s.n
