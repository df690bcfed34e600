/* ds/geohash.h - positions as 52-bit scores, and which scores a search must look at; the same numbers as Redis' GEO commands.
 *
 * A score interleaves 26 bits of latitude (even bits) and 26 of longitude (odd bits), each the position's place inside its range:
 * longitude -180..180, latitude -85.05112878..85.05112878 (EPSG:3857). Cells of `step` bits per axis are runs of scores, so an area
 * is up to nine runs: the cell of the centre and its neighbours, at a step so coarse that these nine must cover the shape.
 * Distances are metres on a sphere of radius 6372797.560856 (haversine). Everything is pure; degrees in, degrees out.
 */
#ifndef SHOAL_DS_GEOHASH_H
#define SHOAL_DS_GEOHASH_H

#include "base/base.h"

#define GEO_STEPS 26
#define GEO_LON_MIN (-180.0)
#define GEO_LON_MAX 180.0
#define GEO_LAT_MIN (-85.05112878)
#define GEO_LAT_MAX 85.05112878
#define GEO_TEXT_BYTES 11
#define GEO_RUNS_MAX 9

struct geo_point {
    double lon;
    double lat;
};

/* False: outside the ranges above. */
bool geo_valid(struct geo_point p);
/* Score of a valid point; the middle of a score's cell. */
uint64_t geo_encode(struct geo_point p);
struct geo_point geo_decode(uint64_t score);
/* The base32 text of GEOHASH: standard geohash of the decoded position, latitude range -90..90, last character always '0'. */
void geo_text(uint64_t score, char text[GEO_TEXT_BYTES]);

/* Metres. */
double geo_distance(struct geo_point a, struct geo_point b);

struct geo_shape {
    struct geo_point centre;
    bool box;             /* else a circle */
    double radius_m;      /* circle */
    double width_m, height_m; /* box: whole sides, east-west and north-south */
};

/* Is p in the shape? Then *metres is its distance from the centre. */
bool geo_inside(const struct geo_shape *shape, struct geo_point p, double *metres);

/* Scores from `min` up to but without `max`. */
struct geo_run {
    uint64_t min;
    uint64_t max;
};
/* The runs that hold every member of the shape, in Redis' order (centre, N, S, E, W, NE, NW, SE, SW; without repeats and without those
 * that cannot matter), which is the order of an unsorted reply. Returns how many. */
unsigned geo_runs(const struct geo_shape *shape, struct geo_run runs[GEO_RUNS_MAX]);

#endif
