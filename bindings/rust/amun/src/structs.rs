// Written by gen_bindings.py from include/amun/*.h; do not edit.

use crate::enums::*;
use crate::{sys, Kept, Result};

/// Fields of `amun_context_options`.
#[derive(Clone, Debug)]
pub struct ContextOptions {
    /// bytes through this context, default 0 = no limit
    pub memory_limit: u64,
    /// default 0 = the runtime's choice, range \[0, 1024\]
    pub threads: i32,
    /// file of measured choices, copied. Default NULL: AMUN_TUNE_CACHE in the environment, else nothing is ever timed
    pub tune_cache: Option<String>,
    /// default AUTO: AMUN_CONV in the environment ("auto", "direct", "winograd", "own"), else the file or the fixed rule. Where CPU or oneDNN lack what is asked for, compiling a plan gives UNSUPPORTED
    pub conv: ConvChoice,
    /// default AUTO. BF16 without oneDNN: training and attacks give UNSUPPORTED
    pub precision: Precision,
}

impl ContextOptions {
    pub(crate) fn from_raw(raw: &sys::amun_context_options) -> Self {
        Self {
            memory_limit: raw.memory_limit,
            threads: raw.threads,
            tune_cache: crate::text_or_none(raw.tune_cache),
            conv: ConvChoice(raw.conv),
            precision: Precision(raw.precision),
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_context_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_context_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.memory_limit = self.memory_limit;
        raw.threads = self.threads;
        raw.tune_cache = kept.text_or_null(self.tune_cache.as_deref())?;
        raw.conv = self.conv.0;
        raw.precision = self.precision.0;
        Ok(kept.keep(raw))
    }
}

impl Default for ContextOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_context_options_init))
    }
}

/// Fields of `amun_memory_stats`.
#[derive(Clone, Copy, Debug)]
pub struct MemoryStats {
    /// bytes allocated through the context now
    pub current: u64,
    /// the largest `current` so far
    pub peak: u64,
    /// live allocations
    pub blocks: u64,
}

impl MemoryStats {
    pub(crate) fn empty() -> sys::amun_memory_stats {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_memory_stats = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw
    }

    pub(crate) fn from_raw(raw: &sys::amun_memory_stats) -> Self {
        Self {
            current: raw.current,
            peak: raw.peak,
            blocks: raw.blocks,
        }
    }
}

/// Fields of `amun_conv2d_options`.
#[derive(Clone, Debug)]
pub struct Conv2dOptions {
    /// output channels, range \[1, 65536\]; must be set
    pub channels: i64,
    /// default 3, range \[1, 64\]
    pub kernel_h: i64,
    /// default 3, range \[1, 64\]
    pub kernel_w: i64,
    /// default 1, range \[1, 64\]
    pub stride_h: i64,
    /// default 1, range \[1, 64\]
    pub stride_w: i64,
    /// padding on both sides, default 1, range \[0, 64\]
    pub pad_h: i64,
    /// padding on both sides, default 1, range \[0, 64\]
    pub pad_w: i64,
    /// default 1 (dense), range \[1, 64\]
    pub dilation_h: i64,
    /// default 1 (dense), range \[1, 64\]
    pub dilation_w: i64,
    /// default 1; must divide input and output channels
    pub groups: i64,
    /// default 0
    pub bias: i32,
    /// default AMUN_PADDING_ZERO
    pub padding: Padding,
}

impl Conv2dOptions {
    pub(crate) fn from_raw(raw: &sys::amun_conv2d_options) -> Self {
        Self {
            channels: raw.channels,
            kernel_h: raw.kernel_h,
            kernel_w: raw.kernel_w,
            stride_h: raw.stride_h,
            stride_w: raw.stride_w,
            pad_h: raw.pad_h,
            pad_w: raw.pad_w,
            dilation_h: raw.dilation_h,
            dilation_w: raw.dilation_w,
            groups: raw.groups,
            bias: raw.bias,
            padding: Padding(raw.padding),
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_conv2d_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_conv2d_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.channels = self.channels;
        raw.kernel_h = self.kernel_h;
        raw.kernel_w = self.kernel_w;
        raw.stride_h = self.stride_h;
        raw.stride_w = self.stride_w;
        raw.pad_h = self.pad_h;
        raw.pad_w = self.pad_w;
        raw.dilation_h = self.dilation_h;
        raw.dilation_w = self.dilation_w;
        raw.groups = self.groups;
        raw.bias = self.bias;
        raw.padding = self.padding.0;
        Ok(kept.keep(raw))
    }
}

impl Default for Conv2dOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_conv2d_options_init))
    }
}

/// Fields of `amun_pool_options`.
#[derive(Clone, Debug)]
pub struct PoolOptions {
    /// default 2, range \[1, 1024\]
    pub kernel_h: i64,
    /// default 2, range \[1, 1024\]
    pub kernel_w: i64,
    /// default 2, range \[1, 1024\]
    pub stride_h: i64,
    /// default 2, range \[1, 1024\]
    pub stride_w: i64,
    /// default 0, at most kernel / 2
    pub pad_h: i64,
    /// default 0, at most kernel / 2
    pub pad_w: i64,
}

impl PoolOptions {
    pub(crate) fn from_raw(raw: &sys::amun_pool_options) -> Self {
        Self {
            kernel_h: raw.kernel_h,
            kernel_w: raw.kernel_w,
            stride_h: raw.stride_h,
            stride_w: raw.stride_w,
            pad_h: raw.pad_h,
            pad_w: raw.pad_w,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_pool_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_pool_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.kernel_h = self.kernel_h;
        raw.kernel_w = self.kernel_w;
        raw.stride_h = self.stride_h;
        raw.stride_w = self.stride_w;
        raw.pad_h = self.pad_h;
        raw.pad_w = self.pad_w;
        Ok(kept.keep(raw))
    }
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_pool_options_init))
    }
}

/// Fields of `amun_model_options`.
#[derive(Clone, Debug)]
pub struct ModelOptions {
    /// default 10, range \[2, 65536\]
    pub classes: i64,
    /// default 3, range \[1, 1024\]
    pub channels: i64,
    /// default 32, range \[1, 4096\]
    pub height: i64,
    /// default 32, range \[1, 4096\]
    pub width: i64,
    /// of the initial weights, default 0
    pub seed: u64,
    /// (x - mean) / std comes first, as amun_graph_normalise() does, here with the same numbers for every channel; default 0, range \[-1e12, 1e12\]
    pub mean: f64,
    /// default 0: there is no such node, and mean must be 0; else range \[1e-12, 1e12\]
    pub std: f64,
}

impl ModelOptions {
    pub(crate) fn from_raw(raw: &sys::amun_model_options) -> Self {
        Self {
            classes: raw.classes,
            channels: raw.channels,
            height: raw.height,
            width: raw.width,
            seed: raw.seed,
            mean: raw.mean,
            std: raw.std,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_model_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_model_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.classes = self.classes;
        raw.channels = self.channels;
        raw.height = self.height;
        raw.width = self.width;
        raw.seed = self.seed;
        raw.mean = self.mean;
        raw.std = self.std;
        Ok(kept.keep(raw))
    }
}

impl Default for ModelOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_model_options_init))
    }
}

/// Fields of `amun_search_options`.
#[derive(Clone, Debug)]
pub struct SearchOptions {
    /// default AMUN_NORM_L2
    pub norm: Norm,
    /// gradient steps, EPSILON: per radius, DDN and FMN: in all; default 50, range \[1, 10000\]
    pub steps: i32,
    /// EPSILON: first radius, default 0.04, range (0, 1000\]; all: of the random start of AMUN_FAILURE_RETRY
    pub eps0: f64,
    /// EPSILON: radius factor between rounds, default 2, range (1, 100\]
    pub growth: f64,
    /// EPSILON: step = eps / step_divisor, default 10, range \[1, 10000\]
    pub step_divisor: f64,
    /// no radius beyond this; default 0 = sqrt(C*H*W) for L2, 1 for Linf (the ball that holds every image); range \[0, 100000\], not below eps0
    pub eps_max: f64,
    /// EPSILON, default 0: the next radius goes on from where the last one ended; 1: it starts from the image
    pub restart: i32,
    /// default 1: gradient of the margin where softmax is saturated (norm of its gradient below 1e-8)
    pub margin_fallback: i32,
    /// default AMUN_FAILURE_LEAVE_OUT
    pub on_failure: FailurePolicy,
    /// slots, default 128, range \[1, 4096\]
    pub batch: i32,
    /// for AMUN_FAILURE_RETRY; default 0
    pub seed: u64,
    /// default AMUN_SEARCH_EPSILON
    pub method: SearchMethod,
    pub pilot: i32,
    /// default 0.01, range (0, 1000\], not above eps_max
    pub pilot_eps: f64,
    /// nearest rank; default 50, range \[0, 100\]
    pub pilot_percentile: f64,
    /// DDN: radius before the first step, default 1, range (0, 1000\]
    pub init_norm: f64,
    /// DDN, FMN: default 0.05, range \[0, 0.9\]
    pub gamma: f64,
    /// FMN: default 0.001, range \[0, 0.9\]
    pub gamma_final: f64,
    /// DDN, FMN: length of a step, default 1, range (0, 1000\]
    pub alpha: f64,
    /// DDN, FMN: default 0.01, range \[0, 1000\]
    pub alpha_final: f64,
}

impl SearchOptions {
    pub(crate) fn from_raw(raw: &sys::amun_search_options) -> Self {
        Self {
            norm: Norm(raw.norm),
            steps: raw.steps,
            eps0: raw.eps0,
            growth: raw.growth,
            step_divisor: raw.step_divisor,
            eps_max: raw.eps_max,
            restart: raw.restart,
            margin_fallback: raw.margin_fallback,
            on_failure: FailurePolicy(raw.on_failure),
            batch: raw.batch,
            seed: raw.seed,
            method: SearchMethod(raw.method),
            pilot: raw.pilot,
            pilot_eps: raw.pilot_eps,
            pilot_percentile: raw.pilot_percentile,
            init_norm: raw.init_norm,
            gamma: raw.gamma,
            gamma_final: raw.gamma_final,
            alpha: raw.alpha,
            alpha_final: raw.alpha_final,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_search_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_search_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.norm = self.norm.0;
        raw.steps = self.steps;
        raw.eps0 = self.eps0;
        raw.growth = self.growth;
        raw.step_divisor = self.step_divisor;
        raw.eps_max = self.eps_max;
        raw.restart = self.restart;
        raw.margin_fallback = self.margin_fallback;
        raw.on_failure = self.on_failure.0;
        raw.batch = self.batch;
        raw.seed = self.seed;
        raw.method = self.method.0;
        raw.pilot = self.pilot;
        raw.pilot_eps = self.pilot_eps;
        raw.pilot_percentile = self.pilot_percentile;
        raw.init_norm = self.init_norm;
        raw.gamma = self.gamma;
        raw.gamma_final = self.gamma_final;
        raw.alpha = self.alpha;
        raw.alpha_final = self.alpha_final;
        Ok(kept.keep(raw))
    }
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_search_options_init))
    }
}

/// Fields of `amun_fgsm_options`.
#[derive(Clone, Debug)]
pub struct FgsmOptions {
    /// default 8/255, range \[0, 1\]
    pub eps: f64,
    /// samples per plan, default 128, range \[1, 4096\]
    pub batch: i32,
}

impl FgsmOptions {
    pub(crate) fn from_raw(raw: &sys::amun_fgsm_options) -> Self {
        Self {
            eps: raw.eps,
            batch: raw.batch,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_fgsm_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_fgsm_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.eps = self.eps;
        raw.batch = self.batch;
        Ok(kept.keep(raw))
    }
}

impl Default for FgsmOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_fgsm_options_init))
    }
}

/// Fields of `amun_ffgsm_options`.
#[derive(Clone, Debug)]
pub struct FfgsmOptions {
    /// default 8/255, range \[0, 1\]
    pub eps: f64,
    /// default 10/255, range \[0, 1\]
    pub step: f64,
    /// default 0; starts are keyed by (seed, sample id)
    pub seed: u64,
    /// default 128, range \[1, 4096\]
    pub batch: i32,
}

impl FfgsmOptions {
    pub(crate) fn from_raw(raw: &sys::amun_ffgsm_options) -> Self {
        Self {
            eps: raw.eps,
            step: raw.step,
            seed: raw.seed,
            batch: raw.batch,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_ffgsm_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_ffgsm_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.eps = self.eps;
        raw.step = self.step;
        raw.seed = self.seed;
        raw.batch = self.batch;
        Ok(kept.keep(raw))
    }
}

impl Default for FfgsmOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_ffgsm_options_init))
    }
}

/// Fields of `amun_pgd_options`.
#[derive(Clone, Debug)]
pub struct PgdOptions {
    /// Linf default 8/255, L2 default 1.0; range \[0, 1000\]
    pub eps: f64,
    /// Linf default 2/255, L2 default 0.2; range \[0, 1000\]
    pub step: f64,
    /// default 10, range \[1, 10000\]
    pub steps: i32,
    /// default 1; 0: start from the image
    pub random_start: i32,
    /// default 0; starts are keyed by (seed, sample id)
    pub seed: u64,
    /// default 128, range \[1, 4096\]
    pub batch: i32,
    /// default 0; 1: see amun_clamp, Linf only
    pub legacy_normalised_clamp: i32,
}

impl PgdOptions {
    pub(crate) fn from_raw(raw: &sys::amun_pgd_options) -> Self {
        Self {
            eps: raw.eps,
            step: raw.step,
            steps: raw.steps,
            random_start: raw.random_start,
            seed: raw.seed,
            batch: raw.batch,
            legacy_normalised_clamp: raw.legacy_normalised_clamp,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_pgd_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_pgd_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.eps = self.eps;
        raw.step = self.step;
        raw.steps = self.steps;
        raw.random_start = self.random_start;
        raw.seed = self.seed;
        raw.batch = self.batch;
        raw.legacy_normalised_clamp = self.legacy_normalised_clamp;
        Ok(kept.keep(raw))
    }

    /// The defaults of `amun_pgd_linf_options_init()`.
    pub fn linf() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_pgd_linf_options_init))
    }

    /// The defaults of `amun_pgd_l2_options_init()`.
    pub fn l2() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_pgd_l2_options_init))
    }
}

/// Fields of `amun_mim_options`.
#[derive(Clone, Debug)]
pub struct MimOptions {
    /// default 8/255, range \[0, 1000\]
    pub eps: f64,
    /// default 2/255, range \[0, 1000\]
    pub step: f64,
    /// default 1, range \[0, 10\]
    pub decay: f64,
    /// default 10, range \[1, 10000\]
    pub steps: i32,
    /// default 128, range \[1, 4096\]
    pub batch: i32,
}

impl MimOptions {
    pub(crate) fn from_raw(raw: &sys::amun_mim_options) -> Self {
        Self {
            eps: raw.eps,
            step: raw.step,
            decay: raw.decay,
            steps: raw.steps,
            batch: raw.batch,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_mim_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_mim_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.eps = self.eps;
        raw.step = self.step;
        raw.decay = self.decay;
        raw.steps = self.steps;
        raw.batch = self.batch;
        Ok(kept.keep(raw))
    }
}

impl Default for MimOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_mim_options_init))
    }
}

/// Fields of `amun_apgd_options`.
#[derive(Clone, Debug)]
pub struct ApgdOptions {
    /// default AMUN_NORM_LINF
    pub norm: Norm,
    /// default AMUN_ATTACK_LOSS_CE
    pub loss: AttackLoss,
    /// default 8/255 (usual for L2: 0.5), range \[0, 1000\]
    pub eps: f64,
    /// default 0.75, range \[0, 1\]
    pub rho: f64,
    /// weight of the new step, alpha in the paper; default 0.75, \[0, 1\]
    pub momentum: f64,
    /// gradient steps per start, default 100, range \[1, 10000\]
    pub steps: i32,
    /// starts (per target) until a flip, default 1, range \[1, 100\]
    pub restarts: i32,
    /// DLR_TARGETED: the rivals with the largest logits on the clean image; default 9, range \[1, 100\], at most classes - 1 are used
    pub targets: i32,
    /// default 1; 0: from the image
    pub random_start: i32,
    /// default 0; starts are keyed by (seed, sample id, number of start)
    pub seed: u64,
    /// default 0; 1: the first flipped iterate is the result, a sample that is wrong already is returned unchanged
    pub stop_at_flip: i32,
    /// slots, default 128, range \[1, 4096\]
    pub batch: i32,
}

impl ApgdOptions {
    pub(crate) fn from_raw(raw: &sys::amun_apgd_options) -> Self {
        Self {
            norm: Norm(raw.norm),
            loss: AttackLoss(raw.loss),
            eps: raw.eps,
            rho: raw.rho,
            momentum: raw.momentum,
            steps: raw.steps,
            restarts: raw.restarts,
            targets: raw.targets,
            random_start: raw.random_start,
            seed: raw.seed,
            stop_at_flip: raw.stop_at_flip,
            batch: raw.batch,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_apgd_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_apgd_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.norm = self.norm.0;
        raw.loss = self.loss.0;
        raw.eps = self.eps;
        raw.rho = self.rho;
        raw.momentum = self.momentum;
        raw.steps = self.steps;
        raw.restarts = self.restarts;
        raw.targets = self.targets;
        raw.random_start = self.random_start;
        raw.seed = self.seed;
        raw.stop_at_flip = self.stop_at_flip;
        raw.batch = self.batch;
        Ok(kept.keep(raw))
    }
}

impl Default for ApgdOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_apgd_options_init))
    }
}

/// Fields of `amun_square_options`.
#[derive(Clone, Debug)]
pub struct SquareOptions {
    /// default AMUN_NORM_LINF
    pub norm: Norm,
    /// default 5000, range \[1, 1000000\]
    pub queries: i32,
    /// default 8/255 (usual for L2: 0.5), range \[0, 1000\]
    pub eps: f64,
    /// share of the image that the first windows cover, default 0.8, range (0, 1\]; halved after 10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000 of 10000 queries, in proportion
    pub p_init: f64,
    /// default 0; draws are keyed by (seed, sample id, query)
    pub seed: u64,
    /// slots, default 128, range \[1, 4096\]
    pub batch: i32,
}

impl SquareOptions {
    pub(crate) fn from_raw(raw: &sys::amun_square_options) -> Self {
        Self {
            norm: Norm(raw.norm),
            queries: raw.queries,
            eps: raw.eps,
            p_init: raw.p_init,
            seed: raw.seed,
            batch: raw.batch,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_square_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_square_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.norm = self.norm.0;
        raw.queries = self.queries;
        raw.eps = self.eps;
        raw.p_init = self.p_init;
        raw.seed = self.seed;
        raw.batch = self.batch;
        Ok(kept.keep(raw))
    }
}

impl Default for SquareOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_square_options_init))
    }
}

/// Fields of `amun_standard_options`.
#[derive(Clone, Debug)]
pub struct StandardOptions {
    /// default AMUN_NORM_LINF
    pub norm: Norm,
    /// of APGD, default 100, range \[1, 10000\]
    pub steps: i32,
    /// default 8/255 (usual for L2: 0.5), range \[0, 1000\]
    pub eps: f64,
    /// of APGD, default 9, range \[1, 100\]
    pub targets: i32,
    /// of Square, default 5000, range \[1, 1000000\]
    pub queries: i32,
    /// default 0
    pub seed: u64,
    /// default 128, range \[1, 4096\]
    pub batch: i32,
}

impl StandardOptions {
    pub(crate) fn from_raw(raw: &sys::amun_standard_options) -> Self {
        Self {
            norm: Norm(raw.norm),
            steps: raw.steps,
            eps: raw.eps,
            targets: raw.targets,
            queries: raw.queries,
            seed: raw.seed,
            batch: raw.batch,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_standard_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_standard_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.norm = self.norm.0;
        raw.steps = self.steps;
        raw.eps = self.eps;
        raw.targets = self.targets;
        raw.queries = self.queries;
        raw.seed = self.seed;
        raw.batch = self.batch;
        Ok(kept.keep(raw))
    }
}

impl Default for StandardOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_standard_options_init))
    }
}

/// Fields of `amun_attack_record`.
#[derive(Clone, Copy, Debug)]
pub struct AttackRecord {
    /// sample id: data-set index, or row of the input
    pub index: i64,
    /// the true label
    pub label: i32,
    /// on the clean image, -1 if not finite; ties: the lowest class
    pub predicted: i32,
    /// on the returned image, -1 if not finite
    pub adversarial: i32,
    /// what became of the sample
    pub outcome: AttackOutcome,
    /// radius in force at the end; for a search the last one tried, with DDN and FMN the one at which the returned image was found
    pub eps: f64,
    /// distance of the returned image from the clean one
    pub l2: f64,
    /// distance of the returned image from the clean one
    pub linf: f64,
    /// gradient steps taken, over all radii and the retry
    pub updates: i32,
    /// AMUN_ATTACK_MARGIN_FALLBACK and those after it, added
    pub flags: u32,
    /// of the clean image and label (adversarial sets); 0 otherwise
    pub input_hash: u64,
}

impl AttackRecord {
    pub(crate) fn from_raw(raw: &sys::amun_attack_record) -> Self {
        Self {
            index: raw.index,
            label: raw.label,
            predicted: raw.predicted,
            adversarial: raw.adversarial,
            outcome: AttackOutcome(raw.outcome),
            eps: raw.eps,
            l2: raw.l2,
            linf: raw.linf,
            updates: raw.updates,
            flags: raw.flags,
            input_hash: raw.input_hash,
        }
    }
}

/// Fields of `amun_miann_options`.
#[derive(Clone, Debug)]
pub struct MiannOptions {
    /// default AMUN_MIANN_LOGITS
    pub features: MiannFeatures,
    /// default AMUN_MIANN_LINEAR
    pub kernel: MiannKernel,
    /// cost of the support-vector machines; default 0: 1, with RBF 3; range \[0, 1e6\]
    pub c: f64,
    /// of each retained class that they are fitted on, default 0.5, range \[0.1, 0.9\]
    pub fit_share: f64,
    /// classes in the top gap, default 3, range \[1, 65536\]; more than there are: all
    pub top_m: i32,
    /// of the split, the same for all models; default 0
    pub seed: u64,
}

impl MiannOptions {
    pub(crate) fn from_raw(raw: &sys::amun_miann_options) -> Self {
        Self {
            features: MiannFeatures(raw.features),
            kernel: MiannKernel(raw.kernel),
            c: raw.c,
            fit_share: raw.fit_share,
            top_m: raw.top_m,
            seed: raw.seed,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_miann_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_miann_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.features = self.features.0;
        raw.kernel = self.kernel.0;
        raw.c = self.c;
        raw.fit_share = self.fit_share;
        raw.top_m = self.top_m;
        raw.seed = self.seed;
        Ok(kept.keep(raw))
    }
}

impl Default for MiannOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_miann_options_init))
    }
}

/// Fields of `amun_miann`.
#[derive(Clone, Copy, Debug)]
pub struct Miann {
    /// rn: largest mean Acc over the retrained models; a tie goes to the larger mean probability
    pub neighbour: i64,
    /// retrained models
    pub models: i64,
    /// Acc_rn of the unlearned model
    pub score: f64,
    /// mean Acc_rn of the retrained models
    pub retrained: f64,
    /// |retrained - score|, percentage points; ideal: not above the null
    pub gap: f64,
    /// the gap of each retrained model to the mean of the others: mean
    pub null_mean: f64,
    /// and sample deviation; both NaN for one retrained model
    pub null_sd: f64,
    /// sum of gaps over the top_m classes with the largest retrained Acc
    pub top_gap: f64,
    /// null of top_gap: mean, sample deviation
    pub top_null_mean: f64,
    /// null of top_gap: mean, sample deviation
    pub top_null_sd: f64,
    /// of the retrained models whose own nearest class is rn; below 60 rn is ambiguous
    pub vote_share: f64,
    /// balanced accuracy of rn's discriminator on held-out retained rows, unlearned model; near 100 or the score means nothing
    pub sanity: f64,
    /// the same, mean of the retrained models
    pub sanity_retrained: f64,
}

impl Miann {
    pub(crate) fn empty() -> sys::amun_miann {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_miann = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw
    }

    pub(crate) fn from_raw(raw: &sys::amun_miann) -> Self {
        Self {
            neighbour: raw.neighbour,
            models: raw.models,
            score: raw.score,
            retrained: raw.retrained,
            gap: raw.gap,
            null_mean: raw.null_mean,
            null_sd: raw.null_sd,
            top_gap: raw.top_gap,
            top_null_mean: raw.top_null_mean,
            top_null_sd: raw.top_null_sd,
            vote_share: raw.vote_share,
            sanity: raw.sanity,
            sanity_retrained: raw.sanity_retrained,
        }
    }
}

/// Fields of `amun_c2st_options`.
#[derive(Clone, Debug)]
pub struct C2stOptions {
    /// of the cross-validation, default 5, range \[2, 100\]
    pub folds: i32,
    /// penalty ridge / 2 |w|^2 on standardised features, default 1, range \[1e-9, 1e9\]
    pub ridge: f64,
    /// of the folds, the same for all pairs; default 0
    pub seed: u64,
}

impl C2stOptions {
    pub(crate) fn from_raw(raw: &sys::amun_c2st_options) -> Self {
        Self {
            folds: raw.folds,
            ridge: raw.ridge,
            seed: raw.seed,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_c2st_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_c2st_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.folds = self.folds;
        raw.ridge = self.ridge;
        raw.seed = self.seed;
        Ok(kept.keep(raw))
    }
}

impl Default for C2stOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_c2st_options_init))
    }
}

/// Fields of `amun_c2st`.
#[derive(Clone, Copy, Debug)]
pub struct C2st {
    /// retrained models; rows of forget classes
    pub models: i64,
    /// retrained models; rows of forget classes
    pub rows: i64,
    /// of all classes, mean over the retrained models; easily won by the forget class alone
    pub all: f64,
    /// renormalised over the retained classes
    pub retained: f64,
    /// a retrained model against another, over all pairs: mean
    pub all_null_mean: f64,
    /// and sample deviation; NaN for fewer than two (three) models
    pub all_null_sd: f64,
    /// the same of `retained`
    pub retained_null_mean: f64,
    /// the same of `retained`
    pub retained_null_sd: f64,
}

impl C2st {
    pub(crate) fn empty() -> sys::amun_c2st {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_c2st = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw
    }

    pub(crate) fn from_raw(raw: &sys::amun_c2st) -> Self {
        Self {
            models: raw.models,
            rows: raw.rows,
            all: raw.all,
            retained: raw.retained,
            all_null_mean: raw.all_null_mean,
            all_null_sd: raw.all_null_sd,
            retained_null_mean: raw.retained_null_mean,
            retained_null_sd: raw.retained_null_sd,
        }
    }
}

/// Fields of `amun_ulira_options`.
#[derive(Clone, Debug)]
pub struct UliraOptions {
    /// default AMUN_ULIRA_POOLED
    pub variance: UliraVariance,
    /// default AMUN_ULIRA_CENTRE_AUTO
    pub centre: UliraCentre,
    /// default AMUN_ULIRA_EACH; class level only
    pub holdout: UliraHoldout,
    /// default AMUN_ULIRA_OWN; of amun_ulira_class() only
    pub score: UliraScore,
    /// smallest deviation, default 1e-3, range \[1e-12, 1e3\]
    pub floor: f64,
    /// a retained class (amun_miann.neighbour); default -1: none, range \[-1, 1e9\]; for NEIGHBOUR and JOINT
    pub neighbour: i64,
}

impl UliraOptions {
    pub(crate) fn from_raw(raw: &sys::amun_ulira_options) -> Self {
        Self {
            variance: UliraVariance(raw.variance),
            centre: UliraCentre(raw.centre),
            holdout: UliraHoldout(raw.holdout),
            score: UliraScore(raw.score),
            floor: raw.floor,
            neighbour: raw.neighbour,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_ulira_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_ulira_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.variance = self.variance.0;
        raw.centre = self.centre.0;
        raw.holdout = self.holdout.0;
        raw.score = self.score.0;
        raw.floor = self.floor;
        raw.neighbour = self.neighbour;
        Ok(kept.keep(raw))
    }
}

impl Default for UliraOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_ulira_options_init))
    }
}

/// Fields of `amun_ulira`.
#[derive(Clone, Copy, Debug)]
pub struct Ulira {
    /// models of each side, samples
    pub unlearned: i64,
    /// models of each side, samples
    pub retrained: i64,
    /// models of each side, samples
    pub rows: i64,
    /// unlearned against retrained held-out models; ideal 50
    pub auc: f64,
    /// at the threshold where |TPR + FPR - 1| is least; ideal 50
    pub balanced_accuracy: f64,
    /// share of samples of the released model called "unlearned" there; ideal flagged_retrained; NaN without one
    pub flagged: f64,
    /// the same of a retrained model that is left out of fit and threshold, mean; NaN below 4 of them
    pub flagged_retrained: f64,
    /// |flagged - flagged_retrained|, percentage points
    pub gap: f64,
    /// that gap of each retrained model to the mean of the others: mean
    pub null_mean: f64,
    /// and sample deviation
    pub null_sd: f64,
}

impl Ulira {
    pub(crate) fn empty() -> sys::amun_ulira {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_ulira = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw
    }

    pub(crate) fn from_raw(raw: &sys::amun_ulira) -> Self {
        Self {
            unlearned: raw.unlearned,
            retrained: raw.retrained,
            rows: raw.rows,
            auc: raw.auc,
            balanced_accuracy: raw.balanced_accuracy,
            flagged: raw.flagged,
            flagged_retrained: raw.flagged_retrained,
            gap: raw.gap,
            null_mean: raw.null_mean,
            null_sd: raw.null_sd,
        }
    }
}

/// Fields of `amun_distance`.
#[derive(Clone, Copy, Debug)]
pub struct Distance {
    /// retrained models; rows chosen
    pub models: i64,
    /// retrained models; rows chosen
    pub rows: i64,
    /// mean of 1/2 sum |p - P|, in \[0, 1\]
    pub tv: f64,
    /// mean of 1/2 sum |p - P|, in \[0, 1\]
    pub tv_null: f64,
    /// mean of 1/2 sum |p - P|, in \[0, 1\]
    pub tv_null_sd: f64,
    /// mean Jensen-Shannon divergence, natural logarithm, in \[0, ln 2\]
    pub js: f64,
    /// mean Jensen-Shannon divergence, natural logarithm, in \[0, ln 2\]
    pub js_null: f64,
    /// mean Jensen-Shannon divergence, natural logarithm, in \[0, ln 2\]
    pub js_null_sd: f64,
    /// mean KL(P || p), probabilities floored at 1e-12 in the logarithm
    pub kl: f64,
    /// mean KL(P || p), probabilities floored at 1e-12 in the logarithm
    pub kl_null: f64,
    /// mean KL(P || p), probabilities floored at 1e-12 in the logarithm
    pub kl_null_sd: f64,
    /// TV between the mean predictions
    pub routing_tv: f64,
    /// TV between the mean predictions
    pub routing_tv_null: f64,
    /// TV between the mean predictions
    pub routing_tv_null_sd: f64,
    /// mean |p - p_r| (l2) over retrained models r
    pub activation: f64,
    /// mean |p - p_r| (l2) over retrained models r
    pub activation_null: f64,
    /// mean |p - p_r| (l2) over retrained models r
    pub activation_null_sd: f64,
}

impl Distance {
    pub(crate) fn empty() -> sys::amun_distance {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_distance = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw
    }

    pub(crate) fn from_raw(raw: &sys::amun_distance) -> Self {
        Self {
            models: raw.models,
            rows: raw.rows,
            tv: raw.tv,
            tv_null: raw.tv_null,
            tv_null_sd: raw.tv_null_sd,
            js: raw.js,
            js_null: raw.js_null,
            js_null_sd: raw.js_null_sd,
            kl: raw.kl,
            kl_null: raw.kl_null,
            kl_null_sd: raw.kl_null_sd,
            routing_tv: raw.routing_tv,
            routing_tv_null: raw.routing_tv_null,
            routing_tv_null_sd: raw.routing_tv_null_sd,
            activation: raw.activation,
            activation_null: raw.activation_null,
            activation_null_sd: raw.activation_null_sd,
        }
    }
}

/// Fields of `amun_svcmia_options`.
#[derive(Clone, Debug)]
pub struct SvcmiaOptions {
    /// rows per side of the fit, drawn from larger sets; default 5000, range \[0, 1e8\]; 0: as published, all of them (SalUn: the first rows, as many as the smaller side has)
    pub limit: i64,
    /// of the draws; default 0
    pub seed: u64,
}

impl SvcmiaOptions {
    pub(crate) fn from_raw(raw: &sys::amun_svcmia_options) -> Self {
        Self {
            limit: raw.limit,
            seed: raw.seed,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_svcmia_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_svcmia_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.limit = self.limit;
        raw.seed = self.seed;
        Ok(kept.keep(raw))
    }
}

impl Default for SvcmiaOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_svcmia_options_init))
    }
}

/// Fields of `amun_svcmia`.
#[derive(Clone, Copy, Debug)]
pub struct Svcmia {
    /// rows that were used
    pub members: i64,
    /// rows that were used
    pub nonmembers: i64,
    /// rows that were used
    pub queries: i64,
    /// the options', for the record
    pub limit: i64,
    /// the same
    pub seed: u64,
    /// by feature
    pub confidence: f64,
    /// by feature
    pub correctness: f64,
    /// by feature
    pub entropy: f64,
    /// by feature
    pub modified_entropy: f64,
    /// by feature
    pub probabilities: f64,
}

impl Svcmia {
    pub(crate) fn empty() -> sys::amun_svcmia {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_svcmia = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw
    }

    pub(crate) fn from_raw(raw: &sys::amun_svcmia) -> Self {
        Self {
            members: raw.members,
            nonmembers: raw.nonmembers,
            queries: raw.queries,
            limit: raw.limit,
            seed: raw.seed,
            confidence: raw.confidence,
            correctness: raw.correctness,
            entropy: raw.entropy,
            modified_entropy: raw.modified_entropy,
            probabilities: raw.probabilities,
        }
    }
}

/// Fields of `amun_clip_options`.
#[derive(Clone, Debug)]
pub struct ClipOptions {
    /// default AMUN_CLIP_BLOCK
    pub method: ClipMethod,
    /// default AMUN_CLIP_BATCHNORM_LEAVE
    pub batchnorm: ClipBatchnorm,
    /// c of convolutions and dense layers, default 1, range (0, 1e6\]
    pub target: f64,
    /// of batch norms, or of the composite, default 1
    pub batchnorm_target: f64,
    /// of the singular values, default 1e-3, range (0, 1\]
    pub tol: f64,
    /// 1 (default): dense layers too. SCALE, MIYATO and GOUK by their own rule, all others exactly: U min(S, c) V'. BLOCK also treats 1x1 convolutions and those with kernel <= stride so, without padding
    pub linear: i32,
    /// BLOCK, LEGACY, SCALE. 1: a convolution's norm that is more than 0.05 below c is raised, too; default 0
    pub exact: i32,
    /// amun_clipper_run(): 1 (default): last, multiply by min(1, c / sigma_upper), so that the norm certainly is at most c. Composite: the scales of the batch norm
    pub final_scale: i32,
    /// amun_clipper_run(): extractions at most, default 400, range \[1, 100000\]
    pub max_rounds: i32,
    /// vectors, default 0: 16, in amun_train_run() 2 (each step pays for them); LEGACY 1; range \[0, 128\]
    pub block: i32,
    /// in training: steps between clips, default 100, range \[1, 1000000\]
    pub every: i32,
    /// in training: clips at steps above this only, default 0 (the first step is 0, so it never clips), range \[0, 1e9\]
    pub delay: i32,
    /// in training: per step, default 1, range \[0, 1000\]
    pub power_iterations: i32,
    /// in training: extractions per clip, default 1, range \[1, 1000\]
    pub rounds: i32,
    /// LEGACY, default 5 (the authors': 1 without batch norm), range \[1, 1000\]
    pub inner_steps: i32,
    /// of the rivals' own estimates; default 0: as published (MIYATO 1, GOUK 5, DELATTRE_2023 6, DELATTRE_2024 4; SEDGHI, SENDEROVICH: passes, 1)
    pub iterations: i32,
    /// LEGACY: step size, default 0: 0.35, composite 0.01; range \[0, 1000\]
    pub eta: f64,
    /// DELATTRE_2023: factor, default 0.1, range \[0, 1e6\]
    pub penalty: f64,
    /// of the starting vectors, default 0
    pub seed: u64,
}

impl ClipOptions {
    pub(crate) fn from_raw(raw: &sys::amun_clip_options) -> Self {
        Self {
            method: ClipMethod(raw.method),
            batchnorm: ClipBatchnorm(raw.batchnorm),
            target: raw.target,
            batchnorm_target: raw.batchnorm_target,
            tol: raw.tol,
            linear: raw.linear,
            exact: raw.exact,
            final_scale: raw.final_scale,
            max_rounds: raw.max_rounds,
            block: raw.block,
            every: raw.every,
            delay: raw.delay,
            power_iterations: raw.power_iterations,
            rounds: raw.rounds,
            inner_steps: raw.inner_steps,
            iterations: raw.iterations,
            eta: raw.eta,
            penalty: raw.penalty,
            seed: raw.seed,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_clip_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_clip_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.method = self.method.0;
        raw.batchnorm = self.batchnorm.0;
        raw.target = self.target;
        raw.batchnorm_target = self.batchnorm_target;
        raw.tol = self.tol;
        raw.linear = self.linear;
        raw.exact = self.exact;
        raw.final_scale = self.final_scale;
        raw.max_rounds = self.max_rounds;
        raw.block = self.block;
        raw.every = self.every;
        raw.delay = self.delay;
        raw.power_iterations = self.power_iterations;
        raw.rounds = self.rounds;
        raw.inner_steps = self.inner_steps;
        raw.iterations = self.iterations;
        raw.eta = self.eta;
        raw.penalty = self.penalty;
        raw.seed = self.seed;
        Ok(kept.keep(raw))
    }
}

impl Default for ClipOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_clip_options_init))
    }
}

/// Fields of `amun_clip_result`.
#[derive(Clone, Copy, Debug)]
pub struct ClipResult {
    /// that are held to a target
    pub layers: i64,
    /// whose weights changed
    pub changed: i64,
    /// extractions, all layers together
    pub rounds: i64,
    /// largest sigma_lower / target afterwards; amun_clipper_step(): as its power iterations saw it, before the clip (0: nothing seen yet)
    pub largest: f64,
    /// largest sigma_upper / target; infinity without final_scale
    pub upper: f64,
    /// largest relative change of a layer's weights or scales (l2)
    pub moved: f64,
    /// of this call
    pub seconds: f64,
}

impl ClipResult {
    pub(crate) fn empty() -> sys::amun_clip_result {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_clip_result = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw
    }

    pub(crate) fn from_raw(raw: &sys::amun_clip_result) -> Self {
        Self {
            layers: raw.layers,
            changed: raw.changed,
            rounds: raw.rounds,
            largest: raw.largest,
            upper: raw.upper,
            moved: raw.moved,
            seconds: raw.seconds,
        }
    }
}

/// Fields of `amun_train_options`.
#[derive(Clone, Debug)]
pub struct TrainOptions {
    /// default 200, range \[0, 100000\]
    pub epochs: i32,
    /// default 128, range \[1, 65536\]; an epoch's last one may be short
    pub batch: i32,
    /// default 0.1, range \[0, 1000\]
    pub lr: f64,
    /// default 0.9, range \[0, 1)
    pub momentum: f64,
    /// on every parameter, default 5e-4, range \[0, 1\]
    pub weight_decay: f64,
    /// default 0
    pub nesterov: i32,
    /// default AMUN_SCHEDULE_STEP
    pub schedule: Schedule,
    /// default 40, range \[1, 100000\]
    pub step_epochs: i32,
    /// zero padding before the random crop, default 4, range \[0, 64\]; 0: no crop
    pub augment_pad: i32,
    /// default 0.1, range (0, 1\]
    pub gamma: f64,
    /// share of all steps (COSINE, ONECYCLE), default 0.25, range \[0, 1\]
    pub warmup: f64,
    /// default 0, range \[0, 1\]
    pub final_factor: f64,
    /// default 0, range \[0, 1)
    pub label_smoothing: f64,
    /// horizontal flip with probability 1/2, default 1
    pub augment_flip: i32,
    /// epochs between checkpoints, default 1, range \[1, 100000\]
    pub checkpoint_every: i32,
    /// order, crops, flips, cutouts; default 0
    pub seed: u64,
    /// file to write and, if it exists, to go on from; default NULL. Written before the first step (so that a path which cannot be written is found at once), every checkpoint_every epochs and after the last. A finished run leaves it; a resumed run ends with the same bytes as one that was never interrupted (same thread count). A checkpoint of other options, data or architecture gives STATE, naming the differences; a damaged one gives FORMAT.
    pub checkpoint: Option<String>,
    /// layers held to a spectral norm, default NULL: none. Read during the call. The method delattre_2023 penalises without appearing in the loss that is reported. See amun/clip.h
    pub clip: Option<ClipOptions>,
    /// default AMUN_OPTIMISER_SGD. ADAM is PyTorch's: g += weight_decay * w; m = beta1 m + (1 - beta1) g; v = 0.999 v + 0.001 g^2; in step t w -= lr (m / (1 - beta1^t)) / (sqrt(v / (1 - 0.999^t)) + 1e-8), with `momentum` as beta1 and without nesterov, which must be 0
    pub optimiser: Optimiser,
    /// side of a square around a random pixel that gets the channel's mean in the image, in pixels, after crop and flip, default 0: none, range \[0, 1024\]. DeVries & Taylor, arXiv 1708.04552
    pub augment_cutout: i32,
}

impl TrainOptions {
    pub(crate) fn from_raw(raw: &sys::amun_train_options) -> Self {
        Self {
            epochs: raw.epochs,
            batch: raw.batch,
            lr: raw.lr,
            momentum: raw.momentum,
            weight_decay: raw.weight_decay,
            nesterov: raw.nesterov,
            schedule: Schedule(raw.schedule),
            step_epochs: raw.step_epochs,
            augment_pad: raw.augment_pad,
            gamma: raw.gamma,
            warmup: raw.warmup,
            final_factor: raw.final_factor,
            label_smoothing: raw.label_smoothing,
            augment_flip: raw.augment_flip,
            checkpoint_every: raw.checkpoint_every,
            seed: raw.seed,
            checkpoint: crate::text_or_none(raw.checkpoint),
            clip: None,
            optimiser: Optimiser(raw.optimiser),
            augment_cutout: raw.augment_cutout,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_train_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_train_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.epochs = self.epochs;
        raw.batch = self.batch;
        raw.lr = self.lr;
        raw.momentum = self.momentum;
        raw.weight_decay = self.weight_decay;
        raw.nesterov = self.nesterov;
        raw.schedule = self.schedule.0;
        raw.step_epochs = self.step_epochs;
        raw.augment_pad = self.augment_pad;
        raw.gamma = self.gamma;
        raw.warmup = self.warmup;
        raw.final_factor = self.final_factor;
        raw.label_smoothing = self.label_smoothing;
        raw.augment_flip = self.augment_flip;
        raw.checkpoint_every = self.checkpoint_every;
        raw.seed = self.seed;
        raw.checkpoint = kept.text_or_null(self.checkpoint.as_deref())?;
        raw.clip = match &self.clip { Some(o) => o.raw(kept)?, None => std::ptr::null() };
        raw.optimiser = self.optimiser.0;
        raw.augment_cutout = self.augment_cutout;
        Ok(kept.keep(raw))
    }
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_train_options_init))
    }
}

/// Fields of `amun_train_result`.
#[derive(Clone, Copy, Debug)]
pub struct TrainResult {
    /// mean over the last epoch, on augmented batches; NaN if epochs is 0
    pub loss: f64,
    /// the same, in percent
    pub accuracy: f64,
    /// of this call
    pub seconds: f64,
    /// done in all, including those before a resume
    pub epochs: i64,
    /// presented in this call
    pub samples: i64,
}

impl TrainResult {
    pub(crate) fn empty() -> sys::amun_train_result {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_train_result = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw
    }

    pub(crate) fn from_raw(raw: &sys::amun_train_result) -> Self {
        Self {
            loss: raw.loss,
            accuracy: raw.accuracy,
            seconds: raw.seconds,
            epochs: raw.epochs,
            samples: raw.samples,
        }
    }
}

/// Fields of `amun_lotos_options`.
#[derive(Clone, Debug)]
pub struct LotosOptions {
    /// vectors per layer, default 1, range \[1, 64\]
    pub k: i32,
    /// default AMUN_LOTOS_MATCH_BY_INDEX
    pub match_: LotosMatch,
    /// 0 (default): sum over layers and ordered pairs, as the authors' program; 1: each member gets the mean over its own, lambda as in the paper's equation 3.4
    pub mean: i32,
    /// 1: convolution and batch norm as one map too, in evaluation mode, in each pair both or neither; default 0
    pub batchnorm: i32,
    /// default 0.05 (with batch norm the authors take 0.01), range \[0, 1e6\]
    pub lambda: f64,
    /// largest length that costs nothing, default 0.8, range \[0, 1e6\]
    pub mal: f64,
    /// default 0.05
    pub batchnorm_lambda: f64,
    /// default 0.8
    pub batchnorm_mal: f64,
    /// default 0.01, range \[0, 1\]
    pub decay: f64,
    /// vectors that iterate, k to 1024; default 0: k + 3
    pub block: i32,
    /// per refresh, default 1, range \[1, 1000\]
    pub power_iterations: i32,
    /// before the first step, default 100, range \[1, 100000\]
    pub initial_iterations: i32,
    /// steps between two terms, default 1, range \[1, 1000000\]
    pub every: i32,
    /// PAIRS: `pair_count` of them; each counts in both directions
    pub pairs: Vec<crate::LayerPair>,
    /// of the starting vectors, default 0
    pub seed: u64,
}

impl LotosOptions {
    pub(crate) fn from_raw(raw: &sys::amun_lotos_options) -> Self {
        Self {
            k: raw.k,
            match_: LotosMatch(raw.match_),
            mean: raw.mean,
            batchnorm: raw.batchnorm,
            lambda: raw.lambda,
            mal: raw.mal,
            batchnorm_lambda: raw.batchnorm_lambda,
            batchnorm_mal: raw.batchnorm_mal,
            decay: raw.decay,
            block: raw.block,
            power_iterations: raw.power_iterations,
            initial_iterations: raw.initial_iterations,
            every: raw.every,
            pairs: Vec::new(),
            seed: raw.seed,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_lotos_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_lotos_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.k = self.k;
        raw.match_ = self.match_.0;
        raw.mean = self.mean;
        raw.batchnorm = self.batchnorm;
        raw.lambda = self.lambda;
        raw.mal = self.mal;
        raw.batchnorm_lambda = self.batchnorm_lambda;
        raw.batchnorm_mal = self.batchnorm_mal;
        raw.decay = self.decay;
        raw.block = self.block;
        raw.power_iterations = self.power_iterations;
        raw.initial_iterations = self.initial_iterations;
        raw.every = self.every;
        (raw.pairs, raw.pair_count) = crate::LayerPair::raw(&self.pairs, kept)?;
        raw.seed = self.seed;
        Ok(kept.keep(raw))
    }
}

impl Default for LotosOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_lotos_options_init))
    }
}

/// Fields of `amun_ensemble_train_options`.
#[derive(Clone, Debug)]
pub struct EnsembleTrainOptions {
    /// default AMUN_ENSEMBLE_PLAIN
    pub method: EnsembleMethod,
    /// default 0, as published: PGD_AT, TRADES, DVERGE 10, TRS 6
    pub attack_steps: i32,
    /// NULL: defaults; its `clip` holds each member
    pub train: Option<TrainOptions>,
    /// NULL (default): without; goes with every method
    pub lotos: Option<LotosOptions>,
    /// default 0, as published: PGD_AT 8/255, TRADES 0.031, TRS 8/255 (from 0.005, linear in epochs), DVERGE 0.07
    pub attack_eps: f64,
    /// default 0, as published: 2/255, 0.007, eps / 3, 0.007
    pub attack_step: f64,
    /// default 6
    pub trades_beta: f64,
    /// of the ensemble's entropy, default 2
    pub adp_alpha: f64,
    /// of the log determinant, default 0.5
    pub adp_beta: f64,
    /// default 0.5
    pub gal_lambda: f64,
    /// default 40
    pub trs_cosine: f64,
    /// on per-sample gradients, default 2.5 / 128^2: the authors' 2.5 is on gradients of the mean over their batch of 128
    pub trs_smooth: f64,
    /// 1: smoothness at the clean images; default 0: half of them attacked
    pub trs_l2: i32,
    /// 1: and cross-entropy on the member's own PGD examples; default 0
    pub dverge_own: i32,
    /// of attack starts and draws, default 0
    pub seed: u64,
}

impl EnsembleTrainOptions {
    pub(crate) fn from_raw(raw: &sys::amun_ensemble_train_options) -> Self {
        Self {
            method: EnsembleMethod(raw.method),
            attack_steps: raw.attack_steps,
            train: None,
            lotos: None,
            attack_eps: raw.attack_eps,
            attack_step: raw.attack_step,
            trades_beta: raw.trades_beta,
            adp_alpha: raw.adp_alpha,
            adp_beta: raw.adp_beta,
            gal_lambda: raw.gal_lambda,
            trs_cosine: raw.trs_cosine,
            trs_smooth: raw.trs_smooth,
            trs_l2: raw.trs_l2,
            dverge_own: raw.dverge_own,
            seed: raw.seed,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_ensemble_train_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_ensemble_train_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.method = self.method.0;
        raw.attack_steps = self.attack_steps;
        raw.train = match &self.train { Some(o) => o.raw(kept)?, None => std::ptr::null() };
        raw.lotos = match &self.lotos { Some(o) => o.raw(kept)?, None => std::ptr::null() };
        raw.attack_eps = self.attack_eps;
        raw.attack_step = self.attack_step;
        raw.trades_beta = self.trades_beta;
        raw.adp_alpha = self.adp_alpha;
        raw.adp_beta = self.adp_beta;
        raw.gal_lambda = self.gal_lambda;
        raw.trs_cosine = self.trs_cosine;
        raw.trs_smooth = self.trs_smooth;
        raw.trs_l2 = self.trs_l2;
        raw.dverge_own = self.dverge_own;
        raw.seed = self.seed;
        Ok(kept.keep(raw))
    }
}

impl Default for EnsembleTrainOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_ensemble_train_options_init))
    }
}

/// Fields of `amun_transfer_result`.
#[derive(Clone, Copy, Debug)]
pub struct TransferResult {
    /// mean rate over the ordered pairs of different models (black-box: over the surrogates) with an eligible sample; NaN if there is none
    pub transfer: f64,
    /// mean over the attacked models of the share of their correctly classified samples that the attack flips; NaN as above
    pub success: f64,
    /// black-box: mean over surrogates of P\[target right on the attacked image | target right on the clean one\]; white-box: that share; NaN between models
    pub robust: f64,
    /// attacked, per model
    pub samples: i64,
    /// how many rates `transfer` is the mean of
    pub terms: i64,
    /// attacks that failed (AMUN_ATTACK_FAILED_...), all models together: these samples count as not flipped
    pub failed: i64,
    /// clean samples that the target classifies rightly; between models 0
    pub target_right: i64,
    /// of the attack; numbers of different modes do not compare
    pub clamp: Clamp,
}

impl TransferResult {
    pub(crate) fn empty() -> sys::amun_transfer_result {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_transfer_result = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw
    }

    pub(crate) fn from_raw(raw: &sys::amun_transfer_result) -> Self {
        Self {
            transfer: raw.transfer,
            success: raw.success,
            robust: raw.robust,
            samples: raw.samples,
            terms: raw.terms,
            failed: raw.failed,
            target_right: raw.target_right,
            clamp: Clamp(raw.clamp),
        }
    }
}

/// Fields of `amun_certificate`.
#[derive(Clone, Copy, Debug)]
pub struct Certificate {
    /// all that were looked at
    pub samples: i64,
    /// rightly classified
    pub right: i64,
    /// of these: the class stays wherever the image moves by at most eps
    pub certified: i64,
    /// certified / samples, in percent: certified accuracy at eps
    pub accuracy: f64,
    /// median certified radius of the right ones; NaN if there is none
    pub radius: f64,
}

impl Certificate {
    pub(crate) fn empty() -> sys::amun_certificate {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_certificate = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw
    }

    pub(crate) fn from_raw(raw: &sys::amun_certificate) -> Self {
        Self {
            samples: raw.samples,
            right: raw.right,
            certified: raw.certified,
            accuracy: raw.accuracy,
            radius: raw.radius,
        }
    }
}

/// Fields of `amun_transfer_gap`.
#[derive(Clone, Copy, Debug)]
pub struct TransferGap {
    /// risk of the attacked model and of the judge on clean images
    pub clean: [f64; 2],
    /// on attacked ones; NaN without an attack
    pub attacked: [f64; 2],
    /// longest way of an attacked image, l2; NaN without an attack
    pub moved: f64,
    /// |clean\[0\] - clean\[1\]| + 2 sqrt(2) max(L) eps, which |attacked\[0\] - attacked\[1\]| cannot exceed
    pub bound: f64,
    /// all that were looked at
    pub samples: i64,
}

impl TransferGap {
    pub(crate) fn empty() -> sys::amun_transfer_gap {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_transfer_gap = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw
    }

    pub(crate) fn from_raw(raw: &sys::amun_transfer_gap) -> Self {
        Self {
            clean: raw.clean,
            attacked: raw.attacked,
            moved: raw.moved,
            bound: raw.bound,
            samples: raw.samples,
        }
    }
}

/// Fields of `amun_rmia_options`.
#[derive(Clone, Debug)]
pub struct RmiaOptions {
    /// default AMUN_SIGNAL_TAYLOR_SOFT_MARGIN
    pub signal: Signal,
    /// highest power, default 3 (published), range \[1, 8\]; 4 is positive everywhere
    pub taylor_degree: i32,
    /// default 2, range (0, 1000\]
    pub temperature: f64,
    /// default 0.6, range \[0, 1000\]
    pub margin: f64,
    /// default 2, range \[1, 1000\]
    pub gamma: f64,
    /// default AMUN_RMIA_ONLINE
    pub mode: RmiaMode,
    /// of amun_mia_audit(), default AMUN_RMIA_POOL; the scoring call below takes a mask instead
    pub population: RmiaPopulation,
    /// default 0.33, range \[0, 1\]
    pub offline_a: f64,
    /// share cut at each end of the reference mean, default 0, range \[0, 0.49\]
    pub trim: f64,
}

impl RmiaOptions {
    pub(crate) fn from_raw(raw: &sys::amun_rmia_options) -> Self {
        Self {
            signal: Signal(raw.signal),
            taylor_degree: raw.taylor_degree,
            temperature: raw.temperature,
            margin: raw.margin,
            gamma: raw.gamma,
            mode: RmiaMode(raw.mode),
            population: RmiaPopulation(raw.population),
            offline_a: raw.offline_a,
            trim: raw.trim,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_rmia_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_rmia_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.signal = self.signal.0;
        raw.taylor_degree = self.taylor_degree;
        raw.temperature = self.temperature;
        raw.margin = self.margin;
        raw.gamma = self.gamma;
        raw.mode = self.mode.0;
        raw.population = self.population.0;
        raw.offline_a = self.offline_a;
        raw.trim = self.trim;
        Ok(kept.keep(raw))
    }
}

impl Default for RmiaOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_rmia_options_init))
    }
}

/// Fields of `amun_mia_options`.
#[derive(Clone, Debug)]
pub struct MiaOptions {
    /// models, even, default 16, range \[2, 4096\]
    pub references: i32,
    /// equal-sized draws averaged per AUC, default 3, range \[1, 1000\]
    pub subsamples: i32,
    /// of the inclusion matrix (low 32 bits) and the draws; default 0
    pub seed: u64,
    /// default NULL; copied by amun_mia_create()
    pub rmia: Option<RmiaOptions>,
}

impl MiaOptions {
    pub(crate) fn from_raw(raw: &sys::amun_mia_options) -> Self {
        Self {
            references: raw.references,
            subsamples: raw.subsamples,
            seed: raw.seed,
            rmia: None,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_mia_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_mia_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.references = self.references;
        raw.subsamples = self.subsamples;
        raw.seed = self.seed;
        raw.rmia = match &self.rmia { Some(o) => o.raw(kept)?, None => std::ptr::null() };
        Ok(kept.keep(raw))
    }
}

impl Default for MiaOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_mia_options_init))
    }
}

/// Fields of `amun_audit`.
#[derive(Clone, Copy, Debug)]
pub struct Audit {
    /// accuracy on the forget, remaining and test samples
    pub ua: f64,
    /// accuracy on the forget, remaining and test samples
    pub ra: f64,
    /// accuracy on the forget, remaining and test samples
    pub ta: f64,
    /// RMIA: forget/test, remain/forget, remain/test
    pub ft_auc: f64,
    /// RMIA: forget/test, remain/forget, remain/test
    pub fr_auc: f64,
    /// RMIA: forget/test, remain/forget, remain/test
    pub rt_auc: f64,
    /// sample deviation over the subsamples; NaN for one
    pub ft_auc_sd: f64,
    /// true-positive rate at 1 % and 0.1 % false positives, forget/test
    pub ft_tpr_1: f64,
    /// true-positive rate at 1 % and 0.1 % false positives, forget/test
    pub ft_tpr_01: f64,
    /// NaN without libsvm
    pub mis: f64,
    /// of this call
    pub seconds: f64,
    /// Taylor sums that were not positive, references included
    pub nonpositive: i64,
    /// models used
    pub references: i64,
}

impl Audit {
    pub(crate) fn empty() -> sys::amun_audit {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_audit = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw
    }

    pub(crate) fn from_raw(raw: &sys::amun_audit) -> Self {
        Self {
            ua: raw.ua,
            ra: raw.ra,
            ta: raw.ta,
            ft_auc: raw.ft_auc,
            fr_auc: raw.fr_auc,
            rt_auc: raw.rt_auc,
            ft_auc_sd: raw.ft_auc_sd,
            ft_tpr_1: raw.ft_tpr_1,
            ft_tpr_01: raw.ft_tpr_01,
            mis: raw.mis,
            seconds: raw.seconds,
            nonpositive: raw.nonpositive,
            references: raw.references,
        }
    }

    pub(crate) fn to_raw(self) -> sys::amun_audit {
        let mut raw = Self::empty();
        raw.ua = self.ua;
        raw.ra = self.ra;
        raw.ta = self.ta;
        raw.ft_auc = self.ft_auc;
        raw.fr_auc = self.fr_auc;
        raw.rt_auc = self.rt_auc;
        raw.ft_auc_sd = self.ft_auc_sd;
        raw.ft_tpr_1 = self.ft_tpr_1;
        raw.ft_tpr_01 = self.ft_tpr_01;
        raw.mis = self.mis;
        raw.seconds = self.seconds;
        raw.nonpositive = self.nonpositive;
        raw.references = self.references;
        raw
    }
}

/// Fields of `amun_gap`.
#[derive(Clone, Copy, Debug)]
pub struct Gap {
    /// retrained models
    pub models: i64,
    /// the unlearned model's number
    pub unlearned: f64,
    /// mean
    pub retrained: f64,
    /// |unlearned - retrained|; ideal: not above the null
    pub gap: f64,
    /// the gap of each retrained model to the mean of the others: mean
    pub null_mean: f64,
    /// and sample deviation; both NaN for one retrained model
    pub null_sd: f64,
}

impl Gap {
    pub(crate) fn empty() -> sys::amun_gap {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_gap = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw
    }

    pub(crate) fn from_raw(raw: &sys::amun_gap) -> Self {
        Self {
            models: raw.models,
            unlearned: raw.unlearned,
            retrained: raw.retrained,
            gap: raw.gap,
            null_mean: raw.null_mean,
            null_sd: raw.null_sd,
        }
    }
}

/// Fields of `amun_probe_options`.
#[derive(Clone, Debug)]
pub struct ProbeOptions {
    /// penalty ridge / 2 |w|^2 on standardised features, offsets free; default 1, range \[1e-9, 1e9\]
    pub ridge: f64,
    /// training rows at most, drawn from more; default 0: all, range \[0, 1e9\]
    pub limit: i64,
    /// of amun_probe_model() only: see amun_features_compute(); default 0, range \[0, 64\]
    pub stage: i32,
    /// of the draw; default 0
    pub seed: u64,
}

impl ProbeOptions {
    pub(crate) fn from_raw(raw: &sys::amun_probe_options) -> Self {
        Self {
            ridge: raw.ridge,
            limit: raw.limit,
            stage: raw.stage,
            seed: raw.seed,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_probe_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_probe_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.ridge = self.ridge;
        raw.limit = self.limit;
        raw.stage = self.stage;
        raw.seed = self.seed;
        Ok(kept.keep(raw))
    }
}

impl Default for ProbeOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_probe_options_init))
    }
}

/// Fields of `amun_probe`.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// rows
    pub fitted: i64,
    /// rows
    pub tested: i64,
    /// on test rows of the forget classes
    pub forget_accuracy: f64,
    /// on the others; NaN without any
    pub remain_accuracy: f64,
    /// on the rows it was fitted on
    pub fit_accuracy: f64,
    /// test rows of the forget classes above the others, by the log-odds that the probe gives to the forget classes together; NaN without both kinds
    pub auc: f64,
}

impl Probe {
    pub(crate) fn empty() -> sys::amun_probe {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_probe = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw
    }

    pub(crate) fn from_raw(raw: &sys::amun_probe) -> Self {
        Self {
            fitted: raw.fitted,
            tested: raw.tested,
            forget_accuracy: raw.forget_accuracy,
            remain_accuracy: raw.remain_accuracy,
            fit_accuracy: raw.fit_accuracy,
            auc: raw.auc,
        }
    }
}

/// Fields of `amun_prototype_options`.
#[derive(Clone, Debug)]
pub struct PrototypeOptions {
    /// of each forget class, default 5, range \[1, 1e6\]
    pub samples: i32,
    /// of other samples; figures are means, default 10, range \[1, 10000\]
    pub draws: i32,
    /// default AMUN_PROTOTYPE_MATCHED
    pub scale: PrototypeScale,
    /// of the draws; default 0
    pub seed: u64,
}

impl PrototypeOptions {
    pub(crate) fn from_raw(raw: &sys::amun_prototype_options) -> Self {
        Self {
            samples: raw.samples,
            draws: raw.draws,
            scale: PrototypeScale(raw.scale),
            seed: raw.seed,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_prototype_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_prototype_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.samples = self.samples;
        raw.draws = self.draws;
        raw.scale = self.scale.0;
        raw.seed = self.seed;
        Ok(kept.keep(raw))
    }
}

impl Default for PrototypeOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_prototype_options_init))
    }
}

/// Fields of `amun_prototype`.
#[derive(Clone, Copy, Debug)]
pub struct Prototype {
    /// rows
    pub tested: i64,
    /// accuracies on test rows with the head as it is; NaN without such rows
    pub forget_before: f64,
    /// accuracies on test rows with the head as it is; NaN without such rows
    pub remain_before: f64,
    /// with prototypes: mean over the draws, sample deviation (NaN for one draw)
    pub forget_accuracy: f64,
    /// with prototypes: mean over the draws, sample deviation (NaN for one draw)
    pub forget_sd: f64,
    /// what the new rows take from the others
    pub remain_accuracy: f64,
    /// what the new rows take from the others
    pub remain_sd: f64,
}

impl Prototype {
    pub(crate) fn empty() -> sys::amun_prototype {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_prototype = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw
    }

    pub(crate) fn from_raw(raw: &sys::amun_prototype) -> Self {
        Self {
            tested: raw.tested,
            forget_before: raw.forget_before,
            remain_before: raw.remain_before,
            forget_accuracy: raw.forget_accuracy,
            forget_sd: raw.forget_sd,
            remain_accuracy: raw.remain_accuracy,
            remain_sd: raw.remain_sd,
        }
    }
}

/// Fields of `amun_lossmia_options`.
#[derive(Clone, Debug)]
pub struct LossmiaOptions {
    /// random splits, default 10, range \[1, 10000\]
    pub splits: i32,
    /// of each side, tested on, default 0.1, range \[0.01, 0.9\]
    pub test_share: f64,
    /// penalty ridge / 2 w^2 on the loss as it is, default 1, range \[1e-9, 1e9\]
    pub ridge: f64,
    /// of the splits, default 0
    pub seed: u64,
}

impl LossmiaOptions {
    pub(crate) fn from_raw(raw: &sys::amun_lossmia_options) -> Self {
        Self {
            splits: raw.splits,
            test_share: raw.test_share,
            ridge: raw.ridge,
            seed: raw.seed,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_lossmia_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_lossmia_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.splits = self.splits;
        raw.test_share = self.test_share;
        raw.ridge = self.ridge;
        raw.seed = self.seed;
        Ok(kept.keep(raw))
    }
}

impl Default for LossmiaOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_lossmia_options_init))
    }
}

/// Fields of `amun_lossmia`.
#[derive(Clone, Copy, Debug)]
pub struct Lossmia {
    /// of each side: what the smaller one has
    pub rows: i64,
    /// on the tested parts, mean over the splits; 50: nothing is told
    pub accuracy: f64,
    /// sample deviation over the splits; NaN for one
    pub sd: f64,
    /// forget samples below unseen ones, all of both; 50: nothing is told
    pub auc: f64,
}

impl Lossmia {
    pub(crate) fn empty() -> sys::amun_lossmia {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_lossmia = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw
    }

    pub(crate) fn from_raw(raw: &sys::amun_lossmia) -> Self {
        Self {
            rows: raw.rows,
            accuracy: raw.accuracy,
            sd: raw.sd,
            auc: raw.auc,
        }
    }
}

/// Fields of `amun_quality_options`.
#[derive(Clone, Debug)]
pub struct QualityOptions {
    /// default 1e-5, range \[0, 0.5\]
    pub delta: f64,
    /// epsilon of samples that tell the groups apart, default 50, range \[1e-6, 1e6\]
    pub cap: f64,
    /// of epsilon; each halves a sample's points, default 0.5, range \[1e-6, 1e6\]
    pub bin: f64,
    /// 1: also rules "between two thresholds" (default), 0: one threshold
    pub intervals: i32,
}

impl QualityOptions {
    pub(crate) fn from_raw(raw: &sys::amun_quality_options) -> Self {
        Self {
            delta: raw.delta,
            cap: raw.cap,
            bin: raw.bin,
            intervals: raw.intervals,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_quality_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_quality_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.delta = self.delta;
        raw.cap = self.cap;
        raw.bin = self.bin;
        raw.intervals = self.intervals;
        Ok(kept.keep(raw))
    }
}

impl Default for QualityOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_quality_options_init))
    }
}

/// Fields of `amun_quality`.
#[derive(Clone, Copy, Debug)]
pub struct Quality {
    /// models of each side, samples
    pub unlearned: i64,
    /// models of each side, samples
    pub retrained: i64,
    /// models of each side, samples
    pub rows: i64,
    /// mean points, in (0, 1\]; 1: no sample tells the groups apart
    pub score: f64,
    /// over the samples
    pub epsilon_mean: f64,
    /// over the samples
    pub epsilon_median: f64,
    /// samples with epsilon `cap`
    pub capped: i64,
}

impl Quality {
    pub(crate) fn empty() -> sys::amun_quality {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_quality = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw
    }

    pub(crate) fn from_raw(raw: &sys::amun_quality) -> Self {
        Self {
            unlearned: raw.unlearned,
            retrained: raw.retrained,
            rows: raw.rows,
            score: raw.score,
            epsilon_mean: raw.epsilon_mean,
            epsilon_median: raw.epsilon_median,
            capped: raw.capped,
        }
    }
}

/// Fields of `amun_rival_options`.
#[derive(Clone, Debug)]
pub struct RivalOptions {
    /// RANDOM_LABEL, SALUN: 1 draws over all classes, the true one too; default 0: over the others
    pub any_label: i32,
    /// RANDOM_LABEL, SALUN: 1 a pass over the relabelled D_F, then one over D_R, every epoch; default 0: one shuffled list
    pub forget_first: i32,
    /// GRADIENT_ASCENT: a longer gradient is scaled down to this norm; default 0: never; range \[0, 1e6\]
    pub ascent_norm: f64,
    /// GRADIENT_ASCENT: ends after an epoch with this accuracy on D_F or less, percent; default 0, range \[0, 100\]
    pub ascent_floor: f64,
    /// NEGGRAD_PLUS: alpha in alpha CE(D_R) - (1 - alpha) CE(D_F), default 0.95, range \[0, 1\]
    pub retain_weight: f64,
    /// BOUNDARY_SHRINK: l-infinity step to the nearest boundary, in pixel units, default 0.1, range (0, 1\]
    pub boundary_step: f64,
    /// L1_SPARSE: the penalty in the first epoch, falling linearly to 0 after the last; default 1e-3, range \[0, 10\]
    pub l1: f64,
    /// SCRUB: default 4, range \[0.01, 1000\]
    pub scrub_temperature: f64,
    /// SCRUB: weight of the cross-entropy on D_R, default 0.99, \[0, 1000\]
    pub scrub_gamma: f64,
    /// SCRUB: weight of the distillation on D_R, default 0.001, \[0, 1000\]
    pub scrub_alpha: f64,
    /// SCRUB: epochs that begin with a maximising pass over D_F, default 2, range \[0, 100000\]
    pub scrub_ascent_epochs: i32,
    /// SCRUB: 1 goes back to the epoch whose error on D_F is nearest to that on held-out samples of D_R; default 0
    pub scrub_rewind: i32,
    /// SSD: a weight is dampened where its importance for D_F exceeds this times that for D, default 10, range \[0, 1e9\]
    pub ssd_alpha: f64,
    /// SSD: strength, default 1, range \[0, 1e9\]
    pub ssd_lambda: f64,
    /// SVD: scale of the retained space, default 100, range \[0, 1e9\]
    pub svd_retain_alpha: f64,
    /// SVD: scale of the forget space, default 3, range \[0, 1e9\]
    pub svd_forget_alpha: f64,
    /// SVD: samples of D_R and of D_F each, default 900, range \[1, 1e6\]
    pub svd_samples: i32,
    /// SVD: most patches per layer and side, default 10000, \[1, 1e7\]
    pub svd_patches: i32,
    /// BAD_TEACHER: share of D_R, default 0.3, range (0, 1\]
    pub teacher_share: f64,
    /// BAD_TEACHER: default 1, range \[0.01, 1000\]
    pub teacher_temperature: f64,
    /// UNSIR: noise images per forget class, default 256, \[1, 65536\]
    pub unsir_noise: i32,
    /// UNSIR: steps that make the noise, default 40, \[0, 100000\]
    pub unsir_noise_steps: i32,
    /// UNSIR: rate of these steps (Adam), default 0.1, range (0, 1000\]
    pub unsir_noise_lr: f64,
    /// UNSIR: weight of mean ||noise||^2, default 0.1, \[0, 1000\]
    pub unsir_noise_penalty: f64,
    /// UNSIR: copies of the noise in the impair epoch, default 20, \[1, 4095\]
    pub unsir_copies: i32,
    /// UNSIR: samples of each retained class, default 1000, \[1, 1e6\]
    pub unsir_per_class: i32,
    /// UNSIR: rate of the repair epoch, default 0.01, range (0, 1000\]
    pub unsir_repair_lr: f64,
    /// EUK, CFK: so many of the last weighted layers before the last one are trained with it, default 1, range \[0, 100000\]
    pub last_blocks: i32,
}

impl RivalOptions {
    pub(crate) fn from_raw(raw: &sys::amun_rival_options) -> Self {
        Self {
            any_label: raw.any_label,
            forget_first: raw.forget_first,
            ascent_norm: raw.ascent_norm,
            ascent_floor: raw.ascent_floor,
            retain_weight: raw.retain_weight,
            boundary_step: raw.boundary_step,
            l1: raw.l1,
            scrub_temperature: raw.scrub_temperature,
            scrub_gamma: raw.scrub_gamma,
            scrub_alpha: raw.scrub_alpha,
            scrub_ascent_epochs: raw.scrub_ascent_epochs,
            scrub_rewind: raw.scrub_rewind,
            ssd_alpha: raw.ssd_alpha,
            ssd_lambda: raw.ssd_lambda,
            svd_retain_alpha: raw.svd_retain_alpha,
            svd_forget_alpha: raw.svd_forget_alpha,
            svd_samples: raw.svd_samples,
            svd_patches: raw.svd_patches,
            teacher_share: raw.teacher_share,
            teacher_temperature: raw.teacher_temperature,
            unsir_noise: raw.unsir_noise,
            unsir_noise_steps: raw.unsir_noise_steps,
            unsir_noise_lr: raw.unsir_noise_lr,
            unsir_noise_penalty: raw.unsir_noise_penalty,
            unsir_copies: raw.unsir_copies,
            unsir_per_class: raw.unsir_per_class,
            unsir_repair_lr: raw.unsir_repair_lr,
            last_blocks: raw.last_blocks,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_rival_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_rival_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.any_label = self.any_label;
        raw.forget_first = self.forget_first;
        raw.ascent_norm = self.ascent_norm;
        raw.ascent_floor = self.ascent_floor;
        raw.retain_weight = self.retain_weight;
        raw.boundary_step = self.boundary_step;
        raw.l1 = self.l1;
        raw.scrub_temperature = self.scrub_temperature;
        raw.scrub_gamma = self.scrub_gamma;
        raw.scrub_alpha = self.scrub_alpha;
        raw.scrub_ascent_epochs = self.scrub_ascent_epochs;
        raw.scrub_rewind = self.scrub_rewind;
        raw.ssd_alpha = self.ssd_alpha;
        raw.ssd_lambda = self.ssd_lambda;
        raw.svd_retain_alpha = self.svd_retain_alpha;
        raw.svd_forget_alpha = self.svd_forget_alpha;
        raw.svd_samples = self.svd_samples;
        raw.svd_patches = self.svd_patches;
        raw.teacher_share = self.teacher_share;
        raw.teacher_temperature = self.teacher_temperature;
        raw.unsir_noise = self.unsir_noise;
        raw.unsir_noise_steps = self.unsir_noise_steps;
        raw.unsir_noise_lr = self.unsir_noise_lr;
        raw.unsir_noise_penalty = self.unsir_noise_penalty;
        raw.unsir_copies = self.unsir_copies;
        raw.unsir_per_class = self.unsir_per_class;
        raw.unsir_repair_lr = self.unsir_repair_lr;
        raw.last_blocks = self.last_blocks;
        Ok(kept.keep(raw))
    }
}

impl Default for RivalOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_rival_options_init))
    }
}

/// Fields of `amun_trw_options`.
#[derive(Clone, Debug)]
pub struct TrwOptions {
    /// tilt, default 10, range \[0, 1000\]
    pub beta: f64,
    /// of the softmax over cosines, default 0.1, range \[1e-3, 1000\]
    pub temperature: f64,
    /// share of the rows' energy that the principal components keep, default 0.95, range (0, 1\]
    pub energy: f64,
    /// default 0: by energy; else so many, at most classes - 1
    pub components: i32,
    /// default AMUN_TRW_SCORE_SOFTMAX
    pub score: TrwScore,
    /// 1: a row of the last layer includes its bias; default 0
    pub bias: i32,
    /// 1: the forget samples are repeated until they are about as many as the remaining ones; default 0: each once per epoch
    pub balanced: i32,
    /// 1: batch norm as in evaluation; default 0
    pub frozen_statistics: i32,
    /// sample-dependent scores: 0 by the cosine to the class means (default), k > 0 by the classes of the k nearest retained samples
    pub neighbours: i32,
    /// share of the sample-dependent score, default 0, range \[0, 1\]
    pub kappa: f64,
    /// probability left to the forget classes together, default 0, range \[0, 0.1\]. A retrained model never gives exactly 0
    pub forget_floor: f64,
    /// lambda of the forget loss, default 1, range \[0, 1000\]
    pub forget_weight: f64,
    /// standard deviation of Gaussian noise on the scores, as a multiple of theirs, default 0, range \[0, 100\]
    pub noise: f64,
    /// default AMUN_TRW_CONTROL_NONE
    pub control: TrwControl,
    /// sample-dependent scores read the inputs of the last dense layer (0, default) or the features so many stages before it, as amun_features_compute() does; range \[0, 64\], above 0 needs kappa
    pub stage: i32,
    /// of the noise and the permutation, default 0
    pub noise_seed: u64,
}

impl TrwOptions {
    pub(crate) fn from_raw(raw: &sys::amun_trw_options) -> Self {
        Self {
            beta: raw.beta,
            temperature: raw.temperature,
            energy: raw.energy,
            components: raw.components,
            score: TrwScore(raw.score),
            bias: raw.bias,
            balanced: raw.balanced,
            frozen_statistics: raw.frozen_statistics,
            neighbours: raw.neighbours,
            kappa: raw.kappa,
            forget_floor: raw.forget_floor,
            forget_weight: raw.forget_weight,
            noise: raw.noise,
            control: TrwControl(raw.control),
            stage: raw.stage,
            noise_seed: raw.noise_seed,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_trw_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_trw_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.beta = self.beta;
        raw.temperature = self.temperature;
        raw.energy = self.energy;
        raw.components = self.components;
        raw.score = self.score.0;
        raw.bias = self.bias;
        raw.balanced = self.balanced;
        raw.frozen_statistics = self.frozen_statistics;
        raw.neighbours = self.neighbours;
        raw.kappa = self.kappa;
        raw.forget_floor = self.forget_floor;
        raw.forget_weight = self.forget_weight;
        raw.noise = self.noise;
        raw.control = self.control.0;
        raw.stage = self.stage;
        raw.noise_seed = self.noise_seed;
        Ok(kept.keep(raw))
    }
}

impl Default for TrwOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_trw_options_init))
    }
}

/// Fields of `amun_unlearn_options`.
#[derive(Clone, Debug)]
pub struct UnlearnOptions {
    /// default AMUN_UNLEARN_AMUN
    pub method: UnlearnMethod,
    /// default 1: D_R is available; 0: do without it, which not all methods can (docs/unlearning.md)
    pub remain: i32,
    /// default NULL: amun_unlearn_train_options_init()'s
    pub train: Option<TrainOptions>,
    /// of fresh weights and of a method's own choices; default 0
    pub seed: u64,
    /// share of the weights that move: those with the largest gradient of the loss on D_F, as in SalUn (arXiv 2310.12508). Default 0: 0.5 for SALUN, all of them for the others. Range \[0, 1\]
    pub mask_ratio: f64,
    /// default NULL: the defaults
    pub rival: Option<RivalOptions>,
    /// TRW, DELETE (not its beta); default NULL: the defaults
    pub trw: Option<TrwOptions>,
}

impl UnlearnOptions {
    pub(crate) fn from_raw(raw: &sys::amun_unlearn_options) -> Self {
        Self {
            method: UnlearnMethod(raw.method),
            remain: raw.remain,
            train: None,
            seed: raw.seed,
            mask_ratio: raw.mask_ratio,
            rival: None,
            trw: None,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_unlearn_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_unlearn_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.method = self.method.0;
        raw.remain = self.remain;
        raw.train = match &self.train { Some(o) => o.raw(kept)?, None => std::ptr::null() };
        raw.seed = self.seed;
        raw.mask_ratio = self.mask_ratio;
        raw.rival = match &self.rival { Some(o) => o.raw(kept)?, None => std::ptr::null() };
        raw.trw = match &self.trw { Some(o) => o.raw(kept)?, None => std::ptr::null() };
        Ok(kept.keep(raw))
    }
}

impl Default for UnlearnOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_unlearn_options_init))
    }
}

/// Fields of `amun_unlearn_result`.
#[derive(Clone, Copy, Debug)]
pub struct UnlearnResult {
    /// samples per epoch from D_R, D_F, D_A; SSD, SVD: in all; UNSIR: adversarial counts its noise images
    pub remain: i64,
    /// samples per epoch from D_R, D_F, D_A; SSD, SVD: in all; UNSIR: adversarial counts its noise images
    pub forget: i64,
    /// samples per epoch from D_R, D_F, D_A; SSD, SVD: in all; UNSIR: adversarial counts its noise images
    pub adversarial: i64,
    /// forget samples without adversarial example; BOUNDARY_SHRINK: that the step leaves in their class
    pub failed: i64,
    /// of the last epoch's mix, percent; NaN if nothing was trained
    pub loss: f64,
    /// of the last epoch's mix, percent; NaN if nothing was trained
    pub accuracy: f64,
    /// of this call
    pub seconds: f64,
}

impl UnlearnResult {
    pub(crate) fn empty() -> sys::amun_unlearn_result {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_unlearn_result = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw
    }

    pub(crate) fn from_raw(raw: &sys::amun_unlearn_result) -> Self {
        Self {
            remain: raw.remain,
            forget: raw.forget,
            adversarial: raw.adversarial,
            failed: raw.failed,
            loss: raw.loss,
            accuracy: raw.accuracy,
            seconds: raw.seconds,
        }
    }
}

/// Fields of `amun_trw_select_options`.
#[derive(Clone, Debug)]
pub struct TrwSelectOptions {
    /// of D_R that is held out, default 0.1, range (0, 0.9\]
    pub share: f64,
    /// percentage points that may be lost on it, default 0.5, range \[0, 100\]
    pub tolerance: f64,
    /// of the held-out part, default 0
    pub seed: u64,
}

impl TrwSelectOptions {
    pub(crate) fn from_raw(raw: &sys::amun_trw_select_options) -> Self {
        Self {
            share: raw.share,
            tolerance: raw.tolerance,
            seed: raw.seed,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_trw_select_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_trw_select_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.share = self.share;
        raw.tolerance = self.tolerance;
        raw.seed = self.seed;
        Ok(kept.keep(raw))
    }
}

impl Default for TrwSelectOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_trw_select_options_init))
    }
}

/// Fields of `amun_unlearn_bound`.
#[derive(Clone, Copy, Debug)]
pub struct UnlearnBound {
    /// with an example
    pub samples: i64,
    /// mean of delta, l2
    pub delta: f64,
    /// mean of sqrt(2) L delta, with L of the logits
    pub l_delta: f64,
    /// l(o; x_a, y)
    pub original_adversarial: f64,
    /// l(a; x_a, y_a)
    pub unlearned_adversarial: f64,
    /// l(u; x, y); NaN without a retrained model, as all below
    pub retrained_clean: f64,
    /// l(u; x_a, y_a)
    pub retrained_adversarial: f64,
    /// C above
    pub c: f64,
    /// |o - u|^2 over the trainable weights
    pub before: f64,
    /// |a - u|^2
    pub after: f64,
    /// before + (2 / beta) (l_delta - c)
    pub bound: f64,
}

impl UnlearnBound {
    pub(crate) fn empty() -> sys::amun_unlearn_bound {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_unlearn_bound = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw
    }

    pub(crate) fn from_raw(raw: &sys::amun_unlearn_bound) -> Self {
        Self {
            samples: raw.samples,
            delta: raw.delta,
            l_delta: raw.l_delta,
            original_adversarial: raw.original_adversarial,
            unlearned_adversarial: raw.unlearned_adversarial,
            retrained_clean: raw.retrained_clean,
            retrained_adversarial: raw.retrained_adversarial,
            c: raw.c,
            before: raw.before,
            after: raw.after,
            bound: raw.bound,
        }
    }
}

/// Fields of `amun_forget_check`.
#[derive(Clone, Copy, Debug)]
pub struct ForgetCheck {
    /// forget above unseen, percent
    pub auc: f64,
    /// standard error of auc (DeLong et al., Biometrics 44, 1988), percent
    pub error: f64,
    /// auc -+ quantile * error, with the normal quantile of `confidence`
    pub low: f64,
    /// auc -+ quantile * error, with the normal quantile of `confidence`
    pub high: f64,
    /// two-sided, of auc = 50; 1 if both groups have the same scores
    pub p: f64,
    /// by \[low, high\]
    pub verdict: Verdict,
}

impl ForgetCheck {
    pub(crate) fn empty() -> sys::amun_forget_check {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_forget_check = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw
    }

    pub(crate) fn from_raw(raw: &sys::amun_forget_check) -> Self {
        Self {
            auc: raw.auc,
            error: raw.error,
            low: raw.low,
            high: raw.high,
            p: raw.p,
            verdict: Verdict(raw.verdict),
        }
    }
}

/// Fields of `amun_select_options`.
#[derive(Clone, Debug)]
pub struct SelectOptions {
    /// default AMUN_SELECT_SAMPLES
    pub rule: SelectRule,
    /// a rate is admitted if it costs at most so many points of held-out accuracy, default 0.5, range \[0, 100\]
    pub tolerance: f64,
}

impl SelectOptions {
    pub(crate) fn from_raw(raw: &sys::amun_select_options) -> Self {
        Self {
            rule: SelectRule(raw.rule),
            tolerance: raw.tolerance,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_select_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_select_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.rule = self.rule.0;
        raw.tolerance = self.tolerance;
        Ok(kept.keep(raw))
    }
}

impl Default for SelectOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_select_options_init))
    }
}

/// Fields of `amun_select_trial`.
#[derive(Clone, Copy, Debug)]
pub struct SelectTrial {
    /// the rate
    pub lr: f64,
    /// percent
    pub forget_accuracy: f64,
    /// percent; SAMPLES: of all held-out samples, CLASSES: without the forget classes
    pub heldout_accuracy: f64,
    /// of amun_forget_check; NaN if held-out data has fewer than two samples to compare with
    pub auc: f64,
    /// of amun_forget_check; NaN if held-out data has fewer than two samples to compare with
    pub error: f64,
    /// of this trial
    pub seconds: f64,
    /// 1: held-out accuracy within the tolerance
    pub admitted: i32,
    /// 1: training diverged; the figures are NaN
    pub failed: i32,
}

impl SelectTrial {
    pub(crate) fn empty() -> sys::amun_select_trial {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_select_trial = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw
    }

    pub(crate) fn from_raw(raw: &sys::amun_select_trial) -> Self {
        Self {
            lr: raw.lr,
            forget_accuracy: raw.forget_accuracy,
            heldout_accuracy: raw.heldout_accuracy,
            auc: raw.auc,
            error: raw.error,
            seconds: raw.seconds,
            admitted: raw.admitted,
            failed: raw.failed,
        }
    }
}

/// Fields of `amun_relearn_options`.
#[derive(Clone, Debug)]
pub struct RelearnOptions {
    /// of SGD with momentum 0.9, default 1e-3, range (0, 1000\]
    pub lr: f64,
    /// default 128, range \[1, 65536\]
    pub batch: i32,
    /// steps between two looks at the accuracy, default 1, range \[1, 1e6\]
    pub every: i32,
    /// default 100, range \[1, 100000\]
    pub most_epochs: i32,
    /// of the remaining samples drawn and the order, default 0
    pub seed: u64,
}

impl RelearnOptions {
    pub(crate) fn from_raw(raw: &sys::amun_relearn_options) -> Self {
        Self {
            lr: raw.lr,
            batch: raw.batch,
            every: raw.every,
            most_epochs: raw.most_epochs,
            seed: raw.seed,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_relearn_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_relearn_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.lr = self.lr;
        raw.batch = self.batch;
        raw.every = self.every;
        raw.most_epochs = self.most_epochs;
        raw.seed = self.seed;
        Ok(kept.keep(raw))
    }
}

impl Default for RelearnOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_relearn_options_init))
    }
}

/// Fields of `amun_relearn`.
#[derive(Clone, Copy, Debug)]
pub struct Relearn {
    /// until the target was met; -1: not within most_epochs
    pub steps: i64,
    /// accuracy on the forget samples before the first step, percent
    pub before: f64,
    /// at the last look
    pub after: f64,
    /// of this call
    pub seconds: f64,
}

impl Relearn {
    pub(crate) fn empty() -> sys::amun_relearn {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_relearn = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw
    }

    pub(crate) fn from_raw(raw: &sys::amun_relearn) -> Self {
        Self {
            steps: raw.steps,
            before: raw.before,
            after: raw.after,
            seconds: raw.seconds,
        }
    }
}

/// Fields of `amun_spectrum_options`.
#[derive(Clone, Debug)]
pub struct SpectrumOptions {
    /// default AMUN_SPECTRUM_POWERQR
    pub method: SpectrumMethod,
    /// values per layer, default 1, range \[1, 64\]; a layer of lower rank has fewer, EXACT all
    pub k: i32,
    /// vectors that iterate, at least k; default 0: max(8, k + 4), LEGACY k; range \[0, 128\]; below 4: power iteration only
    pub block: i32,
    /// per run, default 1000, range \[1, 1000000\]; LEGACY: exactly
    pub max_iterations: i32,
    /// a value converged when its residual is at most tol * sigma^2, or as small as rounding allows; default 1e-6, range \[0, 1\]
    pub tol: f64,
    /// shift of M'M, default 0, range \[0, 1e6\]; LEGACY with 0: 1
    pub mu: f64,
    /// 1: a convolution or dense layer that only a batch norm reads is one layer with it (running statistics); default 0: two layers
    pub fold_batchnorm: i32,
    /// default 1; 0: no sigma_upper (infinity), and no time for it
    pub certify: i32,
    /// of the starting vectors, default 0
    pub seed: u64,
    /// 1e9 floating-point operations that a closer certificate of a layer may take where the others are more than 1 % above sigma_lower (AMUN_BOUND_SECTION); default 600, range \[0, 1e9\]; 0: none. It never takes more than 1 GB of memory
    pub certify_cost: f64,
}

impl SpectrumOptions {
    pub(crate) fn from_raw(raw: &sys::amun_spectrum_options) -> Self {
        Self {
            method: SpectrumMethod(raw.method),
            k: raw.k,
            block: raw.block,
            max_iterations: raw.max_iterations,
            tol: raw.tol,
            mu: raw.mu,
            fold_batchnorm: raw.fold_batchnorm,
            certify: raw.certify,
            seed: raw.seed,
            certify_cost: raw.certify_cost,
        }
    }

    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::amun_spectrum_options> {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_spectrum_options = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw.method = self.method.0;
        raw.k = self.k;
        raw.block = self.block;
        raw.max_iterations = self.max_iterations;
        raw.tol = self.tol;
        raw.mu = self.mu;
        raw.fold_batchnorm = self.fold_batchnorm;
        raw.certify = self.certify;
        raw.seed = self.seed;
        raw.certify_cost = self.certify_cost;
        Ok(kept.keep(raw))
    }
}

impl Default for SpectrumOptions {
    fn default() -> Self {
        Self::from_raw(&crate::defaults(sys::amun_spectrum_options_init))
    }
}

/// Fields of `amun_layer_spectrum`.
#[derive(Clone, Debug)]
pub struct LayerSpectrum {
    /// module path, "" for a pool; lives as long as the spectrum
    pub name: Option<String>,
    /// module path of the batch norm in it, or NULL; the same
    pub batchnorm: Option<String>,
    /// what it is
    pub kind: LayerKind,
    /// in the model's graph
    pub node: i32,
    /// channels, height, width
    pub in_shape: [i64; 3],
    /// the same of the result
    pub out_shape: [i64; 3],
    /// the norm is at least this (Ritz value), but for rounding in single precision; never above sigma_upper; NaN before a run
    pub sigma_lower: f64,
    /// the norm is at most this, rounding included; infinity without certify; NaN before a run
    pub sigma_upper: f64,
    /// norm of the weights (times the batch norm's factors, if it is in the layer) as a matrix \[out\]\[rest\], which torch.nn.utils.spectral_norm divides by; NaN without weights
    pub sigma_flat: f64,
    /// |M'M v - sigma^2 v| of the first value; NaN for LEGACY, EXACT
    pub residual: f64,
    /// of sigma_upper
    pub bound: BoundKind,
    /// how many singular values there are
    pub values: i32,
    /// of the last run; 0: none were needed
    pub iterations: i32,
    /// 1: the stop test was met for all values, or nothing had to be iterated; 0 after LEGACY's iterations, which have no test
    pub converged: i32,
}

impl LayerSpectrum {
    pub(crate) fn empty() -> sys::amun_layer_spectrum {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_layer_spectrum = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw
    }

    pub(crate) fn from_raw(raw: &sys::amun_layer_spectrum) -> Self {
        Self {
            name: crate::text_or_none(raw.name),
            batchnorm: crate::text_or_none(raw.batchnorm),
            kind: LayerKind(raw.kind),
            node: raw.node,
            in_shape: raw.in_shape,
            out_shape: raw.out_shape,
            sigma_lower: raw.sigma_lower,
            sigma_upper: raw.sigma_upper,
            sigma_flat: raw.sigma_flat,
            residual: raw.residual,
            bound: BoundKind(raw.bound),
            values: raw.values,
            iterations: raw.iterations,
            converged: raw.converged,
        }
    }
}

/// Fields of `amun_lipschitz`.
#[derive(Clone, Copy, Debug)]
pub struct Lipschitz {
    /// no two inputs are stretched by more than this: products along chains, sums where branches meet; infinity without certify
    pub upper: f64,
    /// the same with sigma_lower in place of sigma_upper: not a bound
    pub estimate: f64,
}

impl Lipschitz {
    pub(crate) fn empty() -> sys::amun_lipschitz {
        // SAFETY: zero is a value of every field: numbers and nullable pointers.
        let mut raw: sys::amun_lipschitz = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of_val(&raw);
        raw
    }

    pub(crate) fn from_raw(raw: &sys::amun_lipschitz) -> Self {
        Self {
            upper: raw.upper,
            estimate: raw.estimate,
        }
    }
}
