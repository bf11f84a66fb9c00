/* Named architectures: parameters, names, shapes, other image sizes, and what they refuse. */
#include <unistd.h>

#include "nets.h"

static amun_model_options sizes(int64_t classes, int64_t channels, int64_t height, int64_t width)
{
    return (amun_model_options){.struct_size = sizeof(amun_model_options),
                                .classes = classes,
                                .channels = channels,
                                .height = height,
                                .width = width};
}

static amun_graph *build(amun_context *ctx, const char *arch, amun_model_options opts)
{
    amun_graph *graph = NULL;
    ck_ok(amun__arch_build(&graph, ctx, arch, &opts));
    ck_ok(amun__graph_freeze(graph));
    const amun__node *last = &graph->nodes[graph->node_count - 1];
    ck_assert_int_eq(last->channels, opts.classes);
    ck_assert_int_eq(last->height * last->width, 1);
    return graph;
}

static const amun__param *find(const amun_graph *graph, const char *name)
{
    for (int32_t i = 0; i < graph->param_count; i++) {
        if (strcmp(graph->params[i].name, name) == 0) {
            return &graph->params[i];
        }
    }
    ck_abort_msg("no parameter %s", name);
    return NULL;
}

static int count_kind(const amun_graph *graph, amun__node_kind kind)
{
    int count = 0;
    for (int32_t i = 0; i < graph->node_count; i++) {
        count += graph->nodes[i].kind == kind;
    }
    return count;
}

/* Trainable scalars for CIFAR-10: published counts, and those of the same networks as torch
 * modules. */
START_TEST(test_parameter_counts)
{
    static const struct {
        const char *arch;
        size_t parameters;
        int convolutions, norms, halvings;
    } cases[] = {
        {"resnet18", 11173962, 20, 20, 3},
        {"resnet18-standard", 11173962, 20, 20, 0},
        {"resnet18-lotos", 11173834, 20, 19, 3},
        {"resnet18-nobn", 11164362, 20, 0, 3},
        {"resnet8", 78042, 9, 9, 0},
        {"resnet8-nobn", 77370, 9, 0, 0},
        {"resnet20", 272474, 21, 21, 0},
        {"resnet20-nobn", 270906, 21, 0, 0},
        {"convnet", 1165866, 7, 7, 1}, /* the scale is that of its logits */
        {"simple_conv", 545098, 2, 0, 0},
        {"simple_conv_reflect", 657226, 1, 1, 0},
        {"digits", 57130, 3, 3, 0},
        {"vgg11", 9231114, 8, 8, 0},
        {"vgg13", 9416010, 10, 10, 0},
        {"vgg16", 14728266, 13, 13, 0},
        {"vgg19", 20040522, 16, 16, 0},
        {"densenet121", 6956298, 120, 120, 0},
        {"dla", 16291386, 43, 43, 0},
        {"dla-nobn", 16273594, 43, 0, 0},
    };
    amun_context *ctx = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        amun_graph *graph = build(ctx, cases[i].arch, sizes(10, 3, 32, 32));
        ck_assert_msg(graph->trainable == cases[i].parameters, "%s has %zu parameters",
                      cases[i].arch, graph->trainable);
        ck_assert_int_eq(count_kind(graph, AMUN__NODE_CONV2D), cases[i].convolutions);
        ck_assert_int_eq(count_kind(graph, AMUN__NODE_BATCHNORM), cases[i].norms);
        ck_assert_int_eq(count_kind(graph, AMUN__NODE_SCALE), cases[i].halvings);
        amun_graph_unref(graph);
    }
    amun_context_unref(ctx);
}
END_TEST

START_TEST(test_torchvision_names)
{
    amun_context *ctx = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    amun_graph *graph = build(ctx, "resnet18", sizes(10, 3, 32, 32));
    ck_assert_str_eq(graph->params[0].name, "conv1.weight");
    ck_assert_int_eq(find(graph, "layer1.0.conv1.weight")->shape[0], 64);
    ck_assert_int_eq(find(graph, "layer2.0.downsample.0.weight")->shape[2], 1);
    ck_assert_int_eq(find(graph, "layer2.0.downsample.1.running_var")->shape[0], 128);
    ck_assert_int_eq(find(graph, "layer4.1.bn2.bias")->shape[0], 512);
    ck_assert_int_eq(find(graph, "fc.weight")->shape[1], 512);
    for (int32_t i = 0; i < graph->param_count; i++) {
        ck_assert_ptr_null(strstr(graph->params[i].name, "layer1.0.downsample"));
        ck_assert_ptr_null(strstr(graph->params[i].name, "conv1.bias"));
    }
    amun_graph_unref(graph);
    amun_context_unref(ctx);
}
END_TEST

static int64_t extent(const amun_graph *graph, const char *name, int axis)
{
    return find(graph, name)->shape[axis];
}

/* As in the pytorch-cifar repository. */
START_TEST(test_cifar_names)
{
    amun_context *ctx = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    amun_graph *graph = build(ctx, "vgg16", sizes(10, 3, 32, 32));
    ck_assert_str_eq(graph->params[0].name, "features.0.weight");
    ck_assert_int_eq(extent(graph, "features.40.bias", 0), 512); /* the last convolution */
    ck_assert_int_eq(extent(graph, "features.41.running_var", 0), 512);
    ck_assert_int_eq(extent(graph, "classifier.weight", 1), 512);
    amun_graph_unref(graph);
    graph = build(ctx, "densenet121", sizes(10, 3, 32, 32));
    ck_assert_int_eq(extent(graph, "dense3.23.conv1.weight", 1), 256 + 23 * 32);
    ck_assert_int_eq(extent(graph, "dense4.0.bn1.running_mean", 0), 512);
    ck_assert_int_eq(extent(graph, "trans3.conv.weight", 0), 512);
    ck_assert_int_eq(extent(graph, "linear.weight", 1), 1024);
    amun_graph_unref(graph);
    graph = build(ctx, "dla", sizes(10, 3, 32, 32));
    ck_assert_int_eq(extent(graph, "layer2.0.weight", 0), 32);
    ck_assert_int_eq(extent(graph, "layer3.root.conv.weight", 1), 2 * 64);
    ck_assert_int_eq(extent(graph, "layer4.root.conv.weight", 1), 4 * 128);
    ck_assert_int_eq(extent(graph, "layer4.level_1.left_node.shortcut.0.weight", 1), 64);
    ck_assert_int_eq(extent(graph, "layer5.level_1.left_node.shortcut.1.running_var", 0), 256);
    ck_assert_int_eq(extent(graph, "layer5.prev_root.conv1.weight", 1), 128);
    ck_assert_int_eq(extent(graph, "linear.bias", 0), 10);
    amun_graph_unref(graph);
    amun_context_unref(ctx);
}
END_TEST

/* What a network without batch norm has is what the same network with them has, less their
 * parameters: no biases instead. */
START_TEST(test_without_batchnorm)
{
    static const char *const pairs[][2] = {{"resnet18", "resnet18-nobn"},
                                           {"resnet8", "resnet8-nobn"},
                                           {"resnet20", "resnet20-nobn"},
                                           {"dla", "dla-nobn"}};
    amun_context *ctx = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        amun_graph *with = build(ctx, pairs[i][0], sizes(10, 3, 32, 32));
        amun_graph *without = build(ctx, pairs[i][1], sizes(10, 3, 32, 32));
        int32_t at = 0;
        for (int32_t p = 0; p < with->param_count; p++) {
            if (with->nodes[with->params[p].node].kind != AMUN__NODE_BATCHNORM) {
                ck_assert_int_lt(at, without->param_count);
                ck_assert_str_eq(without->params[at].name, with->params[p].name);
                ck_assert_uint_eq(without->params[at++].count, with->params[p].count);
            }
        }
        ck_assert_int_eq(at, without->param_count);
        amun_graph_unref(with);
        amun_graph_unref(without);
    }
    amun_graph *lotos = build(ctx, "resnet18-lotos", sizes(10, 3, 32, 32));
    for (int32_t p = 0; p < lotos->param_count; p++) {
        ck_assert_int_ne(strncmp(lotos->params[p].name, "bn1.", 4), 0);
    }
    ck_assert_int_eq(extent(lotos, "layer1.0.bn1.weight", 0), 64);
    amun_graph_unref(lotos);
    amun_context_unref(ctx);
}
END_TEST

/* Halving: after the sum with the projection, before the ReLU, and nowhere else. */
START_TEST(test_halved_blocks)
{
    amun_context *ctx = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    amun_graph *graph = build(ctx, "resnet18", sizes(10, 3, 32, 32));
    for (int32_t i = 0; i < graph->node_count; i++) {
        const amun__node *node = &graph->nodes[i];
        if (node->kind != AMUN__NODE_SCALE) {
            continue;
        }
        const amun__node *sum = &graph->nodes[node->inputs[0]];
        ck_assert(node->factor == 0.5);
        ck_assert_int_eq(sum->kind, AMUN__NODE_ADD);
        ck_assert_int_eq(graph->nodes[i + 1].kind, AMUN__NODE_RELU);
        int projections = 0;
        for (int k = 0; k < 2; k++) {
            const char *name = graph->nodes[sum->inputs[k]].name;
            projections += strstr(name, "downsample.1") != NULL;
        }
        ck_assert_int_eq(projections, 1);
    }
    amun_graph_unref(graph);
    amun_context_unref(ctx);
}
END_TEST

START_TEST(test_other_sizes)
{
    static const struct {
        const char *arch;
        int64_t classes, channels, height, width, features;
    } cases[] = {
        {"resnet18", 200, 3, 64, 64, 2048},
        {"resnet18", 10, 1, 25, 28, 512},
        {"resnet18-standard", 2, 1, 8, 8, 512},
        {"resnet18-standard", 10, 3, 1, 1, 512},
        {"resnet8", 10, 1, 28, 28, 64},
        {"resnet20", 100, 3, 17, 9, 64},
        {"convnet", 100, 1, 28, 28, 192},
        {"convnet", 10, 3, 8, 9, 192},
        {"digits", 10, 1, 8, 8, 64},
        {"digits", 3, 2, 2, 3, 64},
        {"simple_conv_reflect", 10, 1, 28, 28, 64 * 28 * 28},
        {"resnet20-nobn", 100, 1, 9, 11, 64},
    };
    amun_context *ctx = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        amun_graph *graph =
            build(ctx, cases[i].arch,
                  sizes(cases[i].classes, cases[i].channels, cases[i].height, cases[i].width));
        ck_assert_int_eq(find(graph, "fc.weight")->shape[1], cases[i].features);
        amun_graph_unref(graph);
    }
    static const struct {
        const char *arch, *head;
        int64_t height, width, features;
    } others[] = {{"vgg11", "classifier.weight", 64, 33, 1024},
                  {"densenet121", "linear.weight", 64, 32, 2048},
                  {"dla", "linear.weight", 25, 57, 1024}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        amun_graph *other =
            build(ctx, others[i].arch, sizes(5, 1, others[i].height, others[i].width));
        ck_assert_int_eq(extent(other, others[i].head, 1), others[i].features);
        amun_graph_unref(other);
    }
    amun_graph *graph = build(ctx, "simple_conv", sizes(10, 1, 28, 28));
    ck_assert_int_eq(find(graph, "fc1.weight")->shape[1], 64 * 7 * 7);
    ck_assert_int_eq(find(graph, "conv1.bias")->shape[0], 32);
    amun_graph_unref(graph);
    amun_context_unref(ctx);
}
END_TEST

START_TEST(test_refused)
{
    test_allocator allocator = {0};
    amun_context *ctx = test_context(&allocator);
    int64_t before = atomic_load(&allocator.live_blocks);
    amun_graph *graph = NULL;
    amun_model_options opts = sizes(10, 3, 24, 32);
    ck_fails(amun__arch_build(&graph, ctx, "resnet18", &opts), AMUN_ERROR_SHAPE,
             "resnet18 needs images of at least 25 x 25");
    ck_assert_ptr_null(graph);
    opts = sizes(10, 3, 32, 7);
    ck_fails(amun__arch_build(&graph, ctx, "convnet", &opts), AMUN_ERROR_SHAPE,
             "8 x 8 (its pools halve them to 1 x 1), not 32 x 7");
    opts = sizes(10, 3, 3, 4);
    ck_fails(amun__arch_build(&graph, ctx, "simple_conv", &opts), AMUN_ERROR_SHAPE, "4 x 4");
    opts = sizes(10, 3, 32, 32);
    ck_fails(amun__arch_build(&graph, ctx, "resnet19", &opts), AMUN_ERROR_NOT_FOUND,
             "\"resnet19\"; there are resnet18, resnet18-standard, resnet18-lotos, resnet18-nobn, "
             "resnet8, resnet8-nobn, resnet20, resnet20-nobn, convnet, simple_conv, "
             "simple_conv_reflect, digits, vgg11, vgg13, vgg16, vgg19, densenet121, dla, dla-nobn");
    opts = sizes(10, 3, 31, 32);
    ck_fails(amun__arch_build(&graph, ctx, "vgg19", &opts), AMUN_ERROR_SHAPE, "at least 32 x 32");
    ck_fails(amun__arch_build(&graph, ctx, "densenet121", &opts), AMUN_ERROR_SHAPE, "32 x 32");
    opts = sizes(10, 3, 24, 25);
    ck_fails(amun__arch_build(&graph, ctx, "dla", &opts), AMUN_ERROR_SHAPE, "at least 25 x 25");
    opts = sizes(10, 1, 1, 4);
    ck_fails(amun__arch_build(&graph, ctx, "simple_conv_reflect", &opts), AMUN_ERROR_SHAPE,
             "reflect padding of 1 does not fit an extent of 1");
    ck_fails(amun__arch_build(&graph, ctx, "", &opts), AMUN_ERROR_NOT_FOUND, "resnet8");
    ck_fails(amun__arch_build(&graph, ctx, NULL, &opts), AMUN_ERROR_INVALID_ARGUMENT, "arch");
    ck_assert_int_eq(atomic_load(&allocator.live_blocks), before);
    amun_context_unref(ctx);
}
END_TEST

START_TEST(test_out_of_memory)
{
    test_allocator allocator = {0};
    amun_context *ctx = test_context(&allocator);
    int64_t before = atomic_load(&allocator.live_blocks);
    amun_model_options opts = sizes(10, 3, 32, 32);
    amun_status status = AMUN_ERROR_OUT_OF_MEMORY;
    for (int64_t at = 1; status != AMUN_OK; at++) {
        amun_graph *graph = NULL;
        atomic_store(&allocator.fail_at, at);
        status = amun__arch_build(&graph, ctx, "resnet8", &opts);
        ck_assert(status == AMUN_OK || status == AMUN_ERROR_OUT_OF_MEMORY);
        ck_assert((graph == NULL) == (status != AMUN_OK));
        amun_graph_unref(graph);
        ck_assert_int_eq(atomic_load(&allocator.live_blocks), before);
    }
    atomic_store(&allocator.fail_at, 0);
    amun_context_unref(ctx);
    ck_assert_int_eq(atomic_load(&allocator.wrong), 0);
}
END_TEST

/* Every architecture runs, forward and backward, and every parameter gets a gradient. */
START_TEST(test_runs)
{
    static const struct {
        const char *arch;
        int64_t size;
    } cases[] = {
        {"resnet8", 9}, {"resnet20", 8},     {"convnet", 8},       {"simple_conv", 8},
        {"digits", 8},  {"resnet8-nobn", 9}, {"resnet20-nobn", 8}, {"simple_conv_reflect", 5}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        net n = {0};
        ck_ok(amun_context_create(&n.ctx, NULL));
        n.graph = build(n.ctx, cases[i].arch, sizes(4, 2, cases[i].size, cases[i].size));
        net_finish(&n, 5);
        float *x = net_random(2 * net_node_size(&n, 0), 3, 0, 1);
        float *diff = net_random(8, 4, -1, 1);
        net_run run;
        net_execute(&run, &n, &amun__backend_ref, AMUN__MODE_TRAIN, 2, x, diff);
        for (int32_t p = 0; p < n.graph->param_count; p++) {
            const amun__param *param = &n.graph->params[p];
            double norm = 0;
            for (size_t k = 0; k < param->count && param->trainable; k++) {
                double d = (double)run.diff_params[param->offset + k];
                norm += d * d;
            }
            ck_assert_msg(!param->trainable || (norm > 0 && isfinite(norm)), "%s: %s has norm %g",
                          cases[i].arch, param->name, norm);
        }
        net_run_free(&run);
        free(x);
        free(diff);
        net_end(&n);
    }
}
END_TEST

static void predict_two(const amun_model *model, float *x, float logits[8])
{
    amun_tensor_view images, out;
    ck_ok(amun_tensor_view_init(&images, x, AMUN_DTYPE_F32, 4, (int64_t[]){2, 2, 9, 9}));
    ck_ok(amun_tensor_view_init(&out, logits, AMUN_DTYPE_F32, 2, (int64_t[]){2, 4}));
    ck_ok(amun_model_predict(model, &images, &out, NULL));
}

/* (x - mean) / std first: the plain network's answer to images that are scaled already; saved and
 * loaded it says the same, its weights do not enter a model that sees images otherwise, and a mean
 * without a deviation is refused. */
START_TEST(test_normalised)
{
    enum { COUNT = 2 * 2 * 9 * 9 };
    const char *path = test_path("arch_normalised.safetensors");
    amun_context *ctx = NULL;
    amun_model *plain = NULL, *model = NULL, *again = NULL;
    amun_model_options opts = sizes(4, 2, 9, 9);
    float *x = net_random(COUNT, 3, 0, 1), scaled[COUNT], logits[3][8], after[8];
    ck_ok(amun_context_create(&ctx, NULL));
    opts.seed = 5;
    ck_ok(amun_model_create(&plain, ctx, "resnet8-nobn", &opts));
    opts.mean = 0.25;
    opts.std = 0.125;
    ck_ok(amun_model_create(&model, ctx, "resnet8-nobn", &opts));
    ck_ok(amun_model_save(model, path));
    ck_ok(amun_model_load(&again, ctx, path));
    for (int i = 0; i < COUNT; i++) {
        scaled[i] = (x[i] - 0.25F) * 8;
    }
    predict_two(plain, scaled, logits[0]);
    predict_two(model, x, logits[1]);
    predict_two(again, x, logits[2]);
    for (int i = 0; i < 8; i++) {
        ck_assert_float_eq_tol(logits[0][i], logits[1][i], 1e-5F);
        ck_assert_float_eq(logits[1][i], logits[2][i]);
    }
    ck_fails(amun_model_load_weights(plain, path), AMUN_ERROR_FORMAT, "std 0.125");
    predict_two(plain, scaled, after);
    ck_assert_mem_eq(after, logits[0], sizeof after);
    ck_ok(amun_model_load_weights(again, path));
    opts.std = 0;
    amun_model *none = NULL;
    ck_fails(amun_model_create(&none, ctx, "resnet8-nobn", &opts), AMUN_ERROR_INVALID_ARGUMENT,
             "std");
    amun_model_unref(plain);
    amun_model_unref(model);
    amun_model_unref(again);
    amun_context_unref(ctx);
    free(x);
    (void)unlink(path);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("arch");
    tcase_add_test(tc, test_parameter_counts);
    tcase_add_test(tc, test_torchvision_names);
    tcase_add_test(tc, test_cifar_names);
    tcase_add_test(tc, test_without_batchnorm);
    tcase_add_test(tc, test_halved_blocks);
    tcase_add_test(tc, test_other_sizes);
    tcase_add_test(tc, test_refused);
    tcase_add_test(tc, test_out_of_memory);
    tcase_add_test(tc, test_runs);
    tcase_add_test(tc, test_normalised);
    return amun_test_main("arch", (TCase *[]){tc, NULL});
}
