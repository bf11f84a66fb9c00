/* checkpoint.h - the state of a run between two epochs, in a file. Private to the train room. */
#ifndef AMUN__CHECKPOINT_H
#define AMUN__CHECKPOINT_H

#include "io/io.h"
#include "train/train.h"

/* How far a run has come. */
typedef struct amun__run_state {
    int64_t epoch;         /* epochs done */
    double loss, accuracy; /* of the last of them; NaN if there was none */
} amun__run_state;

/* One tensor of the file: where it is in memory, and which values it must have. */
typedef struct amun__checkpoint_array {
    char name[96];
    int32_t dtype; /* F32, all values finite; or I64 */
    void *values;
    size_t count;
} amun__checkpoint_array;

typedef struct amun__checkpoint {
    amun_context *ctx;
    const amun__member *members;
    size_t count;
    const char *path;
    amun__checkpoint_array *arrays;
    size_t array_count;
    json_t *identity; /* object of strings: what a file must say to belong to this run */
    int64_t epochs;   /* of the whole run */
} amun__checkpoint;

/* Borrows everything. `mix` has the options' augmentation and label smoothing in it. */
amun_status amun__checkpoint_open(amun__checkpoint *checkpoint, const amun__member *members,
                                  size_t count, const amun__recipe *recipe, const amun__mix *mix);
/* Values, velocity and state from the file, after all of it was checked. *found: there is a file.
 */
amun_status amun__checkpoint_load(amun__checkpoint *checkpoint, amun__run_state *state,
                                  bool *found);
amun_status amun__checkpoint_save(const amun__checkpoint *checkpoint, const amun__run_state *state);
void amun__checkpoint_close(amun__checkpoint *checkpoint); /* a zeroed one is fine */

/* Hash over what a mix will feed to a run: parts, order, labels, weights, and some of the images.
 */
uint64_t amun__mix_fingerprint(const amun__mix *mix);

#endif
