/* Queries over HTTP: a closed loop of a few connections that stay open. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crowd.h"
#include "phases.h"
#include "watched.h"

#define LEAST_WARM_SECONDS 1.0
#define MOST_SECONDS 20.0

enum { MOST_CONNECTIONS = 64, ANSWER_ROOM = 1 << 18, FEWEST_ANSWERS = 400, LONGEST_REQUEST = 16384 };

typedef struct {
    int fd;
    size_t length;
    char answer[ANSWER_ROOM];
} asker;

static char request[LONGEST_REQUEST];
static int request_length;

static void ask(asker *each) {
    each->length = 0;
    if (send(each->fd, request, request_length, MSG_NOSIGNAL) != request_length) give_up("a query could not be sent");
}

static void connect_asker(asker *each, int port, int poller, int number) {
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(port)};
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int yes = 1;
    each->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(each->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(each->fd, (void *)&server, sizeof server)) give_up("no connection for queries");
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = number};
    epoll_ctl(poller, EPOLL_CTL_ADD, each->fd, &event);
    ask(each);
}

/* By content-length, or by the last chunk: no answer is cut in a way that only looks like one. */
static int is_complete(const asker *each) {
    const char *end = strstr(each->answer, "\r\n\r\n");
    if (!end) return 0;
    const char *length = strcasestr(each->answer, "\r\ncontent-length:");
    if (length && length < end) return each->length >= (size_t)(end + 4 - each->answer) + atol(length + 17);
    return each->length > 7 && !memcmp(each->answer + each->length - 7, "\r\n0\r\n\r\n", 7);
}

/* Returns whether an answer is there in full. */
static int take_answer(asker *each) {
    ssize_t came = recv(each->fd, each->answer + each->length, ANSWER_ROOM - 1 - each->length, 0);
    if (came <= 0) give_up("a connection for queries was lost");
    each->length += came;
    each->answer[each->length] = 0;
    if (!is_complete(each)) return 0;
    if (memcmp(each->answer + 9, "200", 3) || strstr(each->answer, "\"errors\""))
        give_up("a query failed: %.600s", each->answer);
    return 1;
}

/* Asks for some seconds, and longer where the machine is so busy that hardly anything was answered. */
static long ask_for(asker *all, int poller, double seconds, size_t *answer_bytes) {
    struct epoll_event events[MOST_CONNECTIONS];
    double at = now_seconds();
    long count = 0;
    while (now_seconds() < at + seconds || (count < FEWEST_ANSWERS && now_seconds() < at + MOST_SECONDS)) {
        int ready = epoll_wait(poller, events, MOST_CONNECTIONS, 100);
        for (int i = 0; i < ready; i++) {
            asker *each = &all[events[i].data.u32];
            if (!take_answer(each)) continue;
            *answer_bytes = each->length;
            count++;
            ask(each);
        }
    }
    return count;
}

void measure_queries(int port, const char *path, const char *token, const char *body, int connections, double seconds) {
    size_t answer_bytes = 0;
    int poller = epoll_create1(0);
    asker *all = calloc(connections, sizeof *all);
    if (connections > MOST_CONNECTIONS) give_up("at most %d connections", MOST_CONNECTIONS);
    request_length = snprintf(request, sizeof request,
        "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
        "Accept: application/graphql-response+json, application/json\r\nAuthorization: Bearer %s\r\n"
        "Content-Length: %zu\r\n\r\n%s",
        path, port, token, strlen(body), body);
    for (int i = 0; i < connections; i++) connect_asker(&all[i], port, poller, i);
    ask_for(all, poller, seconds > LEAST_WARM_SECONDS ? seconds : LEAST_WARM_SECONDS, &answer_bytes);
    double at = now_seconds(), own = own_cpu(), cpu = read_usage().cpu;
    long count = ask_for(all, poller, seconds, &answer_bytes);
    double took = now_seconds() - at;
    printf("\"query\":{\"cpu_us\":%.2f,\"per_second\":%.0f,\"generator_share\":%.2f,\"answer_bytes\":%zu}",
        (read_usage().cpu - cpu) * 1e6 / count, count / took, (own_cpu() - own) / took, answer_bytes);
    for (int i = 0; i < connections; i++) close(all[i].fd);
    free(all);
}
