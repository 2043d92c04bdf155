// Load generator of streams: one epoll thread. Opens many connections to 127.0.0.1 over a ramp; each posts the body and
// reads server-sent events. Every event carries the nanoseconds at which the stub wrote it, on the same clock, so the
// latency of an event is (read - written) without skew. Time to first byte runs from connect to the first event.
//
// usage: lg PORT PATH BODY_FILE STREAMS RAMP_MS LOOPS TIMEOUT_S EVENTS [FROM_S UNTIL_S PID...]
//   in BODY_FILE every "@@" is replaced by a running number of nine digits
//   LOOPS: answers read on each connection, one after the other; EVENTS: how many each answer must hold
//   FROM_S, UNTIL_S: a window in seconds after the start, for which events and the CPU time of the PIDs are given
// Prints one line of JSON. done: 200 with just the events wanted; short: 200, but fewer or more; refused: another
// status; broken: the connection failed before the end; unfinished: not over at the timeout.
#include "common.h"
#include "framing.h"
#include "histogram.h"
#include "window.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { HEAD_BYTES = 8192, READ_BYTES = 1 << 18, FIRST_NUMBER = 100000000, WAIT_MS = 50 };

typedef struct {
    int fd, loops, status, head_len, in_head;
    char head[HEAD_BYTES];
    buffer request;
    body_reader body;
    int64_t started_ns, read_ns, written_ns;
    long events;
    int matched, in_number;  // progress of the scan for "t":<ns>
} stream;

static struct {
    int port, streams, loops;
    const char *path;
    long ramp_ms, events;
    double timeout_s;
    buffer body;
} want;

static struct {
    long done, shorter, refused, broken, events, bytes;
    int status;  // of the latest refusal
    int64_t first_ns, last_ns;
    histogram first_byte, latency;
} seen;

static cpu_window window;
static int epoll_fd;
static long active, number = FIRST_NUMBER;

static void write_request(stream *s) {
    static buffer body;
    char head[512];
    const char *p = want.body.data, *end = p + want.body.end;
    body.end = 0;
    for (const char *mark; (mark = memmem(p, end - p, "@@", 2)); p = mark + 2) {
        append(&body, p, mark - p);
        append(&body, head, snprintf(head, sizeof head, "%ld", number));
    }
    append(&body, p, end - p);
    number++;
    s->request.start = s->request.end = 0;
    append(&s->request, head,
           snprintf(head, sizeof head,
                    "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
                    "Accept: text/event-stream\r\nContent-Length: %zu\r\n\r\n",
                    want.path, want.port, body.end));
    append(&s->request, body.data, body.end);
}

static void send_request(stream *s) {
    buffer *b = &s->request;
    if (b->start == b->end) return;
    ssize_t n = write(s->fd, b->data + b->start, b->end - b->start);
    if (n > 0) b->start += n;
}

static void reset(stream *s) {
    write_request(s);
    s->in_head = 1;
    s->head_len = s->matched = s->in_number = 0;
    s->events = 0;
    s->started_ns = now_ns();
}

static void dial(stream *s) {
    int one = 1;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(want.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = s};
    reset(s);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (s->fd < 0) {
        perror("lg: socket");
        exit(1);
    }
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connect(s->fd, (void *)&to, sizeof to);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, s->fd, &e);
}

static void hang_up(stream *s) {
    close(s->fd);
    s->fd = -1;
}

// next answer on the same connection where there is one, else on a new one
static void go_on(stream *s, int reusable) {
    if (--s->loops > 0 && reusable) {
        reset(s);
        send_request(s);
        return;
    }
    hang_up(s);
    if (s->loops > 0) dial(s);
    else active--;
}

static void finish(stream *s) {
    if (s->events == want.events) seen.done++;
    else seen.shorter++;
    go_on(s, s->body.kind != BY_CLOSE);
}

static void refuse(stream *s) {
    seen.refused++;
    seen.status = s->status;
    go_on(s, 0);
}

static void break_off(stream *s) {
    seen.broken++;
    go_on(s, 0);
}

static void count_event(stream *s) {
    if (s->events++ == 0) record(&seen.first_byte, s->read_ns - s->started_ns);
    record(&seen.latency, s->read_ns - s->written_ns);
    seen.events++;
}

// finds "t":<digits> wherever the pieces of the body are cut
static void scan(void *owner, const char *p, long n) {
    static const char mark[] = "\"t\":";
    stream *s = owner;
    seen.bytes += n;
    for (long i = 0; i < n; i++) {
        if (s->in_number && p[i] >= '0' && p[i] <= '9') {
            s->written_ns = s->written_ns * 10 + p[i] - '0';
        } else if (s->in_number) {
            s->in_number = 0;
            count_event(s);
        } else if (p[i] != mark[s->matched]) {
            s->matched = p[i] == '"';
        } else if (++s->matched == 4) {
            s->matched = 0;
            s->in_number = 1;
            s->written_ns = 0;
        }
    }
}

// takes bytes up to the end of the head; how many it took, or -1: the head is too long
static long read_head(stream *s, const char *p, long n) {
    long free_bytes = HEAD_BYTES - 1 - s->head_len, take = n < free_bytes ? n : free_bytes, had = s->head_len;
    memcpy(s->head + had, p, take);
    s->head_len += take;
    s->head[s->head_len] = 0;
    char *blank = strstr(s->head, "\r\n\r\n");
    if (!blank) return take < n ? -1 : take;
    blank[2] = 0;
    s->in_head = 0;
    s->status = atoi(s->head + 9);
    begin_body(&s->body, s->head);
    return blank + 4 - s->head - had;
}

// 0: this connection is done with, or starts anew
static int take(stream *s, const char *p, long n) {
    if (s->in_head) {
        long head = read_head(s, p, n);
        if (head < 0) return break_off(s), 0;
        p += head;
        n -= head;
    }
    if (s->in_head) return 1;
    if (s->status != 200) return refuse(s), 0;
    read_body(&s->body, p, n, scan, s);
    if (!s->body.over) return 1;
    int fd = s->fd;
    finish(s);
    return s->fd == fd && s->loops > 0;
}

static void readable(stream *s) {
    static char bytes[READ_BYTES];
    for (;;) {
        ssize_t n = read(s->fd, bytes, READ_BYTES);
        s->read_ns = now_ns();
        if (n < 0 && errno == EAGAIN) return;
        if (n == 0 && !s->in_head && s->body.kind == BY_CLOSE) return finish(s);
        if (n <= 0) return break_off(s);
        seen.last_ns = s->read_ns;
        if (!take(s, bytes, n)) return;
    }
}

static void start_due(stream *streams, int *started) {
    double share = want.ramp_ms > 0 ? (now_ns() - seen.first_ns) / 1e6 / want.ramp_ms : 1;
    int due = share < 1 ? (int)(share * want.streams) + 1 : want.streams;
    for (; *started < due && *started < want.streams; ++*started) {
        streams[*started].loops = want.loops;
        active++;
        dial(&streams[*started]);
    }
}

static int run(void) {
    struct epoll_event events[512];
    stream *streams = must(calloc(want.streams, sizeof *streams));
    int started = 0;
    seen.first_ns = seen.last_ns = now_ns();
    while (now_ns() - seen.first_ns < want.timeout_s * 1e9) {
        start_due(streams, &started);
        keep_window(&window, (now_ns() - seen.first_ns) / 1e9, seen.events);
        if (started == want.streams && active == 0) break;
        int n = epoll_wait(epoll_fd, events, 512, started < want.streams ? 1 : WAIT_MS);
        for (int k = 0; k < n; k++) {
            stream *s = events[k].data.ptr;
            if (s->fd >= 0 && events[k].events & EPOLLOUT) send_request(s);
            if (s->fd >= 0 && events[k].events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) readable(s);
        }
    }
    return want.streams - started + active;
}

static void report(int unfinished) {
    printf("{\"streams\":%d,\"done\":%ld,\"short\":%ld,\"refused\":%ld,\"refused_status\":%d,\"broken\":%ld,"
           "\"unfinished\":%d,\"events\":%ld,\"bytes\":%ld,\"seconds\":%.3f,",
           want.streams, seen.done, seen.shorter, seen.refused, seen.status, seen.broken, unfinished, seen.events,
           seen.bytes, (seen.last_ns - seen.first_ns) / 1e9);
    if (window_is_known(&window))
        printf("\"window_events\":%ld,\"window_cpu_s\":%.6f,", window.events, window.cpu_s);
    const histogram *h[] = {&seen.first_byte, &seen.latency};
    const char *names[] = {"ttfb_us", "event_us"};
    for (int i = 0; i < 2; i++)
        printf("\"%s\":{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}%s", names[i],
               quantile_us(h[i], .5), quantile_us(h[i], .9), quantile_us(h[i], .99), quantile_us(h[i], .999),
               quantile_us(h[i], 1), i ? "}\n" : ",");
}

static int read_body_file(const char *name) {
    FILE *f = fopen(name, "rb");
    if (!f) return perror(name), 0;
    do room(&want.body, 65536);
    while ((want.body.end += fread(want.body.data + want.body.end, 1, 65536, f)) && !feof(f) && !ferror(f));
    fclose(f);
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 9 && argc < 12) return fprintf(stderr, "usage: see the head of lg.c\n"), 2;
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    want.port = atoi(argv[1]);
    want.path = argv[2];
    if (!read_body_file(argv[3])) return 1;
    want.streams = atoi(argv[4]);
    want.ramp_ms = atol(argv[5]);
    want.loops = atoi(argv[6]);
    want.timeout_s = atof(argv[7]);
    want.events = atol(argv[8]);
    if (argc > 9) {
        window = (cpu_window){.from_s = atof(argv[9]), .until_s = atof(argv[10]), .pids = argv + 11};
    }
    epoll_fd = epoll_create1(0);
    report(run());
    return 0;
}
