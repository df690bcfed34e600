/* cmd/cmd_debug.c - the parts of DEBUG that look at keys or at the worker that runs them; every other part is Python's.
 *
 * The row is LOCK_SELF: a subcommand takes the stripes that it looks at, unless EXEC holds them all already. SLEEP stops this worker,
 * holding nothing outside of EXEC; the others see the time in the header when they wake up and stand still until then (net/worker.c). Dies
 * the sleeper, they still wait for that time.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/glob.h"
#include "base/sha.h"
#include "cmd/client.h"
#include "cmd/cmd_object.h"
#include "cmd/cmd_string.h"
#include "cmd/handlers.h"
#include "keyspace/interest.h"
#include "shm/client_record.h"

/* Takes the key's stripe for reading; returns whether to give it back. */
static bool enter_key(struct cmd *c, const struct key *k)
{
    if (txn_holds(c->txn, stripe_of(k->hash))) return false;
    txn_lock_stripe(c->txn, stripe_of(k->hash));
    return true;
}

static void leave_key(struct cmd *c, bool entered)
{
    if (entered) txn_unlock(c->txn);
}

/* Bytes that a dump.rdb takes for the value before compression; of a collection what it takes in memory. */
static uint64_t serialized_length(const struct entry *e)
{
    struct digits room;
    if (entry_type(e) != OBJ_STRING) return object_memory(e, 0);
    struct slice s = string_bytes(e, &room);
    if (entry_enc(e) == ENC_INT && *entry_int(e) == (int32_t)*entry_int(e)) {
        int64_t v = *entry_int(e);
        return v == (int8_t)v ? 2 : v == (int16_t)v ? 3 : 5;
    }
    return s.n + (s.n < 1 << 6 ? 1 : s.n < 1 << 14 ? 2 : s.n <= UINT32_MAX ? 5 : 9);
}

static void debug_object(struct cmd *c)
{
    struct key k = key_make(c->argv[2], c->db);
    char text[256];
    bool entered = enter_key(c, &k);
    const struct entry *e = ks_peek(&k);
    if (e)
        snprintf(text, sizeof text, "Value at:0x%llx refcount:%lld encoding:%s serializedlength:%llu lru:%u lru_seconds_idle:%u",
                 (unsigned long long)shm_offset(e), (long long)object_refcount(e), encoding_name(entry_enc(e)),
                 (unsigned long long)serialized_length(e), e->access & 0xffffff, policy_is_lfu() ? 0 : entry_idle_seconds(e));
    leave_key(c, entered);
    if (e)
        reply_status(c->out, text);
    else
        reply_error(c->out, ERR_NOSUCHKEY);
}

static void reply_digest(struct cmd *c, const uint8_t digest[DIGEST_BYTES])
{
    char text[2 * DIGEST_BYTES + 1] = "";
    hex_text(text, digest, DIGEST_BYTES);
    reply_status(c->out, text);
}

static void debug_digest_value(struct cmd *c)
{
    reply_array(c->out, c->argc - 2);
    for (uint32_t i = 2; i < c->argc; i++) {
        uint8_t digest[DIGEST_BYTES] = {0};
        struct key k = key_make(c->argv[i], c->db);
        bool entered = enter_key(c, &k), ok = true;
        const struct entry *e = ks_peek(&k);
        if (e) ok = object_digest(e, digest);
        leave_key(c, entered);
        if (ok)
            reply_digest(c, digest);
        else
            reply_errorf(c->out, "ERR DEBUG DIGEST-VALUE does not know this type");
    }
}

static void debug_digest(struct cmd *c)
{
    uint8_t digest[DIGEST_BYTES];
    bool entered = !c->txn->all_locked;
    if (entered) txn_lock_all(c->txn);
    bool ok = dataset_digest(digest);
    if (entered) txn_unlock(c->txn);
    if (ok)
        reply_digest(c, digest);
    else
        reply_errorf(c->out, "ERR DEBUG DIGEST does not know the type of some value");
}

/* The decimal number at the start of an argument, as Redis reads these: whatever follows is ignored, and no number is 0. */
static double loose_number(struct slice s)
{
    char text[64];
    size_t n = MIN(s.n, sizeof text - 1);
    memcpy(text, s.p, n);
    text[n] = 0;
    return strtod(text, NULL);
}

static void debug_sleep(struct cmd *c)
{
    double seconds = loose_number(c->argv[2]);
    if (seconds > 0) {
        _Atomic int64_t *until = &seg()->stopped_until_us;
        struct timespec left = {(time_t)MIN(seconds, 1e9), (long)((seconds - floor(seconds)) * 1e9)};
        int64_t end = clock_mono_us() + left.tv_sec * 1000000 + left.tv_nsec / 1000, seen = atomic_load_explicit(until, memory_order_relaxed);
        while (seen < end && !atomic_compare_exchange_weak_explicit(until, &seen, end, memory_order_relaxed, memory_order_relaxed)) {}
        while (nanosleep(&left, &left) != 0) {}
    }
    reply_ok(c->out);
}

static void debug_active_expire(struct cmd *c)
{
    atomic_store_explicit(&seg()->settings[SET_active_expire_enabled], loose_number(c->argv[2]) != 0, memory_order_relaxed);
    reply_ok(c->out);
}

static void debug_skip_checksum(struct cmd *c)
{
    atomic_store_explicit(&seg()->settings[SET_skip_checksum_validation], loose_number(c->argv[2]) != 0, memory_order_relaxed);
    reply_ok(c->out);
}

/* STRINGMATCH-LEN length pattern: does the pattern match so many times the letter a? For timing patterns. */
static void debug_stringmatch(struct cmd *c)
{
    int64_t n;
    if (!arg_i64_range(c, 2, 0, 1 << 26, &n)) return;
    uint8_t *text = scratch_alloc((size_t)n + 1);
    memset(text, 'a', (size_t)n);
    reply_int(c->out, glob_match(c->argv[3].p, c->argv[3].n, text, (size_t)n, false));
}

/* Stores one key unless it is there. Outside of EXEC each is a transaction of its own; a database without a table needs all stripes. */
static void populate_key(struct cmd *c, const struct key *k, struct slice value)
{
    struct txn *t = c->txn;
    bool own = !t->active;
    if (own) {
        txn_begin(t);
        if (ks_db_size(c->db))
            txn_lock_stripe(t, stripe_of(k->hash));
        else
            txn_lock_all(t);
    }
    if (!ks_write(t, k)) {
        ks_set_raw(t, k, value, TTL_CLEAR);
        interest_modified(t, k);
    }
    if (own) txn_commit(t);
}

/* POPULATE count [prefix [size]]: keys prefix:0, prefix:1 ... with values value:0 ..., cut or filled with zeros to `size`. Not logged, as
 * in Redis. When memory has to grow on the way the dispatcher starts it again, and what is there is passed over. */
static void debug_populate(struct cmd *c)
{
    int64_t count, size = 0;
    if (!arg_i64_range(c, 2, 0, UINT32_MAX, &count)) return;
    if (c->argc > 4 && !arg_i64_range(c, 4, 0, 512 << 20, &size)) return;
    struct slice prefix = c->argc > 3 ? c->argv[3] : SLICE("key");
    char *name = scratch_alloc(prefix.n + 24), *value = scratch_alloc((size_t)MAX(size, 32));
    memcpy(name, prefix.p, prefix.n);
    for (int64_t i = 0; i < count; i++) {
        char text[32];
        size_t n = prefix.n + (size_t)snprintf(name + prefix.n, 24, ":%lld", (long long)i);
        size_t used = (size_t)snprintf(text, sizeof text, "value:%lld", (long long)i), len = size ? (size_t)size : used;
        memset(value, 0, len);
        memcpy(value, text, MIN(used, len));
        struct key k = key_make((struct slice){(const uint8_t *)name, n}, c->db);
        populate_key(c, &k, (struct slice){(const uint8_t *)value, len});
    }
    reply_ok(c->out);
}

/* enable-debug-command: no, yes, or only for clients of this machine. */
static bool permitted(const struct client *cl)
{
    const char *addr = cl->record->addr;
    int64_t who = setting(SET_enable_debug_command);
    bool local = cl->flags & CLIENT_FLAG_UNIX_SOCKET || strncmp(addr, "127.0.0.1:", 10) == 0 || strncmp(addr, "[::1]:", 6) == 0;
    return who == 1 || (who == 2 && local);
}

static const struct debug_part {
    const char *word;
    uint32_t min, max; /* arguments with DEBUG and the word */
    command_fn *run;
} parts[] = {
    {"OBJECT", 3, 4, debug_object},
    {"DIGEST", 2, 2, debug_digest},
    {"DIGEST-VALUE", 3, UINT32_MAX, debug_digest_value},
    {"SLEEP", 3, 3, debug_sleep},
    {"SET-ACTIVE-EXPIRE", 3, 3, debug_active_expire},
    {"SET-SKIP-CHECKSUM-VALIDATION", 3, 3, debug_skip_checksum},
    {"STRINGMATCH-LEN", 4, 4, debug_stringmatch},
    {"POPULATE", 3, 5, debug_populate},
};

static const struct debug_part *part_of(const struct cmd *c)
{
    for (uint32_t i = 0; i < ARRAY_LEN(parts); i++)
        if (arg_is(c, 1, parts[i].word) && c->argc >= parts[i].min && c->argc <= parts[i].max) return &parts[i];
    return NULL;
}

bool debug_in_c(const struct cmd *c) { return part_of(c) != NULL; }

void cmd_debug(struct cmd *c)
{
    if (!permitted(c->client)) {
        reply_errorf(c->out, "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it "
                             "from a local connection, otherwise you need to set this option in the configuration file, and then "
                             "restart the server.");
        return;
    }
    const struct debug_part *part = part_of(c);
    if (part)
        part->run(c);
    else
        cmd_python(c);
}
