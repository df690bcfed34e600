/* engine_command.c - the command table for Python: the part of engine.h about rows, look-up and keys.
 *
 * Reads the finished table only: no lock, nothing shared, nothing to repair.
 */
#include "engine.h"

#include <stdlib.h>

#include "base/glob.h"
#include "cmd/command_table.h"

static const char *or_empty(const char *text) { return text ? text : ""; }

/* Redis' first, last and step: those of the first spec that is a range at a fixed place, whatever other specs say;
 * ranges side by side count as one (RENAME). */
static void legacy_range(const struct command *c, struct engine_command *out)
{
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

uint32_t engine_command_count(void) { return command_count(); }

int engine_command_get(uint32_t i, struct engine_command *out)
{
    if (i >= command_count()) return -1;
    command_table_init();
    const struct command *c = command_at(i);
    *out = (struct engine_command){
        .name = c->name,
        .fullname = c->fullname,
        .container = c->container ? c->container->fullname : NULL,
        .group = c->group,
        .flag_words = c->flag_words,
        .tips = c->tips,
        .acl_words = c->acl_words,
        .keyspec_words = c->keyspec_words,
        .since = c->since,
        .complexity = c->complexity,
        .summary = c->summary,
        .usage = c->usage,
        .deprecated_since = or_empty(c->deprecated_since),
        .deprecated_instead = or_empty(c->deprecated_instead),
        .flags = c->flags,
        .acl = c->acl,
        .arity = c->arity,
        .container_index = c->container ? (int32_t)c->container->index : -1,
        .index = c->index,
        .subcommands = c->subcommand_count,
        .python = (c->flags & CMD_PYTHON) != 0,
        .alone = c->handler != NULL,
    };
    legacy_range(c, out);
    return 0;
}

static struct slice slice_of(const char *p, size_t n) { return (struct slice){(const uint8_t *)p, n}; }

int engine_command_find(uint32_t argc, const char *const *argv, const size_t *lens)
{
    struct slice words[2];
    if (argc == 0) return -1;
    command_table_init();
    for (uint32_t i = 0; i < argc && i < 2; i++) words[i] = slice_of(argv[i], lens[i]);
    const struct command *c = command_lookup(words, MIN(argc, 2));
    return c ? (int)c->index : -1;
}

int engine_command_keys(uint32_t command, uint32_t argc, const char *const *argv, const size_t *lens, uint32_t *positions,
                        uint32_t *flags, uint32_t cap)
{
    struct slice *words = calloc(argc, sizeof *words);
    struct key_index *keys = calloc(cap, sizeof *keys);
    int n = -1;
    if (command < command_count() && (words || !argc) && (keys || !cap)) {
        for (uint32_t i = 0; i < argc; i++) words[i] = slice_of(argv[i], lens[i]);
        n = command_keys(command_at(command), words, argc, keys, cap);
        for (int i = 0; i < n && (uint32_t)i < cap; i++) {
            positions[i] = keys[i].pos;
            flags[i] = keys[i].flags;
        }
    }
    free(words);
    free(keys);
    return n;
}

const char *engine_acl_category(uint32_t i) { return command_acl_category(i); }

int engine_glob(const char *pattern, size_t pattern_n, const char *text, size_t text_n, int nocase)
{
    return glob_match((const uint8_t *)pattern, pattern_n, (const uint8_t *)text, text_n, nocase != 0);
}

int engine_command_rename(const char *from, size_t from_n, const char *to, size_t to_n)
{
    command_table_init();
    return command_rename((struct slice){(const uint8_t *)from, from_n}, (struct slice){(const uint8_t *)to, to_n});
}
