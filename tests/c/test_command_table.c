/* tests/c/test_command_table.c - the rows of commands.def: look-up, flags, ACL categories, key positions.
 * Every C handler is a stub here, so this links without the commands. */
#include "check.h"

#include <ctype.h>

#include "cmd/command_table.h"
#include "cmd/handlers.h"

/* Stubs: SKIPPED(x) is 1 for PY and NONE (which then expand to two arguments), 0 for the name of a function. */
#define PY ~, 1
#define NONE ~, 1
#define SECOND(a, b, ...) b
#define SKIPPED(...) SECOND(__VA_ARGS__, 0, 0)
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define STUB_0(handler) \
    void handler(struct cmd *c) { (void)c; }
#define STUB_1(...)
#define STUB(...) JOIN(STUB_, SKIPPED(__VA_ARGS__))(__VA_ARGS__)
#define COMMAND(ident, name, handler, ...) STUB(handler)
#define SUBCOMMAND(ident, container, name, handler, ...) STUB(handler)
#define DEPRECATED(...)
#include "commands.def"
STUB(cmd_python)

#define MAX_ARGS 32
static struct slice argv[MAX_ARGS];

/* Splits a line at its spaces into argv; returns argc. */
static uint32_t call(const char *line)
{
    uint32_t argc = 0;
    while (*line && argc < MAX_ARGS) {
        size_t n = strcspn(line, " ");
        argv[argc++] = (struct slice){(const uint8_t *)line, n};
        line += n + (line[n] == ' ');
    }
    return argc;
}

static const struct command *look(const char *line) { return command_lookup(argv, call(line)); }

static struct slice text(const char *s) { return (struct slice){(const uint8_t *)s, strlen(s)}; }

static bool has_category(const struct command *c, const char *name)
{
    for (uint32_t i = 0; command_acl_category(i); i++)
        if (strcmp(command_acl_category(i), name) == 0) return c->acl >> i & 1;
    return false;
}

/* "pos/flags pos/flags", or "invalid". */
static const char *keys(const char *line)
{
    static char buf[512];
    struct key_index out[MAX_ARGS];
    uint32_t argc = call(line);
    int n = command_keys(command_lookup(argv, argc), argv, argc, out, MAX_ARGS);
    if (n < 0) return "invalid";
    size_t at = 0;
    buf[0] = 0;
    for (int i = 0; i < n; i++)
        at += (size_t)snprintf(buf + at, sizeof buf - at, "%s%u%s", i ? " " : "", out[i].pos,
                               out[i].flags & KEY_WRITES ? "w" : "r");
    return buf;
}

/* The same for a command with a function of its own, whether it has a row or not. */
static const char *own_keys(const char *line)
{
    static char name[32], buf[128];
    struct key_index out[MAX_ARGS];
    uint32_t argc = call(line);
    snprintf(name, sizeof name, "%.*s", (int)argv[0].n, argv[0].p);
    int n = keyspec_function(name)(argv, argc, out, MAX_ARGS);
    size_t at = 0;
    for (int i = 0; i < n; i++)
        at += (size_t)snprintf(buf + at, sizeof buf - at, "%s%u%s", i ? " " : "", out[i].pos,
                               out[i].flags & KEY_WRITES ? "w" : "r");
    return buf;
}

static void every_name_is_found(void)
{
    for (uint32_t i = 0; i < command_count(); i++) {
        const struct command *c = command_at(i);
        char upper[64], mixed[64];
        size_t n = strlen(c->fullname);
        for (size_t j = 0; j <= n; j++) {
            upper[j] = (char)toupper(c->fullname[j]);
            mixed[j] = j & 1 ? upper[j] : c->fullname[j];
        }
        CHECK_EQ(c->index, i);
        CHECK(command_by_name(text(c->fullname)) == c);
        CHECK(command_by_name(text(upper)) == c);
        CHECK(command_by_name(text(mixed)) == c);
    }
}

static void near_names_are_not_found(void)
{
    static const char *const wrong[] = {"", "g", "ge", "gett", "get ", "g\x05t", "sort ro", "sort\x7fro", "xget",
                                        "zrevrangebyscor", "bgrewriteao", "config|", "config|gets", "get|get", "|get"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        if (command_by_name(text(wrong[i]))) CHECK_STR(wrong[i], "not a command");
    for (uint32_t i = 0; i < command_count(); i++) { /* any one byte changed */
        const char *name = command_at(i)->fullname;
        size_t n = strlen(name);
        for (size_t j = 0; j < n; j++) {
            char changed[64];
            memcpy(changed, name, n + 1);
            changed[j] ^= 0x40;
            CHECK(!command_by_name(text(changed)));
        }
    }
}

static void subcommands_are_looked_up(void)
{
    CHECK_STR(look("CONFIG GET x")->fullname, "config|get");
    CHECK_STR(look("config")->fullname, "config");
    CHECK(!look("config nothing"));
    CHECK(!look("command nothing"));
    CHECK_STR(look("command")->fullname, "command");
    CHECK_STR(look("object Encoding k")->fullname, "object|encoding");
    CHECK(look("config get")->container == look("config"));
    CHECK(look("config")->handler == NULL);
    CHECK(look("config")->subcommand_count >= 5);
    CHECK(!look("get encoding k")->container);
}

static void flags_follow_from_the_words(void)
{
    const struct command *get = look("get k"), *set = look("set k v"), *config = look("config get x");
    CHECK_EQ(get->flags, CMD_READONLY | CMD_FAST);
    CHECK_EQ(set->flags, CMD_WRITE | CMD_DENYOOM);
    CHECK(get->handler == cmd_get);
    CHECK(config->handler == cmd_python && config->flags & CMD_PYTHON);
    CHECK(look("flushall")->flags & CMD_LOCK_ALL);
    CHECK(look("scan 0")->flags & CMD_LOCK_SELF);
    CHECK(look("bitfield k")->keys && !(look("bitfield k")->flags & CMD_MOVABLE_KEYS));
    CHECK(!(look("mset k v")->flags & CMD_MOVABLE_KEYS));
    CHECK_STR(look("getset k v")->deprecated_since, "6.2.0");
    CHECK(!get->deprecated_since);
    CHECK_STR(get->group, "string");
    for (uint32_t i = 0; i < command_count(); i++) {
        const struct command *c = command_at(i);
        CHECK(!(c->flags & CMD_WRITE && c->flags & CMD_READONLY));
        CHECK(c->arity != 0 && (!c->container || c->arity > 1 || c->arity < -1));
        CHECK(c->handler || c->subcommand_count);
        CHECK(c->summary[0] && c->since[0] && c->group[0]);
        for (uint32_t s = 0; s < c->keyspec_count; s++) {
            uint32_t use = c->keyspecs[s].flags & (KEY_RO | KEY_RW | KEY_OW | KEY_RM);
            CHECK((use && !(use & (use - 1))) || c->keyspecs[s].flags & KEY_NOT_KEY);
            if (use & KEY_WRITES && !(c->flags & CMD_WRITE) && strcmp(c->name, "pfcount") != 0) /* it keeps its result */
                CHECK_STR(c->fullname, "writes a key but is no write");
        }
    }
}

static void categories_follow_from_flags(void)
{
    CHECK(has_category(look("get k"), "read") && has_category(look("get k"), "fast"));
    CHECK(has_category(look("get k"), "string") && !has_category(look("get k"), "slow"));
    CHECK(has_category(look("keys k"), "dangerous") && has_category(look("keys k"), "keyspace"));
    CHECK(has_category(look("config get k"), "admin") && has_category(look("config get k"), "dangerous"));
    CHECK(has_category(look("multi"), "transaction"));
    CHECK_STR(command_acl_category(0), "keyspace");
    CHECK_STR(command_acl_category(20), "scripting");
    CHECK_STR(command_acl_category(21), NULL);
}

static void keys_at_fixed_places(void)
{
    CHECK_STR(keys("get k"), "1r");
    CHECK_STR(keys("del a b c"), "1w 2w 3w");
    CHECK_STR(keys("mset a 1 b 2 c 3"), "1w 3w 5w");
    CHECK_STR(keys("mset a 1 b"), "1w 3w");
    CHECK_STR(keys("rename a b"), "1w 2w");
    CHECK_STR(keys("copy a b"), "1r 2w");
    CHECK_STR(keys("lcs a b LEN"), "1r 2r");
    CHECK_STR(keys("bitop AND d a b"), "2w 3r 4r");
    CHECK_STR(keys("object encoding k"), "2r");
    CHECK_STR(keys("memory usage k"), "2r");
    CHECK_STR(keys("ping"), "");
    CHECK_STR(keys("scan 0"), "");
    CHECK_STR(keys("watch a b"), "1r 2r");
    CHECK(look("get k")->key_first == 1 && look("mget k")->key_last == -1 && look("mset k v")->key_step == 2);
}

static void keys_that_depend_on_arguments(void)
{
    CHECK_STR(keys("set k v"), "1w");
    CHECK_STR(keys("bitfield k GET u8 0 GET u8 1"), "1r");
    CHECK_STR(keys("bitfield k OVERFLOW SAT GET u8 0"), "1r");
    CHECK_STR(keys("bitfield k GET u8 0 SET u8 0 1"), "1w");
    CHECK_STR(keys("bitfield k GET u8"), "1w");
    CHECK_STR(own_keys("sort k"), "1r");
    CHECK_STR(own_keys("sort k BY store LIMIT 0 store ALPHA STORE a STORE b"), "1r 11w");
    CHECK_STR(own_keys("sort k STORE"), "1r");
    CHECK_STR(own_keys("sort_ro k BY p*"), "1r");
    CHECK(command_reads_by_pattern(argv, call("sort k BY w_*")));
    CHECK(command_reads_by_pattern(argv, call("sort k LIMIT 0 1 GET x*")));
    CHECK(!command_reads_by_pattern(argv, call("sort k BY nosort GET #")));
    CHECK(!command_reads_by_pattern(argv, call("sort k BY")));
}

static void set_with_get_reads(void)
{
    struct key_index out;
    uint32_t argc = call("set k v XX get");
    const struct command *set = command_lookup(argv, argc);
    CHECK_EQ(command_keys(set, argv, argc, &out, 1), 1);
    CHECK_EQ(out.flags, KEY_RW | KEY_ACCESS | KEY_UPDATE);
    argc = call("set k get");
    CHECK_EQ(command_keys(set, argv, argc, &out, 1), 1);
    CHECK_EQ(out.flags, KEY_OW | KEY_UPDATE);
}

/* The specs of the groups that are in no row here yet are tested by themselves. */
static const char *found(const char *spec, bool may_be_none, const char *line)
{
    static char buf[256];
    struct keyspec specs[4];
    struct key_index out[MAX_ARGS];
    int count = keyspec_parse(spec, specs, 4);
    uint32_t argc = call(line);
    if (count < 0) return "not a spec";
    int n = keyspec_find(specs, (uint32_t)count, may_be_none, argv, argc, out, MAX_ARGS);
    if (n < 0) return "invalid";
    size_t at = 0;
    buf[0] = 0;
    for (int i = 0; i < n; i++) at += (size_t)snprintf(buf + at, sizeof buf - at, "%s%u", i ? " " : "", out[i].pos);
    return buf;
}

static void specs_with_numbers_and_words(void)
{
    CHECK_STR(found("1 OW update; 2# RO access", false, "zunionstore d 2 a b WEIGHTS 1 2"), "1 3 4");
    CHECK_STR(found("1# RO access", false, "zunion 3 a b"), "invalid");
    CHECK_STR(found("1# RO access", false, "zunion 0 a b"), "invalid");
    CHECK_STR(found("1# RO access", false, "zunion x a b"), "invalid");
    CHECK_STR(found("1# RO access", false, "zunion -1 a b"), "invalid");
    CHECK_STR(found("1# RO access", false, "zunion 99999999999999999999 a"), "invalid");
    CHECK_STR(found("2# RW access update", true, "eval s 0 x"), "");
    CHECK_STR(found("2# RW access update", true, "eval s 1 k x"), "3");
    CHECK_STR(found("STREAMS+1..-1/1/2 RO access", false, "xread COUNT 2 STREAMS a b 0 0"), "4 5");
    CHECK_STR(found("STREAMS+4..-1/1/2 RO access", false, "xreadgroup GROUP streams c STREAMS a 0"), "5");
    CHECK_STR(found("1 RO access; STORE+6 OW update; STOREDIST+6 OW update", false,
                    "georadius k 1 1 1 km storedist d"), "1 7");
    CHECK_STR(found("1 RO access; STORE+6 OW update", false, "georadius k 1 1 1 km"), "1");
    CHECK_STR(found("1 RO access; STORE+6 OW update", false, "georadius k 1 1 1 km STORE"), "1");
    CHECK_STR(found("1 RW access insert; 2..-1 RO access", false, "pfmerge d"), "1");
    CHECK_STR(found("STREAMS+1..-1/1/2 RO access", false, "xread STREAMS a"), "");
    CHECK_STR(found("KEYS-2..-1 RW access delete", false, "migrate h p x 0 0 KEYS a b"), "7 8");
    CHECK_STR(found("1 not_key", false, "publish c m"), "");
    CHECK_STR(found("? RO access", false, "sort k"), "invalid");
    CHECK_STR(found("1..", false, "get k"), "not a spec");
    CHECK_STR(found("1", false, "get k"), "not a spec");
    CHECK_STR(found("1 XX", false, "get k"), "not a spec");
    CHECK_STR(found("1 RO;2 RO", false, "get k"), "not a spec");
    CHECK_STR(found("1..-1/0 RO", false, "get k"), "not a spec");
}

static void small_output_still_counts(void)
{
    struct key_index out[2] = {{0, 0}, {77, 0}};
    uint32_t argc = call("del a b c d");
    CHECK_EQ(command_keys(command_lookup(argv, argc), argv, argc, out, 1), 4);
    CHECK_EQ(out[0].pos, 1);
    CHECK_EQ(out[1].pos, 77);
    argc = call("bitop AND d a b c");
    CHECK_EQ(command_keys(command_lookup(argv, argc), argv, argc, out, 1), 4);
    CHECK_EQ(out[1].pos, 77);
}

static void unknown_commands_have_redis_words(void)
{
    char buf[400];
    command_unknown_text(argv, call("nope"), buf, sizeof buf);
    CHECK_STR(buf, "unknown command 'nope', with args beginning with: ");
    command_unknown_text(argv, call("nope a bc"), buf, sizeof buf);
    CHECK_STR(buf, "unknown command 'nope', with args beginning with: 'a' 'bc' ");
    command_unknown_text(argv, call("config nope x"), buf, sizeof buf);
    CHECK_STR(buf, "unknown subcommand 'nope'. Try CONFIG HELP.");
    CHECK_EQ(command_unknown_text(argv, call("nope a bc"), buf, 10), 9);
    char longest[300];
    memset(longest, 'x', sizeof longest);
    argv[0] = argv[1] = argv[2] = (struct slice){(const uint8_t *)longest, sizeof longest};
    size_t n = command_unknown_text(argv, 3, buf, sizeof buf);
    CHECK_EQ(n, strlen("unknown command '', with args beginning with: '' ") + 256);
}

int main(void)
{
    command_table_init();
    command_table_init();
    RUN(every_name_is_found);
    RUN(near_names_are_not_found);
    RUN(subcommands_are_looked_up);
    RUN(flags_follow_from_the_words);
    RUN(categories_follow_from_flags);
    RUN(keys_at_fixed_places);
    RUN(keys_that_depend_on_arguments);
    RUN(set_with_get_reads);
    RUN(specs_with_numbers_and_words);
    RUN(small_output_still_counts);
    RUN(unknown_commands_have_redis_words);
    return check_report();
}
