/* Choice of convolutions: forced by option or environment, measured into a cache file and read back
 * from it; what damaged files and files of others do; that a choice fixes the bytes. */
#include <sys/stat.h>
#include <unistd.h>

#include "nets.h"
#include "nn/tune.h"

#ifdef AMUN_WITH_DNNL
#include "nn/dnnl_impl.h"

enum { BATCH = 8, PIXELS = 16 * 16 };

/* ---- networks and runs ----------------------------------------------------------------------- */

typedef struct listing {
    char text[32768];
    size_t used;
} listing;

static void collect(amun_log_level level, const char *message, void *user_data)
{
    listing *l = user_data;
    (void)level;
    const size_t length = strlen(message);
    if (l->used + length + 2 < sizeof l->text) {
        memcpy(l->text + l->used, message, length);
        l->used += length;
        l->text[l->used++] = '\n';
        l->text[l->used] = '\0';
    }
}

static amun_context *context_of(const char *cache, amun_conv_choice conv, int32_t threads)
{
    amun_context_options o;
    amun_context *ctx = NULL;
    ck_ok(amun_context_options_init(&o, sizeof o));
    o.tune_cache = cache;
    o.conv = conv;
    o.threads = threads;
    ck_ok(amun_context_create(&ctx, &o));
    return ctx;
}

/* Two convolutions for which there is a choice, by shape or by force, and two without one. */
static void build(net *n, amun_context *ctx)
{
    memset(n, 0, sizeof *n);
    n->ctx = ctx;
    ck_ok(amun_graph_create(&n->graph, n->ctx, 3, 16, 16));
    amun_node at = net_conv(n, 0, "first", (conv_form){.channels = 16, .kernel = 3, .pad = 1});
    at = net_bn(n, at, "bn");
    at = net_conv(n, net_relu(n, at), "wide", (conv_form){.channels = 32, .kernel = 3, .pad = 1});
    at = net_conv(n, net_relu(n, at), "down",
                  (conv_form){.channels = 32, .kernel = 3, .pad = 1, .stride = 2, .bias = 1});
    at = net_conv(n, net_relu(n, at), "point", (conv_form){.channels = 8, .kernel = 1});
    net_head(n, at);
    net_finish(n, 3);
}

static float inputs[BATCH * 3 * PIXELS], seeds[BATCH * 5];

static void fill_inputs(void)
{
    amun__rng rng;
    amun__rng_open(&rng, 9, AMUN__RNG_TEST, 0, 0);
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        inputs[i] = net_uniform(&rng, -1, 1);
    }
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++) {
        seeds[i] = net_uniform(&rng, -1, 1);
    }
}

/* Everything that a training pass gives, and the codes that its convolutions got. */
typedef struct pass {
    net_run run;
    amun__dnnl_choice choices[16];
} pass;

static void run_pass(pass *p, amun_context *ctx, amun__mode mode)
{
    net n;
    memset(p, 0, sizeof *p);
    build(&n, ctx);
    net_execute(&p->run, &n, &amun__backend_dnnl, mode, BATCH, inputs, seeds);
    const amun__dnnl_plan *m = p->run.plan->impl;
    ck_assert_int_le(n.graph->node_count, 16);
    memcpy(p->choices, m->choices, (size_t)n.graph->node_count * sizeof *p->choices);
    amun__plan_destroy(p->run.plan);
    p->run.plan = NULL;
    amun_context_ref(ctx);
    net_end(&n);
}

static void expect_same_bytes(const pass *a, const pass *b)
{
    ck_assert_mem_eq(a->run.logits, b->run.logits, a->run.logit_count * sizeof(float));
    ck_assert_mem_eq(a->run.diff_src, b->run.diff_src, a->run.src_count * sizeof(float));
    ck_assert_mem_eq(a->run.diff_params, b->run.diff_params, a->run.param_count * sizeof(float));
}

static bool has(amun_conv_choice kind)
{
    amun_context *ctx = context_of(NULL, kind, 1);
    net n;
    amun__plan *plan = NULL;
    build(&n, ctx);
    amun_status status =
        amun__plan_create(&plan, ctx, &n.params, 1, AMUN__MODE_INFER, &amun__backend_dnnl);
    ck_assert_int_eq(status == AMUN_OK, plan != NULL);
    if (status != AMUN_OK) { /* the only reason that there may be */
        ck_assert_int_eq(status, AMUN_ERROR_UNSUPPORTED);
        ck_assert_ptr_nonnull(strstr(amun_last_error_message(), amun__conv_name(kind)));
    }
    amun__plan_destroy(plan);
    net_end(&n);
    return status == AMUN_OK;
}

static const char *fresh_path(const char *name)
{
    const char *path = test_path(name);
    (void)unlink(path);
    return path;
}

static char *read_text(const char *path)
{
    amun__mapping mapping;
    ck_ok(amun__file_map(&mapping, path));
    char *text = malloc(mapping.size + 1);
    ck_assert_ptr_nonnull(text);
    memcpy(text, mapping.data, mapping.size);
    text[mapping.size] = '\0';
    amun__file_unmap(&mapping);
    return text;
}

static void write_text(const char *path, const char *text)
{
    amun_context *ctx = context_of(NULL, 0, 1);
    const amun__chunk chunk = {text, strlen(text)};
    ck_ok(amun__file_write(ctx, path, &chunk, 1));
    amun_context_unref(ctx);
}

/* ---- forced -----------------------------------------------------------------------------------
 */

START_TEST(test_forced)
{
    const amun_conv_choice kind = (amun_conv_choice)_i;
    if (!has(kind)) {
        return; /* has() checks that the status says so */
    }
    for (int mode = AMUN__MODE_INFER; mode <= AMUN__MODE_TUNE; mode++) {
        amun_context *ctx = context_of(NULL, kind, 2), *plain = context_of(NULL, 0, 2);
        pass got;
        net_run want;
        net n;
        run_pass(&got, ctx, (amun__mode)mode);
        build(&n, plain);
        net_execute(&want, &n, &amun__backend_ref, (amun__mode)mode, BATCH, inputs, seeds);
        for (int32_t i = 0; i < n.graph->node_count; i++) {
            const amun__node *node = &n.graph->nodes[i];
            for (int d = 0; d < AMUN__DNNL_DIRECTIONS; d++) {
                const int used = got.choices[i].used[d];
                bool may = amun__dnnl_has_choice(node);
                ck_assert(used == 0 || used == AMUN_CONV_DIRECT || (may && used == (int)kind));
            }
            if (node->name != NULL && strcmp(node->name, "wide") == 0) {
                ck_assert_int_eq(got.choices[i].used[AMUN__DNNL_FORWARD], kind);
            }
        }
        ck_assert_double_le(net_error(got.run.logits, want.logits, want.logit_count), 1e-4);
        if (mode != AMUN__MODE_INFER) {
            ck_assert_double_le(net_error(got.run.diff_src, want.diff_src, want.src_count), 1e-4);
        }
        if (amun__mode_trains((amun__mode)mode)) {
            ck_assert_double_le(net_error(got.run.diff_params, want.diff_params, want.param_count),
                                1e-4);
        }
        net_run_free(&got.run);
        net_run_free(&want);
        net_end(&n);
        amun_context_unref(ctx);
    }
}
END_TEST

START_TEST(test_environment)
{
    amun_context *ctx = (void *)&ctx;
    ck_assert_int_eq(setenv("AMUN_CONV", "fft", 1), 0);
    ck_fails(amun_context_create(&ctx, NULL), AMUN_ERROR_INVALID_ARGUMENT, "'fft'");
    ck_assert_ptr_null(ctx);
    ck_assert_int_eq(setenv("AMUN_CONV", "direct", 1), 0);
    ctx = context_of(NULL, 0, 1);
    ck_assert_int_eq(amun__context_conv(ctx), AMUN_CONV_DIRECT);
    amun_context_unref(ctx);
    ctx = context_of(NULL, AMUN_CONV_OWN, 1); /* the caller's word counts more */
    ck_assert_int_eq(amun__context_conv(ctx), AMUN_CONV_OWN);
    amun_context_unref(ctx);
    ck_assert_int_eq(setenv("AMUN_CONV", "auto", 1), 0);
    ctx = context_of(NULL, 0, 1);
    ck_assert_int_eq(amun__context_conv(ctx), AMUN_CONV_AUTO);
    ck_assert_ptr_null(amun__tuning_begin(ctx));
    ck_assert_str_eq(amun__context_conv_name(ctx), "fixed");
    amun_context_unref(ctx);
    ck_assert_int_eq(unsetenv("AMUN_CONV"), 0);
    ck_assert_int_eq(setenv("AMUN_TUNE_CACHE", "/from/the/environment", 1), 0);
    ctx = context_of(NULL, 0, 1);
    ck_assert_str_eq(amun__tuning_begin(ctx)->path, "/from/the/environment");
    amun__tuning_end(ctx);
    ck_assert_str_eq(amun__context_conv_name(ctx), "tuned");
    amun_context_unref(ctx);
    ck_assert_int_eq(unsetenv("AMUN_TUNE_CACHE"), 0);
    amun_context_options o;
    ck_ok(amun_context_options_init(&o, sizeof o));
    o.tune_cache = "";
    ck_fails(amun_context_create(&ctx, &o), AMUN_ERROR_INVALID_ARGUMENT, "tune_cache");
}
END_TEST

/* ---- the cache --------------------------------------------------------------------------------
 */

/* Whether there is anything to measure here. */
static bool can_tune(void)
{
    return has(AMUN_CONV_OWN) || has(AMUN_CONV_WINOGRAD);
}

/* The only host of a cache that one context has written. */
static json_t *shapes_of(json_t *root)
{
    json_t *hosts = json_object_get(root, "hosts");
    ck_assert_uint_eq(json_object_size(hosts), 1);
    return json_object_iter_value(json_object_iter(hosts));
}

static json_t *load(const char *path)
{
    json_t *root = json_load_file(path, 0, NULL);
    ck_assert_ptr_nonnull(root);
    return root;
}

/* Sets every choice to `kind`. */
static void rewrite(const char *path, const char *kind)
{
    json_t *root = load(path), *entry;
    const char *shape;
    json_object_foreach(shapes_of(root), shape, entry)
    {
        ck_assert_int_eq(json_object_set_new(entry, "choice", json_string(kind)), 0);
    }
    char *text = json_dumps(root, 0);
    write_text(path, text);
    free(text);
    json_decref(root);
}

START_TEST(test_round_trip)
{
    if (!can_tune()) {
        return;
    }
    const char *path = fresh_path("tune_round_trip.json");
    amun_context *first = context_of(path, 0, 1);
    pass a, b, c;
    run_pass(&a, first, AMUN__MODE_TRAIN);
    char *written = read_text(path);
    json_t *root = load(path);
    ck_assert_int_eq(json_integer_value(json_object_get(root, "amun.tune")), 1);
    ck_assert_uint_eq(json_object_size(shapes_of(root)), 9); /* first, wide, down; three ways */
    json_decref(root);
    run_pass(&b, first, AMUN__MODE_TRAIN); /* from memory */
    expect_same_bytes(&a, &b);
    net_run_free(&b.run);
    amun_context *second = context_of(path, 0, 1);
    run_pass(&c, second, AMUN__MODE_TRAIN); /* from the file */
    char *again = read_text(path);
    ck_assert_str_eq(written, again);
    ck_assert_mem_eq(a.choices, c.choices, sizeof a.choices);
    expect_same_bytes(&a, &c);
    free(again);
    net_run_free(&c.run);
    /* what is known stays, whatever becomes of the file */
    ck_assert_int_eq(unlink(path), 0);
    run_pass(&c, first, AMUN__MODE_TRAIN);
    expect_same_bytes(&a, &c);
    ck_assert_int_ne(access(path, F_OK), 0);
    net_run_free(&c.run);
    /* plans of another mode ask for more */
    run_pass(&c, first, AMUN__MODE_INFER);
    root = load(path);
    ck_assert_uint_eq(json_object_size(shapes_of(root)), 3);
    json_decref(root);
    net_run_free(&c.run);
    net_run_free(&a.run);
    free(written);
    amun_context_unref(first);
    amun_context_unref(second);
}
END_TEST

/* The file decides: a choice that is turned round there is taken, and gives that code's bytes. */
START_TEST(test_file_decides)
{
    if (!can_tune()) {
        return;
    }
    const char *path = fresh_path("tune_decides.json");
    amun_context *writer = context_of(path, 0, 1);
    pass p, forced;
    run_pass(&p, writer, AMUN__MODE_TRAIN);
    net_run_free(&p.run);
    amun_context_unref(writer);
    for (amun_conv_choice kind = AMUN_CONV_DIRECT; kind <= AMUN_CONV_OWN; kind++) {
        if (!has(kind)) {
            continue;
        }
        rewrite(path, amun__conv_name(kind));
        amun_context *reader = context_of(path, 0, 1), *other = context_of(NULL, kind, 1);
        run_pass(&p, reader, AMUN__MODE_TRAIN);
        run_pass(&forced, other, AMUN__MODE_TRAIN);
        for (int i = 0; i < 16; i++) {
            ck_assert_mem_eq(p.choices[i].used, forced.choices[i].used, sizeof p.choices[i].used);
        }
        expect_same_bytes(&p, &forced);
        net_run_free(&p.run);
        net_run_free(&forced.run);
        amun_context_unref(reader);
        amun_context_unref(other);
    }
}
END_TEST

/* Off: the codes of the fixed rule, and no file. */
START_TEST(test_off)
{
    amun_context *ctx = context_of(NULL, 0, 1);
    const char *path = fresh_path("tune_off.json");
    pass off, fixed;
    run_pass(&off, ctx, AMUN__MODE_TRAIN);
    for (int i = 0; i < 16; i++) {
        for (int d = 0; d < AMUN__DNNL_DIRECTIONS; d++) {
            ck_assert_int_eq(off.choices[i].kind[d], AMUN_CONV_AUTO);
            ck_assert(off.choices[i].ms[d][AMUN_CONV_DIRECT] <= 0);
        }
    }
    if (can_tune()) { /* a cache with the rule's own choices changes no byte */
        amun_context *tuned = context_of(path, 0, 1);
        run_pass(&fixed, tuned, AMUN__MODE_TRAIN);
        net_run_free(&fixed.run);
        amun_context_unref(tuned);
        json_t *root = load(path), *entry;
        const char *shape;
        json_object_foreach(shapes_of(root), shape, entry)
        {
            const int d = strncmp(shape, "forward", 7) == 0   ? AMUN__DNNL_FORWARD
                          : strncmp(shape, "by_data", 7) == 0 ? AMUN__DNNL_BY_DATA
                                                              : AMUN__DNNL_BY_WEIGHTS;
            const int node = strstr(shape, " ic3 ") != NULL ? 1 : 4;
            const int used = off.choices[node].used[d];
            ck_assert_int_ne(used, 0);
            json_object_set_new(entry, "choice", json_string(amun__conv_name(used)));
        }
        char *text = json_dumps(root, 0);
        write_text(path, text);
        free(text);
        json_decref(root);
        tuned = context_of(path, 0, 1);
        run_pass(&fixed, tuned, AMUN__MODE_TRAIN);
        expect_same_bytes(&off, &fixed);
        net_run_free(&fixed.run);
        amun_context_unref(tuned);
    }
    net_run_free(&off.run);
    amun_context_unref(ctx);
}
END_TEST

static const char stranger[] =
    "{\"amun.tune\": 1, \"hosts\": {\"Another CPU; threads 1\": {\"forward x\": {\"choice\": "
    "\"of a later release\"}, \"by_data y\": 7}}}";

START_TEST(test_strangers)
{
    if (!can_tune()) {
        return;
    }
    const char *path = fresh_path("tune_strangers.json");
    write_text(path, stranger);
    listing l = {0};
    amun_context *ctx = context_of(path, 0, 1), *two = context_of(path, 0, 2);
    ck_ok(amun_context_set_log(ctx, collect, &l, AMUN_LOG_INFO));
    pass p;
    run_pass(&p, ctx, AMUN__MODE_INFER);
    net_run_free(&p.run);
    ck_assert_msg(strstr(l.text, ": 2 choices measured on another host") != NULL, "%s", l.text);
    json_t *root = load(path), *before = json_loads(stranger, 0, NULL);
    json_t *hosts = json_object_get(root, "hosts");
    const char *name = "Another CPU; threads 1";
    ck_assert_uint_eq(json_object_size(hosts), 2);
    ck_assert(json_equal(json_object_get(hosts, name),
                         json_object_get(json_object_get(before, "hosts"), name)));
    json_decref(root);
    json_decref(before);
    run_pass(&p, two, AMUN__MODE_INFER); /* another number of threads is another host */
    net_run_free(&p.run);
    root = load(path);
    ck_assert_uint_eq(json_object_size(json_object_get(root, "hosts")), 3);
    json_decref(root);
    amun_context_unref(ctx);
    amun_context_unref(two);
}
END_TEST

/* ---- bad files --------------------------------------------------------------------------------
 */

static void expect_refused(const char *path, amun_status status, const char *part)
{
    amun_context *ctx = context_of(path, 0, 1);
    net n;
    amun__plan *plan = (void *)&n;
    build(&n, ctx);
    ck_fails(amun__plan_create(&plan, ctx, &n.params, 1, AMUN__MODE_INFER, &amun__backend_dnnl),
             status, part);
    ck_assert_ptr_null(plan);
    net_end(&n);
}

START_TEST(test_bad_files)
{
    static const struct {
        const char *text, *part;
    } files[] = {{"", "tune_bad"},
                 {"{\"amun.tune\": 1, \"hosts\"", "tune_bad"},
                 {"[]", "amun.tune"},
                 {"{}", "amun.tune"},
                 {"{\"amun.tune\": \"1\", \"hosts\": {}}", "amun.tune"},
                 {"{\"amun.tune\": 2, \"hosts\": {}}", "is 2, this library knows 1"},
                 {"{\"amun.tune\": 1}", "hosts"},
                 {"{\"amun.tune\": 1, \"hosts\": []}", "hosts"},
                 {"{\"amun.tune\": 1, \"hosts\": {\"h\": 3}}", "'h'"},
                 {"{\"amun.tune\": 1, \"amun.tune\": 1, \"hosts\": {}}", "duplicate"}};
    if (!can_tune()) {
        return;
    }
    const char *path = fresh_path("tune_bad.json");
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        write_text(path, files[i].text);
        expect_refused(path, AMUN_ERROR_FORMAT, files[i].part);
        char *after = read_text(path);
        ck_assert_str_eq(after, files[i].text); /* it may be somebody's */
        free(after);
    }
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    expect_refused(path, AMUN_ERROR_IO, "tune_bad.json");
    ck_assert_int_eq(rmdir(path), 0);
    expect_refused(test_path("no/such/folder/tune.json"), AMUN_ERROR_NOT_FOUND, "no/such/folder");
}
END_TEST

START_TEST(test_parse)
{
    static const struct {
        const char *entry, *part;
    } entries[] = {{"{\"choice\": \"own\"}", NULL},
                   {"{\"choice\": \"direct\", \"ms\": {\"direct\": 1, \"own\": 2.5}}", NULL},
                   {"{\"choice\": \"auto\"}", "'s'"},
                   {"{\"choice\": \"fft\"}", "'s'"},
                   {"{\"choice\": 1}", "'s'"},
                   {"{}", "'s'"},
                   {"[]", "'s'"},
                   {"{\"choice\": \"own\", \"ms\": 3}", "'s'"},
                   {"{\"choice\": \"own\", \"ms\": {\"own\": -1}}", "'s'"},
                   {"{\"choice\": \"own\", \"ms\": {\"own\": \"1\"}}", "'s'"}};
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        char text[256];
        json_t *root = (void *)&text;
        (void)snprintf(text, sizeof text, "{\"amun.tune\": 1, \"hosts\": {\"h\": {\"s\": %s}}}",
                       entries[i].entry);
        if (entries[i].part == NULL) {
            ck_ok(amun__tune_parse(&root, text, strlen(text), "file", "h"));
            json_decref(root);
        } else {
            ck_fails(amun__tune_parse(&root, text, strlen(text), "file", "h"), AMUN_ERROR_FORMAT,
                     entries[i].part);
            ck_assert_ptr_null(root);
            ck_ok(amun__tune_parse(&root, text, strlen(text), "file", "another host"));
            json_decref(root);
        }
    }
}
END_TEST

/* ---- the listing ------------------------------------------------------------------------------
 */

START_TEST(test_listing)
{
    const char *path = fresh_path("tune_listing.json");
    listing l = {0};
    ck_assert_int_eq(setenv("AMUN_LOG", "plan", 1), 0);
    amun_context *ctx = context_of(path, 0, 1);
    ck_assert_int_eq(unsetenv("AMUN_LOG"), 0);
    ck_ok(amun_context_set_log(ctx, collect, &l, AMUN_LOG_SILENT));
    pass p;
    run_pass(&p, ctx, AMUN__MODE_TRAIN);
    net_run_free(&p.run);
    amun_context_unref(ctx);
    static const char *const parts[] = {"plan: mode train, batch 8, arena ",
                                        "plan choice wide forward: ",
                                        "plan choice wide by data: ",
                                        "plan choice wide by weights: ",
                                        "plan choice point by data: direct\n",
                                        "plan forward 0: ",
                                        ", src nchw 24576 bytes",
                                        ", weights oihw "};
    for (size_t i = 0; i + 1 < sizeof parts / sizeof parts[0]; i++) {
        ck_assert_msg(strstr(l.text, parts[i]) != NULL, "no '%s' in\n%.2000s", parts[i], l.text);
    }
    if (can_tune()) {
        const char *line = strstr(l.text, "plan choice wide forward: ");
        ck_assert_ptr_nonnull(strstr(line, "; measured, direct "));
    }
}
END_TEST

int main(void)
{
    /* these tests say themselves what is forced */
    if (unsetenv("AMUN_CONV") != 0 || unsetenv("AMUN_TUNE_CACHE") != 0) {
        return EXIT_FAILURE;
    }
    fill_inputs();
    TCase *forced = tcase_create("forced");
    tcase_add_loop_test(forced, test_forced, AMUN_CONV_DIRECT, AMUN_CONV_OWN + 1);
    tcase_add_test(forced, test_environment);
    TCase *cache = tcase_create("cache");
    tcase_add_test(cache, test_round_trip);
    tcase_add_test(cache, test_file_decides);
    tcase_add_test(cache, test_off);
    tcase_add_test(cache, test_strangers);
    tcase_add_test(cache, test_bad_files);
    tcase_add_test(cache, test_parse);
    tcase_add_test(cache, test_listing);
    return amun_test_main("tune", (TCase *[]){forced, cache, NULL});
}

#else

/* One kind of code, so nothing is measured, and what is not there is refused. */
START_TEST(test_reference_build)
{
    amun_context_options o;
    amun_context *ctx = NULL;
    amun_model *model = NULL;
    amun_model_options shape;
    static float image[8 * 8], logits[10];
    amun_tensor_view in, out;
    const int64_t in_shape[4] = {1, 1, 8, 8}, out_shape[2] = {1, 10};
    ck_ok(amun_tensor_view_init(&in, image, AMUN_DTYPE_F32, 4, in_shape));
    ck_ok(amun_tensor_view_init(&out, logits, AMUN_DTYPE_F32, 2, out_shape));
    for (amun_conv_choice kind = AMUN_CONV_AUTO; kind <= AMUN_CONV_OWN; kind++) {
        ck_ok(amun_context_options_init(&o, sizeof o));
        o.conv = kind;
        ck_ok(amun_context_create(&ctx, &o));
        ck_ok(amun_model_options_init(&shape, sizeof shape));
        shape.channels = 1;
        shape.height = shape.width = 8;
        ck_ok(amun_model_create(&model, ctx, "digits", &shape));
        if (kind <= AMUN_CONV_DIRECT) {
            ck_ok(amun_model_predict(model, &in, &out, NULL));
        } else {
            ck_fails(amun_model_predict(model, &in, &out, NULL), AMUN_ERROR_UNSUPPORTED, "oneDNN");
        }
        amun_model_unref(model);
        amun_context_unref(ctx);
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("tune: this build has no oneDNN");
    tcase_add_test(tc, test_reference_build);
    return amun_test_main("tune", (TCase *[]){tc, NULL});
}

#endif
