/* snap/resp_base_key.c - the commands that make one key. What they are: resp_base.h. */
#include "base/num.h"
#include "snap/rdb_save.h"
#include "snap/resp_base.h"
#include "snap/value_walk.h"

#include <stdio.h>

/* ---- RESP ---- */

static void put_length(struct rdb_out *o, char kind, uint64_t n)
{
    char text[32];
    rdb_put_raw(o, text, (size_t)snprintf(text, sizeof text, "%c%llu\r\n", kind, (unsigned long long)n));
}

void resp_put_command(struct rdb_out *o, uint64_t words) { put_length(o, '*', words); }

void resp_put_bulk(struct rdb_out *o, struct slice s)
{
    put_length(o, '$', s.n);
    rdb_put_raw(o, s.p, s.n);
    rdb_put_raw(o, "\r\n", 2);
}

void resp_put_word(struct rdb_out *o, const char *word) { resp_put_bulk(o, (struct slice){(const uint8_t *)word, strlen(word)}); }

void resp_put_number(struct rdb_out *o, int64_t v)
{
    uint8_t digits[NUM_I64_ROOM];
    resp_put_bulk(o, (struct slice){digits, num_from_i64(digits, v)});
}

void resp_put_long(struct rdb_out *o, struct mem_reader *r, shm_off off, uint64_t n)
{
    put_length(o, '$', n);
    rdb_save_pieces(o, r, off, n);
    rdb_put_raw(o, "\r\n", 2);
}

/* ---- elements ---- */

struct making {
    struct rdb_out *o;
    struct mem_reader *r;
    struct slice key;
    const char *command;
    enum obj_type type;
    uint64_t left;     /* elements */
    uint32_t room;     /* of them, in the command that is open */
};

static void put_text(struct making *m, const struct walk_text *t)
{
    if (t->s.p || !t->s.n)
        resp_put_bulk(m->o, t->s);
    else
        resp_put_long(m->o, m->r, t->off, t->s.n);
}

static void put_element(const struct walk_item *item, void *arg)
{
    struct making *m = arg;
    bool pairs = m->type == OBJ_ZSET || m->type == OBJ_HASH;
    if (!m->left || rdb_failed(m->o)) return;
    if (!m->room) {
        m->room = (uint32_t)MIN(m->left, (uint64_t)RESP_BASE_ITEMS);
        resp_put_command(m->o, 2 + m->room * (pairs ? 2ull : 1));
        resp_put_word(m->o, m->command);
        resp_put_bulk(m->o, m->key);
    }
    if (m->type == OBJ_ZSET) {
        uint8_t digits[NUM_DOUBLE_ROOM];
        resp_put_bulk(m->o, (struct slice){digits, num_from_double(digits, item->score)});
    }
    put_text(m, &item->text);
    if (m->type == OBJ_HASH) put_text(m, &item->value);
    m->room--;
    m->left--;
}

static void put_field_time(const struct walk_item *item, void *arg)
{
    struct making *m = arg;
    if (item->expire_ms < 0) return;
    resp_put_command(m->o, 6);
    resp_put_word(m->o, "HPEXPIREAT");
    resp_put_bulk(m->o, m->key);
    resp_put_number(m->o, item->expire_ms);
    resp_put_word(m->o, "FIELDS");
    resp_put_number(m->o, 1);
    put_text(m, &item->text);
}

static void put_elements(struct rdb_out *o, struct mem_reader *r, const struct entry *e)
{
    static const char *const commands[8] = {[OBJ_LIST] = "RPUSH", [OBJ_SET] = "SADD", [OBJ_ZSET] = "ZADD", [OBJ_HASH] = "HSET"};
    struct making m = {o, r, entry_key(e), commands[entry_type(e)], entry_type(e), value_count(r, e), 0};
    value_each(r, e, put_element, &m);
    ENSURE(rdb_failed(o) || !m.left); /* else the last command promises more than it has */
    if (entry_type(e) == OBJ_HASH && entry_enc(e) != ENC_LISTPACK) value_each(r, e, put_field_time, &m);
}

/* ---- keys ---- */

static void put_string(struct rdb_out *o, struct mem_reader *r, const struct entry *e)
{
    resp_put_command(o, 3);
    resp_put_word(o, "SET");
    resp_put_bulk(o, entry_key(e));
    if (entry_enc(e) == ENC_INT)
        resp_put_number(o, *entry_int(e));
    else if (entry_enc(e) == ENC_EXT)
        resp_put_long(o, r, entry_ext(e)->off, entry_ext(e)->len);
    else
        resp_put_bulk(o, entry_bytes(e));
}

void resp_base_key(struct rdb_out *o, struct mem_reader *r, const struct entry *e)
{
    struct scratch_mark mark = scratch_mark();
    if (entry_type(e) == OBJ_STRING)
        put_string(o, r, e);
    else if (entry_type(e) == OBJ_STREAM)
        resp_base_stream(o, r, entry_key(e), *entry_root(e));
    else
        put_elements(o, r, e);
    if (entry_expire(e) >= 0) {
        resp_put_command(o, 3);
        resp_put_word(o, "PEXPIREAT");
        resp_put_bulk(o, entry_key(e));
        resp_put_number(o, entry_expire(e));
    }
    scratch_rewind(mark);
}
