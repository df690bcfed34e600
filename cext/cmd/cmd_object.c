/* cmd/cmd_object.c - looking inside: OBJECT ENCODING, REFCOUNT, IDLETIME, FREQ and MEMORY USAGE.
 *
 * None of them touches the access clock. Nothing is shared between keys here, yet REFCOUNT answers for small numbers what Redis
 * answers for its shared ones, since tools and tests compare it.
 *
 * Locks, transaction and death: as cmd/cmd.h says of handlers.
 */
#include "cmd/cmd_object.h"

#include "keyspace/objtype.h"

#define SHARED_INTEGERS 10000
#define LRU_AND_LFU_NOTE \
    " Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."

/* The entry, or NULL with null replied. */
static const struct entry *look_at(struct cmd *c, uint32_t arg)
{
    struct key k = key_for(c, arg);
    const struct entry *e = ks_peek(&k);
    if (!e) reply_null(c->out);
    return e;
}

void cmd_object_encoding(struct cmd *c)
{
    const struct entry *e = look_at(c, 2);
    if (e) reply_cstring(c->out, encoding_name(entry_enc(e)));
}

int64_t object_refcount(const struct entry *e)
{
    bool number = entry_type(e) == OBJ_STRING && entry_enc(e) == ENC_INT;
    return number && *entry_int(e) >= 0 && *entry_int(e) < SHARED_INTEGERS ? INT32_MAX : 1;
}

void cmd_object_refcount(struct cmd *c)
{
    const struct entry *e = look_at(c, 2);
    if (e) reply_int(c->out, object_refcount(e));
}

void cmd_object_idletime(struct cmd *c)
{
    const struct entry *e = look_at(c, 2);
    if (!e) return;
    if (policy_is_lfu())
        reply_errorf(c->out, "ERR An LFU maxmemory policy is selected, idle time not tracked." LRU_AND_LFU_NOTE);
    else
        reply_int(c->out, entry_idle_seconds(e));
}

void cmd_object_freq(struct cmd *c)
{
    const struct entry *e = look_at(c, 2);
    if (!e) return;
    if (!policy_is_lfu())
        reply_errorf(c->out, "ERR An LFU maxmemory policy is not selected, access frequency not tracked." LRU_AND_LFU_NOTE);
    else
        reply_int(c->out, entry_frequency(e));
}

/* ---- memory ---- */

uint64_t object_memory(const struct entry *e, uint64_t samples)
{
    uint64_t n = arena_usable(entry_size(e)) + sizeof(struct bucket) / HT_FILL;
    if (entry_type(e) != OBJ_STRING) return n + objtypes[entry_type(e)]->memory(entry_enc(e), *entry_root(e), samples);
    return entry_enc(e) == ENC_EXT ? n + arena_usable(entry_ext(e)->cap) : n;
}

void cmd_memory_usage(struct cmd *c)
{
    int64_t samples = 5;
    for (uint32_t i = 3; i < c->argc; i += 2) {
        if (!arg_is(c, i, "SAMPLES") || i + 1 == c->argc) {
            reply_error(c->out, ERR_SYNTAX);
            return;
        }
        if (!arg_i64(c, i + 1, &samples)) return;
        if (samples < 0) {
            reply_error(c->out, ERR_SYNTAX);
            return;
        }
    }
    const struct entry *e = look_at(c, 2);
    if (e) reply_int(c->out, (int64_t)object_memory(e, (uint64_t)samples));
}
