/* clip.c - holds the layers of the models of a run to their norms, and keeps the clippers' state in
 * checkpoints. */
#include "train/clip.h"

#include <stdio.h>

/* ---- state ----------------------------------------------------------------------------------- */

static size_t count_states(const amun__train_clip *clip)
{
    size_t states = 0, values;
    float *data;
    for (size_t m = 0; m < clip->count; m++) {
        for (int32_t i = 0; amun__clipper_state(clip->clippers[m], i, &data, &values); i++) {
            states++;
        }
    }
    return states;
}

/* The recipe's extras, and one of our own arrays for each of the clippers': theirs move about. */
static amun_status list_extras(amun__train_clip *clip, const amun__recipe *recipe)
{
    const size_t states = count_states(clip);
    size_t values;
    float *data;
    clip->first = recipe->extra_count;
    AMUN__CHECK(amun__calloc(clip->ctx, &clip->extras, clip->first + states, sizeof *clip->extras));
    AMUN__CHECK(amun__calloc(clip->ctx, &clip->names, states, sizeof *clip->names));
    if (clip->first > 0) {
        memcpy(clip->extras, recipe->extras, clip->first * sizeof *clip->extras);
    }
    clip->extra_count = clip->first;
    for (size_t m = 0; m < clip->count; m++) {
        for (int32_t i = 0; amun__clipper_state(clip->clippers[m], i, &data, &values); i++) {
            amun__run_extra *extra = &clip->extras[clip->extra_count];
            char *name = clip->names[clip->extra_count - clip->first];
            AMUN__CHECK(amun__alloc(clip->ctx, &extra->values, values, sizeof *extra->values));
            snprintf(name, sizeof *clip->names, "clip.%zu.%d", m, (int)i);
            extra->name = name;
            extra->count = values;
            clip->extra_count++;
        }
    }
    return AMUN_OK;
}

static void copy_states(const amun__train_clip *clip, bool keep)
{
    size_t at = clip->first, values;
    float *data;
    for (size_t m = 0; m < clip->count && clip->extras != NULL; m++) {
        for (int32_t i = 0; amun__clipper_state(clip->clippers[m], i, &data, &values); i++) {
            float *kept = clip->extras[at++].values;
            memcpy(keep ? kept : data, keep ? data : kept, values * sizeof *data);
        }
    }
}

void amun__train_clip_keep(const amun__train_clip *clip)
{
    copy_states(clip, true);
}

void amun__train_clip_recall(const amun__train_clip *clip)
{
    copy_states(clip, false);
}

/* ---- life ------------------------------------------------------------------------------------ */

amun_status amun__train_clip_open(amun__train_clip *clip, const amun__member *members, size_t count,
                                  const amun__recipe *recipe)
{
    *clip = (amun__train_clip){
        .ctx = amun__model_context(members[0].model), .extras = NULL, .extra_count = 0};
    if (recipe->options.clip == NULL) {
        return AMUN_OK;
    }
    amun_clip_options full;
    AMUN__CHECK(amun__clip_options_read(&full, recipe->options.clip));
    AMUN__CHECK(amun__calloc(clip->ctx, &clip->clippers, count, sizeof *clip->clippers));
    for (size_t i = 0; i < count; i++) {
        amun_clip_options own = full;
        own.seed += (uint64_t)i; /* members start from different vectors */
        AMUN__CHECK(amun__clipper_create(&clip->clippers[i], clip->ctx, members[i].model, &own,
                                         AMUN__CLIPPER_TRAIN, AMUN__LINOP_BEST));
        clip->count = i + 1;
    }
    return recipe->options.checkpoint != NULL ? list_extras(clip, recipe) : AMUN_OK;
}

void amun__train_clip_close(amun__train_clip *clip)
{
    for (size_t i = 0; i < clip->count; i++) {
        amun__clipper_destroy(clip->clippers[i]);
    }
    for (size_t i = clip->first; i < clip->extra_count; i++) {
        amun__free(clip->ctx, clip->extras[i].values);
    }
    if (clip->ctx != NULL) {
        amun__free(clip->ctx, clip->clippers);
        amun__free(clip->ctx, clip->extras);
        amun__free(clip->ctx, clip->names);
    }
    *clip = (amun__train_clip){0};
}

/* ---- steps ----------------------------------------------------------------------------------- */

amun_status amun__train_clip_before(const amun__train_clip *clip, int64_t step)
{
    for (size_t i = 0; i < clip->count; i++) {
        AMUN__CHECK(amun__clipper_before_forward(clip->clippers[i], step, NULL));
    }
    return AMUN_OK;
}

amun_status amun__train_clip_after(const amun__train_clip *clip, const amun__member *members)
{
    for (size_t i = 0; i < clip->count; i++) {
        AMUN__CHECK(amun__clipper_after_backward(clip->clippers[i], members[i].diff));
    }
    return AMUN_OK;
}

amun_status amun__train_clip_updated(const amun__train_clip *clip)
{
    for (size_t i = 0; i < clip->count; i++) {
        AMUN__CHECK(amun__clipper_after_update(clip->clippers[i]));
    }
    return AMUN_OK;
}

amun_status amun__train_clip_finish(const amun__train_clip *clip)
{
    for (size_t i = 0; i < clip->count; i++) {
        AMUN__CHECK(amun__clipper_finish(clip->clippers[i]));
    }
    return AMUN_OK;
}

/* ---- options as JSON ------------------------------------------------------------------------- */

/* Those of the clip as "clip.method" and so on: a difference names the field. */
static amun_status add_clip(json_t *object, const amun_clip_options *clip)
{
    amun_clip_options full;
    json_t *own = NULL, *value;
    const char *name;
    char key[64];
    amun_status status;
    AMUN__TRY(amun__clip_options_read(&full, clip));
    AMUN__TRY(amun__json_options(&own, &amun__clip_options_table, &full));
    json_object_foreach(own, name, value)
    {
        snprintf(key, sizeof key, "clip.%s", name);
        if (json_object_set(object, key, value) != 0) {
            AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "amun_train_options: no memory for JSON");
        }
    }
fail:
    json_decref(own);
    return status;
}

amun_status amun__train_options_json(json_t **out, const amun_train_options *options)
{
    AMUN__CHECK(amun__json_options(out, &amun__train_options_table, options));
    if (options->clip == NULL) {
        return AMUN_OK;
    }
    amun_status status = add_clip(*out, options->clip);
    if (status != AMUN_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return status;
}
