/* fuzz.h - what the fuzz targets share. Each target is one file with LLVMFuzzerTestOneInput. */
#ifndef AMUN_FUZZ_H
#define AMUN_FUZZ_H

#include <stdlib.h>

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

#endif
