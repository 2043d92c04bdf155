// Requests as the stub reads them: where one ends, its path, and numbers anywhere in its body.
// No defences: the stub trusts the benchmark that it belongs to.
#pragma once
#include "common.h"

typedef struct {
    const char *path, *body;
    size_t head_len, body_len;
} request;

static inline const char *header(const char *head, size_t len, const char *name) {
    size_t n = strlen(name);
    for (const char *line = head, *end; (end = memmem(line, head + len - line, "\r\n", 2)); line = end + 2)
        if ((size_t)(end - line) > n && !strncasecmp(line, name, n)) return line + n;
    return 0;
}

// length of a chunked body with its framing; 0: not all of it has come
static inline size_t chunked_length(const char *p, size_t n) {
    for (size_t at = 0;;) {
        const char *line_end = memmem(p + at, n - at, "\r\n", 2);
        if (!line_end) return 0;
        size_t size = strtoul(p + at, 0, 16), next = line_end + 2 - p + size + 2;
        if (next > n) return 0;
        if (!size) return next;  // trailers are not expected
        at = next;
    }
}

// 1: a whole request lies at the start of the buffer; 0: not yet
static inline int whole_request(const buffer *in, request *r) {
    const char *p = in->data + in->start;
    size_t n = in->end - in->start;
    const char *blank = n ? memmem(p, n, "\r\n\r\n", 4) : 0;
    if (!blank) return 0;
    r->head_len = blank + 4 - p;
    r->body = p + r->head_len;
    const char *space = memchr(p, ' ', r->head_len);
    r->path = space ? space + 1 : p;
    const char *length = header(p, r->head_len - 2, "content-length:");
    if (header(p, r->head_len - 2, "transfer-encoding:")) {
        r->body_len = chunked_length(r->body, n - r->head_len);
        return r->body_len > 0;
    }
    r->body_len = length ? strtoul(length, 0, 10) : 0;
    return n >= r->head_len + r->body_len;
}

static inline long param(const request *r, const char *name, long missing) {
    const char *p = memmem(r->body, r->body_len, name, strlen(name)), *end = r->body + r->body_len;
    if (!p) return missing;
    for (p += strlen(name); p < end && (*p == '"' || *p == ':' || *p == ' ');) p++;
    return p < end && *p >= '0' && *p <= '9' ? strtol(p, 0, 10) : missing;
}

static inline int is(const request *r, const char *path) {
    size_t n = strlen(path);
    return !strncmp(r->path, path, n) && (r->path[n] == ' ' || r->path[n] == '?');
}
