#include "phases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crowd.h"
#include "watched.h"

#define CONNECT_SECONDS 240.0
#define DELIVERY_SECONDS 60.0
#define SETTLE_SECONDS 120.0
#define LOOK_SECONDS 0.1
#define QUIET_SECONDS 0.004

enum { LONGEST_PUBLICATION = 2048, WARM_CLIENTS = 100, WARM_DELIVERIES = 5000, FEWEST_PUBLICATIONS = 3 };

/* The clocks at the beginning of something. */
typedef struct {
    double at, own;
    usage server;
} edge;

static int warm_clients;
static long warm_bytes; /* of the server, with the publisher and these */

static edge begin(void) {
    return (edge){.at = now_seconds(), .own = own_cpu(), .server = read_usage()};
}

/* Takes what comes for a while; returns whether the server slept whenever it was looked at, and used next to no CPU. */
static int is_quiet(void) {
    double cpu = read_usage().cpu;
    int quiet = 1;
    for (double until = now_seconds() + LOOK_SECONDS; now_seconds() < until;) {
        pump(20);
        quiet &= is_asleep();
    }
    return quiet && read_usage().cpu - cpu < QUIET_SECONDS;
}

void settle(void) {
    double until = now_seconds() + SETTLE_SECONDS;
    for (int quiet = 0; quiet < 2;) {
        if (now_seconds() > until) give_up("the server never came to rest");
        quiet = is_quiet() ? quiet + 1 : 0;
    }
}

static void open_sockets(int first, int last, int at_once) {
    double until = now_seconds() + CONNECT_SECONDS;
    int next = first, ready_before = arrived.ready;
    while (arrived.ready - ready_before < last - first + 1) {
        while (next <= last && next - first - (arrived.ready - ready_before) < at_once) open_socket(next++);
        pump(50);
        if (now_seconds() > until)
            give_up("%d of %d sockets were acknowledged", arrived.ready - ready_before, last - first + 1);
    }
}

/* What a runtime compiles and a server loads when it is first needed is nobody's cost of a connection, so the first
 * clients are not counted: time and memory are of those after them. */
static int warm_up(const plan *how) {
    int last = how->clients / 2 < WARM_CLIENTS ? how->clients / 2 : WARM_CLIENTS;
    open_sockets(0, last, how->at_once);
    for (int i = 1; i <= last; i++) subscribe(i);
    settle();
    return last;
}

void measure_connecting(const plan *how) {
    warm_clients = warm_up(how);
    warm_bytes = resident_bytes();
    edge start = begin();
    open_sockets(warm_clients + 1, how->clients, how->at_once);
    double took = now_seconds() - start.at;
    settle();
    int count = how->clients - warm_clients;
    printf("\"connect\":{\"cpu_us\":%.2f,\"per_second\":%.0f}", (read_usage().cpu - start.server.cpu) * 1e6 / count,
        count / took);
}

/* Ends when nothing is missing; a server that is this late is broken. */
static void wait_delivered(uint64_t wanted) {
    double patience = now_seconds() + DELIVERY_SECONDS;
    for (uint64_t last = 0; arrived.delivered < wanted;) {
        pump(50);
        if (arrived.delivered != last) patience = now_seconds() + DELIVERY_SECONDS;
        last = arrived.delivered;
        if (now_seconds() > patience)
            give_up("%lu of %lu deliveries came", (unsigned long)arrived.delivered, (unsigned long)wanted);
    }
}

static void publish_one(void) {
    char out[LONGEST_PUBLICATION];
    publish(out, write_publication(out));
}

static void begin_counting(size_t room) {
    free(arrived.latencies);
    arrived.latencies = room ? malloc(room * sizeof *arrived.latencies) : NULL;
    arrived.latency_room = room;
    arrived.latency_count = 0;
    arrived.delivered = 0;
}

void measure_subscribing(const plan *how) {
    edge start = begin();
    for (int i = warm_clients + 1; i <= how->clients; i++) {
        subscribe(i);
        if (i % how->at_once == 0) pump(0);
    }
    settle();
    int count = how->clients - warm_clients;
    printf(",\"subscribe\":{\"cpu_us\":%.2f}", (read_usage().cpu - start.server.cpu) * 1e6 / count);
    long bytes = resident_bytes();
    printf(",\"memory\":{\"socket_bytes\":%.0f,\"bytes\":%ld}", (double)(bytes - warm_bytes) / count, bytes);
    begin_counting(0);
    for (int i = 1; i <= FEWEST_PUBLICATIONS || arrived.delivered < WARM_DELIVERIES; i++) {
        publish_one();
        wait_delivered((uint64_t)how->clients * i);
    }
}

static int compare(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static void print_latencies(void) {
    size_t count = arrived.latency_count;
    uint32_t *all = arrived.latencies;
    if (!count) return;
    qsort(all, count, sizeof *all, compare);
    printf(",\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"most_ms\":%.3f", all[count / 2] / 1e3, all[(size_t)(count * 0.99)] / 1e3,
        all[count - 1] / 1e3);
}

static void print_deliveries(const edge *start) {
    usage server = read_usage();
    double took = arrived.last_at * 1e-9 - start->at, cpu = server.cpu - start->server.cpu;
    double user = server.user - start->server.user, system = server.system - start->server.system;
    printf("{\"cpu_us\":%.4f,\"per_second\":%.0f,\"user_share\":%.2f,\"server_share\":%.2f,\"generator_share\":%.2f",
        cpu * 1e6 / arrived.delivered, arrived.delivered / took, user + system ? user / (user + system) : 0,
        cpu / took, (own_cpu() - start->own) / took);
    print_latencies();
    printf("}");
}

static void run_serial(const plan *how) {
    begin_counting((size_t)how->serial * how->clients);
    edge start = begin();
    for (int i = 1; i <= how->serial; i++) {
        publish_one();
        wait_delivered((uint64_t)i * how->clients);
    }
    print_deliveries(&start);
}

static void run_burst(const plan *how) {
    char *all = malloc((size_t)how->burst * LONGEST_PUBLICATION);
    size_t length = 0;
    for (int i = 0; i < how->burst; i++) length += write_publication(all + length);
    begin_counting(0);
    edge start = begin();
    publish(all, length);
    free(all);
    wait_delivered((uint64_t)how->burst * how->clients);
    print_deliveries(&start);
}

static void repeat(const plan *how, const char *name, void (*run)(const plan *)) {
    printf(",\"%s\":[", name);
    for (int i = 0; i < how->runs; i++) {
        settle();
        if (i) printf(",");
        run(how);
    }
    printf("]");
}

void measure_serial(const plan *how) {
    if (how->serial) repeat(how, "serial", run_serial);
}

void measure_burst(const plan *how) {
    if (how->burst) repeat(how, "burst", run_burst);
}

void measure_paced(const plan *how) {
    int count = (int)(how->rate * how->seconds);
    if (!count) return;
    settle();
    begin_counting((size_t)count * how->clients);
    edge start = begin();
    for (int i = 0; i < count; i++) {
        double due = start.at + i / how->rate;
        for (double left; (left = due - now_seconds()) > 0;) pump(left > 0.002 ? (int)(left * 1000) : 0);
        publish_one();
    }
    wait_delivered((uint64_t)count * how->clients);
    printf(",\"paced\":");
    print_deliveries(&start);
}
