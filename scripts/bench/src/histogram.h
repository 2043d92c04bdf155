// Log-linear histogram of durations: 1/8 microsecond wide at first, then 32 buckets for every power of two (3%).
#pragma once
#include "common.h"

enum { BUCKETS = 64 * 40 };

typedef struct {
    uint64_t count[BUCKETS];
} histogram;

static inline int bucket_of(int64_t ns) {
    uint64_t units = ns > 0 ? ns / 125 : 0;
    if (units < 64) return units;
    int shift = 63 - __builtin_clzll(units) - 5;
    int bucket = shift * 32 + (int)(units >> shift);
    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static inline double bucket_us(int bucket) {
    if (bucket < 64) return bucket * 0.125;
    int shift = bucket / 32 - 1;
    return ((uint64_t)(bucket - shift * 32) << shift) * 0.125;
}

static inline void record(histogram *h, int64_t ns) { h->count[bucket_of(ns)]++; }

// microseconds below which the share q of all durations lies; -1: there are none
static inline double quantile_us(const histogram *h, double q) {
    uint64_t total = 0, seen = 0;
    for (int i = 0; i < BUCKETS; i++) total += h->count[i];
    for (int i = 0; i < BUCKETS && total; i++)
        if ((seen += h->count[i]) > q * total || seen == total) return bucket_us(i);
    return -1;
}
