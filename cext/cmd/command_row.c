/* cmd/command_row.c - rows of commands.def for Python. Reads the finished table only: no lock, nothing shared. */
#include "cmd/command_row.h"

static const char *or_empty(const char *text) { return text ? text : ""; }

/* Redis' first, last and step: those of the first spec that is a range at a fixed place, whatever other specs say. Two
 * single keys side by side (RENAME) are a range too. */
static void legacy_range(const struct command *c, struct command_row *out)
{
    out->key_first = out->key_last = out->key_step = 0;
    for (uint32_t i = 0; i < c->keyspec_count; i++) {
        const struct keyspec *k = &c->keyspecs[i];
        if (k->begin != KEYSPEC_INDEX || k->find != KEYSPEC_RANGE) continue;
        int32_t last = k->last < 0 ? k->last : k->pos + k->last;
        if (!out->key_first) {
            out->key_first = k->pos;
            out->key_last = last;
            out->key_step = k->step;
        } else if (out->key_last >= 0 && k->pos == out->key_last + 1 && k->step == out->key_step) {
            out->key_last = last;
        }
    }
}

void command_row(uint32_t i, struct command_row *out)
{
    const struct command *c = command_at(i);
    *out = (struct command_row){
        .name = c->name,
        .fullname = c->fullname,
        .container = c->container ? c->container->fullname : "",
        .group = c->group,
        .flags = c->flag_words,
        .tips = c->tips,
        .acl = c->acl_words,
        .keys = c->keyspec_words,
        .since = c->since,
        .complexity = c->complexity,
        .summary = c->summary,
        .usage = c->usage,
        .deprecated_since = or_empty(c->deprecated_since),
        .deprecated_instead = or_empty(c->deprecated_instead),
        .arity = c->arity,
        .flag_bits = c->flags,
        .acl_bits = c->acl,
    };
    legacy_range(c, out);
}

int command_row_of(const struct slice *argv, uint32_t argc)
{
    const struct command *c = command_lookup(argv, argc);
    return c ? (int)c->index : -1;
}

int command_row_keys(uint32_t i, const struct slice *argv, uint32_t argc, struct key_index *out, uint32_t cap)
{
    return command_keys(command_at(i), argv, argc, out, cap);
}
