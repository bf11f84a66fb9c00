/* The adversarial set: building, reading, files, and files that do not fit the data set. */
#include "attack_fixture.h"
#include "io/io.h"
#include "test_files.h"

enum { COUNT = 24 };

static test_allocator allocator;
static amun_context *ctx;
static amun_dataset *data;
static amun_model *network;
static amun_attack *attack;
static amun_advset *built;
static int64_t indices[COUNT];

static void setup(void)
{
    memset(&allocator, 0, sizeof allocator);
    ctx = test_context(&allocator);
    data = digits(ctx);
    network = digits_model(ctx, data);
    amun_search_options options = search_options();
    options.eps0 = 0.1;
    options.steps = 10;
    options.batch = 16;
    attack = search_attack(ctx, &options);
    for (size_t i = 0; i < COUNT; i++) { /* neither sorted nor dense */
        indices[i] = (int64_t)(i * 577 % 1797);
    }
    ck_ok(amun_advset_build(&built, attack, network, data, indices, COUNT, NULL));
}

static void teardown(void)
{
    amun_advset_unref(built);
    amun_attack_unref(attack);
    amun_model_unref(network);
    amun_dataset_unref(data);
    amun_context_unref(ctx);
    ck_assert_int_eq(atomic_load(&allocator.live_blocks), 0);
    ck_assert_int_eq(atomic_load(&allocator.wrong), 0);
}

/* The same samples through amun_attack_run. */
START_TEST(test_build)
{
    samples s;
    samples_open_digits(&s, data, indices, COUNT);
    ck_ok(samples_run(&s, attack, network));
    ck_assert_uint_eq(amun_advset_count(built), COUNT);
    ck_assert_uint_eq(amun_advset_found(built), COUNT);
    const amun_attack_record *records = amun_advset_records(built);
    const amun_dataset *examples = amun__advset_dataset(built);
    ck_assert_uint_eq(amun_dataset_count(examples), COUNT);
    ck_assert_int_eq(amun_dataset_classes(examples), DIGIT_CLASSES);
    ck_assert_int_eq(amun__advset_policy(built), AMUN_FAILURE_LEAVE_OUT);
    for (size_t i = 0; i < COUNT; i++) {
        float image[DIGIT_PIXELS], example[DIGIT_PIXELS];
        amun_attack_record expected = s.records[i];
        expected.input_hash = amun__dataset_hash(data, (size_t)indices[i]);
        ck_assert_mem_eq(&records[i], &expected, sizeof expected);
        ck_ok(amun_advset_image(built, i, image));
        ck_assert_mem_eq(image, s.adversarial + i * DIGIT_PIXELS, sizeof image);
        amun__dataset_fetch(examples, i, example);
        ck_assert_mem_eq(image, example, sizeof image);
        ck_assert_int_eq(amun__dataset_label(examples, i), records[i].adversarial);
    }
    samples_close(&s);
}
END_TEST

static void assert_same(const amun_advset *a, const amun_advset *b)
{
    ck_assert_uint_eq(amun_advset_count(a), amun_advset_count(b));
    ck_assert_uint_eq(amun_advset_found(a), amun_advset_found(b));
    ck_assert_int_eq(amun__advset_policy(a), amun__advset_policy(b));
    ck_assert_mem_eq(amun_advset_records(a), amun_advset_records(b),
                     amun_advset_count(a) * sizeof(amun_attack_record));
    for (size_t i = 0; i < amun_advset_count(a); i++) {
        float x[DIGIT_PIXELS], y[DIGIT_PIXELS];
        amun_status status = amun_advset_image(a, i, x);
        ck_assert_int_eq(amun_advset_image(b, i, y), status);
        if (status == AMUN_OK) {
            ck_assert_mem_eq(x, y, sizeof x);
        }
    }
}

/* Built twice and saved: the same bytes. Loaded: the same set, and again the same bytes. */
START_TEST(test_file)
{
    TEST_FILE(first, "advset_first.safetensors");
    TEST_FILE(second, "advset_second.safetensors");
    amun_advset *again = NULL, *loaded = NULL;
    size_t sizes[2];
    ck_ok(amun_advset_save(built, first));
    ck_ok(amun_advset_build(&again, attack, network, data, indices, COUNT, NULL));
    ck_ok(amun_advset_save(again, second));
    unsigned char *a = get_file(first, &sizes[0]), *b = get_file(second, &sizes[1]);
    ck_assert_uint_eq(sizes[0], sizes[1]);
    ck_assert_mem_eq(a, b, sizes[0]);
    free(b);
    ck_ok(amun_advset_load(&loaded, data, first, ctx));
    assert_same(loaded, built);
    ck_ok(amun_advset_save(loaded, second));
    b = get_file(second, &sizes[1]);
    ck_assert_uint_eq(sizes[0], sizes[1]);
    ck_assert_mem_eq(a, b, sizes[0]);
    free(a);
    free(b);
    amun_advset_unref(again);
    amun_advset_unref(loaded);
}
END_TEST

/* Some found, some not: rows of images are dense, and the table keeps all. */
static amun_advset *partial_set(amun_failure_policy policy, double eps_max)
{
    amun_search_options options = search_options();
    amun_advset *set = NULL;
    options.eps0 = 0.01;
    options.steps = 2;
    options.eps_max = eps_max;
    options.on_failure = policy;
    amun_attack *weak = search_attack(ctx, &options);
    ck_ok(amun_advset_build(&set, weak, network, data, indices, COUNT, NULL));
    amun_attack_unref(weak);
    return set;
}

START_TEST(test_partial)
{
    TEST_FILE(path, "advset_partial.safetensors");
    amun_advset *set = partial_set(AMUN_FAILURE_KEEP_IN_DF, 1.0), *loaded = NULL;
    size_t found = amun_advset_found(set), seen = 0;
    ck_assert(found > 0 && found < COUNT);
    ck_assert_uint_eq(amun_dataset_count(amun__advset_dataset(set)), found);
    for (size_t i = 0; i < COUNT; i++) {
        const amun_attack_record *r = &amun_advset_records(set)[i];
        float image[DIGIT_PIXELS], example[DIGIT_PIXELS];
        if (r->outcome == AMUN_ATTACK_FLIPPED) {
            ck_ok(amun_advset_image(set, i, image));
            amun__dataset_fetch(amun__advset_dataset(set), seen, example);
            ck_assert_mem_eq(image, example, sizeof image);
            ck_assert_int_eq(amun__dataset_label(amun__advset_dataset(set), seen), r->adversarial);
            seen++;
        } else {
            ck_assert_int_eq(r->outcome, AMUN_ATTACK_FAILED_CAP);
            ck_fails(amun_advset_image(set, i, image), AMUN_ERROR_NOT_FOUND, "record");
        }
    }
    ck_assert_uint_eq(seen, found);
    ck_ok(amun_advset_save(set, path));
    ck_ok(amun_advset_load(&loaded, data, path, ctx));
    ck_assert_int_eq(amun__advset_policy(loaded), AMUN_FAILURE_KEEP_IN_DF);
    assert_same(loaded, set);
    amun_advset_unref(loaded);
    amun_advset_unref(set);
}
END_TEST

START_TEST(test_nothing_found)
{
    TEST_FILE(path, "advset_nothing.safetensors");
    amun_advset *set = partial_set(AMUN_FAILURE_RETRY, 0.01), *loaded = NULL;
    size_t wrong = 0; /* already: those are found without a step */
    for (size_t i = 0; i < COUNT; i++) {
        wrong += amun_advset_records(set)[i].updates == 0;
    }
    ck_assert_uint_eq(amun_advset_found(set), wrong);
    ck_ok(amun_advset_save(set, path));
    ck_ok(amun_advset_load(&loaded, data, path, ctx));
    assert_same(loaded, set);
    amun_advset_unref(loaded);
    amun_advset_unref(set);

    amun_model *broken = NULL;
    ck_ok(amun_model_clone(&broken, network));
    poison_model(broken);
    ck_ok(amun_advset_build(&set, attack, broken, data, indices, COUNT, NULL));
    ck_assert_uint_eq(amun_advset_found(set), 0);
    ck_assert_ptr_null(amun__advset_dataset(set));
    ck_assert_int_eq(amun_advset_records(set)[3].outcome, AMUN_ATTACK_FAILED_NUMERIC);
    ck_ok(amun_advset_save(set, path));
    ck_ok(amun_advset_load(&loaded, data, path, ctx));
    assert_same(loaded, set);
    amun_advset_unref(loaded);
    amun_advset_unref(set);
    amun_model_unref(broken);
}
END_TEST

/* Examples stay readable for whoever keeps them, after the set is gone. */
START_TEST(test_examples_outlive)
{
    float before[DIGIT_PIXELS], after[DIGIT_PIXELS];
    amun_advset *set = NULL;
    ck_ok(amun_advset_build(&set, attack, network, data, indices, 4, NULL));
    amun_dataset *kept = amun_dataset_ref((amun_dataset *)(uintptr_t)amun__advset_dataset(set));
    ck_ok(amun_advset_image(set, 2, before));
    ck_assert_ptr_eq(amun_advset_ref(set), set);
    amun_advset_unref(set);
    amun_advset_unref(set);
    amun__dataset_fetch(kept, 2, after);
    ck_assert_mem_eq(before, after, sizeof before);
    amun_dataset_unref(kept);
}
END_TEST

/* ---- refusals ---------------------------------------------------------------------------------
 */

START_TEST(test_bad_arguments)
{
    amun_advset *set = built;
    int64_t bad[3] = {5, 1797, 6};
    ck_fails(amun_advset_build(&set, attack, network, data, bad, 3, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "1797");
    ck_assert_ptr_null(set);
    bad[1] = -1;
    ck_fails(amun_advset_build(&set, attack, network, data, bad, 3, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "-1");
    bad[1] = 5;
    ck_fails(amun_advset_build(&set, attack, network, data, bad, 3, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "5");
    ck_fails(amun_advset_build(&set, attack, network, data, bad, 0, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "indices");
    ck_fails(amun_advset_build(&set, attack, network, data, NULL, 3, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "indices");
    ck_fails(amun_advset_build(&set, attack, network, NULL, bad, 1, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "data");
    ck_fails(amun_advset_build(NULL, attack, network, data, bad, 1, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "set");
    amun_model *toy = toy_model(ctx, 1.0f);
    ck_fails(amun_advset_build(&set, attack, toy, data, bad, 1, NULL), AMUN_ERROR_SHAPE, "8 x 8");
    amun_model_unref(toy);
    ck_ok(amun__model_begin_write(network));
    ck_fails(amun_advset_build(&set, attack, network, data, bad, 1, NULL), AMUN_ERROR_BUSY,
             "model");
    amun__model_end_write(network);
    ck_assert_ptr_null(set);
    float image[DIGIT_PIXELS];
    ck_fails(amun_advset_image(built, COUNT, image), AMUN_ERROR_INVALID_ARGUMENT, "24");
    ck_fails(amun_advset_image(built, 0, NULL), AMUN_ERROR_INVALID_ARGUMENT, "image");
    ck_fails(amun_advset_image(NULL, 0, image), AMUN_ERROR_INVALID_ARGUMENT, "set");
    ck_fails(amun_advset_save(built, NULL), AMUN_ERROR_INVALID_ARGUMENT, "path");
    ck_fails(amun_advset_save(built, test_path("no/such/folder/x")), AMUN_ERROR_NOT_FOUND,
             "folder");
    ck_fails(amun_advset_load(&set, data, test_path("no-such-file"), ctx), AMUN_ERROR_NOT_FOUND,
             "no-such-file");
    ck_fails(amun_advset_load(&set, NULL, "x", ctx), AMUN_ERROR_INVALID_ARGUMENT, "data");
    ck_assert_uint_eq(amun_advset_count(NULL) + amun_advset_found(NULL), 0);
    ck_assert_ptr_null(amun_advset_records(NULL));
    amun_advset_unref(NULL);
}
END_TEST

static int32_t stop_at_once(const amun_progress *progress, void *user_data)
{
    (void)progress;
    (void)user_data;
    return 1;
}

START_TEST(test_cancel)
{
    amun_call_options call;
    amun_advset *set = built;
    ck_ok(amun_call_options_init(&call, sizeof call));
    call.progress = stop_at_once;
    ck_fails(amun_advset_build(&set, attack, network, data, indices, COUNT, &call),
             AMUN_ERROR_CANCELLED, "attack");
    ck_assert_ptr_null(set);
}
END_TEST

START_TEST(test_policy_error)
{
    amun_search_options options = search_options();
    amun_advset *set = NULL;
    char index[32];
    options.eps0 = options.eps_max = 1e-3;
    options.steps = 1;
    options.on_failure = AMUN_FAILURE_ERROR;
    amun_attack *hopeless = search_attack(ctx, &options);
    size_t first = 0; /* that is not wrong already */
    while (amun_advset_records(built)[first].updates == 0) {
        first++;
    }
    snprintf(index, sizeof index, "sample %lld", (long long)indices[first]);
    ck_fails(amun_advset_build(&set, hopeless, network, data, indices, COUNT, NULL),
             AMUN_ERROR_NUMERIC, index);
    ck_assert_ptr_null(set);
    amun_attack_unref(hopeless);
}
END_TEST

/* ---- damaged and foreign files ----------------------------------------------------------------
 */

/* Loads what `bytes` hold; the statuses that bad files may have. */
static amun_status load_bytes(const unsigned char *bytes, size_t size, const amun_dataset *against)
{
    TEST_FILE(path, "advset_damaged.safetensors");
    amun_advset *set = NULL;
    put_file(path, bytes, size);
    amun_status status = amun_advset_load(&set, against, path, ctx);
    ck_assert((set == NULL) == (status != AMUN_OK));
    if (status != AMUN_OK) {
        ck_assert(amun_last_error_message()[0] != '\0');
    }
    amun_advset_unref(set);
    return status;
}

static void assert_refused(const unsigned char *bytes, size_t size, size_t position)
{
    amun_status status = load_bytes(bytes, size, data);
    ck_assert_msg(status == AMUN_ERROR_FORMAT || status == AMUN_ERROR_UNSUPPORTED,
                  "byte %zu of %zu: %s: %s", position, size, amun_status_string(status),
                  amun_last_error_message());
}

START_TEST(test_truncated)
{
    TEST_FILE(path, "advset_whole.safetensors");
    size_t size;
    ck_ok(amun_advset_save(built, path));
    unsigned char *bytes = get_file(path, &size);
    ck_ok(load_bytes(bytes, size, data));
    for (size_t length = 0; length < size; length += length < 64 ? 1 : size / 50) {
        assert_refused(bytes, length, length);
    }
    assert_refused(bytes, size - 1, size - 1);
    unsigned char *longer = calloc(size + 8, 1);
    memcpy(longer, bytes, size);
    assert_refused(longer, size + 8, size);
    free(longer);
    free(bytes);
}
END_TEST

START_TEST(test_flipped_bits)
{
    TEST_FILE(path, "advset_whole.safetensors");
    size_t size;
    amun__rng rng;
    ck_ok(amun_advset_save(built, path));
    unsigned char *bytes = get_file(path, &size);
    amun__rng_open(&rng, 11, AMUN__RNG_TEST, 0, 0);
    for (size_t k = 0; k < 400; k++) {
        /* half of them in the header and the columns, which come before the images */
        size_t end = k % 2 ? size - COUNT * DIGIT_PIXELS * sizeof(float) : size;
        size_t at = amun__rng_below(&rng, (uint32_t)end);
        unsigned char bit = (unsigned char)(1u << amun__rng_below(&rng, 8));
        bytes[at] ^= bit;
        assert_refused(bytes, size, at);
        bytes[at] ^= bit;
    }
    ck_ok(load_bytes(bytes, size, data));
    free(bytes);
}
END_TEST

START_TEST(test_wrong_dataset)
{
    TEST_FILE(path, "advset_whole.safetensors");
    amun_dataset *other = NULL;
    amun_advset *set = NULL;
    int64_t order[1797];
    ck_ok(amun_advset_save(built, path));
    for (int64_t i = 0; i < 1797; i++) { /* one further: same pictures at other places */
        order[i] = (i + 1) % 1797;
    }
    ck_ok(amun_dataset_subset(&other, data, order, 1797));
    ck_fails(amun_advset_load(&set, other, path, ctx), AMUN_ERROR_FORMAT, "record 0 (index 0)");
    amun_dataset_unref(other);
    for (int64_t i = 0; i < 1797; i++) {
        order[i] = i;
    }
    ck_ok(amun_dataset_subset(&other, data, order, 600));
    ck_fails(amun_advset_load(&set, other, path, ctx), AMUN_ERROR_FORMAT,
             "record 2 (index 1154): the data set has 600 samples");
    amun_dataset_unref(other);
    /* right label, other pixel: only the hash can tell */
    float *pixels = calloc(1797, DIGIT_PIXELS * sizeof(float));
    int64_t *labels = calloc(1797, sizeof *labels);
    ck_ok(amun_dataset_read(data, 0, 1797, pixels));
    ck_ok(amun_dataset_labels(data, 0, 1797, labels));
    pixels[577 * DIGIT_PIXELS + 20] = 0.123f;
    const int64_t shape[4] = {1797, 1, 8, 8};
    amun_tensor_view image_view, label_view;
    ck_ok(amun_tensor_view_init(&image_view, pixels, AMUN_DTYPE_F32, 4, shape));
    ck_ok(amun_tensor_view_init(&label_view, labels, AMUN_DTYPE_I64, 1, shape));
    ck_ok(amun_dataset_open_view(&other, ctx, &image_view, &label_view, 10, NULL, NULL));
    ck_fails(amun_advset_load(&set, other, path, ctx), AMUN_ERROR_FORMAT,
             "record 1 (index 577): input hash");
    ck_assert_ptr_null(set);
    amun_dataset_unref(other);
    free(pixels);
    free(labels);
}
END_TEST

/* Writes the value of one column of one record into a copy of the file and loads it. */
static void assert_field_refused(const unsigned char *bytes, size_t size, const char *name,
                                 size_t record, const void *value, const char *part)
{
    TEST_FILE(path, "advset_field.safetensors");
    unsigned char *copy = malloc(size);
    amun__safetensors *file = NULL;
    amun_advset *set = NULL;
    memcpy(copy, bytes, size);
    ck_ok(amun__safetensors_parse(&file, ctx, copy, size, "copy"));
    const amun__st_tensor *tensor = amun__safetensors_find(file, name);
    ck_assert_ptr_nonnull(tensor);
    size_t width = amun_dtype_size(tensor->dtype);
    size_t offset = (size_t)((const unsigned char *)tensor->data - copy) + record * width;
    memcpy(copy + offset, value, width);
    amun__safetensors_close(file);
    put_file(path, copy, size);
    ck_fails(amun_advset_load(&set, data, path, ctx), AMUN_ERROR_FORMAT, part);
    ck_assert_ptr_null(set);
    free(copy);
}

START_TEST(test_wrong_fields)
{
    TEST_FILE(path, "advset_whole.safetensors");
    size_t size;
    const amun_attack_record *r = amun_advset_records(built);
    ck_ok(amun_advset_save(built, path));
    unsigned char *bytes = get_file(path, &size);
#define REFUSED(name, record, type, value, part)                                                   \
    do {                                                                                           \
        type refused_value = (value);                                                              \
        assert_field_refused(bytes, size, name, record, &refused_value, part);                     \
    } while (0)
    REFUSED("label", 4, int32_t, (r[4].label + 1) % 10, "record 4 (index 511): label");
    REFUSED("index", 5, int64_t, r[2].index, "record 5 (index 1154)");
    REFUSED("index", 5, int64_t, 1797, "record 5 (index 1797)");
    REFUSED("index", 5, int64_t, -1, "record 5 (index -1)");
    REFUSED("adversarial", 6, int32_t, 10, "record 6 ");
    REFUSED("adversarial", 6, int32_t, -1, "record 6 ");
    REFUSED("adversarial", 6, int32_t, r[6].label, "record 6 ");
    REFUSED("outcome", 7, int32_t, 0, "record 7 ");
    REFUSED("outcome", 7, int32_t, 6, "record 7 ");
    REFUSED("outcome", 7, int32_t, AMUN_ATTACK_FAILED_CAP, "record 7 "); /* but has an image */
    REFUSED("eps", 8, double, NAN, "record 8 ");
    REFUSED("eps", 8, double, -1.0, "record 8 ");
    REFUSED("eps", 8, double, INFINITY, "record 8 ");
    REFUSED("l2", 9, double, r[9].l2 * 1.00003, "record 9 ");
    REFUSED("linf", 9, double, r[9].linf + 0.01, "record 9 ");
    REFUSED("updates", 10, int32_t, -1, "record 10 ");
    REFUSED("flags", 10, int32_t, 64, "record 10 ");
    REFUSED("input_hash", 11, uint64_t, r[11].input_hash + 1, "record 11 ");
    REFUSED("row", 12, int64_t, 11, "record 12 ");
    REFUSED("images", 13 * DIGIT_PIXELS, float, 1.5f, "record 13 ");
    REFUSED("images", 13 * DIGIT_PIXELS, float, NAN, "record 13 ");
    /* plausible, but not what was written */
    REFUSED("predicted", 14, int32_t, (r[14].predicted + 1) % 10, "checksum");
    REFUSED("updates", 14, int32_t, r[14].updates + 1, "checksum");
#undef REFUSED
    free(bytes);
}
END_TEST

/* The same index twice, with all that belongs to it. */
START_TEST(test_repeated_index)
{
    TEST_FILE(path, "advset_whole.safetensors");
    size_t size;
    ck_ok(amun_advset_save(built, path));
    unsigned char *bytes = get_file(path, &size);
    amun__safetensors *file = NULL;
    ck_ok(amun__safetensors_parse(&file, ctx, bytes, size, "bytes"));
    static const char *const names[] = {"index",   "label", "predicted", "adversarial",
                                        "outcome", "eps",   "l2",        "linf",
                                        "updates", "flags", "input_hash"};
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        const amun__st_tensor *tensor = amun__safetensors_find(file, names[k]);
        size_t width = amun_dtype_size(tensor->dtype);
        unsigned char *at = bytes + ((const unsigned char *)tensor->data - bytes);
        memcpy(at + 9 * width, at + 3 * width, width);
    }
    amun__safetensors_close(file);
    amun_advset *set = NULL;
    put_file(path, bytes, size);
    ck_fails(amun_advset_load(&set, data, path, ctx), AMUN_ERROR_FORMAT,
             "record 9 (index 1731): this index is there twice");
    free(bytes);
}
END_TEST

/* A file of another kind, and one without the things that a set needs. */
START_TEST(test_foreign_files)
{
    TEST_FILE(path, "advset_foreign.safetensors");
    amun_advset *set = NULL;
    ck_ok(amun_model_save(network, path));
    ck_fails(amun_advset_load(&set, data, path, ctx), AMUN_ERROR_FORMAT, "amun.");
    amun__st_tensor empty = {.name = "index", .dtype = AMUN_DTYPE_I64, .ndim = 1, .shape = {0}};
    json_t *metadata = json_pack("{s:s, s:s, s:s}", "amun.kind", "advset", "amun.format", "1",
                                 "amun.classes", "10");
    ck_ok(amun__safetensors_write(ctx, path, &empty, 1, metadata));
    ck_fails(amun_advset_load(&set, data, path, ctx), AMUN_ERROR_FORMAT, "0 records");
    json_object_set_new(metadata, "amun.format", json_string("2"));
    ck_ok(amun__safetensors_write(ctx, path, &empty, 1, metadata));
    ck_fails(amun_advset_load(&set, data, path, ctx), AMUN_ERROR_UNSUPPORTED, "'2'");
    json_object_set_new(metadata, "amun.format", json_string("1"));
    json_object_set_new(metadata, "amun.classes", json_string("10x"));
    ck_ok(amun__safetensors_write(ctx, path, &empty, 1, metadata));
    ck_fails(amun_advset_load(&set, data, path, ctx), AMUN_ERROR_FORMAT, "10x");
    json_decref(metadata);
}
END_TEST

START_TEST(test_out_of_memory)
{
    TEST_FILE(path, "advset_memory.safetensors");
    amun_status status = AMUN_ERROR_OUT_OF_MEMORY;
    int64_t n = 1;
    for (; status == AMUN_ERROR_OUT_OF_MEMORY; n++) {
        amun_advset *set = NULL, *loaded = NULL;
        amun__model_trim(network);
        int64_t before = atomic_load(&allocator.live_blocks);
        atomic_store(&allocator.fail_at, n);
        status = amun_advset_build(&set, attack, network, data, indices, 2, NULL);
        if (status == AMUN_OK) {
            status = amun_advset_save(set, path);
        }
        if (status == AMUN_OK) {
            status = amun_advset_load(&loaded, data, path, ctx);
        }
        atomic_store(&allocator.fail_at, 0);
        amun_advset_unref(set);
        amun_advset_unref(loaded);
        amun__model_trim(network);
        ck_assert_int_eq(atomic_load(&allocator.live_blocks), before);
        ck_assert_int_lt(n, 2000);
    }
    ck_assert_msg(status == AMUN_OK, "%s", amun_last_error_message());
    ck_assert_int_gt(n, 30);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("advset");
    tcase_add_unchecked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_build);
    tcase_add_test(tc, test_file);
    tcase_add_test(tc, test_partial);
    tcase_add_test(tc, test_nothing_found);
    tcase_add_test(tc, test_examples_outlive);
    tcase_add_test(tc, test_bad_arguments);
    tcase_add_test(tc, test_cancel);
    tcase_add_test(tc, test_policy_error);
    tcase_add_test(tc, test_truncated);
    tcase_add_test(tc, test_flipped_bits);
    tcase_add_test(tc, test_wrong_dataset);
    tcase_add_test(tc, test_wrong_fields);
    tcase_add_test(tc, test_repeated_index);
    tcase_add_test(tc, test_foreign_files);
    tcase_add_test(tc, test_out_of_memory);
    return amun_test_main("advset", (TCase *[]){tc, NULL});
}
