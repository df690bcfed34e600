/* cmd/cmd.c - what a handler tells about its effects, and the type check.
 *
 * cmd_modified and cmd_notify are the one place where a change of a key becomes known: watchers are marked in the same transaction
 * (keyspace/interest.h), and the event reaches the publisher of keyspace notifications, if one is attached and wants its class.
 *
 * Needs the key's stripe and an open transaction. The publisher runs inside the transaction: it must only note the event. A death in
 * the middle undoes the marks with the write. Not for: serving blocked clients (cmd/blocking.c; changed keys are noted here), the log (cmd/propagate.c).
 */
#include "cmd/cmd.h"

#include "cmd/blocking.h"
#include "cmd/propagate.h"
#include "keyspace/interest.h"

event_publisher *cmd_event_publisher;

/* Bits of notify-keyspace-events (settings.def). */
#define EVENTS_KEYSPACE 1
#define EVENTS_KEYEVENT 2

static int64_t event_class_bit(char cls)
{
    switch (cls) {
    case 'g': return 4;
    case '$': return 8;
    case 'l': return 16;
    case 's': return 32;
    case 'h': return 64;
    case 'z': return 128;
    case 'x': return 256;
    case 'e': return 512;
    case 't': return 1024;
    case 'm': return 2048;
    case 'd': return 8192;
    case 'n': return 16384;
    default: return 0;
    }
}

static COLD void publish_event(const struct key *k, char cls, const char *event, int64_t wanted)
{
    if (wanted & (EVENTS_KEYSPACE | EVENTS_KEYEVENT) && wanted & event_class_bit(cls)) cmd_event_publisher(k, event, wanted);
}

static ALWAYS_INLINE void tell_event(const struct key *k, char cls, const char *event)
{
    if (likely(!cmd_event_publisher)) return;
    int64_t wanted = setting(SET_notify_keyspace_events);
    if (wanted) publish_event(k, cls, event, wanted);
}

void cmd_changed(struct txn *t, const struct key *k, char cls, const char *event)
{
    if (unlikely(interest_any(k))) {
        interest_mark_modified(t, k);
        blocking_note(k);
    }
    if (log_on()) txn_note_change(t, stripe_of(k->hash), k->hash);
    tell_event(k, cls, event);
}

void cmd_notify(struct cmd *c, const struct key *k, char cls, const char *event) { cmd_changed(c->txn, k, cls, event); }

void cmd_modified(struct cmd *c, const struct key *k, char cls, const char *event)
{
    c->dirty++;
    cmd_notify(c, k, cls, event);
}

void cmd_key_expired(struct txn *t, const struct key *k)
{
    const struct slice del[2] = {SLICE("DEL"), k->name};
    if (log_on()) cmd_log(t, k->db, 2, del);
    interest_expired(t, k);
    tell_event(k, 'x', "expired");
}

__attribute__((constructor)) static void attach_hook(void)
{
    ks_expired_hook = cmd_key_expired;
}

void cmd_key_evicted(struct txn *t, const struct key *k)
{
    const struct slice del[2] = {SLICE("DEL"), k->name};
    if (log_on()) cmd_log(t, k->db, 2, del);
    interest_modified(t, k);
    tell_event(k, 'e', "evicted");
}

bool wrong_type(struct cmd *c, const struct entry *e, enum obj_type want)
{
    if (likely(!e || entry_type(e) == want)) return false;
    reply_error(c->out, ERR_WRONGTYPE);
    return true;
}
