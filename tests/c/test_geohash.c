/* tests/c/test_geohash.c - Redis' documented positions, round trips, and: the runs of a shape hold all of its members, once. */
#include "check.h"
#include "ds/geohash.h"
#include "rnd.h"

#include <math.h>
#include <string.h>

static double uniform(double low, double high) { return low + (high - low) * ((double)(rnd() >> 11) * 0x1p-53); }

static void documented_positions(void)
{
    struct geo_point palermo = {13.361389, 38.115556}, catania = {15.087269, 37.502669};
    char text[GEO_TEXT_BYTES];
    CHECK(geo_encode(palermo) == 3479099956230698u && geo_encode(catania) == 3479447370796909u);
    geo_text(3479099956230698u, text);
    CHECK_MEM(text, "sqc8b49rny0", GEO_TEXT_BYTES);
    geo_text(3479447370796909u, text);
    CHECK_MEM(text, "sqdtr74hyu0", GEO_TEXT_BYTES);
    CHECK(fabs(geo_distance(geo_decode(3479099956230698u), geo_decode(3479447370796909u)) - 166274.1516) < 0.0001);
    struct geo_shape circle = {.centre = {15, 37}, .radius_m = 200000};
    double metres;
    CHECK(geo_inside(&circle, geo_decode(3479099956230698u), &metres) && fabs(metres - 190442.4) < 0.1);
    circle.radius_m = 190000;
    CHECK(!geo_inside(&circle, geo_decode(3479099956230698u), &metres));
}

static void round_trips(void)
{
    for (int i = 0; i < 100000; i++) {
        struct geo_point p = {uniform(GEO_LON_MIN, GEO_LON_MAX), uniform(GEO_LAT_MIN, GEO_LAT_MAX)};
        uint64_t score = geo_encode(p);
        struct geo_point back = geo_decode(score);
        if (!geo_valid(p) || score >> 52 != 0 || fabs(back.lon - p.lon) > 3e-6 || fabs(back.lat - p.lat) > 2e-6 || geo_encode(back) != score)
            CHECK(!"round trip");
    }
    CHECK(!geo_valid((struct geo_point){180.1, 0}) && !geo_valid((struct geo_point){0, -85.06}) && !geo_valid((struct geo_point){NAN, 0}));
    CHECK(geo_valid((struct geo_point){180, GEO_LAT_MAX}) && geo_valid((struct geo_point){-180, GEO_LAT_MIN}));
    CHECK(geo_decode(geo_encode((struct geo_point){180, 10})).lon == 180);
}

static void runs_hold_all_members_once(void)
{
    unsigned members = 0, missed = 0, twice = 0;
    for (int i = 0; i < 3000; i++) {
        struct geo_shape s = {.centre = {uniform(-170, 170), uniform(-60, 60)}, .box = i & 1};
        double reach = s.radius_m = pow(10, uniform(0, 5.5));
        s.width_m = pow(10, uniform(0, 5.5));
        s.height_m = pow(10, uniform(0, 5.5));
        if (s.box)
            reach = (s.width_m + s.height_m) / 2;
        struct geo_run runs[GEO_RUNS_MAX];
        unsigned n = geo_runs(&s, runs);
        CHECK(n >= 1 && n <= GEO_RUNS_MAX);
        for (int k = 0; k < 100; k++) {
            double spread_lat = reach / 111000, spread_lon = spread_lat / cos(s.centre.lat * M_PI / 180);
            struct geo_point p = {s.centre.lon + uniform(-spread_lon, spread_lon), s.centre.lat + uniform(-spread_lat, spread_lat)};
            double metres;
            if (!geo_valid(p) || !geo_inside(&s, geo_decode(geo_encode(p)), &metres))
                continue;
            unsigned holds = 0;
            for (unsigned r = 0; r < n; r++)
                holds += geo_encode(p) >= runs[r].min && geo_encode(p) < runs[r].max;
            members++;
            missed += holds == 0;
            twice += holds > 1;
        }
    }
    CHECK(members > 50000);
    CHECK_EQ(missed, 0);
    CHECK_EQ(twice, 0);
}

static void runs_of_extreme_shapes(void)
{
    struct geo_run runs[GEO_RUNS_MAX];
    struct geo_shape all = {.centre = {0, 0}, .radius_m = 30000000};
    uint64_t covered = 0;
    unsigned n = geo_runs(&all, runs);
    for (unsigned i = 0; i < n; i++)
        covered += runs[i].max - runs[i].min;
    CHECK(covered == UINT64_C(1) << 52);
    struct geo_shape point = {.centre = {100, 50}, .radius_m = 0};
    CHECK(geo_runs(&point, runs) == 1 && runs[0].min == geo_encode(point.centre) && runs[0].max == runs[0].min + 1);
}

int main(void)
{
    RUN(documented_positions);
    RUN(round_trips);
    RUN(runs_hold_all_members_once);
    RUN(runs_of_extreme_shapes);
    return check_report();
}
