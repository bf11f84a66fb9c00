/* test_spectral.c - spectra through the public interface: references in any order, foreign handles,
 * option and result structs, running out of memory, same bytes again. */
#include <stddef.h>

#include "api.h"

static struct {
    heap memory;
    amun_context *ctx;
    amun_model *model;
    amun_dataset *data;
    tiny_values before;
} f;

static void set_up(void)
{
    memset(&f, 0, sizeof f);
    ck_ok(heap_context(&f.ctx, &f.memory));
    ck_ok(tiny_model(&f.model, f.ctx, 1));
    ck_ok(tiny_data(&f.data, f.ctx));
    tiny_read(&f.before, f.model);
}

static void tear_down(void)
{
    ck_unchanged(f.model, &f.before);
    amun_dataset_unref(f.data);
    amun_model_unref(f.model);
    heap_end(f.ctx, &f.memory);
}

/* ---- handles --------------------------------------------------------------------------------- */

START_TEST(references)
{
    for (int order = 0; order < 6; order++) {
        heap h = {0};
        amun_context *ctx = NULL;
        amun_model *model = NULL;
        amun_spectrum *spectrum = NULL;
        ck_ok(heap_context(&ctx, &h));
        ck_ok(tiny_model(&model, ctx, 2));
        ck_ok(amun_spectrum_create(&spectrum, model, NULL));
        const int64_t live = h.live;
        ck_assert_ptr_eq(amun_spectrum_ref(spectrum), spectrum);
        amun_spectrum_unref(spectrum);
        ck_assert_int_eq(h.live, live);
        ck_assert_ptr_null(amun_spectrum_ref(NULL));
        static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                         {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
        for (int i = 0; i < 3; i++) {
            switch (orders[order][i]) {
            case 0:
                amun_context_unref(ctx);
                break;
            case 1:
                amun_model_unref(model);
                break;
            default: /* works as long as it lives */
                ck_ok(amun_spectrum_run(spectrum, 0, NULL));
                amun_spectrum_unref(spectrum);
            }
        }
        heap_end(NULL, &h);
    }
}
END_TEST

static void foreign(void *bad)
{
    amun_spectrum *spectrum = (void *)&f;
    amun_layer_spectrum layer = {.struct_size = sizeof layer};
    amun_lipschitz whole = {.struct_size = sizeof whole};
    float vector[TINY_PIXELS];
    double value = 1;
    ck_invalid(amun_spectrum_create(&spectrum, bad, NULL), "model");
    ck_assert_ptr_null(spectrum);
    ck_invalid(amun_spectrum_run(bad, 0, NULL), "spectrum");
    ck_invalid(amun_spectrum_layer(bad, 0, &layer), "spectrum");
    ck_invalid(amun_spectrum_values(bad, 0, &value, NULL, 1), "spectrum");
    ck_invalid(amun_spectrum_vector(bad, 0, 0, vector, TINY_PIXELS), "spectrum");
    ck_invalid(amun_lipschitz_bound(&whole, NULL, 0, bad), "spectrum");
    ck_invalid(amun_lipschitz_local(&value, NULL, bad, f.data, NULL, 0, NULL), "model");
    ck_assert(isnan(value));
    ck_invalid(amun_lipschitz_local(&value, NULL, f.model, bad, NULL, 0, NULL), "data");
}

START_TEST(foreign_handles)
{
    foreign(NULL);
    foreign(f.ctx);
}
END_TEST

/* ---- structs --------------------------------------------------------------------------------- */

static amun_status use(const amun_spectrum_options *o)
{
    amun_spectrum *spectrum = NULL;
    amun_status status = amun_spectrum_create(&spectrum, f.model, o);
    ck_assert((status == AMUN_OK) == (spectrum != NULL));
    amun_spectrum_unref(spectrum);
    return status;
}

static amun_spectrum_options fresh(void)
{
    amun_spectrum_options o;
    ck_ok(amun_spectrum_options_init(&o, sizeof o));
    return o;
}

START_TEST(sizes)
{
    static const size_t wrong[] = {0, 4, 8, 52, 60, 4104, (size_t)-1};
    amun_spectrum_options o = fresh();
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        o.struct_size = wrong[i];
        ck_invalid(use(&o), "struct_size");
    }
    ck_invalid(amun_spectrum_options_init(NULL, sizeof o), "NULL");
    struct {
        amun_spectrum_options options;
        uint64_t more;
    } newer = {.options = fresh()};
    newer.options.struct_size = sizeof newer;
    ck_ok(use(&newer.options));
    newer.more = 1;
    ck_fails(use(&newer.options), AMUN_ERROR_UNSUPPORTED, "64");
    o = fresh();
    o.struct_size = 56; /* before there was certify_cost */
    ck_ok(use(&o));
    ck_ok(use(NULL));
}
END_TEST

/* The ranges once more, from the header. */
START_TEST(ranges)
{
    static const struct {
        const char *name;
        size_t offset;
        int32_t low, high;
    } whole[] = {{"method", offsetof(amun_spectrum_options, method), 1, 3},
                 {"k", offsetof(amun_spectrum_options, k), 1, 64},
                 {"block", offsetof(amun_spectrum_options, block), 0, 128},
                 {"max_iterations", offsetof(amun_spectrum_options, max_iterations), 1, 1000000},
                 {"fold_batchnorm", offsetof(amun_spectrum_options, fold_batchnorm), 0, 1},
                 {"certify", offsetof(amun_spectrum_options, certify), 0, 1}};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        const int32_t tried[4] = {whole[i].low - 1, whole[i].high + 1, whole[i].low, whole[i].high};
        for (int j = 0; j < 4; j++) {
            amun_spectrum_options o = fresh();
            memcpy((char *)&o + whole[i].offset, &tried[j], sizeof tried[j]);
            if (j < 2) {
                ck_invalid(use(&o), whole[i].name);
            } else {
                ck_ok(use(&o));
            }
        }
    }
    for (int second = 0; second < 2; second++) {
        const double tried[] = {-1e-9, second ? 1.1e6 : 1.1, (double)NAN, (double)INFINITY,
                                0,     second ? 1e6 : 1};
        for (int j = 0; j < 6; j++) {
            amun_spectrum_options o = fresh();
            *(second ? &o.mu : &o.tol) = tried[j];
            if (j < 4) {
                ck_invalid(use(&o), second ? "mu" : "tol");
            } else {
                ck_ok(use(&o));
            }
        }
    }
    amun_spectrum_options o = fresh();
    o.k = 9;
    o.block = 8;
    ck_invalid(use(&o), "block: 8");
    o.block = 9;
    ck_ok(use(&o));
}
END_TEST

START_TEST(results)
{
    static const size_t wrong[] = {0, 4, 8, 12, 4104, (size_t)-1};
    amun_spectrum *s = NULL;
    ck_ok(amun_spectrum_create(&s, f.model, NULL));
    ck_ok(amun_spectrum_run(s, 0, NULL));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[64];
        snprintf(text, sizeof text, "struct_size is %zu", wrong[i]);
        amun_layer_spectrum layer = {.struct_size = wrong[i]};
        amun_lipschitz whole = {.struct_size = wrong[i]};
        ck_invalid(amun_spectrum_layer(s, 0, &layer), text);
        ck_invalid(amun_lipschitz_bound(&whole, NULL, 0, s), text);
    }
    amun_layer_spectrum older, full = {.struct_size = sizeof full};
    memset(&older, 0xff, sizeof older);
    older.struct_size = offsetof(amun_layer_spectrum, sigma_flat);
    ck_ok(amun_spectrum_layer(s, 2, &older));
    ck_ok(amun_spectrum_layer(s, 2, &full));
    ck_assert(older.sigma_upper == full.sigma_upper && older.name == full.name);
    uint64_t bits;
    memcpy(&bits, &older.sigma_flat, sizeof bits);
    ck_assert_uint_eq(bits, UINT64_MAX);
    ck_assert_str_eq(full.name, "fc");
    ck_assert_int_eq(full.kind, AMUN_LAYER_LINEAR);
    amun_spectrum_unref(s);
}
END_TEST

/* ---- memory ---------------------------------------------------------------------------------- */

static amun_status scenario(amun_context *ctx, amun_spectrum_method method)
{
    amun_model *model = NULL;
    amun_dataset *data = NULL;
    amun_spectrum *s = NULL;
    amun_lipschitz whole = {.struct_size = sizeof whole};
    double largest;
    amun_spectrum_options o = fresh();
    o.method = method;
    o.fold_batchnorm = method != AMUN_SPECTRUM_LEGACY;
    amun_status status = tiny_model(&model, ctx, 1);
    status = status == AMUN_OK ? tiny_data(&data, ctx) : status;
    status = status == AMUN_OK ? amun_spectrum_create(&s, model, &o) : status;
    status = status == AMUN_OK ? amun_spectrum_run(s, 0, NULL) : status;
    status = status == AMUN_OK ? amun_lipschitz_bound(&whole, NULL, 0, s) : status;
    status = status == AMUN_OK ? amun_lipschitz_local(&largest, NULL, model, data, NULL, 0, NULL)
                               : status;
    char message[1024];
    snprintf(message, sizeof message, "%s", amun_last_error_message());
    ck_assert((status == AMUN_OK) == (message[0] == '\0'));
    amun_spectrum_unref(s);
    amun_dataset_unref(data);
    amun_model_unref(model);
    return status;
}

START_TEST(out_of_memory)
{
    int64_t tried = 0;
    for (int64_t n = 1;; n += n < 200 ? 1 : n / 16) {
        heap h = {.fail_at = n, .fail_count = INT64_MAX / 2};
        amun_context *ctx = NULL;
        amun_status status = heap_context(&ctx, &h);
        status = status == AMUN_OK ? scenario(ctx, _i) : status;
        const bool failed = h.calls >= n;
        ck_assert_msg(status == (failed ? AMUN_ERROR_OUT_OF_MEMORY : AMUN_OK),
                      "allocation %lld: %s: %s", (long long)n, amun_status_string(status),
                      amun_last_error_message());
        h.fail_at = 0;
        heap_end(ctx, &h);
        if (!failed) {
            break;
        }
        tried++;
    }
    ck_assert_int_gt(tried, 40);
}
END_TEST

/* A run that fails leaves a spectrum that works. */
START_TEST(goes_on)
{
    amun_spectrum *s = NULL;
    double good[2], again[2];
    ck_ok(amun_spectrum_create(&s, f.model, NULL));
    ck_ok(amun_spectrum_run(s, 0, NULL));
    ck_ok(amun_spectrum_values(s, 0, good, NULL, 1));
    amun_spectrum_unref(s);
    for (int64_t n = 1;; n += 3) {
        ck_ok(amun_spectrum_create(&s, f.model, NULL));
        f.memory.fail_count = 1;
        f.memory.fail_at = f.memory.calls + n;
        amun_status status = amun_spectrum_run(s, 0, NULL);
        const bool failed = f.memory.calls >= f.memory.fail_at;
        f.memory.fail_at = 0;
        if (status != AMUN_OK) {
            ck_fails(amun_spectrum_values(s, 0, again, NULL, 1), AMUN_ERROR_STATE, "no run");
            ck_ok(amun_spectrum_run(s, 0, NULL));
        }
        ck_ok(amun_spectrum_values(s, 0, again, NULL, 1));
        ck_assert_msg(fabs(again[0] - good[0]) <= 1e-5 * good[0], "%.9g, not %.9g", again[0],
                      good[0]);
        amun_spectrum_unref(s);
        if (!failed) {
            break;
        }
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("spectral");
    tcase_set_timeout(tc, 300);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, references);
    tcase_add_test(tc, foreign_handles);
    tcase_add_test(tc, sizes);
    tcase_add_test(tc, ranges);
    tcase_add_test(tc, results);
    tcase_add_loop_test(tc, out_of_memory, AMUN_SPECTRUM_POWERQR, AMUN_SPECTRUM_EXACT + 1);
    tcase_add_test(tc, goes_on);
    return api_main("spectral", (TCase *[]){tc, NULL});
}
