/* Shared by the upstream and the load generator: sockets, time, growing buffers. Linux only (epoll). */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    char *data;
    size_t length, room;
} buffer;

void buffer_add(buffer *b, const void *data, size_t length);
void buffer_text(buffer *b, const char *text);
/* Drops the first `length` bytes. */
void buffer_skip(buffer *b, size_t length);

/* Nanoseconds of a clock that never steps. */
uint64_t now_ns(void);
void die(const char *what);
void no_delay(int fd);

/* Case-insensitive search for a header's value in a head of `length` bytes; NULL where absent. */
const char *header_value(const char *head, size_t length, const char *name);

int upstream_main(int argc, char **argv);
int load_main(int argc, char **argv);

#endif
