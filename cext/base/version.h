/* base/version.h - the version of Redis whose behaviour we answer for; server/__init__.py says the same (checked by a test). */
#ifndef SHOAL_BASE_VERSION_H
#define SHOAL_BASE_VERSION_H

#define REDIS_VERSION "7.2.4"

#endif
