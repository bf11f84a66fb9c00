/* tune.h - measured choices of convolutions: the cache file and what a context remembers of it.
 * Knows no backend: what is chosen for which shape, on which host, are texts to it. */
#ifndef AMUN__TUNE_H
#define AMUN__TUNE_H

#include "io/io.h"

enum { AMUN__CONV_KINDS = AMUN_CONV_OWN + 1 }; /* AUTO, 0, is never measured */

/* One measured choice. */
typedef struct amun__tune_entry {
    amun_conv_choice kind;
    double ms[AMUN__CONV_KINDS]; /* median of each kind; 0: it cannot do this shape */
} amun__tune_entry;

/* Core on memory: the checked file. Everything in it may be of another host, and of a later
 * release, but the entries of `host`, which are checked one by one. FORMAT names what is wrong. */
amun_status amun__tune_parse(json_t **root, const char *text, size_t size, const char *what,
                             const char *host);

/* The functions below want the context's tuning, locked by amun__tuning_begin(). A shape once found
 * or stored stays the same for the context's life, whatever happens to the file. */

/* Reads the file if nothing is known of `host` yet; a file that is not there is an empty one.
 * `strangers`: how many entries of other hosts were passed over, -1 if nothing was read. */
amun_status amun__tune_open(amun__tuning *tuning, const char *host, int64_t *strangers);
bool amun__tune_find(const amun__tuning *tuning, const char *host, const char *shape,
                     amun__tune_entry *out);
/* Merges new entries ({shape: entry}, made by amun__tune_add) into the file and into what the
 * context knows. Where the file meanwhile has a choice, that one stays. Atomic replacement. */
amun_status amun__tune_store(amun_context *ctx, amun__tuning *tuning, const char *host,
                             json_t *fresh);
amun_status amun__tune_add(json_t *fresh, const char *shape, const amun__tune_entry *entry);

#endif
