/* cmd/keyspec.c - parses the `keys` column of commands.def and finds the keys of a call by it.
 *
 * Pure functions on private memory: no locks, nothing shared.
 */
#include "cmd/keyspec.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *word;
    uint32_t flag;
} key_words[] = {
    {"RO", KEY_RO},         {"RW", KEY_RW},         {"OW", KEY_OW},           {"RM", KEY_RM},
    {"access", KEY_ACCESS}, {"update", KEY_UPDATE}, {"insert", KEY_INSERT},   {"delete", KEY_DELETE},
    {"not_key", KEY_NOT_KEY}, {"incomplete", KEY_INCOMPLETE}, {"variable_flags", KEY_VARIABLE_FLAGS},
};

/* ---- parsing: runs once, at start ---- */

/* Reads a number at *s and moves *s behind it; false if there is none. */
static bool take_number(const char **s, int16_t *out)
{
    char *end;
    long v = strtol(*s, &end, 10);
    if (end == *s || v < INT16_MIN || v > INT16_MAX) return false;
    *s = end;
    *out = (int16_t)v;
    return true;
}

/* The part before "..", "#" or "?": an argument's number, or WORD+F. */
static bool parse_begin(const char **s, struct keyspec *k)
{
    if (**s == '?') return true;
    if (**s >= 'A' && **s <= 'Z') {
        size_t n = strspn(*s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
        k->begin = KEYSPEC_KEYWORD;
        k->keyword = (struct slice){(const uint8_t *)*s, n};
        *s += n;
    } else {
        k->begin = KEYSPEC_INDEX;
    }
    return take_number(s, &k->pos);
}

static bool parse_range(const char **s, struct keyspec *k)
{
    if (!take_number(s, &k->last)) return false;
    if (**s != '/') return true;
    ++*s;
    if (!take_number(s, &k->step) || k->step < 1) return false;
    if (**s != '/') return true;
    ++*s;
    return take_number(s, &k->limit) && k->limit > 1;
}

static bool parse_keynum(const char **s, struct keyspec *k)
{
    k->find = KEYSPEC_KEYNUM;
    k->limit = 1;
    if (**s == ' ') return true;
    if (!take_number(s, &k->last) || *(*s)++ != ',') return false;
    if (!take_number(s, &k->limit) || *(*s)++ != ',') return false;
    return take_number(s, &k->step) && k->step > 0;
}

static bool parse_place(const char **s, struct keyspec *k)
{
    *k = (struct keyspec){.find = KEYSPEC_RANGE, .step = 1};
    if (!parse_begin(s, k)) return false;
    if (**s == '?') {
        ++*s;
        k->find = KEYSPEC_FIND_UNKNOWN;
    } else if (**s == '#') {
        ++*s;
        if (!parse_keynum(s, k)) return false;
    } else if (strncmp(*s, "..", 2) == 0) {
        *s += 2;
        if (!parse_range(s, k)) return false;
    }
    return **s == ' ';
}

static bool parse_words(const char **s, struct keyspec *k)
{
    while (**s == ' ') {
        const char *word = ++*s;
        size_t n = strcspn(word, " ;"), i;
        for (i = 0; i < ARRAY_LEN(key_words); i++)
            if (strlen(key_words[i].word) == n && memcmp(key_words[i].word, word, n) == 0) break;
        if (i == ARRAY_LEN(key_words)) return false;
        k->flags |= key_words[i].flag;
        *s += n;
    }
    return k->flags != 0;
}

int keyspec_parse(const char *text, struct keyspec *specs, int max)
{
    int n = 0;
    const char *s = text;
    while (*s) {
        if (n == max || !parse_place(&s, &specs[n]) || !parse_words(&s, &specs[n])) return -1;
        n++;
        if (strncmp(s, "; ", 2) == 0)
            s += 2;
        else if (*s)
            return -1;
    }
    return n;
}

/* ---- finding ---- */

static bool is_word(struct slice arg, const char *word)
{
    size_t n = strlen(word);
    return arg.n == n && strncasecmp((const char *)arg.p, word, n) == 0;
}

static inline void put_key(struct key_index *out, uint32_t cap, int *n, uint32_t pos, uint32_t flags)
{
    if ((uint32_t)*n < cap) out[*n] = (struct key_index){pos, flags};
    ++*n;
}

/* The argument where a spec's search begins; 0 if its keyword is not there. */
static int64_t spec_first(const struct keyspec *k, const struct slice *argv, uint32_t argc)
{
    if (k->begin == KEYSPEC_INDEX) return k->pos;
    int64_t i = k->pos > 0 ? k->pos : (int64_t)argc + k->pos;
    int64_t step = k->pos > 0 ? 1 : -1;
    for (; i > 0 && i < (int64_t)argc; i += step)
        if (argv[i].n == k->keyword.n && strncasecmp((const char *)argv[i].p, (const char *)k->keyword.p, k->keyword.n) == 0)
            return i + 1;
    return 0;
}

/* Reads a number of keys: decimal digits only. False if it is none, or more than the arguments can hold. */
static bool read_count(struct slice arg, uint32_t argc, int64_t *out)
{
    int64_t v = 0;
    if (arg.n == 0 || arg.n > 10) return false;
    for (size_t i = 0; i < arg.n; i++) {
        if (arg.p[i] < '0' || arg.p[i] > '9') return false;
        v = v * 10 + (arg.p[i] - '0');
    }
    *out = v;
    return v <= argc;
}

/* First and last key of one spec. 1: found; 0: this spec has no keys in this call; -1: the arguments are not valid. */
static int spec_bounds(const struct keyspec *k, bool may_be_none, const struct slice *argv, uint32_t argc, int64_t *first,
                       int64_t *last)
{
    *first = spec_first(k, argv, argc);
    if (*first == 0 || (k->begin == KEYSPEC_KEYWORD && *first >= argc)) return 0;
    if (k->find == KEYSPEC_KEYNUM) {
        int64_t count;
        if (*first + k->last >= argc || !read_count(argv[*first + k->last], argc, &count)) return -1;
        if (count == 0) return may_be_none ? 0 : -1;
        *first += k->limit;
        *last = *first + (count - 1) * k->step;
    } else if (k->last >= 0) {
        *last = *first + k->last;
    } else if (k->limit > 1) {
        *last = *first + (argc - *first) / k->limit + k->last;
    } else {
        *last = (int64_t)argc + k->last;
    }
    if (k->find == KEYSPEC_RANGE && *last < *first) return 0; /* the arity lets them be left out: PFMERGE */
    return *first < argc && *last < argc && *last >= *first ? 1 : -1;
}

int keyspec_find(const struct keyspec *specs, uint32_t count, bool may_be_none, const struct slice *argv, uint32_t argc,
                 struct key_index *out, uint32_t cap)
{
    int n = 0;
    for (uint32_t s = 0; s < count; s++) {
        const struct keyspec *k = &specs[s];
        int64_t first, last;
        if (k->flags & KEY_NOT_KEY) continue;
        if (k->begin == KEYSPEC_UNKNOWN || k->find == KEYSPEC_FIND_UNKNOWN) return -1;
        int found = spec_bounds(k, may_be_none, argv, argc, &first, &last);
        if (found < 0) return -1;
        if (found == 0) continue;
        for (int64_t i = first; i <= last; i += k->step) put_key(out, cap, &n, (uint32_t)i, k->flags);
        if (k->flags & KEY_INCOMPLETE) return -1;
    }
    return n;
}

/* ---- commands with a function of their own ---- */

/* SET key value ...: with GET the old value is read, without it is not. */
static int keys_of_set(const struct slice *argv, uint32_t argc, struct key_index *out, uint32_t cap)
{
    int n = 0;
    uint32_t flags = KEY_OW | KEY_UPDATE;
    for (uint32_t i = 3; i < argc; i++)
        if (is_word(argv[i], "get")) flags = KEY_RW | KEY_ACCESS | KEY_UPDATE;
    put_key(out, cap, &n, 1, flags);
    return n;
}

/* BITFIELD key ...: only reads when every operation is a GET. Whatever is not understood counts as a write. */
static int keys_of_bitfield(const struct slice *argv, uint32_t argc, struct key_index *out, uint32_t cap)
{
    int n = 0;
    bool reads_only = true;
    for (uint32_t i = 2; i < argc && reads_only;) {
        uint32_t rest = argc - i - 1;
        if (is_word(argv[i], "get") && rest >= 2)
            i += 3;
        else if (is_word(argv[i], "overflow") && rest >= 1)
            i += 2;
        else
            reads_only = false;
    }
    put_key(out, cap, &n, 1, reads_only ? KEY_RO | KEY_ACCESS : KEY_RW | KEY_ACCESS | KEY_UPDATE);
    return n;
}

/* The arguments that follow the option at argv[i] of SORT. */
static uint32_t sort_option_args(struct slice option)
{
    if (is_word(option, "limit")) return 2;
    return is_word(option, "get") || is_word(option, "by") ? 1 : 0;
}

/* SORT key ... [STORE destination]: of several STOREs the last one counts. */
static int keys_of_sort(const struct slice *argv, uint32_t argc, struct key_index *out, uint32_t cap)
{
    int n = 0;
    uint32_t store = 0;
    put_key(out, cap, &n, 1, KEY_RO | KEY_ACCESS);
    for (uint32_t i = 2; i < argc; i++) {
        if (is_word(argv[i], "store") && i + 1 < argc)
            store = ++i;
        else
            i += sort_option_args(argv[i]);
    }
    if (store) put_key(out, cap, &n, store, KEY_OW | KEY_UPDATE);
    return n;
}

static int keys_of_sort_ro(const struct slice *argv UNUSED, uint32_t argc UNUSED, struct key_index *out, uint32_t cap)
{
    int n = 0;
    put_key(out, cap, &n, 1, KEY_RO | KEY_ACCESS);
    return n;
}

/* MIGRATE host port key|"" ... [KEYS key ...]: the list counts when the one key is empty. A password may be the word KEYS. */
static int keys_of_migrate(const struct slice *argv, uint32_t argc, struct key_index *out, uint32_t cap)
{
    const uint32_t flags = KEY_RW | KEY_ACCESS | KEY_DELETE;
    int n = 0;
    uint32_t keys = 0;
    for (uint32_t i = 6; i < argc && !keys; i++) {
        if (is_word(argv[i], "keys")) keys = i + 1;
        i += is_word(argv[i], "auth") ? 1 : is_word(argv[i], "auth2") ? 2 : 0;
    }
    if (keys && argv[3].n) return -1;
    if (!keys) put_key(out, cap, &n, 3, flags);
    for (uint32_t i = keys; i && i < argc; i++) put_key(out, cap, &n, i, flags);
    return n;
}

bool command_reads_by_pattern(const struct slice *argv, uint32_t argc)
{
    for (uint32_t i = 2; i < argc; i++) {
        uint32_t skip = sort_option_args(argv[i]);
        if (skip == 1 && i + 1 < argc && argv[i + 1].n && memchr(argv[i + 1].p, '*', argv[i + 1].n)) return true;
        i += skip;
    }
    return false;
}

keys_function *keyspec_function(const char *command_name)
{
    static const struct {
        const char *name;
        keys_function *keys;
    } rows[] = {
        {"set", keys_of_set}, {"bitfield", keys_of_bitfield}, {"sort", keys_of_sort}, {"sort_ro", keys_of_sort_ro},
        {"migrate", keys_of_migrate},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(rows[i].name, command_name) == 0) return rows[i].keys;
    return NULL;
}
