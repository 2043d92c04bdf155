// Finds the end of an answer by its own framing, and hands on the bytes of its body without the framing.
#pragma once
#include "common.h"

enum framing { BY_CLOSE, BY_LENGTH, CHUNKED };
enum chunk_state { SIZE, EXTENSION, DATA, DATA_END, TRAILER, TRAILER_LINE };

typedef struct {
    enum framing kind;
    enum chunk_state state;
    long left;  // bytes of this chunk, or of the whole body
    int over;
} body_reader;

typedef void body_sink(void *owner, const char *p, long n);

static inline const char *head_value(const char *head, const char *name) {
    const char *at = strcasestr(head, name);
    if (!at) return 0;
    for (at += strlen(name); *at == ' ';) at++;
    return at;
}

// head: the whole head of the answer, as a string
static inline void begin_body(body_reader *r, const char *head) {
    const char *coding = head_value(head, "\r\ntransfer-encoding:"), *length = head_value(head, "\r\ncontent-length:");
    memset(r, 0, sizeof *r);
    if (coding && !strncasecmp(coding, "chunked", 7)) {
        r->kind = CHUNKED;
    } else if (length) {
        r->kind = BY_LENGTH;
        r->left = atol(length);
        r->over = r->left == 0;
    }
}

static inline int hex(char c) { return c <= '9' ? c - '0' : (c | 32) - 'a' + 10; }

// one byte of framing
static inline void chunk_byte(body_reader *r, char c) {
    switch (r->state) {
        case SIZE:
        case EXTENSION:
            if (c == '\n') r->state = r->left ? DATA : TRAILER;
            else if (c == ';') r->state = EXTENSION;
            else if (c != '\r' && r->state == SIZE) r->left = r->left * 16 + hex(c);
            break;
        case DATA_END:
            if (c == '\n') r->state = SIZE;
            break;
        case TRAILER:
            if (c == '\n') r->over = 1;
            else if (c != '\r') r->state = TRAILER_LINE;
            break;
        case TRAILER_LINE:
            if (c == '\n') r->state = TRAILER;
            break;
        case DATA:
            break;
    }
}

static inline void read_body(body_reader *r, const char *p, long n, body_sink *sink, void *owner) {
    if (r->kind == BY_CLOSE) sink(owner, p, n);
    if (r->kind == BY_CLOSE) return;
    for (long i = 0; i < n && !r->over;) {
        if (r->kind == CHUNKED && r->state != DATA) {
            chunk_byte(r, p[i++]);
            continue;
        }
        long m = n - i < r->left ? n - i : r->left;
        sink(owner, p + i, m);
        i += m;
        r->left -= m;
        if (r->left == 0 && r->kind == CHUNKED) r->state = DATA_END;
        else if (r->left == 0) r->over = 1;
    }
}
