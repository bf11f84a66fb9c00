/* version.c - which library is running, and what it was built from. */
#include "core/core.h"

#include "amun_build_facts.h" /* written by the build */

/* "1" or "0" of a macro as JSON text. */
#define JSON_BOOL_0 "false"
#define JSON_BOOL_1 "true"
#define JSON_BOOL_PASTE(value) JSON_BOOL_##value
#define JSON_BOOL(value) JSON_BOOL_PASTE(value)
#define TEXT_OF(value) #value
#define TEXT(value) TEXT_OF(value)

#ifdef AMUN_WITH_DNNL
#define HAS_DNNL 1
#else
#define HAS_DNNL 0
#endif
#ifdef AMUN_WITH_LIBSVM
#define HAS_LIBSVM 1
#else
#define HAS_LIBSVM 0
#endif
#ifdef _OPENMP
#define HAS_OPENMP 1
#else
#define HAS_OPENMP 0
#endif

uint32_t amun_version(void)
{
    return ((uint32_t)AMUN_VERSION_MAJOR << 16) | ((uint32_t)AMUN_VERSION_MINOR << 8) |
           (uint32_t)AMUN_VERSION_PATCH;
}

const char *amun_version_string(void)
{
    return AMUN_VERSION_STRING;
}

uint32_t amun_abi_version(void)
{
    return ((uint32_t)AMUN_ABI_MAJOR << 16) | (uint32_t)AMUN_ABI_MINOR;
}

#define ABI TEXT(AMUN_ABI_MAJOR) "." TEXT(AMUN_ABI_MINOR)
/* A member of a JSON object; a version of a library or "" for "not in this build". */
#define MEMBER(name, text) ", \"" name "\": \"" text "\""
#define FLAG(name, value) "\"" name "\": " JSON_BOOL(value)

/* Put together by the compiler: nothing to allocate, nothing to initialise. Versions are those of
 * the headers at build time. */
static const char build_info[] = /* clang-format off */
    "{\"version\": \"" AMUN_VERSION_STRING "\""
    MEMBER("abi", ABI)
    MEMBER("compiler", AMUN__BUILD_COMPILER)
    MEMBER("buildtype", AMUN__BUILD_TYPE)
    MEMBER("cpu", AMUN__BUILD_CPU)
    MEMBER("system", AMUN__BUILD_SYSTEM)
    ", \"backends\": {\"reference\": \"" AMUN_VERSION_STRING "\""
    MEMBER("onednn", AMUN__BUILD_ONEDNN)
    "}, \"libraries\": {\"jansson\": \"" AMUN__BUILD_JANSSON "\""
    MEMBER("lapacke", AMUN__BUILD_LAPACKE)
    MEMBER("libsvm", AMUN__BUILD_LIBSVM)
    MEMBER("openblas", AMUN__BUILD_OPENBLAS)
    MEMBER("openmp", AMUN__BUILD_OPENMP)
    "}, \"features\": {" FLAG("onednn", HAS_DNNL)
    ", " FLAG("libsvm", HAS_LIBSVM)
    ", " FLAG("openmp", HAS_OPENMP)
    ", " FLAG("experimental", AMUN__BUILD_EXPERIMENTAL)
    "}, \"rng\": \"philox4x32-10\"}"; /* clang-format on */

const char *amun_build_info_json(void)
{
    return build_info;
}
