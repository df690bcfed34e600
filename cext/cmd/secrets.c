/* cmd/secrets.c - the rules, as Redis has them. Pure: looks at the arguments only. */
#include "cmd/secrets.h"

#include <string.h>

#include "cmd/command_table.h"

static bool all_behind(const struct cmd *c, uint32_t i, uint32_t first) { return (void)c, i >= first; }

static bool behind_auth(const struct cmd *c, uint32_t i, uint32_t first)
{
    return (i > first && arg_is(c, i - 1, "auth")) || (i > first + 1 && arg_is(c, i - 2, "auth"));
}

static bool behind_auth_word(const struct cmd *c, uint32_t i, uint32_t first)
{
    if (i > first && (arg_is(c, i - 1, "auth") || arg_is(c, i - 1, "auth2"))) return true;
    return i > first + 1 && arg_is(c, i - 2, "auth2");
}

static bool of_secret_setting(const struct cmd *c, uint32_t i, uint32_t first)
{
    static const char *const names[] = {"masteruser", "masterauth", "requirepass", "tls-key-file-pass", "tls-client-key-file-pass"};
    if (i <= first || (i - first) % 2 == 0) return false;
    for (size_t n = 0; n < ARRAY_LEN(names); n++)
        if (arg_is(c, i - 1, names[n])) return true;
    return false;
}

static const struct {
    const char *command;
    bool (*secret)(const struct cmd *c, uint32_t i, uint32_t first);
    uint32_t first; /* argument from which on the rule looks */
} rules[] = {
    {"auth", all_behind, 1},           {"hello", behind_auth, 2},      {"acl|setuser", all_behind, 2},
    {"acl|deluser", all_behind, 2},    {"config|set", of_secret_setting, 2}, {"migrate", behind_auth_word, 6},
};

bool cmd_secret(const struct cmd *c, uint32_t i)
{
    if (i == 0) return false;
    for (size_t n = 0; n < ARRAY_LEN(rules); n++)
        if (strcmp(c->spec->fullname, rules[n].command) == 0) return rules[n].secret(c, i, rules[n].first);
    return false;
}
