/* cmd/digest.c - SHA-1 digests of values and of the whole dataset, equal to those of Redis' DEBUG DIGEST.
 *
 * mix(x) makes the digest depend on the order of what is mixed, add(x) does not: keys of a database are added. Pure computation over the
 * entries; the caller holds the stripes.
 */
#include "base/le.h"
#include "base/sha.h"
#include "cmd/cmd_object.h"
#include "cmd/cmd_string.h"

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

bool object_digest(const struct entry *e, uint8_t digest[DIGEST_BYTES])
{
    struct digits room;
    if (entry_type(e) != OBJ_STRING) return false;
    mix_number(digest, entry_type(e));
    struct slice s = string_bytes(e, &room);
    mix(digest, s.p, s.n);
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
