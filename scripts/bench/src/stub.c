// Stub model server: one epoll thread, HTTP/1.1, made so that it is never the bottleneck. Listens on 127.0.0.1 only.
//
//   POST /generate         1 KiB of JSON at once
//   POST /generate_stream  server-sent events, chunked, one chunk of 64 bytes an event
//   anything else          200 {"ok":true}
//
// Read out of the JSON body, wherever they stand in it, but not across chunks:
//   "n_events": N      events of the stream (100)
//   "interval_us": U   microseconds between two events (20000); 0: as fast as they are taken
//   "batch": B         events per write when the interval is 0 (1)
//   "unique_head": 1   the answer's head carries an X-Request-ID that no other answer has
//
// Each event carries the CLOCK_MONOTONIC nanoseconds at which it was written: data: {"t":<ns>,"i":<i>,"k":"xx.."}
//
// usage: stub PORT        (0: any free port; "listening PORT" is printed once it takes connections)
#include "common.h"
#include "request.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

enum { JSON_BYTES = 1024, EVENT_BYTES = 64, READ_BYTES = 16384, WRITES_PER_TURN = 32 };

typedef struct {
    int fd;
    buffer in, out;
    int streaming, wants_write;
    long events, sent, interval_us, batch;
    int64_t due_ns;
    int slot;  // place in the heap of timed streams; -1: not in it
} conn;

static int epoll_fd, timer_fd, listen_fd;
static conn **heap;
static int heap_len, heap_cap;
static char json[JSON_BYTES + 1];
static unsigned long answers;

static int advance(conn *c);

static void heap_set(int k, conn *c) {
    heap[k] = c;
    c->slot = k;
}

static void heap_up(int k) {
    conn *c = heap[k];
    for (; k > 0 && heap[(k - 1) / 2]->due_ns > c->due_ns; k = (k - 1) / 2) heap_set(k, heap[(k - 1) / 2]);
    heap_set(k, c);
}

static void heap_down(int k) {
    conn *c = heap[k];
    for (int child; (child = 2 * k + 1) < heap_len; k = child) {
        if (child + 1 < heap_len && heap[child + 1]->due_ns < heap[child]->due_ns) child++;
        if (heap[child]->due_ns >= c->due_ns) break;
        heap_set(k, heap[child]);
    }
    heap_set(k, c);
}

static void heap_push(conn *c) {
    if (heap_len == heap_cap) {
        heap_cap = heap_cap ? heap_cap * 2 : 1024;
        heap = must(realloc(heap, heap_cap * sizeof *heap));
    }
    heap_set(heap_len++, c);
    heap_up(heap_len - 1);
}

static void heap_remove(conn *c) {
    int k = c->slot;
    if (k < 0) return;
    c->slot = -1;
    if (k == --heap_len) return;
    heap_set(k, heap[heap_len]);
    heap_up(k);
    heap_down(heap[k]->slot);
}

static void arm_timer(void) {
    struct itimerspec at = {0};
    if (heap_len) {
        at.it_value.tv_sec = heap[0]->due_ns / 1000000000;
        at.it_value.tv_nsec = heap[0]->due_ns % 1000000000;
    }
    timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &at, 0);
}

static void watch(conn *c, int wants_write) {
    if (c->wants_write == wants_write) return;
    c->wants_write = wants_write;
    struct epoll_event e = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
}

// 1: all written; 0: the peer is not reading, wait for it; -1: it is gone
static int flush(conn *c) {
    buffer *b = &c->out;
    while (b->start < b->end) {
        ssize_t n = write(c->fd, b->data + b->start, b->end - b->start);
        if (n < 0 && errno != EAGAIN) return -1;
        if (n < 0) {
            watch(c, 1);
            return 0;
        }
        b->start += n;
    }
    b->start = b->end = 0;
    watch(c, 0);
    return 1;
}

static void drop(conn *c) {
    heap_remove(c);
    close(c->fd);
    free(c->in.data);
    free(c->out.data);
    free(c);
}

static void take_connections(void) {
    int one = 1;
    for (int fd; (fd = accept4(listen_fd, 0, 0, SOCK_NONBLOCK)) >= 0;) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        conn *c = must(calloc(1, sizeof *c));
        c->fd = fd;
        c->slot = -1;
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
    }
}

static void append_head(conn *c, const char *fixed, int unique) {
    char line[64];
    append(&c->out, "HTTP/1.1 200 OK\r\n", 17);
    append(&c->out, fixed, strlen(fixed));
    if (unique) append(&c->out, line, snprintf(line, sizeof line, "X-Request-ID: stub-%012lu\r\n", ++answers));
    append(&c->out, "\r\n", 2);
}

static void append_event(conn *c) {
    char text[160];
    int n = snprintf(text, sizeof text, "40\r\ndata: {\"t\":%lld,\"i\":%ld,\"k\":\"", (long long)now_ns(), c->sent++);
    memset(text + n, 'x', EVENT_BYTES - n);
    memcpy(text + EVENT_BYTES, "\"}\n\n\r\n", 6);
    append(&c->out, text, 4 + EVENT_BYTES + 2);
    if (c->sent >= c->events) append(&c->out, "0\r\n\r\n", 5);
}

// writes as fast as the peer reads, some writes a turn, so that other connections get theirs
static int fire(conn *c) {
    for (int w = 0; w < WRITES_PER_TURN; w++) {
        int flushed = flush(c);
        if (flushed <= 0) return flushed;
        if (c->sent >= c->events) {
            c->streaming = 0;
            return advance(c);
        }
        for (long b = 0; b < c->batch && c->sent < c->events; b++) append_event(c);
    }
    watch(c, 1);
    return 0;
}

static int begin_stream(conn *c, const request *r) {
    c->streaming = 1;
    c->sent = 0;
    c->events = param(r, "\"n_events\"", 100);
    c->interval_us = param(r, "\"interval_us\"", 20000);
    c->batch = param(r, "\"batch\"", 1);
    append_head(c, "Content-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n",
                param(r, "\"unique_head\"", 0));
    c->in.start += r->head_len + r->body_len;
    if (c->interval_us == 0) return fire(c);
    c->due_ns = now_ns();
    heap_push(c);
    arm_timer();
    return flush(c) < 0 ? -1 : 0;
}

static int answer(conn *c, const request *r) {
    if (is(r, "/generate_stream")) return begin_stream(c, r);
    int model = is(r, "/generate");
    append_head(c, model ? "Content-Type: application/json\r\nContent-Length: 1024\r\n"
                         : "Content-Type: application/json\r\nContent-Length: 11\r\n",
                model && param(r, "\"unique_head\"", 0));
    append(&c->out, model ? json : "{\"ok\":true}", model ? JSON_BYTES : 11);
    c->in.start += r->head_len + r->body_len;
    return flush(c) < 0 ? -1 : 0;
}

// answers the requests that have come, in order; -1: the connection is gone
static int advance(conn *c) {
    request r;
    while (!c->streaming && whole_request(&c->in, &r))
        if (answer(c, &r) < 0) return -1;
    if (c->in.start == c->in.end) c->in.start = c->in.end = 0;
    return 0;
}

static int readable(conn *c) {
    buffer *b = &c->in;
    if (b->start) {
        memmove(b->data, b->data + b->start, b->end - b->start);
        b->end -= b->start;
        b->start = 0;
    }
    for (ssize_t n;;) {
        room(b, READ_BYTES);
        n = read(c->fd, b->data + b->end, b->cap - b->end);
        if (n <= 0) return n < 0 && errno == EAGAIN ? advance(c) : -1;
        b->end += n;
    }
}

static int writable(conn *c) {
    if (c->streaming && c->interval_us == 0) return fire(c);
    int flushed = flush(c);
    return flushed > 0 ? advance(c) : flushed;
}

static void tick(conn *c) {
    append_event(c);
    int last = c->sent >= c->events;
    if (last) {
        heap_remove(c);
        c->streaming = 0;
    } else {
        c->due_ns += c->interval_us * 1000;
        heap_down(0);
    }
    int gone = !c->wants_write && flush(c) < 0;
    if (gone || (last && advance(c) < 0)) drop(c);
}

static void run_timers(void) {
    for (int64_t now = now_ns(); heap_len && heap[0]->due_ns <= now;) tick(heap[0]);
    if (heap_len) arm_timer();
}

static int dispatch(const struct epoll_event *e) {
    uint64_t expirations;
    conn *c = e->data.ptr;
    if (!c) return take_connections(), 0;
    if ((void *)c == &timer_fd) return (void)!read(timer_fd, &expirations, sizeof expirations), 0;
    int gone = e->events & (EPOLLHUP | EPOLLERR);
    if (!gone && e->events & EPOLLIN) gone = readable(c) < 0;
    if (!gone && e->events & EPOLLOUT) gone = writable(c) < 0;
    if (gone) drop(c);
    return 0;
}

static void watch_fd(int fd, void *mark) {
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = mark};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
}

static void listen_on(int port) {
    int one = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listen_fd, (void *)&at, len) || listen(listen_fd, 4096) || getsockname(listen_fd, (void *)&at, &len)) {
        perror("stub");
        exit(1);
    }
    printf("listening %d\n", ntohs(at.sin_port));
    fflush(stdout);
}

static void prepare(void) {
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    int n = sprintf(json, "{\"generated_text\":\"");
    for (; n < JSON_BYTES - 2; n++) json[n] = "lorem ipsum dolor "[n % 18];
    memcpy(json + n, "\"}", 3);
}

int main(int argc, char **argv) {
    struct epoll_event events[512];
    if (argc != 2) return fprintf(stderr, "usage: stub PORT\n"), 2;
    prepare();
    epoll_fd = epoll_create1(0);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    listen_on(atoi(argv[1]));
    watch_fd(listen_fd, 0);
    watch_fd(timer_fd, &timer_fd);
    for (;;) {
        int n = epoll_wait(epoll_fd, events, 512, -1);
        for (int k = 0; k < n; k++) dispatch(&events[k]);
        run_timers();
    }
}
