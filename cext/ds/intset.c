/* ds/intset.c - the sorted integer array of intset.h. Pure functions over the caller's memory. */
#include "ds/intset.h"

const uint8_t intset_empty[INTSET_HEADER] = {2, 0, 0, 0, 0, 0, 0, 0};

static uint32_t width_of(int64_t v)
{
    return v >= INT16_MIN && v <= INT16_MAX ? 2 : v >= INT32_MIN && v <= INT32_MAX ? 4 : 8;
}

static void put(uint8_t *is, uint32_t width, uint32_t index, int64_t v)
{
    uint8_t *p = is + INTSET_HEADER + (uint64_t)index * width;
    if (width == 2)
        le_store16(p, (uint16_t)v);
    else if (width == 4)
        le_store32(p, (uint32_t)v);
    else
        le_store64(p, (uint64_t)v);
}

static void put_header(uint8_t *is, uint32_t width, uint32_t count)
{
    le_store32(is, width);
    le_store32(is + 4, count);
}

bool intset_find(const uint8_t *is, int64_t v, uint32_t *index)
{
    uint32_t low = 0, count = intset_count(is), high = count;
    if (count > 0 && v > intset_get(is, count - 1))
        low = high; /* ascending inserts are common */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (intset_get(is, middle) < v)
            low = middle + 1;
        else
            high = middle;
    }
    if (index != NULL)
        *index = low;
    return low < count && intset_get(is, low) == v;
}

bool intset_plan_add(const uint8_t *is, int64_t v, struct intset_plan *plan)
{
    uint32_t old_width = intset_width(is), count = intset_count(is), index;
    if (intset_find(is, v, &index))
        return false;
    uint32_t width = MAX(old_width, width_of(v));
    uint64_t at = INTSET_HEADER + (uint64_t)index * width, bytes = INTSET_HEADER + ((uint64_t)count + 1) * width;
    *plan = (struct intset_plan){v, index, true, width != old_width, width, at, bytes - at, bytes};
    if (plan->widens) {
        plan->at = INTSET_HEADER;
        plan->reach = bytes - INTSET_HEADER;
    }
    return true;
}

bool intset_plan_remove(const uint8_t *is, int64_t v, struct intset_plan *plan)
{
    uint32_t width = intset_width(is), index;
    if (!intset_find(is, v, &index))
        return false;
    uint64_t at = INTSET_HEADER + (uint64_t)index * width, bytes = intset_bytes(is) - width;
    *plan = (struct intset_plan){v, index, false, false, width, at, bytes - at, bytes};
    return true;
}

void intset_apply(uint8_t *is, const struct intset_plan *plan)
{
    uint32_t count = intset_count(is);
    uint8_t *gap = is + plan->at;
    ENSURE(!plan->widens);
    if (plan->adds) {
        memmove(gap + plan->width, gap, plan->reach - plan->width);
        put(is, plan->width, plan->index, plan->value);
    } else {
        memmove(gap, gap + plan->width, plan->reach);
    }
    put_header(is, plan->width, plan->adds ? count + 1 : count - 1);
}

void intset_build(uint8_t *dst, const uint8_t *src, const struct intset_plan *plan)
{
    uint32_t count = intset_count(src), from = plan->index, to = plan->index;
    put_header(dst, plan->width, plan->adds ? count + 1 : count - 1);
    if (plan->adds)
        put(dst, plan->width, to++, plan->value);
    else
        from++;
    if (plan->widens) {
        for (uint32_t i = 0; i < plan->index; i++)
            put(dst, plan->width, i, intset_get(src, i));
        for (; from < count; from++, to++)
            put(dst, plan->width, to, intset_get(src, from));
        return;
    }
    uint64_t width = plan->width;
    memcpy(dst + INTSET_HEADER, src + INTSET_HEADER, plan->index * width);
    memcpy(dst + INTSET_HEADER + to * width, src + INTSET_HEADER + from * width, (count - from) * width);
}

static uint32_t sorted_width(const int64_t *sorted, uint32_t count)
{
    return count == 0 ? 2 : MAX(width_of(sorted[0]), width_of(sorted[count - 1]));
}

uint64_t intset_sorted_bytes(const int64_t *sorted, uint32_t count)
{
    return INTSET_HEADER + (uint64_t)sorted_width(sorted, count) * count;
}

void intset_build_sorted(uint8_t *dst, const int64_t *sorted, uint32_t count)
{
    uint32_t width = sorted_width(sorted, count);
    put_header(dst, width, count);
    for (uint32_t i = 0; i < count; i++)
        put(dst, width, i, sorted[i]);
}

bool intset_validate(const uint8_t *is, size_t n, bool deep)
{
    if (n < INTSET_HEADER)
        return false;
    uint32_t width = intset_width(is), count = intset_count(is);
    if ((width != 2 && width != 4 && width != 8) || count == 0 || intset_bytes(is) != n)
        return false;
    for (uint32_t i = 1; deep && i < count; i++)
        if (intset_get(is, i - 1) >= intset_get(is, i))
            return false;
    return true;
}
