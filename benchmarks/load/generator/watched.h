/* The server that is measured, seen from outside: the clocks and the memory of its processes. */
#ifndef WATCHED_H
#define WATCHED_H

/* What the server had used at one moment, in seconds. */
typedef struct {
    double cpu, user, system;
} usage;

/* Watches the processes of a list such as "12,34". */
void watch_processes(const char *list);

/* CPU time of all of them. The clock has nanoseconds; its parts only the kernel's ticks. */
usage read_usage(void);

/* Whether no thread of theirs runs or would run if it had a core. On a busy machine a clock that stands still does not
 * say that: the server may be waiting for its turn. */
int is_asleep(void);

/* What all of them have of the machine's memory, in bytes; the kernel's part of a socket is not in it. */
long resident_bytes(void);

/* This program's own CPU time, in seconds: near a whole core, it is the generator that was measured. */
double own_cpu(void);

#endif
