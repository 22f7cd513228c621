#define _GNU_SOURCE
#include "watched.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST_PROCESSES = 32 };

static pid_t processes[MOST_PROCESSES];
static clockid_t clocks[MOST_PROCESSES];
static int count;

static double read_clock(clockid_t clock) {
    struct timespec time;
    return clock_gettime(clock, &time) ? 0 : time.tv_sec + time.tv_nsec * 1e-9;
}

void watch_processes(const char *list) {
    char *copy = strdup(list);
    for (char *word = strtok(copy, ","); word && count < MOST_PROCESSES; word = strtok(NULL, ",")) {
        processes[count] = atoi(word);
        if (!clock_getcpuclockid(processes[count], &clocks[count])) count++;
    }
    free(copy);
}

/* proc(5): after the name in brackets, user and system time are the twelfth and thirteenth fields. */
static void add_parts(pid_t process, usage *sum) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", process);
    FILE *file = fopen(path, "r");
    if (!file) return;
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    unsigned long user, system;
    const char *rest = strrchr(text, ')');
    if (rest && sscanf(rest + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) == 2) {
        sum->user += (double)user / sysconf(_SC_CLK_TCK);
        sum->system += (double)system / sysconf(_SC_CLK_TCK);
    }
}

usage read_usage(void) {
    usage sum = {0};
    for (int i = 0; i < count; i++) {
        sum.cpu += read_clock(clocks[i]);
        add_parts(processes[i], &sum);
    }
    return sum;
}

static int thread_is_asleep(int process, const char *thread) {
    char path[320], text[1024];
    snprintf(path, sizeof path, "/proc/%d/task/%s/stat", process, thread);
    FILE *file = fopen(path, "r");
    if (!file) return 1; /* it has ended */
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    const char *state = strrchr(text, ')');
    return !state || state[2] != 'R';
}

int is_asleep(void) {
    int asleep = 1;
    for (int i = 0; i < count; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/task", processes[i]);
        DIR *threads = opendir(path);
        if (!threads) continue;
        for (struct dirent *each; (each = readdir(threads));)
            if (each->d_name[0] != '.' && !thread_is_asleep(processes[i], each->d_name)) asleep = 0;
        closedir(threads);
    }
    return asleep;
}

long resident_bytes(void) {
    long sum = 0;
    for (int i = 0; i < count; i++) {
        char path[64];
        long pages;
        snprintf(path, sizeof path, "/proc/%d/statm", processes[i]);
        FILE *file = fopen(path, "r");
        if (!file) continue;
        if (fscanf(file, "%*d %ld", &pages) == 1) sum += pages * sysconf(_SC_PAGESIZE);
        fclose(file);
    }
    return sum;
}

double own_cpu(void) {
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}
