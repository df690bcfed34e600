/* cmd/auth.c - checking passwords against the shared lines of users. The lines: auth.h. */
#include "cmd/auth.h"

#include <stdlib.h>
#include <string.h>

#include "base/sha.h"
#include "shm/segment.h"

#define HASH_TEXT (2u * SHA256_BYTES)

static struct {
    uint64_t version; /* of the blob that `text` is a copy of */
    uint8_t *text;
    size_t n;
} users;

/* False when there is no memory for the copy: nobody gets in by an old one. */
static bool refresh(void)
{
    while (users.version != blob_version(BLOB_USERS)) {
        uint64_t version, n = blob_read(BLOB_USERS, NULL, 0, &version);
        uint8_t *text = malloc(n ? n : 1);
        if (!text) return false;
        if (blob_read(BLOB_USERS, text, n, &version) > n) { /* it grew meanwhile */
            free(text);
            continue;
        }
        free(users.text);
        users.text = text;
        users.n = n;
        users.version = version;
    }
    return true;
}

/* Takes the text up to `end` off `from`. */
static struct slice take(struct slice *from, char end)
{
    const uint8_t *at = from->n ? memchr(from->p, end, from->n) : NULL;
    struct slice word = {from->p, at ? (size_t)(at - from->p) : from->n};
    size_t used = at ? word.n + 1 : word.n;
    *from = (struct slice){from->p + used, from->n - used};
    return word;
}

static bool is(struct slice word, const char *text)
{
    return word.n == strlen(text) && memcmp(word.p, text, word.n) == 0;
}

struct login {
    bool found, on, open;
    bool matches; /* one of the hashes is the asked one */
};

static bool same_hash(const uint8_t *a, const char *b)
{
    uint8_t differ = 0;
    for (uint32_t i = 0; i < HASH_TEXT; i++) differ |= (uint8_t)(a[i] ^ (uint8_t)b[i]);
    return differ == 0;
}

/* What the user's line says; `hash` NULL: passwords are not looked at. */
static struct login look_up(struct slice user, const char *hash)
{
    struct slice rest = {users.text, users.n};
    while (rest.n) {
        struct slice line = take(&rest, '\n');
        if (!is(take(&line, ' '), "user")) continue;
        struct slice name = take(&line, ' ');
        if (name.n != user.n || memcmp(name.p, user.p, name.n) != 0) continue;
        struct login l = {.found = true};
        while (line.n) {
            struct slice word = take(&line, ' ');
            if (is(word, "on")) l.on = true;
            if (is(word, "nopass")) l.open = true;
            if (hash && word.n == HASH_TEXT + 1 && word.p[0] == '#') l.matches |= same_hash(word.p + 1, hash);
        }
        return l;
    }
    return (struct login){0};
}

static bool nobody_configured(struct slice user) { return users.n == 0 && is(user, "default"); }

bool auth_check(struct slice user, struct slice password)
{
    if (!refresh()) return false;
    uint8_t digest[SHA256_BYTES];
    char hash[HASH_TEXT];
    sha256_bytes(password.p, password.n, digest);
    hex_text(hash, digest, SHA256_BYTES);
    if (nobody_configured(user)) return true;
    struct login l = look_up(user, hash);
    return l.found && l.on && (l.open || l.matches);
}

bool auth_default_open(void)
{
    if (!refresh()) return false;
    struct slice user = SLICE("default");
    if (nobody_configured(user)) return true;
    struct login l = look_up(user, NULL);
    return l.on && l.open;
}
