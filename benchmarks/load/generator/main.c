/* Loads one GraphQL server and prints what that cost it, as one JSON object.
 *
 * Clients connect, present their tokens in `connection_init`, and subscribe, each with an id of its own; one more
 * socket publishes with a mutation. CPU time is that of the server's processes, read at the edges of each phase.
 * Everything is on loopback, bounded, and ends with status 1 and a sentence where anything is missing or refused. */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crowd.h"
#include "phases.h"
#include "watched.h"

enum { QUERY_CONNECTIONS = 8 };

typedef struct {
    manner crowd;
    plan phases;
    const char *processes, *query;
    double query_seconds;
} options;

/* One a line. */
static void read_tokens(const char *path, manner *crowd) {
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    if (!file) give_up("cannot read %s", path);
    for (ssize_t length; (length = getline(&line, &room, file)) > 0; line = NULL) {
        line[strcspn(line, "\n")] = 0;
        crowd->tokens = realloc(crowd->tokens, (crowd->token_count + 1) * sizeof *crowd->tokens);
        crowd->tokens[crowd->token_count++] = line;
    }
    fclose(file);
    if (!crowd->token_count) give_up("no token in %s", path);
}

static const struct option names[] = {
    {"port", required_argument, NULL, 'p'},      {"path", required_argument, NULL, 'P'},
    {"processes", required_argument, NULL, 'i'}, {"tokens", required_argument, NULL, 't'},
    {"addresses", required_argument, NULL, 'a'}, {"event", required_argument, NULL, 'e'},
    {"subscribe", required_argument, NULL, 's'}, {"publish", required_argument, NULL, 'm'},
    {"clients", required_argument, NULL, 'n'},   {"at-once", required_argument, NULL, 'o'},
    {"runs", required_argument, NULL, 'r'},      {"serial", required_argument, NULL, 'S'},
    {"burst", required_argument, NULL, 'b'},     {"rate", required_argument, NULL, 'R'},
    {"seconds", required_argument, NULL, 'd'},   {"query", required_argument, NULL, 'q'},
    {"query-seconds", required_argument, NULL, 'Q'}, {NULL, 0, NULL, 0},
};

static void read_options(int count, char **words, options *chosen) {
    manner *crowd = &chosen->crowd;
    plan *phases = &chosen->phases;
    for (int name; (name = getopt_long(count, words, "", names, NULL)) != -1;) {
        switch (name) {
            case 'p': crowd->port = atoi(optarg); break;
            case 'P': crowd->path = optarg; break;
            case 'i': chosen->processes = optarg; break;
            case 't': read_tokens(optarg, crowd); break;
            case 'a': crowd->addresses = atoi(optarg); break;
            case 'e': crowd->event = optarg; break;
            case 's': crowd->subscribe = optarg; break;
            case 'm': crowd->publish = optarg; break;
            case 'n': phases->clients = atoi(optarg); break;
            case 'o': phases->at_once = atoi(optarg); break;
            case 'r': phases->runs = atoi(optarg); break;
            case 'S': phases->serial = atoi(optarg); break;
            case 'b': phases->burst = atoi(optarg); break;
            case 'R': phases->rate = atof(optarg); break;
            case 'd': phases->seconds = atof(optarg); break;
            case 'q': chosen->query = optarg; break;
            case 'Q': chosen->query_seconds = atof(optarg); break;
            default: exit(2);
        }
    }
}

static void measure_sockets(const options *chosen) {
    const plan *phases = &chosen->phases;
    gather(&chosen->crowd, phases->clients);
    measure_connecting(phases);
    measure_subscribing(phases);
    measure_serial(phases);
    measure_burst(phases);
    measure_paced(phases);
    printf(",\"frame_bytes\":%zu", arrived.frame_bytes);
    close_all();
    settle(); /* a server that still cleans up answers no query undisturbed */
}

int main(int count, char **words) {
    options chosen = {
        .crowd = {.path = "/graphql", .event = "messageAdded", .addresses = 1},
        .phases = {.at_once = 64, .runs = 1},
        .processes = "",
    };
    setvbuf(stdout, NULL, _IONBF, 0); /* whoever reads along sees how far it is */
    read_options(count, words, &chosen);
    watch_processes(chosen.processes);
    printf("{");
    if (chosen.phases.clients) measure_sockets(&chosen);
    if (chosen.query) {
        if (chosen.phases.clients) printf(",");
        measure_queries(chosen.crowd.port, chosen.crowd.path, chosen.crowd.tokens[0], chosen.query, QUERY_CONNECTIONS,
            chosen.query_seconds);
    }
    printf("}\n");
    return 0;
}
