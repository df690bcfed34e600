/* log/logmerge.c - merging the rings in LSN order. Why it needs no lock: logmerge.h. */
#include "log/logmerge.h"

void log_merge_init(struct log_merge *m, uint64_t after)
{
    m->next = after + 1;
    m->last = 0;
    for (uint32_t i = 0; i < SLOT_MAX; i++) {
        m->at[i] = atomic_load_explicit(&slot_at(i)->log.tail, memory_order_relaxed);
        for (const struct log_record *r; (r = ring_next(i, &m->at[i])) && r->lsn <= after;) ring_advance(r, &m->at[i]);
    }
}

const struct log_record *log_merge_next(struct log_merge *m)
{
    for (uint32_t n = 0; n < SLOT_MAX; n++) {
        uint32_t i = (m->last + n) % SLOT_MAX;
        const struct log_record *r = ring_next(i, &m->at[i]);
        if (!r || r->lsn != m->next) continue;
        m->last = i;
        return r;
    }
    return NULL;
}

void log_merge_take(struct log_merge *m, const struct log_record *r)
{
    ring_advance(r, &m->at[m->last]);
    m->next = r->lsn + 1;
}

bool log_merge_skip(struct log_merge *m, uint64_t lsn)
{
    const struct log_record *r;
    while (m->next <= lsn && (r = log_merge_next(m))) log_merge_take(m, r);
    return m->next > lsn;
}

void log_merge_pass(struct log_merge *m, uint64_t lsn)
{
    for (uint32_t i = 0; i < SLOT_MAX; i++)
        for (const struct log_record *r; (r = ring_next(i, &m->at[i])) && r->lsn <= lsn;) ring_advance(r, &m->at[i]);
    m->next = MAX(m->next, lsn + 1);
}

void log_merge_give_back(const struct log_merge *m, const struct log_merge *other)
{
    for (uint32_t i = 0; i < SLOT_MAX; i++) ring_consume_to(i, other ? MIN(m->at[i], other->at[i]) : m->at[i]);
}

bool log_merge_anything(struct log_merge *m)
{
    for (uint32_t i = 0; i < SLOT_MAX; i++)
        if (ring_next(i, &m->at[i])) return true;
    return false;
}
