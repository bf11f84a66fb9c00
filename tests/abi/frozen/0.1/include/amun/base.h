/* amun/base.h - export macro, status codes, data types, call options. */
#ifndef AMUN_BASE_H
#define AMUN_BASE_H

#include <stddef.h>
#include <stdint.h>

#include "version.h"

#if defined(_WIN32)
#error "amun: 64-bit Unix-like targets only"
#endif
#if defined(__GNUC__)
#define AMUN_API __attribute__((visibility("default")))
#define AMUN_DEPRECATED __attribute__((deprecated))
#else
#define AMUN_API
#define AMUN_DEPRECATED
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** Result of every call that can fail: 0 is success, errors are negative. */
typedef int32_t amun_status;
enum {
    AMUN_OK = 0, /**< success */
    AMUN_ERROR_INVALID_ARGUMENT = -1, /**< a value outside its documented range, NULL, wrong handle */
    AMUN_ERROR_OUT_OF_MEMORY = -2,    /**< the allocator or the context's memory limit said no */
    AMUN_ERROR_IO = -3,               /**< the operating system refused to read or write */
    AMUN_ERROR_FORMAT = -4,           /**< a file is malformed, truncated, or does not match */
    AMUN_ERROR_UNSUPPORTED = -5,      /**< valid, but not in this build or version */
    AMUN_ERROR_SHAPE = -6,            /**< extents do not fit together */
    AMUN_ERROR_STATE = -7,            /**< the handle is not in a state that allows the call */
    AMUN_ERROR_BUSY = -8,             /**< another thread is using the handle in a conflicting way */
    AMUN_ERROR_CANCELLED = -9,        /**< the progress callback returned non-zero */
    AMUN_ERROR_NUMERIC = -10,         /**< NaN, infinity, or no convergence */
    AMUN_ERROR_BACKEND = -11,         /**< oneDNN refused; the message has primitive and shapes */
    AMUN_ERROR_NOT_FOUND = -12,       /**< no such name, or no such file */
    AMUN_ERROR_INTERNAL = -99         /**< a bug in this library */
};

/** Element types. The numbers are fixed for ever. */
typedef int32_t amun_dtype;
enum {
    AMUN_DTYPE_F32 = 1,
    AMUN_DTYPE_F64 = 2,
    AMUN_DTYPE_F16 = 3,
    AMUN_DTYPE_BF16 = 4,
    AMUN_DTYPE_U8 = 5,
    AMUN_DTYPE_I32 = 6,
    AMUN_DTYPE_I64 = 7,
    AMUN_DTYPE_BOOL = 8
};

/** What a progress callback sees. Valid during the callback only.
 *  Read only the fields below struct_size: it grows in later releases. */
typedef struct amun_progress {
    size_t struct_size; /**< what the library's own struct has */
    const char *phase; /**< "train", "references", "attack", ...; static text */
    uint64_t step;     /**< units done in this phase */
    uint64_t total;    /**< units in this phase, 0 if unknown */
    double loss;       /**< running mean loss, NaN where there is none */
    double metric;     /**< phase's own figure (accuracy, flipped share), NaN where there is none */
    double seconds;    /**< since the call began */
} amun_progress;

/** Return 0 to go on; anything else stops the call at its next batch boundary with
 *  AMUN_ERROR_CANCELLED. Called on the calling thread only, with no lock held; it may call
 *  read-only functions. It must not unwind or longjmp through the library. */
typedef int32_t (*amun_progress_fn)(const amun_progress *progress, void *user_data);

/** Options common to every long call; passed last, nullable. @since 0.1 */
typedef struct amun_call_options {
    size_t struct_size;        /**< set by amun_call_options_init() */
    amun_progress_fn progress; /**< default NULL */
    void *user_data;           /**< default NULL */
    int32_t min_interval_ms;   /**< shortest time between two callbacks, default 100, range [0, 3600000] */
    int32_t reserved0;         /**< must be 0 */
} amun_call_options;

/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_call_options_init(amun_call_options *opts, size_t size);

/** Name of a status ("AMUN_ERROR_SHAPE"); "unknown status" for other numbers. Static text. Any thread. @since 0.1 */
AMUN_API const char *amun_status_string(amun_status status);

/** Detail of the last failure on this thread: one line without newline, never NULL, empty after a
 *  success. Valid until the next status-returning call on this thread. @since 0.1 */
AMUN_API const char *amun_last_error_message(void);

/** Version of the library that is running: 0xMMmmpp. @since 0.1 */
AMUN_API uint32_t amun_version(void);
/** The same as text, "0.1.0". Static text. @since 0.1 */
AMUN_API const char *amun_version_string(void);
/** Running binary interface: major * 65536 + minor. @since 0.1 */
AMUN_API uint32_t amun_abi_version(void);
/** Build facts as a JSON object: version, compiler, backends and their versions, features.
 *  Static text, never NULL. @since 0.1 */
AMUN_API const char *amun_build_info_json(void);

#ifdef __cplusplus
}
#endif
#endif
