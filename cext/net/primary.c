/* net/primary.c - executing our primary's stream, and telling it how far we are. What a death means: primary.h. */
#include "net/primary.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmd/replica.h"
#include "keyspace/keyspace.h"
#include "net/log.h"
#include "net/worker.h"
#include "shm/replica_link.h"

#define ACK_EVERY_MS 1000
#define WORDS_EVERY_MS 1000 /* the log is not filled with commands that fail */

static struct client *primary; /* NULL = another worker has it, or nobody */
static int64_t acked_ms, said_ms;

static int64_t now_ms(void) { return clock_cached_mono_us() / 1000; }

bool primary_arrived(int fd, uint64_t number)
{
    struct replica_link *l = replica_link();
    uint64_t expected = LINK_ON_ITS_WAY;
    if (atomic_load(&l->number) != number || primary) {
        close(fd);
        return false;
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    struct client *c = client_create(fd, false);
    if (!c) {
        close(fd);
        link_sweep(my_slot_index);
        return false;
    }
    if (!atomic_compare_exchange_strong(&l->client_id, &expected, c->id) || !worker_watch_client(c)) {
        client_close_asap(c);
        return true;
    }
    c->authenticated = true;
    client_set_flags(c, CLIENT_FLAG_PRIMARY, 0);
    client_set_db(c, (uint32_t)l->db);
    c->link_at = l->offset;
    primary = c;
    acked_ms = 0;
    atomic_store(&l->heard_ms, now_ms());
    atomic_store(&l->state, LINK_CONNECTED);
    return true;
}

bool primary_begin(struct client *c)
{
    if (!is_replica()) { /* it was made a primary itself: nothing more of that stream */
        client_close_asap(c);
        return false;
    }
    atomic_store_explicit(&replica_link()->heard_ms, now_ms(), memory_order_relaxed);
    ks_expiry_on = false;
    return true;
}

void primary_end(struct client *c, size_t used)
{
    c->link_at += used;
    ks_expiry_on = true;
}

void primary_replied(struct client *c, struct reply *r)
{
    if (r->errors && now_ms() - said_ms > WORDS_EVERY_MS) {
        said_ms = now_ms();
        server_log(LOG_WARNING, "== CRITICAL == A command of the primary failed here, before offset %llu", (unsigned long long)replica_link()->offset);
    }
    if (r->errors) stat_add(STAT_UNEXPECTED_ERRORS, 1);
    r->len = 0;
    r->broken = false;
    if (c->close_after_reply) client_close_asap(c);
}

void primary_ack(struct client *c)
{
    char text[96], digits[24];
    int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)replica_link()->offset);
    n = snprintf(text, sizeof text, "*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$%d\r\n%s\r\n", n, digits);
    client_push_ungated(c, text, (size_t)n);
    acked_ms = now_ms();
}

void primary_turn(void)
{
    struct client *c = primary;
    if (likely(!c) || c->close_asap) return;
    if (!is_replica()) {
        client_close_asap(c);
        return;
    }
    if (now_ms() - c->active_ms > setting(SET_repl_timeout) * 1000) {
        server_log(LOG_WARNING, "MASTER timeout: no data nor PING received...");
        client_close_asap(c);
        return;
    }
    if (now_ms() - acked_ms >= ACK_EVERY_MS) primary_ack(c);
}

void primary_client_closed(struct client *c)
{
    if (c != primary) return;
    primary = NULL;
    server_log(LOG_NOTICE, "Connection with master lost.");
    link_free();
}
