/* views.c - predictions from several views of an image, summed. A view is strides into the images,
 * for moved ones into a copy with an edge of reflected pixels: nothing is copied per view. */
#include "views.h"

/* Weights of the six, of which the moved ones count half; down and right by this, plus the edge. */
static const struct view {
    bool mirrored;
    int move;
    float weight;
} views[EX_VIEWS_SIX] = {{false, 0, 1.0F}, {true, 0, 1.0F},  {false, -1, 0.5F},
                         {true, -1, 0.5F}, {false, 1, 0.5F}, {true, 1, 0.5F}};

/* The images with `edge` reflected pixels around. */
static float *with_edge(const float *images, size_t planes, size_t height, size_t width)
{
    size_t high = height + 2, wide = width + 2;
    float *copy = ex_alloc(planes * high * wide, sizeof *copy);
    for (size_t p = 0; p < planes; p++) {
        float *to = copy + p * high * wide;
        for (size_t y = 0; y < high; y++, to += wide) {
            size_t row = y == 0 ? 1 : y > height ? height - 2 : y - 1;
            const float *from = images + (p * height + row) * width;
            memcpy(to + 1, from, width * sizeof *to);
            to[0] = from[1];
            to[wide - 1] = from[width - 2];
        }
    }
    return copy;
}

/* Adds the logits of one view, as they are, to `sum`. */
static void add_view(const amun_model *model, amun_tensor_view images, const struct view *view,
                     float *logits, float *sum, const amun_call_options *call)
{
    size_t values = (size_t)(images.shape[0] * amun_model_classes(model));
    int64_t shape[2] = {images.shape[0], amun_model_classes(model)};
    char *first = images.data;
    first += view->move * (images.strides[2] + images.strides[3]);
    if (view->mirrored) {
        first += (images.shape[3] - 1) * images.strides[3];
        images.strides[3] = -images.strides[3];
    }
    images.data = first;
    amun_tensor_view out;
    ex_check(amun_tensor_view_init(&out, logits, AMUN_DTYPE_F32, 2, shape));
    ex_check(amun_model_predict(model, &images, &out, call));
    for (size_t i = 0; i < values; i++) {
        sum[i] += view->weight * logits[i];
    }
}

/* Adds the views from `begin` to before `end`. */
static void add_views(const amun_model *model, const float *images, size_t count,
                      const int64_t shape[3], int begin, int end, float *sum, ex_progress *progress)
{
    float *logits = ex_alloc(count * (size_t)amun_model_classes(model), sizeof *logits);
    float *wider = NULL;
    amun_tensor_view in;
    int64_t full[4] = {(int64_t)count, shape[0], shape[1], shape[2]};
    if (end > EX_VIEWS_MIRROR) {
        if (shape[1] < 2 || shape[2] < 2) {
            ex_usage("--views: images of %lld x %lld have no neighbouring pixels",
                     (long long)shape[1], (long long)shape[2]);
        }
        wider = with_edge(images, count * (size_t)shape[0], (size_t)shape[1], (size_t)shape[2]);
        full[2] += 2;
        full[3] += 2;
    }
    ex_check(amun_tensor_view_init(&in, wider != NULL ? wider : (float *)(uintptr_t)images,
                                   AMUN_DTYPE_F32, 4, full));
    if (wider != NULL) {
        in.shape[2] = shape[1];
        in.shape[3] = shape[2];
        in.data = wider + shape[2] + 3;
    }
    for (int v = begin; v < end; v++) {
        if (progress != NULL) {
            progress->outer = (uint64_t)(v - begin);
            progress->outer_total = (uint64_t)(end - begin);
        }
        add_view(model, in, &views[v], logits, sum, progress != NULL ? &progress->call : NULL);
    }
    free(logits);
    free(wider);
}

void ex_views_predict(const amun_model *model, const float *images, size_t count,
                      const int64_t shape[3], int count_of_views, float *logits,
                      ex_progress *progress)
{
    size_t values = count * (size_t)amun_model_classes(model);
    float total = 0.0F;
    memset(logits, 0, values * sizeof *logits);
    for (int v = 0; v < count_of_views; v++) {
        total += views[v].weight;
    }
    add_views(model, images, count, shape, 0, count_of_views, logits, progress);
    for (size_t i = 0; i < values; i++) {
        logits[i] /= total;
    }
}

double ex_accuracy(const float *logits, const int64_t *labels, size_t count, size_t classes)
{
    size_t right = 0;
    for (size_t i = 0; i < count; i++) {
        right += ex_argmax(logits + i * classes, classes) == labels[i];
    }
    return 100.0 * (double)right / (double)count;
}

void ex_views_accuracy(double *mirrored, double *six, const amun_model *model, const ex_data *data)
{
    enum { AT_ONCE = 256 };
    const int64_t *s = data->shape;
    size_t count = amun_dataset_count(data->test), classes = (size_t)data->classes;
    size_t pixels = (size_t)(s[0] * s[1] * s[2]);
    float *images = ex_alloc(AT_ONCE * pixels, sizeof *images);
    float *sums = ex_alloc(AT_ONCE * classes, sizeof *sums);
    int64_t labels[AT_ONCE];
    double right[2] = {0.0, 0.0};
    for (size_t first = 0; first < count; first += AT_ONCE) {
        size_t n = count - first < AT_ONCE ? count - first : AT_ONCE;
        ex_check(amun_dataset_read(data->test, first, n, images));
        ex_check(amun_dataset_labels(data->test, first, n, labels));
        memset(sums, 0, n * classes * sizeof *sums);
        add_views(model, images, n, s, 0, EX_VIEWS_MIRROR, sums, NULL);
        right[0] += (double)n * ex_accuracy(sums, labels, n, classes);
        add_views(model, images, n, s, EX_VIEWS_MIRROR, EX_VIEWS_SIX, sums, NULL);
        right[1] += (double)n * ex_accuracy(sums, labels, n, classes);
    }
    *mirrored = right[0] / (double)count;
    *six = right[1] / (double)count;
    free(images);
    free(sums);
}
