/* engine.h - the whole surface that Python sees of the data plane.
 *
 * What stands between the marks "cffi: begin" and "cffi: end" is what cffi reads (build_engine.py): plain declarations, no preprocessor.
 * Names that begin with py_ are Python functions that C calls; Python hands them over with engine_callbacks() before it serves.
 *
 * Who calls: the supervisor (segment, instance, grow), each worker's main (worker_start, add_listener, serve) and Python commands
 * (cmd_*, reply_*). Everything runs in the process's one thread, but engine_grow_wait(), which the supervisor may call in a thread of
 * its own. Errors: -1 and words in `err`, or as said at the function. Bytes are never zero-terminated unless said.
 */
#ifndef SHOAL_ENGINE_H
#define SHOAL_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default)
/* cffi: begin */
struct cmd;

/* ---- the segment (supervisor) ---- */
/* Bytes of the sparse file; arena_bytes 0 = as much as the machine's memory. */
uint64_t engine_segment_size(uint64_t arena_bytes, uint32_t databases, uint32_t workers, uint32_t clients_max);
/* Formats the file behind fd (made and ftruncated to engine_segment_size() bytes) and maps it. 0, or -1. */
int engine_segment_create(int fd, uint64_t arena_bytes, uint64_t initial_bytes, uint32_t databases, uint32_t workers,
                          uint32_t clients_max, char *err, size_t errlen);
/* Maps what an earlier instance left, if it fits this build and this boot. 0, or -1. */
int engine_segment_map(int fd, char *err, size_t errlen);
/* What segment_map compares: of the layout that this build makes. */
uint64_t engine_layout_fingerprint(void);
void engine_segment_unmap(void);
/* Commits the next chunk of the arena: 1 grew, 0 as large as it may become, -1 shared memory is full. */
int engine_segment_grow(void);
/* Sleeps until somebody needs the arena to grow, at most ms milliseconds; 1 = so it is. */
int engine_grow_wait(uint32_t ms);
/* Commits the log rings (before the AOF is switched on). -1: shared memory is full. */
int engine_commit_rings(void);
/* Checks the page map and the free lists, and with `keys` every key and value of every database (seconds for millions of keys); holds all
 * stripes meanwhile. 0, or -1 and what is wrong. */
int engine_check(int keys, char *err, size_t errlen);

/* ---- the instance (supervisor, before it forks) ---- */
/* A new instance begins to serve from the mapped segment: takes slot 0, sets run_id (40 hex digits) and start time, counts the
 * generation, clears `clean`, `serving` and the deaths, and repairs every slot that a dead process of an earlier instance left.
 * Returns how many needed it. */
int engine_instance_begin(const char *run_id, uint32_t workers);
/* A death of a process of `kind` (1 supervisor 2 worker 3 log writer 4 persistence) is counted; the heir repairs. */
void engine_count_death(uint32_t kind);
/* The instance ends; clean = 1: all processes have stopped by themselves. */
void engine_instance_end(int clean);

/* Words of the segment's header by name: serving, clean, generation, clients_paused, pause_until_ms, started_ms, created_ms, lsn,
 * log_enabled, cow_active, arena_committed, arena_size, grow_failed, pages_total, pages_used, pages_free, next_client_id,
 * workers, databases, clients_max, progress_done, progress_total, save_cancel, kept_memory, loaded, deaths.<kind>, write_error
 * (MISCONF: 1 = the last save failed, 2 = the log cannot be written), slowlog_first (ids below are forgotten), slow_next and
 * latency_next (id of the next slow command and latency event). INT64_MIN: there is no such word. */
int64_t engine_word(const char *name);
/* 0, or -1: no such word, or it is not to be set. Words that may be set: serving, clean, write_error, slowlog_first,
 * save_cancel, kept_memory, loaded. */
int engine_set_word(const char *name, int64_t value);
/* 40 hex digits, zero-terminated. */
const char *engine_run_id(void);

struct engine_slot {
    uint32_t index, pid, kind, ready, clients;
    uint64_t started_ms, births, loop_epoch, status;
    int64_t used_bytes;
};
/* Slots 0 .. engine_slots() - 1. -1: no such slot. */
uint32_t engine_slots(void);
int engine_slot_get(uint32_t i, struct engine_slot *out);

/* ---- settings that C reads (settings.def) ---- */
uint32_t engine_setting_count(void);
const char *engine_setting_name(uint32_t i);
int engine_setting_index(const char *name); /* -1: none */
int64_t engine_setting_get(uint32_t i);
void engine_setting_set(uint32_t i, int64_t value);

/* ---- blobs: byte strings that all processes share ---- */
uint64_t engine_blob_version(uint32_t which);
/* The current copy's size; its bytes are in buf if they fit in cap. */
uint64_t engine_blob_read(uint32_t which, void *buf, uint64_t cap, uint64_t *version);
/* 0; -1 = the version is not `expect` any more; -2 = too large. */
int engine_blob_write(uint32_t which, const void *p, uint64_t n, uint64_t expect);

/* ---- statistics ---- */
uint32_t engine_stat_count(void);
const char *engine_stat_name(uint32_t i);  /* C name, lower case */
const char *engine_stat_field(uint32_t i); /* name in INFO, "" if it has none */
uint64_t engine_stat_total(uint32_t i);
uint64_t engine_stat_slot(uint32_t slot, uint32_t i);
/* A number of this process that stands where counters do; CONFIG RESETSTAT leaves it. */
void engine_stat_gauge(uint32_t i, uint64_t value);
void engine_stats_reset(void); /* also those of commands */

struct engine_command_stats {
    uint64_t calls, usec, rejected, failed;
};
void engine_command_stats(uint32_t command, struct engine_command_stats *out);

/* Errors by code: fills up to cap rows, returns how many. */
struct engine_error {
    char code[24];
    uint64_t count;
};
uint32_t engine_errors(struct engine_error *out, uint32_t cap);
/* Run times of a command: calls by bucket; a bucket ends before engine_time_bucket_end() nanoseconds. */
uint32_t engine_time_buckets(void);
uint64_t engine_time_bucket_end(uint32_t i);
void engine_command_times(uint32_t command, uint64_t *buckets);
void engine_command_times_reset(uint32_t command);

struct engine_memory {
    int64_t used;        /* by keys, values, tables, and `startup` */
    uint64_t startup;    /* of an empty server: shm/slot.h */
    uint64_t committed;  /* of the arena */
    uint64_t arena_size;
    uint64_t overhead;   /* bytes of tables: buckets and stripes */
    uint64_t segment;    /* committed in all, fixed parts included */
};
void engine_memory(struct engine_memory *out);
struct engine_waiting {
    uint64_t lazy_objects;         /* values and keys to be freed in the background */
    uint64_t timeouts;             /* clients that wait for a limited time */
    uint64_t blocking_keys;        /* keys for which clients wait */
    uint64_t blocking_keys_nokey;  /* those whose going away wakes them too */
};
void engine_waiting(struct engine_waiting *out);
/* Notes what is used now; the most of all workers so far (`reset`: begins anew). */
int64_t engine_memory_peak(int reset);
uint64_t engine_db_size(uint32_t db);
uint64_t engine_db_expires(uint32_t db);

/* ---- a worker's life ---- */
/* Where lines go that C writes to the server's log (-1 nowhere); level 0 debug 1 verbose 2 notice 3 warning; role: the letter behind
 * the pid. */
void engine_log_to(int fd, int level, char role);
void engine_callbacks(void (*command)(struct cmd *), void (*control)(void), void (*tick)(void), void (*stage)(struct cmd *, int));
/* Inside py_stage(): this CONFIG SET of a transaction will change setting i to `value`. */
void engine_stage_setting(uint32_t i, int64_t value);
/* Takes slot `slot` for this process, repairs what its last owner left, gets ready to serve. 0, or -1. Not yet `ready`. */
int engine_worker_start(uint32_t slot, uint32_t kind, char *err, size_t errlen);
/* The descriptors of one worker's slot, made by the supervisor before it forks: both ends of a unix datagram socket pair through
 * which connections are handed over, and an eventfd that wakes it. Call once per worker slot, own one included. */
void engine_worker_fds(uint32_t slot, int handover_receive, int handover_send, int event_fd);
/* Listens on a socket that is bound and listening already; kind 0 tcp, 1 unix. */
void engine_add_listener(int fd, int kind);
/* Stops accepting there, for all clients that come; the descriptor stays the caller's. */
void engine_remove_listener(int fd);
/* Readable: py_control() is called. */
void engine_set_control(int fd);
/* Serves until told to stop; releases the GIL. Returns the reason given to engine_stop(), or -1 and words in `err`. */
int engine_serve(char *err, size_t errlen);
/* Ends engine_serve() of this process; safe in a signal handler. */
void engine_stop(int reason);
/* py_tick() is called this often (milliseconds, at least 20), at first once a second. */
void engine_tick_every(uint32_t ms);
/* Closes clients in an orderly way and gives the slot back (clean stop). */
void engine_worker_end(void);

/* ---- the command table ---- */
struct engine_command {
    const char *name, *fullname, *container, *group, *flag_words, *tips, *acl_words, *keyspec_words, *since, *complexity, *summary,
        *usage, *deprecated_since, *deprecated_instead; /* container: NULL when there is none; deprecated_*: "" */
    uint64_t flags, acl;
    int32_t arity, key_first, key_last, key_step, container_index; /* -1: none */
    uint32_t index, subcommands;
    int python; /* 1 = it runs in Python */
    int alone;  /* 0 = a container that cannot be called alone */
};
uint32_t engine_command_count(void);
int engine_command_get(uint32_t i, struct engine_command *out);
/* Index of the row for a call, -1 none; lens in bytes. */
int engine_command_find(uint32_t argc, const char *const *argv, const size_t *lens);
/* Positions and flags (KEY_...) of the keys of a call; how many, or -1 (invalid arguments). */
int engine_command_keys(uint32_t command, uint32_t argc, const char *const *argv, const size_t *lens, uint32_t *positions,
                        uint32_t *flags, uint32_t cap);
/* rename-command, before the first fork: `to` of 0 bytes takes the command away. -1: no such command; -2: `to` is one already. */
int engine_command_rename(const char *from, size_t from_n, const char *to, size_t to_n);
const char *engine_acl_category(uint32_t i); /* NULL behind the last */
/* 1: all of the text matches the glob pattern of KEYS, CONFIG GET, ... */
int engine_glob(const char *pattern, size_t pattern_n, const char *text, size_t text_n, int nocase);

/* ---- a Python command: valid while py_command() runs ---- */
uint32_t cmd_index(struct cmd *c);    /* of its row */
uint32_t cmd_argc(struct cmd *c);
const char *cmd_arg(struct cmd *c, uint32_t i, size_t *n);
uint32_t cmd_db(struct cmd *c);
int cmd_resp(struct cmd *c);          /* 2 or 3 */
int cmd_in_exec(struct cmd *c);
uint64_t cmd_client_id(struct cmd *c);
uint32_t cmd_client_record(struct cmd *c); /* index for engine_client_get(); UINT32_MAX: it has none */

void cmd_reply_ok(struct cmd *c);
void cmd_reply_status(struct cmd *c, const char *p, size_t n);
void cmd_reply_error(struct cmd *c, const char *p, size_t n); /* without '-', with its code */
void cmd_reply_int(struct cmd *c, int64_t v);
void cmd_reply_bulk(struct cmd *c, const char *p, size_t n);
void cmd_reply_verbatim(struct cmd *c, const char *ext, const char *p, size_t n); /* ext: "txt" or "mkd" */
void cmd_reply_double(struct cmd *c, double v);
void cmd_reply_bool(struct cmd *c, int v);
void cmd_reply_bignum(struct cmd *c, const char *digits);
void cmd_reply_null(struct cmd *c);
void cmd_reply_null_array(struct cmd *c);
void cmd_reply_array(struct cmd *c, uint64_t n);
void cmd_reply_map(struct cmd *c, uint64_t pairs);
void cmd_reply_set(struct cmd *c, uint64_t n);
void cmd_reply_push(struct cmd *c, uint64_t n);
void cmd_reply_raw(struct cmd *c, const char *p, size_t n); /* RESP already */

/* ---- keys on their way to another server (snap/transfer.h) ---- */
struct engine_transfer;
/* Takes the payloads of keys whose names differ; watch: they are to be removed in the end. NULL: no memory. */
struct engine_transfer *engine_transfer_begin(uint32_t db, uint32_t n, const char *const *names, const size_t *lens, int watch);
/* 1 and the payload, good until the end, and its expiry (unix time in ms, 0: none); 0 = no such key; -1 = larger than 512 MiB. */
int engine_transfer_payload(struct engine_transfer *x, uint32_t i, const char **p, size_t *n, int64_t *expire_ms);
/* The other server has this key. */
void engine_transfer_arrived(struct engine_transfer *x, uint32_t i);
/* Removes what has arrived and was not changed since, in one transaction. 0; -1 no memory, nothing was removed. */
int engine_transfer_end(struct engine_transfer *x);
/* After the end: 1 = the key was removed. */
int engine_transfer_removed(struct engine_transfer *x, uint32_t i);
void engine_transfer_free(struct engine_transfer *x);

/* ---- clients ---- */
struct engine_client {
    uint64_t id;
    uint32_t slot, flags, db, resp, command, watches, fd, subscriptions, pattern_subscriptions, shard_subscriptions;
    int32_t multi;
    uint64_t age_ms, idle_ms, query_bytes, query_free, argv_bytes, multi_bytes, reply_bytes, output_list_bytes, output_list_length, net_in,
        net_out, commands;
    char user[64], name[128], lib_name[64], lib_version[64], addr[112], laddr[112]; /* zero-terminated */
};
/* The first record from `from` on that somebody has; UINT32_MAX: there is none. */
uint32_t engine_client_next(uint32_t from);
/* 1 = filled in, 0 = nobody there. */
int engine_client_get(uint32_t i, struct engine_client *out);
/* Connections in all workers. */
uint32_t engine_clients(void);
/* Closes the connection with this id wherever it is: 1 = done or on its way, 0 = not found, -1 = its worker does not take messages. */
int engine_client_kill(uint64_t id);
/* Closes the largest connections if all of them hold more than maxmemory-clients. */
void engine_clients_check(void);
/* Ends the waiting of a client in BLPOP and the like, wherever it is, as if its time were over, or with an error: 1 = it waited. */
int engine_client_unblock(uint64_t id, int error);
/* The command's own client. */
void cmd_client_authenticate(struct cmd *c, const char *user, size_t n); /* as user; n 0: the default user */
void cmd_client_close(struct cmd *c, int after_reply);
/* The command goes on by itself: its client's input waits until engine_client_answer(). Not in EXEC. */
void cmd_client_away(struct cmd *c);
/* Its reply (RESP), in this worker: 1 = given, 0 = the client has gone. */
int engine_client_answer(uint64_t id, const char *p, size_t n);
/* 1 writes, 2 all; until_ms in wall clock. 0: goes on. Reaches all workers. */
void engine_pause(uint32_t what, int64_t until_ms);

/* ---- slow commands and latency events (all workers') ---- */
/* Copies the entries of one slot, oldest first, each a struct engine_slow and its bytes; returns the bytes needed. */
struct engine_slow {
    uint64_t size;       /* bytes of this entry, this head and padding included */
    uint64_t id;         /* grows over all slots, for each kind */
    int64_t time_s;      /* wall clock */
    int64_t usec;
    uint32_t kind;       /* 0 slow command; 1 latency event: one argument, the event's name */
    uint32_t argc;       /* then argc + 2 byte strings, each a uint32_t length and its bytes: client's address, name, arguments */
};
uint64_t engine_slow_read(uint32_t slot, void *buf, uint64_t cap);
/* Ids of slow commands given so far. */
uint64_t engine_slow_next(void);

/* ---- snapshots and RDB files (the persistence process) ---- */
struct engine_snapshot {
    uint64_t lsn;
    int64_t cut_ms;   /* wall clock */
    uint64_t cut_us;  /* the stall */
    uint64_t keys, preimage_bytes, spilled_bytes;
    uint64_t dirty;   /* changes to keys, ever, as of now */
};
struct engine_rdb {
    uint64_t keys, expired, bytes;
    int64_t created_s, used_mem;
    uint32_t version;
    int aof_base;
    uint64_t empty;
};
/* Takes the cut; writers run on. pool_bytes: bound of the pre-images in memory, beyond it they go to an unlinked file in the folder. */
int engine_snapshot_begin(uint64_t pool_bytes, const char *spill_folder, char *err, size_t errlen);
void engine_snapshot_end(void);
/* Ends what a dead persistence process left running. */
void engine_snapshot_abandon(void);
void engine_snapshot_get(struct engine_snapshot *out);

struct engine_damage {    /* a key, or a stripe's table */
    uint32_t db, stripe;
    int has_key;
    uint32_t key_bytes;   /* key holds at most the first 128 of them */
    uint8_t key[128];
    char why[160];
};
struct engine_check_slice {
    uint64_t place;       /* in: where to begin, 0 = with the first key; out: where to go on, UINT64_MAX = all is done */
    uint64_t stripes;     /* in: at most so many; there are `stripes_all` */
    uint32_t ms;          /* in: about so long */
    int wake_fd;          /* in: as soon as it can be read the slice ends */
    uint64_t stripes_all, keys, cut_us, preimage_bytes;
    uint32_t damaged;     /* out: how many `found` there were; more than its capacity are counted only */
};
/* A slice of the check of all keys and values, beside writers: takes a cut, looks, ends it. No snapshot may run. 0, or -1: there is no memory for
 * the cut. */
int engine_check_slice(uint64_t pool_bytes, const char *spill_folder, struct engine_check_slice *slice, struct engine_damage *found,
                       uint32_t capacity, char *err, size_t errlen);
/* Is this key (of at most 128 bytes) damaged now? 1 = yes, *found says how. */
int engine_check_key(uint32_t db, const void *key, uint32_t n, struct engine_damage *found);
/* flags: 1 compress 2 checksum 4 AOF base 8 for replicas 16 drop what is over (load). Of the running snapshot. */
int engine_rdb_save(int fd, uint32_t flags, char *err, size_t errlen);
/* The same as RESP commands: a base of the append-only file (snap/resp_base.h). */
int engine_resp_base_save(int fd, char *err, size_t errlen);
int engine_rdb_load(int fd, uint32_t flags, struct engine_rdb *out, char *err, size_t errlen);
/* Frees values that wait for it in this process, about so many items; 1 = more wait. */
int engine_lazy_step(uint64_t items);
/* Words progress_done of progress_total: keys of a save, bytes of a load. */
void engine_progress_begin(uint64_t total);
/* Empties all databases (before a reload); holds all stripes for a moment. Returns how many keys; UINT64_MAX: no memory. */
uint64_t engine_flush_all(void);

/* ---- the append-only file (log/logwriter.h) ---- */
/* The log writer process: files are <folder>/<name>.<sequence>.incr.aof. run works for about so many milliseconds. */
void engine_log_begin(const char *folder, const char *name);
void engine_log_run(uint32_t ms);
int engine_log_drained(void);
void engine_log_end(void);
/* Words for the log since the last call: 0 none, 1 a notice, 2 a warning. */
int engine_log_words(char *buf, size_t cap);

/* The persistence process. resume: after loading, the log goes on in a file of that length, behind LSN lsn (-1: no memory for the rings). */
int engine_log_resume(uint64_t file, uint64_t bytes, uint64_t lsn);
/* As engine_snapshot_begin(), and what is committed after the cut goes to incr file `file`, which is there and empty. */
int engine_snapshot_begin_log(uint64_t pool_bytes, const char *spill_folder, uint64_t file, char *err, size_t errlen);
/* Base and manifest of that cut are on the disk. */
void engine_log_base_done(void);
void engine_log_off(void);
/* Why writes are refused, word write_error: bit 1 a save failed, 2 the log cannot be written. */
void engine_write_error(uint32_t bit, int on);
struct engine_log {
    uint64_t lsn, file, bytes; /* last LSN in the files, the incr file's sequence number (0: none is open) and length */
};
void engine_log_get(struct engine_log *out);
struct engine_aof {
    uint64_t bytes, good, commands, keys, lsn;
    int preamble, torn; /* torn: only `good` bytes were executed */
};
/* Reads an AOF into the keyspace. 0, or -1 with a message. */
int engine_aof_load(int fd, const char *path, int allow_torn, struct engine_aof *out, char *err, size_t errlen);

/* ---- replication (shm/backlog.h) ---- */
struct engine_replication {
    int on;             /* the stream is being made */
    char id[41];        /* zero-terminated */
    uint64_t end, first; /* master_repl_offset; oldest position that a replica may go on from */
    uint32_t replicas;   /* connections that have asked to synchronise */
    uint64_t wanted, done; /* full synchronisations: asked for; answered */
};
void engine_replication(struct engine_replication *out);
struct engine_replica {
    uint64_t client_id, ack; /* ack: offset that it has acknowledged */
    uint32_t state, port;    /* enum replica_state */
    int64_t lag_ms;          /* since it last acknowledged something */
    char ip[48];
};
/* The first one from `from` on; UINT32_MAX: there is none. */
uint32_t engine_replica_next(uint32_t from);
int engine_replica_get(uint32_t i, struct engine_replica *out);
/* The persistence process. As engine_snapshot_begin(), and the stream for all who have asked so far begins behind the cut, whose number is put
 * into *number. */
int engine_snapshot_begin_replicas(uint64_t pool_bytes, const char *spill_folder, uint64_t *number, char *err, size_t errlen);
/* The file of that cut is written: it is sent to whom it is for. fd -1: it came to nothing, they are closed. -1: a worker's queue is full, or
 * the log writer has not come to the cut: call it again. */
int engine_replica_file(uint64_t number, int fd);
/* Ends what a dead persistence process had begun. */
void engine_replicas_abandon(void);
/* No stream any more; whoever comes back starts from the beginning. Replicas that are there are closed. */
void engine_replication_off(void);

/* ---- following a primary (shm/replica_link.h) ---- */
struct engine_link {
    uint32_t state, valid;      /* enum link_state; 1 = the dataset is that of stream `id` up to `offset` */
    uint64_t client_id, offset; /* 0 = nobody has the connection */
    int64_t heard_ms, down_ms;  /* since the primary last said something, since the link was lost */
    char id[48], target[288];   /* zero-terminated; "host port" */
};
void engine_link_get(struct engine_link *out);
/* The dataset is not that of a primary (any more). */
void engine_link_forget(void);
/* Its connection in a worker ends. */
void engine_link_close(void);
/* The persistence process, while no worker has the link. begin: the dataset is that of stream `id` (40 hex digits) up to `offset`; id: the same
 * stream has another id now. */
void engine_link_state(uint32_t state);
void engine_link_begin(const char *id, uint64_t offset);
void engine_link_id(const char *id);
/* A worker gets the connection. -1: not now. */
int engine_link_hand_over(int fd, const char *target);

/* ---- for the administrator's tool: files are looked at, nothing is loaded; no segment is needed ---- */
struct engine_aof_scan { /* struct logscan_report; verdict 0 whole 1 torn 2 damaged */
    uint64_t bytes, good, at, commands, lsn, first_ms, time_ms;
    int verdict, cut;
};
/* Judges an AOF from byte `from` on (behind an RDB preamble), as it stood at until_ms (0: as it is). `why` gets words when it is not whole.
 * -1: it cannot be read, errno says why. */
int engine_aof_scan(int fd, uint64_t from, uint64_t until_ms, struct engine_aof_scan *out, char *why, size_t whylen);
struct engine_rdb_head {
    uint64_t lsn;    /* of the cut, 0: it does not say */
    int64_t cut_ms;  /* its wall clock; in whole seconds where another server wrote it; 0: it does not say */
    uint32_t version;
};
/* What the first records of an RDB file say. -1: it does not begin like one. */
int engine_rdb_head(int fd, struct engine_rdb_head *out);

/* cffi: callbacks begin */
extern void py_command(struct cmd *c);
extern void py_control(void);
extern void py_tick(void);
extern void py_stage(struct cmd *c, int first);
/* cffi: callbacks end */
/* cffi: end */
#pragma GCC visibility pop

#endif
