/* cmd/cmd_geo.c - GEOADD, GEOPOS, GEOHASH, GEODIST: positions as scores of a sorted set. Searches: cmd_geo_search.c; what a score means:
 * ds/geohash.h. */
#include "cmd/cmd_geo.h"

#include <stdio.h>

#include "base/num.h"
#include "cmd/cmd_zset.h"

bool geo_arg_point(struct cmd *c, uint32_t at, struct geo_point *p)
{
    if (!arg_double(c, at, &p->lon, NULL) || !arg_double(c, at + 1, &p->lat, NULL)) return false;
    if (geo_valid(*p)) return true;
    reply_errorf(c->out, "ERR invalid longitude,latitude pair %f,%f", p->lon, p->lat);
    return false;
}

bool geo_arg_unit(struct cmd *c, uint32_t at, double *metres)
{
    static const struct {
        const char *word;
        double metres;
    } units[] = {{"M", 1}, {"KM", 1000}, {"FT", 0.3048}, {"MI", 1609.34}};
    for (uint32_t i = 0; i < ARRAY_LEN(units); i++)
        if (arg_is(c, at, units[i].word)) {
            *metres = units[i].metres;
            return true;
        }
    reply_errorf(c->out, "ERR unsupported unit provided. please use M, KM, FT, MI");
    return false;
}

void geo_reply_distance(struct cmd *c, double distance)
{
    uint8_t text[NUM_DOUBLE_ROOM];
    reply_bulk(c->out, text, num_from_double_fixed(text, distance, 4));
}

static void reply_degrees(struct cmd *c, double v)
{
    if (c->out->resp == 2) {
        reply_human_long_double(c->out, v);
        return;
    }
    uint8_t text[64]; /* |v| <= 180 */
    text[0] = ',';
    size_t n = 1 + num_from_ldouble(text + 1, v);
    memcpy(text + n, "\r\n", 2);
    reply_raw(c->out, text, n + 2);
}

void geo_reply_point(struct cmd *c, struct geo_point p)
{
    reply_array(c->out, 2);
    reply_degrees(c, p.lon);
    reply_degrees(c, p.lat);
}

/* ---- adding ---- */

void cmd_geoadd(struct cmd *c)
{
    uint32_t how = 0, first = 2;
    bool changed = false;
    for (; first < c->argc; first++) {
        if (arg_is(c, first, "NX"))
            how |= ZADD_NX;
        else if (arg_is(c, first, "XX"))
            how |= ZADD_XX;
        else if (arg_is(c, first, "CH"))
            changed = true;
        else
            break;
    }
    uint32_t n = (c->argc - first) / 3;
    if ((c->argc - first) % 3 || (how & ZADD_NX && how & ZADD_XX) || !n) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    struct zmember *members = scratch_alloc(n * sizeof *members);
    for (uint32_t i = 0; i < n; i++) {
        struct geo_point p;
        if (!geo_arg_point(c, first + 3 * i, &p)) return;
        members[i] = (struct zmember){c->argv[first + 3 * i + 2], (double)geo_encode(p)};
    }
    zset_add_members(c, members, n, how, changed);
}

/* ---- asking ---- */

bool geo_member(const struct zset *z, struct slice name, struct geo_point *p)
{
    double score;
    if (!zset_score(z, name, &score)) return false;
    *p = geo_decode((uint64_t)score);
    return true;
}

void cmd_geohash(struct cmd *c)
{
    struct zset z;
    bool there;
    double score;
    if (!zset_read(c, 1, &z, &there)) return;
    reply_array(c->out, c->argc - 2);
    for (uint32_t i = 2; i < c->argc; i++) {
        char text[GEO_TEXT_BYTES];
        if (!there || !zset_score(&z, c->argv[i], &score)) {
            reply_null(c->out);
            continue;
        }
        geo_text((uint64_t)score, text);
        reply_bulk(c->out, text, sizeof text);
    }
}

void cmd_geopos(struct cmd *c)
{
    struct zset z;
    bool there;
    struct geo_point p;
    if (!zset_read(c, 1, &z, &there)) return;
    reply_array(c->out, c->argc - 2);
    for (uint32_t i = 2; i < c->argc; i++) {
        if (there && geo_member(&z, c->argv[i], &p))
            geo_reply_point(c, p);
        else
            reply_null_array(c->out);
    }
}

void cmd_geodist(struct cmd *c)
{
    struct zset z;
    bool there;
    struct geo_point a, b;
    double unit = 1;
    if (c->argc > 5) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    if (c->argc == 5 && !geo_arg_unit(c, 4, &unit)) return;
    if (!zset_read(c, 1, &z, &there)) return;
    if (there && geo_member(&z, c->argv[2], &a) && geo_member(&z, c->argv[3], &b))
        geo_reply_distance(c, geo_distance(a, b) / unit);
    else
        reply_null(c->out);
}
