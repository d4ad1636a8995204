/* Closed-loop load over keep-alive connections: each sends the next request when the last reply is whole.
 *
 * Every reply is read to its end and judged: status 200 and the marker in the body; a stream must bring every piece and
 * end with `data: [DONE]`, or with the line of another protocol that `--end` names. Times of the pieces' arrival show
 * whether they were relayed as they came. */
#define _GNU_SOURCE
#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST_WARM_UP_NS 15000000000u

enum framing { HEAD, LENGTH, SIZE, DATA, DATA_END, TRAILER, UNTIL_CLOSE };

typedef struct {
    int fd, status, close_after, streamed;
    enum framing framing;
    size_t left; /* bytes of the body or of the chunk still to come */
    buffer head, body;
    size_t scanned; /* the body's lines up to here were looked at */
    uint64_t sent_at, first_event, first_piece, last_piece;
    int events, pieces, ended, answered;
} link_;

typedef struct {
    uint32_t *values; /* tenths of a microsecond */
    size_t count, room;
} sample;

static int port, pieces_wanted, streaming;
static const char *marker = "piece00", *end_mark = "[DONE]";
static buffer request;
static link_ *links;
static int epoll_fd, measuring, explained, warm;
static sample latency, first_events, spreads;
static unsigned long completed, bad_status, bad_body, failures;
static int events_min = 1 << 30, events_max;

static void keep(sample *s, uint64_t ns) {
    if (s->count == s->room) {
        s->room = s->room ? s->room * 2 : 65536;
        s->values = realloc(s->values, s->room * sizeof *s->values);
        if (!s->values) die("out of memory");
    }
    s->values[s->count++] = (uint32_t)(ns / 100 > UINT32_MAX ? UINT32_MAX : ns / 100);
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void ascend(sample *s) {
    if (s->count) qsort(s->values, s->count, sizeof(uint32_t), ascending);
}

static double percentile(sample *s, double p) {
    if (!s->count) return 0;
    size_t at = (size_t)(p * (double)(s->count - 1) + 0.5);
    return s->values[at] / 10.0;
}

static void explain(const char *what, link_ *l) {
    if (explained++) return;
    fprintf(stderr, "first bad reply (%s): status %d, %.160s ... %.400s\n", what, l->status,
            l->head.data ? l->head.data : "", l->body.data ? l->body.data : "");
}

static void begin(link_ *l) {
    l->framing = HEAD;
    l->head.length = l->body.length = l->scanned = 0;
    l->events = l->pieces = l->ended = l->status = 0;
    l->first_event = l->first_piece = l->last_piece = 0;
    l->sent_at = now_ns();
    ssize_t sent = write(l->fd, request.data, request.length); /* a request fits any socket buffer */
    if (sent != (ssize_t)request.length) failures++;
}

static void dial(link_ *l) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    l->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(l->fd, (struct sockaddr *)&at, sizeof at)) die("cannot connect");
    fcntl(l->fd, F_SETFL, O_NONBLOCK);
    no_delay(l->fd);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = l};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, l->fd, &e);
    begin(l);
}

static void redial(link_ *l) {
    close(l->fd);
    if (failures > 1000) {
        fprintf(stderr, "gave up: more than 1000 connections failed\n");
        exit(3);
    }
    dial(l);
}

/* Looks at the lines that became whole: counts events and pieces, and notes when they came. */
static void scan_events(link_ *l) {
    uint64_t now = 0;
    for (;;) {
        char *line = l->body.data + l->scanned;
        char *end = memchr(line, '\n', l->body.length - l->scanned);
        if (!end) return;
        *end = 0;
        l->scanned = (size_t)(end - l->body.data) + 1;
        if (!strncmp(line, "data:", 5)) {
            if (!now) now = now_ns();
            if (!l->events++) l->first_event = now;
            if (strstr(line, end_mark)) l->ended = 1;
            if (strstr(line, "piece")) {
                if (!l->pieces++) l->first_piece = now;
                l->last_piece = now;
            }
        }
        *end = '\n';
    }
}

static void finish(link_ *l) {
    uint64_t now = now_ns();
    int good = 1;
    if (l->status != 200) {
        good = 0, bad_status++;
        explain("status", l);
    } else if (streaming ? l->pieces != pieces_wanted || !l->ended : !l->body.length || !strstr(l->body.data, marker)) {
        good = 0, bad_body++;
        explain(streaming ? "pieces missing, or no end marker" : "marker missing", l);
    }
    if (!l->answered++) warm++;
    if (good && measuring) {
        completed++;
        keep(&latency, now - l->sent_at);
        if (streaming) {
            keep(&first_events, l->first_event - l->sent_at);
            keep(&spreads, l->last_piece - l->first_piece);
            if (l->events < events_min) events_min = l->events;
            if (l->events > events_max) events_max = l->events;
        }
    }
    if (l->close_after)
        redial(l);
    else
        begin(l);
}

static int read_head(link_ *l) {
    const char *value;
    l->status = l->head.length > 12 ? atoi(l->head.data + 9) : 0;
    value = header_value(l->head.data, l->head.length, "connection");
    l->close_after = value && !strncasecmp(value, "close", 5);
    value = header_value(l->head.data, l->head.length, "transfer-encoding");
    if (value && !strncasecmp(value, "chunked", 7)) {
        l->framing = SIZE, l->left = 0;
        return 1;
    }
    value = header_value(l->head.data, l->head.length, "content-length");
    l->framing = value ? LENGTH : UNTIL_CLOSE;
    l->left = value ? strtoul(value, NULL, 10) : 0;
    return 1;
}

/* Feeds bytes to the reply's parser; 1 when the reply is whole, -1 when it is not HTTP. */
static int feed(link_ *l, const char *data, size_t length) {
    const char *end = data + length;
    while (data < end || (l->framing == LENGTH && !l->left)) {
        size_t rest = (size_t)(end - data), taken = rest;
        switch (l->framing) {
        case HEAD: {
            size_t before = l->head.length, from = before > 3 ? before - 3 : 0;
            buffer_add(&l->head, data, rest);
            char *stop = memmem(l->head.data + from, l->head.length - from, "\r\n\r\n", 4);
            if (!stop) return l->head.length > 65536 ? -1 : 0;
            taken = (size_t)(stop - l->head.data) + 4 - before;
            l->head.length = before + taken;
            l->head.data[l->head.length] = 0;
            read_head(l);
            break;
        }
        case LENGTH:
            if (taken > l->left) taken = l->left;
            buffer_add(&l->body, data, taken);
            l->left -= taken;
            if (!l->left) return 1;
            break;
        case SIZE: {
            char c = *data;
            taken = 1;
            if (c == '\n') l->framing = l->left ? DATA : TRAILER;
            else if (c >= '0' && c <= '9') l->left = l->left * 16 + (size_t)(c - '0');
            else if ((c | 32) >= 'a' && (c | 32) <= 'f') l->left = l->left * 16 + (size_t)((c | 32) - 'a' + 10);
            else if (c != '\r') return -1;
            break;
        }
        case DATA:
            if (taken > l->left) taken = l->left;
            buffer_add(&l->body, data, taken);
            l->left -= taken;
            if (!l->left) l->framing = DATA_END;
            break;
        case DATA_END:
            taken = 1;
            if (*data == '\n') l->framing = SIZE, l->left = 0;
            break;
        case TRAILER: /* no trailers are expected: the next line end ends the reply */
            taken = 1;
            if (*data == '\n') return 1;
            break;
        case UNTIL_CLOSE:
            buffer_add(&l->body, data, taken);
            break;
        }
        data += taken;
    }
    return 0;
}

static void readable(link_ *l) {
    char chunk[65536];
    int one = 1;
    ssize_t got = read(l->fd, chunk, sizeof chunk);
    /* A sender that leaves Nagle's algorithm on stalls 40 ms on each delayed acknowledgement; acknowledge at once, so
     * that streams measure the relay and not that. It is not a lasting option. */
    if (streaming) setsockopt(l->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        if (l->framing == UNTIL_CLOSE) {
            l->close_after = 1;
            finish(l);
            return;
        }
        failures++;
        redial(l);
        return;
    }
    int done = feed(l, chunk, (size_t)got);
    if (streaming && l->body.length > l->scanned) scan_events(l);
    if (done < 0) {
        failures++;
        redial(l);
    } else if (done) {
        finish(l);
    }
}

static void read_request(const char *file, const char *path, const char *key) {
    FILE *f = fopen(file, "rb");
    buffer body = {0};
    char chunk[4096], head[512];
    size_t got;
    if (!f) die(file);
    while ((got = fread(chunk, 1, sizeof chunk, f))) buffer_add(&body, chunk, got);
    fclose(f);
    snprintf(head, sizeof head,
             "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"
             "Accept: application/json\r\nUser-Agent: loopback\r\nContent-Length: %zu\r\n\r\n",
             path, port, key, body.length);
    buffer_text(&request, head);
    buffer_add(&request, body.data, body.length);
    free(body.data);
}

static void report(double seconds, int connections) {
    ascend(&latency);
    ascend(&first_events);
    ascend(&spreads);
    printf("{\"seconds\":%.3f,\"connections\":%d,\"completed\":%lu,\"rate\":%.1f,\"bad_status\":%lu,\"bad_body\":%lu,"
           "\"failures\":%lu,\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f",
           seconds, connections, completed, (double)completed / seconds, bad_status, bad_body, failures,
           percentile(&latency, 0.5), percentile(&latency, 0.9), percentile(&latency, 0.99), percentile(&latency, 1));
    if (streaming)
        printf(",\"events_min\":%d,\"events_max\":%d,\"first_us\":%.1f,\"first_p99_us\":%.1f,\"spread_us\":%.1f,"
               "\"spread_min_us\":%.1f",
               completed ? events_min : 0, events_max, percentile(&first_events, 0.5), percentile(&first_events, 0.99),
               percentile(&spreads, 0.5), percentile(&spreads, 0));
    printf("}\n");
}

int load_main(int argc, char **argv) {
    const char *file = NULL, *path = "/v1/chat/completions", *key = "sk-loopback";
    int connections = 1;
    double seconds = 2, warm_up = 0.5;
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (!strcmp(name, "--port")) port = atoi(value);
        else if (!strcmp(name, "--connections")) connections = atoi(value);
        else if (!strcmp(name, "--seconds")) seconds = atof(value);
        else if (!strcmp(name, "--warm-up")) warm_up = atof(value);
        else if (!strcmp(name, "--request")) file = value;
        else if (!strcmp(name, "--path")) path = value;
        else if (!strcmp(name, "--key")) key = value;
        else if (!strcmp(name, "--end")) end_mark = value;
        else if (!strcmp(name, "--pieces")) pieces_wanted = atoi(value), streaming = 1;
        else {
            fprintf(stderr, "unknown option %s\n", name);
            return 2;
        }
    }
    if (!port || !file) {
        fprintf(stderr, "load needs --port and --request\n");
        return 2;
    }
    read_request(file, path, key);
    epoll_fd = epoll_create1(0);
    links = calloc((size_t)connections, sizeof *links);
    for (int i = 0; i < connections; i++) dial(&links[i]);
    uint64_t begun = now_ns(), start = begun + (uint64_t)(warm_up * 1e9), late = start + MOST_WARM_UP_NS, stop = 0, now;
    struct epoll_event ready[256];
    while ((now = now_ns()) < stop || !measuring) {
        /* The warm-up lasts until every connection had an answer: a slow gateway's first wave is not its rate. */
        if (!measuring && now >= start && (warm == connections || now >= late))
            measuring = 1, start = now, stop = now + (uint64_t)(seconds * 1e9);
        uint64_t left = measuring ? stop - now : 5000000;
        int n = epoll_wait(epoll_fd, ready, 256, (int)(left / 1000000) + 1);
        for (int i = 0; i < n; i++) readable(ready[i].data.ptr);
    }
    report((double)(now - start) / 1e9, connections);
    return 0;
}
