// Written by gen_bindings.py from include/amun/*.h; do not edit.

use core::ffi::{c_char, c_void};
use core::marker::{PhantomData, PhantomPinned};

pub const AMUN_VERSION_STRING: &str = "0.1.0";
pub const AMUN_VERSION_MAJOR: u32 = 0;
pub const AMUN_VERSION_MINOR: u32 = 1;
pub const AMUN_VERSION_PATCH: u32 = 0;
pub const AMUN_ABI_MAJOR: u32 = 0;
pub const AMUN_ABI_MINOR: u32 = 1;
pub const AMUN_MAX_NDIM: usize = 8;
pub const AMUN_VIEW_READONLY: u32 = 1;
pub const AMUN_ATTACK_MARGIN_FALLBACK: u32 = 1;
pub const AMUN_ATTACK_RETRIED: u32 = 2;
pub const AMUN_ATTACK_BY_APGD_CE: u32 = 4;
pub const AMUN_ATTACK_BY_APGD_T: u32 = 8;
pub const AMUN_ATTACK_BY_SQUARE: u32 = 16;
pub const AMUN_ATTACK_LEGACY_CLAMP: u32 = 32;

pub type amun_status = i32;
pub type amun_dtype = i32;
pub type amun_conv_choice = i32;
pub type amun_precision = i32;
pub type amun_log_level = i32;
pub type amun_node = i32;
pub type amun_padding = i32;
pub type amun_mode = i32;
pub type amun_norm = i32;
pub type amun_failure_policy = i32;
pub type amun_search_method = i32;
pub type amun_attack_loss = i32;
pub type amun_clamp = i32;
pub type amun_attack_outcome = i32;
pub type amun_miann_features = i32;
pub type amun_miann_kernel = i32;
pub type amun_ulira_variance = i32;
pub type amun_ulira_centre = i32;
pub type amun_ulira_holdout = i32;
pub type amun_ulira_score = i32;
pub type amun_clip_method = i32;
pub type amun_clip_batchnorm = i32;
pub type amun_schedule = i32;
pub type amun_optimiser = i32;
pub type amun_ensemble_method = i32;
pub type amun_lotos_match = i32;
pub type amun_signal = i32;
pub type amun_rmia_mode = i32;
pub type amun_rmia_population = i32;
pub type amun_prototype_scale = i32;
pub type amun_trw_score = i32;
pub type amun_trw_control = i32;
pub type amun_unlearn_method = i32;
pub type amun_verdict = i32;
pub type amun_select_rule = i32;
pub type amun_spectrum_method = i32;
pub type amun_layer_kind = i32;
pub type amun_bound_kind = i32;
pub const AMUN_OK: amun_status = 0;
pub const AMUN_ERROR_INVALID_ARGUMENT: amun_status = -1;
pub const AMUN_ERROR_OUT_OF_MEMORY: amun_status = -2;
pub const AMUN_ERROR_IO: amun_status = -3;
pub const AMUN_ERROR_FORMAT: amun_status = -4;
pub const AMUN_ERROR_UNSUPPORTED: amun_status = -5;
pub const AMUN_ERROR_SHAPE: amun_status = -6;
pub const AMUN_ERROR_STATE: amun_status = -7;
pub const AMUN_ERROR_BUSY: amun_status = -8;
pub const AMUN_ERROR_CANCELLED: amun_status = -9;
pub const AMUN_ERROR_NUMERIC: amun_status = -10;
pub const AMUN_ERROR_BACKEND: amun_status = -11;
pub const AMUN_ERROR_NOT_FOUND: amun_status = -12;
pub const AMUN_ERROR_INTERNAL: amun_status = -99;
pub const AMUN_DTYPE_F32: amun_dtype = 1;
pub const AMUN_DTYPE_F64: amun_dtype = 2;
pub const AMUN_DTYPE_F16: amun_dtype = 3;
pub const AMUN_DTYPE_BF16: amun_dtype = 4;
pub const AMUN_DTYPE_U8: amun_dtype = 5;
pub const AMUN_DTYPE_I32: amun_dtype = 6;
pub const AMUN_DTYPE_I64: amun_dtype = 7;
pub const AMUN_DTYPE_BOOL: amun_dtype = 8;
pub const AMUN_CONV_AUTO: amun_conv_choice = 0;
pub const AMUN_CONV_DIRECT: amun_conv_choice = 1;
pub const AMUN_CONV_WINOGRAD: amun_conv_choice = 2;
pub const AMUN_CONV_OWN: amun_conv_choice = 3;
pub const AMUN_PRECISION_AUTO: amun_precision = 0;
pub const AMUN_PRECISION_F32: amun_precision = 1;
pub const AMUN_PRECISION_BF16: amun_precision = 2;
pub const AMUN_LOG_SILENT: amun_log_level = 0;
pub const AMUN_LOG_WARNING: amun_log_level = 1;
pub const AMUN_LOG_INFO: amun_log_level = 2;
pub const AMUN_LOG_DEBUG: amun_log_level = 3;
pub const AMUN_PADDING_ZERO: amun_padding = 1;
pub const AMUN_PADDING_CIRCULAR: amun_padding = 2;
pub const AMUN_PADDING_REFLECT: amun_padding = 3;
pub const AMUN_PADDING_REPLICATE: amun_padding = 4;
pub const AMUN_MODE_INFER: amun_mode = 1;
pub const AMUN_MODE_ATTACK: amun_mode = 2;
pub const AMUN_MODE_TRAIN: amun_mode = 3;
pub const AMUN_MODE_TUNE: amun_mode = 4;
pub const AMUN_NORM_L2: amun_norm = 1;
pub const AMUN_NORM_LINF: amun_norm = 2;
pub const AMUN_FAILURE_LEAVE_OUT: amun_failure_policy = 1;
pub const AMUN_FAILURE_KEEP_IN_DF: amun_failure_policy = 2;
pub const AMUN_FAILURE_ERROR: amun_failure_policy = 3;
pub const AMUN_FAILURE_RETRY: amun_failure_policy = 4;
pub const AMUN_SEARCH_EPSILON: amun_search_method = 1;
pub const AMUN_SEARCH_DDN: amun_search_method = 2;
pub const AMUN_SEARCH_FMN: amun_search_method = 3;
pub const AMUN_ATTACK_LOSS_CE: amun_attack_loss = 1;
pub const AMUN_ATTACK_LOSS_DLR: amun_attack_loss = 2;
pub const AMUN_ATTACK_LOSS_DLR_TARGETED: amun_attack_loss = 3;
pub const AMUN_CLAMP_PIXELS: amun_clamp = 1;
pub const AMUN_CLAMP_NORMALISED: amun_clamp = 2;
pub const AMUN_ATTACK_FLIPPED: amun_attack_outcome = 1;
pub const AMUN_ATTACK_NOT_FLIPPED: amun_attack_outcome = 2;
pub const AMUN_ATTACK_FAILED_CAP: amun_attack_outcome = 3;
pub const AMUN_ATTACK_FAILED_GRADIENT: amun_attack_outcome = 4;
pub const AMUN_ATTACK_FAILED_NUMERIC: amun_attack_outcome = 5;
pub const AMUN_ATTACK_FAILED_BUDGET: amun_attack_outcome = 6;
pub const AMUN_MIANN_LOGITS: amun_miann_features = 1;
pub const AMUN_MIANN_LOGPROBS: amun_miann_features = 2;
pub const AMUN_MIANN_PROBS: amun_miann_features = 3;
pub const AMUN_MIANN_SCALAR: amun_miann_features = 4;
pub const AMUN_MIANN_LINEAR: amun_miann_kernel = 1;
pub const AMUN_MIANN_RBF: amun_miann_kernel = 2;
pub const AMUN_MIANN_HINGE: amun_miann_kernel = 3;
pub const AMUN_ULIRA_PER_SAMPLE: amun_ulira_variance = 1;
pub const AMUN_ULIRA_POOLED: amun_ulira_variance = 2;
pub const AMUN_ULIRA_GLOBAL_REF: amun_ulira_variance = 3;
pub const AMUN_ULIRA_CENTRE_AUTO: amun_ulira_centre = 1;
pub const AMUN_ULIRA_CENTRE_MEAN: amun_ulira_centre = 2;
pub const AMUN_ULIRA_CENTRE_MEDIAN: amun_ulira_centre = 3;
pub const AMUN_ULIRA_EACH: amun_ulira_holdout = 1;
pub const AMUN_ULIRA_LAST: amun_ulira_holdout = 2;
pub const AMUN_ULIRA_OWN: amun_ulira_score = 1;
pub const AMUN_ULIRA_NEIGHBOUR: amun_ulira_score = 2;
pub const AMUN_ULIRA_JOINT: amun_ulira_score = 3;
pub const AMUN_ULIRA_UNSEEN: i32 = 0;
pub const AMUN_ULIRA_UNLEARNED: i32 = 1;
pub const AMUN_ULIRA_MEMBER: i32 = 2;
pub const AMUN_CLIP_BLOCK: amun_clip_method = 1;
pub const AMUN_CLIP_LEGACY: amun_clip_method = 2;
pub const AMUN_CLIP_SCALE: amun_clip_method = 3;
pub const AMUN_CLIP_MIYATO: amun_clip_method = 4;
pub const AMUN_CLIP_GOUK: amun_clip_method = 5;
pub const AMUN_CLIP_SEDGHI: amun_clip_method = 6;
pub const AMUN_CLIP_SENDEROVICH: amun_clip_method = 7;
pub const AMUN_CLIP_DELATTRE_2023: amun_clip_method = 8;
pub const AMUN_CLIP_DELATTRE_2024: amun_clip_method = 9;
pub const AMUN_CLIP_BATCHNORM_LEAVE: amun_clip_batchnorm = 1;
pub const AMUN_CLIP_BATCHNORM_HARD: amun_clip_batchnorm = 2;
pub const AMUN_CLIP_BATCHNORM_SOFT: amun_clip_batchnorm = 3;
pub const AMUN_CLIP_BATCHNORM_GOUK: amun_clip_batchnorm = 4;
pub const AMUN_CLIP_BATCHNORM_COMPOSITE: amun_clip_batchnorm = 5;
pub const AMUN_SCHEDULE_CONSTANT: amun_schedule = 1;
pub const AMUN_SCHEDULE_STEP: amun_schedule = 2;
pub const AMUN_SCHEDULE_COSINE: amun_schedule = 3;
pub const AMUN_SCHEDULE_ONECYCLE: amun_schedule = 4;
pub const AMUN_OPTIMISER_SGD: amun_optimiser = 1;
pub const AMUN_OPTIMISER_ADAM: amun_optimiser = 2;
pub const AMUN_ENSEMBLE_PLAIN: amun_ensemble_method = 1;
pub const AMUN_ENSEMBLE_PGD_AT: amun_ensemble_method = 2;
pub const AMUN_ENSEMBLE_TRADES: amun_ensemble_method = 3;
pub const AMUN_ENSEMBLE_ADP: amun_ensemble_method = 4;
pub const AMUN_ENSEMBLE_GAL: amun_ensemble_method = 5;
pub const AMUN_ENSEMBLE_TRS: amun_ensemble_method = 6;
pub const AMUN_ENSEMBLE_DVERGE: amun_ensemble_method = 7;
pub const AMUN_LOTOS_MATCH_BY_INDEX: amun_lotos_match = 1;
pub const AMUN_LOTOS_MATCH_FIRST_ONLY: amun_lotos_match = 2;
pub const AMUN_LOTOS_MATCH_BY_INPUT_SHAPE: amun_lotos_match = 3;
pub const AMUN_LOTOS_MATCH_PAIRS: amun_lotos_match = 4;
pub const AMUN_SIGNAL_SOFTMAX: amun_signal = 1;
pub const AMUN_SIGNAL_TAYLOR: amun_signal = 2;
pub const AMUN_SIGNAL_SOFT_MARGIN: amun_signal = 3;
pub const AMUN_SIGNAL_TAYLOR_SOFT_MARGIN: amun_signal = 4;
pub const AMUN_SIGNAL_LOG_LOGIT: amun_signal = 5;
pub const AMUN_RMIA_ONLINE: amun_rmia_mode = 1;
pub const AMUN_RMIA_OFFLINE: amun_rmia_mode = 2;
pub const AMUN_RMIA_POOL: amun_rmia_population = 1;
pub const AMUN_RMIA_TEST_ONLY: amun_rmia_population = 2;
pub const AMUN_PROTOTYPE_MATCHED: amun_prototype_scale = 1;
pub const AMUN_PROTOTYPE_RAW: amun_prototype_scale = 2;
pub const AMUN_TRW_SCORE_SOFTMAX: amun_trw_score = 1;
pub const AMUN_TRW_SCORE_COSINE: amun_trw_score = 2;
pub const AMUN_TRW_CONTROL_NONE: amun_trw_control = 1;
pub const AMUN_TRW_CONTROL_PERMUTED: amun_trw_control = 2;
pub const AMUN_TRW_CONTROL_REVERSED: amun_trw_control = 3;
pub const AMUN_TRW_CONTROL_UNIFORM: amun_trw_control = 4;
pub const AMUN_TRW_CONTROL_RANKS: amun_trw_control = 5;
pub const AMUN_UNLEARN_RETRAIN: amun_unlearn_method = 1;
pub const AMUN_UNLEARN_AMUN: amun_unlearn_method = 2;
pub const AMUN_UNLEARN_AMUN_ADVONLY: amun_unlearn_method = 3;
pub const AMUN_UNLEARN_FINETUNE: amun_unlearn_method = 4;
pub const AMUN_UNLEARN_RANDOM_LABEL: amun_unlearn_method = 5;
pub const AMUN_UNLEARN_GRADIENT_ASCENT: amun_unlearn_method = 6;
pub const AMUN_UNLEARN_NEGGRAD_PLUS: amun_unlearn_method = 7;
pub const AMUN_UNLEARN_BOUNDARY_SHRINK: amun_unlearn_method = 8;
pub const AMUN_UNLEARN_BOUNDARY_EXPAND: amun_unlearn_method = 9;
pub const AMUN_UNLEARN_L1_SPARSE: amun_unlearn_method = 10;
pub const AMUN_UNLEARN_SALUN: amun_unlearn_method = 11;
pub const AMUN_UNLEARN_SCRUB: amun_unlearn_method = 12;
pub const AMUN_UNLEARN_SSD: amun_unlearn_method = 13;
pub const AMUN_UNLEARN_SVD: amun_unlearn_method = 14;
pub const AMUN_UNLEARN_BAD_TEACHER: amun_unlearn_method = 15;
pub const AMUN_UNLEARN_UNSIR: amun_unlearn_method = 16;
pub const AMUN_UNLEARN_EUK: amun_unlearn_method = 17;
pub const AMUN_UNLEARN_CFK: amun_unlearn_method = 18;
pub const AMUN_UNLEARN_DELETE: amun_unlearn_method = 19;
pub const AMUN_UNLEARN_TRW: amun_unlearn_method = 20;
pub const AMUN_VERDICT_CONSISTENT: amun_verdict = 1;
pub const AMUN_VERDICT_UNDER: amun_verdict = 2;
pub const AMUN_VERDICT_OVER: amun_verdict = 3;
pub const AMUN_SELECT_SAMPLES: amun_select_rule = 1;
pub const AMUN_SELECT_CLASSES: amun_select_rule = 2;
pub const AMUN_SPECTRUM_POWERQR: amun_spectrum_method = 1;
pub const AMUN_SPECTRUM_LEGACY: amun_spectrum_method = 2;
pub const AMUN_SPECTRUM_EXACT: amun_spectrum_method = 3;
pub const AMUN_LAYER_CONV2D: amun_layer_kind = 1;
pub const AMUN_LAYER_LINEAR: amun_layer_kind = 2;
pub const AMUN_LAYER_BATCHNORM: amun_layer_kind = 3;
pub const AMUN_LAYER_CONV2D_BATCHNORM: amun_layer_kind = 4;
pub const AMUN_LAYER_LINEAR_BATCHNORM: amun_layer_kind = 5;
pub const AMUN_LAYER_AVG_POOL: amun_layer_kind = 6;
pub const AMUN_BOUND_NONE: amun_bound_kind = 0;
pub const AMUN_BOUND_EXACT: amun_bound_kind = 1;
pub const AMUN_BOUND_DIAGONAL: amun_bound_kind = 2;
pub const AMUN_BOUND_FFT: amun_bound_kind = 3;
pub const AMUN_BOUND_GRID: amun_bound_kind = 4;
pub const AMUN_BOUND_GRAM_KERNEL: amun_bound_kind = 5;
pub const AMUN_BOUND_RESHAPED: amun_bound_kind = 6;
pub const AMUN_BOUND_PRODUCT: amun_bound_kind = 7;
pub const AMUN_BOUND_SECTION: amun_bound_kind = 8;

#[repr(C)]
pub struct amun_context {
    _data: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

#[repr(C)]
pub struct amun_dataset {
    _data: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

#[repr(C)]
pub struct amun_graph {
    _data: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

#[repr(C)]
pub struct amun_model {
    _data: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

#[repr(C)]
pub struct amun_attack {
    _data: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

#[repr(C)]
pub struct amun_advset {
    _data: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

#[repr(C)]
pub struct amun_clipper {
    _data: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

#[repr(C)]
pub struct amun_ensemble {
    _data: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

#[repr(C)]
pub struct amun_mia {
    _data: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

#[repr(C)]
pub struct amun_report {
    _data: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

#[repr(C)]
pub struct amun_spectrum {
    _data: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

pub type amun_progress_fn =
    Option<unsafe extern "C" fn(progress: *const amun_progress, user_data: *mut c_void) -> i32>;

pub type amun_alloc_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, size: usize, align: usize) -> *mut c_void>;

pub type amun_free_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, ptr: *mut c_void, size: usize, align: usize)>;

pub type amun_log_fn =
    Option<unsafe extern "C" fn(level: amun_log_level, message: *const c_char, user_data: *mut c_void)>;

pub type amun_release_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void)>;

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_progress {
    pub struct_size: usize,
    pub phase: *const c_char,
    pub step: u64,
    pub total: u64,
    pub loss: f64,
    pub metric: f64,
    pub seconds: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_call_options {
    pub struct_size: usize,
    pub progress: amun_progress_fn,
    pub user_data: *mut c_void,
    pub min_interval_ms: i32,
    pub reserved0: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_context_options {
    pub struct_size: usize,
    pub alloc: amun_alloc_fn,
    pub free: amun_free_fn,
    pub allocator_data: *mut c_void,
    pub memory_limit: u64,
    pub threads: i32,
    pub reserved0: i32,
    pub tune_cache: *const c_char,
    pub conv: amun_conv_choice,
    pub precision: amun_precision,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_memory_stats {
    pub struct_size: usize,
    pub current: u64,
    pub peak: u64,
    pub blocks: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_tensor_view {
    pub data: *mut c_void,
    pub dtype: i32,
    pub ndim: i32,
    pub flags: u32,
    pub reserved: u32,
    pub shape: [i64; AMUN_MAX_NDIM],
    pub strides: [i64; AMUN_MAX_NDIM],
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_conv2d_options {
    pub struct_size: usize,
    pub channels: i64,
    pub kernel_h: i64,
    pub kernel_w: i64,
    pub stride_h: i64,
    pub stride_w: i64,
    pub pad_h: i64,
    pub pad_w: i64,
    pub dilation_h: i64,
    pub dilation_w: i64,
    pub groups: i64,
    pub bias: i32,
    pub padding: amun_padding,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_pool_options {
    pub struct_size: usize,
    pub kernel_h: i64,
    pub kernel_w: i64,
    pub stride_h: i64,
    pub stride_w: i64,
    pub pad_h: i64,
    pub pad_w: i64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_model_options {
    pub struct_size: usize,
    pub classes: i64,
    pub channels: i64,
    pub height: i64,
    pub width: i64,
    pub seed: u64,
    pub mean: f64,
    pub std: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_search_options {
    pub struct_size: usize,
    pub norm: amun_norm,
    pub steps: i32,
    pub eps0: f64,
    pub growth: f64,
    pub step_divisor: f64,
    pub eps_max: f64,
    pub restart: i32,
    pub margin_fallback: i32,
    pub on_failure: amun_failure_policy,
    pub batch: i32,
    pub seed: u64,
    pub method: amun_search_method,
    pub pilot: i32,
    pub pilot_eps: f64,
    pub pilot_percentile: f64,
    pub init_norm: f64,
    pub gamma: f64,
    pub gamma_final: f64,
    pub alpha: f64,
    pub alpha_final: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_fgsm_options {
    pub struct_size: usize,
    pub eps: f64,
    pub batch: i32,
    pub reserved0: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_ffgsm_options {
    pub struct_size: usize,
    pub eps: f64,
    pub step: f64,
    pub seed: u64,
    pub batch: i32,
    pub reserved0: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_pgd_options {
    pub struct_size: usize,
    pub eps: f64,
    pub step: f64,
    pub steps: i32,
    pub random_start: i32,
    pub seed: u64,
    pub batch: i32,
    pub legacy_normalised_clamp: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_mim_options {
    pub struct_size: usize,
    pub eps: f64,
    pub step: f64,
    pub decay: f64,
    pub steps: i32,
    pub batch: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_apgd_options {
    pub struct_size: usize,
    pub norm: amun_norm,
    pub loss: amun_attack_loss,
    pub eps: f64,
    pub rho: f64,
    pub momentum: f64,
    pub steps: i32,
    pub restarts: i32,
    pub targets: i32,
    pub random_start: i32,
    pub seed: u64,
    pub stop_at_flip: i32,
    pub batch: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_square_options {
    pub struct_size: usize,
    pub norm: amun_norm,
    pub queries: i32,
    pub eps: f64,
    pub p_init: f64,
    pub seed: u64,
    pub batch: i32,
    pub reserved0: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_standard_options {
    pub struct_size: usize,
    pub norm: amun_norm,
    pub steps: i32,
    pub eps: f64,
    pub targets: i32,
    pub queries: i32,
    pub seed: u64,
    pub batch: i32,
    pub reserved0: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_attack_record {
    pub index: i64,
    pub label: i32,
    pub predicted: i32,
    pub adversarial: i32,
    pub outcome: amun_attack_outcome,
    pub eps: f64,
    pub l2: f64,
    pub linf: f64,
    pub updates: i32,
    pub flags: u32,
    pub input_hash: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_miann_options {
    pub struct_size: usize,
    pub features: amun_miann_features,
    pub kernel: amun_miann_kernel,
    pub c: f64,
    pub fit_share: f64,
    pub top_m: i32,
    pub reserved0: i32,
    pub seed: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_miann {
    pub struct_size: usize,
    pub neighbour: i64,
    pub models: i64,
    pub score: f64,
    pub retrained: f64,
    pub gap: f64,
    pub null_mean: f64,
    pub null_sd: f64,
    pub top_gap: f64,
    pub top_null_mean: f64,
    pub top_null_sd: f64,
    pub vote_share: f64,
    pub sanity: f64,
    pub sanity_retrained: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_c2st_options {
    pub struct_size: usize,
    pub folds: i32,
    pub reserved0: i32,
    pub ridge: f64,
    pub seed: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_c2st {
    pub struct_size: usize,
    pub models: i64,
    pub rows: i64,
    pub all: f64,
    pub retained: f64,
    pub all_null_mean: f64,
    pub all_null_sd: f64,
    pub retained_null_mean: f64,
    pub retained_null_sd: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_ulira_options {
    pub struct_size: usize,
    pub variance: amun_ulira_variance,
    pub centre: amun_ulira_centre,
    pub holdout: amun_ulira_holdout,
    pub score: amun_ulira_score,
    pub floor: f64,
    pub neighbour: i64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_ulira {
    pub struct_size: usize,
    pub unlearned: i64,
    pub retrained: i64,
    pub rows: i64,
    pub auc: f64,
    pub balanced_accuracy: f64,
    pub flagged: f64,
    pub flagged_retrained: f64,
    pub gap: f64,
    pub null_mean: f64,
    pub null_sd: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_ulira_samples {
    pub struct_size: usize,
    pub unlearned: i64,
    pub unseen: i64,
    pub auc: f64,
    pub accuracy: f64,
    pub tpr_1: f64,
    pub tpr_01: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_distance {
    pub struct_size: usize,
    pub models: i64,
    pub rows: i64,
    pub tv: f64,
    pub tv_null: f64,
    pub tv_null_sd: f64,
    pub js: f64,
    pub js_null: f64,
    pub js_null_sd: f64,
    pub kl: f64,
    pub kl_null: f64,
    pub kl_null_sd: f64,
    pub routing_tv: f64,
    pub routing_tv_null: f64,
    pub routing_tv_null_sd: f64,
    pub activation: f64,
    pub activation_null: f64,
    pub activation_null_sd: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_svcmia_options {
    pub struct_size: usize,
    pub limit: i64,
    pub seed: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_svcmia {
    pub struct_size: usize,
    pub members: i64,
    pub nonmembers: i64,
    pub queries: i64,
    pub limit: i64,
    pub seed: u64,
    pub confidence: f64,
    pub correctness: f64,
    pub entropy: f64,
    pub modified_entropy: f64,
    pub probabilities: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_clip_options {
    pub struct_size: usize,
    pub method: amun_clip_method,
    pub batchnorm: amun_clip_batchnorm,
    pub target: f64,
    pub batchnorm_target: f64,
    pub tol: f64,
    pub linear: i32,
    pub exact: i32,
    pub final_scale: i32,
    pub max_rounds: i32,
    pub block: i32,
    pub every: i32,
    pub delay: i32,
    pub power_iterations: i32,
    pub rounds: i32,
    pub inner_steps: i32,
    pub iterations: i32,
    pub reserved0: i32,
    pub eta: f64,
    pub penalty: f64,
    pub seed: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_clip_result {
    pub struct_size: usize,
    pub layers: i64,
    pub changed: i64,
    pub rounds: i64,
    pub largest: f64,
    pub upper: f64,
    pub moved: f64,
    pub seconds: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_train_options {
    pub struct_size: usize,
    pub epochs: i32,
    pub batch: i32,
    pub lr: f64,
    pub momentum: f64,
    pub weight_decay: f64,
    pub nesterov: i32,
    pub schedule: amun_schedule,
    pub step_epochs: i32,
    pub augment_pad: i32,
    pub gamma: f64,
    pub warmup: f64,
    pub final_factor: f64,
    pub label_smoothing: f64,
    pub augment_flip: i32,
    pub checkpoint_every: i32,
    pub seed: u64,
    pub checkpoint: *const c_char,
    pub clip: *const amun_clip_options,
    pub optimiser: amun_optimiser,
    pub augment_cutout: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_train_result {
    pub struct_size: usize,
    pub loss: f64,
    pub accuracy: f64,
    pub seconds: f64,
    pub epochs: i64,
    pub samples: i64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_layer_pair {
    pub layer_a: *const c_char,
    pub layer_b: *const c_char,
    pub model_a: i32,
    pub model_b: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_lotos_options {
    pub struct_size: usize,
    pub k: i32,
    pub match_: amun_lotos_match,
    pub mean: i32,
    pub batchnorm: i32,
    pub lambda: f64,
    pub mal: f64,
    pub batchnorm_lambda: f64,
    pub batchnorm_mal: f64,
    pub decay: f64,
    pub block: i32,
    pub power_iterations: i32,
    pub initial_iterations: i32,
    pub every: i32,
    pub pairs: *const amun_layer_pair,
    pub pair_count: usize,
    pub seed: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_ensemble_train_options {
    pub struct_size: usize,
    pub method: amun_ensemble_method,
    pub attack_steps: i32,
    pub train: *const amun_train_options,
    pub lotos: *const amun_lotos_options,
    pub attack_eps: f64,
    pub attack_step: f64,
    pub trades_beta: f64,
    pub adp_alpha: f64,
    pub adp_beta: f64,
    pub gal_lambda: f64,
    pub trs_cosine: f64,
    pub trs_smooth: f64,
    pub trs_l2: i32,
    pub dverge_own: i32,
    pub seed: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_transfer_result {
    pub struct_size: usize,
    pub transfer: f64,
    pub success: f64,
    pub robust: f64,
    pub samples: i64,
    pub terms: i64,
    pub failed: i64,
    pub target_right: i64,
    pub clamp: amun_clamp,
    pub reserved0: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_certificate {
    pub struct_size: usize,
    pub samples: i64,
    pub right: i64,
    pub certified: i64,
    pub accuracy: f64,
    pub radius: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_transfer_gap {
    pub struct_size: usize,
    pub clean: [f64; 2],
    pub attacked: [f64; 2],
    pub moved: f64,
    pub bound: f64,
    pub samples: i64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_rmia_options {
    pub struct_size: usize,
    pub signal: amun_signal,
    pub taylor_degree: i32,
    pub temperature: f64,
    pub margin: f64,
    pub gamma: f64,
    pub mode: amun_rmia_mode,
    pub population: amun_rmia_population,
    pub offline_a: f64,
    pub trim: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_mia_options {
    pub struct_size: usize,
    pub references: i32,
    pub subsamples: i32,
    pub seed: u64,
    pub rmia: *const amun_rmia_options,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_audit {
    pub struct_size: usize,
    pub ua: f64,
    pub ra: f64,
    pub ta: f64,
    pub ft_auc: f64,
    pub fr_auc: f64,
    pub rt_auc: f64,
    pub ft_auc_sd: f64,
    pub ft_tpr_1: f64,
    pub ft_tpr_01: f64,
    pub mis: f64,
    pub seconds: f64,
    pub nonpositive: i64,
    pub references: i64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_gap {
    pub struct_size: usize,
    pub models: i64,
    pub unlearned: f64,
    pub retrained: f64,
    pub gap: f64,
    pub null_mean: f64,
    pub null_sd: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_probe_options {
    pub struct_size: usize,
    pub ridge: f64,
    pub limit: i64,
    pub stage: i32,
    pub reserved: i32,
    pub seed: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_probe {
    pub struct_size: usize,
    pub fitted: i64,
    pub tested: i64,
    pub forget_accuracy: f64,
    pub remain_accuracy: f64,
    pub fit_accuracy: f64,
    pub auc: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_prototype_options {
    pub struct_size: usize,
    pub samples: i32,
    pub draws: i32,
    pub scale: amun_prototype_scale,
    pub reserved: i32,
    pub seed: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_prototype {
    pub struct_size: usize,
    pub tested: i64,
    pub forget_before: f64,
    pub remain_before: f64,
    pub forget_accuracy: f64,
    pub forget_sd: f64,
    pub remain_accuracy: f64,
    pub remain_sd: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_lossmia_options {
    pub struct_size: usize,
    pub splits: i32,
    pub reserved: i32,
    pub test_share: f64,
    pub ridge: f64,
    pub seed: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_lossmia {
    pub struct_size: usize,
    pub rows: i64,
    pub accuracy: f64,
    pub sd: f64,
    pub auc: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_quality_options {
    pub struct_size: usize,
    pub delta: f64,
    pub cap: f64,
    pub bin: f64,
    pub intervals: i32,
    pub reserved: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_quality {
    pub struct_size: usize,
    pub unlearned: i64,
    pub retrained: i64,
    pub rows: i64,
    pub score: f64,
    pub epsilon_mean: f64,
    pub epsilon_median: f64,
    pub capped: i64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_rival_options {
    pub struct_size: usize,
    pub any_label: i32,
    pub forget_first: i32,
    pub ascent_norm: f64,
    pub ascent_floor: f64,
    pub retain_weight: f64,
    pub boundary_step: f64,
    pub l1: f64,
    pub scrub_temperature: f64,
    pub scrub_gamma: f64,
    pub scrub_alpha: f64,
    pub scrub_ascent_epochs: i32,
    pub scrub_rewind: i32,
    pub ssd_alpha: f64,
    pub ssd_lambda: f64,
    pub svd_retain_alpha: f64,
    pub svd_forget_alpha: f64,
    pub svd_samples: i32,
    pub svd_patches: i32,
    pub teacher_share: f64,
    pub teacher_temperature: f64,
    pub unsir_noise: i32,
    pub unsir_noise_steps: i32,
    pub unsir_noise_lr: f64,
    pub unsir_noise_penalty: f64,
    pub unsir_copies: i32,
    pub unsir_per_class: i32,
    pub unsir_repair_lr: f64,
    pub last_blocks: i32,
    pub reserved: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_trw_options {
    pub struct_size: usize,
    pub beta: f64,
    pub temperature: f64,
    pub energy: f64,
    pub components: i32,
    pub score: amun_trw_score,
    pub bias: i32,
    pub balanced: i32,
    pub frozen_statistics: i32,
    pub neighbours: i32,
    pub kappa: f64,
    pub forget_floor: f64,
    pub forget_weight: f64,
    pub noise: f64,
    pub control: amun_trw_control,
    pub stage: i32,
    pub noise_seed: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_unlearn_options {
    pub struct_size: usize,
    pub method: amun_unlearn_method,
    pub remain: i32,
    pub train: *const amun_train_options,
    pub seed: u64,
    pub mask_ratio: f64,
    pub rival: *const amun_rival_options,
    pub trw: *const amun_trw_options,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_unlearn_result {
    pub struct_size: usize,
    pub remain: i64,
    pub forget: i64,
    pub adversarial: i64,
    pub failed: i64,
    pub loss: f64,
    pub accuracy: f64,
    pub seconds: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_trw_select_options {
    pub struct_size: usize,
    pub share: f64,
    pub tolerance: f64,
    pub seed: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_unlearn_bound {
    pub struct_size: usize,
    pub samples: i64,
    pub delta: f64,
    pub l_delta: f64,
    pub original_adversarial: f64,
    pub unlearned_adversarial: f64,
    pub retrained_clean: f64,
    pub retrained_adversarial: f64,
    pub c: f64,
    pub before: f64,
    pub after: f64,
    pub bound: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_forget_check {
    pub struct_size: usize,
    pub auc: f64,
    pub error: f64,
    pub low: f64,
    pub high: f64,
    pub p: f64,
    pub verdict: amun_verdict,
    pub reserved: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_select_options {
    pub struct_size: usize,
    pub rule: amun_select_rule,
    pub reserved: i32,
    pub tolerance: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_select_trial {
    pub struct_size: usize,
    pub lr: f64,
    pub forget_accuracy: f64,
    pub heldout_accuracy: f64,
    pub auc: f64,
    pub error: f64,
    pub seconds: f64,
    pub admitted: i32,
    pub failed: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_relearn_options {
    pub struct_size: usize,
    pub lr: f64,
    pub batch: i32,
    pub every: i32,
    pub most_epochs: i32,
    pub reserved: i32,
    pub seed: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_relearn {
    pub struct_size: usize,
    pub steps: i64,
    pub before: f64,
    pub after: f64,
    pub seconds: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_spectrum_options {
    pub struct_size: usize,
    pub method: amun_spectrum_method,
    pub k: i32,
    pub block: i32,
    pub max_iterations: i32,
    pub tol: f64,
    pub mu: f64,
    pub fold_batchnorm: i32,
    pub certify: i32,
    pub seed: u64,
    pub certify_cost: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_layer_spectrum {
    pub struct_size: usize,
    pub name: *const c_char,
    pub batchnorm: *const c_char,
    pub kind: amun_layer_kind,
    pub node: amun_node,
    pub in_shape: [i64; 3],
    pub out_shape: [i64; 3],
    pub sigma_lower: f64,
    pub sigma_upper: f64,
    pub sigma_flat: f64,
    pub residual: f64,
    pub bound: amun_bound_kind,
    pub values: i32,
    pub iterations: i32,
    pub converged: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct amun_lipschitz {
    pub struct_size: usize,
    pub upper: f64,
    pub estimate: f64,
}

extern "C" {
    pub fn amun_call_options_init(opts: *mut amun_call_options, size: usize) -> amun_status;
    pub fn amun_status_string(status: amun_status) -> *const c_char;
    pub fn amun_last_error_message() -> *const c_char;
    pub fn amun_version() -> u32;
    pub fn amun_version_string() -> *const c_char;
    pub fn amun_abi_version() -> u32;
    pub fn amun_build_info_json() -> *const c_char;
    pub fn amun_context_options_init(opts: *mut amun_context_options, size: usize) -> amun_status;
    pub fn amun_context_create(ctx: *mut *mut amun_context, opts: *const amun_context_options) -> amun_status;
    pub fn amun_context_ref(ctx: *mut amun_context) -> *mut amun_context;
    pub fn amun_context_unref(ctx: *mut amun_context);
    pub fn amun_context_set_threads(ctx: *mut amun_context, threads: i32) -> amun_status;
    pub fn amun_context_get_threads(ctx: *const amun_context) -> i32;
    pub fn amun_context_set_log(ctx: *mut amun_context, fn_: amun_log_fn, user_data: *mut c_void, level: amun_log_level) -> amun_status;
    pub fn amun_context_set_memory_limit(ctx: *mut amun_context, bytes: u64) -> amun_status;
    pub fn amun_context_get_memory(ctx: *const amun_context, stats: *mut amun_memory_stats) -> amun_status;
    pub fn amun_tensor_view_init(view: *mut amun_tensor_view, data: *mut c_void, dtype: amun_dtype, ndim: i32, shape: *const i64) -> amun_status;
    pub fn amun_dtype_size(dtype: amun_dtype) -> usize;
    pub fn amun_dataset_open_view(ds: *mut *mut amun_dataset, ctx: *mut amun_context, images: *const amun_tensor_view, labels: *const amun_tensor_view, classes: i64, release: amun_release_fn, user_data: *mut c_void) -> amun_status;
    pub fn amun_dataset_open_cifar10(ds: *mut *mut amun_dataset, ctx: *mut amun_context, path: *const c_char, split: *const c_char) -> amun_status;
    pub fn amun_dataset_open_cifar100(ds: *mut *mut amun_dataset, ctx: *mut amun_context, path: *const c_char, split: *const c_char) -> amun_status;
    pub fn amun_dataset_open_idx(ds: *mut *mut amun_dataset, ctx: *mut amun_context, images: *const c_char, labels: *const c_char) -> amun_status;
    pub fn amun_dataset_open_npy(ds: *mut *mut amun_dataset, ctx: *mut amun_context, images: *const c_char, labels: *const c_char) -> amun_status;
    pub fn amun_dataset_subset(ds: *mut *mut amun_dataset, parent: *mut amun_dataset, indices: *const i64, count: usize) -> amun_status;
    pub fn amun_dataset_ref(ds: *mut amun_dataset) -> *mut amun_dataset;
    pub fn amun_dataset_unref(ds: *mut amun_dataset);
    pub fn amun_dataset_count(ds: *const amun_dataset) -> usize;
    pub fn amun_dataset_classes(ds: *const amun_dataset) -> i64;
    pub fn amun_dataset_shape(ds: *const amun_dataset, shape: *mut i64) -> amun_status;
    pub fn amun_dataset_labels(ds: *const amun_dataset, first: usize, count: usize, labels: *mut i64) -> amun_status;
    pub fn amun_dataset_read(ds: *const amun_dataset, first: usize, count: usize, images: *mut f32) -> amun_status;
    pub fn amun_forget_indices(indices: *mut i64, count: usize, population: usize, seed: u32) -> amun_status;
    pub fn amun_npy_write(ctx: *mut amun_context, path: *const c_char, view: *const amun_tensor_view) -> amun_status;
    pub fn amun_conv2d_options_init(opts: *mut amun_conv2d_options, size: usize) -> amun_status;
    pub fn amun_pool_options_init(opts: *mut amun_pool_options, size: usize) -> amun_status;
    pub fn amun_graph_create(graph: *mut *mut amun_graph, ctx: *mut amun_context, channels: i64, height: i64, width: i64) -> amun_status;
    pub fn amun_graph_ref(graph: *mut amun_graph) -> *mut amun_graph;
    pub fn amun_graph_unref(graph: *mut amun_graph);
    pub fn amun_graph_conv2d(node: *mut amun_node, graph: *mut amun_graph, src: amun_node, name: *const c_char, opts: *const amun_conv2d_options) -> amun_status;
    pub fn amun_graph_linear(node: *mut amun_node, graph: *mut amun_graph, src: amun_node, name: *const c_char, features: i64, bias: i32) -> amun_status;
    pub fn amun_graph_batchnorm(node: *mut amun_node, graph: *mut amun_graph, src: amun_node, name: *const c_char, eps: f64, momentum: f64) -> amun_status;
    pub fn amun_graph_relu(node: *mut amun_node, graph: *mut amun_graph, src: amun_node) -> amun_status;
    pub fn amun_graph_add(node: *mut amun_node, graph: *mut amun_graph, a: amun_node, b: amun_node) -> amun_status;
    pub fn amun_graph_scale(node: *mut amun_node, graph: *mut amun_graph, src: amun_node, factor: f64) -> amun_status;
    pub fn amun_graph_max_pool(node: *mut amun_node, graph: *mut amun_graph, src: amun_node, opts: *const amun_pool_options) -> amun_status;
    pub fn amun_graph_avg_pool(node: *mut amun_node, graph: *mut amun_graph, src: amun_node, opts: *const amun_pool_options) -> amun_status;
    pub fn amun_graph_global_pool(node: *mut amun_node, graph: *mut amun_graph, src: amun_node) -> amun_status;
    pub fn amun_graph_flatten(node: *mut amun_node, graph: *mut amun_graph, src: amun_node) -> amun_status;
    pub fn amun_graph_concat(node: *mut amun_node, graph: *mut amun_graph, srcs: *const amun_node, count: i32) -> amun_status;
    pub fn amun_graph_normalise(node: *mut amun_node, graph: *mut amun_graph, src: amun_node, mean: *const f64, std: *const f64) -> amun_status;
    pub fn amun_model_options_init(opts: *mut amun_model_options, size: usize) -> amun_status;
    pub fn amun_model_create(model: *mut *mut amun_model, ctx: *mut amun_context, arch: *const c_char, opts: *const amun_model_options) -> amun_status;
    pub fn amun_model_create_graph(model: *mut *mut amun_model, ctx: *mut amun_context, graph: *mut amun_graph, seed: u64) -> amun_status;
    pub fn amun_model_clone(model: *mut *mut amun_model, source: *const amun_model) -> amun_status;
    pub fn amun_model_ref(model: *mut amun_model) -> *mut amun_model;
    pub fn amun_model_unref(model: *mut amun_model);
    pub fn amun_model_reset(model: *mut amun_model, seed: u64) -> amun_status;
    pub fn amun_model_load(model: *mut *mut amun_model, ctx: *mut amun_context, path: *const c_char) -> amun_status;
    pub fn amun_model_load_weights(model: *mut amun_model, path: *const c_char) -> amun_status;
    pub fn amun_model_save(model: *const amun_model, path: *const c_char) -> amun_status;
    pub fn amun_model_arch(model: *const amun_model) -> *const c_char;
    pub fn amun_model_classes(model: *const amun_model) -> i64;
    pub fn amun_model_shape(model: *const amun_model, shape: *mut i64) -> amun_status;
    pub fn amun_model_parameters(model: *const amun_model) -> usize;
    pub fn amun_model_get_tensor(model: *const amun_model, name: *const c_char, values: *mut f32, count: usize) -> amun_status;
    pub fn amun_model_set_tensor(model: *mut amun_model, name: *const c_char, values: *const f32, count: usize) -> amun_status;
    pub fn amun_model_predict(model: *const amun_model, images: *const amun_tensor_view, logits: *const amun_tensor_view, call: *const amun_call_options) -> amun_status;
    pub fn amun_model_estimate_memory(model: *const amun_model, batch: i64, mode: amun_mode, bytes: *mut u64) -> amun_status;
    pub fn amun_search_options_init(opts: *mut amun_search_options, size: usize) -> amun_status;
    pub fn amun_fgsm_options_init(opts: *mut amun_fgsm_options, size: usize) -> amun_status;
    pub fn amun_ffgsm_options_init(opts: *mut amun_ffgsm_options, size: usize) -> amun_status;
    pub fn amun_pgd_linf_options_init(opts: *mut amun_pgd_options, size: usize) -> amun_status;
    pub fn amun_pgd_l2_options_init(opts: *mut amun_pgd_options, size: usize) -> amun_status;
    pub fn amun_mim_options_init(opts: *mut amun_mim_options, size: usize) -> amun_status;
    pub fn amun_apgd_options_init(opts: *mut amun_apgd_options, size: usize) -> amun_status;
    pub fn amun_square_options_init(opts: *mut amun_square_options, size: usize) -> amun_status;
    pub fn amun_standard_options_init(opts: *mut amun_standard_options, size: usize) -> amun_status;
    pub fn amun_attack_create_fgsm(attack: *mut *mut amun_attack, ctx: *mut amun_context, opts: *const amun_fgsm_options) -> amun_status;
    pub fn amun_attack_create_ffgsm(attack: *mut *mut amun_attack, ctx: *mut amun_context, opts: *const amun_ffgsm_options) -> amun_status;
    pub fn amun_attack_create_pgd_linf(attack: *mut *mut amun_attack, ctx: *mut amun_context, opts: *const amun_pgd_options) -> amun_status;
    pub fn amun_attack_create_pgd_l2(attack: *mut *mut amun_attack, ctx: *mut amun_context, opts: *const amun_pgd_options) -> amun_status;
    pub fn amun_attack_create_search(attack: *mut *mut amun_attack, ctx: *mut amun_context, opts: *const amun_search_options) -> amun_status;
    pub fn amun_attack_create_mim(attack: *mut *mut amun_attack, ctx: *mut amun_context, opts: *const amun_mim_options) -> amun_status;
    pub fn amun_attack_create_apgd(attack: *mut *mut amun_attack, ctx: *mut amun_context, opts: *const amun_apgd_options) -> amun_status;
    pub fn amun_attack_create_square(attack: *mut *mut amun_attack, ctx: *mut amun_context, opts: *const amun_square_options) -> amun_status;
    pub fn amun_attack_create_standard(attack: *mut *mut amun_attack, ctx: *mut amun_context, opts: *const amun_standard_options) -> amun_status;
    pub fn amun_attack_ref(attack: *mut amun_attack) -> *mut amun_attack;
    pub fn amun_attack_unref(attack: *mut amun_attack);
    pub fn amun_attack_clamp(attack: *const amun_attack) -> amun_clamp;
    pub fn amun_attack_run(attack: *mut amun_attack, model: *const amun_model, images: *const amun_tensor_view, labels: *const amun_tensor_view, ids: *const i64, adversarial: *const amun_tensor_view, records: *mut amun_attack_record, call: *const amun_call_options) -> amun_status;
    pub fn amun_advset_build(set: *mut *mut amun_advset, attack: *mut amun_attack, model: *const amun_model, data: *const amun_dataset, indices: *const i64, count: usize, call: *const amun_call_options) -> amun_status;
    pub fn amun_advset_save(set: *const amun_advset, path: *const c_char) -> amun_status;
    pub fn amun_advset_load(set: *mut *mut amun_advset, data: *const amun_dataset, path: *const c_char, ctx: *mut amun_context) -> amun_status;
    pub fn amun_advset_ref(set: *mut amun_advset) -> *mut amun_advset;
    pub fn amun_advset_unref(set: *mut amun_advset);
    pub fn amun_advset_count(set: *const amun_advset) -> usize;
    pub fn amun_advset_found(set: *const amun_advset) -> usize;
    pub fn amun_advset_records(set: *const amun_advset) -> *const amun_attack_record;
    pub fn amun_advset_image(set: *const amun_advset, i: usize, image: *mut f32) -> amun_status;
    pub fn amun_miann_options_init(opts: *mut amun_miann_options, size: usize) -> amun_status;
    pub fn amun_miann_compute(result: *mut amun_miann, accuracy: *mut f64, sanity: *mut f64, retrained: *const amun_tensor_view, unlearned: *const amun_tensor_view, labels: *const amun_tensor_view, forget: *const i64, n_forget: usize, opts: *const amun_miann_options) -> amun_status;
    pub fn amun_c2st_options_init(opts: *mut amun_c2st_options, size: usize) -> amun_status;
    pub fn amun_c2st_compute(result: *mut amun_c2st, retrained: *const amun_tensor_view, unlearned: *const amun_tensor_view, labels: *const amun_tensor_view, forget: *const i64, n_forget: usize, opts: *const amun_c2st_options) -> amun_status;
    pub fn amun_ulira_phi(phi: *mut f64, logits: *const amun_tensor_view, labels: *const amun_tensor_view) -> amun_status;
    pub fn amun_ulira_options_init(opts: *mut amun_ulira_options, size: usize) -> amun_status;
    pub fn amun_ulira_class(result: *mut amun_ulira, unlearned: *const amun_tensor_view, retrained: *const amun_tensor_view, released: *const amun_tensor_view, labels: *const amun_tensor_view, forget: *const i64, n_forget: usize, opts: *const amun_ulira_options) -> amun_status;
    pub fn amun_ulira_class_scores(result: *mut amun_ulira, unlearned: *const f64, n_unlearned: usize, retrained: *const f64, n_retrained: usize, released: *const f64, n: usize, opts: *const amun_ulira_options) -> amun_status;
    pub fn amun_ulira_sample_scores(result: *mut amun_ulira_samples, p: *mut f64, scores: *const f64, state: *const u8, models: usize, target: *const f64, truth: *const u8, n: usize, opts: *const amun_ulira_options) -> amun_status;
    pub fn amun_distance_compute(result: *mut amun_distance, tv_rows: *mut f64, retrained: *const amun_tensor_view, unlearned: *const amun_tensor_view, labels: *const amun_tensor_view, chosen: *const i64, n_chosen: usize) -> amun_status;
    pub fn amun_distance_routing(shares: *mut f64, retrained: *const amun_tensor_view, unlearned: *const amun_tensor_view, labels: *const amun_tensor_view, chosen: *const i64, n_chosen: usize) -> amun_status;
    pub fn amun_distance_zrf(zrf: *mut f64, unlearned: *const amun_tensor_view, random: *const amun_tensor_view) -> amun_status;
    pub fn amun_distance_klom(mean: *mut f64, p95: *mut f64, rows: *mut f64, unlearned: *const f64, n_unlearned: usize, retrained: *const f64, n_retrained: usize, n: usize) -> amun_status;
    pub fn amun_svcmia_options_init(opts: *mut amun_svcmia_options, size: usize) -> amun_status;
    pub fn amun_svcmia_salun(result: *mut amun_svcmia, remain: *const amun_tensor_view, remain_labels: *const amun_tensor_view, test: *const amun_tensor_view, test_labels: *const amun_tensor_view, forget: *const amun_tensor_view, forget_labels: *const amun_tensor_view, opts: *const amun_svcmia_options) -> amun_status;
    pub fn amun_svcmia_kodge(result: *mut amun_svcmia, remain: *const amun_tensor_view, remain_labels: *const amun_tensor_view, forget: *const amun_tensor_view, forget_labels: *const amun_tensor_view, forget_test: *const amun_tensor_view, forget_test_labels: *const amun_tensor_view, opts: *const amun_svcmia_options) -> amun_status;
    pub fn amun_clip_options_init(opts: *mut amun_clip_options, size: usize) -> amun_status;
    pub fn amun_clipper_create(clipper: *mut *mut amun_clipper, model: *mut amun_model, opts: *const amun_clip_options) -> amun_status;
    pub fn amun_clipper_ref(clipper: *mut amun_clipper) -> *mut amun_clipper;
    pub fn amun_clipper_unref(clipper: *mut amun_clipper);
    pub fn amun_clipper_run(result: *mut amun_clip_result, clipper: *mut amun_clipper, call: *const amun_call_options) -> amun_status;
    pub fn amun_clipper_step(result: *mut amun_clip_result, clipper: *mut amun_clipper) -> amun_status;
    pub fn amun_train_options_init(opts: *mut amun_train_options, size: usize) -> amun_status;
    pub fn amun_train_run(result: *mut amun_train_result, model: *mut amun_model, data: *const amun_dataset, indices: *const i64, count: usize, opts: *const amun_train_options, call: *const amun_call_options) -> amun_status;
    pub fn amun_model_evaluate(accuracy: *mut f64, loss: *mut f64, model: *const amun_model, data: *const amun_dataset, indices: *const i64, count: usize, call: *const amun_call_options) -> amun_status;
    pub fn amun_features_width(width: *mut i64, model: *const amun_model, stage: i32) -> amun_status;
    pub fn amun_features_compute(features: *mut f32, model: *const amun_model, data: *const amun_dataset, indices: *const i64, count: usize, stage: i32, call: *const amun_call_options) -> amun_status;
    pub fn amun_ensemble_create(ensemble: *mut *mut amun_ensemble, ctx: *mut amun_context, models: *const *mut amun_model, count: usize) -> amun_status;
    pub fn amun_ensemble_ref(ensemble: *mut amun_ensemble) -> *mut amun_ensemble;
    pub fn amun_ensemble_unref(ensemble: *mut amun_ensemble);
    pub fn amun_ensemble_count(ensemble: *const amun_ensemble) -> usize;
    pub fn amun_ensemble_model(ensemble: *const amun_ensemble, i: usize) -> *mut amun_model;
    pub fn amun_ensemble_predict(ensemble: *const amun_ensemble, images: *const amun_tensor_view, logits: *const amun_tensor_view, call: *const amun_call_options) -> amun_status;
    pub fn amun_ensemble_evaluate(accuracy: *mut f64, loss: *mut f64, ensemble: *const amun_ensemble, data: *const amun_dataset, indices: *const i64, count: usize, call: *const amun_call_options) -> amun_status;
    pub fn amun_ensemble_attack(attack: *mut amun_attack, ensemble: *const amun_ensemble, images: *const amun_tensor_view, labels: *const amun_tensor_view, ids: *const i64, adversarial: *const amun_tensor_view, records: *mut amun_attack_record, call: *const amun_call_options) -> amun_status;
    pub fn amun_ensemble_save(ensemble: *const amun_ensemble, folder: *const c_char) -> amun_status;
    pub fn amun_ensemble_load(ensemble: *mut *mut amun_ensemble, ctx: *mut amun_context, folder: *const c_char) -> amun_status;
    pub fn amun_lotos_options_init(opts: *mut amun_lotos_options, size: usize) -> amun_status;
    pub fn amun_ensemble_train_options_init(opts: *mut amun_ensemble_train_options, size: usize) -> amun_status;
    pub fn amun_ensemble_train(result: *mut amun_train_result, ensemble: *mut amun_ensemble, data: *const amun_dataset, indices: *const i64, count: usize, opts: *const amun_ensemble_train_options, call: *const amun_call_options) -> amun_status;
    pub fn amun_transfer_run(result: *mut amun_transfer_result, rates: *mut f64, eligible: *mut i64, models: *const *mut amun_model, count: usize, attack: *mut amun_attack, data: *const amun_dataset, indices: *const i64, n: usize, call: *const amun_call_options) -> amun_status;
    pub fn amun_transfer_black_box(result: *mut amun_transfer_result, rates: *mut f64, eligible: *mut i64, robust: *mut f64, surrogates: *const *mut amun_model, count: usize, attack: *mut amun_attack, target: *const amun_ensemble, data: *const amun_dataset, indices: *const i64, n: usize, call: *const amun_call_options) -> amun_status;
    pub fn amun_transfer_white_box(result: *mut amun_transfer_result, attack: *mut amun_attack, target: *const amun_ensemble, data: *const amun_dataset, indices: *const i64, n: usize, call: *const amun_call_options) -> amun_status;
    pub fn amun_transfer_certify(result: *mut amun_certificate, radii: *mut f64, target: *const amun_ensemble, lipschitz: *const f64, eps: f64, data: *const amun_dataset, indices: *const i64, n: usize, call: *const amun_call_options) -> amun_status;
    pub fn amun_transfer_bound(result: *mut amun_transfer_gap, attacked: *const amun_model, judge: *const amun_model, lipschitz: *const f64, eps: f64, attack: *mut amun_attack, data: *const amun_dataset, indices: *const i64, n: usize, call: *const amun_call_options) -> amun_status;
    pub fn amun_rmia_options_init(opts: *mut amun_rmia_options, size: usize) -> amun_status;
    pub fn amun_signal_compute(signal: *mut f64, nonpositive: *mut usize, logits: *const amun_tensor_view, labels: *const amun_tensor_view, opts: *const amun_rmia_options) -> amun_status;
    pub fn amun_rmia_scores(scores: *mut f64, target: *const f64, references: *const f64, included: *const u8, population: *const u8, models: usize, n: usize, opts: *const amun_rmia_options) -> amun_status;
    pub fn amun_auc_compute(auc: *mut f64, positives: *const f64, n_positives: usize, negatives: *const f64, n_negatives: usize) -> amun_status;
    pub fn amun_tpr_at_fpr(tpr: *mut f64, positives: *const f64, n_positives: usize, negatives: *const f64, n_negatives: usize, fpr: f64) -> amun_status;
    pub fn amun_rmia_inclusion(included: *mut u8, models: usize, n: usize, seed: u32) -> amun_status;
    pub fn amun_svc_features(confidence: *mut f64, entropy: *mut f64, modified_entropy: *mut f64, logits: *const amun_tensor_view, labels: *const amun_tensor_view) -> amun_status;
    pub fn amun_svc_mis(mis: *mut f64, members: *const f64, nonmembers: *const f64, n_each: usize, forget: *const f64, n_forget: usize) -> amun_status;
    pub fn amun_mia_options_init(opts: *mut amun_mia_options, size: usize) -> amun_status;
    pub fn amun_mia_create(mia: *mut *mut amun_mia, ctx: *mut amun_context, train: *mut amun_dataset, test: *mut amun_dataset, opts: *const amun_mia_options) -> amun_status;
    pub fn amun_mia_ref(mia: *mut amun_mia) -> *mut amun_mia;
    pub fn amun_mia_unref(mia: *mut amun_mia);
    pub fn amun_mia_train_references(mia: *mut amun_mia, like: *const amun_model, opts: *const amun_train_options, dir: *const c_char, call: *const amun_call_options) -> amun_status;
    pub fn amun_mia_set_reference(mia: *mut amun_mia, number: i32, logits: *const amun_tensor_view) -> amun_status;
    pub fn amun_mia_inclusion(mia: *const amun_mia) -> *const u8;
    pub fn amun_mia_audit(audit: *mut amun_audit, mia: *mut amun_mia, model: *const amun_model, forget: *const i64, count: usize, call: *const amun_call_options) -> amun_status;
    pub fn amun_report_create(report: *mut *mut amun_report, ctx: *mut amun_context, dataset: *const c_char, arch: *const c_char, forget_count: usize, references: i32) -> amun_status;
    pub fn amun_report_ref(report: *mut amun_report) -> *mut amun_report;
    pub fn amun_report_unref(report: *mut amun_report);
    pub fn amun_report_add(report: *mut amun_report, method: *const c_char, seed: u64, audit: *const amun_audit, seconds: f64) -> amun_status;
    pub fn amun_report_add_provenance(report: *mut amun_report, key: *const c_char, json: *const c_char) -> amun_status;
    pub fn amun_report_get(report: *const amun_report, method: *const c_char, mean: *mut amun_audit, sd: *mut amun_audit, seconds: *mut f64) -> amun_status;
    pub fn amun_report_table(report: *const amun_report, buf: *mut c_char, cap: usize, needed: *mut usize) -> amun_status;
    pub fn amun_report_write(report: *const amun_report, path: *const c_char) -> amun_status;
    pub fn amun_gap_compute(result: *mut amun_gap, unlearned: f64, retrained: *const f64, models: usize) -> amun_status;
    pub fn amun_probe_options_init(opts: *mut amun_probe_options, size: usize) -> amun_status;
    pub fn amun_probe_compute(result: *mut amun_probe, logits: *mut f64, fit: *const amun_tensor_view, fit_labels: *const amun_tensor_view, test: *const amun_tensor_view, test_labels: *const amun_tensor_view, classes: i64, forget: *const i64, n_forget: usize, opts: *const amun_probe_options) -> amun_status;
    pub fn amun_probe_model(result: *mut amun_probe, model: *const amun_model, train: *const amun_dataset, test: *const amun_dataset, forget: *const i64, n_forget: usize, opts: *const amun_probe_options, call: *const amun_call_options) -> amun_status;
    pub fn amun_prototype_options_init(opts: *mut amun_prototype_options, size: usize) -> amun_status;
    pub fn amun_prototype_compute(result: *mut amun_prototype, rows: *const amun_tensor_view, bias: *const amun_tensor_view, support: *const amun_tensor_view, support_labels: *const amun_tensor_view, test: *const amun_tensor_view, test_labels: *const amun_tensor_view, forget: *const i64, n_forget: usize, opts: *const amun_prototype_options) -> amun_status;
    pub fn amun_prototype_model(result: *mut amun_prototype, model: *const amun_model, train: *const amun_dataset, test: *const amun_dataset, forget: *const i64, n_forget: usize, opts: *const amun_prototype_options, call: *const amun_call_options) -> amun_status;
    pub fn amun_lossmia_options_init(opts: *mut amun_lossmia_options, size: usize) -> amun_status;
    pub fn amun_lossmia_compute(result: *mut amun_lossmia, forget: *const f64, n_forget: usize, unseen: *const f64, n_unseen: usize, opts: *const amun_lossmia_options) -> amun_status;
    pub fn amun_lossmia_logits(result: *mut amun_lossmia, forget: *const amun_tensor_view, forget_labels: *const amun_tensor_view, unseen: *const amun_tensor_view, unseen_labels: *const amun_tensor_view, opts: *const amun_lossmia_options) -> amun_status;
    pub fn amun_quality_options_init(opts: *mut amun_quality_options, size: usize) -> amun_status;
    pub fn amun_quality_compute(result: *mut amun_quality, epsilon: *mut f64, unlearned: *const f64, n_unlearned: usize, retrained: *const f64, n_retrained: usize, n: usize, opts: *const amun_quality_options) -> amun_status;
    pub fn amun_rival_options_init(opts: *mut amun_rival_options, size: usize) -> amun_status;
    pub fn amun_trw_options_init(opts: *mut amun_trw_options, size: usize) -> amun_status;
    pub fn amun_trw_scores(scores: *mut f64, rows: *const amun_tensor_view, bias: *const amun_tensor_view, forget: *const i64, count: usize, opts: *const amun_trw_options) -> amun_status;
    pub fn amun_trw_sample_scores(scores: *mut f64, features: *const amun_tensor_view, remain: *const amun_tensor_view, remain_labels: *const amun_tensor_view, forget: *const i64, count: usize, classes: i64, opts: *const amun_trw_options) -> amun_status;
    pub fn amun_trw_mix(scores: *mut f64, class_scores: *const f64, labels: *const amun_tensor_view, forget: *const i64, count: usize, classes: i64, opts: *const amun_trw_options) -> amun_status;
    pub fn amun_trw_targets(targets: *mut f64, logits: *const amun_tensor_view, labels: *const amun_tensor_view, forget: *const i64, count: usize, scores: *const f64, opts: *const amun_trw_options) -> amun_status;
    pub fn amun_trw_moment(moment: *mut f64, slope: *mut f64, logits: *const amun_tensor_view, labels: *const amun_tensor_view, forget: *const i64, count: usize, scores: *const f64, beta: f64) -> amun_status;
    pub fn amun_trw_solve_beta(beta: *mut f64, logits: *const amun_tensor_view, labels: *const amun_tensor_view, forget: *const i64, count: usize, scores: *const f64, moment: f64) -> amun_status;
    pub fn amun_trw_beta_from_reference(beta: *mut f64, moment: *mut f64, logits: *const amun_tensor_view, reference: *const amun_tensor_view, labels: *const amun_tensor_view, forget: *const i64, count: usize, scores: *const f64) -> amun_status;
    pub fn amun_unlearn_options_init(opts: *mut amun_unlearn_options, size: usize) -> amun_status;
    pub fn amun_unlearn_train_options_init(opts: *mut amun_train_options, size: usize, method: amun_unlearn_method) -> amun_status;
    pub fn amun_unlearn_run(result: *mut amun_unlearn_result, model: *mut amun_model, train: *const amun_dataset, forget: *const i64, count: usize, set: *const amun_advset, opts: *const amun_unlearn_options, call: *const amun_call_options) -> amun_status;
    pub fn amun_trw_select_options_init(opts: *mut amun_trw_select_options, size: usize) -> amun_status;
    pub fn amun_trw_select_beta(beta: *mut f64, heldout: *mut f64, original: *mut f64, model: *const amun_model, train: *mut amun_dataset, forget: *const i64, count: usize, betas: *const f64, beta_count: usize, opts: *const amun_trw_select_options, unlearn: *const amun_unlearn_options, call: *const amun_call_options) -> amun_status;
    pub fn amun_unlearn_diagnose(result: *mut amun_unlearn_bound, original: *const amun_model, unlearned: *const amun_model, retrained: *const amun_model, train: *const amun_dataset, set: *const amun_advset, lipschitz: f64, beta: f64, call: *const amun_call_options) -> amun_status;
    pub fn amun_forget_check_scores(result: *mut amun_forget_check, forget: *const f64, n_forget: usize, unseen: *const f64, n_unseen: usize, confidence: f64) -> amun_status;
    pub fn amun_forget_check_model(result: *mut amun_forget_check, model: *const amun_model, train: *const amun_dataset, forget: *const i64, count: usize, unseen: *const amun_dataset, indices: *const i64, unseen_count: usize, confidence: f64, call: *const amun_call_options) -> amun_status;
    pub fn amun_select_options_init(opts: *mut amun_select_options, size: usize) -> amun_status;
    pub fn amun_select_rate(trials: *mut amun_select_trial, best: *mut usize, unlearned: *mut *mut amun_model, model: *const amun_model, train: *const amun_dataset, forget: *const i64, forget_count: usize, set: *const amun_advset, heldout: *const amun_dataset, rates: *const f64, count: usize, unlearn: *const amun_unlearn_options, opts: *const amun_select_options, call: *const amun_call_options) -> amun_status;
    pub fn amun_relearn_options_init(opts: *mut amun_relearn_options, size: usize) -> amun_status;
    pub fn amun_relearn_time(result: *mut amun_relearn, model: *const amun_model, train: *const amun_dataset, forget: *const i64, count: usize, target: f64, opts: *const amun_relearn_options, call: *const amun_call_options) -> amun_status;
    pub fn amun_spectrum_options_init(opts: *mut amun_spectrum_options, size: usize) -> amun_status;
    pub fn amun_spectrum_create(spectrum: *mut *mut amun_spectrum, model: *mut amun_model, opts: *const amun_spectrum_options) -> amun_status;
    pub fn amun_spectrum_ref(spectrum: *mut amun_spectrum) -> *mut amun_spectrum;
    pub fn amun_spectrum_unref(spectrum: *mut amun_spectrum);
    pub fn amun_spectrum_run(spectrum: *mut amun_spectrum, max_iterations: i32, call: *const amun_call_options) -> amun_status;
    pub fn amun_spectrum_count(spectrum: *const amun_spectrum) -> usize;
    pub fn amun_spectrum_layer(spectrum: *const amun_spectrum, i: usize, layer: *mut amun_layer_spectrum) -> amun_status;
    pub fn amun_spectrum_values(spectrum: *const amun_spectrum, i: usize, sigma: *mut f64, residuals: *mut f64, count: usize) -> amun_status;
    pub fn amun_spectrum_vector(spectrum: *const amun_spectrum, i: usize, j: usize, vector: *mut f32, count: usize) -> amun_status;
    pub fn amun_lipschitz_bound(result: *mut amun_lipschitz, per_node: *mut f64, count: usize, spectrum: *const amun_spectrum) -> amun_status;
    pub fn amun_lipschitz_local(largest: *mut f64, per_image: *mut f64, model: *const amun_model, data: *const amun_dataset, indices: *const i64, n: usize, call: *const amun_call_options) -> amun_status;
}
