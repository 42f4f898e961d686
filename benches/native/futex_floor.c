// The least a request to another process can cost: 400 bytes out, 8 bytes back through shared memory, each side woken
// by a bare futex. The model worker's round trip is judged against this, in the same run and on the same CPUs.
//
//   cc -O3 -o futex_floor futex_floor.c
//   ./futex_floor [round trips = 20000] [client cpu = last allowed] [worker cpu = client cpu] [gap between calls, us = 0]
//
// Prints one JSON object: p50_ns, p99_ns, p999_ns, max_ns, n, client_cpu, worker_cpu, gap_us. The gap is slept through,
// so that a paced run has the cold caches of a paced pipeline. Exit 2: could not run.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { REQUEST_BYTES = 400, ANSWER_BYTES = 8, WARM_UP = 1000 };

typedef struct {
    _Alignas(64) _Atomic uint32_t asked;
    _Alignas(64) _Atomic uint32_t answered;
    _Alignas(64) char request[REQUEST_BYTES];
    _Alignas(64) char answer[ANSWER_BYTES];
} shared_t;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static int pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return sched_setaffinity(0, sizeof set, &set);
}

static int last_allowed_cpu(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set)) return 0;
    for (int cpu = CPU_SETSIZE - 1; cpu > 0; cpu--)
        if (CPU_ISSET(cpu, &set)) return cpu;
    return 0;
}

// Waits until `word` holds `value`; both sides count up by one, so before it holds `value` it holds `value - 1`.
static void await(_Atomic uint32_t *word, uint32_t value) {
    while (atomic_load(word) != value) syscall(SYS_futex, word, FUTEX_WAIT, value - 1, NULL, NULL, 0);
}

static void publish(_Atomic uint32_t *word, uint32_t value) {
    atomic_store(word, value);
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

// A worker that failed leaves nobody to wake the client.
static void worker_ended(int signal_number) {
    (void)signal_number;
    int status;
    if (waitpid(-1, &status, WNOHANG) > 0 && status != 0) _exit(2);
}

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    int n = argc > 1 ? atoi(argv[1]) : 20000;
    int client_cpu = argc > 2 ? atoi(argv[2]) : last_allowed_cpu();
    int worker_cpu = argc > 3 ? atoi(argv[3]) : client_cpu;
    int gap_us = argc > 4 ? atoi(argv[4]) : 0;
    if (n < 1 || gap_us < 0) {
        fprintf(stderr, "futex_floor: need at least one round trip and a gap of 0 or more\n");
        return 2;
    }
    shared_t *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    int64_t *took = malloc((size_t)n * sizeof *took);
    if (shared == MAP_FAILED || !took) {
        perror("futex_floor");
        return 2;
    }
    uint32_t calls = (uint32_t)n + WARM_UP;

    signal(SIGCHLD, worker_ended);
    pid_t worker = fork();
    if (worker < 0) {
        perror("futex_floor: fork");
        return 2;
    }
    if (worker == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (pin(worker_cpu)) _exit(2);
        char request[REQUEST_BYTES];
        for (uint32_t i = 1; i <= calls; i++) {
            await(&shared->asked, i);
            memcpy(request, shared->request, REQUEST_BYTES);
            memcpy(shared->answer, request, ANSWER_BYTES);
            publish(&shared->answered, i);
        }
        _exit(0);
    }
    if (pin(client_cpu)) {
        perror("futex_floor: cannot pin the client");
        kill(worker, SIGKILL);
        return 2;
    }
    prctl(PR_SET_TIMERSLACK, 1);
    char request[REQUEST_BYTES] = {1}, answer[ANSWER_BYTES];
    int64_t due = now_ns();
    for (uint32_t i = 1; i <= calls; i++) {
        if (gap_us) {
            due += gap_us * 1000ll;
            struct timespec t = {due / 1000000000, due % 1000000000};
            while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {}
        }
        int64_t begin = now_ns();
        memcpy(request, &i, sizeof i);
        memcpy(shared->request, request, REQUEST_BYTES);
        publish(&shared->asked, i);
        await(&shared->answered, i);
        memcpy(answer, shared->answer, ANSWER_BYTES);
        int64_t end = now_ns();
        if (memcmp(answer, request, sizeof i)) {
            fprintf(stderr, "futex_floor: wrong answer to call %u\n", i);
            return 2;
        }
        if (i > WARM_UP) took[i - WARM_UP - 1] = end - begin;
    }
    waitpid(worker, NULL, 0);

    qsort(took, (size_t)n, sizeof *took, ascending);
    printf("{\"p50_ns\": %lld, \"p99_ns\": %lld, \"p999_ns\": %lld, \"max_ns\": %lld, \"n\": %d, \"client_cpu\": %d, "
           "\"worker_cpu\": %d, \"gap_us\": %d}\n",
           (long long)took[(int)(0.5 * (n - 1))], (long long)took[(int)(0.99 * (n - 1))],
           (long long)took[(int)(0.999 * (n - 1))], (long long)took[n - 1], n, client_cpu, worker_cpu, gap_us);
    return 0;
}
