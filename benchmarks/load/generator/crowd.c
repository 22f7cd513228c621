#define _GNU_SOURCE
#include "crowd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "frames.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

enum { LONGEST = 16384, BATCH = 512, PUBLISHER = 0 };

typedef enum { UNUSED, CONNECTING, SHAKING_HANDS, INITIALISING, READY } stage;

typedef struct {
    int fd;
    stage at;
    char *rest; /* the beginning of a frame whose end has not come */
    size_t rest_length;
} client;

arrivals arrived;
static manner how;
static client *clients;
static int client_count, poller;
static char incoming[1 << 20];

double now_seconds(void) {
    return now_nanoseconds() * 1e-9;
}

uint64_t now_nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ull + time.tv_nsec;
}

void give_up(const char *format, ...) {
    va_list values;
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    exit(1);
}

void gather(const manner *given, int wanted) {
    how = *given;
    client_count = wanted + 1;
    clients = calloc(client_count, sizeof *clients);
    poller = epoll_create1(0);
}

static void watch(int number, int operation, uint32_t events) {
    struct epoll_event event = {.events = events | EPOLLET, .data.u32 = number};
    if (epoll_ctl(poller, operation, clients[number].fd, &event)) give_up("epoll: %s", strerror(errno));
}

void open_socket(int number) {
    client *each = &clients[number];
    int yes = 1;
    each->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (each->fd < 0) give_up("socket %d: %s", number, strerror(errno));
    setsockopt(each->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    /* One address has some 28,000 ports, and those of sockets that were closed rest for a minute. */
    setsockopt(each->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    struct sockaddr_in own = {.sin_family = AF_INET};
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + number % how.addresses);
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(how.port)};
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(each->fd, (void *)&own, sizeof own)) give_up("bind: %s", strerror(errno));
    if (connect(each->fd, (void *)&server, sizeof server) && errno != EINPROGRESS)
        give_up("connect: %s", strerror(errno));
    each->at = CONNECTING;
    watch(number, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

/* Nothing but the publisher ever has more to say than a socket's buffer holds. */
static void say(int number, const char *bytes, size_t length) {
    while (length) {
        ssize_t taken = send(clients[number].fd, bytes, length, MSG_NOSIGNAL);
        if (taken < 0) {
            if (errno != EAGAIN) give_up("socket %d cannot send: %s", number, strerror(errno));
            pump(1);
            continue;
        }
        bytes += taken;
        length -= taken;
    }
}

static void say_text(int number, const char *text, size_t length) {
    char out[LONGEST + FRAME_HEAD];
    if (length > LONGEST) give_up("a message of %zu bytes", length);
    say(number, out, write_frame(out, TEXT, text, length));
}

static void shake_hands(int number) {
    char text[LONGEST];
    int length = snprintf(text, sizeof text,
        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n",
        how.path, how.port);
    watch(number, EPOLL_CTL_MOD, EPOLLIN);
    clients[number].at = SHAKING_HANDS;
    say(number, text, length);
}

static void initialise(int number) {
    char text[LONGEST];
    int length = snprintf(text, sizeof text, "{\"type\":\"connection_init\",\"payload\":{\"accessToken\":\"%s\"}}",
        how.tokens[number % how.token_count]);
    clients[number].at = INITIALISING;
    say_text(number, text, length);
}

void subscribe(int number) {
    char text[LONGEST];
    /* Clients choose random ids; those of all others differ, so nothing can be saved by sending all the same bytes. */
    int length = snprintf(text, sizeof text,
        "{\"id\":\"5f0c2f9e-7d0a-4b6e-9a37-%012d\",\"type\":\"subscribe\",\"payload\":%s}", number, how.subscribe);
    say_text(number, text, length);
}

size_t write_publication(char *out) {
    static unsigned count;
    char text[LONGEST];
    const char *mark = strstr(how.publish, "STAMP");
    int length = snprintf(text, sizeof text, "{\"id\":\"m%u\",\"type\":\"subscribe\",\"payload\":%.*s@%019lu@%s}",
        count++, (int)(mark - how.publish), how.publish, (unsigned long)now_nanoseconds(), mark + 5);
    return write_frame(out, TEXT, text, length);
}

void publish(const char *bytes, size_t length) {
    say(PUBLISHER, bytes, length);
}

static void take_answer(const frame *found) {
    if (memmem(found->payload, found->length, "\"errors\"", 8) || memmem(found->payload, found->length, "\"error\"", 7))
        give_up("a publication failed: %.*s", (int)found->length, found->payload);
}

static void take_delivery(const frame *found) {
    if (!memmem(found->payload, found->length, how.event, strlen(how.event)))
        give_up("a subscription failed: %.*s", (int)found->length, found->payload);
    uint64_t now = now_nanoseconds();
    const char *mark = memchr(found->payload, '@', found->length);
    if (mark && arrived.latency_count < arrived.latency_room)
        arrived.latencies[arrived.latency_count++] = (uint32_t)((now - strtoull(mark + 1, NULL, 10)) / 1000);
    arrived.delivered++;
    arrived.last_at = now;
    arrived.frame_bytes = found->length;
}

static void take_frame(int number, const frame *found) {
    client *each = &clients[number];
    if (found->opcode == PING) {
        char out[FRAME_HEAD + 125];
        say(number, out, write_frame(out, PONG, found->payload, found->length));
    } else if (found->opcode == CLOSE) {
        int reason = found->length > 2 ? (int)found->length - 2 : 0;
        give_up("socket %d was closed: %.*s", number, reason, found->payload + 2);
    } else if (found->opcode == TEXT && each->at == INITIALISING) {
        if (!memmem(found->payload, found->length, "connection_ack", 14)) give_up("no ack for socket %d", number);
        each->at = READY;
        arrived.ready++;
    } else if (found->opcode == TEXT) {
        if (number == PUBLISHER) take_answer(found);
        else take_delivery(found);
    }
}

/* Returns how much of the bytes was the answer to the handshake; 0 if it is not all there. */
static size_t take_handshake(int number, const char *bytes, size_t length) {
    const char *end = memmem(bytes, length, "\r\n\r\n", 4);
    if (!end) return 0;
    if (memcmp(bytes + 9, "101", 3)) give_up("no handshake: %.*s", (int)length, bytes);
    initialise(number);
    return end + 4 - bytes;
}

static size_t take_bytes(int number, const char *bytes, size_t length) {
    size_t at = 0, taken;
    frame found;
    if (clients[number].at == SHAKING_HANDS) {
        at = take_handshake(number, bytes, length);
        if (!at) return 0;
    }
    while ((taken = read_frame(bytes + at, length - at, &found))) {
        take_frame(number, &found);
        at += taken;
    }
    return at;
}

static void keep(client *each, const char *rest, size_t length) {
    char *kept = NULL;
    if (length) memcpy(kept = malloc(length), rest, length);
    free(each->rest);
    each->rest = kept;
    each->rest_length = length;
}

static void take(int number) {
    client *each = &clients[number];
    for (;;) {
        size_t before = each->rest_length, room = sizeof incoming - before;
        if (before) memcpy(incoming, each->rest, before);
        ssize_t came = recv(each->fd, incoming + before, room, 0);
        if (came < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (came <= 0) give_up("socket %d was lost: %s", number, came ? strerror(errno) : "end of file");
        size_t taken = take_bytes(number, incoming, before + came);
        keep(each, incoming + taken, before + came - taken);
        if ((size_t)came < room) return;
    }
}

void pump(int milliseconds) {
    static int depth; /* taking a frame may mean to say something, and to say it may mean to wait here */
    struct epoll_event events[BATCH];
    if (depth) return;
    depth++;
    int count = epoll_wait(poller, events, BATCH, milliseconds);
    for (int i = 0; i < count; i++) {
        int number = events[i].data.u32;
        if (clients[number].at == CONNECTING && events[i].events & EPOLLOUT) shake_hands(number);
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) take(number);
    }
    depth--;
}

void close_all(void) {
    for (int i = 0; i < client_count; i++) {
        if (clients[i].at != UNUSED) close(clients[i].fd);
        keep(&clients[i], NULL, 0);
    }
    free(clients);
    client_count = 0;
}
