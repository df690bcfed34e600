/* snap/rdb_head.c - the aux fields at a file's start. Contract: rdb_head.h. */
#include "snap/rdb_head.h"

#include <unistd.h>

#include "base/num.h"
#include "snap/rdb_in.h"

#define HEAD_BYTES 4096u

static bool is_name(struct slice s, const char *name) { return s.n == strlen(name) && !memcmp(s.p, name, s.n); }

bool rdb_magic(const uint8_t p[RDB_MAGIC_BYTES], unsigned *version)
{
    uint32_t name = !memcmp(p, "REDIS", 5) ? 5 : !memcmp(p, "VALKEY", 6) ? 6 : 0;
    *version = 0;
    for (uint32_t i = name; i < RDB_MAGIC_BYTES; i++) {
        if (p[i] < '0' || p[i] > '9') return false;
        *version = *version * 10 + (unsigned)(p[i] - '0');
    }
    return name != 0;
}

bool rdb_head_read(int fd, struct rdb_head *out)
{
    uint8_t bytes[HEAD_BYTES], op;
    ssize_t n = pread(fd, bytes, sizeof bytes, 0);
    *out = (struct rdb_head){0};
    if (n < (ssize_t)RDB_MAGIC_BYTES || !rdb_magic(bytes, &out->version)) return false;
    struct rdb_in in = {.p = bytes + RDB_MAGIC_BYTES, .end = bytes + n};
    struct slice name, value;
    int64_t ctime = 0, v;
    while (rdb_get_byte(&in, &op) && op == RDB_OP_AUX && rdb_get_string(&in, &name) && rdb_get_string(&in, &value)) {
        if (!num_parse_i64(value.p, value.n, &v)) continue;
        if (is_name(name, RDB_AUX_LSN)) out->lsn = (uint64_t)v;
        if (is_name(name, RDB_AUX_CUT_MS)) out->cut_ms = v;
        if (is_name(name, "ctime")) ctime = v;
    }
    scratch_reset();
    if (!out->cut_ms) out->cut_ms = ctime * 1000;
    return true;
}
