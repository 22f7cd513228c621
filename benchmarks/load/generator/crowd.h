/* The sockets of all clients, and one more that publishes. One thread, one epoll. */
#ifndef CROWD_H
#define CROWD_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    int port, addresses; /* the clients come from 127.0.0.2 and so many addresses in all */
    const char *path, *event; /* the subscription's field: frames with it are deliveries */
    char **tokens; /* client i presents token i, or begins again at the first */
    int token_count;
    const char *subscribe; /* the payload of the subscription, JSON */
    const char *publish; /* the payload of the mutation, JSON; STAMP in it becomes the moment of sending */
} manner;

/* What came in; the latencies belong to the deliveries since `delivered` was set to 0. */
typedef struct {
    int ready; /* how often a socket was acknowledged */
    uint64_t delivered, last_at; /* last_at: of a delivery, in nanoseconds */
    uint32_t *latencies; /* microseconds */
    size_t latency_count, latency_room;
    size_t frame_bytes; /* of the payload of one delivery */
} arrivals;

extern arrivals arrived;

/* Prepares for `clients` sockets; nothing is opened yet. */
void gather(const manner *how, int clients);

/* Opens the publisher (0) or a client (1 and up). What it says next, until its ack, it says by itself. */
void open_socket(int number);

void subscribe(int number);

/* Writes one publication as a frame, without sending it; returns its length. */
size_t write_publication(char *out);

/* Sends bytes over the publisher's socket; whatever comes meanwhile is taken. */
void publish(const char *bytes, size_t length);

/* Takes what has come, waiting at most so long for something. */
void pump(int milliseconds);

/* Closes all of them without a word, as clients do that are switched off. */
void close_all(void);

uint64_t now_nanoseconds(void);
double now_seconds(void);

/* Says what is wrong and ends the program: figures of a run that went wrong are worth nothing. */
void give_up(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
