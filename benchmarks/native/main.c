/* loopback upstream ... | loopback load ...: the two ends between which a gateway is measured. */
#define _GNU_SOURCE
#include "common.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

void buffer_add(buffer *b, const void *data, size_t length) {
    if (b->length + length + 1 > b->room) {
        size_t room = b->room ? b->room : 2048;
        while (room < b->length + length + 1) room *= 2;
        b->data = realloc(b->data, room);
        if (!b->data) die("out of memory");
        b->room = room;
    }
    memcpy(b->data + b->length, data, length);
    b->length += length;
    b->data[b->length] = 0;
}

void buffer_text(buffer *b, const char *text) { buffer_add(b, text, strlen(text)); }

void buffer_skip(buffer *b, size_t length) {
    if (length < b->length) memmove(b->data, b->data + length, b->length - length);
    b->length -= length;
    if (b->data) b->data[b->length] = 0;
}

uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void die(const char *what) {
    perror(what);
    exit(1);
}

void no_delay(int fd) {
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

const char *header_value(const char *head, size_t length, const char *name) {
    size_t wanted = strlen(name);
    const char *line = head, *end = head + length;
    while (line < end) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        if (!next) next = end;
        if ((size_t)(next - line) > wanted && line[wanted] == ':' && !strncasecmp(line, name, wanted)) {
            const char *value = line + wanted + 1;
            while (*value == ' ') value++;
            return value;
        }
        line = next + 1;
    }
    return NULL;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    if (argc > 1 && !strcmp(argv[1], "upstream")) return upstream_main(argc - 1, argv + 1);
    if (argc > 1 && !strcmp(argv[1], "load")) return load_main(argc - 1, argv + 1);
    fprintf(stderr, "usage: loopback upstream --port N | loopback load --port N --request FILE ...\n");
    return 2;
}
