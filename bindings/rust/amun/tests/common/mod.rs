//! What the tests share: small data, small models, folders.
#![allow(dead_code)] // each test program uses some of it
use amun::*;
use std::path::{Path, PathBuf};

pub const CLASSES: usize = 3;

/// One thread: the networks are too small for more.
pub fn context() -> Context {
    Context::new(&ContextOptions { threads: 1, ..Default::default() }).unwrap()
}

/// A small generator, for noise.
pub struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 40) as f32 / (1 << 24) as f32
    }
}

/// Images [count, 1, 4, 4] that are easy to tell apart: each class has its own bright pixels.
pub fn blobs(count: usize) -> (Vec<f32>, Vec<i64>) {
    let mut noise = Noise(7);
    let labels: Vec<i64> = (0..count).map(|i| (i % CLASSES) as i64).collect();
    let images = labels.iter().flat_map(|label| (0..16).map(move |pixel| (*label, pixel)));
    let images = images.map(|(label, pixel)| {
        let bright = pixel as usize % CLASSES == label as usize;
        (if bright { 0.7 } else { 0.2 }) + 0.2 * noise.next()
    });
    (images.collect(), labels)
}

pub fn blob_set(ctx: &Context, count: usize) -> Dataset {
    let (images, labels) = blobs(count);
    Dataset::from_images(ctx, images, &[count, 1, 4, 4], Some(&labels), 0).unwrap()
}

/// flatten and one dense layer.
pub fn linear(ctx: &Context) -> Model {
    let mut graph = Graph::new(ctx, 1, 4, 4).unwrap();
    let flat = graph.flatten(0).unwrap();
    graph.linear(flat, "fc", CLASSES as i64, true).unwrap();
    Model::from_graph(ctx, &mut graph, 1).unwrap()
}

pub fn recipe() -> TrainOptions {
    TrainOptions {
        epochs: 8,
        batch: 16,
        lr: 0.5,
        schedule: Schedule::CONSTANT,
        augment_pad: 0,
        augment_flip: 0,
        ..Default::default()
    }
}

pub fn weights(model: &Model) -> Vec<f32> {
    let mut values = vec![0.0; 16 * CLASSES];
    model.get_tensor("fc.weight", &mut values).unwrap();
    values
}

pub fn digits() -> [PathBuf; 2] {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../examples/data");
    ["images", "labels"].map(|part| data.join(format!("digits-{part}.idx")))
}

/// A file for one test.
pub fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}
