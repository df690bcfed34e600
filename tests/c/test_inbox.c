/* tests/c/test_inbox.c - messages between processes: order, wrapping, a full ring, waking a sleeper, a sender's death. */
#include "check.h"
#include "rnd.h"
#include "segment_fixture.h"
#include "shm/inbox.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>

static uint64_t received, wrong;

static void take(const struct inbox_message *m, const void *p)
{
    const uint8_t *bytes = p;
    uint64_t number;
    memcpy(&number, bytes, sizeof number);
    if (number != received || m->kind != INBOX_PUSH || m->bytes != 8 + number * 37 % 3000) wrong++;
    for (uint32_t i = 8; i < m->bytes; i++) wrong += bytes[i] != (uint8_t)(number + i);
    received++;
}

static bool send_numbered(uint64_t number)
{
    static uint8_t bytes[8 + 3000];
    uint32_t n = (uint32_t)(8 + number * 37 % 3000);
    memcpy(bytes, &number, 8);
    for (uint32_t i = 8; i < n; i++) bytes[i] = (uint8_t)(number + i);
    return inbox_send(1, INBOX_PUSH, bytes, n);
}

static void in_order_and_around_the_end(void)
{
    received = wrong = 0;
    for (uint64_t i = 0; i < 2000; i++) {
        CHECK(send_numbered(i));
        if (i % 7 == 0) inbox_receive(take);
    }
    inbox_receive(take);
    CHECK_EQ(received, 2000);
    CHECK_EQ(wrong, 0);
}

static void full_rings_fail_and_lose_nothing(void)
{
    uint64_t sent = 0;
    received = wrong = 0;
    while (send_numbered(sent)) sent++;
    CHECK(sent > INBOX_BYTES / 3100 && sent < INBOX_BYTES / 1000);
    CHECK_EQ(inbox_receive(take), sent);
    CHECK(send_numbered(sent));
    inbox_receive(take);
    CHECK_EQ(received, sent + 1);
    CHECK_EQ(wrong, 0);
    static uint8_t large[INBOX_BYTES];
    CHECK(!inbox_send(1, INBOX_PUSH, large, sizeof large));
}

static void child_sends(uint64_t count)
{
    slot_acquire(2, SLOT_WORKER);
    for (uint64_t i = 0; i < count; i++)
        while (!send_numbered(i)) {}
    _exit(0);
}

static void sleepers_are_woken(void)
{
    received = wrong = 0;
    inbox_eventfd[1] = eventfd(0, EFD_NONBLOCK);
    pid_t pid = fork();
    if (pid == 0) child_sends(20000);
    while (received < 20000) {
        if (inbox_may_sleep()) {
            struct pollfd p = {inbox_eventfd[1], POLLIN, 0};
            CHECK(poll(&p, 1, 5000) == 1);
            uint64_t n;
            CHECK(read(inbox_eventfd[1], &n, sizeof n) == sizeof n);
        }
        inbox_awake();
        inbox_receive(take);
        if (check_failures) break;
    }
    CHECK_EQ(wrong, 0);
    waitpid(pid, NULL, 0);
    close(inbox_eventfd[1]);
    inbox_eventfd[1] = -1;
}

/* Senders killed at any instruction: what arrives is whole and in order, and the lock is free again after the heir's repair. */
static void senders_may_die(void)
{
    for (int round = 0; round < 60; round++) {
        received = wrong = 0;
        pid_t pid = fork();
        if (pid == 0) child_sends(UINT64_MAX);
        struct timespec nap = {0, (long)(rnd() % 2000000)};
        for (int i = 0; i < 3; i++) {
            inbox_receive(take);
            nanosleep(&nap, NULL);
        }
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        slot_acquire(2, SLOT_WORKER);
        slot_repair();
        slot_acquire(1, SLOT_WORKER);
        inbox_receive(take);
        CHECK_EQ(wrong, 0);
        CHECK(send_numbered(received));
        inbox_receive(take);
        CHECK_EQ(wrong, 0);
        if (check_failures) return;
    }
}

int main(void)
{
    int fd = fixture_open(64 << 20);
    RUN(in_order_and_around_the_end);
    RUN(full_rings_fail_and_lose_nothing);
    RUN(sleepers_are_woken);
    RUN(senders_may_die);
    fixture_close(fd);
    return check_report();
}
