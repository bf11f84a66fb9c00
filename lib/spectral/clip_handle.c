/* clip_handle.c - the public clipper: checks, locks, and the calls of the private one. */
#include "spectral/clipper.h"

struct amun_clipper {
    amun__object object;
    amun_model *model;
    amun__clipper *inner;
    amun_clip_method method;
    int64_t step; /* of amun_clipper_step() */
};

static void destroy_clipper(void *self)
{
    amun_clipper *clipper = self;
    amun__clipper_destroy(clipper->inner);
    amun_model_unref(clipper->model);
}

static amun_status open_inner(amun_clipper *clipper, const amun_clip_options *full,
                              amun__linop_backend backend)
{
    amun_context *ctx = clipper->object.ctx;
    amun__threads threads;
    AMUN__CHECK(amun__model_begin_read(clipper->model));
    amun_status status = amun__threads_begin(ctx, &threads);
    if (status == AMUN_OK) {
        status = amun__clipper_create(&clipper->inner, ctx, clipper->model, full,
                                      AMUN__CLIPPER_ONCE, backend);
        amun__threads_end(&threads);
    }
    amun__model_end_read(clipper->model);
    return status;
}

amun_status amun__clipper_open(amun_clipper **clipper, amun_model *model,
                               const amun_clip_options *opts, amun__linop_backend backend)
{
    amun__enter();
    if (clipper == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "clipper is NULL");
    }
    *clipper = NULL;
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    amun_clip_options full;
    AMUN__CHECK(amun__clip_options_read(&full, opts));
    amun_clipper *made = NULL;
    AMUN__CHECK(amun__object_create(&made, amun__model_context(model), AMUN__TAG_CLIPPER,
                                    sizeof *made, destroy_clipper));
    made->model = amun_model_ref(model);
    made->method = full.method;
    amun_status status = open_inner(made, &full, backend);
    if (status != AMUN_OK) {
        amun__object_unref(made);
        return status;
    }
    *clipper = made;
    return AMUN_OK;
}

amun_status amun_clipper_create(amun_clipper **clipper, amun_model *model,
                                const amun_clip_options *opts)
{
    return amun__clipper_open(clipper, model, opts, AMUN__LINOP_BEST);
}

amun_clipper *amun_clipper_ref(amun_clipper *clipper)
{
    return amun__object_ref(clipper);
}

void amun_clipper_unref(amun_clipper *clipper)
{
    amun__object_unref(clipper);
}

/* A wrong size is found before the work. */
static amun_status check_result(amun_clip_result *result)
{
    const amun_clip_result none = {.struct_size = sizeof none};
    return result == NULL ? AMUN_OK : amun__result_write(result, &none, sizeof none, "result");
}

amun_status amun_clipper_run(amun_clip_result *result, amun_clipper *clipper,
                             const amun_call_options *call)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(clipper, AMUN__TAG_CLIPPER, "clipper"));
    AMUN__CHECK(check_result(result));
    amun__progress_state progress;
    amun__threads threads;
    amun_clip_result done = {.struct_size = sizeof done};
    AMUN__CHECK(amun__progress_begin(&progress, call));
    AMUN__CHECK(amun__model_begin_write(clipper->model));
    amun_status status = amun__threads_begin(clipper->object.ctx, &threads);
    if (status == AMUN_OK) {
        status = amun__clipper_run(clipper->inner, &progress, &done);
        amun__threads_end(&threads);
    }
    amun__model_end_write(clipper->model);
    if (result != NULL) { /* what was done stays, so it is told also after a failure */
        amun_status wrote = amun__result_write(result, &done, sizeof done, "result");
        status = status == AMUN_OK ? wrote : status;
    }
    return status;
}

amun_status amun_clipper_step(amun_clip_result *result, amun_clipper *clipper)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(clipper, AMUN__TAG_CLIPPER, "clipper"));
    AMUN__CHECK(check_result(result));
    if (clipper->method == AMUN_CLIP_MIYATO || clipper->method == AMUN_CLIP_DELATTRE_2023) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED,
                          "the method %s needs the gradients: train with amun_train_run()",
                          clipper->method == AMUN_CLIP_MIYATO ? "miyato" : "delattre_2023");
    }
    amun__threads threads;
    amun_clip_result done = {.struct_size = sizeof done};
    AMUN__CHECK(amun__model_begin_write(clipper->model));
    amun_status status = amun__threads_begin(clipper->object.ctx, &threads);
    if (status == AMUN_OK) {
        status = amun__clipper_before_forward(clipper->inner, clipper->step,
                                              result != NULL ? &done : NULL);
        amun__threads_end(&threads);
    }
    amun__model_end_write(clipper->model);
    AMUN__CHECK(status);
    clipper->step++;
    return result != NULL ? amun__result_write(result, &done, sizeof done, "result") : AMUN_OK;
}
