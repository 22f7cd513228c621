/* WebSocket frames (RFC 6455, section 5.2), as a client needs them; and what else bytes are searched for. */
#ifndef FRAMES_H
#define FRAMES_H

#include <stddef.h>
#include <stdint.h>

enum { TEXT = 1, CLOSE = 8, PING = 9, PONG = 10, FRAME_HEAD = 8 };

typedef struct {
    int opcode;
    const char *payload;
    size_t length;
} frame;

/* Writes a masked frame of up to 65,535 bytes; returns its length, at most FRAME_HEAD more than the payload's.
 * The mask is zero, which is legal and leaves the text readable in a trace. */
size_t write_frame(char *out, int opcode, const char *payload, size_t length);

/* Reads one whole, unmasked frame; returns how many bytes it took, 0 if it is not all there. */
size_t read_frame(const char *bytes, size_t length, frame *found);

#endif
