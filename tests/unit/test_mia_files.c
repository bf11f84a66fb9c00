/* Reference models on disk: training that resumes, files that do not belong, damage. */
#include <unistd.h>

#include "amun/clip.h"
#include "io/io.h"
#include "mia_fixture.h"
#include "nn/graph.h"
#include "nn/linop.h"
#include "spectral/powerqr.h"

static void file_name(char *out, const char *dir, int number, const char *ending)
{
    snprintf(out, 4096, "%s/reference_%03d%s", test_path(dir), number, ending);
}

static void clean(const char *dir)
{
    static const char *const endings[] = {".safetensors", ".logits.safetensors",
                                          ".part.safetensors", ".scratch.safetensors"};
    char path[4096];
    for (int m = 0; m < 8; m++) {
        for (size_t k = 0; k < 4; k++) {
            file_name(path, dir, m, endings[k]);
            remove(path);
        }
    }
    remove(test_path(dir));
}

static bool same_files(const char *a, const char *b, int number, const char *ending)
{
    char path[4096];
    amun__mapping left, right;
    file_name(path, a, number, ending);
    ck_ok(amun__file_map(&left, path));
    file_name(path, b, number, ending);
    ck_ok(amun__file_map(&right, path));
    bool same = left.size == right.size && memcmp(left.data, right.data, left.size) == 0;
    amun__file_unmap(&left);
    amun__file_unmap(&right);
    return same;
}

/* Counts how many references were trained and evaluated; stops after `stop` training reports. */
typedef struct counter {
    int train_reports, eval_reports, stop;
} counter;

static int32_t count_phases(const amun_progress *p, void *user_data)
{
    counter *c = user_data;
    c->train_reports += strcmp(p->phase, "reference") == 0;
    c->eval_reports += strcmp(p->phase, "reference logits") == 0;
    return c->stop > 0 && c->train_reports >= c->stop;
}

static amun_status train_all(small *s, const char *dir, const amun_train_options *o, counter *c)
{
    char path[4096];
    amun_call_options call;
    ck_ok(amun_call_options_init(&call, sizeof call));
    call.progress = count_phases;
    call.user_data = c;
    call.min_interval_ms = 0;
    snprintf(path, sizeof path, "%s", dir == NULL ? "" : test_path(dir));
    return amun_mia_train_references(s->mia, s->model, o, dir == NULL ? NULL : path, &call);
}

START_TEST(test_resume)
{
    static const char whole[] = "mia_whole", broken[] = "mia_broken";
    amun_train_options o = train_options(3, 8, 0.1);
    const int64_t forget[5] = {3, 8, 21, 30, 39};
    amun_audit a = {.struct_size = sizeof a}, b = a, d = a;
    small s;
    char path[4096];
    clean(whole);
    clean(broken);
    small_begin(&s, 3);
    counter c = {0};
    ck_ok(train_all(&s, whole, &o, &c));
    int reports = c.train_reports;
    ck_assert(reports >= 3 * MODELS && c.eval_reports >= MODELS);
    ck_ok(amun_mia_audit(&a, s.mia, s.model, forget, 5, NULL));
    c = (counter){0}; /* again: neither trained nor evaluated */
    ck_ok(train_all(&s, whole, &o, &c));
    ck_assert(c.train_reports == 0 && c.eval_reports == 0);
    small_end(&s);

    int interruptions = 0; /* each a new handle, as after a kill, that gets a little further */
    for (bool done = false; !done; interruptions += !done) {
        small_begin(&s, 3);
        c = (counter){.stop = 7 + interruptions};
        amun_status status = train_all(&s, broken, &o, &c);
        done = status == AMUN_OK;
        ck_assert(done || status == AMUN_ERROR_CANCELLED);
        if (!done) {
            ck_fails(amun_mia_audit(&b, s.mia, s.model, forget, 5, NULL), AMUN_ERROR_STATE,
                     "reference");
            ck_assert_int_lt(interruptions, reports);
            small_end(&s);
        }
    }
    ck_assert_int_ge(interruptions, MODELS);
    ck_ok(amun_mia_audit(&b, s.mia, s.model, forget, 5, NULL));
    a.seconds = b.seconds = 0.0;
    ck_assert(memcmp(&a, &b, sizeof a) == 0);
    for (int m = 0; m < MODELS; m++) {
        ck_assert(same_files(whole, broken, m, ".safetensors"));
        ck_assert(same_files(whole, broken, m, ".logits.safetensors"));
        file_name(path, broken, m, ".part.safetensors");
        ck_assert(!amun__file_exists(path));
    }
    small_end(&s);

    small_begin(&s, 3); /* without files, and like another model: the same figures */
    amun_model *fresh = NULL;
    ck_ok(amun_model_clone(&fresh, s.model));
    ck_ok(amun_model_reset(s.model, 99));
    ck_assert(!same_bytes(bytes_of(fresh), bytes_of(s.model)));
    c = (counter){0};
    ck_ok(train_all(&s, NULL, &o, &c));
    ck_ok(amun_mia_audit(&d, s.mia, fresh, forget, 5, NULL));
    amun_model_unref(fresh);
    d.seconds = 0.0;
    ck_assert(memcmp(&a, &d, sizeof a) == 0);
    c = (counter){0};
    ck_ok(train_all(&s, NULL, &o, &c)); /* kept */
    ck_assert_int_eq(c.train_reports, 0);
    o.lr = 0.2;
    ck_ok(train_all(&s, NULL, &o, &c)); /* other options: trained anew */
    ck_assert(c.train_reports > 0);
    small_end(&s);
    clean(whole);
    clean(broken);
}
END_TEST

/* ---- references under a clip --------------------------------------------------------------------
 */

enum { CONV = 1, FC = 5, SPECTRUM = 256 }; /* nodes of conv_model(), and room for their values */

/* The small pool with images of 8 x 8 and a convolutional network. */
static void clipped_begin(small *s)
{
    small_begin(s, 3);
    amun_mia_unref(s->mia);
    amun_model_unref(s->model);
    blobs_free(&s->train);
    blobs_free(&s->test);
    blobs_make(&s->train, s->ctx, TRAIN, 1, 8, 8, CLASSES, 3);
    blobs_make(&s->test, s->ctx, TEST, 1, 8, 8, CLASSES, 4);
    s->model = conv_model(s->ctx, 1, 8, 8, CLASSES, 5);
    amun_mia_options o;
    ck_ok(amun_mia_options_init(&o, sizeof o));
    o.references = MODELS;
    ck_ok(amun_mia_create(&s->mia, s->ctx, s->train.data, s->test.data, &o));
}

static amun_clip_options clip_options(double target)
{
    amun_clip_options clip;
    ck_ok(amun_clip_options_init(&clip, sizeof clip));
    clip.target = target;
    clip.every = 3;
    clip.rounds = 100;
    return clip;
}

static double exact_norm(const small *s, const amun_model *model, int32_t node)
{
    amun__linop *op = NULL;
    double values[SPECTRUM];
    ck_ok(amun__linop_create_node(&op, model, node, false, 8, AMUN__LINOP_REF_F64));
    ck_assert(amun__linop_in(op) <= SPECTRUM || amun__linop_out(op) <= SPECTRUM);
    ck_ok(amun__spectrum_exact(s->ctx, op, values));
    amun__linop_destroy(op);
    return values[0];
}

/* The largest norm of all layers of all references, and the smallest. */
static void norms_of(small *s, const char *dir, double *largest, double *smallest)
{
    char path[4096];
    amun_model *model = NULL;
    ck_ok(amun_model_clone(&model, s->model));
    *largest = 0.0;
    *smallest = (double)INFINITY;
    for (int m = 0; m < MODELS; m++) {
        file_name(path, dir, m, ".safetensors");
        ck_ok(amun_model_load_weights(model, path));
        const double norms[2] = {exact_norm(s, model, CONV), exact_norm(s, model, FC)};
        for (int i = 0; i < 2; i++) {
            *largest = fmax(*largest, norms[i]);
            *smallest = fmin(*smallest, norms[i]);
        }
    }
    amun_model_unref(model);
}

/* About 30 images in batches of 8: some 40 steps with clips at multiples of 3, the last ones of
 * which move little. */
START_TEST(test_clipped_references)
{
    static const char plain[] = "mia_unclipped", whole[] = "mia_clipped", broken[] = "mia_cut";
    const double target = 0.5;
    amun_clip_options clip = clip_options(target);
    amun_train_options o = train_options(10, 8, 0.1);
    o.schedule = AMUN_SCHEDULE_COSINE;
    double largest = 0.0, smallest = 0.0;
    small s;
    counter c = {0};
    clean(plain);
    clean(whole);
    clean(broken);
    clipped_begin(&s);
    ck_ok(train_all(&s, plain, &o, &c));
    norms_of(&s, plain, &largest, &smallest);
    ck_assert_msg(smallest > 1.2 * target, "%g without a clip", smallest);
    o.clip = &clip;
    ck_ok(train_all(&s, whole, &o, &c));
    norms_of(&s, whole, &largest, &smallest);
    ck_assert_msg(largest < 1.02 * target && smallest > 0.8 * target, "%g, %g", largest, smallest);
    c = (counter){0};
    ck_ok(train_all(&s, whole, &o, &c));
    ck_assert_int_eq(c.train_reports, 0); /* neither anew from the memory nor from the files */
    small_end(&s);

    int cuts = 0;
    for (bool done = false; !done;
         cuts += !done) { /* in all models, between clips and after them */
        clipped_begin(&s);
        c = (counter){.stop = 17};
        const amun_status status = train_all(&s, broken, &o, &c);
        done = status == AMUN_OK;
        ck_assert(done || status == AMUN_ERROR_CANCELLED);
        ck_assert_int_lt(cuts, 40);
        small_end(&s);
    }
    ck_assert_int_ge(cuts, MODELS);
    for (int m = 0; m < MODELS; m++) {
        ck_assert(same_files(whole, broken, m, ".safetensors"));
        ck_assert(same_files(whole, broken, m, ".logits.safetensors"));
        ck_assert(!same_files(whole, plain, m, ".safetensors"));
    }
    clean(plain);
    clean(whole);
    clean(broken);
}
END_TEST

START_TEST(test_clip_mismatch)
{
    static const char dir[] = "mia_clip_mismatch";
    amun_clip_options clip = clip_options(0.5), other = clip;
    amun_train_options o = train_options(1, 8, 0.1);
    small s;
    counter c = {0};
    clean(dir);
    clipped_begin(&s);
    o.clip = &clip;
    ck_ok(train_all(&s, dir, &o, &c));
    o.clip = &other;
    other.target = 0.75;
    ck_fails(train_all(&s, dir, &o, &c), AMUN_ERROR_STATE, "clip.target = 0.5, this call has 0.75");
    other = clip;
    other.every = 4;
    ck_fails(train_all(&s, dir, &o, &c), AMUN_ERROR_STATE, "clip.every = 3, this call has 4");
    other = clip;
    other.method = AMUN_CLIP_GOUK;
    ck_fails(train_all(&s, dir, &o, &c), AMUN_ERROR_STATE, "this call has \"gouk\"");
    o.clip = NULL;
    ck_fails(train_all(&s, dir, &o, &c), AMUN_ERROR_STATE, "this call has nothing");
    ck_assert(strstr(amun_last_error_message(), "clip.") != NULL);
    o.clip = &clip;
    c = (counter){0};
    ck_ok(train_all(&s, dir, &o, &c)); /* and nothing of this spoilt the files */
    ck_assert_int_eq(c.train_reports, 0);
    clean(dir);
    o.clip = NULL;
    amun_mia_unref(s.mia); /* a call of other options forgets what it has in memory */
    s.mia = NULL;
    small_end(&s);
    clipped_begin(&s);
    ck_ok(train_all(&s, dir, &o, &c));
    o.clip = &clip;
    ck_fails(train_all(&s, dir, &o, &c), AMUN_ERROR_STATE, " = nothing, this call has");
    small_end(&s);
    clean(dir);
}
END_TEST

START_TEST(test_file_mismatch)
{
    static const char dir[] = "mia_mismatch";
    amun_train_options o = train_options(1, 8, 0.1);
    small s;
    counter c = {0};
    char path[4096], other[4096];
    clean(dir);
    small_begin(&s, 3);
    ck_ok(train_all(&s, dir, &o, &c));
    o.lr = 0.2;
    ck_fails(train_all(&s, dir, &o, &c), AMUN_ERROR_STATE, "lr = 0.1");
    o.lr = 0.1;
    o.seed = 1;
    ck_fails(train_all(&s, dir, &o, &c), AMUN_ERROR_STATE, "seed");
    o.seed = 0;
    o.checkpoint_every = 7; /* decides nothing */
    ck_ok(train_all(&s, dir, &o, &c));
    o.checkpoint = "x";
    ck_fails(train_all(&s, dir, &o, &c), AMUN_ERROR_INVALID_ARGUMENT, "checkpoint");
    o.checkpoint = NULL;
    amun_model *conv = conv_model(s.ctx, 1, 4, 4, CLASSES, 5);
    ck_fails(amun_mia_train_references(s.mia, conv, &o, test_path(dir), NULL), AMUN_ERROR_STATE,
             "parameters");
    amun_model_unref(conv);
    small_end(&s);
    small_begin(&s, 4); /* other test images */
    ck_fails(train_all(&s, dir, &o, &c), AMUN_ERROR_STATE, "test_hash");
    small_end(&s);

    small_begin(&s, 3); /* one model's file under another's name */
    file_name(path, dir, 0, ".safetensors");
    file_name(other, dir, 1, ".safetensors");
    ck_assert_int_eq(rename(path, other), 0);
    c = (counter){0};
    ck_fails(train_all(&s, dir, &o, &c), AMUN_ERROR_STATE, "number = 0, this call has 1");
    ck_assert(c.train_reports > 0); /* number 0 was made again */
    remove(other);
    ck_ok(train_all(&s, dir, &o, &c));
    small_end(&s);
    clean(dir);
}
END_TEST

static void damage(const char *dir, int number, const char *ending, long from_end)
{
    char path[4096];
    file_name(path, dir, number, ending);
    FILE *file = fopen(path, "r+b");
    ck_assert(file != NULL);
    ck_assert_int_eq(fseek(file, -from_end, SEEK_END), 0);
    int c = fgetc(file);
    ck_assert_int_eq(fseek(file, -from_end, SEEK_END), 0);
    fputc(c ^ 0x10, file);
    fclose(file);
}

START_TEST(test_damage)
{
    static const char dir[] = "mia_damage";
    amun_train_options o = train_options(1, 8, 0.1);
    const int64_t forget[2] = {0, 1};
    amun_audit a = {.struct_size = sizeof a}, b = a;
    small s;
    counter c = {0};
    char path[4096];
    clean(dir);
    small_begin(&s, 3);
    ck_ok(train_all(&s, dir, &o, &c));
    ck_ok(amun_mia_audit(&a, s.mia, s.model, forget, 2, NULL));
    damage(dir, 1, ".logits.safetensors", 3); /* the cache does not fit: computed again */
    c = (counter){0};
    ck_ok(train_all(&s, dir, &o, &c));
    ck_assert(c.train_reports == 0 && c.eval_reports > 0);
    ck_ok(amun_mia_audit(&b, s.mia, s.model, forget, 2, NULL));
    a.seconds = b.seconds = 0.0;
    ck_assert(memcmp(&a, &b, sizeof a) == 0);
    file_name(path, dir, 2, ".logits.safetensors");
    ck_assert_int_eq(truncate(path, 20), 0);
    ck_ok(train_all(&s, dir, &o, &c));
    file_name(path, dir, 2, ".safetensors");
    ck_assert_int_eq(truncate(path, 20), 0);
    ck_fails(train_all(&s, dir, &o, &c), AMUN_ERROR_FORMAT, "reference_002.safetensors");
    remove(path);
    file_name(path, dir, 3, ".safetensors"); /* a model that is no reference */
    ck_ok(amun_model_save(s.model, path));
    ck_fails(train_all(&s, dir, &o, &c), AMUN_ERROR_STATE, "not a reference");
    small_end(&s);
    clean(dir);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("files");
    tcase_add_test(tc, test_resume);
    tcase_add_test(tc, test_file_mismatch);
    tcase_add_test(tc, test_damage);
    tcase_add_test(tc, test_clipped_references);
    tcase_add_test(tc, test_clip_mismatch);
    return amun_test_main("mia_files", (TCase *[]){tc, NULL});
}
