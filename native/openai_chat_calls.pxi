# Tool calls of a Chat Completions stream while they arrive. Twin of dialects/openai_chat_calls.py. Decodes no JSON.

cdef enum:
    NO_INDEX = -1
    LEGACY = -2


cdef struct Slot:
    # A tool call while it arrives. Begun for the sink as soon as it can be named.
    long long index
    long long key
    bint begun
    bint custom  # of a free-form tool
    bint fed
    Buf ident
    Buf name
    Buf args  # what came before it could begin


cdef class Calls:
    cdef Slot* slots
    cdef int count
    cdef int cap
    cdef int begun
    cdef int waiting  # calls that were seen and not begun
    cdef Py_ssize_t kept
    cdef Buf seed
    cdef Buf scratch

    def __dealloc__(self):
        cdef int i
        for i in range(self.count):
            release(&self.slots[i].ident)
            release(&self.slots[i].name)
            release(&self.slots[i].args)
        PyMem_Free(self.slots)
        release(&self.seed)
        release(&self.scratch)

    cdef Slot* find(self, long long index, Span ident, Span name, Span args) noexcept:
        # The call that a delta goes on with; NULL if it begins another.
        cdef int i = self.count - 1
        cdef Slot* slot
        if index == NO_INDEX:
            if not ident.n:
                return &self.slots[i] if self.count and not name.n else NULL
            while i >= 0 and not equal(held(&self.slots[i].ident), ident):
                i -= 1
            return &self.slots[i] if i >= 0 else NULL
        while i >= 0 and self.slots[i].index != index:
            i -= 1
        if i < 0:
            return NULL
        slot = &self.slots[i]
        if not name.n:
            return slot
        if ident.n:
            return NULL if slot.ident.n and not equal(held(&slot.ident), ident) else slot
        return NULL if slot.fed and args.n and not slot.ident.n else slot

    cdef Slot* add(self, long long index) except NULL:
        # There must be fewer than MAX_CALLS.
        cdef Slot* slot
        cdef Slot* more
        cdef int cap
        if self.count == self.cap:
            cap = self.cap * 2 if self.cap else 4
            more = <Slot*>PyMem_Realloc(self.slots, <size_t>cap * sizeof(Slot))
            if more == NULL:
                raise MemoryError
            self.slots = more
            self.cap = cap
        slot = &self.slots[self.count]
        memset(slot, 0, sizeof(Slot))
        slot.index = index
        slot.key = -1
        self.count += 1
        self.waiting += 1
        return slot

    cdef bint feed(self, Slot* slot, Span ident, Span name, Span args, Sink sink) except -1:
        # False if too much would have to be kept.
        if slot.custom:
            self.deeper(&args)
        if not slot.begun:
            if not slot.ident.n:
                put_span(&slot.ident, ident)
            if not slot.name.n:
                put_span(&slot.name, name)
            if not (slot.name.n and (slot.ident.n or args.n)):
                self.kept += args.n
                if self.kept > HELD_MAX:
                    return False
                put_span(&slot.args, args)
                return True
            self.begin(slot, sink)
        if args.n:
            slot.fed = True
            sink.on_args(slot.key, args)
        return True

    cdef int begin_named(self, Sink sink) except -1:
        # Something else comes: what has a name waits no longer for its id.
        cdef int i
        for i in range(self.count):
            if self.slots[i].name.n and not self.slots[i].begun:
                self.begin(&self.slots[i], sink)
        return 0

    cdef int begin_rest(self, Sink sink) except -1:
        # The reply stops: what has no name goes out without one.
        cdef int i
        for i in range(self.count):
            if not self.slots[i].begun and (self.slots[i].ident.n or self.slots[i].args.n):
                self.begin(&self.slots[i], sink)
            if self.slots[i].begun and self.slots[i].custom:
                sink.on_args(self.slots[i].key, text(b'\\"}'))
        return 0

    cdef int deeper(self, Span* s) except -1:
        # Escapes a span once more; the result is good until the next one. Twin of neutral.custom_tools.deeper.
        cdef Py_ssize_t i
        self.scratch.n = 0
        for i in range(s.n):
            if s.p[i] == 92 or s.p[i] == 34:
                put_text(&self.scratch, b"\\")
            put(&self.scratch, s.p + i, 1)
        s[0] = held(&self.scratch)
        return 0

    cdef bint repeated(self, Slot* slot) noexcept:
        # Results are paired by id, so two calls may not share one.
        cdef int i
        for i in range(self.count):
            if self.slots[i].begun and &self.slots[i] != slot and equal(held(&self.slots[i].ident), held(&slot.ident)):
                return True
        return False

    cdef int begin(self, Slot* slot, Sink sink) except -1:
        cdef bytes ident
        slot.begun = True
        slot.key = self.begun
        self.begun += 1
        self.waiting -= 1
        if not slot.ident.n or self.repeated(slot):
            ident = shared("dialects.openai_chat_ends").synthetic(to_bytes(held(&self.seed)), slot.key)
            sink.on_tool(slot.key, span_of(ident), held(&slot.name))
        else:
            sink.on_tool(slot.key, held(&slot.ident), held(&slot.name))
        if slot.custom:
            sink.on_args(slot.key, text(b'{\\"input\\":\\"'))
        if slot.args.n:
            slot.fed = True
            sink.on_args(slot.key, held(&slot.args))
            release(&slot.args)
        return 0
