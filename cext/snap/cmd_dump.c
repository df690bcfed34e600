/* snap/cmd_dump.c - DUMP and RESTORE: one value as a payload that any Redis from 7.0 on can take, and back.
 *
 * Payload: type byte, value as in an RDB file, RDB version u16, CRC-64 of all before u64 (little-endian). We write the least version that
 * the value needs, and read all that rdb_version_known() names.
 *
 * RESTORE loads straight into the place of the key after a savepoint; a payload that turns out bad is rolled back to it. Inside bad
 * payloads nothing is followed unchecked: whatever sanitize-dump-payload says, everything is looked at, as a value must be read element by
 * element anyway to get into the arena. (Here and not in cmd/, because cmd/ lies below snap/.)
 */
#include "base/crc64.h"
#include "base/le.h"
#include "base/num.h"
#include "cmd/cmd.h"
#include "snap/dump.h"
#include "snap/rdb_load.h"
#include "snap/rdb_save.h"

#define FOOTER_BYTES 10

bool dump_payload(const struct entry *e, struct slice *payload)
{
    struct rdb_out o;
    rdb_out_collect(&o);
    o.compress = true;
    enum rdb_type type = rdb_type_of(&mem_live, e);
    rdb_put_byte(&o, (uint8_t)type);
    rdb_save_object(&o, &mem_live, e);
    uint8_t version[2], check[8];
    le_store16(version, (uint16_t)rdb_version_of(type));
    rdb_put_raw(&o, version, 2);
    le_store64(check, crc64(0, o.buf, o.len));
    rdb_put_raw(&o, check, 8);
    *payload = (struct slice){o.buf, o.len};
    return !rdb_failed(&o);
}

void cmd_dump(struct cmd *c)
{
    struct key k = key_for(c, 1);
    const struct entry *e = ks_read(&k);
    struct slice payload;
    if (!e)
        reply_null(c->out);
    else if (dump_payload(e, &payload))
        reply_bulk(c->out, payload.p, payload.n);
    else
        reply_errorf(c->out, "ERR the value is too large to be dumped");
}

/* ---- RESTORE ---- */

enum { RESTORE_REPLACE = 1, RESTORE_ABSTTL = 2, RESTORE_IDLE = 4, RESTORE_FREQ = 8 };

struct restore {
    uint32_t seen;   /* RESTORE_* */
    int64_t idle_s;
    int64_t freq;
    int64_t expire_ms; /* unix time; 0 = none */
};

static bool payload_sound(struct slice p)
{
    if (p.n < FOOTER_BYTES) return false;
    const uint8_t *footer = p.p + p.n - FOOTER_BYTES;
    if (!rdb_version_known(le_load16(footer))) return false;
    return setting(SET_skip_checksum_validation) || crc64(0, p.p, p.n - 8) == le_load64(footer + 2);
}

/* The options, their values checked as Redis does: each where it stands. */
static bool restore_options(struct cmd *c, struct restore *r)
{
    for (uint32_t i = 4; i < c->argc; i++) {
        bool value = i + 1 < c->argc;
        if (arg_is(c, i, "replace")) {
            r->seen |= RESTORE_REPLACE;
        } else if (arg_is(c, i, "absttl")) {
            r->seen |= RESTORE_ABSTTL;
        } else if (arg_is(c, i, "idletime") && value && !(r->seen & RESTORE_FREQ)) {
            if (!arg_i64(c, ++i, &r->idle_s)) return false;
            if (r->idle_s < 0) {
                reply_errorf(c->out, "ERR Invalid IDLETIME value, must be >= 0");
                return false;
            }
            r->seen |= RESTORE_IDLE;
        } else if (arg_is(c, i, "freq") && value && !(r->seen & RESTORE_IDLE)) {
            if (!arg_i64(c, ++i, &r->freq)) return false;
            if (r->freq < 0 || r->freq > 255) {
                reply_errorf(c->out, "ERR Invalid FREQ value, must be >= 0 and <= 255");
                return false;
            }
            r->seen |= RESTORE_FREQ;
        } else {
            reply_error(c->out, ERR_SYNTAX);
            return false;
        }
    }
    return true;
}

static bool restore_ttl(struct cmd *c, struct restore *r)
{
    int64_t ttl;
    if (!arg_i64(c, 2, &ttl)) return false;
    if (ttl < 0) {
        reply_errorf(c->out, "ERR Invalid TTL value, must be >= 0");
        return false;
    }
    bool relative = ttl && !(r->seen & RESTORE_ABSTTL);
    r->expire_ms = relative && ttl > INT64_MAX - c->now_ms ? INT64_MAX : relative ? ttl + c->now_ms : ttl;
    return true;
}

/* The key's time is over already: nothing is made, and what is there goes. */
static void restore_expired(struct cmd *c, const struct key *k)
{
    if (!ks_delete(c->txn, k)) return;
    const struct slice del[2] = {SLICE("DEL"), k->name};
    cmd_propagate(c, 2, del);
    cmd_modified(c, k, 'g', "del");
}

/* Logs the time as an absolute one. */
static void restore_log(struct cmd *c, const struct restore *r)
{
    if (!r->expire_ms || r->seen & RESTORE_ABSTTL) return;
    struct slice *argv = scratch_alloc((c->argc + 1) * sizeof *argv);
    uint8_t *digits = scratch_alloc(NUM_I64_ROOM);
    memcpy(argv, c->argv, c->argc * sizeof *argv);
    argv[2] = (struct slice){digits, num_from_i64(digits, r->expire_ms)};
    argv[c->argc] = SLICE("ABSTTL");
    cmd_propagate(c, c->argc + 1, argv);
}

static void restore_access(struct cmd *c, struct entry *e, const struct restore *r)
{
    int64_t policy = setting(SET_maxmemory_policy);
    bool lfu = policy == 2 || policy == 6; /* settings.def */
    if (lfu && r->seen & RESTORE_FREQ)
        store_access_clock(&e->access, ((uint32_t)(c->now_ms / 60000) & 0xffff) << 8 | (uint32_t)r->freq);
    else if (!lfu && r->seen & RESTORE_IDLE)
        store_access_clock(&e->access, (uint32_t)(c->now_ms / 1000 - r->idle_s) & 0xffffff);
}

void cmd_restore(struct cmd *c)
{
    struct restore r = {0};
    if (!restore_options(c, &r)) return;
    struct key k = key_for(c, 1);
    bool there = ks_write(c->txn, &k) != NULL;
    if (there && !(r.seen & RESTORE_REPLACE)) {
        reply_error(c->out, ERR_BUSYKEY);
        return;
    }
    if (!restore_ttl(c, &r)) return;
    struct slice payload = c->argv[3];
    if (!payload_sound(payload)) {
        reply_error(c->out, ERR_BADDUMP);
        return;
    }
    struct rdb_in in = {.p = payload.p + 1, .end = payload.p + payload.n - FOOTER_BYTES};
    txn_expect(c->txn, payload.n * 3); /* a guess: listpacks become as large, tables twice, and undo records stand beside them */
    struct txn_savepoint before = txn_savepoint(c->txn);
    struct entry *e;
    unsigned type = rdb_type_of_byte(payload.p[0], le_load16(in.end));
    if (payload.n == FOOTER_BYTES || rdb_load_object(&in, type, c->txn, &k, &e) != RDB_LOADED) {
        txn_rollback_to(c->txn, before);
        rdb_refused = in.why ? in.why : "Unknown type, or bytes that are missing or make no sense";
        reply_errorf(c->out, "ERR Bad data format");
        return;
    }
    if (r.expire_ms && r.expire_ms <= c->now_ms && !c->replaying) {
        txn_rollback_to(c->txn, before);
        restore_expired(c, &k);
        reply_ok(c->out);
        return;
    }
    if (r.expire_ms) e = ks_set_expire(c->txn, &k, e, r.expire_ms);
    restore_access(c, e, &r);
    restore_log(c, &r);
    cmd_modified(c, &k, 'g', "restore");
    reply_ok(c->out);
}
