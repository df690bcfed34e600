/* cmd/command_table.h - the rows of commands.def as a table: look-up by name, flags, ACL categories, key positions.
 *
 * The table lives in private memory and is the same in every process: command_table_init() completes it once, before
 * the first fork; afterwards it is read only, so no lock is needed and a death in the middle of anything leaves nothing
 * to repair. Not for: running a command (cmd/dispatch), per-command statistics (they are indexed by `index`).
 */
#ifndef SHOAL_CMD_COMMAND_TABLE_H
#define SHOAL_CMD_COMMAND_TABLE_H

#include "base/base.h"
#include "cmd/keyspec.h"

struct cmd; /* cmd/cmd.h: one call of a command */

/* Flags of a command. Up to CMD_ALLOW_BUSY with Redis' meaning and shown by COMMAND INFO, the rest are ours. */
#define CMD_WRITE (UINT64_C(1) << 0)              /* may change keys */
#define CMD_READONLY (UINT64_C(1) << 1)           /* reads keys */
#define CMD_DENYOOM (UINT64_C(1) << 2)            /* refused when memory is full */
#define CMD_ADMIN (UINT64_C(1) << 3)
#define CMD_PUBSUB (UINT64_C(1) << 4)
#define CMD_NOSCRIPT (UINT64_C(1) << 5)           /* refused in scripts */
#define CMD_BLOCKING (UINT64_C(1) << 6)           /* may wait */
#define CMD_LOADING (UINT64_C(1) << 7)            /* allowed while the dataset is being loaded */
#define CMD_STALE (UINT64_C(1) << 8)              /* allowed on a replica with old data */
#define CMD_SKIP_MONITOR (UINT64_C(1) << 9)
#define CMD_SKIP_SLOWLOG (UINT64_C(1) << 10)
#define CMD_ASKING (UINT64_C(1) << 11)
#define CMD_FAST (UINT64_C(1) << 12)              /* O(1) or O(log N) */
#define CMD_NO_AUTH (UINT64_C(1) << 13)           /* allowed before AUTH */
#define CMD_MAY_REPLICATE (UINT64_C(1) << 14)
#define CMD_NO_MANDATORY_KEYS (UINT64_C(1) << 15) /* may be called with no key though it has key specs */
#define CMD_NO_ASYNC_LOADING (UINT64_C(1) << 16)
#define CMD_NO_MULTI (UINT64_C(1) << 17)          /* refused in a transaction */
#define CMD_ALLOW_BUSY (UINT64_C(1) << 18)        /* allowed while a script runs for too long */
#define CMD_MOVABLE_KEYS (UINT64_C(1) << 19)      /* derived: not all keys are at fixed places */
#define CMD_PYTHON (UINT64_C(1) << 32)            /* derived: the handler is PY */
#define CMD_LOCK_ALL (UINT64_C(1) << 33)          /* needs every stripe */
#define CMD_LOCK_SELF (UINT64_C(1) << 34)         /* its handler takes stripes itself */
#define CMD_LOCK_PATTERN (UINT64_C(1) << 35)      /* needs every stripe if command_reads_by_pattern() */
#define CMD_SYSCMD (UINT64_C(1) << 36)            /* for the server's own use */

struct command {
    const char *name;     /* lower case; of a subcommand only its own: "get" */
    const char *fullname; /* "config|get"; equals `name` when there is no container */
    const char *called;   /* the name that rename-command gave it; NULL: `name` */
    void (*handler)(struct cmd *); /* NULL: a container that cannot be called alone */
    uint64_t flags;       /* CMD_... */
    uint64_t acl;         /* bit i: command_acl_category(i) */
    int32_t arity;        /* negative: at least -arity arguments */
    uint32_t index;       /* dense, 0 .. command_count() - 1 */
    int16_t key_first;    /* when all keys are a range at a fixed place: as Redis' first, last, step; else 0 */
    int16_t key_last;
    int16_t key_step;
    int16_t one_key;      /* where its only key is, when it always has exactly one and at a fixed place; else 0 */
    uint16_t keyspec_count;
    uint32_t key_flags;   /* with key_first: KEY_... of each */
    uint32_t subcommand_count;
    const struct keyspec *keyspecs;
    keys_function *keys;  /* NULL: by specs */
    const struct command *container; /* NULL: not a subcommand */
    /* For COMMAND INFO and DOCS: the columns as they stand in commands.def; the deprecations may be NULL. */
    const char *group, *flag_words, *tips, *acl_words, *keyspec_words, *since, *complexity, *summary, *usage;
    const char *deprecated_since, *deprecated_instead;
};

/* Completes the table; stops the process if a row is wrong. Idempotent; call before the first look-up. */
void command_table_init(void);
/* rename-command, before the first fork: `from` is not found any more, and `to` runs it; empty: nothing does.
 * 0; -1: there is no such command; -2: `to` is one already. */
int command_rename(struct slice from, struct slice to);

uint32_t command_count(void);
const struct command *command_at(uint32_t i);

/* The row for a call: of the subcommand if argv[0] is a container and argc > 1. NULL if there is none. */
const struct command *command_lookup(const struct slice *argv, uint32_t argc);
/* The row of one full name, "get" or "config|get", any case. */
const struct command *command_by_name(struct slice fullname);
static ALWAYS_INLINE bool command_arity_ok(const struct command *c, uint32_t argc)
{
    return c->arity >= 0 ? argc == (uint32_t)c->arity : argc >= (uint32_t)-c->arity;
}

/* The words of Redis' error for a call that command_lookup() does not find (without "ERR "), at most cap - 1 bytes and
 * a zero; control characters of the arguments are left as they are. Returns the length. */
size_t command_unknown_text(const struct slice *argv, uint32_t argc, char *buf, size_t cap);

/* The keys of a call whose arity is right. Writes up to `cap` of them, returns how many there are; -1 if the arguments
 * cannot be right (a number of keys that is none, or larger than the arguments). The handler will reply the error then,
 * but may look at a key first, so the caller takes every stripe. */
int command_keys(const struct command *c, const struct slice *argv, uint32_t argc, struct key_index *out, uint32_t cap);

/* Names of the ACL categories in Redis' order; NULL behind the last. */
const char *command_acl_category(uint32_t i);
/* The categories that follow from flags alone. */
uint64_t command_acl_of_flags(uint64_t flags);

#endif
