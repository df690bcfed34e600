/* cmd/cmd_geo.h - what the files of geo commands share. */
#ifndef SHOAL_CMD_CMD_GEO_H
#define SHOAL_CMD_CMD_GEO_H

#include "cmd/cmd.h"
#include "ds/geohash.h"
#include "types/zset.h"

/* Each replies the error and returns false. */
bool geo_arg_point(struct cmd *c, uint32_t at, struct geo_point *p); /* longitude, latitude */
bool geo_arg_unit(struct cmd *c, uint32_t at, double *metres);

void geo_reply_distance(struct cmd *c, double distance); /* four decimals */
void geo_reply_point(struct cmd *c, struct geo_point p);
/* The position of a member; false: there is none. */
bool geo_member(const struct zset *z, struct slice name, struct geo_point *p);

#endif
