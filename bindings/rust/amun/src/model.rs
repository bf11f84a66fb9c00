//! Graphs and models: building, weights, training, forgetting.
use crate::base::{c_path, c_text, check, create, expect_length, indices, Handle, Kept};
use crate::tensor::output;
use crate::*;
use std::ffi::CStr;
use std::path::Path;
use std::ptr::null;

/// Index of a node in its graph. Node 0 is the input.
pub type Node = i32;

handle!(GraphHandle, amun_graph, amun_graph_unref);

/// A network under construction. Once a model was made of it, it takes no more nodes.
#[derive(Debug)]
pub struct Graph {
    handle: GraphHandle,
    channels: Vec<Option<usize>>, // of each node, where this crate knows them
}

impl Graph {
    /// Node 0 is an image of this shape with pixels in [0, 1].
    pub fn new(ctx: &Context, channels: i64, height: i64, width: i64) -> Result<Self> {
        // SAFETY: live handles, and texts and options that outlive the call; as everywhere below.
        let handle = create(|out| unsafe {
            sys::amun_graph_create(out, ctx.ptr(), channels, height, width)
        })?;
        Ok(Self { handle, channels: vec![usize::try_from(channels).ok()] })
    }

    fn ptr(&mut self) -> *mut sys::amun_graph {
        self.handle.ptr()
    }

    fn channels_of(&self, node: Node) -> Option<usize> {
        usize::try_from(node).ok().and_then(|node| self.channels.get(node).copied().flatten())
    }

    fn add_node(
        &mut self,
        channels: Option<usize>,
        call: impl FnOnce(*mut Node, *mut sys::amun_graph) -> sys::amun_status,
    ) -> Result<Node> {
        let mut node = -1;
        check(call(&mut node, self.ptr()))?;
        self.channels.resize(node as usize, None);
        self.channels.push(channels);
        Ok(node)
    }

    /// A convolution; `options.channels` must be set.
    pub fn conv2d(&mut self, src: Node, name: &str, options: &Conv2dOptions) -> Result<Node> {
        let (name, mut kept) = (c_text(name)?, Kept::new());
        let raw = options.raw(&mut kept)?;
        self.add_node(usize::try_from(options.channels).ok(), |node, graph| unsafe {
            sys::amun_graph_conv2d(node, graph, src, name.as_ptr(), raw)
        })
    }

    /// A dense layer over a flat input.
    pub fn linear(&mut self, src: Node, name: &str, features: i64, bias: bool) -> Result<Node> {
        let name = c_text(name)?;
        self.add_node(usize::try_from(features).ok(), |node, graph| unsafe {
            sys::amun_graph_linear(node, graph, src, name.as_ptr(), features, bias.into())
        })
    }

    /// Batch normalisation; 0 means the default of `eps` and `momentum`.
    pub fn batchnorm(&mut self, src: Node, name: &str, eps: f64, momentum: f64) -> Result<Node> {
        let name = c_text(name)?;
        self.add_node(self.channels_of(src), |node, graph| unsafe {
            sys::amun_graph_batchnorm(node, graph, src, name.as_ptr(), eps, momentum)
        })
    }

    /// max(x, 0)
    pub fn relu(&mut self, src: Node) -> Result<Node> {
        self.add_node(self.channels_of(src), |node, graph| unsafe {
            sys::amun_graph_relu(node, graph, src)
        })
    }

    /// The sum of two nodes of one shape.
    pub fn add(&mut self, a: Node, b: Node) -> Result<Node> {
        self.add_node(self.channels_of(a), |node, graph| unsafe {
            sys::amun_graph_add(node, graph, a, b)
        })
    }

    /// Multiplication by a constant.
    pub fn scale(&mut self, src: Node, factor: f64) -> Result<Node> {
        self.add_node(self.channels_of(src), |node, graph| unsafe {
            sys::amun_graph_scale(node, graph, src, factor)
        })
    }

    /// The maximum of each window.
    pub fn max_pool(&mut self, src: Node, options: &PoolOptions) -> Result<Node> {
        let mut kept = Kept::new();
        let raw = options.raw(&mut kept)?;
        self.add_node(self.channels_of(src), |node, graph| unsafe {
            sys::amun_graph_max_pool(node, graph, src, raw)
        })
    }

    /// The average of each window.
    pub fn avg_pool(&mut self, src: Node, options: &PoolOptions) -> Result<Node> {
        let mut kept = Kept::new();
        let raw = options.raw(&mut kept)?;
        self.add_node(self.channels_of(src), |node, graph| unsafe {
            sys::amun_graph_avg_pool(node, graph, src, raw)
        })
    }

    /// The mean over height and width.
    pub fn global_pool(&mut self, src: Node) -> Result<Node> {
        self.add_node(self.channels_of(src), |node, graph| unsafe {
            sys::amun_graph_global_pool(node, graph, src)
        })
    }

    /// [C, H, W] to [C * H * W, 1, 1]
    pub fn flatten(&mut self, src: Node) -> Result<Node> {
        self.add_node(None, |node, graph| unsafe { sys::amun_graph_flatten(node, graph, src) })
    }

    /// Concatenation along channels.
    pub fn concat(&mut self, srcs: &[Node]) -> Result<Node> {
        let channels = srcs.iter().map(|src| self.channels_of(*src)).sum();
        let count = srcs.len().try_into().unwrap_or(i32::MAX);
        self.add_node(channels, |node, graph| unsafe {
            sys::amun_graph_concat(node, graph, srcs.as_ptr(), count)
        })
    }

    /// (x - mean) / std per channel. Not of a flattened node, whose channels are not counted here.
    pub fn normalise(&mut self, src: Node, mean: &[f64], std: &[f64]) -> Result<Node> {
        let channels = self.channels_of(src);
        let Some(count) = channels else {
            return Err(Error::InvalidArgument(format!("src: the channels of {src} are unknown")));
        };
        expect_length("mean", mean.len(), count)?;
        expect_length("std", std.len(), count)?;
        self.add_node(channels, |node, graph| unsafe {
            sys::amun_graph_normalise(node, graph, src, mean.as_ptr(), std.as_ptr())
        })
    }
}

handle! {
    /// A network with its weights. Any number of calls that read it at once, or one that changes it;
    /// where the borrow checker cannot see a conflict (a clipper, an ensemble), a call gives
    /// [`Error::Busy`].
    pub Model, amun_model, amun_model_unref
}

// SAFETY: calls with a shared reference are const in C, which may run at once; a conflict with a
// writer is an error there.
unsafe impl Sync for Model {}

impl Model {
    /// A named architecture with fresh weights.
    pub fn create(ctx: &Context, arch: &str, options: &ModelOptions) -> Result<Self> {
        let (arch, mut kept) = (c_text(arch)?, Kept::new());
        let options = options.raw(&mut kept)?;
        create(|out| unsafe { sys::amun_model_create(out, ctx.ptr(), arch.as_ptr(), options) })
    }

    /// A model of a graph, which takes no more nodes from then on.
    pub fn from_graph(ctx: &Context, graph: &mut Graph, seed: u64) -> Result<Self> {
        create(|out| unsafe { sys::amun_model_create_graph(out, ctx.ptr(), graph.ptr(), seed) })
    }

    /// Reads a file that names its architecture.
    pub fn load(ctx: &Context, path: impl AsRef<Path>) -> Result<Self> {
        let path = c_path(path)?;
        create(|out| unsafe { sys::amun_model_load(out, ctx.ptr(), path.as_ptr()) })
    }

    /// Another model of the same graph, with a copy of the weights.
    pub fn try_clone(&self) -> Result<Self> {
        create(|out| unsafe { sys::amun_model_clone(out, self.ptr()) })
    }

    /// Draws fresh weights.
    pub fn reset(&mut self, seed: u64) -> Result<()> {
        check(unsafe { sys::amun_model_reset(self.ptr(), seed) })
    }

    /// Reads weights into this model.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = c_path(path)?;
        check(unsafe { sys::amun_model_load_weights(self.ptr(), path.as_ptr()) })
    }

    /// Writes the weights as safetensors, atomically.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = c_path(path)?;
        check(unsafe { sys::amun_model_save(self.ptr(), path.as_ptr()) })
    }

    /// "custom" for graphs of one's own.
    pub fn arch(&self) -> &str {
        // SAFETY: a text that lives as long as the model.
        unsafe { CStr::from_ptr(sys::amun_model_arch(self.ptr())) }.to_str().unwrap_or("")
    }

    /// Number of logits.
    pub fn classes(&self) -> i64 {
        unsafe { sys::amun_model_classes(self.ptr()) }
    }

    /// Channels, height, width of the input.
    pub fn shape(&self) -> Result<[i64; 3]> {
        let mut shape = [0; 3];
        check(unsafe { sys::amun_model_shape(self.ptr(), shape.as_mut_ptr()) })?;
        Ok(shape)
    }

    /// Number of trainable scalars.
    pub fn parameters(&self) -> usize {
        unsafe { sys::amun_model_parameters(self.ptr()) }
    }

    /// Copies the tensor of a PyTorch name ("fc.weight"), whose number of values must be that of
    /// `values`.
    pub fn get_tensor(&self, name: &str, values: &mut [f32]) -> Result<()> {
        let name = c_text(name)?;
        check(unsafe {
            sys::amun_model_get_tensor(self.ptr(), name.as_ptr(), values.as_mut_ptr(), values.len())
        })
    }

    /// The same into the model.
    pub fn set_tensor(&mut self, name: &str, values: &[f32]) -> Result<()> {
        let name = c_text(name)?;
        check(unsafe {
            sys::amun_model_set_tensor(self.ptr(), name.as_ptr(), values.as_ptr(), values.len())
        })
    }

    /// Logits [n, classes] of images [n, C, H, W].
    pub fn predict(&self, images: &TensorView, call: Call) -> Result<Vec<f32>> {
        predict_into(images, self.classes(), |logits| {
            call.with(|call| unsafe {
                sys::amun_model_predict(self.ptr(), &images.raw, logits, call)
            })
        })
    }

    /// Accuracy in percent and mean cross-entropy, on `indices` of `data` or all of it.
    pub fn evaluate(&self, data: &Dataset, list: Option<&[i64]>, call: Call) -> Result<(f64, f64)> {
        let (mut accuracy, mut loss, (list, count)) = (f64::NAN, f64::NAN, indices(list));
        call.run(|call| unsafe {
            let (model, data) = (self.ptr(), data.ptr());
            sys::amun_model_evaluate(&mut accuracy, &mut loss, model, data, list, count, call)
        })?;
        Ok((accuracy, loss))
    }

    /// Bytes that one compiled plan for `batch` images needs.
    pub fn estimate_memory(&self, batch: i64, mode: Mode) -> Result<u64> {
        let mut bytes = 0;
        check(unsafe { sys::amun_model_estimate_memory(self.ptr(), batch, mode.0, &mut bytes) })?;
        Ok(bytes)
    }

    /// Trains on `indices` of `data`, or all of it. Cancelled, the model keeps the weights of the
    /// last finished step.
    pub fn train(
        &mut self,
        data: &Dataset,
        list: Option<&[i64]>,
        options: &TrainOptions,
        call: Call,
    ) -> Result<TrainResult> {
        let ((list, count), mut kept) = (indices(list), Kept::new());
        let (options, mut result) = (options.raw(&mut kept)?, TrainResult::empty());
        call.run(|call| unsafe {
            let (model, data) = (self.ptr(), data.ptr());
            sys::amun_train_run(&mut result, model, data, list, count, options, call)
        })?;
        Ok(TrainResult::from_raw(&result))
    }

    /// Forgets `forget`, indices into `train`. AMUN wants the adversarial set of exactly these, the
    /// other methods None. Cancelled or failed, the model is as before.
    pub fn unlearn(
        &mut self,
        train: &Dataset,
        forget: &[i64],
        set: Option<&AdvSet>,
        options: &UnlearnOptions,
        call: Call,
    ) -> Result<UnlearnResult> {
        let mut kept = Kept::new();
        let (options, mut result) = (options.raw(&mut kept)?, UnlearnResult::empty());
        let set = set.map_or(null(), |set| set.ptr().cast_const());
        call.run(|call| unsafe {
            let (model, data, (list, count)) = (self.ptr(), train.ptr(), indices(Some(forget)));
            sys::amun_unlearn_run(&mut result, model, data, list, count, set, options, call)
        })?;
        Ok(UnlearnResult::from_raw(&result))
    }
}

/// What a model and an ensemble share: an output of the right size.
pub(crate) fn predict_into(
    images: &TensorView,
    classes: i64,
    run: impl FnOnce(*const sys::amun_tensor_view) -> sys::amun_status,
) -> Result<Vec<f32>> {
    let (rows, classes) = (images.rows(), classes as usize);
    let mut logits = vec![0.0; rows * classes];
    let out = output(&mut logits, &[rows, classes])?;
    check(run(&out))?;
    Ok(logits)
}

impl TrainOptions {
    /// The training options of a method of unlearning.
    pub fn of_method(method: UnlearnMethod) -> Result<Self> {
        let mut raw = base::defaults(sys::amun_train_options_init);
        let size = std::mem::size_of_val(&raw);
        check(unsafe { sys::amun_unlearn_train_options_init(&mut raw, size, method.0) })?;
        Ok(Self::from_raw(&raw))
    }
}

impl Model {
    /// A reference more, for what hands out models.
    pub(crate) unsafe fn share(raw: *mut sys::amun_model) -> Option<Self> {
        // SAFETY: NULL or a live handle, by the caller.
        unsafe { Self::own(sys::amun_model_ref(raw)) }
    }
}
