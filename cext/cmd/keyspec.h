/* cmd/keyspec.h - where a command's keys are among its arguments: the `keys` column of commands.def, parsed and applied.
 *
 * Specs mean what Redis' key specifications mean (begin_search, find_keys); the few commands whose keys no spec can
 * find (SORT) or whose use of them depends on other arguments (SET with GET, BITFIELD) have a function of their own.
 */
#ifndef SHOAL_CMD_KEYSPEC_H
#define SHOAL_CMD_KEYSPEC_H

#include "base/base.h"

/* How a key is used: one of the first four, any of the others. */
#define KEY_RO (1u << 0)             /* its value is only read */
#define KEY_RW (1u << 1)             /* read and changed */
#define KEY_OW (1u << 2)             /* overwritten, whatever it was */
#define KEY_RM (1u << 3)             /* removed */
#define KEY_ACCESS (1u << 4)         /* what it holds is returned, copied or compared */
#define KEY_UPDATE (1u << 5)         /* what it holds is changed */
#define KEY_INSERT (1u << 6)         /* something is added, nothing changed */
#define KEY_DELETE (1u << 7)         /* something it holds is deleted */
#define KEY_NOT_KEY (1u << 8)        /* in a key's place, but not one */
#define KEY_INCOMPLETE (1u << 9)     /* the spec does not find all keys */
#define KEY_VARIABLE_FLAGS (1u << 10) /* the use depends on the other arguments */
#define KEY_WRITES (KEY_RW | KEY_OW | KEY_RM)

enum keyspec_begin { KEYSPEC_UNKNOWN, KEYSPEC_INDEX, KEYSPEC_KEYWORD };
enum keyspec_find { KEYSPEC_FIND_UNKNOWN, KEYSPEC_RANGE, KEYSPEC_KEYNUM };

struct keyspec {
    uint32_t flags;       /* KEY_... */
    uint8_t begin;        /* enum keyspec_begin */
    uint8_t find;         /* enum keyspec_find */
    int16_t pos;          /* INDEX: the argument; KEYWORD: where the search starts, negative: from the end */
    struct slice keyword; /* KEYWORD, upper case */
    int16_t last;         /* RANGE: last key after the first; negative: from the end. KEYNUM: place of the number */
    int16_t step;         /* RANGE and KEYNUM: distance of two keys */
    int16_t limit;        /* RANGE: divisor if above 1. KEYNUM: place of the first key */
};

struct key_index {
    uint32_t pos;   /* in argv */
    uint32_t flags; /* KEY_... */
};

typedef int keys_function(const struct slice *argv, uint32_t argc, struct key_index *out, uint32_t cap);

/* Parses a `keys` column into at most `max` specs; returns how many, -1 if it is not well formed. The specs point
 * into `text`. */
int keyspec_parse(const char *text, struct keyspec *specs, int max);
/* The function for commands that specs do not describe wholly, NULL for all others. */
keys_function *keyspec_function(const char *command_name);
/* Finds keys by specs; `may_be_none`: a number of keys of 0 is valid. Returns as command_keys(). */
int keyspec_find(const struct keyspec *specs, uint32_t count, bool may_be_none, const struct slice *argv, uint32_t argc,
                 struct key_index *out, uint32_t cap);
/* Does this SORT or SORT_RO read keys whose names are not among its arguments? */
bool command_reads_by_pattern(const struct slice *argv, uint32_t argc);

#endif
