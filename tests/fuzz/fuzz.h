/* fuzz.h - what the fuzz targets share. Each target is one file with LLVMFuzzerTestOneInput. */
#ifndef AMUN_FUZZ_H
#define AMUN_FUZZ_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <amun/amun.h>

#include "core/core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A context for one input. Built with AMUN_FUZZ_FAIL_ALLOC, one of its first allocations fails;
 * which one follows from the input, so a finding can be repeated. May be NULL then. */
amun_context *fuzz_context(const uint8_t *data, size_t size);

/* A failure must explain itself, a success must not; ends the process if not so. */
void fuzz_check(amun_status status);

/* Reads each byte, so that the sanitizers see what lies outside. */
void fuzz_touch(const void *data, size_t size);

/* A data set over `view` and everything that can be read from it. */
void fuzz_dataset(amun_context *ctx, const amun_tensor_view *view);

/* ---- targets that need a model and files (fuzz_job.c)
 * --------------------------------------------
 */

enum { FUZZ_COUNT = 12, FUZZ_EDGE = 4, FUZZ_PIXELS = 16, FUZZ_CLASSES = 3 };
extern float fuzz_images[FUZZ_COUNT * FUZZ_PIXELS];
extern int64_t fuzz_labels[FUZZ_COUNT];

/* A context of one thread that never fails on purpose, made once. */
amun_context *fuzz_steady(void);
/* Convolution, batch norm, ReLU, dense layer; images around one pattern per class. */
amun_status fuzz_model(amun_model **model, amun_context *ctx);
amun_status fuzz_data(amun_dataset **data, amun_context *ctx);

/* "<folder of this target>/<name>": 8 live at once. The folder lies in AMUN_TEST_TMP, else here. */
const char *fuzz_path(const char *name);
void fuzz_put(const char *name, const void *data, size_t size);
/* malloc-ed contents; NULL if there is no such file. */
uint8_t *fuzz_get(const char *name, size_t *size);
/* A call with it ends at its first report. */
const amun_call_options *fuzz_stop(void);

#endif
