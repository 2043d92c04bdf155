// What the stub and the load generator share: the clock, growing buffers, the limit on open files.
#pragma once
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    char *data;
    size_t start, end, cap;  // the bytes in use are data[start..end)
} buffer;

static inline int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static inline void *must(void *p) {
    if (p) return p;
    perror("out of memory");
    exit(1);
}

static inline void room(buffer *b, size_t n) {
    if (b->end + n <= b->cap) return;
    b->cap = (b->end + n) * 2;
    b->data = must(realloc(b->data, b->cap));
}

static inline void append(buffer *b, const char *p, size_t n) {
    room(b, n);
    memcpy(b->data + b->end, p, n);
    b->end += n;
}

static inline void raise_file_limit(void) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}
