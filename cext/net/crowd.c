/* net/crowd.c - client eviction. How it counts and chooses: crowd.h. */
#include "net/crowd.h"

#include "cmd/multi.h"
#include "net/log.h"
#include "shm/slot.h"

static uint64_t relaxed(const _Atomic uint64_t *p) { return atomic_load_explicit(p, memory_order_relaxed); }

/* Bytes that all clients may hold; 0 = as many as they like. */
static uint64_t limit(void)
{
    int64_t set = setting(SET_maxmemory_clients);
    if (likely(!set)) return 0;
    if (set > 0) return (uint64_t)set;
    return (uint64_t)(setting(SET_maxmemory) / 100 * -set + setting(SET_maxmemory) % 100 * -set / 100);
}

static uint64_t memory_of(const struct client *c)
{
    uint64_t n = sizeof *c + c->query_cap + c->parser.cap * sizeof(struct slice) + c->out_memory + c->name.n;
    if (c->multi) n += c->multi->bytes + c->multi->cap * sizeof(void *);
    for (const struct watch *w = c->watches; w; w = w->next) n += sizeof *w + w->key.name.n;
    return n;
}

static void count(struct client *c, uint64_t now)
{
    uint64_t sum = relaxed(&my_slot->client_memory);
    atomic_store_explicit(&my_slot->client_memory, sum + now - c->counted_memory, memory_order_relaxed);
    atomic_store_explicit(&c->record->memory, now, memory_order_relaxed);
    c->counted_memory = now;
}

static uint64_t total(void)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < SLOT_MAX; i++) sum += relaxed(&slot_at(i)->client_memory);
    return sum;
}

struct crowd {
    uint64_t bytes;                /* of all that are not being closed */
    struct client_record *largest; /* that may be closed; NULL = none */
    uint64_t largest_bytes;
};

static struct crowd look(void)
{
    const uint32_t stays = CLIENT_FLAG_NO_EVICT | CLIENT_FLAG_REPLICA | CLIENT_FLAG_PRIMARY | CLIENT_FLAG_MONITOR;
    struct crowd found = {0};
    for (uint32_t i = 0; i < seg()->clients_max; i++) {
        struct client_record *r = client_record_at(i);
        uint32_t flags = atomic_load_explicit(&r->flags, memory_order_relaxed);
        uint64_t n = relaxed(&r->memory);
        if (!relaxed(&r->id) || flags & CLIENT_FLAG_CLOSE_ASAP) continue;
        found.bytes += n;
        if (flags & stays || n <= found.largest_bytes) continue;
        found.largest = r;
        found.largest_bytes = n;
    }
    return found;
}

static void evict(uint64_t most)
{
    for (struct crowd all = look(); all.bytes > most && all.largest; all = look()) {
        struct client_record *r = all.largest;
        uint64_t id = relaxed(&r->id);
        uint32_t before = atomic_fetch_or_explicit(&r->flags, CLIENT_FLAG_CLOSE_ASAP, memory_order_relaxed); /* not chosen again */
        if (before & CLIENT_FLAG_CLOSE_ASAP) continue; /* another worker was faster */
        server_log(LOG_NOTICE, "Evicting client: id=%llu addr=%s tot-mem=%llu", (unsigned long long)id, r->addr,
                   (unsigned long long)all.largest_bytes);
        stat_add(STAT_EVICTED_CLIENTS, 1);
        client_kill(atomic_load_explicit(&r->slot, memory_order_relaxed), id);
    }
}

void crowd_check(void)
{
    uint64_t most = limit();
    if (unlikely(most) && total() > most) evict(most);
}

void crowd_account(struct client *c)
{
    if (c->fd < 0 || c->close_asap) return;
    count(c, memory_of(c));
    crowd_check();
}

void crowd_forget(struct client *c)
{
    if (c->fd >= 0) count(c, 0);
}
