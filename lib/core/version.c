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

/* Put together by the compiler: nothing to allocate, nothing to initialise. Versions are those of
 * the headers at build time; an empty version means "not in this build". */
const char *amun_build_info_json(void)
{
    return "{\"version\": \"" AMUN_VERSION_STRING "\""
           ", \"abi\": \"" TEXT(
               AMUN_ABI_MAJOR) "." TEXT(AMUN_ABI_MINOR) "\""
                                                        ", \"compiler\": \"" AMUN__BUILD_COMPILER
                                                        "\""
                                                        ", \"buildtype\": \"" AMUN__BUILD_TYPE "\""
                                                        ", \"cpu\": \"" AMUN__BUILD_CPU "\""
                                                        ", \"system\": \"" AMUN__BUILD_SYSTEM "\""
                                                        ", \"backends\": {\"reference\": "
                                                        "\"" AMUN_VERSION_STRING "\""
                                                        ", \"onednn\": \"" AMUN__BUILD_ONEDNN "\"}"
                                                        ", \"libraries\": {\"jansson\": "
                                                        "\"" AMUN__BUILD_JANSSON "\""
                                                        ", \"libsvm\": \"" AMUN__BUILD_LIBSVM "\""
                                                        ", \"openmp\": \"" AMUN__BUILD_OPENMP "\"}"
                                                        ", \"features\": {\"onednn\": " JSON_BOOL(HAS_DNNL) ", \"libsvm\": " JSON_BOOL(HAS_LIBSVM) ", \"openmp\": " JSON_BOOL(
                                                            HAS_OPENMP) ", "
                                                                        "\"experimental\":"
                                                                        " " JSON_BOOL(AMUN__BUILD_EXPERIMENTAL) "}"
                                                                                                                ", \"rng\": \"philox4x32-10\"}";
}
