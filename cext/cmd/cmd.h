/* cmd/cmd.h - one command being executed, and what a handler may ask and tell.
 *
 * The dispatcher (cmd/dispatch.c) has looked up the row, checked arity, rights and memory, locked the stripes of the keys that the row
 * names, and for a WRITE row opened a transaction. A handler:
 *     parses its arguments (reply an error and return),
 *     looks keys up (key_for + ks_read / ks_write), checks the type (wrong_type replies WRONGTYPE),
 *     acts through types/ and keyspace/,
 *     tells what changed: cmd_modified() per changed key (watchers, notifications, waiters, dirty counter),
 *     replies.
 * It takes no stripe lock itself, unless its row says LOCK_SELF, makes no system call, and holds no malloc'ed memory.
 *
 * Replication: a WRITE command with c->dirty > 0 afterwards is logged as it was sent, unless it said otherwise
 * (cmd_propagate*, cmd_propagate_nothing). Effects, as Redis: SPOP logs SREM, EXPIRE logs PEXPIREAT, INCRBYFLOAT logs SET KEEPTTL.
 */
#ifndef SHOAL_CMD_CMD_H
#define SHOAL_CMD_CMD_H

#include "keyspace/keyspace.h"
#include "resp/reply.h"

struct command;
struct client;

struct cmd {
    const struct command *spec;
    struct client *client;   /* never NULL; replay and internal jobs have a client without a socket */
    struct reply *out;
    struct txn *txn;         /* open in WRITE rows (and in EXEC), else only for its locks */
    const struct slice *argv; /* argv[0] is the command's name; valid until the command ends */
    uint32_t argc;
    uint32_t db;             /* selected database */
    int64_t now_ms;          /* wall clock, constant during the command (and during an EXEC) */
    uint64_t dirty;          /* changes so far; 0 = nothing to log */
    uint32_t nkeys;          /* keys found by the row's key specs, hashed once */
    struct key_ref { uint32_t arg; uint64_t hash; } *keys;
    uint32_t key_next;       /* where key_for() looks first: handlers ask in order */
    bool in_exec;            /* inside EXEC or a script: must not block */
    bool replaying;          /* from the AOF: no replies, nothing blocks, expiry is not acted on */
    uint8_t propagate;       /* enum cmd_propagation */
};

enum cmd_propagation { PROPAGATE_AS_SENT, PROPAGATE_REPLACED, PROPAGATE_NOTHING };

typedef void command_fn(struct cmd *c);

/* The key in argv[i], hash taken from the dispatcher's plan. */
static ALWAYS_INLINE struct key key_for(struct cmd *c, uint32_t i)
{
    for (uint32_t n = 0, k = c->key_next; n < c->nkeys; n++, k++) {
        if (k >= c->nkeys) k = 0;
        if (unlikely(c->keys[k].arg != i)) continue;
        c->key_next = k + 1;
        return (struct key){c->argv[i], c->keys[k].hash, c->db};
    }
    return key_make(c->argv[i], c->db);
}
/* The n-th key that the row's key specs found, for commands with many. */
static ALWAYS_INLINE struct key key_nth(const struct cmd *c, uint32_t n)
{
    return (struct key){c->argv[c->keys[n].arg], c->keys[n].hash, c->db};
}

/* Replies WRONGTYPE and returns true when e exists and is of another type. */
bool wrong_type(struct cmd *c, const struct entry *e, enum obj_type want);

/* One key was changed: `event` is the keyspace notification's name ("set", "del", "lpush"), `cls` its class letter as in
 * notify-keyspace-events ('$' string, 'l', 's', 'h', 'z', 't', 'g' generic, 'x' expired, 'e' evicted, 'n' new). Adds 1 to dirty. */
void cmd_modified(struct cmd *c, const struct key *k, char cls, const char *event);
/* The same without adding to dirty, for the second and later effects on one key. */
void cmd_notify(struct cmd *c, const struct key *k, char cls, const char *event);
/* The same outside of a command. */
void cmd_changed(struct txn *t, const struct key *k, char cls, const char *event);

/* Instead of the command as sent, log these (may be called several times: they are logged in order). */
void cmd_propagate(struct cmd *c, uint32_t argc, const struct slice *argv);
void cmd_propagate_nothing(struct cmd *c);

/* ---- arguments: each replies the error and returns false; an `error` is the whole text ("ERR ..."), NULL: the one named here ---- */
bool arg_i64(struct cmd *c, uint32_t i, int64_t *v);                                     /* ERR value is not an integer or out of range */
bool arg_i64_range(struct cmd *c, uint32_t i, int64_t min, int64_t max, int64_t *v);     /* value is out of range, must be ... as Redis words it */
bool arg_i64_or(struct cmd *c, uint32_t i, int64_t *v, const char *error);               /* own words */
bool arg_double(struct cmd *c, uint32_t i, double *v, const char *error);                /* NULL: ERR value is not a valid float */
bool arg_long_double(struct cmd *c, uint32_t i, long double *v);
bool arg_is(const struct cmd *c, uint32_t i, const char *word);                          /* case-insensitive */
bool slice_is(struct slice s, const char *word);                                         /* the same for any bytes */
bool arg_i32(struct cmd *c, uint32_t i, const char *error, int32_t *v);
bool arg_db(struct cmd *c, uint32_t i, uint32_t *db);                                    /* a database's number */
bool db_exists(struct cmd *c, int32_t number);                                           /* ERR DB index is out of range */

/* The one parser of options (style.md): a row per option, in any order; a repeated one counts last, as in Redis.
 *   { "EX", OPT_I64, &ex, ... } takes a value (OPT_COUNT: a positive one, else ERR syntax error); { "NX", OPT_FLAG, &flags, FLAG_NX } sets bits. */
enum opt_kind { OPT_FLAG, OPT_I64, OPT_COUNT, OPT_SLICE, OPT_DOUBLE, OPT_I64_PAIR };
struct opt {
    const char *word;
    enum opt_kind kind;
    void *value;        /* uint32_t* or NULL (OPT_FLAG: |= bit), int64_t* (OPT_I64, OPT_COUNT), struct slice*, double*; OPT_I64_PAIR: int64_t[2] */
    uint32_t bit;       /* set in *seen when the option is there */
    uint32_t excludes;  /* bits of options before it that must not be there: ERR syntax error */
};
/* Parses argv[from..argc); replies ERR syntax error (or the value's error) and returns false on failure. `seen` collects bits. */
bool parse_options(struct cmd *c, uint32_t from, const struct opt *rows, uint32_t nrows, uint32_t *seen);

/* SCAN family: cursor text, MATCH, COUNT, TYPE; ERR invalid cursor and so on. */
bool arg_cursor(struct cmd *c, uint32_t i, uint64_t *cursor);

/* Blocking commands (list, zset, stream): cmd/blocking.h. */

#endif
