/* cmd/gather.h - private collections of members while a command works: the results of unions, intersections, random picks, scans.
 *
 * Everything lies in scratch memory and is gone after the command. Names are not copied: they point into the values that were read (their
 * stripes are held until the command ends) or to scratch memory. Takes no lock, stores nothing shared.
 */
#ifndef SHOAL_CMD_GATHER_H
#define SHOAL_CMD_GATHER_H

#include "cmd/cmd.h"
#include "ds/listpack.h"

/* ---- a growing row of names ---- */
struct names {
    struct slice *at;
    uint64_t n, cap;
};
void names_add(struct names *l, struct slice name);
/* A listpack value as a name that stays: numbers are printed into scratch memory. */
struct slice name_keep(const struct lp_value *v);
struct slice name_copy(struct slice s);

/* ---- a set of names, each with a score ---- */
struct gathered {
    struct slice name;
    double score;
    uint64_t hash;
    bool gone; /* taken out again */
};
struct gather {
    struct gathered *items; /* in the order they came */
    uint64_t n, cap;        /* items, also those that are gone */
    uint64_t live;          /* without them */
    uint32_t *index;        /* open addressing: item number + 1 */
    uint64_t mask;
};
void gather_init(struct gather *g, uint64_t expect);
/* The item of this name; a new one (score 0) if there was none. */
struct gathered *gather_put(struct gather *g, struct slice name, bool *fresh);
/* NULL: none. */
struct gathered *gather_find(const struct gather *g, struct slice name);
void gather_take_out(struct gather *g, struct gathered *item);

/* ---- SCAN of one collection ---- */
struct scan_args {
    uint64_t cursor;
    struct slice pattern;
    int64_t count;
    bool every; /* no pattern */
};
/* MATCH and COUNT from argv[3] on; replies the error and returns false. */
bool scan_options(struct cmd *c, struct scan_args *a);
bool scan_wants(const struct scan_args *a, struct slice name);
/* Cursor and names. */
void scan_reply(struct cmd *c, uint64_t cursor, const struct names *l);
/* The reply for a key that is not there. */
void scan_reply_none(struct cmd *c);

/* A pseudo-random number of this process. */
uint64_t cmd_random(void);

#endif
