/* amun/version.h - the version of these headers, as plain constants. */
#ifndef AMUN_VERSION_H
#define AMUN_VERSION_H

#define AMUN_VERSION_MAJOR 0
#define AMUN_VERSION_MINOR 1
#define AMUN_VERSION_PATCH 0
#define AMUN_VERSION_STRING "0.1.0"

/** Binary interface: MAJOR is the number in the soname, MINOR grows with each symbol or field. */
#define AMUN_ABI_MAJOR 0
#define AMUN_ABI_MINOR 1

#define AMUN_VERSION_AT_LEAST(major, minor, patch)                                                 \
    ((AMUN_VERSION_MAJOR * 65536 + AMUN_VERSION_MINOR * 256 + AMUN_VERSION_PATCH) >=               \
     ((major) * 65536 + (minor) * 256 + (patch)))

#endif
