/* What is measured, one phase after the other; each writes its part of the answer, a member of one JSON object. */
#ifndef PHASES_H
#define PHASES_H

typedef struct {
    int clients, at_once; /* sockets; those that are being opened at a time */
    int runs, serial, burst; /* publications in each run of the two phases */
    double rate, seconds; /* publications a second, and for how long, in the paced phase; 0 for none */
} plan;

/* From the first byte of a connection to its ack. */
void measure_connecting(const plan *how);

/* A subscription whose document the server has seen before, and the memory of one such socket. */
void measure_subscribing(const plan *how);

/* One publication at a time, the next one when all have received it: nothing can be joined. */
void measure_serial(const plan *how);

/* All publications at once, as a server gets them that is busy. */
void measure_burst(const plan *how);

/* Publications at a steady rate: how late they come. */
void measure_paced(const plan *how);

/* Queries over HTTP by so many connections, each sending the next when it has its answer. */
void measure_queries(int port, const char *path, const char *token, const char *body, int connections, double seconds);

/* Waits until the server has nothing more to do. */
void settle(void);

#endif
