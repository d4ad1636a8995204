/* A provider that costs nearly nothing: POST /v1/chat/completions answers a fixed completion, or a stream of 23 events.
 *
 * GET /stats counts what came; GET /mode/spread and GET /mode/burst choose how streams are sent: one event at a time,
 * `gap` milliseconds apart, or all events in one write. A request that does not name the upstream's own model gets 404,
 * so that a gateway which does not rewrite the model cannot take part. */
#define _GNU_SOURCE
#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECES = 21, MAX_EVENTS = 32, MAX_FD = 8192 };

#define MODEL "gpt-4o-mini"
#define REPLY_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-request-id: req_loopback\r\nContent-Length: "
#define STREAM_HEAD \
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n" \
    "x-request-id: req_loopback\r\nTransfer-Encoding: chunked\r\n\r\n"

typedef struct {
    buffer bytes;               /* head, every event as one HTTP chunk, the last chunk */
    size_t ends[MAX_EVENTS];    /* where the n-th write of spread mode ends */
    int writes;
} script;

typedef struct {
    buffer in, out;
    const script *playing;
    int step, open;
    unsigned generation;
} peer;

typedef struct {
    uint64_t due;
    int fd;
    unsigned generation;
} timer;

static peer peers[MAX_FD];
static timer *timers; /* every gap is the same, so a ring in order of arrival is in order of time */
static size_t timers_head, timers_count, timers_room;
static script with_usage, without_usage;
static buffer reply;
static int spread, epoll_fd;
static uint64_t gap_ns = 3000000;
static unsigned long requests, streams, connections, refused;

static void add_event(script *s, const char *json) {
    char size[24];
    size_t length = strlen(json) + 8; /* "data: " and two newlines */
    snprintf(size, sizeof size, "%zx\r\n", length);
    buffer_text(&s->bytes, size);
    buffer_text(&s->bytes, "data: ");
    buffer_text(&s->bytes, json);
    buffer_text(&s->bytes, "\n\n\r\n");
    s->ends[s->writes++] = s->bytes.length;
}

#define CHUNK \
    "{\"id\":\"chatcmpl-BenchLoopback0001\",\"object\":\"chat.completion.chunk\",\"created\":1760000000," \
    "\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_44709d6fcb\","

static void write_script(script *s, int usage) {
    char json[768];
    buffer_text(&s->bytes, STREAM_HEAD);
    add_event(s, CHUNK "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},"
                       "\"logprobs\":null,\"finish_reason\":null}]}");
    for (int i = 0; i < PIECES; i++) {
        snprintf(json, sizeof json, CHUNK "\"choices\":[{\"index\":0,\"delta\":{\"content\":\" piece%02d\"},"
                                          "\"logprobs\":null,\"finish_reason\":null}]}", i);
        add_event(s, json);
    }
    add_event(s, CHUNK "\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}]}");
    if (usage)
        add_event(s, CHUNK "\"choices\":[],\"usage\":{\"prompt_tokens\":93,\"completion_tokens\":42,\"total_tokens\":135}}");
    add_event(s, "[DONE]");
    buffer_text(&s->bytes, "0\r\n\r\n");
    s->ends[s->writes - 1] = s->bytes.length;
}

static void write_reply(void) {
    static const char *body =
        "{\"id\":\"chatcmpl-BenchLoopback0001\",\"object\":\"chat.completion\",\"created\":1760000000,"
        "\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
        "\"piece00: A railway interlocking is an arrangement of signal apparatus that prevents conflicting movements "
        "through junctions and crossings. The signals and points are locked together, so that a train cannot be given "
        "a clear signal unless its whole route is proved to be set, locked and free of other trains; and while the "
        "signal is clear, nothing that would make the route unsafe can be moved.\",\"refusal\":null,\"annotations\":[]},"
        "\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":93,\"completion_tokens\":84,"
        "\"total_tokens\":177,\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},"
        "\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0,\"accepted_prediction_tokens\":0,"
        "\"rejected_prediction_tokens\":0}},\"service_tier\":\"default\",\"system_fingerprint\":\"fp_44709d6fcb\"}";
    char length[32];
    buffer_text(&reply, REPLY_HEAD);
    snprintf(length, sizeof length, "%zu\r\n\r\n", strlen(body));
    buffer_text(&reply, length);
    buffer_text(&reply, body);
}

static void hang_up(int fd) {
    peer *p = &peers[fd];
    p->in.length = p->out.length = 0;
    p->playing = NULL;
    p->open = 0;
    p->generation++;
    close(fd);
}

static void watch(int fd, uint32_t events) {
    struct epoll_event e = {.events = events, .data.fd = fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &e);
}

static void send_bytes(int fd, const char *data, size_t length) {
    peer *p = &peers[fd];
    if (!p->out.length) {
        ssize_t sent = write(fd, data, length);
        if (sent == (ssize_t)length) return;
        if (sent < 0 && errno != EAGAIN) return; /* the read side will see the end */
        if (sent > 0) data += sent, length -= (size_t)sent;
        watch(fd, EPOLLIN | EPOLLOUT);
    }
    buffer_add(&p->out, data, length);
}

static void wake_later(int fd) {
    if (timers_count == timers_room) {
        size_t room = timers_room ? timers_room * 2 : 1024;
        timer *grown = malloc(room * sizeof *grown);
        if (!grown) die("out of memory");
        for (size_t i = 0; i < timers_count; i++) grown[i] = timers[(timers_head + i) % timers_room];
        free(timers);
        timers = grown, timers_room = room, timers_head = 0;
    }
    timers[(timers_head + timers_count++) % timers_room] =
        (timer){.due = now_ns() + gap_ns, .fd = fd, .generation = peers[fd].generation};
}

static void play(int fd) {
    peer *p = &peers[fd];
    const script *s = p->playing;
    size_t from = p->step ? s->ends[p->step - 1] : 0;
    send_bytes(fd, s->bytes.data + from, s->ends[p->step] - from);
    if (++p->step < s->writes)
        wake_later(fd);
    else
        p->playing = NULL;
}

static void answer_text(int fd, const char *status, const char *body) {
    char text[512];
    int n = snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                     status, strlen(body), body);
    send_bytes(fd, text, (size_t)n);
}

static int names_model(const char *body) {
    const char *at = strstr(body, "\"model\":");
    if (!at) return 0;
    at += 8;
    while (*at == ' ') at++;
    return !strncmp(at, "\"" MODEL "\"", sizeof MODEL + 1);
}

static void answer(int fd, const char *head, size_t head_length, const char *body) {
    peer *p = &peers[fd];
    char text[256];
    (void)head_length;
    if (!strncmp(head, "GET /stats", 10)) {
        snprintf(text, sizeof text, "{\"requests\":%lu,\"streams\":%lu,\"connections\":%lu,\"refused\":%lu}", requests,
                 streams, connections, refused);
        answer_text(fd, "200 OK", text);
    } else if (!strncmp(head, "GET /mode/", 10)) {
        spread = !strncmp(head + 10, "spread", 6);
        answer_text(fd, "200 OK", spread ? "{\"mode\":\"spread\"}" : "{\"mode\":\"burst\"}");
    } else if (strncmp(head, "POST /v1/chat/completions ", 26)) {
        refused++;
        answer_text(fd, "404 Not Found", "{\"error\":{\"message\":\"no such path\",\"type\":\"invalid_request_error\"}}");
    } else if (!names_model(body)) {
        refused++;
        answer_text(fd, "404 Not Found", "{\"error\":{\"message\":\"no such model\",\"type\":\"invalid_request_error\"}}");
    } else if (strstr(body, "\"stream\":true") || strstr(body, "\"stream\": true")) {
        int usage = strstr(body, "\"include_usage\":true") || strstr(body, "\"include_usage\": true");
        requests++, streams++;
        p->playing = usage ? &with_usage : &without_usage;
        p->step = 0;
        if (spread) {
            play(fd);
        } else {
            send_bytes(fd, p->playing->bytes.data, p->playing->bytes.length);
            p->playing = NULL;
        }
    } else {
        requests++;
        send_bytes(fd, reply.data, reply.length);
    }
}

/* Answers every whole request in the buffer; returns 0 where the peer must be hung up on. */
static int take_requests(int fd) {
    peer *p = &peers[fd];
    while (p->in.length && !p->playing) {
        char *end = memmem(p->in.data, p->in.length, "\r\n\r\n", 4);
        if (!end) return p->in.length < 65536;
        size_t head = (size_t)(end - p->in.data) + 4, length = 0;
        const char *value = header_value(p->in.data, head, "content-length");
        if (value) length = strtoul(value, NULL, 10);
        if (header_value(p->in.data, head, "transfer-encoding")) {
            answer_text(fd, "411 Length Required", "{\"error\":{\"message\":\"send a Content-Length\"}}");
            return 0;
        }
        if (p->in.length < head + length) return 1;
        char kept = p->in.data[head + length];
        p->in.data[head + length] = 0;
        answer(fd, p->in.data, head, p->in.data + head);
        p->in.data[head + length] = kept;
        buffer_skip(&p->in, head + length);
    }
    return 1;
}

static void readable(int fd) {
    char chunk[65536];
    ssize_t got = read(fd, chunk, sizeof chunk);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        hang_up(fd);
        return;
    }
    buffer_add(&peers[fd].in, chunk, (size_t)got);
    if (!take_requests(fd)) hang_up(fd);
}

static void writable(int fd) {
    peer *p = &peers[fd];
    ssize_t sent = write(fd, p->out.data, p->out.length);
    if (sent > 0) buffer_skip(&p->out, (size_t)sent);
    if (!p->out.length) watch(fd, EPOLLIN);
}

static int run_timers(void) {
    while (timers_count) {
        timer t = timers[timers_head];
        uint64_t now = now_ns();
        if (t.due > now) return (int)((t.due - now) / 1000000) + 1;
        timers_head = (timers_head + 1) % timers_room;
        timers_count--;
        if (peers[t.fd].open && peers[t.fd].generation == t.generation && peers[t.fd].playing) {
            play(t.fd);
            if (!peers[t.fd].playing && !take_requests(t.fd)) hang_up(t.fd);
        }
    }
    return -1;
}

int upstream_main(int argc, char **argv) {
    int port = 0, one = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--port")) port = atoi(argv[i + 1]);
        if (!strcmp(argv[i], "--gap-ms")) gap_ns = strtoull(argv[i + 1], NULL, 10) * 1000000u;
    }
    write_script(&with_usage, 1);
    write_script(&without_usage, 0);
    write_reply();
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 1024)) die("cannot listen");
    socklen_t size = sizeof at;
    getsockname(listener, (struct sockaddr *)&at, &size);
    printf("{\"port\":%d}\n", ntohs(at.sin_port));
    fflush(stdout);
    epoll_fd = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, ready[256];
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(epoll_fd, ready, 256, run_timers());
        for (int i = 0; i < n; i++) {
            int fd = ready[i].data.fd;
            if (fd == listener) {
                int accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (accepted < 0) continue;
                if (accepted >= MAX_FD) {
                    close(accepted);
                    continue;
                }
                no_delay(accepted);
                connections++;
                peers[accepted].open = 1;
                event = (struct epoll_event){.events = EPOLLIN, .data.fd = accepted};
                epoll_ctl(epoll_fd, EPOLL_CTL_ADD, accepted, &event);
                continue;
            }
            if ((ready[i].events & EPOLLOUT) && peers[fd].open) writable(fd);
            if ((ready[i].events & ~(uint32_t)EPOLLOUT) && peers[fd].open) readable(fd);
        }
    }
}
