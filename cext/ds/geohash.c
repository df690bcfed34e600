/* ds/geohash.c - scores, distances and search runs of geohash.h. Pure functions.
 *
 * The order of floating-point operations is that of Redis, so that scores, distances and the choice of cells come out equal.
 */
#include "ds/geohash.h"

#include <math.h>

#define EARTH_RADIUS_M 6372797.560856
#define MERCATOR_MAX_M 20037726.37
#define LAT_TEXT_MAX 90.0 /* the standard geohash of GEOHASH */

static double radians(double degrees) { return degrees * (M_PI / 180.0); }
static double degrees(double rad) { return rad / (M_PI / 180.0); }

/* ---- scores ---- */

/* Column and row of a cell, `step` bits each. */
struct cell {
    uint32_t x;
    uint32_t y;
};

/* The 32 bits of v on the even places. */
static uint64_t spread(uint64_t v)
{
    v = (v | v << 16) & 0x0000FFFF0000FFFFu;
    v = (v | v << 8) & 0x00FF00FF00FF00FFu;
    v = (v | v << 4) & 0x0F0F0F0F0F0F0F0Fu;
    v = (v | v << 2) & 0x3333333333333333u;
    return (v | v << 1) & 0x5555555555555555u;
}

static uint32_t gather(uint64_t v)
{
    v &= 0x5555555555555555u;
    v = (v | v >> 1) & 0x3333333333333333u;
    v = (v | v >> 2) & 0x0F0F0F0F0F0F0F0Fu;
    v = (v | v >> 4) & 0x00FF00FF00FF00FFu;
    v = (v | v >> 8) & 0x0000FFFF0000FFFFu;
    return (uint32_t)(v | v >> 16);
}

static uint64_t cell_bits(struct cell c) { return spread(c.y) | spread(c.x) << 1; }

/* The upper ends of the ranges fall into a column or row behind the last, as in Redis: such a score has more than 52 bits. */
static struct cell cell_of(struct geo_point p, double lat_max, int step)
{
    double cells = (double)(UINT64_C(1) << step);
    double y = (p.lat + lat_max) / (lat_max + lat_max), x = (p.lon - GEO_LON_MIN) / (GEO_LON_MAX - GEO_LON_MIN);
    return (struct cell){(uint32_t)(x * cells), (uint32_t)(y * cells)};
}

struct area {
    double lon_min, lon_max, lat_min, lat_max;
};

static struct area area_of(struct cell c, int step)
{
    double cells = (double)(UINT64_C(1) << step), lon = GEO_LON_MAX - GEO_LON_MIN, lat = GEO_LAT_MAX - GEO_LAT_MIN;
    return (struct area){GEO_LON_MIN + (c.x / cells) * lon, GEO_LON_MIN + ((c.x + 1.0) / cells) * lon,
                         GEO_LAT_MIN + (c.y / cells) * lat, GEO_LAT_MIN + ((c.y + 1.0) / cells) * lat};
}

bool geo_valid(struct geo_point p)
{
    return p.lon >= GEO_LON_MIN && p.lon <= GEO_LON_MAX && p.lat >= GEO_LAT_MIN && p.lat <= GEO_LAT_MAX;
}

uint64_t geo_encode(struct geo_point p) { return cell_bits(cell_of(p, GEO_LAT_MAX, GEO_STEPS)); }

struct geo_point geo_decode(uint64_t score)
{
    struct area a = area_of((struct cell){gather(score >> 1), gather(score)}, GEO_STEPS);
    struct geo_point p = {(a.lon_min + a.lon_max) / 2, (a.lat_min + a.lat_max) / 2};
    p.lon = MAX(MIN(p.lon, GEO_LON_MAX), GEO_LON_MIN);
    p.lat = MAX(MIN(p.lat, GEO_LAT_MAX), GEO_LAT_MIN);
    return p;
}

void geo_text(uint64_t score, char text[GEO_TEXT_BYTES])
{
    static const char alphabet[] = "0123456789bcdefghjkmnpqrstuvwxyz";
    uint64_t bits = cell_bits(cell_of(geo_decode(score), LAT_TEXT_MAX, GEO_STEPS));
    for (int i = 0; i < GEO_TEXT_BYTES - 1; i++)
        text[i] = alphabet[bits >> (2 * GEO_STEPS - 5 * (i + 1)) & 31];
    text[GEO_TEXT_BYTES - 1] = alphabet[0]; /* 52 bits are ten characters and two bits, which are not worth an eleventh */
}

/* ---- distances ---- */

static double lat_distance(double lat1, double lat2) { return EARTH_RADIUS_M * fabs(radians(lat2) - radians(lat1)); }

double geo_distance(struct geo_point a, struct geo_point b)
{
    double v = sin((radians(b.lon) - radians(a.lon)) / 2);
    if (v == 0)
        return lat_distance(a.lat, b.lat);
    double lat1 = radians(a.lat), lat2 = radians(b.lat), u = sin((lat2 - lat1) / 2);
    return 2.0 * EARTH_RADIUS_M * asin(sqrt(u * u + cos(lat1) * cos(lat2) * v * v));
}

bool geo_inside(const struct geo_shape *shape, struct geo_point p, double *metres)
{
    struct geo_point c = shape->centre;
    if (shape->box) {
        if (lat_distance(p.lat, c.lat) > shape->height_m / 2 ||
            geo_distance(p, (struct geo_point){c.lon, p.lat}) > shape->width_m / 2)
            return false;
        *metres = geo_distance(c, p);
        return true;
    }
    *metres = geo_distance(c, p);
    return *metres <= shape->radius_m;
}

/* ---- search runs ---- */

/* The finest step at which a cell and its neighbours cover `metres` around; coarser near the poles, where cells are narrow. */
static int step_for(double metres, double lat)
{
    int step = 1;
    if (metres == 0)
        return GEO_STEPS;
    for (; metres < MERCATOR_MAX_M; metres *= 2)
        step++;
    step -= 2;
    if (fabs(lat) > 66)
        step -= fabs(lat) > 80 ? 2 : 1;
    return step < 1 ? 1 : MIN(step, GEO_STEPS);
}

static struct area bounding_box(const struct geo_shape *s)
{
    double lon = s->centre.lon, lat = s->centre.lat;
    double height = s->box ? s->height_m / 2 : s->radius_m, width = s->box ? s->width_m / 2 : s->radius_m;
    double lat_delta = degrees(height / EARTH_RADIUS_M);
    double lat_edge = lat < 0 ? lat - lat_delta : lat + lat_delta; /* the edge nearer to its pole is the wider one in degrees */
    double lon_delta = degrees(width / EARTH_RADIUS_M / cos(radians(lat_edge)));
    return (struct area){lon - lon_delta, lon + lon_delta, lat - lat_delta, lat + lat_delta};
}

/* Wraps around at the ends of an axis, but only on an axis that is moved along: a column behind the last stays there. */
static struct cell neighbour(struct cell c, int dx, int dy, int step)
{
    uint32_t mask = (uint32_t)((UINT64_C(1) << step) - 1);
    if (dx != 0)
        c.x = (c.x + (uint32_t)dx) & mask;
    if (dy != 0)
        c.y = (c.y + (uint32_t)dy) & mask;
    return c;
}

/* Do the cells around c reach every side of the box? */
static bool neighbours_cover(struct cell c, struct area box, int step)
{
    return area_of(neighbour(c, 0, 1, step), step).lat_max >= box.lat_max &&
           area_of(neighbour(c, 0, -1, step), step).lat_min <= box.lat_min &&
           area_of(neighbour(c, 1, 0, step), step).lon_max >= box.lon_max &&
           area_of(neighbour(c, -1, 0, step), step).lon_min <= box.lon_min;
}

/* Appends the scores of a cell, unless it is there already. */
static unsigned add_run(struct geo_run *runs, unsigned n, struct cell c, int step)
{
    int shift = 2 * (GEO_STEPS - step);
    uint64_t bits = cell_bits(c);
    struct geo_run run = {bits << shift, (bits + 1) << shift};
    for (unsigned i = 0; i < n; i++)
        if (runs[i].min == run.min)
            return n;
    runs[n] = run;
    return n + 1;
}

unsigned geo_runs(const struct geo_shape *shape, struct geo_run runs[GEO_RUNS_MAX])
{
    static const struct {
        int dx, dy;
    } order[GEO_RUNS_MAX] = {{0, 0}, {0, 1}, {0, -1}, {1, 0}, {-1, 0}, {1, 1}, {-1, 1}, {1, -1}, {-1, -1}};
    struct area box = bounding_box(shape);
    double reach = shape->radius_m;
    if (shape->box)
        reach = sqrt((shape->width_m / 2) * (shape->width_m / 2) + (shape->height_m / 2) * (shape->height_m / 2));
    int step = step_for(reach, shape->centre.lat);
    struct cell centre = cell_of(shape->centre, GEO_LAT_MAX, step);
    if (step > 1 && !neighbours_cover(centre, box, step))
        centre = cell_of(shape->centre, GEO_LAT_MAX, --step);
    struct area middle = area_of(centre, step);
    bool prune = step >= 2;
    bool skip_south = prune && middle.lat_min < box.lat_min, skip_north = prune && middle.lat_max > box.lat_max;
    bool skip_west = prune && middle.lon_min < box.lon_min, skip_east = prune && middle.lon_max > box.lon_max;
    unsigned n = 0;
    for (unsigned i = 0; i < GEO_RUNS_MAX; i++) {
        int dx = order[i].dx, dy = order[i].dy;
        if ((dy < 0 && skip_south) || (dy > 0 && skip_north) || (dx < 0 && skip_west) || (dx > 0 && skip_east))
            continue;
        n = add_run(runs, n, neighbour(centre, dx, dy, step), step);
    }
    return n;
}
