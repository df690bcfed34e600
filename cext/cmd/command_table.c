/* cmd/command_table.c - the rows of commands.def, completed at start, and their look-up by name.
 *
 * Names are found in an open-addressing table of 64-byte entries at a load below one third. The key is the name's first and last
 * eight bytes with bit 5 cleared (which folds the case of letters), its length and its container; so a look-up is a few
 * arithmetic steps and one cache line, without a loop over the name. Only names with other bytes than letters, or
 * longer than 16, need a comparison byte by byte afterwards.
 */
#include "cmd/command_table.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cmd/handlers.h"

/* Identifiers of the rows, in table order. */
enum {
#define COMMAND(ident, ...) ROW_##ident,
#define SUBCOMMAND(ident, ...) ROW_##ident,
#define DEPRECATED(...)
#include "commands.def"
#undef COMMAND
#undef SUBCOMMAND
    ROWS
};

#define PY cmd_python
#define NONE NULL
#define COLUMNS(handler_, arity_, flags_, tips_, acl_, keys_, since_, complexity_, summary_, usage_)                   \
    .handler = handler_, .arity = arity_, .flag_words = flags_, .tips = tips_, .acl_words = acl_,                     \
    .keyspec_words = keys_, .since = since_, .complexity = complexity_, .summary = summary_, .usage = usage_,          \
    .group = COMMAND_GROUP

static struct command rows[ROWS] = {
#define COMMAND(ident, name_, ...) [ROW_##ident] = {.name = name_, .fullname = name_, COLUMNS(__VA_ARGS__)},
#define SUBCOMMAND(ident, container_, name_, ...) \
    [ROW_##ident] = {.name = name_, .container = &rows[ROW_##container_], COLUMNS(__VA_ARGS__)},
#include "commands.def"
#undef COMMAND
#undef SUBCOMMAND
#undef DEPRECATED
};
#undef PY
#undef NONE

#define COMMAND(...)
#define SUBCOMMAND(...)
#define DEPRECATED(ident, since, instead) {ROW_##ident, since, instead},
static const struct {
    int row;
    const char *since, *instead;
} deprecations[] = {
#include "commands.def"
    {-1, NULL, NULL},
};

static const struct {
    const char *word;
    uint64_t flag;
} flag_words[] = {
    {"write", CMD_WRITE}, {"readonly", CMD_READONLY}, {"denyoom", CMD_DENYOOM}, {"admin", CMD_ADMIN},
    {"pubsub", CMD_PUBSUB}, {"noscript", CMD_NOSCRIPT}, {"blocking", CMD_BLOCKING}, {"loading", CMD_LOADING},
    {"stale", CMD_STALE}, {"skip_monitor", CMD_SKIP_MONITOR}, {"skip_slowlog", CMD_SKIP_SLOWLOG},
    {"asking", CMD_ASKING}, {"fast", CMD_FAST}, {"no_auth", CMD_NO_AUTH}, {"may_replicate", CMD_MAY_REPLICATE},
    {"no_mandatory_keys", CMD_NO_MANDATORY_KEYS}, {"no_async_loading", CMD_NO_ASYNC_LOADING},
    {"no_multi", CMD_NO_MULTI}, {"allow_busy", CMD_ALLOW_BUSY}, {"lock_all", CMD_LOCK_ALL},
    {"lock_self", CMD_LOCK_SELF}, {"lock_pattern", CMD_LOCK_PATTERN}, {"syscmd", CMD_SYSCMD},
};

static const char *const acl_categories[] = {
    "keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "hyperloglog", "geo",
    "stream", "pubsub", "admin", "fast", "slow", "blocking", "dangerous", "connection", "transaction", "scripting",
};

/* One name in the look-up table. */
struct entry {
    uint64_t head, tail; /* folded first and last eight bytes */
    const struct command *command; /* NULL: free */
    const struct command *container;
    uint32_t length;
    bool exact; /* `head`, `tail` and `length` do not decide: compare the bytes */
} __attribute__((aligned(CACHE_LINE)));

#define NO_LENGTH UINT32_MAX /* of a name that was taken away: no name is so long */
#define TABLE_SIZE 1024 /* a power of two, at least three times the rows */
_Static_assert(ROWS * 2 < TABLE_SIZE, "the look-up table is too small");
static struct entry table[TABLE_SIZE];
static struct keyspec keyspecs[ROWS + ROWS / 2];
static char fullnames[ROWS * 32];

static ALWAYS_INLINE uint64_t load(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    memcpy(&v, p, n);
    return v;
}

struct folded {
    uint64_t head, tail;
};

/* Folds a name. Loads never reach beyond it. */
static ALWAYS_INLINE struct folded fold(struct slice s)
{
    const uint64_t upper = UINT64_C(0xdfdfdfdfdfdfdfdf);
    uint64_t head, tail = 0;
    if (s.n >= 8) {
        head = load(s.p, 8);
        tail = load(s.p + s.n - 8, 8);
    } else if (s.n >= 4) {
        head = load(s.p, 4) | load(s.p + s.n - 4, 4) << 32;
    } else if (s.n > 0) {
        head = s.p[0] | (uint64_t)s.p[s.n / 2] << 8 | (uint64_t)s.p[s.n - 1] << 16;
    } else {
        head = 0;
    }
    return (struct folded){head & upper, tail & upper};
}

static ALWAYS_INLINE uint32_t slot_of(struct folded f, size_t length, const struct command *container)
{
    uint64_t where = container ? container->index + 1 : 0;
    uint64_t h = (f.head ^ (f.tail << 31 | f.tail >> 33) ^ (length + where * 64) * UINT64_C(0x9e3779b97f4a7c15)) *
                 UINT64_C(0xd6e8feb86659fd93);
    return (uint32_t)(h >> 40) & (TABLE_SIZE - 1);
}

static ALWAYS_INLINE const struct command *find(struct slice name, const struct command *container)
{
    struct folded f = fold(name);
    for (uint32_t i = slot_of(f, name.n, container);; i = (i + 1) & (TABLE_SIZE - 1)) {
        const struct entry *e = &table[i];
        if (unlikely(!e->command)) return NULL;
        if (e->head != f.head || e->tail != f.tail || e->length != name.n || e->container != container) continue;
        if (likely(!e->exact) || strncasecmp((const char *)name.p, e->command->called ? e->command->called : e->command->name, name.n) == 0) return e->command;
    }
}

const struct command *command_lookup(const struct slice *argv, uint32_t argc)
{
    const struct command *c = find(argv[0], NULL);
    if (!c || likely(!c->subcommand_count) || argc < 2) return c;
    return find(argv[1], c);
}

const struct command *command_by_name(struct slice fullname)
{
    const uint8_t *bar = fullname.n ? memchr(fullname.p, '|', fullname.n) : NULL;
    if (!bar) return find(fullname, NULL);
    size_t n = (size_t)(bar - fullname.p);
    const struct command *c = find((struct slice){fullname.p, n}, NULL);
    return c ? find((struct slice){bar + 1, fullname.n - n - 1}, c) : NULL;
}

uint32_t command_count(void) { return ROWS; }

const struct command *command_at(uint32_t i)
{
    ENSURE(i < ROWS);
    return &rows[i];
}

size_t command_unknown_text(const struct slice *argv, uint32_t argc, char *buf, size_t cap)
{
    const struct command *c = find(argv[0], NULL);
    int n;
    if (c && argc > 1) {
        char upper[32] = "";
        for (size_t i = 0; i < sizeof upper - 1 && c->name[i]; i++)
            upper[i] = c->name[i] >= 'a' && c->name[i] <= 'z' ? (char)(c->name[i] - 32) : c->name[i];
        n = snprintf(buf, cap, "unknown subcommand '%.*s'. Try %s HELP.", (int)MIN(argv[1].n, 128), argv[1].p, upper);
        return MIN((size_t)n, cap - 1);
    }
    n = snprintf(buf, cap, "unknown command '%.*s', with args beginning with: ", (int)MIN(argv[0].n, 128), argv[0].p);
    size_t start = (size_t)n;
    for (uint32_t i = 1; i < argc && (size_t)n - start < 128 && (size_t)n < cap; i++) {
        size_t room = 128 - ((size_t)n - start);
        n += snprintf(buf + n, cap - (size_t)n, "'%.*s' ", (int)MIN(argv[i].n, room), argv[i].p);
    }
    return MIN((size_t)n, cap - 1);
}

int command_keys(const struct command *c, const struct slice *argv, uint32_t argc, struct key_index *out, uint32_t cap)
{
    if (likely(c->key_first > 0)) {
        int32_t last = c->key_last >= 0 ? c->key_last : (int32_t)argc + c->key_last;
        int n = 0;
        if (unlikely(last >= (int32_t)argc || last < c->key_first)) return -1;
        for (int32_t i = c->key_first; i <= last; i += c->key_step, n++)
            if ((uint32_t)n < cap) out[n] = (struct key_index){(uint32_t)i, c->key_flags};
        return n;
    }
    if (c->keys) return c->keys(argv, argc, out, cap);
    return keyspec_find(c->keyspecs, c->keyspec_count, c->flags & CMD_NO_MANDATORY_KEYS, argv, argc, out, cap);
}

const char *command_acl_category(uint32_t i) { return i < ARRAY_LEN(acl_categories) ? acl_categories[i] : NULL; }

static uint64_t acl_bit(const char *name, size_t n)
{
    for (size_t i = 0; i < ARRAY_LEN(acl_categories); i++)
        if (strlen(acl_categories[i]) == n && memcmp(acl_categories[i], name, n) == 0) return UINT64_C(1) << i;
    ENSURE(!"an ACL category of commands.def is unknown");
    return 0;
}

uint64_t command_acl_of_flags(uint64_t flags)
{
    uint64_t acl = 0;
    if (flags & CMD_WRITE) acl |= acl_bit("write", 5);
    if (flags & CMD_READONLY) acl |= acl_bit("read", 4);
    if (flags & CMD_ADMIN) acl |= acl_bit("admin", 5) | acl_bit("dangerous", 9);
    if (flags & CMD_PUBSUB) acl |= acl_bit("pubsub", 6);
    if (flags & CMD_BLOCKING) acl |= acl_bit("blocking", 8);
    return acl | (flags & CMD_FAST ? acl_bit("fast", 4) : acl_bit("slow", 4));
}

/* ---- completion at start ---- */

static uint64_t flag_bit(const char *word, size_t n)
{
    for (size_t i = 0; i < ARRAY_LEN(flag_words); i++)
        if (strlen(flag_words[i].word) == n && memcmp(flag_words[i].word, word, n) == 0) return flag_words[i].flag;
    ENSURE(!"a flag of commands.def is unknown");
    return 0;
}

static uint64_t words_to_bits(const char *words, uint64_t (*bit)(const char *, size_t))
{
    uint64_t bits = 0;
    while (*words) {
        size_t n = strcspn(words, " ");
        bits |= bit(words, n);
        words += n + (words[n] == ' ');
    }
    return bits;
}

static void complete_name(struct command *c, char **at)
{
    if (!c->container) return;
    int n = snprintf(*at, (size_t)(fullnames + sizeof fullnames - *at), "%s|%s", c->container->name, c->name);
    c->fullname = *at;
    *at += n + 1;
    ENSURE(*at < fullnames + sizeof fullnames);
    rows[c->container - rows].subcommand_count++;
}

/* Keys that one spec describes as a range at a fixed place, and the same for two keys that follow each other and are
 * used alike, take the short path in command_keys(). */
static void complete_keys(struct command *c, struct keyspec **pool)
{
    int n = keyspec_parse(c->keyspec_words, *pool, (int)(keyspecs + ARRAY_LEN(keyspecs) - *pool));
    ENSURE(n >= 0);
    const struct keyspec *k = *pool;
    c->keyspecs = k;
    c->keyspec_count = (uint16_t)n;
    *pool += n;
    c->keys = keyspec_function(c->fullname);
    for (int i = 0; i < n; i++)
        if (k[i].begin != KEYSPEC_INDEX || k[i].find != KEYSPEC_RANGE || k[i].limit > 1) c->flags |= CMD_MOVABLE_KEYS;
    if (n == 1 && !(c->flags & CMD_MOVABLE_KEYS) && k->last == 0 && !(k->flags & (KEY_NOT_KEY | KEY_INCOMPLETE))) c->one_key = k->pos;
    if (n != 1 || c->keys || c->flags & CMD_MOVABLE_KEYS || k->flags & (KEY_NOT_KEY | KEY_INCOMPLETE)) return;
    c->key_first = k->pos;
    c->key_last = k->last < 0 ? k->last : (int16_t)(k->pos + k->last);
    c->key_step = k->step;
    c->key_flags = k->flags;
}

static void enter(const struct command *c, struct slice name, bool exact)
{
    struct folded f = fold(name);
    uint32_t i = slot_of(f, name.n, c->container);
    while (table[i].command) i = (i + 1) & (TABLE_SIZE - 1);
    table[i] = (struct entry){.head = f.head, .tail = f.tail, .command = c, .container = c->container,
                              .length = (uint32_t)name.n, .exact = exact};
}

static void enter_name(const struct command *c)
{
    struct slice name = {(const uint8_t *)c->name, strlen(c->name)};
    ENSURE(!find(name, c->container));
    bool letters = strspn(c->name, "abcdefghijklmnopqrstuvwxyz") == name.n;
    enter(c, name, !letters || name.n > 16);
}

int command_rename(struct slice from, struct slice to)
{
    const struct command *c = find(from, NULL);
    if (!c) return -1;
    if (to.n && find(to, NULL)) return -2;
    for (uint32_t i = 0; i < TABLE_SIZE; i++)
        if (table[i].command == c) table[i].length = NO_LENGTH; /* stays, so that look-ups go past it */
    if (!to.n) return 0;
    rows[c->index].called = strndup((const char *)to.p, to.n);
    ENSURE(c->called);
    enter(c, to, true);
    return 0;
}

void command_table_init(void)
{
    static bool done;
    struct keyspec *pool = keyspecs;
    char *at = fullnames;
    if (done) return;
    done = true;
    for (uint32_t i = 0; i < ROWS; i++) {
        struct command *c = &rows[i];
        c->index = i;
        complete_name(c, &at);
        c->flags = words_to_bits(c->flag_words, flag_bit);
        if (c->handler == cmd_python) c->flags |= CMD_PYTHON;
        c->acl = words_to_bits(c->acl_words, acl_bit) | command_acl_of_flags(c->flags);
        complete_keys(c, &pool);
    }
    for (uint32_t i = 0; i < ROWS; i++) enter_name(&rows[i]);
    for (size_t i = 0; deprecations[i].row >= 0; i++) {
        rows[deprecations[i].row].deprecated_since = deprecations[i].since;
        rows[deprecations[i].row].deprecated_instead = deprecations[i].instead;
    }
}
