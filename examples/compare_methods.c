/* compare_methods.c - reads the list of methods: names, and the options that a row changes. */
#include <stddef.h>

#include "compare.h"

/* Which struct an option belongs to. */
typedef enum part { OF_TRAIN, OF_UNLEARN, OF_RIVAL, OF_TRW } part;
typedef struct key {
    const char *name;
    part part;
    size_t offset;
    bool real; /* double, else int32_t */
} key;

#define TRAIN(name, member, real)                                                                  \
    {                                                                                              \
        name, OF_TRAIN, offsetof(amun_train_options, member), real                                 \
    }
#define RIVAL(member, real)                                                                        \
    {                                                                                              \
#member, OF_RIVAL, offsetof(amun_rival_options, member), real                              \
    }
#define TRW(member, real)                                                                          \
    {                                                                                              \
#member, OF_TRW, offsetof(amun_trw_options, member), real                                  \
    }
static const key keys[] = {
    TRAIN("lr", lr, true),
    TRAIN("epochs", epochs, false),
    TRAIN("batch", batch, false),
    TRAIN("step_epochs", step_epochs, false),
    TRAIN("gamma", gamma, true),
    TRAIN("momentum", momentum, true),
    TRAIN("weight_decay", weight_decay, true),
    TRAIN("schedule", schedule, false),
    TRAIN("augment_pad", augment_pad, false),
    TRAIN("augment_flip", augment_flip, false),
    TRAIN("augment_cutout", augment_cutout, false),
    {"remain", OF_UNLEARN, offsetof(amun_unlearn_options, remain), false},
    {"mask_ratio", OF_UNLEARN, offsetof(amun_unlearn_options, mask_ratio), true},
    RIVAL(any_label, false),
    RIVAL(forget_first, false),
    RIVAL(ascent_norm, true),
    RIVAL(ascent_floor, true),
    RIVAL(retain_weight, true),
    RIVAL(boundary_step, true),
    RIVAL(l1, true),
    RIVAL(scrub_temperature, true),
    RIVAL(scrub_gamma, true),
    RIVAL(scrub_alpha, true),
    RIVAL(scrub_ascent_epochs, false),
    RIVAL(scrub_rewind, false),
    RIVAL(ssd_alpha, true),
    RIVAL(ssd_lambda, true),
    RIVAL(svd_retain_alpha, true),
    RIVAL(svd_forget_alpha, true),
    RIVAL(svd_samples, false),
    RIVAL(teacher_share, true),
    RIVAL(unsir_noise, false),
    RIVAL(unsir_copies, false),
    RIVAL(unsir_per_class, false),
    RIVAL(unsir_repair_lr, true),
    RIVAL(last_blocks, false),
    TRW(beta, true),
    TRW(temperature, true),
    TRW(energy, true),
    TRW(score, false),
    TRW(balanced, false),
    TRW(frozen_statistics, false),
    TRW(neighbours, false),
    TRW(kappa, true),
    TRW(forget_floor, true),
    TRW(forget_weight, true),
    TRW(noise, true),
    TRW(control, false),
    TRW(stage, false),
};
enum { KEYS = sizeof keys / sizeof keys[0] };

/* Names come with underscores, as in reports, or with hyphens, as on the command line of unlearn.
 */
static amun_unlearn_method method_of(const char *name)
{
    char *word = ex_format("%s", name);
    for (char *c = word; *c != '\0'; c++) {
        *c = *c == '_' ? '-' : *c;
    }
    const int32_t number = ex_choice(word, EX_METHODS);
    if (number == 0) {
        ex_usage("--methods: \"%s\" is none of %s", name, EX_METHODS);
    }
    free(word);
    return number;
}

static void set_key(compare_method *row, char *text)
{
    char *value = strchr(text, '=');
    if (value == NULL) {
        ex_usage("--methods: \"%s\" in %s has no value (key=value)", text, row->text);
    }
    *value++ = '\0';
    char *const bases[] = {(char *)&row->train, (char *)&row->opts, (char *)&row->rival,
                           (char *)&row->trw};
    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(keys[i].name, text) == 0) {
            char *end, *at = bases[keys[i].part] + keys[i].offset;
            double number = strtod(value, &end);
            if (end == value || *end != '\0' || (!keys[i].real && number != floor(number)) ||
                fabs(number) > 2e9) {
                ex_usage("--methods: %s is \"%s\" in %s, expected a%s number", text, value,
                         row->text, keys[i].real ? "" : " whole");
            }
            if (keys[i].real) {
                memcpy(at, &number, sizeof number);
            } else {
                memcpy(at, &(int32_t){(int32_t)number}, sizeof(int32_t));
            }
            return;
        }
    }
    ex_usage("--methods: no option \"%s\" (in %s)", text, row->text);
}

/* Whether a row's text sets the option. */
static bool is_set(const char *text, const char *option)
{
    const size_t length = strlen(option);
    for (const char *at = strchr(text, ':'); at != NULL; at = strchr(at + 1, ':')) {
        if (strncmp(at + 1, option, length) == 0 && at[1 + length] == '=') {
            return true;
        }
    }
    return false;
}

/* What would change nothing is more likely a mistake than meant. */
static void refuse_ignored(const compare_method *row, const char *name)
{
    static const char *const of_steps[] = {"step_epochs", "gamma"};
    for (size_t i = 0; i < 2 && row->train.schedule != AMUN_SCHEDULE_STEP; i++) {
        if (is_set(row->text, of_steps[i])) {
            ex_usage("--methods: %s is for steps of the rate, which %s does not take by itself: "
                     "add schedule=%d (in %s)",
                     of_steps[i], name, (int)AMUN_SCHEDULE_STEP, row->text);
        }
    }
}

static void read_row(compare_job *job, const char *text)
{
    if (job->row_count == COMPARE_METHODS) {
        ex_usage("--methods: more than %d", COMPARE_METHODS);
    }
    compare_method *row = &job->rows[job->row_count++];
    char *copy = ex_format("%s", text), *rest = copy;
    char *name = strsep(&rest, ":");
    row->text = ex_format("%s", text);
    ex_check(amun_unlearn_options_init(&row->opts, sizeof row->opts));
    ex_check(amun_rival_options_init(&row->rival, sizeof row->rival));
    ex_check(amun_trw_options_init(&row->trw, sizeof row->trw));
    row->opts.method = method_of(name);
    if (row->opts.method == AMUN_UNLEARN_RETRAIN) {
        ex_usage("--methods: retrain has its row always");
    }
    ex_check(amun_unlearn_train_options_init(&row->train, sizeof row->train, row->opts.method));
    row->train.seed = (uint64_t)ex_args.seed;
    if (!ex_training_augments(&job->training, &job->data)) { /* as the originals were trained */
        ex_train_plain(&row->train);
    }
    while (rest != NULL) {
        set_key(row, strsep(&rest, ":"));
    }
    refuse_ignored(row, name);
    free(copy);
}

void compare_methods_read(compare_job *job)
{
    char *copy = ex_format("%s", job->methods), *rest = copy;
    while (rest != NULL) {
        read_row(job, strsep(&rest, ","));
    }
    free(copy);
}

void compare_methods_free(compare_job *job)
{
    for (size_t i = 0; i < job->row_count; i++) {
        free(job->rows[i].text);
    }
}
