// How far two CPUs are from each other: the least time in which a cache line goes there and back.
//
// A relay hands every request from one CPU to another many times, so this time is part of its cost, and a virtual
// machine's CPUs may be moved next to each other or far apart at any moment: 80 ns and 420 ns have been seen, and twice
// the CPU time per request with it. The benchmark looks before and after each measurement.
//
// usage: distance CPU CPU       prints nanoseconds
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TURNS = 2000, TRIES = 20 };

static _Atomic int ball;
static int cpus[2];

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void run_on(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (!sched_setaffinity(0, sizeof set, &set)) return;
    perror("distance");
    exit(1);
}

static void *give_back(void *unused) {
    run_on(cpus[1]);
    for (int turn = 0; turn < TURNS; turn++) {
        while (atomic_load(&ball) != 2 * turn + 1) continue;
        atomic_store(&ball, 2 * turn + 2);
    }
    return unused;
}

static double one_try(void) {
    pthread_t other;
    int64_t began = 0;
    atomic_store(&ball, 0);
    if (pthread_create(&other, 0, give_back, 0)) exit(1);
    for (int turn = 0; turn < TURNS; turn++) {
        if (turn == 1) began = now_ns();  // the first turn waits for the other thread to start
        atomic_store(&ball, 2 * turn + 1);
        while (atomic_load(&ball) != 2 * turn + 2) continue;
    }
    double ns = (double)(now_ns() - began) / (TURNS - 1);
    pthread_join(other, 0);
    return ns;
}

int main(int argc, char **argv) {
    double least = 0;
    if (argc != 3) return fprintf(stderr, "usage: distance CPU CPU\n"), 2;
    cpus[0] = atoi(argv[1]);
    cpus[1] = atoi(argv[2]);
    run_on(cpus[0]);
    for (int i = 0; i < TRIES; i++) {
        double ns = one_try();
        if (i == 0 || ns < least) least = ns;
    }
    printf("%.1f\n", least);
    return 0;
}
