/* client.c - a program of release 0.1. It is compiled against the headers of that release, which
 * lie beside it, and runs with the library of today: what it passes and what it reads has the
 * layout of then. It also stands for programs that are older (structs that had fewer fields) and
 * newer (more) than the library. Never edited: a later release brings a client of its own. Output
 * is TAP. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <amun/amun.h>

static int number, failures;

static void report(int good, const char *what)
{
    printf("%s %d - %s\n", good ? "ok" : "not ok", ++number, what);
    if (!good) {
        printf("# %s\n", amun_last_error_message());
        failures++;
    }
    fflush(stdout);
}

#define OK(call) report((call) == AMUN_OK, #call)
#define FAILS(call, status) report((call) == (status), #call ": " #status)
#define TRUE(condition) report((condition) != 0, #condition)

enum { COUNT = 24, EDGE = 6, PIXELS = EDGE * EDGE, CLASSES = 3 };

static float images[COUNT * PIXELS];
static int64_t labels[COUNT];
static const int64_t forget[3] = {3, 7, 11};

static amun_context *ctx;
static amun_dataset *data;
static amun_model *model;

/* The first `size` bytes of a struct, in a block that ends there: whoever reads on is found by a
 * sanitizer, and writes are found below. */
static void *cut(const void *options, size_t size)
{
    unsigned char *block = malloc(size);
    if (block == NULL) {
        exit(2);
    }
    memcpy(block, options, size);
    memcpy(block, &size, sizeof size);
    return block;
}

static void make_data(void)
{
    amun_tensor_view x, y;
    const int64_t shape[4] = {COUNT, 1, EDGE, EDGE};
    for (int i = 0; i < COUNT; i++) {
        labels[i] = i % CLASSES;
        for (int k = 0; k < PIXELS; k++) {
            double wave = sin(0.7 * k * (double)(labels[i] + 1)) + 0.3 * sin(1.3 * i + 0.9 * k);
            images[i * PIXELS + k] = (float)(0.5 + 0.35 * wave);
            if (images[i * PIXELS + k] < 0) {
                images[i * PIXELS + k] = 0;
            }
        }
    }
    OK(amun_tensor_view_init(&x, images, AMUN_DTYPE_F32, 4, shape));
    OK(amun_tensor_view_init(&y, labels, AMUN_DTYPE_I64, 1, shape));
    OK(amun_dataset_open_view(&data, ctx, &x, &y, 0, NULL, NULL));
    TRUE(amun_dataset_count(data) == COUNT && amun_dataset_classes(data) == CLASSES);
}

static void make_model(void)
{
    amun_graph *graph = NULL;
    amun_node node = 0;
    amun_conv2d_options conv;
    OK(amun_graph_create(&graph, ctx, 1, EDGE, EDGE));
    OK(amun_conv2d_options_init(&conv, sizeof conv));
    conv.channels = 4;
    OK(amun_graph_conv2d(&node, graph, 0, "conv", &conv));
    OK(amun_graph_relu(&node, graph, node));
    OK(amun_graph_flatten(&node, graph, node));
    OK(amun_graph_linear(&node, graph, node, "fc", CLASSES, 1));
    OK(amun_model_create_graph(&model, ctx, graph, 1));
    amun_graph_unref(graph);
}

/* ---- the job, with structs of this release -----------------------------------------------------
 */

static int32_t count_steps(const amun_progress *p, void *user_data)
{
    *(uint64_t *)user_data = p->struct_size >= sizeof *p ? p->step : 0;
    return 0;
}

static void train(void)
{
    amun_train_options how;
    amun_train_result did;
    amun_call_options call;
    uint64_t steps = 0;
    memset(&did, 0, sizeof did);
    did.struct_size = sizeof did;
    OK(amun_train_options_init(&how, sizeof how));
    TRUE(how.struct_size == sizeof how && how.momentum == 0.9 && how.weight_decay == 5e-4);
    how.epochs = 30;
    how.batch = 6;
    how.lr = 0.05;
    how.schedule = AMUN_SCHEDULE_CONSTANT;
    how.augment_pad = how.augment_flip = 0;
    OK(amun_call_options_init(&call, sizeof call));
    call.progress = count_steps;
    call.user_data = &steps;
    call.min_interval_ms = 0;
    OK(amun_train_run(&did, model, data, NULL, 0, &how, &call));
    TRUE(steps == 30 * 4 && did.epochs == 30 && did.samples == 30 * COUNT);
    TRUE(did.accuracy > 90 && did.loss < 0.5 && did.seconds > 0);
}

static void unlearn(amun_advset **set)
{
    amun_attack *search = NULL;
    amun_search_options find;
    amun_train_options tune;
    amun_unlearn_options way;
    amun_unlearn_result did;
    amun_model *copy = NULL;
    OK(amun_search_options_init(&find, sizeof find));
    find.growth = 1.5;
    find.batch = 2;
    OK(amun_attack_create_search(&search, ctx, &find));
    OK(amun_advset_build(set, search, model, data, forget, 3, NULL));
    TRUE(amun_advset_count(*set) == 3 && amun_advset_records(*set)[1].index == 7 &&
         amun_advset_records(*set)[1].label == labels[7]);
    OK(amun_unlearn_options_init(&way, sizeof way));
    OK(amun_unlearn_train_options_init(&tune, sizeof tune, AMUN_UNLEARN_AMUN));
    TRUE(way.method == AMUN_UNLEARN_AMUN && tune.epochs == 10 && tune.lr == 0.01);
    tune.epochs = 2;
    tune.augment_pad = tune.augment_flip = 0;
    way.train = &tune;
    memset(&did, 0, sizeof did);
    did.struct_size = sizeof did;
    OK(amun_model_clone(&copy, model));
    OK(amun_unlearn_run(&did, copy, data, forget, 3, *set, &way, NULL));
    TRUE(did.remain == COUNT - 3 && did.adversarial == (int64_t)amun_advset_found(*set));
    amun_model_unref(copy);
    amun_attack_unref(search);
}

static void measure(void)
{
    amun_spectrum *spectrum = NULL;
    amun_layer_spectrum layer;
    double values[COUNT], all = 0, some = 0, loss = 0, auc = 0;
    memset(&layer, 0, sizeof layer);
    layer.struct_size = sizeof layer;
    OK(amun_spectrum_create(&spectrum, model, NULL));
    OK(amun_spectrum_run(spectrum, 0, NULL));
    OK(amun_spectrum_layer(spectrum, 0, &layer));
    TRUE(strcmp(layer.name, "conv") == 0 && layer.kind == AMUN_LAYER_CONV2D &&
         layer.in_shape[1] == EDGE && layer.out_shape[0] == 4);
    TRUE(layer.sigma_lower > 0 && layer.sigma_upper >= layer.sigma_lower);
    amun_spectrum_unref(spectrum);
    OK(amun_model_evaluate(&all, &loss, model, data, NULL, 0, NULL));
    OK(amun_model_evaluate(&some, NULL, model, data, forget, 3, NULL));
    TRUE(all > 90 && some >= 0 && some <= 100 && loss > 0);
    for (int i = 0; i < COUNT; i++) {
        values[i] = i;
    }
    OK(amun_auc_compute(&auc, values + 12, 12, values, 12));
    TRUE(auc == 1);
}

/* ---- smaller structs: programs that are older
 * ---------------------------------------------------- */

/* Sizes that were in use before a field was added; each goes on for ever. */
static void older_options(const amun_advset *set)
{
    amun_train_options train_now;
    amun_search_options search_now;
    amun_unlearn_options unlearn_now;
    amun_spectrum_options spectrum_now;
    amun_attack *attack = NULL;
    amun_spectrum *spectrum = NULL;
    OK(amun_train_options_init(&train_now, sizeof train_now));
    train_now.epochs = 1;
    train_now.augment_pad = train_now.augment_flip = 0;
    train_now.clip = (const amun_clip_options *)&number; /* behind the end of the two below */
    const size_t train_sizes[] = {112, 120};
    for (int i = 0; i < 2; i++) {
        if (train_sizes[i] > 112) {
            train_now.clip = NULL;
        }
        train_now.optimiser = 77;
        void *old = cut(&train_now, train_sizes[i]);
        OK(amun_train_run(NULL, model, data, NULL, 0, old, NULL));
        OK(amun_train_options_init(old, train_sizes[i]));
        TRUE(((amun_train_options *)old)->struct_size == train_sizes[i]);
        free(old);
    }
    OK(amun_search_options_init(&search_now, sizeof search_now));
    search_now.method = 77;
    void *old = cut(&search_now, 72);
    OK(amun_attack_create_search(&attack, ctx, old));
    amun_attack_unref(attack);
    free(old);
    OK(amun_unlearn_options_init(&unlearn_now, sizeof unlearn_now));
    OK(amun_unlearn_train_options_init(&train_now, sizeof train_now, AMUN_UNLEARN_AMUN));
    train_now.epochs = 0;
    unlearn_now.train = &train_now;
    unlearn_now.mask_ratio = 77;
    old = cut(&unlearn_now, 32);
    OK(amun_unlearn_run(NULL, model, data, forget, 3, set, old, NULL));
    free(old);
    OK(amun_spectrum_options_init(&spectrum_now, sizeof spectrum_now));
    spectrum_now.certify_cost = -1;
    old = cut(&spectrum_now, 56);
    OK(amun_spectrum_create(&spectrum, model, old));
    amun_spectrum_unref(spectrum);
    free(old);
    old = cut(&spectrum_now, 48); /* no release had that */
    FAILS(amun_spectrum_create(&spectrum, model, old), AMUN_ERROR_INVALID_ARGUMENT);
    free(old);
}

/* Results are filled as far as the caller's struct goes. */
static void older_results(void)
{
    amun_train_options none;
    OK(amun_train_options_init(&none, sizeof none));
    none.epochs = 0;
    for (size_t size = 16; size <= sizeof(amun_train_result); size += 8) {
        amun_train_result whole;
        memset(&whole, 0x5a, sizeof whole);
        void *small = cut(&whole, size);
        OK(amun_train_run(small, model, data, NULL, 0, &none, NULL));
        TRUE(((amun_train_result *)small)->struct_size == size &&
             isnan(((amun_train_result *)small)->loss));
        free(small);
    }
    amun_memory_stats stats;
    stats.struct_size = 16;
    stats.peak = 99;
    OK(amun_context_get_memory(ctx, &stats));
    TRUE(stats.struct_size == 16 && stats.current > 0 && stats.peak == 99);
}

/* ---- larger structs: programs that are newer
 * ------------------------------------------------------ */

static void newer(void)
{
    struct {
        amun_train_options known;
        double more[2];
    } how;
    struct {
        amun_train_result known;
        double more;
    } did;
    /* as init of a later library leaves it: its own size, and nothing set in the new fields */
    memset(&how, 0, sizeof how);
    OK(amun_train_options_init(&how.known, sizeof how));
    TRUE(how.known.struct_size == sizeof how && how.more[0] == 0);
    how.known.epochs = 0;
    memset(&did, 0x5a, sizeof did);
    did.known.struct_size = sizeof did;
    OK(amun_train_run(&did.known, model, data, NULL, 0, &how.known, NULL));
    TRUE(did.more == 0 && did.known.struct_size == sizeof did);
    FAILS((how.more[1] = 1, amun_train_run(NULL, model, data, NULL, 0, &how.known, NULL)),
          AMUN_ERROR_UNSUPPORTED);
}

int main(void)
{
    amun_context_options one;
    amun_advset *set = NULL;
    TRUE(amun_abi_version() >> 16 == AMUN_ABI_MAJOR);
    TRUE((amun_abi_version() & 0xffff) >= AMUN_ABI_MINOR);
    OK(amun_context_options_init(&one, sizeof one));
    one.threads = 1;
    OK(amun_context_create(&ctx, &one));
    make_data();
    make_model();
    train();
    unlearn(&set);
    measure();
    older_options(set);
    older_results();
    newer();
    FAILS(amun_model_set_tensor(model, "none", NULL, 1), AMUN_ERROR_INVALID_ARGUMENT);
    amun_advset_unref(set);
    amun_model_unref(model);
    amun_dataset_unref(data);
    amun_context_unref(ctx);
    printf("1..%d\n", number);
    return failures != 0;
}
