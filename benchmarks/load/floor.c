/* What the kernel charges: a server that says `graphql-transport-ws` by rote and does nothing but send().
 *
 * One thread. Every client gets the same ack; a publication is framed once and leaves with one send() for each
 * subscriber, all with the same bytes. Nothing is verified, parsed or executed, so this is a floor and no server.
 * Listens on loopback, on the port that is its argument, and ends with standard input: with whoever started it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 70000, BATCH = 256, LONGEST = 65536 };

static int subscribers[MOST], subscriber_count, is_open[MOST], poller;
static char *rests[MOST]; /* the beginning of a frame whose end has not come */
static size_t rest_lengths[MOST];
static char incoming[1 << 20];

static void say(int fd, const char *bytes, size_t length) {
    while (send(fd, bytes, length, MSG_NOSIGNAL) < 0 && errno == EAGAIN) usleep(100);
}

static size_t write_frame(char *out, const char *text, size_t length) {
    size_t at = 0;
    out[at++] = (char)0x81;
    if (length > 125) {
        out[at++] = 126;
        out[at++] = (char)(length >> 8);
    }
    out[at++] = (char)(length & 0xff);
    memcpy(out + at, text, length);
    return at + length;
}

static void say_text(int fd, const char *text, size_t length) {
    char out[LONGEST];
    say(fd, out, write_frame(out, text, length));
}

/* What is said begins with the stamp's @ and ends with the string. */
static void deliver(const char *mutation, size_t length) {
    char text[LONGEST], out[LONGEST];
    const char *said = memchr(mutation, '@', length);
    if (!said) return;
    size_t size = strcspn(said, "\"");
    int all = snprintf(text, sizeof text,
        "{\"id\":\"5f0c2f9e-7d0a-4b6e-9a37-000000000001\",\"type\":\"next\",\"payload\":{\"data\":{\"messageAdded\":"
        "{\"id\":\"84\",\"user\":\"user1\",\"text\":\"%.*s\"}}}}",
        (int)size, said);
    size_t framed = write_frame(out, text, all);
    for (int i = 0; i < subscriber_count; i++) say(subscribers[i], out, framed);
}

static void take_text(int fd, const char *text, size_t length) {
    static const char ack[] = "{\"type\":\"connection_ack\"}";
    if (memmem(text, length, "connection_init", 15)) say_text(fd, ack, sizeof ack - 1);
    else if (memmem(text, length, "mutation", 8)) deliver(text, length);
    else if (memmem(text, length, "subscription", 12)) subscribers[subscriber_count++] = fd;
}

static void keep(int fd, const char *bytes, size_t length) {
    char *kept = NULL;
    if (length) memcpy(kept = malloc(length), bytes, length);
    free(rests[fd]);
    rests[fd] = kept;
    rest_lengths[fd] = length;
}

static void leave(int fd) {
    keep(fd, NULL, 0);
    close(fd);
    for (int i = 0; i < subscriber_count; i++)
        if (subscribers[i] == fd) subscribers[i--] = subscribers[--subscriber_count];
}

/* Takes all whole frames, and returns how many bytes these were. The generator masks with zeros. */
static size_t take_frames(int fd, const char *bytes, size_t length) {
    size_t at = 0;
    while (length - at >= 8) {
        const unsigned char *head = (const unsigned char *)bytes + at;
        size_t size = head[1] & 0x7f, start = 6;
        if (size == 126) size = head[2] << 8 | head[3], start = 8;
        if (length - at < start + size) break;
        take_text(fd, bytes + at + start, size);
        at += start + size;
    }
    return at;
}

static void take(int fd) {
    static const char welcome[] =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Protocol: graphql-transport-ws\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    size_t before = rest_lengths[fd];
    if (before) memcpy(incoming, rests[fd], before);
    ssize_t came = recv(fd, incoming + before, sizeof incoming - before, 0);
    if (came <= 0) {
        leave(fd);
    } else if (!is_open[fd]) {
        is_open[fd] = 1;
        say(fd, welcome, sizeof welcome - 1);
    } else {
        size_t all = before + came, taken = take_frames(fd, incoming, all);
        keep(fd, incoming + taken, all - taken);
    }
}

static void watch(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

static void let_in(int listener) {
    int yes = 1;
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0; watch(fd)) {
        if (fd >= MOST) exit(1);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        is_open[fd] = 0;
    }
}

int main(int count, char **words) {
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(count > 1 ? atoi(words[1]) : 0)};
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (void *)&own, sizeof own) || listen(listener, 4096)) return 1;
    poller = epoll_create1(0);
    watch(listener);
    watch(STDIN_FILENO);
    for (struct epoll_event events[BATCH];;) {
        int ready = epoll_wait(poller, events, BATCH, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == STDIN_FILENO) return 0;
            if (events[i].data.fd == listener) let_in(listener);
            else take(events[i].data.fd);
        }
    }
}
