/* test_bad_files.c - files that are truncated, damaged, or lie about their size, in every format
 * that the library reads: a status, a message that names file and value, nothing half made. */
#include <unistd.h>

#include "api.h"

static struct {
    heap memory;
    amun_context *ctx;
    amun_model *model;
    amun_dataset *data;
    tiny_values before;
} f;
static const int64_t forget[4] = {2, 0, 7, 11};

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
    amun_dataset_unref(f.data);
    amun_model_unref(f.model);
    heap_end(f.ctx, &f.memory);
}

/* ---- readers: how each format is opened, and what was read, as one number -----------------------
 */

static uint64_t hash_bytes(const void *bytes, size_t size)
{
    const unsigned char *b = bytes;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ b[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static amun_status take_dataset(amun_status status, amun_dataset *data, uint64_t *hash)
{
    ck_assert_msg((status == AMUN_OK) == (data != NULL), "output does not fit the status");
    *hash = 0;
    if (data != NULL) {
        int64_t shape[3];
        ck_ok(amun_dataset_shape(data, shape));
        size_t count = amun_dataset_count(data), pixels = (size_t)(shape[0] * shape[1] * shape[2]);
        float *images = malloc(count * pixels * sizeof *images);
        ck_assert(images != NULL);
        ck_ok(amun_dataset_read(data, 0, count, images));
        *hash = hash_bytes(images, count * pixels * sizeof *images);
        free(images);
        amun_dataset_unref(data);
    }
    return status;
}

static amun_status read_weights(const char *path, uint64_t *hash)
{
    amun_status status = amun_model_load_weights(f.model, path);
    tiny_values now;
    char kept[1024];
    snprintf(kept, sizeof kept, "%s", amun_last_error_message());
    tiny_read(&now, f.model);
    *hash = hash_bytes(&now, sizeof now);
    if (status != AMUN_OK) {
        ck_assert_msg(memcmp(&now, &f.before, sizeof now) == 0, "a refused file changed the model");
        ck_assert(amun_model_load_weights(f.model, path) == status); /* for the message */
        ck_assert_str_eq(kept, amun_last_error_message());
    } else {
        ck_ok(amun_model_load_weights(f.model, api_path("good.safetensors")));
    }
    return status;
}

static amun_status read_model(const char *path, uint64_t *hash)
{
    amun_model *model = (void *)&f;
    *hash = 0;
    amun_status status = amun_model_load(&model, f.ctx, path);
    ck_assert((status == AMUN_OK) == (model != NULL));
    amun_model_unref(model);
    return status;
}

static amun_status read_set(const char *path, uint64_t *hash)
{
    amun_advset *set = (void *)&f;
    *hash = 0;
    amun_status status = amun_advset_load(&set, f.data, path, f.ctx);
    ck_assert((status == AMUN_OK) == (set != NULL));
    if (set != NULL) {
        *hash = hash_bytes(amun_advset_records(set),
                           amun_advset_count(set) * sizeof(amun_attack_record));
        amun_advset_unref(set);
    }
    return status;
}

static amun_status read_idx_images(const char *path, uint64_t *hash)
{
    amun_dataset *data = (void *)&f;
    amun_status status = amun_dataset_open_idx(&data, f.ctx, path, NULL);
    return take_dataset(status, data, hash);
}

static amun_status read_idx_labels(const char *path, uint64_t *hash)
{
    amun_dataset *data = (void *)&f;
    amun_status status = amun_dataset_open_idx(&data, f.ctx, api_path("good.idx"), path);
    return take_dataset(status, data, hash);
}

static amun_status read_npy_images(const char *path, uint64_t *hash)
{
    amun_dataset *data = (void *)&f;
    amun_status status = amun_dataset_open_npy(&data, f.ctx, path, NULL);
    return take_dataset(status, data, hash);
}

static amun_status read_npy_labels(const char *path, uint64_t *hash)
{
    amun_dataset *data = (void *)&f;
    amun_status status = amun_dataset_open_npy(&data, f.ctx, api_path("good.npy"), path);
    return take_dataset(status, data, hash);
}

static amun_status read_cifar10(const char *path, uint64_t *hash)
{
    amun_dataset *data = (void *)&f;
    amun_status status = amun_dataset_open_cifar10(&data, f.ctx, path, NULL);
    return take_dataset(status, data, hash);
}

static amun_status read_cifar100(const char *path, uint64_t *hash)
{
    amun_dataset *data = (void *)&f;
    amun_status status = amun_dataset_open_cifar100(&data, f.ctx, path, NULL);
    return take_dataset(status, data, hash);
}

/* A checkpoint is read by going on from it. */
static amun_status read_checkpoint(const char *path, uint64_t *hash)
{
    amun_train_options options = tiny_train(2);
    amun_model *model = NULL;
    options.checkpoint = path;
    *hash = 0;
    ck_ok(amun_model_clone(&model, f.model));
    amun_status status = amun_train_run(NULL, model, f.data, NULL, 0, &options, NULL);
    char kept[1024];
    snprintf(kept, sizeof kept, "%s", amun_last_error_message());
    if (status != AMUN_OK) {
        ck_unchanged(model, &f.before);
        amun_status again = amun_train_run(NULL, model, f.data, NULL, 0, &options, NULL);
        ck_assert(again == status);
        ck_assert_str_eq(kept, amun_last_error_message());
    } else {
        tiny_values now;
        tiny_read(&now, model);
        *hash = hash_bytes(&now, sizeof now);
    }
    amun_model_unref(model);
    return status;
}

/* ---- good files --------------------------------------------------------------------------------
 */

static void make_weights(const char *path)
{
    ck_ok(amun_model_save(f.model, path));
}

/* A model that the file itself can describe. */
static void make_model(const char *path)
{
    amun_model *model = NULL;
    amun_model_options options;
    ck_ok(amun_model_options_init(&options, sizeof options));
    options.channels = 1;
    options.height = options.width = 8;
    options.classes = 3;
    ck_ok(amun_model_create(&model, f.ctx, "digits", &options));
    ck_ok(amun_model_save(model, path));
    amun_model_unref(model);
}

static void make_set(const char *path)
{
    amun_attack *attack = NULL;
    amun_advset *set = NULL;
    ck_ok(amun_attack_create_search(&attack, f.ctx, NULL));
    ck_ok(amun_advset_build(&set, attack, f.model, f.data, forget, 4, NULL));
    ck_assert_uint_gt(amun_advset_found(set), 0);
    ck_ok(amun_advset_save(set, path));
    amun_advset_unref(set);
    amun_attack_unref(attack);
}

static void make_idx_images(const char *path)
{
    unsigned char bytes[16 + 4 * 6] = {0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 3};
    for (int i = 0; i < 24; i++) {
        bytes[16 + i] = (unsigned char)(i * 10);
    }
    file_write(path, bytes, sizeof bytes);
}

static void make_idx_labels(const char *path)
{
    const unsigned char bytes[12] = {0, 0, 8, 1, 0, 0, 0, 4, 2, 0, 1, 2};
    file_write(path, bytes, sizeof bytes);
}

static void make_npy_images(const char *path)
{
    amun_tensor_view images = view4(tiny_images, AMUN_DTYPE_F32, 4, 1, 5, 5);
    ck_ok(amun_npy_write(f.ctx, path, &images));
}

static void make_npy_labels(const char *path)
{
    amun_tensor_view labels = view1(tiny_labels, AMUN_DTYPE_I64, 4);
    ck_ok(amun_npy_write(f.ctx, path, &labels));
}

static void make_cifar(const char *path, size_t labels)
{
    size_t record = labels + 3072;
    unsigned char *bytes = malloc(2 * record);
    ck_assert(bytes != NULL);
    for (size_t i = 0; i < 2 * record; i++) {
        bytes[i] = (unsigned char)(i % record < labels ? 3 + i / record : i * 7);
    }
    file_write(path, bytes, 2 * record);
    free(bytes);
}

static void make_cifar10(const char *path)
{
    make_cifar(path, 1);
}

static void make_cifar100(const char *path)
{
    make_cifar(path, 2);
}

static void make_checkpoint(const char *path)
{
    amun_train_options options = tiny_train(2);
    amun_model *model = NULL;
    options.checkpoint = path;
    remove(path);
    ck_ok(amun_model_clone(&model, f.model));
    ck_ok(amun_train_run(NULL, model, f.data, NULL, 0, &options, NULL));
    amun_model_unref(model);
}

typedef enum promise {
    STRUCTURE, /* damaged values may stay unnoticed: nothing in the format protects them */
    CHECKED    /* damage is found, or changes nothing of what is read */
} promise;

static const struct {
    const char *good; /* file name */
    void (*make)(const char *path);
    amun_status (*read)(const char *path, uint64_t *hash);
    promise protects;
    size_t whole; /* truncation to a multiple of this is another good file; 0: none is */
} formats[] = {
    {"good.safetensors", make_weights, read_weights, STRUCTURE, 0},
    {"model.safetensors", make_model, read_model, STRUCTURE, 0},
    {"set.safetensors", make_set, read_set, CHECKED, 0},
    {"good.idx", make_idx_images, read_idx_images, STRUCTURE, 0},
    {"labels.idx", make_idx_labels, read_idx_labels, STRUCTURE, 0},
    {"good.npy", make_npy_images, read_npy_images, STRUCTURE, 0},
    {"labels.npy", make_npy_labels, read_npy_labels, STRUCTURE, 0},
    {"cifar10.bin", make_cifar10, read_cifar10, STRUCTURE, 3073},
    {"cifar100.bin", make_cifar100, read_cifar100, STRUCTURE, 3074},
    {"checkpoint.safetensors", make_checkpoint, read_checkpoint, CHECKED, 0},
};
enum { FORMATS = sizeof formats / sizeof formats[0] };

/* What a damaged file may give. Never OUT_OF_MEMORY (a size was believed), BACKEND or INTERNAL. */
static bool is_refusal(amun_status status)
{
    return status == AMUN_ERROR_FORMAT || status == AMUN_ERROR_UNSUPPORTED ||
           status == AMUN_ERROR_SHAPE || status == AMUN_ERROR_NUMERIC ||
           status == AMUN_ERROR_NOT_FOUND || status == AMUN_ERROR_INVALID_ARGUMENT ||
           status == AMUN_ERROR_STATE;
}

static void ck_refused_file(amun_status status, const char *path, const char *what, size_t at)
{
    const char *message = amun_last_error_message();
    ck_assert_msg(is_refusal(status), "%s, %s %zu: %s \"%s\"", path, what, at,
                  amun_status_string(status), message);
    ck_assert_msg(strstr(message, path) != NULL, "%s, %s %zu: the message \"%s\" lacks the path",
                  path, what, at, message);
    ck_assert_msg(strpbrk(message, "\r\n") == NULL, "%s, %s %zu: \"%s\"", path, what, at, message);
}

/* ---- tests for all formats
 * ----------------------------------------------------------------------- */

START_TEST(truncated)
{
    char good[4096], cut[4096];
    uint64_t hash;
    size_t size;
    snprintf(good, sizeof good, "%s", api_path(formats[_i].good));
    snprintf(cut, sizeof cut, "%s", api_path("cut"));
    make_idx_images(api_path("good.idx"));
    make_npy_images(api_path("good.npy"));
    make_weights(api_path("good.safetensors"));
    formats[_i].make(good);
    unsigned char *bytes = file_read(good, &size);
    ck_ok(formats[_i].read(good, &hash));
    size_t step = size > 2000 ? size / 300 : 1;
    for (size_t length = 0; length < size; length += length < 64 || length + 64 > size ? 1 : step) {
        file_write(cut, bytes, length);
        amun_status status = formats[_i].read(cut, &hash);
        if (formats[_i].whole > 0 && length > 0 && length % formats[_i].whole == 0) {
            ck_assert(status == AMUN_OK);
            continue;
        }
        ck_refused_file(status, cut, "cut to", length);
    }
    /* and one byte too long */
    unsigned char *longer = calloc(size + 1, 1);
    ck_assert(longer != NULL);
    memcpy(longer, bytes, size);
    file_write(cut, longer, size + 1);
    ck_refused_file(formats[_i].read(cut, &hash), cut, "grown to", size + 1);
    free(longer);
    free(bytes);
    remove(cut);
}
END_TEST

START_TEST(bit_flipped)
{
    char good[4096], bad[4096];
    uint64_t hash, right, state = 5;
    size_t size, taken = 0;
    snprintf(good, sizeof good, "%s", api_path(formats[_i].good));
    snprintf(bad, sizeof bad, "%s", api_path("flipped"));
    make_idx_images(api_path("good.idx"));
    make_npy_images(api_path("good.npy"));
    make_weights(api_path("good.safetensors"));
    formats[_i].make(good);
    unsigned char *bytes = file_read(good, &size);
    ck_ok(formats[_i].read(good, &right));
    size_t flips = size > 2000 ? 700 : size * 8;
    for (size_t k = 0; k < flips; k++) {
        /* all bits of a small file; of a large one, half of the flips in its first 512 bytes */
        uint64_t r = api_random(&state);
        size_t bit = flips == size * 8 ? k : k % 2 ? r % 4096 : r % (size * 8);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        file_write(bad, bytes, size);
        amun_status status = formats[_i].read(bad, &hash);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        if (status != AMUN_OK) {
            ck_refused_file(status, bad, "bit", bit);
            continue;
        }
        taken++;
        if (formats[_i].protects == CHECKED) {
            ck_assert_msg(hash == right, "%s: bit %zu went unnoticed", bad, bit);
        }
    }
    if (formats[_i].protects == CHECKED) { /* notes for the reader of the file, and blanks */
        ck_assert_msg(taken * 10 < flips, "%s: %zu of %zu flips went unnoticed", bad, taken, flips);
    }
    free(bytes);
    remove(bad);
}
END_TEST

START_TEST(not_a_file)
{
    char folder[4096];
    uint64_t hash;
    make_idx_images(api_path("good.idx"));
    make_npy_images(api_path("good.npy"));
    snprintf(folder, sizeof folder, "%s", api_path("absent"));
    amun_status status = formats[_i].read(folder, &hash);
    if (formats[_i].read == read_checkpoint) { /* begins a new one */
        ck_assert(status == AMUN_OK);
        remove(folder);
    } else {
        ck_assert_msg(status == AMUN_ERROR_NOT_FOUND, "%s", amun_status_string(status));
        ck_assert_ptr_nonnull(strstr(amun_last_error_message(), folder));
    }
    static const char *const others[] = {"/", "/dev/null"};
    for (size_t i = 0; i < 2; i++) {
        status = formats[_i].read(others[i], &hash);
        bool split = formats[_i].whole > 0 && i == 0; /* a folder of CIFAR files needs a split */
        ck_assert_msg(status == (split ? AMUN_ERROR_INVALID_ARGUMENT : AMUN_ERROR_IO), "%s: %s: %s",
                      others[i], amun_status_string(status), amun_last_error_message());
        ck_assert_ptr_nonnull(strstr(amun_last_error_message(), split ? "split" : others[i]));
    }
}
END_TEST

/* ---- safetensors
 * --------------------------------------------------------------------------------- */

/* The tiny model's file with `edit` applied to the text of its header, which keeps its length. */
static void edit_weights(const char *path, const char *from, const char *to)
{
    size_t size;
    make_weights(path);
    unsigned char *bytes = file_read(path, &size);
    size_t length = strlen(from);
    ck_assert_uint_eq(length, strlen(to));
    bool found = false;
    for (size_t i = 8; i + length <= size && !found; i++) {
        if (memcmp(bytes + i, from, length) == 0) {
            memcpy(bytes + i, to, length);
            found = true;
        }
    }
    ck_assert_msg(found, "no \"%s\" in the header", from);
    file_write(path, bytes, size);
    free(bytes);
}

START_TEST(safetensors_headers)
{
    char path[4096];
    size_t size;
    snprintf(path, sizeof path, "%s", api_path("edited"));
    make_weights(path);
    unsigned char *bytes = file_read(path, &size);
    const uint64_t lengths[] = {
        UINT64_MAX, UINT64_C(1) << 40, (16u << 20) + 1, 16u << 20, size - 8 + 1, 0, 1};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char text[32];
        snprintf(text, sizeof text, "%llu", (unsigned long long)lengths[i]);
        memcpy(bytes, &lengths[i], 8);
        file_write(path, bytes, size);
        ck_fails(amun_model_load_weights(f.model, path), AMUN_ERROR_FORMAT, text);
    }
    free(bytes);

    edit_weights(path, "\"F32\"", "\"X32\"");
    ck_fails(amun_model_load_weights(f.model, path), AMUN_ERROR_FORMAT, "X32");
    edit_weights(path, "\"F32\"", "\"U32\"");
    ck_fails(amun_model_load_weights(f.model, path), AMUN_ERROR_UNSUPPORTED, "U32");
    edit_weights(path, "\"fc.bias\"", "\"fc.bios\"");
    ck_fails(amun_model_load_weights(f.model, path), AMUN_ERROR_FORMAT, "fc.bios");
    ck_ok(amun_model_save(f.model, path));
    edit_weights(path, "\"fc.bias\"", "\"bn.bias\""); /* which is there already */
    ck_fails(amun_model_load_weights(f.model, path), AMUN_ERROR_FORMAT, "bn.bias");
    edit_weights(path, "[3,100]", "[100,3]");
    ck_fails(amun_model_load_weights(f.model, path), AMUN_ERROR_SHAPE, "[100, 3]");
    edit_weights(path, "[3,100]", "[4,100]");
    ck_fails(amun_model_load_weights(f.model, path), AMUN_ERROR_FORMAT, "fc.weight");
    edit_weights(path, "[3,100]", "[-3,99]");
    ck_fails(amun_model_load_weights(f.model, path), AMUN_ERROR_FORMAT, "fc.weight");
    edit_weights(path, "\"amun.format\":\"1\"", "\"amun.format\":\"7\"");
    ck_fails(amun_model_load_weights(f.model, path), AMUN_ERROR_UNSUPPORTED, "7");
    ck_unchanged(f.model, &f.before);
    /* a model cannot be made from a file that names no architecture of the library */
    make_weights(path);
    amun_model *model = (void *)&f;
    ck_fails(amun_model_load(&model, f.ctx, path), AMUN_ERROR_UNSUPPORTED,
             "amun_model_load_weights");
    ck_assert_ptr_null(model);
    remove(path);
}
END_TEST

START_TEST(weights_that_are_not_finite)
{
    char path[4096];
    float values[TINY_FC];
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    static const char *const names[] = {"nan", "inf", "-inf"};
    snprintf(path, sizeof path, "%s", api_path("nan"));
    make_weights(path);
    size_t size;
    unsigned char *bytes = file_read(path, &size);
    /* the last tensor in the file is found by its values */
    memcpy(values, f.before.fc, sizeof values);
    size_t at = 8;
    while (at + sizeof values <= size && memcmp(bytes + at, values, sizeof values) != 0) {
        at++;
    }
    ck_assert_msg(at + sizeof values <= size, "fc.weight is not in the file");
    for (size_t i = 0; i < 3; i++) {
        memcpy(bytes + at + 7 * sizeof(float), &bad[i], sizeof(float));
        file_write(path, bytes, size);
        ck_fails(amun_model_load_weights(f.model, path), AMUN_ERROR_NUMERIC, "fc.weight");
        ck_assert_ptr_nonnull(strstr(amun_last_error_message(), "7"));
        ck_assert_msg(strstr(amun_last_error_message(), names[i]) != NULL, "%s",
                      amun_last_error_message());
        values[5] = bad[i];
        ck_fails(amun_model_set_tensor(f.model, "fc.weight", values, TINY_FC), AMUN_ERROR_NUMERIC,
                 names[i]);
        ck_unchanged(f.model, &f.before);
    }
    free(bytes);
    remove(path);
    ck_fails(amun_model_set_tensor(f.model, "fc.weight", values, 4), AMUN_ERROR_SHAPE, "4");
    ck_fails(amun_model_set_tensor(f.model, "fc.wait", values, 4), AMUN_ERROR_NOT_FOUND, "fc.wait");
    ck_fails(amun_model_get_tensor(f.model, "fc.wait", values, 4), AMUN_ERROR_NOT_FOUND, "fc.wait");
    /* a variance below zero is a square root of nothing in every later prediction */
    float variance[TINY_BN] = {1, 1, -0.25f, 1};
    ck_fails(amun_model_set_tensor(f.model, "bn.running_var", variance, TINY_BN),
             AMUN_ERROR_NUMERIC, "-0.25");
    ck_unchanged(f.model, &f.before);
}
END_TEST

/* ---- IDX, NPY, CIFAR
 * ------------------------------------------------------------------------------- */

static void ck_idx(const unsigned char *bytes, size_t size, amun_status expected, const char *part)
{
    uint64_t hash;
    const char *path = api_path("bad.idx");
    file_write(path, bytes, size);
    ck_fails(read_idx_images(path, &hash), expected, part);
}

START_TEST(idx_headers)
{
    unsigned char huge[] = {0,    0,    8,    3,    0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,    2,    3};
    ck_idx(huge, sizeof huge, AMUN_ERROR_FORMAT, "4294967295");
    unsigned char large[] = {0, 0, 8, 3, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3};
    ck_idx(large, sizeof large, AMUN_ERROR_FORMAT, "8589934588");
    unsigned char empty[] = {0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2};
    ck_idx(empty, sizeof empty, AMUN_ERROR_SHAPE, "extent 0");
    unsigned char floats[] = {0, 0, 13, 1, 0, 0, 0, 1, 0, 0, 0, 0};
    ck_idx(floats, sizeof floats, AMUN_ERROR_UNSUPPORTED, "0x0d");
    unsigned char deep[] = {0, 0, 8, 9, 0, 0, 0, 1};
    ck_idx(deep, sizeof deep, AMUN_ERROR_UNSUPPORTED, "9");
    unsigned char zipped[] = {0x1f, 0x8b, 8, 3, 0, 0, 0, 1};
    ck_idx(zipped, sizeof zipped, AMUN_ERROR_UNSUPPORTED, "gzip");
    uint64_t hash;
    unsigned char three[] = {0, 0, 8, 1, 0, 0, 0, 3, 0, 1, 2};
    make_idx_images(api_path("good.idx"));
    file_write(api_path("bad.idx"), three, sizeof three);
    ck_fails(read_idx_labels(api_path("bad.idx"), &hash), AMUN_ERROR_SHAPE, "3 labels");
}
END_TEST

/* `dict` in a version 1.0 file of `data_size` bytes of data, header length as given or 0: right. */
static void ck_npy(const char *dict, size_t data_size, size_t claimed, amun_status expected,
                   const char *part)
{
    static unsigned char bytes[1024];
    uint64_t hash;
    char path[4096];
    size_t length = strlen(dict);
    size_t padded = (10 + length + 63) / 64 * 64 - 10;
    memset(bytes, ' ', sizeof bytes);
    memcpy(bytes, "\x93NUMPY\x01\x00", 8);
    claimed = claimed == 0 ? padded : claimed;
    bytes[8] = (unsigned char)(claimed & 0xff);
    bytes[9] = (unsigned char)(claimed >> 8);
    memcpy(bytes + 10, dict, length);
    memset(bytes + 10 + padded, 0, data_size);
    snprintf(path, sizeof path, "%s", api_path("bad.npy"));
    file_write(path, bytes, 10 + padded + data_size);
    ck_fails(read_npy_images(path, &hash), expected, part);
    ck_assert_ptr_nonnull(strstr(amun_last_error_message(), path));
}

START_TEST(npy_headers)
{
    const char *good = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2, 2), }";
    ck_npy(good, 8, 60000, AMUN_ERROR_FORMAT, "60000");
    ck_npy(good, 7, 0, AMUN_ERROR_FORMAT, "7");
    ck_npy("{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296, 4294967296, 2), }", 8, 0,
           AMUN_ERROR_FORMAT, "4294967296");
    ck_npy("{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999, 2, 2), }", 8,
           0, AMUN_ERROR_FORMAT, "9223372036854775807");
    ck_npy("{'descr': '|u1', 'fortran_order': False, 'shape': (-2, 2, 2), }", 8, 0,
           AMUN_ERROR_FORMAT, "extent");
    ck_npy("{'descr': '>f4', 'fortran_order': False, 'shape': (1, 1, 2), }", 8, 0,
           AMUN_ERROR_UNSUPPORTED, ">f4");
    ck_npy("{'descr': '|O', 'fortran_order': False, 'shape': (1, 1, 1), }", 8, 0,
           AMUN_ERROR_UNSUPPORTED, "|O");
    ck_npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2, 2), }", 8, 0,
           AMUN_ERROR_UNSUPPORTED, "Fortran");
    ck_npy("{'descr': '|u1', 'descr': '|u1', 'shape': (2, 2, 2), }", 8, 0, AMUN_ERROR_FORMAT,
           "'descr' is repeated");
    ck_npy("{'descr': '|u1', 'shape': (2, 2, 2), }", 8, 0, AMUN_ERROR_FORMAT, "fortran_order");
    ck_npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 4), }", 8, 0, AMUN_ERROR_SHAPE,
           "2 dimensions");
    ck_npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1, 1), }", 8, 0,
           AMUN_ERROR_FORMAT, "dtype 2");
    ck_npy("{'descr': '|u1', 'fortran_order': False, 'shape': (0, 2, 2), }", 0, 0, AMUN_ERROR_SHAPE,
           "extent 0");
    /* pixels beyond the range, in a file whose form is right */
    float pixels[4] = {0.0f, 0.5f, 1.5f, NAN};
    char path[4096];
    uint64_t hash;
    snprintf(path, sizeof path, "%s", api_path("bad.npy"));
    amun_tensor_view view = view4(pixels, AMUN_DTYPE_F32, 2, 1, 1, 2);
    ck_ok(amun_npy_write(f.ctx, path, &view));
    ck_fails(read_npy_images(path, &hash), AMUN_ERROR_FORMAT, "1.5");
    pixels[2] = 1.0f;
    ck_ok(amun_npy_write(f.ctx, path, &view));
    ck_fails(read_npy_images(path, &hash), AMUN_ERROR_FORMAT, "nan");
    int64_t labels[4] = {0, 2, -5, 1};
    amun_tensor_view numbers = view1(labels, AMUN_DTYPE_I64, 4);
    make_npy_images(api_path("good.npy"));
    ck_ok(amun_npy_write(f.ctx, path, &numbers));
    ck_fails(read_npy_labels(path, &hash), AMUN_ERROR_FORMAT, "label -5 of image 2");
    labels[2] = INT64_MAX;
    ck_ok(amun_npy_write(f.ctx, path, &numbers));
    ck_fails(read_npy_labels(path, &hash), AMUN_ERROR_FORMAT, "9223372036854775807");
    /* writing refuses before the old file is touched */
    size_t size;
    unsigned char *before = file_read(path, &size);
    numbers.dtype = AMUN_DTYPE_BF16;
    ck_fails(amun_npy_write(f.ctx, path, &numbers), AMUN_ERROR_UNSUPPORTED, "4");
    numbers.dtype = 77;
    ck_invalid(amun_npy_write(f.ctx, path, &numbers), "77");
    size_t now_size;
    unsigned char *now = file_read(path, &now_size);
    ck_assert(now_size == size && memcmp(now, before, size) == 0);
    free(now);
    free(before);
    numbers.dtype = AMUN_DTYPE_I64;
    ck_fails(amun_npy_write(f.ctx, "/no such folder/x.npy", &numbers), AMUN_ERROR_NOT_FOUND,
             "/no such folder/x.npy");
}
END_TEST

START_TEST(cifar_labels)
{
    char path[4096];
    uint64_t hash;
    size_t size;
    snprintf(path, sizeof path, "%s", api_path("cifar"));
    make_cifar(path, 1);
    unsigned char *bytes = file_read(path, &size);
    bytes[3073] = 10;
    file_write(path, bytes, size);
    ck_fails(read_cifar10(path, &hash), AMUN_ERROR_FORMAT, "label 10 of record 1");
    free(bytes);
    make_cifar(path, 2);
    bytes = file_read(path, &size);
    bytes[1] = 100; /* the fine label */
    file_write(path, bytes, size);
    ck_fails(read_cifar100(path, &hash), AMUN_ERROR_FORMAT, "label 100 of record 0");
    ck_fails(read_cifar10(path, &hash), AMUN_ERROR_FORMAT, "6148");
    free(bytes);
    amun_dataset *data;
    ck_invalid(amun_dataset_open_cifar10(&data, f.ctx, "/tmp", "validation"), "validation");
    ck_invalid(amun_dataset_open_cifar100(&data, f.ctx, "/tmp", NULL), "NULL");
    ck_assert_ptr_null(data);
    remove(path);
}
END_TEST

/* ---- adversarial sets
 * ---------------------------------------------------------------------------- */

/* A set belongs to the images and labels that it was made from. */
START_TEST(sets_of_other_data)
{
    char path[4096];
    amun_advset *set = (void *)&f;
    snprintf(path, sizeof path, "%s", api_path("set"));
    make_set(path);
    amun_dataset *other = NULL;
    amun_tensor_view images = view4(tiny_images, AMUN_DTYPE_F32, TINY_COUNT, 1, 5, 5);
    int64_t labels[TINY_COUNT];
    memcpy(labels, tiny_labels, sizeof labels);
    labels[7] = (labels[7] + 1) % TINY_CLASSES;
    amun_tensor_view numbers = view1(labels, AMUN_DTYPE_I64, TINY_COUNT);
    ck_ok(amun_dataset_open_view(&other, f.ctx, &images, &numbers, 3, NULL, NULL));
    ck_fails(amun_advset_load(&set, other, path, f.ctx), AMUN_ERROR_FORMAT, "index 7");
    ck_assert_ptr_null(set);
    amun_dataset_unref(other);

    float *changed = malloc(sizeof tiny_images);
    ck_assert(changed != NULL);
    memcpy(changed, tiny_images, sizeof tiny_images);
    changed[11 * TINY_PIXELS + 3] *= 0.5f;
    images.data = changed;
    numbers.data = tiny_labels;
    ck_ok(amun_dataset_open_view(&other, f.ctx, &images, &numbers, 3, NULL, NULL));
    ck_fails(amun_advset_load(&set, other, path, f.ctx), AMUN_ERROR_FORMAT, "index 11");
    ck_assert_ptr_null(set);
    amun_dataset_unref(other);
    free(changed);

    static const int64_t few[3] = {0, 1, 2};
    ck_ok(amun_dataset_subset(&other, f.data, few, 3));
    ck_fails(amun_advset_load(&set, other, path, f.ctx), AMUN_ERROR_FORMAT, "3 samples");
    amun_dataset_unref(other);
    /* weights are no set, and a set is no weights */
    make_weights(api_path("good.safetensors"));
    ck_fails(amun_advset_load(&set, f.data, api_path("good.safetensors"), f.ctx), AMUN_ERROR_FORMAT,
             "good.safetensors");
    ck_fails(amun_model_load_weights(f.model, path), AMUN_ERROR_FORMAT, "unknown");
    ck_unchanged(f.model, &f.before);
    remove(path);
}
END_TEST

/* Nothing is left behind by a write that could not be done. */
START_TEST(unwritable)
{
    amun_advset *set = NULL;
    amun_attack *attack = NULL;
    amun_report *report = NULL;
    const char *path = "/no such folder/file";
    ck_fails(amun_model_save(f.model, path), AMUN_ERROR_NOT_FOUND, path);
    ck_fails(amun_model_save(f.model, "/dev/null"), AMUN_ERROR_IO, "/dev/null");
    ck_invalid(amun_model_save(f.model, ""), "path is empty");
    ck_ok(amun_attack_create_search(&attack, f.ctx, NULL));
    ck_ok(amun_advset_build(&set, attack, f.model, f.data, forget, 4, NULL));
    ck_fails(amun_advset_save(set, path), AMUN_ERROR_NOT_FOUND, path);
    ck_ok(amun_report_create(&report, f.ctx, "d", "a", 1, 2));
    ck_fails(amun_report_write(report, path), AMUN_ERROR_NOT_FOUND, path);
    amun_report_unref(report);
    amun_advset_unref(set);
    amun_attack_unref(attack);
    ck_assert_int_ne(access("/dev/null", F_OK), -1);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("files");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, truncated, 0, FORMATS);
    tcase_add_loop_test(tc, bit_flipped, 0, FORMATS);
    tcase_add_loop_test(tc, not_a_file, 0, FORMATS);
    tcase_add_test(tc, safetensors_headers);
    tcase_add_test(tc, weights_that_are_not_finite);
    tcase_add_test(tc, idx_headers);
    tcase_add_test(tc, npy_headers);
    tcase_add_test(tc, cifar_labels);
    tcase_add_test(tc, sets_of_other_data);
    tcase_add_test(tc, unwritable);
    return api_main("bad_files", (TCase *[]){tc, NULL});
}
