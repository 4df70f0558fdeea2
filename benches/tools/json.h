/* json: looks into a JSON text without building anything; included by load.c only. A value is a span of the text.
 * Only what document() has found valid may be looked into; p == NULL means absent (or not valid, from document()). */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct span { const char *p, *end; };

static const char *blank(const char *p, const char *end) {
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) p++;
    return p;
}

/* Of the next eight bytes: how many stand before the first quote, backslash or control character (8: none is there).
 * The tricks "hasless" and "haszero"; a borrow can only spoil bytes above the first hit. Little-endian. */
static int plain_of_8(const char *p) {
    const uint64_t ones = ~(uint64_t)0 / 255, highs = ones * 128;
    uint64_t w, quote, slash, hits;
    memcpy(&w, p, 8);
    quote = w ^ ones * '"', slash = w ^ ones * '\\';
    hits = (((w - ones * 0x20) & ~w) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) & highs;
    return hits ? __builtin_ctzll(hits) / 8 : 8;
}

static const char *skip_string(const char *p, const char *end) { /* p at the quote; after the closing one, or NULL */
    for (p++; p < end; p++) {
        for (int plain = 8; plain == 8 && end - p > 8;) p += plain = plain_of_8(p);
        if (*p == '"') return p + 1;
        if ((unsigned char)*p < 0x20) return NULL;
        if (*p == '\\') p++;
    }
    return NULL;
}

static const char *skip_value(const char *p, const char *end, int depth) {
    if (p >= end || depth > 64) return NULL;
    if (*p == '"') return skip_string(p, end);
    if (*p != '{' && *p != '[') {
        const char *from = p;
        while (p < end && ((*p >= '0' && *p <= '9') || *p == '-' || *p == '.' || *p == '+' || *p == 'e' || *p == 'E')) p++;
        if (p > from) return p;
        if (end - p >= 4 && (!memcmp(p, "true", 4) || !memcmp(p, "null", 4))) return p + 4;
        return end - p >= 5 && !memcmp(p, "false", 5) ? p + 5 : NULL;
    }
    bool object = *p == '{';
    char close = object ? '}' : ']';
    p = blank(p + 1, end);
    if (p < end && *p == close) return p + 1;
    while (p && p < end) {
        if (object) {
            if (*p != '"' || !(p = skip_string(p, end)) || (p = blank(p, end)) >= end || *p != ':') return NULL;
            p = blank(p + 1, end);
        }
        if (!(p = skip_value(p, end, depth + 1)) || (p = blank(p, end)) >= end) return NULL;
        if (*p == close) return p + 1;
        if (*p != ',') return NULL;
        p = blank(p + 1, end);
    }
    return NULL;
}

static struct span document(const char *p, const char *end) {
    p = blank(p, end);
    const char *after = skip_value(p, end, 0);
    return after && blank(after, end) == end ? (struct span){p, after} : (struct span){0};
}

static struct span member(struct span v, const char *key) {
    if (!v.p || *v.p != '{') return (struct span){0};
    size_t len = strlen(key);
    for (const char *p = blank(v.p + 1, v.end); *p == '"';) {
        const char *name = p + 1, *quote = skip_string(p, v.end) - 1, *colon = blank(quote + 1, v.end);
        const char *value = blank(colon + 1, v.end), *after = skip_value(value, v.end, 0);
        if ((size_t)(quote - name) == len && !memcmp(name, key, len)) return (struct span){value, after};
        p = blank(after, v.end);
        if (*p == ',') p = blank(p + 1, v.end);
    }
    return (struct span){0};
}

static struct span first(struct span v) {
    if (!v.p || *v.p != '[') return (struct span){0};
    const char *p = blank(v.p + 1, v.end);
    return *p == ']' ? (struct span){0} : (struct span){p, skip_value(p, v.end, 0)};
}

static struct span text_of(struct span v) { return v.p && *v.p == '"' ? (struct span){v.p + 1, v.end - 1} : (struct span){0}; }

static bool says(struct span v, const char *text) {
    struct span t = text_of(v);
    return t.p && (size_t)(t.end - t.p) == strlen(text) && !memcmp(t.p, text, strlen(text));
}

static long long number_of(struct span v) { return v.p ? strtoll(v.p, NULL, 10) : -1; }
