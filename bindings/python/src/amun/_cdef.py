"""The C interface. Written by gen_cdef.py from include/amun/*.h; do not edit."""

CDEF = """
#define AMUN_VERSION_MAJOR 0
#define AMUN_VERSION_MINOR 1
#define AMUN_VERSION_PATCH 0
#define AMUN_ABI_MAJOR 0
#define AMUN_ABI_MINOR 1
#define AMUN_MAX_NDIM 8
#define AMUN_VIEW_READONLY 1
#define AMUN_ATTACK_MARGIN_FALLBACK 1
#define AMUN_ATTACK_RETRIED 2
#define AMUN_ATTACK_BY_APGD_CE 4
#define AMUN_ATTACK_BY_APGD_T 8
#define AMUN_ATTACK_BY_SQUARE 16
#define AMUN_ATTACK_LEGACY_CLAMP 32

/* base.h */
typedef int32_t amun_status;
enum {
    AMUN_OK = 0,
    AMUN_ERROR_INVALID_ARGUMENT = -1,
    AMUN_ERROR_OUT_OF_MEMORY = -2,
    AMUN_ERROR_IO = -3,
    AMUN_ERROR_FORMAT = -4,
    AMUN_ERROR_UNSUPPORTED = -5,
    AMUN_ERROR_SHAPE = -6,
    AMUN_ERROR_STATE = -7,
    AMUN_ERROR_BUSY = -8,
    AMUN_ERROR_CANCELLED = -9,
    AMUN_ERROR_NUMERIC = -10,
    AMUN_ERROR_BACKEND = -11,
    AMUN_ERROR_NOT_FOUND = -12,
    AMUN_ERROR_INTERNAL = -99,
};
typedef int32_t amun_dtype;
enum {
    AMUN_DTYPE_F32 = 1,
    AMUN_DTYPE_F64 = 2,
    AMUN_DTYPE_F16 = 3,
    AMUN_DTYPE_BF16 = 4,
    AMUN_DTYPE_U8 = 5,
    AMUN_DTYPE_I32 = 6,
    AMUN_DTYPE_I64 = 7,
    AMUN_DTYPE_BOOL = 8,
};
typedef struct amun_progress {
    size_t struct_size;
    const char *phase;
    uint64_t step;
    uint64_t total;
    double loss;
    double metric;
    double seconds;
} amun_progress;
typedef int32_t (*amun_progress_fn)(const amun_progress *progress, void *user_data);
typedef struct amun_call_options {
    size_t struct_size;
    amun_progress_fn progress;
    void *user_data;
    int32_t min_interval_ms;
    int32_t reserved0;
} amun_call_options;
amun_status amun_call_options_init(amun_call_options *opts, size_t size);
const char *amun_status_string(amun_status status);
const char *amun_last_error_message(void);
uint32_t amun_version(void);
const char *amun_version_string(void);
uint32_t amun_abi_version(void);
const char *amun_build_info_json(void);

/* context.h */
typedef struct amun_context amun_context;
typedef void *(*amun_alloc_fn)(void *user_data, size_t size, size_t align);
typedef void (*amun_free_fn)(void *user_data, void *ptr, size_t size, size_t align);
typedef int32_t amun_conv_choice;
enum {
    AMUN_CONV_AUTO = 0,
    AMUN_CONV_DIRECT = 1,
    AMUN_CONV_WINOGRAD = 2,
    AMUN_CONV_OWN = 3,
};
typedef int32_t amun_precision;
enum {
    AMUN_PRECISION_AUTO = 0,
    AMUN_PRECISION_F32 = 1,
    AMUN_PRECISION_BF16 = 2,
};
typedef struct amun_context_options {
    size_t struct_size;
    amun_alloc_fn alloc;
    amun_free_fn free;
    void *allocator_data;
    uint64_t memory_limit;
    int32_t threads;
    int32_t reserved0;
    const char *tune_cache;
    amun_conv_choice conv;
    amun_precision precision;
} amun_context_options;
typedef struct amun_memory_stats {
    size_t struct_size;
    uint64_t current;
    uint64_t peak;
    uint64_t blocks;
} amun_memory_stats;
amun_status amun_context_options_init(amun_context_options *opts, size_t size);
amun_status amun_context_create(amun_context **ctx, const amun_context_options *opts);
amun_context *amun_context_ref(amun_context *ctx);
void amun_context_unref(amun_context *ctx);
amun_status amun_context_set_threads(amun_context *ctx, int32_t threads);
int32_t amun_context_get_threads(const amun_context *ctx);
typedef int32_t amun_log_level;
enum {
    AMUN_LOG_SILENT = 0,
    AMUN_LOG_WARNING = 1,
    AMUN_LOG_INFO = 2,
    AMUN_LOG_DEBUG = 3,
};
typedef void (*amun_log_fn)(amun_log_level level, const char *message, void *user_data);
amun_status amun_context_set_log(amun_context *ctx, amun_log_fn fn, void *user_data, amun_log_level level);
amun_status amun_context_set_memory_limit(amun_context *ctx, uint64_t bytes);
amun_status amun_context_get_memory(const amun_context *ctx, amun_memory_stats *stats);

/* tensor.h */
typedef struct amun_tensor_view {
    void *data;
    int32_t dtype;
    int32_t ndim;
    uint32_t flags;
    uint32_t reserved;
    int64_t shape[AMUN_MAX_NDIM];
    int64_t strides[AMUN_MAX_NDIM];
} amun_tensor_view;
amun_status amun_tensor_view_init(amun_tensor_view *view, void *data, amun_dtype dtype, int32_t ndim, const int64_t *shape);
size_t amun_dtype_size(amun_dtype dtype);

/* dataset.h */
typedef struct amun_dataset amun_dataset;
typedef void (*amun_release_fn)(void *user_data);
amun_status amun_dataset_open_view(amun_dataset **ds, amun_context *ctx, const amun_tensor_view *images, const amun_tensor_view *labels, int64_t classes, amun_release_fn release, void *user_data);
amun_status amun_dataset_open_cifar10(amun_dataset **ds, amun_context *ctx, const char *path, const char *split);
amun_status amun_dataset_open_cifar100(amun_dataset **ds, amun_context *ctx, const char *path, const char *split);
amun_status amun_dataset_open_idx(amun_dataset **ds, amun_context *ctx, const char *images, const char *labels);
amun_status amun_dataset_open_npy(amun_dataset **ds, amun_context *ctx, const char *images, const char *labels);
amun_status amun_dataset_subset(amun_dataset **ds, amun_dataset *parent, const int64_t *indices, size_t count);
amun_dataset *amun_dataset_ref(amun_dataset *ds);
void amun_dataset_unref(amun_dataset *ds);
size_t amun_dataset_count(const amun_dataset *ds);
int64_t amun_dataset_classes(const amun_dataset *ds);
amun_status amun_dataset_shape(const amun_dataset *ds, int64_t shape[3]);
amun_status amun_dataset_labels(const amun_dataset *ds, size_t first, size_t count, int64_t *labels);
amun_status amun_dataset_read(const amun_dataset *ds, size_t first, size_t count, float *images);
amun_status amun_forget_indices(int64_t *indices, size_t count, size_t population, uint32_t seed);
amun_status amun_npy_write(amun_context *ctx, const char *path, const amun_tensor_view *view);

/* model.h */
typedef struct amun_graph amun_graph;
typedef int32_t amun_node;
typedef int32_t amun_padding;
enum {
    AMUN_PADDING_ZERO = 1,
    AMUN_PADDING_CIRCULAR = 2,
    AMUN_PADDING_REFLECT = 3,
    AMUN_PADDING_REPLICATE = 4,
};
typedef struct amun_conv2d_options {
    size_t struct_size;
    int64_t channels;
    int64_t kernel_h, kernel_w;
    int64_t stride_h, stride_w;
    int64_t pad_h, pad_w;
    int64_t dilation_h, dilation_w;
    int64_t groups;
    int32_t bias;
    amun_padding padding;
} amun_conv2d_options;
amun_status amun_conv2d_options_init(amun_conv2d_options *opts, size_t size);
typedef struct amun_pool_options {
    size_t struct_size;
    int64_t kernel_h, kernel_w;
    int64_t stride_h, stride_w;
    int64_t pad_h, pad_w;
} amun_pool_options;
amun_status amun_pool_options_init(amun_pool_options *opts, size_t size);
amun_status amun_graph_create(amun_graph **graph, amun_context *ctx, int64_t channels, int64_t height, int64_t width);
amun_graph *amun_graph_ref(amun_graph *graph);
void amun_graph_unref(amun_graph *graph);
amun_status amun_graph_conv2d(amun_node *node, amun_graph *graph, amun_node src, const char *name, const amun_conv2d_options *opts);
amun_status amun_graph_linear(amun_node *node, amun_graph *graph, amun_node src, const char *name, int64_t features, int32_t bias);
amun_status amun_graph_batchnorm(amun_node *node, amun_graph *graph, amun_node src, const char *name, double eps, double momentum);
amun_status amun_graph_relu(amun_node *node, amun_graph *graph, amun_node src);
amun_status amun_graph_add(amun_node *node, amun_graph *graph, amun_node a, amun_node b);
amun_status amun_graph_scale(amun_node *node, amun_graph *graph, amun_node src, double factor);
amun_status amun_graph_max_pool(amun_node *node, amun_graph *graph, amun_node src, const amun_pool_options *opts);
amun_status amun_graph_avg_pool(amun_node *node, amun_graph *graph, amun_node src, const amun_pool_options *opts);
amun_status amun_graph_global_pool(amun_node *node, amun_graph *graph, amun_node src);
amun_status amun_graph_flatten(amun_node *node, amun_graph *graph, amun_node src);
amun_status amun_graph_concat(amun_node *node, amun_graph *graph, const amun_node *srcs, int32_t count);
amun_status amun_graph_normalise(amun_node *node, amun_graph *graph, amun_node src, const double *mean, const double *std);
typedef struct amun_model amun_model;
typedef struct amun_model_options {
    size_t struct_size;
    int64_t classes;
    int64_t channels;
    int64_t height;
    int64_t width;
    uint64_t seed;
    double mean;
    double std;
} amun_model_options;
amun_status amun_model_options_init(amun_model_options *opts, size_t size);
amun_status amun_model_create(amun_model **model, amun_context *ctx, const char *arch, const amun_model_options *opts);
amun_status amun_model_create_graph(amun_model **model, amun_context *ctx, amun_graph *graph, uint64_t seed);
amun_status amun_model_clone(amun_model **model, const amun_model *source);
amun_model *amun_model_ref(amun_model *model);
void amun_model_unref(amun_model *model);
amun_status amun_model_reset(amun_model *model, uint64_t seed);
amun_status amun_model_load(amun_model **model, amun_context *ctx, const char *path);
amun_status amun_model_load_weights(amun_model *model, const char *path);
amun_status amun_model_save(const amun_model *model, const char *path);
const char *amun_model_arch(const amun_model *model);
int64_t amun_model_classes(const amun_model *model);
amun_status amun_model_shape(const amun_model *model, int64_t shape[3]);
size_t amun_model_parameters(const amun_model *model);
amun_status amun_model_get_tensor(const amun_model *model, const char *name, float *values, size_t count);
amun_status amun_model_set_tensor(amun_model *model, const char *name, const float *values, size_t count);
amun_status amun_model_predict(const amun_model *model, const amun_tensor_view *images, const amun_tensor_view *logits, const amun_call_options *call);
typedef int32_t amun_mode;
enum {
    AMUN_MODE_INFER = 1,
    AMUN_MODE_ATTACK = 2,
    AMUN_MODE_TRAIN = 3,
    AMUN_MODE_TUNE = 4,
};
amun_status amun_model_estimate_memory(const amun_model *model, int64_t batch, amun_mode mode, uint64_t *bytes);

/* search.h */
typedef int32_t amun_norm;
enum {
    AMUN_NORM_L2 = 1,
    AMUN_NORM_LINF = 2,
};
typedef int32_t amun_failure_policy;
enum {
    AMUN_FAILURE_LEAVE_OUT = 1,
    AMUN_FAILURE_KEEP_IN_DF = 2,
    AMUN_FAILURE_ERROR = 3,
    AMUN_FAILURE_RETRY = 4,
};
typedef int32_t amun_search_method;
enum {
    AMUN_SEARCH_EPSILON = 1,
    AMUN_SEARCH_DDN = 2,
    AMUN_SEARCH_FMN = 3,
};
typedef struct amun_search_options {
    size_t struct_size;
    amun_norm norm;
    int32_t steps;
    double eps0;
    double growth;
    double step_divisor;
    double eps_max;
    int32_t restart;
    int32_t margin_fallback;
    amun_failure_policy on_failure;
    int32_t batch;
    uint64_t seed;
    amun_search_method method;
    int32_t pilot;
    double pilot_eps;
    double pilot_percentile;
    double init_norm;
    double gamma;
    double gamma_final;
    double alpha;
    double alpha_final;
} amun_search_options;
amun_status amun_search_options_init(amun_search_options *opts, size_t size);

/* attack.h */
typedef struct amun_attack amun_attack;
typedef struct amun_fgsm_options {
    size_t struct_size;
    double eps;
    int32_t batch;
    int32_t reserved0;
} amun_fgsm_options;
amun_status amun_fgsm_options_init(amun_fgsm_options *opts, size_t size);
typedef struct amun_ffgsm_options {
    size_t struct_size;
    double eps;
    double step;
    uint64_t seed;
    int32_t batch;
    int32_t reserved0;
} amun_ffgsm_options;
amun_status amun_ffgsm_options_init(amun_ffgsm_options *opts, size_t size);
typedef struct amun_pgd_options {
    size_t struct_size;
    double eps;
    double step;
    int32_t steps;
    int32_t random_start;
    uint64_t seed;
    int32_t batch;
    int32_t legacy_normalised_clamp;
} amun_pgd_options;
amun_status amun_pgd_linf_options_init(amun_pgd_options *opts, size_t size);
amun_status amun_pgd_l2_options_init(amun_pgd_options *opts, size_t size);
typedef struct amun_mim_options {
    size_t struct_size;
    double eps;
    double step;
    double decay;
    int32_t steps;
    int32_t batch;
} amun_mim_options;
amun_status amun_mim_options_init(amun_mim_options *opts, size_t size);
typedef int32_t amun_attack_loss;
enum {
    AMUN_ATTACK_LOSS_CE = 1,
    AMUN_ATTACK_LOSS_DLR = 2,
    AMUN_ATTACK_LOSS_DLR_TARGETED = 3,
};
typedef struct amun_apgd_options {
    size_t struct_size;
    amun_norm norm;
    amun_attack_loss loss;
    double eps;
    double rho;
    double momentum;
    int32_t steps;
    int32_t restarts;
    int32_t targets;
    int32_t random_start;
    uint64_t seed;
    int32_t stop_at_flip;
    int32_t batch;
} amun_apgd_options;
amun_status amun_apgd_options_init(amun_apgd_options *opts, size_t size);
typedef struct amun_square_options {
    size_t struct_size;
    amun_norm norm;
    int32_t queries;
    double eps;
    double p_init;
    uint64_t seed;
    int32_t batch;
    int32_t reserved0;
} amun_square_options;
amun_status amun_square_options_init(amun_square_options *opts, size_t size);
typedef struct amun_standard_options {
    size_t struct_size;
    amun_norm norm;
    int32_t steps;
    double eps;
    int32_t targets;
    int32_t queries;
    uint64_t seed;
    int32_t batch;
    int32_t reserved0;
} amun_standard_options;
amun_status amun_standard_options_init(amun_standard_options *opts, size_t size);
amun_status amun_attack_create_fgsm(amun_attack **attack, amun_context *ctx, const amun_fgsm_options *opts);
amun_status amun_attack_create_ffgsm(amun_attack **attack, amun_context *ctx, const amun_ffgsm_options *opts);
amun_status amun_attack_create_pgd_linf(amun_attack **attack, amun_context *ctx, const amun_pgd_options *opts);
amun_status amun_attack_create_pgd_l2(amun_attack **attack, amun_context *ctx, const amun_pgd_options *opts);
amun_status amun_attack_create_search(amun_attack **attack, amun_context *ctx, const amun_search_options *opts);
amun_status amun_attack_create_mim(amun_attack **attack, amun_context *ctx, const amun_mim_options *opts);
amun_status amun_attack_create_apgd(amun_attack **attack, amun_context *ctx, const amun_apgd_options *opts);
amun_status amun_attack_create_square(amun_attack **attack, amun_context *ctx, const amun_square_options *opts);
amun_status amun_attack_create_standard(amun_attack **attack, amun_context *ctx, const amun_standard_options *opts);
amun_attack *amun_attack_ref(amun_attack *attack);
void amun_attack_unref(amun_attack *attack);
typedef int32_t amun_clamp;
enum {
    AMUN_CLAMP_PIXELS = 1,
    AMUN_CLAMP_NORMALISED = 2,
};
amun_clamp amun_attack_clamp(const amun_attack *attack);
typedef int32_t amun_attack_outcome;
enum {
    AMUN_ATTACK_FLIPPED = 1,
    AMUN_ATTACK_NOT_FLIPPED = 2,
    AMUN_ATTACK_FAILED_CAP = 3,
    AMUN_ATTACK_FAILED_GRADIENT = 4,
    AMUN_ATTACK_FAILED_NUMERIC = 5,
    AMUN_ATTACK_FAILED_BUDGET = 6,
};
typedef struct amun_attack_record {
    int64_t index;
    int32_t label;
    int32_t predicted;
    int32_t adversarial;
    amun_attack_outcome outcome;
    double eps;
    double l2, linf;
    int32_t updates;
    uint32_t flags;
    uint64_t input_hash;
} amun_attack_record;
amun_status amun_attack_run(amun_attack *attack, const amun_model *model, const amun_tensor_view *images, const amun_tensor_view *labels, const int64_t *ids, const amun_tensor_view *adversarial, amun_attack_record *records, const amun_call_options *call);
typedef struct amun_advset amun_advset;
amun_status amun_advset_build(amun_advset **set, amun_attack *attack, const amun_model *model, const amun_dataset *data, const int64_t *indices, size_t count, const amun_call_options *call);
amun_status amun_advset_save(const amun_advset *set, const char *path);
amun_status amun_advset_load(amun_advset **set, const amun_dataset *data, const char *path, amun_context *ctx);
amun_advset *amun_advset_ref(amun_advset *set);
void amun_advset_unref(amun_advset *set);
size_t amun_advset_count(const amun_advset *set);
size_t amun_advset_found(const amun_advset *set);
const amun_attack_record *amun_advset_records(const amun_advset *set);
amun_status amun_advset_image(const amun_advset *set, size_t i, float *image);

/* audit.h */
typedef int32_t amun_miann_features;
enum {
    AMUN_MIANN_LOGITS = 1,
    AMUN_MIANN_LOGPROBS = 2,
    AMUN_MIANN_PROBS = 3,
    AMUN_MIANN_SCALAR = 4,
};
typedef int32_t amun_miann_kernel;
enum {
    AMUN_MIANN_LINEAR = 1,
    AMUN_MIANN_RBF = 2,
    AMUN_MIANN_HINGE = 3,
};
typedef struct amun_miann_options {
    size_t struct_size;
    amun_miann_features features;
    amun_miann_kernel kernel;
    double c;
    double fit_share;
    int32_t top_m;
    int32_t reserved0;
    uint64_t seed;
} amun_miann_options;
amun_status amun_miann_options_init(amun_miann_options *opts, size_t size);
typedef struct amun_miann {
    size_t struct_size;
    int64_t neighbour;
    int64_t models;
    double score;
    double retrained;
    double gap;
    double null_mean;
    double null_sd;
    double top_gap;
    double top_null_mean, top_null_sd;
    double vote_share;
    double sanity;
    double sanity_retrained;
} amun_miann;
amun_status amun_miann_compute(amun_miann *result, double *accuracy, double *sanity, const amun_tensor_view *retrained, const amun_tensor_view *unlearned, const amun_tensor_view *labels, const int64_t *forget, size_t n_forget, const amun_miann_options *opts);
typedef struct amun_c2st_options {
    size_t struct_size;
    int32_t folds;
    int32_t reserved0;
    double ridge;
    uint64_t seed;
} amun_c2st_options;
amun_status amun_c2st_options_init(amun_c2st_options *opts, size_t size);
typedef struct amun_c2st {
    size_t struct_size;
    int64_t models, rows;
    double all;
    double retained;
    double all_null_mean;
    double all_null_sd;
    double retained_null_mean, retained_null_sd;
} amun_c2st;
amun_status amun_c2st_compute(amun_c2st *result, const amun_tensor_view *retrained, const amun_tensor_view *unlearned, const amun_tensor_view *labels, const int64_t *forget, size_t n_forget, const amun_c2st_options *opts);
amun_status amun_ulira_phi(double *phi, const amun_tensor_view *logits, const amun_tensor_view *labels);
typedef int32_t amun_ulira_variance;
enum {
    AMUN_ULIRA_PER_SAMPLE = 1,
    AMUN_ULIRA_POOLED = 2,
    AMUN_ULIRA_GLOBAL_REF = 3,
};
typedef int32_t amun_ulira_centre;
enum {
    AMUN_ULIRA_CENTRE_AUTO = 1,
    AMUN_ULIRA_CENTRE_MEAN = 2,
    AMUN_ULIRA_CENTRE_MEDIAN = 3,
};
typedef int32_t amun_ulira_holdout;
enum {
    AMUN_ULIRA_EACH = 1,
    AMUN_ULIRA_LAST = 2,
};
typedef int32_t amun_ulira_score;
enum {
    AMUN_ULIRA_OWN = 1,
    AMUN_ULIRA_NEIGHBOUR = 2,
    AMUN_ULIRA_JOINT = 3,
};
typedef struct amun_ulira_options {
    size_t struct_size;
    amun_ulira_variance variance;
    amun_ulira_centre centre;
    amun_ulira_holdout holdout;
    amun_ulira_score score;
    double floor;
    int64_t neighbour;
} amun_ulira_options;
amun_status amun_ulira_options_init(amun_ulira_options *opts, size_t size);
typedef struct amun_ulira {
    size_t struct_size;
    int64_t unlearned, retrained, rows;
    double auc;
    double balanced_accuracy;
    double flagged;
    double flagged_retrained;
    double gap;
    double null_mean;
    double null_sd;
} amun_ulira;
amun_status amun_ulira_class(amun_ulira *result, const amun_tensor_view *unlearned, const amun_tensor_view *retrained, const amun_tensor_view *released, const amun_tensor_view *labels, const int64_t *forget, size_t n_forget, const amun_ulira_options *opts);
amun_status amun_ulira_class_scores(amun_ulira *result, const double *unlearned, size_t n_unlearned, const double *retrained, size_t n_retrained, const double *released, size_t n, const amun_ulira_options *opts);
enum {
    AMUN_ULIRA_UNSEEN = 0,
    AMUN_ULIRA_UNLEARNED = 1,
    AMUN_ULIRA_MEMBER = 2,
};
typedef struct amun_ulira_samples {
    size_t struct_size;
    int64_t unlearned, unseen;
    double auc, accuracy;
    double tpr_1, tpr_01;
} amun_ulira_samples;
amun_status amun_ulira_sample_scores(amun_ulira_samples *result, double *p, const double *scores, const uint8_t *state, size_t models, const double *target, const uint8_t *truth, size_t n, const amun_ulira_options *opts);
typedef struct amun_distance {
    size_t struct_size;
    int64_t models, rows;
    double tv, tv_null, tv_null_sd;
    double js, js_null, js_null_sd;
    double kl, kl_null, kl_null_sd;
    double routing_tv, routing_tv_null, routing_tv_null_sd;
    double activation, activation_null, activation_null_sd;
} amun_distance;
amun_status amun_distance_compute(amun_distance *result, double *tv_rows, const amun_tensor_view *retrained, const amun_tensor_view *unlearned, const amun_tensor_view *labels, const int64_t *chosen, size_t n_chosen);
amun_status amun_distance_routing(double *shares, const amun_tensor_view *retrained, const amun_tensor_view *unlearned, const amun_tensor_view *labels, const int64_t *chosen, size_t n_chosen);
amun_status amun_distance_zrf(double *zrf, const amun_tensor_view *unlearned, const amun_tensor_view *random);
amun_status amun_distance_klom(double *mean, double *p95, double *rows, const double *unlearned, size_t n_unlearned, const double *retrained, size_t n_retrained, size_t n);
typedef struct amun_svcmia_options {
    size_t struct_size;
    int64_t limit;
    uint64_t seed;
} amun_svcmia_options;
amun_status amun_svcmia_options_init(amun_svcmia_options *opts, size_t size);
typedef struct amun_svcmia {
    size_t struct_size;
    int64_t members, nonmembers, queries;
    int64_t limit;
    uint64_t seed;
    double confidence, correctness, entropy, modified_entropy, probabilities;
} amun_svcmia;
amun_status amun_svcmia_salun(amun_svcmia *result, const amun_tensor_view *remain, const amun_tensor_view *remain_labels, const amun_tensor_view *test, const amun_tensor_view *test_labels, const amun_tensor_view *forget, const amun_tensor_view *forget_labels, const amun_svcmia_options *opts);
amun_status amun_svcmia_kodge(amun_svcmia *result, const amun_tensor_view *remain, const amun_tensor_view *remain_labels, const amun_tensor_view *forget, const amun_tensor_view *forget_labels, const amun_tensor_view *forget_test, const amun_tensor_view *forget_test_labels, const amun_svcmia_options *opts);

/* clip.h */
typedef int32_t amun_clip_method;
enum {
    AMUN_CLIP_BLOCK = 1,
    AMUN_CLIP_LEGACY = 2,
    AMUN_CLIP_SCALE = 3,
    AMUN_CLIP_MIYATO = 4,
    AMUN_CLIP_GOUK = 5,
    AMUN_CLIP_SEDGHI = 6,
    AMUN_CLIP_SENDEROVICH = 7,
    AMUN_CLIP_DELATTRE_2023 = 8,
    AMUN_CLIP_DELATTRE_2024 = 9,
};
typedef int32_t amun_clip_batchnorm;
enum {
    AMUN_CLIP_BATCHNORM_LEAVE = 1,
    AMUN_CLIP_BATCHNORM_HARD = 2,
    AMUN_CLIP_BATCHNORM_SOFT = 3,
    AMUN_CLIP_BATCHNORM_GOUK = 4,
    AMUN_CLIP_BATCHNORM_COMPOSITE = 5,
};
typedef struct amun_clip_options {
    size_t struct_size;
    amun_clip_method method;
    amun_clip_batchnorm batchnorm;
    double target;
    double batchnorm_target;
    double tol;
    int32_t linear;
    int32_t exact;
    int32_t final_scale;
    int32_t max_rounds;
    int32_t block;
    int32_t every;
    int32_t delay;
    int32_t power_iterations;
    int32_t rounds;
    int32_t inner_steps;
    int32_t iterations;
    int32_t reserved0;
    double eta;
    double penalty;
    uint64_t seed;
} amun_clip_options;
amun_status amun_clip_options_init(amun_clip_options *opts, size_t size);
typedef struct amun_clip_result {
    size_t struct_size;
    int64_t layers;
    int64_t changed;
    int64_t rounds;
    double largest;
    double upper;
    double moved;
    double seconds;
} amun_clip_result;
typedef struct amun_clipper amun_clipper;
amun_status amun_clipper_create(amun_clipper **clipper, amun_model *model, const amun_clip_options *opts);
amun_clipper *amun_clipper_ref(amun_clipper *clipper);
void amun_clipper_unref(amun_clipper *clipper);
amun_status amun_clipper_run(amun_clip_result *result, amun_clipper *clipper, const amun_call_options *call);
amun_status amun_clipper_step(amun_clip_result *result, amun_clipper *clipper);

/* train.h */
typedef int32_t amun_schedule;
enum {
    AMUN_SCHEDULE_CONSTANT = 1,
    AMUN_SCHEDULE_STEP = 2,
    AMUN_SCHEDULE_COSINE = 3,
    AMUN_SCHEDULE_ONECYCLE = 4,
};
typedef int32_t amun_optimiser;
enum {
    AMUN_OPTIMISER_SGD = 1,
    AMUN_OPTIMISER_ADAM = 2,
};
typedef struct amun_train_options {
    size_t struct_size;
    int32_t epochs;
    int32_t batch;
    double lr;
    double momentum;
    double weight_decay;
    int32_t nesterov;
    amun_schedule schedule;
    int32_t step_epochs;
    int32_t augment_pad;
    double gamma;
    double warmup;
    double final_factor;
    double label_smoothing;
    int32_t augment_flip;
    int32_t checkpoint_every;
    uint64_t seed;
    const char *checkpoint;
    const amun_clip_options *clip;
    amun_optimiser optimiser;
    int32_t augment_cutout;
} amun_train_options;
amun_status amun_train_options_init(amun_train_options *opts, size_t size);
typedef struct amun_train_result {
    size_t struct_size;
    double loss;
    double accuracy;
    double seconds;
    int64_t epochs;
    int64_t samples;
} amun_train_result;
amun_status amun_train_run(amun_train_result *result, amun_model *model, const amun_dataset *data, const int64_t *indices, size_t count, const amun_train_options *opts, const amun_call_options *call);
amun_status amun_model_evaluate(double *accuracy, double *loss, const amun_model *model, const amun_dataset *data, const int64_t *indices, size_t count, const amun_call_options *call);
amun_status amun_features_width(int64_t *width, const amun_model *model, int32_t stage);
amun_status amun_features_compute(float *features, const amun_model *model, const amun_dataset *data, const int64_t *indices, size_t count, int32_t stage, const amun_call_options *call);

/* ensemble.h */
typedef struct amun_ensemble amun_ensemble;
amun_status amun_ensemble_create(amun_ensemble **ensemble, amun_context *ctx, amun_model *const *models, size_t count);
amun_ensemble *amun_ensemble_ref(amun_ensemble *ensemble);
void amun_ensemble_unref(amun_ensemble *ensemble);
size_t amun_ensemble_count(const amun_ensemble *ensemble);
amun_model *amun_ensemble_model(const amun_ensemble *ensemble, size_t i);
amun_status amun_ensemble_predict(const amun_ensemble *ensemble, const amun_tensor_view *images, const amun_tensor_view *logits, const amun_call_options *call);
amun_status amun_ensemble_evaluate(double *accuracy, double *loss, const amun_ensemble *ensemble, const amun_dataset *data, const int64_t *indices, size_t count, const amun_call_options *call);
amun_status amun_ensemble_attack(amun_attack *attack, const amun_ensemble *ensemble, const amun_tensor_view *images, const amun_tensor_view *labels, const int64_t *ids, const amun_tensor_view *adversarial, amun_attack_record *records, const amun_call_options *call);
amun_status amun_ensemble_save(const amun_ensemble *ensemble, const char *folder);
amun_status amun_ensemble_load(amun_ensemble **ensemble, amun_context *ctx, const char *folder);
typedef int32_t amun_ensemble_method;
enum {
    AMUN_ENSEMBLE_PLAIN = 1,
    AMUN_ENSEMBLE_PGD_AT = 2,
    AMUN_ENSEMBLE_TRADES = 3,
    AMUN_ENSEMBLE_ADP = 4,
    AMUN_ENSEMBLE_GAL = 5,
    AMUN_ENSEMBLE_TRS = 6,
    AMUN_ENSEMBLE_DVERGE = 7,
};
typedef struct amun_layer_pair {
    const char *layer_a, *layer_b;
    int32_t model_a, model_b;
} amun_layer_pair;
typedef int32_t amun_lotos_match;
enum {
    AMUN_LOTOS_MATCH_BY_INDEX = 1,
    AMUN_LOTOS_MATCH_FIRST_ONLY = 2,
    AMUN_LOTOS_MATCH_BY_INPUT_SHAPE = 3,
    AMUN_LOTOS_MATCH_PAIRS = 4,
};
typedef struct amun_lotos_options {
    size_t struct_size;
    int32_t k;
    amun_lotos_match match;
    int32_t mean;
    int32_t batchnorm;
    double lambda;
    double mal;
    double batchnorm_lambda;
    double batchnorm_mal;
    double decay;
    int32_t block;
    int32_t power_iterations;
    int32_t initial_iterations;
    int32_t every;
    const amun_layer_pair *pairs;
    size_t pair_count;
    uint64_t seed;
} amun_lotos_options;
amun_status amun_lotos_options_init(amun_lotos_options *opts, size_t size);
typedef struct amun_ensemble_train_options {
    size_t struct_size;
    amun_ensemble_method method;
    int32_t attack_steps;
    const amun_train_options *train;
    const amun_lotos_options *lotos;
    double attack_eps;
    double attack_step;
    double trades_beta;
    double adp_alpha;
    double adp_beta;
    double gal_lambda;
    double trs_cosine;
    double trs_smooth;
    int32_t trs_l2;
    int32_t dverge_own;
    uint64_t seed;
} amun_ensemble_train_options;
amun_status amun_ensemble_train_options_init(amun_ensemble_train_options *opts, size_t size);
amun_status amun_ensemble_train(amun_train_result *result, amun_ensemble *ensemble, const amun_dataset *data, const int64_t *indices, size_t count, const amun_ensemble_train_options *opts, const amun_call_options *call);
typedef struct amun_transfer_result {
    size_t struct_size;
    double transfer;
    double success;
    double robust;
    int64_t samples;
    int64_t terms;
    int64_t failed;
    int64_t target_right;
    amun_clamp clamp;
    int32_t reserved0;
} amun_transfer_result;
amun_status amun_transfer_run(amun_transfer_result *result, double *rates, int64_t *eligible, amun_model *const *models, size_t count, amun_attack *attack, const amun_dataset *data, const int64_t *indices, size_t n, const amun_call_options *call);
amun_status amun_transfer_black_box(amun_transfer_result *result, double *rates, int64_t *eligible, double *robust, amun_model *const *surrogates, size_t count, amun_attack *attack, const amun_ensemble *target, const amun_dataset *data, const int64_t *indices, size_t n, const amun_call_options *call);
amun_status amun_transfer_white_box(amun_transfer_result *result, amun_attack *attack, const amun_ensemble *target, const amun_dataset *data, const int64_t *indices, size_t n, const amun_call_options *call);
typedef struct amun_certificate {
    size_t struct_size;
    int64_t samples;
    int64_t right;
    int64_t certified;
    double accuracy;
    double radius;
} amun_certificate;
amun_status amun_transfer_certify(amun_certificate *result, double *radii, const amun_ensemble *target, const double *lipschitz, double eps, const amun_dataset *data, const int64_t *indices, size_t n, const amun_call_options *call);
typedef struct amun_transfer_gap {
    size_t struct_size;
    double clean[2];
    double attacked[2];
    double moved;
    double bound;
    int64_t samples;
} amun_transfer_gap;
amun_status amun_transfer_bound(amun_transfer_gap *result, const amun_model *attacked, const amun_model *judge, const double lipschitz[2], double eps, amun_attack *attack, const amun_dataset *data, const int64_t *indices, size_t n, const amun_call_options *call);

/* mia.h */
typedef int32_t amun_signal;
enum {
    AMUN_SIGNAL_SOFTMAX = 1,
    AMUN_SIGNAL_TAYLOR = 2,
    AMUN_SIGNAL_SOFT_MARGIN = 3,
    AMUN_SIGNAL_TAYLOR_SOFT_MARGIN = 4,
    AMUN_SIGNAL_LOG_LOGIT = 5,
};
typedef int32_t amun_rmia_mode;
enum {
    AMUN_RMIA_ONLINE = 1,
    AMUN_RMIA_OFFLINE = 2,
};
typedef int32_t amun_rmia_population;
enum {
    AMUN_RMIA_POOL = 1,
    AMUN_RMIA_TEST_ONLY = 2,
};
typedef struct amun_rmia_options {
    size_t struct_size;
    amun_signal signal;
    int32_t taylor_degree;
    double temperature;
    double margin;
    double gamma;
    amun_rmia_mode mode;
    amun_rmia_population population;
    double offline_a;
    double trim;
} amun_rmia_options;
amun_status amun_rmia_options_init(amun_rmia_options *opts, size_t size);
amun_status amun_signal_compute(double *signal, size_t *nonpositive, const amun_tensor_view *logits, const amun_tensor_view *labels, const amun_rmia_options *opts);
amun_status amun_rmia_scores(double *scores, const double *target, const double *references, const uint8_t *included, const uint8_t *population, size_t models, size_t n, const amun_rmia_options *opts);
amun_status amun_auc_compute(double *auc, const double *positives, size_t n_positives, const double *negatives, size_t n_negatives);
amun_status amun_tpr_at_fpr(double *tpr, const double *positives, size_t n_positives, const double *negatives, size_t n_negatives, double fpr);
amun_status amun_rmia_inclusion(uint8_t *included, size_t models, size_t n, uint32_t seed);
amun_status amun_svc_features(double *confidence, double *entropy, double *modified_entropy, const amun_tensor_view *logits, const amun_tensor_view *labels);
amun_status amun_svc_mis(double *mis, const double *members, const double *nonmembers, size_t n_each, const double *forget, size_t n_forget);
typedef struct amun_mia amun_mia;
typedef struct amun_mia_options {
    size_t struct_size;
    int32_t references;
    int32_t subsamples;
    uint64_t seed;
    const amun_rmia_options *rmia;
} amun_mia_options;
amun_status amun_mia_options_init(amun_mia_options *opts, size_t size);
amun_status amun_mia_create(amun_mia **mia, amun_context *ctx, amun_dataset *train, amun_dataset *test, const amun_mia_options *opts);
amun_mia *amun_mia_ref(amun_mia *mia);
void amun_mia_unref(amun_mia *mia);
amun_status amun_mia_train_references(amun_mia *mia, const amun_model *like, const amun_train_options *opts, const char *dir, const amun_call_options *call);
amun_status amun_mia_set_reference(amun_mia *mia, int32_t number, const amun_tensor_view *logits);
const uint8_t *amun_mia_inclusion(const amun_mia *mia);
typedef struct amun_audit {
    size_t struct_size;
    double ua, ra, ta;
    double ft_auc, fr_auc, rt_auc;
    double ft_auc_sd;
    double ft_tpr_1, ft_tpr_01;
    double mis;
    double seconds;
    int64_t nonpositive;
    int64_t references;
} amun_audit;
amun_status amun_mia_audit(amun_audit *audit, amun_mia *mia, const amun_model *model, const int64_t *forget, size_t count, const amun_call_options *call);
typedef struct amun_report amun_report;
amun_status amun_report_create(amun_report **report, amun_context *ctx, const char *dataset, const char *arch, size_t forget_count, int32_t references);
amun_report *amun_report_ref(amun_report *report);
void amun_report_unref(amun_report *report);
amun_status amun_report_add(amun_report *report, const char *method, uint64_t seed, const amun_audit *audit, double seconds);
amun_status amun_report_add_provenance(amun_report *report, const char *key, const char *json);
amun_status amun_report_get(const amun_report *report, const char *method, amun_audit *mean, amun_audit *sd, double *seconds);
amun_status amun_report_table(const amun_report *report, char *buf, size_t cap, size_t *needed);
amun_status amun_report_write(const amun_report *report, const char *path);

/* probe.h */
typedef struct amun_gap {
    size_t struct_size;
    int64_t models;
    double unlearned;
    double retrained;
    double gap;
    double null_mean;
    double null_sd;
} amun_gap;
amun_status amun_gap_compute(amun_gap *result, double unlearned, const double *retrained, size_t models);
typedef struct amun_probe_options {
    size_t struct_size;
    double ridge;
    int64_t limit;
    int32_t stage;
    int32_t reserved;
    uint64_t seed;
} amun_probe_options;
amun_status amun_probe_options_init(amun_probe_options *opts, size_t size);
typedef struct amun_probe {
    size_t struct_size;
    int64_t fitted, tested;
    double forget_accuracy;
    double remain_accuracy;
    double fit_accuracy;
    double auc;
} amun_probe;
amun_status amun_probe_compute(amun_probe *result, double *logits, const amun_tensor_view *fit, const amun_tensor_view *fit_labels, const amun_tensor_view *test, const amun_tensor_view *test_labels, int64_t classes, const int64_t *forget, size_t n_forget, const amun_probe_options *opts);
amun_status amun_probe_model(amun_probe *result, const amun_model *model, const amun_dataset *train, const amun_dataset *test, const int64_t *forget, size_t n_forget, const amun_probe_options *opts, const amun_call_options *call);
typedef int32_t amun_prototype_scale;
enum {
    AMUN_PROTOTYPE_MATCHED = 1,
    AMUN_PROTOTYPE_RAW = 2,
};
typedef struct amun_prototype_options {
    size_t struct_size;
    int32_t samples;
    int32_t draws;
    amun_prototype_scale scale;
    int32_t reserved;
    uint64_t seed;
} amun_prototype_options;
amun_status amun_prototype_options_init(amun_prototype_options *opts, size_t size);
typedef struct amun_prototype {
    size_t struct_size;
    int64_t tested;
    double forget_before, remain_before;
    double forget_accuracy, forget_sd;
    double remain_accuracy, remain_sd;
} amun_prototype;
amun_status amun_prototype_compute( amun_prototype *result, const amun_tensor_view *rows, const amun_tensor_view *bias, const amun_tensor_view *support, const amun_tensor_view *support_labels, const amun_tensor_view *test, const amun_tensor_view *test_labels, const int64_t *forget, size_t n_forget, const amun_prototype_options *opts);
amun_status amun_prototype_model(amun_prototype *result, const amun_model *model, const amun_dataset *train, const amun_dataset *test, const int64_t *forget, size_t n_forget, const amun_prototype_options *opts, const amun_call_options *call);
typedef struct amun_lossmia_options {
    size_t struct_size;
    int32_t splits;
    int32_t reserved;
    double test_share;
    double ridge;
    uint64_t seed;
} amun_lossmia_options;
amun_status amun_lossmia_options_init(amun_lossmia_options *opts, size_t size);
typedef struct amun_lossmia {
    size_t struct_size;
    int64_t rows;
    double accuracy;
    double sd;
    double auc;
} amun_lossmia;
amun_status amun_lossmia_compute(amun_lossmia *result, const double *forget, size_t n_forget, const double *unseen, size_t n_unseen, const amun_lossmia_options *opts);
amun_status amun_lossmia_logits(amun_lossmia *result, const amun_tensor_view *forget, const amun_tensor_view *forget_labels, const amun_tensor_view *unseen, const amun_tensor_view *unseen_labels, const amun_lossmia_options *opts);
typedef struct amun_quality_options {
    size_t struct_size;
    double delta;
    double cap;
    double bin;
    int32_t intervals;
    int32_t reserved;
} amun_quality_options;
amun_status amun_quality_options_init(amun_quality_options *opts, size_t size);
typedef struct amun_quality {
    size_t struct_size;
    int64_t unlearned, retrained, rows;
    double score;
    double epsilon_mean, epsilon_median;
    int64_t capped;
} amun_quality;
amun_status amun_quality_compute(amun_quality *result, double *epsilon, const double *unlearned, size_t n_unlearned, const double *retrained, size_t n_retrained, size_t n, const amun_quality_options *opts);

/* rivals.h */
typedef struct amun_rival_options {
    size_t struct_size;
    int32_t any_label;
    int32_t forget_first;
    double ascent_norm;
    double ascent_floor;
    double retain_weight;
    double boundary_step;
    double l1;
    double scrub_temperature;
    double scrub_gamma;
    double scrub_alpha;
    int32_t scrub_ascent_epochs;
    int32_t scrub_rewind;
    double ssd_alpha;
    double ssd_lambda;
    double svd_retain_alpha;
    double svd_forget_alpha;
    int32_t svd_samples;
    int32_t svd_patches;
    double teacher_share;
    double teacher_temperature;
    int32_t unsir_noise;
    int32_t unsir_noise_steps;
    double unsir_noise_lr;
    double unsir_noise_penalty;
    int32_t unsir_copies;
    int32_t unsir_per_class;
    double unsir_repair_lr;
    int32_t last_blocks;
    int32_t reserved;
} amun_rival_options;
amun_status amun_rival_options_init(amun_rival_options *opts, size_t size);

/* trw.h */
typedef int32_t amun_trw_score;
enum {
    AMUN_TRW_SCORE_SOFTMAX = 1,
    AMUN_TRW_SCORE_COSINE = 2,
};
typedef int32_t amun_trw_control;
enum {
    AMUN_TRW_CONTROL_NONE = 1,
    AMUN_TRW_CONTROL_PERMUTED = 2,
    AMUN_TRW_CONTROL_REVERSED = 3,
    AMUN_TRW_CONTROL_UNIFORM = 4,
    AMUN_TRW_CONTROL_RANKS = 5,
};
typedef struct amun_trw_options {
    size_t struct_size;
    double beta;
    double temperature;
    double energy;
    int32_t components;
    amun_trw_score score;
    int32_t bias;
    int32_t balanced;
    int32_t frozen_statistics;
    int32_t neighbours;
    double kappa;
    double forget_floor;
    double forget_weight;
    double noise;
    amun_trw_control control;
    int32_t stage;
    uint64_t noise_seed;
} amun_trw_options;
amun_status amun_trw_options_init(amun_trw_options *opts, size_t size);
amun_status amun_trw_scores(double *scores, const amun_tensor_view *rows, const amun_tensor_view *bias, const int64_t *forget, size_t count, const amun_trw_options *opts);
amun_status amun_trw_sample_scores(double *scores, const amun_tensor_view *features, const amun_tensor_view *remain, const amun_tensor_view *remain_labels, const int64_t *forget, size_t count, int64_t classes, const amun_trw_options *opts);
amun_status amun_trw_mix(double *scores, const double *class_scores, const amun_tensor_view *labels, const int64_t *forget, size_t count, int64_t classes, const amun_trw_options *opts);
amun_status amun_trw_targets(double *targets, const amun_tensor_view *logits, const amun_tensor_view *labels, const int64_t *forget, size_t count, const double *scores, const amun_trw_options *opts);
amun_status amun_trw_moment(double *moment, double *slope, const amun_tensor_view *logits, const amun_tensor_view *labels, const int64_t *forget, size_t count, const double *scores, double beta);
amun_status amun_trw_solve_beta(double *beta, const amun_tensor_view *logits, const amun_tensor_view *labels, const int64_t *forget, size_t count, const double *scores, double moment);
amun_status amun_trw_beta_from_reference(double *beta, double *moment, const amun_tensor_view *logits, const amun_tensor_view *reference, const amun_tensor_view *labels, const int64_t *forget, size_t count, const double *scores);

/* unlearn.h */
typedef int32_t amun_unlearn_method;
enum {
    AMUN_UNLEARN_RETRAIN = 1,
    AMUN_UNLEARN_AMUN = 2,
    AMUN_UNLEARN_AMUN_ADVONLY = 3,
    AMUN_UNLEARN_FINETUNE = 4,
    AMUN_UNLEARN_RANDOM_LABEL = 5,
    AMUN_UNLEARN_GRADIENT_ASCENT = 6,
    AMUN_UNLEARN_NEGGRAD_PLUS = 7,
    AMUN_UNLEARN_BOUNDARY_SHRINK = 8,
    AMUN_UNLEARN_BOUNDARY_EXPAND = 9,
    AMUN_UNLEARN_L1_SPARSE = 10,
    AMUN_UNLEARN_SALUN = 11,
    AMUN_UNLEARN_SCRUB = 12,
    AMUN_UNLEARN_SSD = 13,
    AMUN_UNLEARN_SVD = 14,
    AMUN_UNLEARN_BAD_TEACHER = 15,
    AMUN_UNLEARN_UNSIR = 16,
    AMUN_UNLEARN_EUK = 17,
    AMUN_UNLEARN_CFK = 18,
    AMUN_UNLEARN_DELETE = 19,
    AMUN_UNLEARN_TRW = 20,
};
typedef struct amun_unlearn_options {
    size_t struct_size;
    amun_unlearn_method method;
    int32_t remain;
    const amun_train_options *train;
    uint64_t seed;
    double mask_ratio;
    const amun_rival_options *rival;
    const amun_trw_options *trw;
} amun_unlearn_options;
amun_status amun_unlearn_options_init(amun_unlearn_options *opts, size_t size);
amun_status amun_unlearn_train_options_init(amun_train_options *opts, size_t size, amun_unlearn_method method);
typedef struct amun_unlearn_result {
    size_t struct_size;
    int64_t remain, forget, adversarial;
    int64_t failed;
    double loss, accuracy;
    double seconds;
} amun_unlearn_result;
amun_status amun_unlearn_run(amun_unlearn_result *result, amun_model *model, const amun_dataset *train, const int64_t *forget, size_t count, const amun_advset *set, const amun_unlearn_options *opts, const amun_call_options *call);
typedef struct amun_trw_select_options {
    size_t struct_size;
    double share;
    double tolerance;
    uint64_t seed;
} amun_trw_select_options;
amun_status amun_trw_select_options_init(amun_trw_select_options *opts, size_t size);
amun_status amun_trw_select_beta(double *beta, double *heldout, double *original, const amun_model *model, amun_dataset *train, const int64_t *forget, size_t count, const double *betas, size_t beta_count, const amun_trw_select_options *opts, const amun_unlearn_options *unlearn, const amun_call_options *call);
typedef struct amun_unlearn_bound {
    size_t struct_size;
    int64_t samples;
    double delta;
    double l_delta;
    double original_adversarial;
    double unlearned_adversarial;
    double retrained_clean;
    double retrained_adversarial;
    double c;
    double before;
    double after;
    double bound;
} amun_unlearn_bound;
amun_status amun_unlearn_diagnose(amun_unlearn_bound *result, const amun_model *original, const amun_model *unlearned, const amun_model *retrained, const amun_dataset *train, const amun_advset *set, double lipschitz, double beta, const amun_call_options *call);

/* select.h */
typedef int32_t amun_verdict;
enum {
    AMUN_VERDICT_CONSISTENT = 1,
    AMUN_VERDICT_UNDER = 2,
    AMUN_VERDICT_OVER = 3,
};
typedef struct amun_forget_check {
    size_t struct_size;
    double auc;
    double error;
    double low, high;
    double p;
    amun_verdict verdict;
    int32_t reserved;
} amun_forget_check;
amun_status amun_forget_check_scores(amun_forget_check *result, const double *forget, size_t n_forget, const double *unseen, size_t n_unseen, double confidence);
amun_status amun_forget_check_model(amun_forget_check *result, const amun_model *model, const amun_dataset *train, const int64_t *forget, size_t count, const amun_dataset *unseen, const int64_t *indices, size_t unseen_count, double confidence, const amun_call_options *call);
typedef int32_t amun_select_rule;
enum {
    AMUN_SELECT_SAMPLES = 1,
    AMUN_SELECT_CLASSES = 2,
};
typedef struct amun_select_options {
    size_t struct_size;
    amun_select_rule rule;
    int32_t reserved;
    double tolerance;
} amun_select_options;
amun_status amun_select_options_init(amun_select_options *opts, size_t size);
typedef struct amun_select_trial {
    size_t struct_size;
    double lr;
    double forget_accuracy;
    double heldout_accuracy;
    double auc, error;
    double seconds;
    int32_t admitted;
    int32_t failed;
} amun_select_trial;
amun_status amun_select_rate(amun_select_trial *trials, size_t *best, amun_model **unlearned, const amun_model *model, const amun_dataset *train, const int64_t *forget, size_t forget_count, const amun_advset *set, const amun_dataset *heldout, const double *rates, size_t count, const amun_unlearn_options *unlearn, const amun_select_options *opts, const amun_call_options *call);
typedef struct amun_relearn_options {
    size_t struct_size;
    double lr;
    int32_t batch;
    int32_t every;
    int32_t most_epochs;
    int32_t reserved;
    uint64_t seed;
} amun_relearn_options;
amun_status amun_relearn_options_init(amun_relearn_options *opts, size_t size);
typedef struct amun_relearn {
    size_t struct_size;
    int64_t steps;
    double before;
    double after;
    double seconds;
} amun_relearn;
amun_status amun_relearn_time(amun_relearn *result, const amun_model *model, const amun_dataset *train, const int64_t *forget, size_t count, double target, const amun_relearn_options *opts, const amun_call_options *call);

/* spectral.h */
typedef int32_t amun_spectrum_method;
enum {
    AMUN_SPECTRUM_POWERQR = 1,
    AMUN_SPECTRUM_LEGACY = 2,
    AMUN_SPECTRUM_EXACT = 3,
};
typedef struct amun_spectrum_options {
    size_t struct_size;
    amun_spectrum_method method;
    int32_t k;
    int32_t block;
    int32_t max_iterations;
    double tol;
    double mu;
    int32_t fold_batchnorm;
    int32_t certify;
    uint64_t seed;
    double certify_cost;
} amun_spectrum_options;
amun_status amun_spectrum_options_init(amun_spectrum_options *opts, size_t size);
typedef int32_t amun_layer_kind;
enum {
    AMUN_LAYER_CONV2D = 1,
    AMUN_LAYER_LINEAR = 2,
    AMUN_LAYER_BATCHNORM = 3,
    AMUN_LAYER_CONV2D_BATCHNORM = 4,
    AMUN_LAYER_LINEAR_BATCHNORM = 5,
    AMUN_LAYER_AVG_POOL = 6,
};
typedef int32_t amun_bound_kind;
enum {
    AMUN_BOUND_NONE = 0,
    AMUN_BOUND_EXACT = 1,
    AMUN_BOUND_DIAGONAL = 2,
    AMUN_BOUND_FFT = 3,
    AMUN_BOUND_GRID = 4,
    AMUN_BOUND_GRAM_KERNEL = 5,
    AMUN_BOUND_RESHAPED = 6,
    AMUN_BOUND_PRODUCT = 7,
    AMUN_BOUND_SECTION = 8,
};
typedef struct amun_layer_spectrum {
    size_t struct_size;
    const char *name;
    const char *batchnorm;
    amun_layer_kind kind;
    amun_node node;
    int64_t in_shape[3];
    int64_t out_shape[3];
    double sigma_lower;
    double sigma_upper;
    double sigma_flat;
    double residual;
    amun_bound_kind bound;
    int32_t values;
    int32_t iterations;
    int32_t converged;
} amun_layer_spectrum;
typedef struct amun_spectrum amun_spectrum;
amun_status amun_spectrum_create(amun_spectrum **spectrum, amun_model *model, const amun_spectrum_options *opts);
amun_spectrum *amun_spectrum_ref(amun_spectrum *spectrum);
void amun_spectrum_unref(amun_spectrum *spectrum);
amun_status amun_spectrum_run(amun_spectrum *spectrum, int32_t max_iterations, const amun_call_options *call);
size_t amun_spectrum_count(const amun_spectrum *spectrum);
amun_status amun_spectrum_layer(const amun_spectrum *spectrum, size_t i, amun_layer_spectrum *layer);
amun_status amun_spectrum_values(const amun_spectrum *spectrum, size_t i, double *sigma, double *residuals, size_t count);
amun_status amun_spectrum_vector(const amun_spectrum *spectrum, size_t i, size_t j, float *vector, size_t count);
typedef struct amun_lipschitz {
    size_t struct_size;
    double upper;
    double estimate;
} amun_lipschitz;
amun_status amun_lipschitz_bound(amun_lipschitz *result, double *per_node, size_t count, const amun_spectrum *spectrum);
amun_status amun_lipschitz_local(double *largest, double *per_image, const amun_model *model, const amun_dataset *data, const int64_t *indices, size_t n, const amun_call_options *call);
"""

VERSION = "0.1.0"

# enumeration: its names without their common beginning
ENUMS = {'amun_status': {'OK': 0,
                 'ERROR_INVALID_ARGUMENT': -1,
                 'ERROR_OUT_OF_MEMORY': -2,
                 'ERROR_IO': -3,
                 'ERROR_FORMAT': -4,
                 'ERROR_UNSUPPORTED': -5,
                 'ERROR_SHAPE': -6,
                 'ERROR_STATE': -7,
                 'ERROR_BUSY': -8,
                 'ERROR_CANCELLED': -9,
                 'ERROR_NUMERIC': -10,
                 'ERROR_BACKEND': -11,
                 'ERROR_NOT_FOUND': -12,
                 'ERROR_INTERNAL': -99},
 'amun_dtype': {'F32': 1,
                'F64': 2,
                'F16': 3,
                'BF16': 4,
                'U8': 5,
                'I32': 6,
                'I64': 7,
                'BOOL': 8},
 'amun_conv_choice': {'AUTO': 0, 'DIRECT': 1, 'WINOGRAD': 2, 'OWN': 3},
 'amun_precision': {'AUTO': 0, 'F32': 1, 'BF16': 2},
 'amun_log_level': {'SILENT': 0, 'WARNING': 1, 'INFO': 2, 'DEBUG': 3},
 'amun_padding': {'ZERO': 1, 'CIRCULAR': 2, 'REFLECT': 3, 'REPLICATE': 4},
 'amun_mode': {'INFER': 1, 'ATTACK': 2, 'TRAIN': 3, 'TUNE': 4},
 'amun_norm': {'L2': 1, 'LINF': 2},
 'amun_failure_policy': {'LEAVE_OUT': 1, 'KEEP_IN_DF': 2, 'ERROR': 3, 'RETRY': 4},
 'amun_search_method': {'EPSILON': 1, 'DDN': 2, 'FMN': 3},
 'amun_attack_loss': {'CE': 1, 'DLR': 2, 'DLR_TARGETED': 3},
 'amun_clamp': {'PIXELS': 1, 'NORMALISED': 2},
 'amun_attack_outcome': {'FLIPPED': 1,
                         'NOT_FLIPPED': 2,
                         'FAILED_CAP': 3,
                         'FAILED_GRADIENT': 4,
                         'FAILED_NUMERIC': 5,
                         'FAILED_BUDGET': 6},
 'amun_miann_features': {'LOGITS': 1, 'LOGPROBS': 2, 'PROBS': 3, 'SCALAR': 4},
 'amun_miann_kernel': {'LINEAR': 1, 'RBF': 2, 'HINGE': 3},
 'amun_ulira_variance': {'PER_SAMPLE': 1, 'POOLED': 2, 'GLOBAL_REF': 3},
 'amun_ulira_centre': {'AUTO': 1, 'MEAN': 2, 'MEDIAN': 3},
 'amun_ulira_holdout': {'EACH': 1, 'LAST': 2},
 'amun_ulira_score': {'OWN': 1, 'NEIGHBOUR': 2, 'JOINT': 3},
 'amun_clip_method': {'BLOCK': 1,
                      'LEGACY': 2,
                      'SCALE': 3,
                      'MIYATO': 4,
                      'GOUK': 5,
                      'SEDGHI': 6,
                      'SENDEROVICH': 7,
                      'DELATTRE_2023': 8,
                      'DELATTRE_2024': 9},
 'amun_clip_batchnorm': {'LEAVE': 1, 'HARD': 2, 'SOFT': 3, 'GOUK': 4, 'COMPOSITE': 5},
 'amun_schedule': {'CONSTANT': 1, 'STEP': 2, 'COSINE': 3, 'ONECYCLE': 4},
 'amun_optimiser': {'SGD': 1, 'ADAM': 2},
 'amun_ensemble_method': {'PLAIN': 1,
                          'PGD_AT': 2,
                          'TRADES': 3,
                          'ADP': 4,
                          'GAL': 5,
                          'TRS': 6,
                          'DVERGE': 7},
 'amun_lotos_match': {'BY_INDEX': 1, 'FIRST_ONLY': 2, 'BY_INPUT_SHAPE': 3, 'PAIRS': 4},
 'amun_signal': {'SOFTMAX': 1,
                 'TAYLOR': 2,
                 'SOFT_MARGIN': 3,
                 'TAYLOR_SOFT_MARGIN': 4,
                 'LOG_LOGIT': 5},
 'amun_rmia_mode': {'ONLINE': 1, 'OFFLINE': 2},
 'amun_rmia_population': {'POOL': 1, 'TEST_ONLY': 2},
 'amun_prototype_scale': {'MATCHED': 1, 'RAW': 2},
 'amun_trw_score': {'SOFTMAX': 1, 'COSINE': 2},
 'amun_trw_control': {'NONE': 1, 'PERMUTED': 2, 'REVERSED': 3, 'UNIFORM': 4, 'RANKS': 5},
 'amun_unlearn_method': {'RETRAIN': 1,
                         'AMUN': 2,
                         'AMUN_ADVONLY': 3,
                         'FINETUNE': 4,
                         'RANDOM_LABEL': 5,
                         'GRADIENT_ASCENT': 6,
                         'NEGGRAD_PLUS': 7,
                         'BOUNDARY_SHRINK': 8,
                         'BOUNDARY_EXPAND': 9,
                         'L1_SPARSE': 10,
                         'SALUN': 11,
                         'SCRUB': 12,
                         'SSD': 13,
                         'SVD': 14,
                         'BAD_TEACHER': 15,
                         'UNSIR': 16,
                         'EUK': 17,
                         'CFK': 18,
                         'DELETE': 19,
                         'TRW': 20},
 'amun_verdict': {'CONSISTENT': 1, 'UNDER': 2, 'OVER': 3},
 'amun_select_rule': {'SAMPLES': 1, 'CLASSES': 2},
 'amun_spectrum_method': {'POWERQR': 1, 'LEGACY': 2, 'EXACT': 3},
 'amun_layer_kind': {'CONV2D': 1,
                     'LINEAR': 2,
                     'BATCHNORM': 3,
                     'CONV2D_BATCHNORM': 4,
                     'LINEAR_BATCHNORM': 5,
                     'AVG_POOL': 6},
 'amun_bound_kind': {'NONE': 0,
                     'EXACT': 1,
                     'DIAGONAL': 2,
                     'FFT': 3,
                     'GRID': 4,
                     'GRAM_KERNEL': 5,
                     'RESHAPED': 6,
                     'PRODUCT': 7,
                     'SECTION': 8}}

# struct: its fields that hold a value of an enumeration
ENUM_FIELDS = {'amun_context_options': {'conv': 'amun_conv_choice', 'precision': 'amun_precision'},
 'amun_conv2d_options': {'padding': 'amun_padding'},
 'amun_search_options': {'norm': 'amun_norm',
                         'on_failure': 'amun_failure_policy',
                         'method': 'amun_search_method'},
 'amun_apgd_options': {'norm': 'amun_norm', 'loss': 'amun_attack_loss'},
 'amun_square_options': {'norm': 'amun_norm'},
 'amun_standard_options': {'norm': 'amun_norm'},
 'amun_attack_record': {'outcome': 'amun_attack_outcome'},
 'amun_miann_options': {'features': 'amun_miann_features', 'kernel': 'amun_miann_kernel'},
 'amun_ulira_options': {'variance': 'amun_ulira_variance',
                        'centre': 'amun_ulira_centre',
                        'holdout': 'amun_ulira_holdout',
                        'score': 'amun_ulira_score'},
 'amun_clip_options': {'method': 'amun_clip_method', 'batchnorm': 'amun_clip_batchnorm'},
 'amun_train_options': {'schedule': 'amun_schedule', 'optimiser': 'amun_optimiser'},
 'amun_lotos_options': {'match': 'amun_lotos_match'},
 'amun_ensemble_train_options': {'method': 'amun_ensemble_method'},
 'amun_transfer_result': {'clamp': 'amun_clamp'},
 'amun_rmia_options': {'signal': 'amun_signal',
                       'mode': 'amun_rmia_mode',
                       'population': 'amun_rmia_population'},
 'amun_prototype_options': {'scale': 'amun_prototype_scale'},
 'amun_trw_options': {'score': 'amun_trw_score', 'control': 'amun_trw_control'},
 'amun_unlearn_options': {'method': 'amun_unlearn_method'},
 'amun_forget_check': {'verdict': 'amun_verdict'},
 'amun_select_options': {'rule': 'amun_select_rule'},
 'amun_spectrum_options': {'method': 'amun_spectrum_method'},
 'amun_layer_spectrum': {'kind': 'amun_layer_kind', 'bound': 'amun_bound_kind'}}
