/* mix.c - checks of a mix: the list of parts that a training loop eats. */
#include "data/storage.h"

/* Keeps the part number clear of the data set index in a sample's key. */
#define MAX_PART_COUNT ((size_t)1 << 48)

static size_t part_count(const amun__part *part)
{
    return part->indices == NULL && part->dataset != NULL ? part->dataset->info.count : part->count;
}

static size_t part_presented(const amun__part *part)
{
    return part_count(part) * (size_t)(part->repeat > 1 ? part->repeat : 1);
}

size_t amun__mix_count(const amun__mix *mix)
{
    size_t count = 0;
    for (size_t p = 0; p < mix->part_count; p++) {
        count += part_presented(&mix->parts[p]);
    }
    return count;
}

size_t amun__mix_phase_count(const amun__mix *mix, int32_t phase, int64_t epoch)
{
    size_t count = 0;
    for (size_t p = 0; p < mix->part_count; p++) {
        const amun__part *part = &mix->parts[p];
        bool present = part->epochs == 0 || epoch < part->epochs;
        count += part->phase == phase && present ? part_presented(part) : 0;
    }
    return count;
}

size_t amun__mix_batches(const amun__mix *mix, size_t batch, int64_t epoch)
{
    size_t batches = 0;
    for (int32_t phase = 0; phase < AMUN__MIX_MAX_PARTS; phase++) {
        size_t count = amun__mix_phase_count(mix, phase, epoch);
        batches += count > 0 ? (count - 1) / batch + 1 : 0;
    }
    return batches;
}

/* ---- targets
 * ------------------------------------------------------------------------------------- */

/* The label of each entry, needed by the targets LABEL and RANDOM_OTHER. */
static amun_status check_own_labels(const amun__mix *mix, const amun__part *part, size_t number)
{
    if (part->dataset->info.classes == 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "part %zu: the data set has no labels",
                          number);
    }
    if (part->dataset->info.classes <= mix->classes) {
        return AMUN_OK;
    }
    for (size_t i = 0; i < part_count(part); i++) {
        size_t index = part->indices == NULL ? i : (size_t)part->indices[i];
        int32_t label = amun__dataset_label(part->dataset, index);
        if (label >= mix->classes) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "part %zu: label %d of image %zu is outside 0..%lld", number,
                              (int)label, index, (long long)mix->classes - 1);
        }
    }
    return AMUN_OK;
}

static amun_status check_fixed(const amun__mix *mix, const amun__part *part, size_t number)
{
    if (part->labels == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "part %zu: labels is NULL", number);
    }
    for (size_t i = 0; i < part_count(part); i++) {
        if (part->labels[i] < 0 || part->labels[i] >= mix->classes) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "part %zu: label %d at position %zu is outside 0..%lld", number,
                              (int)part->labels[i], i, (long long)mix->classes - 1);
        }
    }
    return AMUN_OK;
}

static amun_status check_soft(const amun__mix *mix, const amun__part *part, size_t number)
{
    if (part->soft == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "part %zu: soft is NULL", number);
    }
    size_t classes = (size_t)mix->classes;
    for (size_t i = 0; i < part_count(part); i++) {
        const float *row = part->soft + i * classes;
        double sum = 0.0;
        for (size_t k = 0; k < classes; k++) {
            if (!isfinite(row[k])) {
                return amun__fail(AMUN_ERROR_NUMERIC, "part %zu: soft row %zu, class %zu is %g",
                                  number, i, k, (double)row[k]);
            }
            if (row[k] < 0.0f) {
                return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                                  "part %zu: soft row %zu, class %zu is %g, expected at least 0",
                                  number, i, k, (double)row[k]);
            }
            sum += (double)row[k];
        }
        if (fabs(sum - 1.0) > 1e-3) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "part %zu: soft row %zu sums to %g, expected 1", number, i, sum);
        }
    }
    return AMUN_OK;
}

static amun_status check_target(const amun__mix *mix, const amun__part *part, size_t number)
{
    switch (part->target) {
    case AMUN__TARGET_LABEL:
        return check_own_labels(mix, part, number);
    case AMUN__TARGET_FIXED:
        return check_fixed(mix, part, number);
    case AMUN__TARGET_RANDOM_OTHER:
        if (mix->classes < 2) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "part %zu: another label needs 2 classes, there is %lld", number,
                              (long long)mix->classes);
        }
        return check_own_labels(mix, part, number);
    case AMUN__TARGET_RANDOM_ANY:
        return AMUN_OK;
    case AMUN__TARGET_SOFT:
        return check_soft(mix, part, number);
    }
    return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "part %zu: unknown target %d", number,
                      (int)part->target);
}

/* ---- parts
 * ---------------------------------------------------------------------------------------- */

static amun_status check_images(const amun__mix *mix, const amun__part *part, size_t number)
{
    const amun__dataset_info *info = &part->dataset->info;
    const amun__dataset_info *first = &mix->parts[0].dataset->info;
    if (info->channels != first->channels || info->height != first->height ||
        info->width != first->width) {
        return amun__fail(
            AMUN_ERROR_SHAPE, "part %zu: images are %lldx%lldx%lld, those of part 0 %lldx%lldx%lld",
            number, (long long)info->channels, (long long)info->height, (long long)info->width,
            (long long)first->channels, (long long)first->height, (long long)first->width);
    }
    int64_t edge = info->height < info->width ? info->height : info->width;
    if (part->augment != 0 && mix->augment.pad >= edge) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "pad is %d, expected less than the image edge of %lld",
                          (int)mix->augment.pad, (long long)edge);
    }
    return AMUN_OK;
}

/* When a part is presented. */
static amun_status check_turns(const amun__mix *mix, const amun__part *part, size_t number)
{
    if (part->phase < 0 || part->phase >= AMUN__MIX_MAX_PARTS) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "part %zu: phase is %d, expected 0..%d",
                          number, (int)part->phase, AMUN__MIX_MAX_PARTS - 1);
    }
    if (part->repeat < 0 || part->repeat > AMUN__PART_MAX_REPEAT) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "part %zu: repeat is %d, expected 0..%d",
                          number, (int)part->repeat, AMUN__PART_MAX_REPEAT);
    }
    if (part->epochs < 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "part %zu: %d epochs, expected at least 0",
                          number, (int)part->epochs);
    }
    for (size_t p = 0; p < number; p++) {
        if (mix->parts[p].phase == part->phase && mix->parts[p].epochs != part->epochs) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "part %zu: %d epochs, but part %zu of the same phase has %d", number,
                              (int)part->epochs, p, (int)mix->parts[p].epochs);
        }
    }
    return AMUN_OK;
}

static amun_status check_part(amun_context *ctx, const amun__mix *mix, size_t number)
{
    const amun__part *part = &mix->parts[number];
    char what[32] = "part ?";
    what[5] = (char)('0' + number); /* one digit: AMUN__MIX_MAX_PARTS is 8 */
    AMUN__CHECK(amun__object_check(part->dataset, AMUN__TAG_DATASET, "data set of a part"));
    AMUN__CHECK(check_images(mix, part, number));
    size_t count = part->dataset->info.count;
    if (part->indices == NULL && part->count != 0 && part->count != count) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "part %zu: %zu entries without indices, the data set has %zu images",
                          number, part->count, count);
    }
    if (part_count(part) >= MAX_PART_COUNT) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED, "part %zu: %zu entries are too many", number,
                          part_count(part));
    }
    if (part->indices != NULL) {
        AMUN__CHECK(amun__indices_check(ctx, part->indices, part->count, count, true, what));
    }
    AMUN__CHECK(check_turns(mix, part, number));
    if (!isfinite(part->weight)) {
        return amun__fail(AMUN_ERROR_NUMERIC, "part %zu: weight is %g", number, part->weight);
    }
    return check_target(mix, part, number);
}

amun_status amun__mix_check(amun_context *ctx, const amun__mix *mix)
{
    if (mix->part_count < 1 || mix->part_count > AMUN__MIX_MAX_PARTS) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "a mix of %zu parts, expected 1 to %d",
                          mix->part_count, AMUN__MIX_MAX_PARTS);
    }
    if (mix->classes < 1 || mix->classes > INT32_MAX) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "a mix of %lld classes, expected 1 to %d",
                          (long long)mix->classes, INT32_MAX);
    }
    if (!(mix->label_smoothing >= 0.0 && mix->label_smoothing < 1.0)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "label smoothing is %g, expected [0, 1)",
                          mix->label_smoothing);
    }
    if (mix->augment.cutout < 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "cutout is %d, expected at least 0",
                          (int)mix->augment.cutout);
    }
    if (mix->augment.pad < 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "pad is %d, expected at least 0",
                          (int)mix->augment.pad);
    }
    for (size_t p = 0; p < mix->part_count; p++) {
        AMUN__CHECK(check_part(ctx, mix, p));
    }
    if (amun__mix_count(mix) == 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "the mix has no sample");
    }
    return AMUN_OK;
}
