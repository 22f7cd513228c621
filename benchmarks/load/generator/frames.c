#include "frames.h"

#include <string.h>

size_t write_frame(char *out, int opcode, const char *payload, size_t length) {
    size_t at = 0;
    out[at++] = (char)(0x80 | opcode);
    if (length < 126) {
        out[at++] = (char)(0x80 | length);
    } else {
        out[at++] = (char)(0x80 | 126);
        out[at++] = (char)(length >> 8);
        out[at++] = (char)(length & 0xff);
    }
    memset(out + at, 0, 4);
    memcpy(out + at + 4, payload, length);
    return at + 4 + length;
}

static uint64_t big_endian(const unsigned char *bytes, int count) {
    uint64_t value = 0;
    for (int i = 0; i < count; i++) value = value << 8 | bytes[i];
    return value;
}

size_t read_frame(const char *bytes, size_t length, frame *found) {
    const unsigned char *head = (const unsigned char *)bytes;
    if (length < 2) return 0;
    size_t start = 2;
    uint64_t size = head[1] & 0x7f;
    int more = size == 126 ? 2 : size == 127 ? 8 : 0;
    if (more) {
        if (length < start + more) return 0;
        size = big_endian(head + start, more);
        start += more;
    }
    if (length - start < size) return 0;
    *found = (frame){.opcode = head[0] & 0xf, .payload = bytes + start, .length = size};
    return start + size;
}
