/* load: the closed-loop generator of the server bench. It checks every byte that comes back and never retries.
 *
 * C connections each send a request, check the answer, send the next. Each request carries its own number and a marker (see
 * mock.c) that says what the upstream is to answer. Here is known, then, what must come back: status 200, the shape of the
 * dialect, each delta once and in order with this request's number, one stop reason, the terminator, nothing after it.
 * Anything else is an error, and one error spoils a lane. Usage is counted beside: a wrong count is told, not an error.
 *
 * Prints `measure` when warm-up is over, `end` when the window closes (the runner reads the CPU of the system there), then one
 * line of JSON. Answers still open at `end` are checked too, but not counted. Times in microseconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "json.h"

enum { READ_STEP = 64 << 10, MAX_ANSWER = 64 << 20, MAX_ERRORS = 100, SHOWN_ERRORS = 5, NUMBER_DIGITS = 10, MARK_LEN = 39 };
enum part { HEAD, SIZED, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER, COMPLETE };

struct buffer { char *p; size_t len, cap; };
struct samples { uint64_t *v; size_t len, cap; };

struct conn {
    int fd;                                           /* -1: not open */
    struct buffer request, raw, body;
    size_t number_at, sent, raw_at, body_at, scan_at; /* raw_at, body_at: consumed; scan_at: searched for a frame's end */
    uint64_t number, t_send, t_read;
    enum part part;
    uint64_t left;                                    /* bytes to come of the body or of the chunk */
    bool busy, close_after;
    int seq, starts, finishes, blocks, ends;          /* what of the answer has been seen; seq: the next delta */
    bool block_open;
    long long tokens;
};

static struct {
    const char *host, *path, *body_file, *model, *fault, *headers[16];
    int port, connections, requests, deltas, gap_ms, reply, stagger_ms, header_count;
    double seconds, warmup, timeout;
    bool stream, messages;
} opt = {.host = "127.0.0.1", .path = "/v1/chat/completions", .model = "bench-model", .fault = "none", .connections = 16,
         .deltas = 20, .reply = 600, .seconds = 2, .timeout = 30};

static struct { uint64_t sent, checked, good, errors, usage_ok, deltas, reconnects; } count;
static struct samples latency, ttft, added;
static char shown[SHOWN_ERRORS][400];
static bool measuring, stopping;
static int poller;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what) { fprintf(stderr, "load: %s\n", what); exit(2); }

static void reserve(struct buffer *b, size_t more) {
    if (b->len + more <= b->cap) return;
    b->p = realloc(b->p, b->cap = (b->len + more) * 2);
    if (!b->p) die("out of memory");
}

static void append(struct buffer *b, const char *p, size_t len) {
    reserve(b, len);
    memcpy(b->p + b->len, p, len);
    b->len += len;
}

static void sample(struct samples *s, uint64_t v) {
    if (s->len == s->cap) s->v = realloc(s->v, sizeof *s->v * (s->cap = s->cap ? s->cap * 2 : 65536));
    if (!s->v) die("out of memory");
    s->v[s->len++] = v;
}

/* ---- checking an answer. False: wrong, already counted ---- */

__attribute__((format(printf, 3, 4))) static bool fail(struct conn *c, struct span seen, const char *format, ...) {
    if (count.errors++ >= SHOWN_ERRORS) return false;
    char *line = shown[count.errors - 1];
    int len = snprintf(line, 160, "request %llu: ", (unsigned long long)c->number);
    va_list args;
    va_start(args, format);
    len += vsnprintf(line + len, 200 - (size_t)len, format, args);
    va_end(args);
    if (len > 199) len = 199;
    if (seen.p) snprintf(line + len, 400 - (size_t)len, " in: %.*s", (int)(seen.end - seen.p < 180 ? seen.end - seen.p : 180), seen.p);
    return false;
}

#define WRONG(...) return fail(c, seen, __VA_ARGS__)
#define NOWHERE ((struct span){0})

/* Every #number:seq:ns# in a piece of text: ours, and the next one due. */
static bool check_marks(struct conn *c, struct span seen, struct span text) {
    for (const char *p = text.p; p && (p = memchr(p, '#', (size_t)(text.end - p))); p += MARK_LEN) {
        if (text.end - p < MARK_LEN || p[11] != ':' || p[17] != ':' || p[38] != '#') WRONG("a broken mark");
        unsigned long long n = strtoull(p + 1, NULL, 10), seq = strtoull(p + 12, NULL, 10), at = strtoull(p + 18, NULL, 10);
        if (n != c->number) WRONG("a delta of request %llu", n);
        if (seq != (unsigned long long)c->seq) WRONG("delta %llu where %d was due", seq, c->seq);
        if (c->finishes) WRONG("a delta after the stop reason");
        if (c->seq++ == 0 && measuring) sample(&ttft, c->t_read - c->t_send);
        if (!measuring) continue;
        count.deltas++;
        sample(&added, c->t_read > at ? c->t_read - at : 0);
    }
    return true;
}

static bool check_chat_frame(struct conn *c, struct span data) {
    struct span seen = data;
    if (c->ends) WRONG("a frame after [DONE]");
    if (data.end - data.p == 6 && !memcmp(data.p, "[DONE]", 6)) { c->ends++; return true; }
    struct span v = document(data.p, data.end), choice = first(member(v, "choices")), delta = member(choice, "delta");
    if (!v.p) WRONG("not JSON");
    if (!says(member(v, "object"), "chat.completion.chunk") || !member(v, "choices").p) WRONG("not a chunk");
    if (choice.p && !delta.p) WRONG("a choice without delta");
    if (!check_marks(c, seen, text_of(member(delta, "content")))) return false;
    struct span reason = member(choice, "finish_reason"), usage = member(v, "usage");
    if (text_of(reason).p && (c->finishes++ || !says(reason, "stop"))) WRONG("a second or wrong finish_reason");
    if (usage.p && *usage.p == '{') c->tokens = number_of(member(usage, "completion_tokens"));
    return true;
}

static bool check_messages_frame(struct conn *c, struct span event, struct span data) {
    struct span seen = data, v = document(data.p, data.end), type = text_of(member(v, "type"));
    if (!type.p) WRONG("not an event");
    if (!event.p || event.end - event.p != type.end - type.p || memcmp(event.p, type.p, (size_t)(type.end - type.p))) WRONG("event and type differ");
    struct span t = member(v, "type");
    if (says(t, "ping")) return true;
    if (says(t, "message_start") != !c->starts || c->ends) WRONG("an event before message_start or after message_stop, or a second start");
    if (says(t, "message_start")) { c->starts++; if (!member(v, "message").p) WRONG("no message"); return true; }
    long long index = number_of(member(v, "index"));
    if (says(t, "content_block_start")) {
        if (c->block_open || index != c->blocks++ || c->finishes) WRONG("a block out of order");
        c->block_open = true;
    } else if (says(t, "content_block_delta")) {
        if (!c->block_open || index != c->blocks - 1) WRONG("a delta outside its block");
        return check_marks(c, seen, text_of(member(member(v, "delta"), "text")));
    } else if (says(t, "content_block_stop")) {
        if (!c->block_open || index != c->blocks - 1) WRONG("a stop outside its block");
        c->block_open = false;
    } else if (says(t, "message_delta")) {
        if (c->block_open || c->finishes++ || !says(member(member(v, "delta"), "stop_reason"), "end_turn")) WRONG("a second or wrong stop_reason");
        c->tokens = number_of(member(member(v, "usage"), "output_tokens"));
    } else if (says(t, "message_stop")) {
        if (!c->finishes || c->ends++) WRONG("message_stop out of order");
    } else WRONG("an unknown event");
    return true;
}

/* One SSE frame: its event name, its one data line, comments. */
static bool check_frame(struct conn *c, const char *p, const char *end) {
    struct span event = NOWHERE, data = NOWHERE, seen = {p, end};
    while (p < end) {
        const char *eol = memchr(p, '\n', (size_t)(end - p)), *stop = eol ? eol : end;
        if (stop > p && stop[-1] == '\r') stop--;
        if (stop - p > 5 && !memcmp(p, "data:", 5)) {
            if (data.p) WRONG("two data lines");
            data = (struct span){p + 5 + (p[5] == ' '), stop};
        } else if (stop - p > 6 && !memcmp(p, "event:", 6)) event = (struct span){p + 6 + (p[6] == ' '), stop};
        else if (stop > p && *p != ':') WRONG("an unknown line");
        p = eol ? eol + 1 : end;
    }
    if (!data.p) return event.p ? fail(c, seen, "an event without data") : true;
    return opt.messages ? check_messages_frame(c, event, data) : check_chat_frame(c, data);
}

static bool check_frames(struct conn *c) {
    struct buffer *b = &c->body;
    for (char *p; (p = memchr(b->p + c->scan_at, '\n', b->len - c->scan_at));) {
        size_t next = (size_t)(p - b->p) + 1, blank_at = next + (next < b->len && b->p[next] == '\r');
        if (blank_at >= b->len) break; /* may be the end of the frame: the next byte tells */
        c->scan_at = next;
        if (b->p[blank_at] != '\n') continue;
        if (!check_frame(c, b->p + c->body_at, p)) return false;
        c->body_at = c->scan_at = blank_at + 1;
    }
    if (c->body_at == b->len) c->body_at = c->scan_at = b->len = 0;
    return true;
}

static bool check_whole(struct conn *c) {
    struct span seen = {c->body.p, c->body.p + c->body.len}, v = document(seen.p, seen.end), choice = first(member(v, "choices"));
    if (!v.p) WRONG("not JSON");
    struct span content = opt.messages ? member(first(member(v, "content")), "text") : member(member(choice, "message"), "content");
    bool shape = opt.messages ? says(member(v, "type"), "message") && says(member(v, "stop_reason"), "end_turn")
                              : says(member(v, "object"), "chat.completion") && says(member(choice, "finish_reason"), "stop");
    if (!shape || !text_of(content).p) WRONG("not the shape of an answer");
    int length = (int)(content.end - content.p - 2);
    if (length != opt.reply) WRONG("%d bytes of text, not %d", length, opt.reply);
    if (!check_marks(c, seen, text_of(content))) return false;
    if (c->seq != 1) WRONG("no mark in the text");
    c->tokens = number_of(member(member(v, "usage"), opt.messages ? "output_tokens" : "completion_tokens"));
    return true;
}

static bool check_end(struct conn *c) {
    struct span seen = {c->body.p + c->body_at, c->body.p + c->body.len};
    if (!opt.stream) return check_whole(c);
    if (c->body_at < c->body.len) WRONG("the stream ends inside a frame");
    seen = NOWHERE;
    if (c->seq != opt.deltas) WRONG("%d deltas of %d", c->seq, opt.deltas);
    if (!c->finishes) WRONG("no stop reason");
    if (!c->ends) WRONG("no terminator");
    return true;
}

/* ---- one connection ---- */

static void hang_up(struct conn *c) {
    close(c->fd);
    c->fd = -1;
    count.reconnects++;
}

static void dial(struct conn *c) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port)};
    inet_pton(AF_INET, opt.host, &to.sin_addr);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("no socket (ulimit -n?)");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) die("cannot connect");
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &(struct epoll_event){.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c});
}

static bool push(struct conn *c) { /* what is unsent of the request */
    while (c->sent < c->request.len) {
        ssize_t n = write(c->fd, c->request.p + c->sent, c->request.len - c->sent);
        if (n < 0 && (errno == EAGAIN || errno == ENOTCONN)) return true;
        if (n < 0) return fail(c, NOWHERE, "write: %s", strerror(errno));
        c->sent += (size_t)n;
    }
    return true;
}

static void begin(struct conn *c) {
    if (stopping || (opt.requests && count.sent >= (uint64_t)opt.requests)) return;
    char digits[NUMBER_DIGITS + 1];
    c->number = ++count.sent;
    snprintf(digits, sizeof digits, "%0*llu", NUMBER_DIGITS, (unsigned long long)c->number);
    memcpy(c->request.p + c->number_at, digits, NUMBER_DIGITS);
    c->raw.len = c->body.len = c->raw_at = c->body_at = c->scan_at = c->sent = 0;
    c->seq = c->starts = c->finishes = c->blocks = c->ends = 0;
    c->block_open = c->close_after = false;
    c->part = HEAD;
    c->tokens = -1;
    c->busy = true;
    if (c->fd < 0) dial(c);
    c->t_send = now_ns();
    push(c);
}

static void finish(struct conn *c, bool good) {
    c->busy = false;
    count.checked++;
    if (!good || c->close_after) hang_up(c);
    if (good && measuring) {
        count.good++;
        count.usage_ok += c->tokens == opt.deltas;
        sample(&latency, c->t_read - c->t_send);
    }
    if (count.errors >= MAX_ERRORS) stopping = true;
    begin(c);
}

static bool read_head(struct conn *c, const char *head, const char *end) {
    struct span seen = {head, end};
    bool framed = false;
    if (end - head < 12 || memcmp(head, "HTTP/1.1 200", 12)) {
        seen.end = c->raw.p + c->raw.len;
        WRONG("status %.3s", end - head < 12 ? "?" : head + 9);
    }
    c->part = SIZED;
    for (const char *p = memchr(head, '\n', (size_t)(end - head)); p && ++p < end; p = memchr(p, '\n', (size_t)(end - p))) {
        if (!strncasecmp(p, "content-length:", 15)) { c->left = strtoull(p + 15, NULL, 10); framed = true; }
        if (!strncasecmp(p, "transfer-encoding: chunked", 26)) { c->part = CHUNK_SIZE; framed = true; }
        if (!strncasecmp(p, "connection: close", 17)) c->close_after = true;
        if (!strncasecmp(p, "content-type:", 13) && !!memmem(p, (size_t)(end - p), "text/event-stream", 17) != opt.stream) WRONG("the wrong content-type");
    }
    if (!framed) WRONG("neither content-length nor chunked");
    if (c->part == SIZED && !c->left) c->part = COMPLETE;
    return true;
}

/* Moves what is whole of `raw` on. False: an error; otherwise c->part tells whether the answer is complete. */
static bool consume(struct conn *c) {
    for (;;) {
        char *p = c->raw.p + c->raw_at;
        size_t have = c->raw.len - c->raw_at;
        if (c->part == COMPLETE) return have ? fail(c, (struct span){p, p + have}, "bytes after the answer") : true;
        if (c->part == SIZED || c->part == CHUNK_DATA) {
            size_t take = have < c->left ? have : c->left;
            if (!take) return true;
            if (c->body.len + take > MAX_ANSWER) return fail(c, NOWHERE, "too large");
            append(&c->body, p, take);
            c->raw_at += take;
            if (opt.stream && !check_frames(c)) return false;
            if (!(c->left -= take)) c->part = c->part == SIZED ? COMPLETE : CHUNK_END;
            continue;
        }
        bool head = c->part == HEAD;
        char *eol = have ? memmem(p, have, head ? "\r\n\r\n" : "\r\n", head ? 4 : 2) : NULL;
        if (!eol) return have < 65536 ? true : fail(c, NOWHERE, "an endless line");
        c->raw_at += (size_t)(eol - p) + (head ? 4 : 2);
        if (head && !read_head(c, p, eol)) return false;
        if (c->part == CHUNK_END) {
            if (eol != p) return fail(c, (struct span){p, eol}, "a chunk longer than it said");
            c->part = CHUNK_SIZE;
        } else if (c->part == CHUNK_SIZE && !head) {
            c->left = strtoull(p, NULL, 16);
            c->part = c->left ? CHUNK_DATA : TRAILER;
        } else if (c->part == TRAILER && eol == p) c->part = COMPLETE;
    }
}

static void on_event(struct conn *c, uint32_t events) {
    if (c->fd < 0) return;
    if ((events & EPOLLOUT) && c->busy && !push(c)) { finish(c, false); return; }
    if (!(events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))) return;
    for (;;) { /* edge-triggered: until the socket is empty */
        reserve(&c->raw, READ_STEP);
        size_t room = c->raw.cap - c->raw.len;
        ssize_t n = read(c->fd, c->raw.p + c->raw.len, room);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (!c->busy) { if (n > 0) fail(c, NOWHERE, "bytes without a request"); hang_up(c); return; }
        if (n <= 0) {
            fail(c, NOWHERE, "connection %s after %d deltas", n ? strerror(errno) : "closed", c->seq);
            finish(c, false);
            return;
        }
        c->t_read = now_ns();
        c->raw.len += (size_t)n;
        if (!consume(c)) { finish(c, false); return; }
        if (c->raw_at == c->raw.len) c->raw_at = c->raw.len = 0;
        if (c->part == COMPLETE) { finish(c, check_end(c)); if (c->fd < 0) return; }
        if ((size_t)n < room && !(events & EPOLLRDHUP)) return; /* a short read: empty, an edge will tell of more */
    }
}

/* ---- the request ---- */

static char *body_text(void) {
    if (opt.body_file) {
        FILE *f = fopen(opt.body_file, "rb");
        if (!f) die("cannot read the body file");
        struct buffer b = {0};
        for (size_t n = 1; n;) { reserve(&b, READ_STEP); b.len += n = fread(b.p + b.len, 1, READ_STEP, f); }
        fclose(f);
        append(&b, "", 1);
        return b.p;
    }
    char *text = NULL, filler[721];
    for (size_t i = 0; i < sizeof filler - 1; i++) filler[i] = "the quick brown fox jumps over the lazy dog. "[i % 45];
    filler[sizeof filler - 1] = 0;
    const char *stream = !opt.stream ? "" : opt.messages ? ",\"stream\":true" : ",\"stream\":true,\"stream_options\":{\"include_usage\":true}";
    const char *system = opt.messages ? "\"system\":\"You are a helpful assistant.\",\"messages\":[" : "\"messages\":[{\"role\":\"system\",\"content\":\"You are a helpful assistant.\"},";
    if (asprintf(&text, "{\"model\":\"%s\",\"max_tokens\":1024,\"temperature\":0.7%s,%s{\"role\":\"user\",\"content\":\"[bench] %s\"}]}", opt.model, stream, system, filler) < 0) die("out of memory");
    return text;
}

/* The whole request, with the marker in the place of `[bench]`; number_at is where the number's digits stand. */
static struct buffer request_bytes(size_t *number_at) {
    char marker[200], head[4096];
    char *text = body_text(), *place = strstr(text, "[bench]");
    if (!place) die("no [bench] in the body");
    int marked = snprintf(marker, sizeof marker, "[bench n=%0*d deltas=%d gap_ms=%d reply=%d fault=%s]", NUMBER_DIGITS, 0, opt.deltas, opt.gap_ms, opt.reply, opt.fault);
    size_t length = strlen(text) - 7 + (size_t)marked;
    int n = snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nhost: %s:%d\r\ncontent-type: application/json\r\naccept: */*\r\nuser-agent: anyllm-bench/1\r\n", opt.path, opt.host, opt.port);
    for (int i = 0; i < opt.header_count && n < 3500; i++) n += snprintf(head + n, sizeof head - (size_t)n, "%s\r\n", opt.headers[i]);
    if (n > 3900) die("headers too long");
    n += snprintf(head + n, sizeof head - (size_t)n, "content-length: %zu\r\n\r\n", length);
    struct buffer b = {0};
    append(&b, head, (size_t)n);
    append(&b, text, (size_t)(place - text));
    *number_at = b.len + 9; /* after "[bench n=" */
    append(&b, marker, (size_t)marked);
    append(&b, place + 7, strlen(place + 7));
    free(text);
    return b;
}

/* ---- the run ---- */

static int ascending(const void *a, const void *b) { uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b; return (x > y) - (x < y); }

static double at_rank(struct samples *s, double q) { return s->len ? (double)s->v[(size_t)(q * (double)(s->len - 1))] / 1e3 : 0; }

static double own_cpu(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void report(double seconds, double cpu) {
    struct samples *all[] = {&latency, &ttft, &added};
    for (int i = 0; i < 3; i++) if (all[i]->len) qsort(all[i]->v, all[i]->len, sizeof(uint64_t), ascending);
    printf("{\"requests\":%llu,\"errors\":%llu,\"sent\":%llu,\"checked\":%llu,\"seconds\":%.4f,\"cpu_s\":%.4f,\"deltas\":%llu,\"usage_ok\":%llu,\"reconnects\":%llu,"
           "\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"ttft_p50_us\":%.1f,\"ttft_p99_us\":%.1f,\"added_p50_us\":%.1f,\"added_p99_us\":%.1f,\"shown_errors\":[",
           (unsigned long long)count.good, (unsigned long long)count.errors, (unsigned long long)count.sent, (unsigned long long)count.checked, seconds, cpu,
           (unsigned long long)count.deltas, (unsigned long long)count.usage_ok, (unsigned long long)count.reconnects, at_rank(&latency, .5), at_rank(&latency, .99),
           at_rank(&latency, .999), at_rank(&ttft, .5), at_rank(&ttft, .99), at_rank(&added, .5), at_rank(&added, .99));
    for (uint64_t i = 0; i < count.errors && i < SHOWN_ERRORS; i++) {
        printf("%s\"", i ? "," : "");
        for (const char *p = shown[i]; *p; p++) {
            if (*p == '"' || *p == '\\') putchar('\\');
            putchar((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e ? ' ' : *p);
        }
        putchar('"');
    }
    printf("]}\n");
}

static void say(const char *word) { printf("%s\n", word); fflush(stdout); }

/* Starts the connections that are due: all at once, or spread over stagger_ms. Returns how many are started now. */
static int start_due(struct conn *conns, int started, uint64_t age) {
    uint64_t spread = (uint64_t)opt.stagger_ms * 1000000u;
    while (started < opt.connections && age >= (uint64_t)started * spread / (uint64_t)opt.connections) begin(&conns[started++]);
    return started;
}

/* Ends what waits too long. Returns how many answers are open. */
static int sweep(struct conn *conns, int started, uint64_t now) {
    int open = 0;
    for (struct conn *c = conns; c < conns + started; c++) {
        if (c->busy && now > c->t_send + (uint64_t)(opt.timeout * 1e9)) {
            fail(c, NOWHERE, "no end after %.0f s, %d deltas", opt.timeout, c->seq);
            finish(c, false);
        }
        open += c->busy;
    }
    return open;
}

static struct conn *new_conns(void) {
    struct conn *conns = calloc((size_t)opt.connections, sizeof *conns);
    size_t number_at;
    struct buffer request = request_bytes(&number_at);
    for (struct conn *c = conns; c < conns + opt.connections; c++) {
        c->fd = -1;
        c->number_at = number_at;
        append(&c->request, request.p, request.len);
    }
    free(request.p);
    return conns;
}

static void run(void) {
    struct conn *conns = new_conns();
    uint64_t t0 = now_ns(), from = t0 + (uint64_t)(opt.warmup * 1e9), until = from + (uint64_t)(opt.seconds * 1e9), swept = 0;
    double cpu = 0, seconds = 0;
    bool ended = false;
    for (int started = 0, open = 1; !ended || open;) {
        uint64_t now = now_ns();
        if (!measuring && !ended && (now >= from || stopping)) { measuring = true; from = now; cpu = own_cpu(); say("measure"); }
        started = start_due(conns, started, now - t0);
        if (now - swept > 20000000u) { swept = now; open = sweep(conns, started, now); }
        stopping |= opt.requests ? count.checked >= (uint64_t)opt.requests : now >= until;
        if (stopping && !ended) {
            ended = true, measuring = false, seconds = (double)(now - from) / 1e9, cpu = own_cpu() - cpu;
            say("end");
            open = sweep(conns, started, now);
        }
        struct epoll_event ready[128];
        int n = epoll_wait(poller, ready, 128, started < opt.connections ? 1 : 10);
        for (int i = 0; i < n; i++) on_event(ready[i].data.ptr, ready[i].events);
    }
    report(seconds, cpu);
}

static void read_options(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
#define IS(option) (!strcmp(name, option))
        if (IS("--stream")) { opt.stream = true; continue; }
        if (IS("--messages")) { opt.messages = true; continue; }
        i++;
        if (IS("--host")) opt.host = value;
        else if (IS("--port")) opt.port = atoi(value);
        else if (IS("--path")) opt.path = value;
        else if (IS("--body")) opt.body_file = value;
        else if (IS("--model")) opt.model = value;
        else if (IS("--fault")) opt.fault = value;
        else if (IS("--header") && opt.header_count < 16) opt.headers[opt.header_count++] = value;
        else if (IS("--connections")) opt.connections = atoi(value);
        else if (IS("--requests")) opt.requests = atoi(value);
        else if (IS("--deltas")) opt.deltas = atoi(value);
        else if (IS("--gap-ms")) opt.gap_ms = atoi(value);
        else if (IS("--reply")) opt.reply = atoi(value);
        else if (IS("--stagger-ms")) opt.stagger_ms = atoi(value);
        else if (IS("--seconds")) opt.seconds = atof(value);
        else if (IS("--warmup")) opt.warmup = atof(value);
        else if (IS("--timeout")) opt.timeout = atof(value);
        else { fprintf(stderr, "load: unknown option %s\n", name); exit(2); }
    }
    if (!opt.port || opt.connections < 1) die("--port and --connections are needed");
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    poller = epoll_create1(EPOLL_CLOEXEC);
    run();
    return count.errors || (opt.requests && count.checked < (uint64_t)opt.requests) ? 1 : 0;
}
