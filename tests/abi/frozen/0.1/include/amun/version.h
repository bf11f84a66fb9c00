/* amun/version.h - the version of these headers, as plain constants. */
#ifndef AMUN_VERSION_H
#define AMUN_VERSION_H

/** Of these headers: 0.x may still change its interface. */
#define AMUN_VERSION_MAJOR 0
/** Of these headers. */
#define AMUN_VERSION_MINOR 1
/** Of these headers. */
#define AMUN_VERSION_PATCH 0
/** The three as text. */
#define AMUN_VERSION_STRING "0.1.0"

/** Binary interface: the number in the soname. */
#define AMUN_ABI_MAJOR 0
/** Binary interface: grows with each symbol or field. */
#define AMUN_ABI_MINOR 1

/** 1 if these headers are of that version or a later one; for the preprocessor. */
#define AMUN_VERSION_AT_LEAST(major, minor, patch)                                                 \
    ((AMUN_VERSION_MAJOR * 65536 + AMUN_VERSION_MINOR * 256 + AMUN_VERSION_PATCH) >=               \
     ((major) * 65536 + (minor) * 256 + (patch)))

#endif
