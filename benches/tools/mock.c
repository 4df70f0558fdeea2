/* mock: the upstream of the server bench. It answers what the request's own marker asks for and judges nothing.
 *
 * POST .../chat/completions and .../messages; the path decides the dialect, "stream":true in the body the form. Somewhere in
 * the body stands a marker, usually in the user's message, because that text survives every translation:
 *     [bench n=0000000042 deltas=100 gap_ms=20 reply=600 fault=drop:17]
 * n is the request's own number and comes back in every delta, so an answer that went to the wrong client shows. Each delta
 * carries #n:seq:ns# where ns is CLOCK_MONOTONIC at its write. gap_ms=0 is a burst: one write per delta, as fast as the
 * socket takes them. Otherwise one delta each gap_ms after a random phase. A fault spoils the answer on purpose (see FAULTS):
 * the load generator has to notice. GET /stats tells what was seen, so that a cache or a retry in between shows too.
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
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { MAX_REQUEST = 64 << 20, READ_STEP = 256 << 10, MAX_REPLY = 16 << 20 };

/* FAULTS, `fault=kind:at`. In a stream `at` is a delta's number; in a whole reply only foreign, garble, cut, short and status count. */
enum fault {
    NONE, DROP /* delta left out */, DUP /* sent twice */, SWAP /* sent after its successor */, CUT /* connection closed there */,
    GARBLE /* not JSON */, FOREIGN /* another request's number */, NOEND /* no [DONE] or message_stop */,
    NOFINISH /* no finish_reason or message_delta */, USAGE /* a wrong count */, SHORT /* reply one byte short */, STATUS /* at = code */,
    FAULTS
};
static const char *FAULT_NAMES[FAULTS] = {"none", "drop", "dup", "swap", "cut", "garble", "foreign", "noend", "nofinish", "usage", "short", "status"};

struct script {
    uint64_t n;
    int deltas, gap_ms, reply, fault_at;
    enum fault fault;
    bool stream, messages, want_usage;
};

struct conn {
    int fd;
    bool streaming, closing, wait_out;
    char *in, *out;
    size_t in_len, in_cap, out_len, out_off, out_cap;
    struct script s;
    int next;          /* the delta to write next; s.deltas: the ending is next */
    uint64_t due;      /* CLOCK_MONOTONIC ns of the next paced write */
    int heap_at;       /* place in the heap of due times, -1 when not there */
};

static int poller, timer;
static struct { uint64_t requests, streams, connections, left, refused; } stats;
static struct conn **heap;
static int heap_len, heap_cap;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *grown(void *p, size_t size) {
    p = realloc(p, size);
    if (!p) { perror("mock: memory"); exit(1); }
    return p;
}

/* ---- paced streams: a binary heap on due times behind one timerfd ---- */

static void heap_set(int at, struct conn *c) { heap[at] = c; c->heap_at = at; }

static void heap_sift(int at) {
    struct conn *c = heap[at];
    while (at > 0 && heap[(at - 1) / 2]->due > c->due) { heap_set(at, heap[(at - 1) / 2]); at = (at - 1) / 2; }
    for (;;) {
        int kid = 2 * at + 1;
        if (kid + 1 < heap_len && heap[kid + 1]->due < heap[kid]->due) kid++;
        if (kid >= heap_len || heap[kid]->due >= c->due) break;
        heap_set(at, heap[kid]);
        at = kid;
    }
    heap_set(at, c);
}

static void heap_add(struct conn *c) {
    if (heap_len == heap_cap) heap = grown(heap, sizeof *heap * (size_t)(heap_cap = heap_cap ? heap_cap * 2 : 256));
    heap[heap_len] = c;
    heap_sift(heap_len++);
}

static void heap_remove(struct conn *c) {
    int at = c->heap_at;
    c->heap_at = -1;
    if (at < 0 || at == --heap_len) return;
    heap_set(at, heap[heap_len]);
    heap_sift(at);
}

static void arm_timer(void) {
    static uint64_t armed;
    uint64_t due = heap_len ? heap[0]->due : 0;
    if (due == armed) return;
    armed = due;
    struct itimerspec t = {.it_value = {(time_t)(due / 1000000000u), (long)(due % 1000000000u)}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &t, NULL);
}

/* ---- output ---- */

static void put(struct conn *c, const char *bytes, size_t len) {
    if (c->out_len + len > c->out_cap) c->out = grown(c->out, c->out_cap = (c->out_len + len) * 2);
    memcpy(c->out + c->out_len, bytes, len);
    c->out_len += len;
}

__attribute__((format(printf, 2, 3))) static void putf(struct conn *c, const char *format, ...) {
    char text[2048];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put(c, text, (size_t)len);
}

static void watch(struct conn *c, bool out) {
    if (out == c->wait_out) return;
    c->wait_out = out;
    struct epoll_event ev = {.events = EPOLLIN | (out ? (uint32_t)EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &ev);
}

/* Writes what is pending. False: the socket is full or broken, the poller says when to go on. */
static bool flush(struct conn *c) {
    while (c->out_off < c->out_len) {
        ssize_t n = write(c->fd, c->out + c->out_off, c->out_len - c->out_off);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno != EAGAIN) c->closing = true;
        if (n < 0) { watch(c, errno == EAGAIN); return false; }
        c->out_off += (size_t)n;
    }
    c->out_len = c->out_off = 0;
    watch(c, false);
    return true;
}

/* Puts one HTTP chunk around what stands in `out` from `from` on. */
static void chunk(struct conn *c, size_t from) {
    char size[16];
    size_t body = c->out_len - from, head = (size_t)snprintf(size, sizeof size, "%zx\r\n", body);
    put(c, size, head);
    memmove(c->out + from + head, c->out + from, body);
    memcpy(c->out + from, size, head);
    put(c, "\r\n", 2);
}

/* ---- the two dialects ---- */

#define CHAT_CHUNK "data: {\"id\":\"chatcmpl-%010llu\",\"object\":\"chat.completion.chunk\",\"created\":1750000000,\"model\":\"mock-1\"," \
                   "\"system_fingerprint\":\"fp_mock\",\"choices\":["

static void put_opening(struct conn *c) {
    const struct script *s = &c->s;
    if (s->messages)
        putf(c, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_%010llu\",\"type\":\"message\",\"role\":\"assistant\","
                "\"model\":\"mock-1\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n"
                "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
             (unsigned long long)s->n);
    else
        putf(c, CHAT_CHUNK "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n", (unsigned long long)s->n);
}

static void put_delta(struct conn *c, int seq) {
    const struct script *s = &c->s;
    bool here = seq == s->fault_at;
    unsigned long long n = s->n + (here && s->fault == FOREIGN), at = now_ns();
    const char *tail = here && s->fault == GARBLE ? "" : "}";
    size_t from = c->out_len;
    if (s->messages)
        putf(c, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
                "\"text\":\"#%010llu:%05d:%020llu# the quick brown fox jumps over the lazy dog and then it rests for a while\"}%s\n\n", n, seq, at, tail);
    else
        putf(c, CHAT_CHUNK "{\"index\":0,\"delta\":{\"content\":\"#%010llu:%05d:%020llu# word\"},\"logprobs\":null,\"finish_reason\":null}]%s\n\n",
             (unsigned long long)s->n, n, seq, at, tail);
    chunk(c, from);
}

static void put_ending(struct conn *c) {
    const struct script *s = &c->s;
    unsigned long long n = s->n;
    int tokens = s->deltas + (s->fault == USAGE);
    size_t from = c->out_len;
    if (s->messages) {
        putf(c, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n");
        if (s->fault != NOFINISH)
            putf(c, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},"
                    "\"usage\":{\"output_tokens\":%d}}\n\n", tokens);
        if (s->fault != NOEND) putf(c, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    } else {
        if (s->fault != NOFINISH) putf(c, CHAT_CHUNK "{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\n", n);
        if (s->want_usage)
            putf(c, CHAT_CHUNK "],\"usage\":{\"prompt_tokens\":25,\"completion_tokens\":%d,\"total_tokens\":%d}}\n\n", n, tokens, tokens + 25);
        if (s->fault != NOEND) putf(c, "data: [DONE]\n\n");
    }
    chunk(c, from);
    put(c, "0\r\n\r\n", 5);
}

static void put_whole(struct conn *c) {
    const struct script *s = &c->s;
    unsigned long long n = s->n + (s->fault == FOREIGN);
    int length = s->reply - (s->fault == SHORT), tokens = s->deltas + (s->fault == USAGE);
    char head[640], tail[320], mark[64];
    int marked = snprintf(mark, sizeof mark, "#%010llu:%05d:%020llu#", n, 0, (unsigned long long)now_ns());
    if (length < marked) length = marked;
    const char *last = s->fault == GARBLE ? "" : "}";
    int h, t;
    if (s->messages) {
        h = snprintf(head, sizeof head, "{\"id\":\"msg_%010llu\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"mock-1\",\"content\":[{\"type\":\"text\",\"text\":\"", n);
        t = snprintf(tail, sizeof tail, "\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":25,\"output_tokens\":%d}%s", tokens, last);
    } else {
        h = snprintf(head, sizeof head, "{\"id\":\"chatcmpl-%010llu\",\"object\":\"chat.completion\",\"created\":1750000000,\"model\":\"mock-1\",\"system_fingerprint\":\"fp_mock\","
                     "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"", n);
        t = snprintf(tail, sizeof tail, "\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
                     "\"usage\":{\"prompt_tokens\":25,\"completion_tokens\":%d,\"total_tokens\":%d}%s", tokens, tokens + 25, last);
    }
    int status = s->fault == STATUS ? s->fault_at : 200;
    putf(c, "HTTP/1.1 %d %s\r\ncontent-type: application/json\r\nrequest-id: req_%010llu\r\ncontent-length: %d\r\n\r\n", status, status == 200 ? "OK" : "Fault", n, h + length + t);
    put(c, head, (size_t)h);
    put(c, mark, (size_t)marked);
    for (int left = length - marked; left > 0;) {
        static const char words[] = " lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod";
        int step = left < (int)sizeof words - 1 ? left : (int)sizeof words - 1;
        put(c, words, (size_t)step);
        left -= step;
    }
    if (s->fault == CUT) { c->closing = true; return; }
    put(c, tail, (size_t)t);
}

/* ---- one connection ---- */

/* One step of a stream into `out`: a delta (or what the fault makes of it), or the ending. */
static void put_step(struct conn *c) {
    const struct script *s = &c->s;
    int seq = c->next++;
    if (seq >= s->deltas) { put_ending(c); c->streaming = false; return; }
    if (s->fault == SWAP && (seq == s->fault_at || seq == s->fault_at + 1)) { put_delta(c, 2 * s->fault_at + 1 - seq); return; }
    if (seq == s->fault_at && s->fault == DROP) return;
    if (seq == s->fault_at && s->fault == CUT) { c->closing = true; return; }
    put_delta(c, seq);
    if (seq == s->fault_at && s->fault == DUP) put_delta(c, seq);
}

/* A burst goes on until the socket is full: each step is its own write, as a provider that flushes each token. */
static void pump_burst(struct conn *c) {
    while (c->streaming && !c->closing) {
        put_step(c);
        if (!flush(c)) return;
    }
}

static void pump_paced(struct conn *c) {
    put_step(c);
    c->due += (uint64_t)c->s.gap_ms * 1000000u;
    if (!c->streaming || c->closing) heap_remove(c); else heap_sift(c->heap_at);
    flush(c);
}

static void start_answer(struct conn *c) {
    stats.requests++;
    if (!c->s.stream || c->s.fault == STATUS) { put_whole(c); flush(c); return; }
    stats.streams++;
    putf(c, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nrequest-id: req_%010llu\r\ntransfer-encoding: chunked\r\n\r\n",
         (unsigned long long)c->s.n);
    size_t from = c->out_len;
    put_opening(c);
    chunk(c, from);
    c->streaming = true;
    c->next = 0;
    bool open = flush(c);
    if (c->s.gap_ms) {
        c->due = now_ns() + (uint64_t)rand() % ((uint64_t)c->s.gap_ms * 1000000u);
        heap_add(c);
    } else if (open)
        pump_burst(c);
}

static void read_script(struct script *s, const char *body, size_t len, bool messages) {
    *s = (struct script){.deltas = 20, .reply = 600, .fault_at = -1, .messages = messages};
    s->stream = memmem(body, len, "\"stream\":true", 13) || memmem(body, len, "\"stream\": true", 14);
    s->want_usage = memmem(body, len, "\"include_usage\":true", 20) || memmem(body, len, "\"include_usage\": true", 21);
    const char *mark = memmem(body, len, "[bench ", 7), *end = mark ? memchr(mark, ']', len - (size_t)(mark - body)) : NULL;
    if (!end || end - mark > 200) return;
    char text[208], *save = NULL;
    snprintf(text, sizeof text, "%.*s", (int)(end - mark - 7), mark + 7);
    for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        char *value = strchr(word, '=');
        if (!value) continue;
        *value++ = 0;
        if (!strcmp(word, "n")) s->n = strtoull(value, NULL, 10);
        if (!strcmp(word, "deltas")) s->deltas = atoi(value);
        if (!strcmp(word, "gap_ms")) s->gap_ms = atoi(value);
        if (!strcmp(word, "reply")) s->reply = atoi(value) < MAX_REPLY ? atoi(value) : MAX_REPLY;
        if (strcmp(word, "fault")) continue;
        char *at = strchr(value, ':');
        if (at) { *at++ = 0; s->fault_at = atoi(at); }
        for (int kind = 0; kind < FAULTS; kind++) if (!strcmp(value, FAULT_NAMES[kind])) s->fault = (enum fault)kind;
    }
}

static void refuse(struct conn *c, int status, const char *why) {
    stats.refused++;
    putf(c, "HTTP/1.1 %d No\r\ncontent-type: application/json\r\ncontent-length: %zu\r\nconnection: close\r\n\r\n{\"error\":{\"message\":\"%s\"}}", status, strlen(why) + 24, why);
    flush(c);
    c->closing = true;
}

static void put_stats(struct conn *c) {
    char text[256];
    int len = snprintf(text, sizeof text, "{\"requests\":%llu,\"streams\":%llu,\"connections\":%llu,\"left\":%llu,\"refused\":%llu}", (unsigned long long)stats.requests,
                       (unsigned long long)stats.streams, (unsigned long long)stats.connections, (unsigned long long)stats.left, (unsigned long long)stats.refused);
    putf(c, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s", len, text);
    flush(c);
}

static bool ends(const char *text, const char *end, const char *tail) {
    size_t len = strlen(tail);
    return (size_t)(end - text) >= len && !memcmp(end - len, tail, len);
}

/* Takes one request out of `in` when it is all there. False: nothing to do until more bytes come. */
static bool take_request(struct conn *c) {
    char *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
    if (!end) return false;
    size_t head = (size_t)(end - c->in) + 4, length = 0;
    char *line = memchr(c->in, '\r', head), *space = memchr(c->in, ' ', (size_t)(line - c->in)), *rest = space ? memchr(space + 1, ' ', (size_t)(line - space - 1)) : NULL;
    if (!rest) { refuse(c, 400, "bad request line"); return false; }
    for (char *name = line + 2; name < end; name = (char *)memmem(name, (size_t)(end + 2 - name), "\r\n", 2) + 2) {
        if (!strncasecmp(name, "content-length:", 15)) length = strtoull(name + 15, NULL, 10);
        if (!strncasecmp(name, "transfer-encoding:", 18)) { refuse(c, 411, "the mock wants a content-length"); return false; }
    }
    if (length > MAX_REQUEST) { refuse(c, 413, "too large"); return false; }
    if (c->in_len < head + length) return false;
    char *query = memchr(space + 1, '?', (size_t)(rest - space - 1)), *path_end = query ? query : rest;
    bool messages = ends(space + 1, path_end, "/messages");
    if (ends(space + 1, path_end, "/stats")) put_stats(c);
    else if (messages || ends(space + 1, path_end, "/chat/completions")) {
        read_script(&c->s, c->in + head, length, messages);
        start_answer(c);
    } else refuse(c, 404, "no such path");
    c->in_len -= head + length;
    memmove(c->in, c->in + head + length, c->in_len);
    return !c->closing;
}

static void close_conn(struct conn *c) {
    if (c->streaming) stats.left++;
    if (c->heap_at >= 0) heap_remove(c);
    close(c->fd);
    free(c->in);
    free(c->out);
    free(c);
}

static void on_readable(struct conn *c) {
    if (c->in_cap - c->in_len < READ_STEP / 4) c->in = grown(c->in, c->in_cap = c->in_cap ? c->in_cap * 2 : READ_STEP / 4);
    ssize_t n = read(c->fd, c->in + c->in_len, c->in_cap - c->in_len);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) { c->closing = true; return; }
    c->in_len += (size_t)n;
}

static void on_event(struct conn *c, uint32_t events) {
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_readable(c);
    if (!c->closing && (events & EPOLLOUT) && flush(c) && c->streaming && !c->s.gap_ms) pump_burst(c);
    while (!c->closing && !c->streaming && c->out_len == 0 && c->in_len && take_request(c)) {}
    if (c->closing) close_conn(c);
}

static void on_timer(void) {
    uint64_t fired;
    if (read(timer, &fired, sizeof fired) < 0) return;
    uint64_t now = now_ns();
    while (heap_len && heap[0]->due <= now) {
        struct conn *c = heap[0];
        pump_paced(c);
        if (c->closing) close_conn(c);
    }
}

static void accept_all(int listener) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        struct conn *c = grown(NULL, sizeof *c);
        *c = (struct conn){.fd = fd, .heap_at = -1};
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &ev);
        stats.connections++;
    }
}

static int listen_on(const char *host, int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, host, &at.sin_addr);
    socklen_t len = sizeof at;
    if (bind(fd, (struct sockaddr *)&at, len) || listen(fd, 4096)) { perror("mock: listen"); exit(1); }
    getsockname(fd, (struct sockaddr *)&at, &len);
    printf("ready %d\n", ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv) {
    if (argc != 3) { fprintf(stderr, "usage: mock HOST PORT   (port 0: any free one; prints `ready PORT`)\n"); return 2; }
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    poller = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    int listener = listen_on(argv[1], atoi(argv[2]));
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.ptr = &listener});
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &(struct epoll_event){.events = EPOLLIN, .data.ptr = &timer});
    for (;;) {
        struct epoll_event ready[256];
        arm_timer();
        int count = epoll_wait(poller, ready, 256, -1);
        bool timed = false;
        for (int i = 0; i < count; i++) {
            if (ready[i].data.ptr == &listener) accept_all(listener);
            else if (ready[i].data.ptr == &timer) timed = true;
            else on_event(ready[i].data.ptr, ready[i].events);
        }
        if (timed) on_timer(); /* last: it may close a connection that is also in `ready` */
    }
}
