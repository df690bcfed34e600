/* cmd/digest.c - SHA-1 digests of values and of the whole dataset, equal to those of Redis' DEBUG DIGEST.
 *
 * mix(x) makes the digest depend on the order of what is mixed, add(x) does not: keys of a database are added. Pure computation over the
 * entries; the caller holds the stripes.
 */
#include "base/le.h"
#include "base/sha.h"
#include "cmd/cmd_object.h"
#include "cmd/cmd_string.h"
#include "types/hash.h"
#include "types/list.h"
#include "types/set.h"
#include "types/stream.h"
#include "types/zset.h"

#include <stdio.h>

static void add(uint8_t digest[DIGEST_BYTES], const void *p, size_t n)
{
    uint8_t hash[SHA1_BYTES];
    sha1_bytes(p, n, hash);
    for (int i = 0; i < DIGEST_BYTES; i++) digest[i] ^= hash[i];
}

static void mix(uint8_t digest[DIGEST_BYTES], const void *p, size_t n)
{
    uint8_t before[DIGEST_BYTES];
    add(digest, p, n);
    memcpy(before, digest, DIGEST_BYTES);
    sha1_bytes(before, DIGEST_BYTES, digest);
}

static void mix_number(uint8_t digest[DIGEST_BYTES], uint32_t v)
{
    uint8_t bytes[4];
    be_store32(bytes, v);
    mix(digest, bytes, sizeof bytes);
}

static bool mix_element(const struct lp_value *v, void *digest)
{
    uint8_t room[NUM_I64_ROOM];
    struct slice s = hash_text(v, room);
    mix(digest, s.p, s.n);
    return true;
}

static bool add_member(const struct lp_value *v, void *digest)
{
    uint8_t room[NUM_I64_ROOM];
    struct slice s = hash_text(v, room);
    add(digest, s.p, s.n);
    return true;
}

static bool add_scored(const struct zmember *m, void *digest)
{
    uint8_t one[DIGEST_BYTES] = {0};
    char score[32];
    mix(one, m->name.p, m->name.n);
    int n = snprintf(score, sizeof score, "%.17g", m->score);
    mix(one, score, (size_t)n);
    add(digest, one, DIGEST_BYTES);
    return true;
}

static bool add_field(const struct hash_field *f, void *digest)
{
    uint8_t one[DIGEST_BYTES] = {0}, room[NUM_I64_ROOM];
    struct slice name = hash_text(&f->field, room);
    mix(one, name.p, name.n);
    struct slice value = hash_text(&f->value, room);
    mix(one, value.p, value.n);
    add(digest, one, DIGEST_BYTES);
    return true;
}

static void mix_stream(uint8_t digest[DIGEST_BYTES], const struct entry *e)
{
    struct stream_iter it;
    struct stream_id id;
    uint32_t fields;
    stream_iterate(&it, stream_of(e), (struct stream_id){0, 0}, (struct stream_id){UINT64_MAX, UINT64_MAX}, false);
    while (stream_next(&it, &id, &fields)) {
        char text[48];
        int n = snprintf(text, sizeof text, "%llu.%llu", (unsigned long long)id.ms, (unsigned long long)id.seq);
        mix(digest, text, (size_t)n);
        for (uint32_t i = 0; i < fields; i++) {
            uint8_t froom[NUM_I64_ROOM], vroom[NUM_I64_ROOM];
            struct slice field, value;
            stream_pair(&it, &field, froom, &value, vroom);
            mix(digest, field.p, field.n);
            mix(digest, value.p, value.n);
        }
    }
}

bool object_digest(const struct entry *e, uint8_t digest[DIGEST_BYTES])
{
    struct digits room;
    mix_number(digest, entry_type(e));
    switch (entry_type(e)) {
    case OBJ_STRING: {
        struct slice s = string_bytes(e, &room);
        mix(digest, s.p, s.n);
        break;
    }
    case OBJ_LIST: list_each(entry_enc(e), *entry_root(e), mix_element, digest); break;
    case OBJ_SET: set_each(entry_enc(e), *entry_root(e), add_member, digest); break;
    case OBJ_ZSET: zset_each(entry_enc(e), *entry_root(e), add_scored, digest); break;
    case OBJ_HASH: hash_each(entry_enc(e), *entry_root(e), add_field, digest); break;
    case OBJ_STREAM: mix_stream(digest, e); break;
    default: return false;
    }
    if (entry_expire(e) >= 0) add(digest, "!!expire!!", 10);
    return true;
}

struct digest_walk {
    uint8_t digest[DIGEST_BYTES];
    uint32_t db;
    bool db_mixed; /* the database's number is mixed in before its first key; one without keys leaves no trace */
    bool ok;
};

static void add_key(const struct entry *e, void *arg)
{
    struct digest_walk *w = arg;
    uint8_t one[DIGEST_BYTES] = {0};
    struct slice key = entry_key(e);
    if (!w->db_mixed) mix_number(w->digest, w->db);
    w->db_mixed = true;
    mix(one, key.p, key.n);
    w->ok &= object_digest(e, one);
    add(w->digest, one, DIGEST_BYTES);
}

bool dataset_digest(uint8_t digest[DIGEST_BYTES])
{
    struct digest_walk w = {.ok = true};
    for (uint32_t db = 0; db < seg()->databases; db++) {
        w.db = db;
        w.db_mixed = false;
        for (uint64_t cursor = 0; (cursor = ks_scan(db, cursor, add_key, &w)) != 0;) {}
    }
    memcpy(digest, w.digest, DIGEST_BYTES);
    return w.ok;
}
