// CPU time that processes spend, and events that come, between two moments of a load.
#pragma once
#include "common.h"

enum window_state { NOT_BEGUN, RUNNING, OVER };

typedef struct {
    double from_s, until_s;  // after the start of the load
    char **pids;             // ends with a null pointer; none at all: there is no window
    enum window_state state;
    long events;
    double cpu_s;  // negative: a process was gone
} cpu_window;

// CPU time of all pids so far, by the clock of each process, see clock_getcpuclockid(3)
static inline double pids_cpu_s(char **pids) {
    double sum = 0;
    struct timespec t;
    for (; *pids; pids++) {
        if (clock_gettime((clockid_t)((~(unsigned)atoi(*pids) << 3) | 2), &t)) return -1e9;
        sum += t.tv_sec + t.tv_nsec / 1e9;
    }
    return sum;
}

// call it often; events: all that came so far
static inline void keep_window(cpu_window *w, double at_s, long events) {
    if (!w->pids) return;
    if (w->state == NOT_BEGUN && at_s >= w->from_s) {
        w->state = RUNNING;
        w->events = -events;
        w->cpu_s = -pids_cpu_s(w->pids);
    } else if (w->state == RUNNING && at_s >= w->until_s) {
        w->state = OVER;
        w->events += events;
        w->cpu_s += pids_cpu_s(w->pids);
    }
}

static inline int window_is_known(const cpu_window *w) { return w->state == OVER && w->cpu_s >= 0 && w->cpu_s < 1e8; }
