//! Errors, options, progress: what goes in and what comes back.
mod common;
use amun::*;
use common::*;
use std::ops::ControlFlow::{Break, Continue};
use std::panic::{catch_unwind, panic_any, AssertUnwindSafe};
use std::time::Duration;

/// Reports on every step.
fn at_once<'a>(function: impl FnMut(&Progress) -> std::ops::ControlFlow<()> + 'a) -> Call<'a> {
    Call::progress(function).every(Duration::ZERO)
}

#[test]
fn errors_have_status_and_message() {
    let ctx = context();
    let error = Model::create(&ctx, "resnet1000", &ModelOptions::default()).unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error:?}");
    assert_eq!(error.status(), sys::AMUN_ERROR_NOT_FOUND);
    assert!(error.message().contains("resnet1000") && error.to_string() == error.message());

    let steps = PgdOptions { steps: -7, ..PgdOptions::linf() };
    let error = Attack::pgd_linf(&ctx, &steps).unwrap_err();
    assert!(matches!(&error, Error::InvalidArgument(text) if text.contains("-7")), "{error:?}");

    let error = Dataset::open_npy(&ctx, "not/there.npy", None).unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error:?}");
    let error = Model::create(&ctx, "a\0b", &ModelOptions::default()).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument(_)), "{error:?}");

    let small =
        Context::new(&ContextOptions { memory_limit: 10_000, ..Default::default() }).unwrap();
    let error = Model::create(&small, "resnet20", &ModelOptions::default()).unwrap_err();
    assert!(matches!(error, Error::OutOfMemory(_)), "{error:?}");

    let precision = Precision(3);
    let error = Context::new(&ContextOptions { precision, ..Default::default() }).unwrap_err();
    assert!(matches!(&error, Error::InvalidArgument(text) if text.contains("precision")), "{error:?}");
}

/// The numbers are those of the headers, by way of the library.
#[test]
fn defaults_are_the_librarys() {
    let train = TrainOptions::default();
    assert_eq!((train.epochs, train.batch, train.lr), (200, 128, 0.1));
    assert_eq!((train.schedule, train.optimiser), (Schedule::STEP, Optimiser::SGD));
    assert!(train.checkpoint.is_none() && train.clip.is_none());
    assert_eq!((PgdOptions::linf().eps, PgdOptions::linf().steps), (8.0 / 255.0, 10));
    assert_ne!(PgdOptions::l2().eps, PgdOptions::linf().eps);
    assert_eq!(UnlearnOptions::default().method, UnlearnMethod::AMUN);
    assert_eq!(format!("{:?} {:?}", Norm::LINF, Norm(77)), "LINF Norm(77)");
}

/// Nested options and texts arrive: each of these is refused for what stands inside.
#[test]
fn nested_options_arrive() {
    let ctx = context();
    let (data, mut model) = (blob_set(&ctx, 12), linear(&ctx));
    let clip = ClipOptions { target: -5.5, ..Default::default() };
    let how = TrainOptions { clip: Some(clip), ..recipe() };
    let error = model.train(&data, None, &how, Call::silent()).unwrap_err();
    assert!(error.message().contains("-5.5"), "{error}");

    let how = TrainOptions { batch: -3, ..recipe() };
    let request =
        UnlearnOptions { method: UnlearnMethod::FINETUNE, train: Some(how), ..Default::default() };
    let error = model.unlearn(&data, &[1], None, &request, Call::silent()).unwrap_err();
    assert!(error.message().contains("-3"), "{error}");

    let checkpoint = scratch("no/such/folder/checkpoint").to_str().unwrap().to_string();
    let how = TrainOptions { checkpoint: Some(checkpoint), ..recipe() };
    let error = model.train(&data, None, &how, Call::silent()).unwrap_err();
    assert!(error.message().contains("no/such/folder"), "{error}");

    let pair = |layer: &str| LayerPair {
        layer_a: "fc".into(),
        layer_b: layer.into(),
        model_a: 0,
        model_b: 1,
    };
    let lotos = LotosOptions {
        match_: LotosMatch::PAIRS,
        pairs: vec![pair("fc"), pair("nothing")],
        ..Default::default()
    };
    let options =
        EnsembleTrainOptions { lotos: Some(lotos), train: Some(recipe()), ..Default::default() };
    let other = linear(&ctx);
    let mut both = Ensemble::new(&ctx, &[&model, &other]).unwrap();
    let error = both.train(&data, None, &options, Call::silent()).unwrap_err();
    assert!(error.message().contains("nothing"), "{error}");
}

#[test]
fn outputs_have_the_right_size() {
    let ctx = context();
    let (images, labels) = blobs(12);
    let (data, mut model) = (blob_set(&ctx, 12), linear(&ctx));
    let view = TensorView::new(&images, &[12, 1, 4, 4]).unwrap();
    let truth = TensorView::new(&labels, &[12]).unwrap();
    model.train(&data, None, &recipe(), Call::silent()).unwrap();

    // a dense layer by hand
    let (weight, mut bias) = (weights(&model), [0.0; CLASSES]);
    model.get_tensor("fc.bias", &mut bias).unwrap();
    let logits = model.predict(&view, Call::silent()).unwrap();
    for (i, logit) in logits.iter().enumerate() {
        let (row, class) = (i / CLASSES, i % CLASSES);
        let pixels = images[16 * row..].iter().zip(&weight[16 * class..16 * class + 16]);
        let want = bias[class] + pixels.map(|(x, w)| x * w).sum::<f32>();
        assert!((logit - want).abs() < 1e-4, "{i}: {logit}, not {want}");
    }

    let mut attack =
        Attack::pgd_linf(&ctx, &PgdOptions { eps: 0.3, ..PgdOptions::linf() }).unwrap();
    let (attacked, records) = attack.run(&model, &view, &truth, None, Call::silent()).unwrap();
    assert_eq!((attacked.len(), records.len()), (images.len(), 12));
    for (row, record) in records.iter().enumerate() {
        let pair = attacked[16 * row..16 * row + 16].iter().zip(&images[16 * row..]);
        let linf = pair.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!((f64::from(linf) - record.linf).abs() < 1e-6 && linf <= 0.3 + 1e-6);
        assert_eq!((record.index, i64::from(record.label)), (row as i64, labels[row]));
    }
    let error = attack.run(&model, &view, &truth, Some(&[1, 2]), Call::silent()).unwrap_err();
    assert!(matches!(error, Error::Shape(_)), "{error:?}");

    let mut ensemble = Ensemble::new(&ctx, &[&model]).unwrap();
    assert_eq!(ensemble.predict(&view, Call::silent()).unwrap(), logits);

    TensorView::new(&images, &[13, 1, 4, 4]).unwrap_err();
    TensorView::new::<f32>(&[], &[usize::MAX, usize::MAX]).unwrap_err();
    let nothing = TensorView::new::<f32>(&[], &[5, 0, 4, 4]).unwrap();
    model.predict(&nothing, Call::silent()).unwrap_err();
    data.read(11, 2).unwrap_err();
    data.labels(usize::MAX, 2).unwrap_err();
    forget_indices(usize::MAX, 5, 1).unwrap_err();
}

#[test]
fn normalise_wants_a_value_per_channel() {
    let ctx = context();
    let mut graph = Graph::new(&ctx, 3, 4, 4).unwrap();
    let error = graph.normalise(0, &[0.5], &[0.5]).unwrap_err();
    assert!(matches!(error, Error::Shape(_)), "{error:?}");
    graph.normalise(99, &[0.5], &[0.5]).unwrap_err();
    graph.normalise(-1, &[0.5], &[0.5]).unwrap_err();
    let node = graph.normalise(0, &[0.5; 3], &[0.25; 3]).unwrap();
    let options = Conv2dOptions { channels: 5, ..Default::default() };
    let conv = graph.conv2d(node, "conv", &options).unwrap();
    let relu = graph.relu(conv).unwrap();
    let both = graph.concat(&[conv, relu]).unwrap();
    graph.normalise(both, &[0.5; 5], &[0.25; 5]).unwrap_err();
    graph.normalise(both, &[0.5; 10], &[0.25; 10]).unwrap();
}

#[test]
fn progress_tells_how_far_it_is() {
    let ctx = context();
    let (data, mut model) = (blob_set(&ctx, 30), linear(&ctx));
    let mut seen = Vec::new();
    let call = at_once(|progress| {
        assert_eq!(progress.phase, "train");
        // what only reads may be called from here
        assert_eq!(data.len(), 30);
        assert!(matches!(data.subset(&[30]), Err(Error::InvalidArgument(_))));
        seen.push((progress.step, progress.total));
        Continue(())
    });
    model.train(&data, None, &recipe(), call).unwrap();
    assert!(seen.windows(2).all(|pair| pair[0].0 <= pair[1].0));
    assert_eq!(seen.last(), Some(&(16, 16))); // 8 epochs of two batches
}

#[test]
fn cancel_leaves_the_model_as_documented() {
    let ctx = context();
    let (data, mut model) = (blob_set(&ctx, 30), linear(&ctx));
    let fresh = weights(&model);
    let stop = || at_once(|progress| if progress.step < 4 { Continue(()) } else { Break(()) });

    // training: the weights of the last finished step, here the end of the second epoch
    let error = model.train(&data, None, &recipe(), stop()).unwrap_err();
    assert!(matches!(error, Error::Cancelled(_)), "{error:?}");
    let stopped = weights(&model);
    assert_ne!(stopped, fresh);
    let mut other = linear(&ctx);
    other.train(&data, None, &TrainOptions { epochs: 2, ..recipe() }, Call::silent()).unwrap();
    assert_eq!(weights(&other), stopped);

    // unlearning: as before the call, to the bit
    let request = UnlearnOptions {
        method: UnlearnMethod::FINETUNE,
        train: Some(recipe()),
        ..Default::default()
    };
    let error = model.unlearn(&data, &[1, 2], None, &request, stop()).unwrap_err();
    assert!(matches!(error, Error::Cancelled(_)), "{error:?}");
    assert_eq!(weights(&model), stopped);
    model.unlearn(&data, &[1, 2], None, &request, Call::silent()).unwrap();
    assert_ne!(weights(&model), stopped);
}

#[derive(Debug, PartialEq)]
struct Payload(Vec<i32>);

/// The payload of a panic in `call`.
fn caught<T>(call: impl FnOnce() -> T) -> Payload {
    let payload = catch_unwind(AssertUnwindSafe(call)).err().expect("a panic");
    *payload.downcast::<Payload>().expect("the payload that was thrown")
}

#[test]
fn a_panic_goes_through_unharmed() {
    let ctx = context();
    let (data, mut model) = (blob_set(&ctx, 30), linear(&ctx));
    model.train(&data, None, &recipe(), Call::silent()).unwrap();
    let before = weights(&model);
    let request = UnlearnOptions {
        method: UnlearnMethod::FINETUNE,
        train: Some(recipe()),
        ..Default::default()
    };
    let mut calls = 0;
    let panicking = at_once(|progress| {
        calls += 1;
        if progress.step == 3 {
            panic_any(Payload(vec![1, 2, 3]));
        }
        Continue(())
    });
    let payload = caught(|| model.unlearn(&data, &[1, 2], None, &request, panicking));
    assert_eq!(payload, Payload(vec![1, 2, 3]));
    assert!(calls <= 5, "called {calls} times, after its panic too");
    assert_eq!(weights(&model), before); // as for a cancelled call
                                         // nothing is left over
    model.evaluate(&data, None, Call::silent()).unwrap();

    // and nothing stays behind: what the model keeps for its next call is there after the first
    let mut attack = Attack::search(&ctx, &SearchOptions::default()).unwrap();
    let mut blocks = || {
        let panicking = at_once(|_| panic_any(Payload(vec![4])));
        caught(|| AdvSet::build(&mut attack, &model, &data, &[0, 1], panicking));
        ctx.memory().unwrap().blocks
    };
    let first = blocks();
    for _ in 0..20 {
        assert_eq!(blocks(), first);
    }
}

#[test]
fn the_rest_of_the_room() {
    let ctx = context();
    let (data, mut model) = (blob_set(&ctx, 30), linear(&ctx));
    model.train(&data, None, &recipe(), Call::silent()).unwrap();

    // one dense layer: its norm is the network's, from above, from below, and by power iteration
    let mut spectrum = Spectrum::new(&model, &SpectrumOptions::default()).unwrap();
    assert!(matches!(spectrum.values(0), Err(Error::State(_) | Error::InvalidArgument(_))));
    spectrum.run(0, Call::silent()).unwrap();
    let sigma = spectrum.values(0).unwrap().0[0];
    let (weight, mut v) = (weights(&model), vec![1.0f64; 16]);
    let mut norm = 0.0;
    for _ in 0..500 {
        let rows =
            (0..CLASSES).map(|c| (0..16).map(|i| f64::from(weight[16 * c + i]) * v[i]).sum());
        let rows: Vec<f64> = rows.collect();
        let next =
            (0..16).map(|i| (0..CLASSES).map(|c| f64::from(weight[16 * c + i]) * rows[c]).sum());
        let next: Vec<f64> = next.collect();
        let length = next.iter().map(|x| x * x).sum::<f64>().sqrt();
        norm = length.sqrt();
        v = next.iter().map(|x| x / length).collect();
    }
    let bound = spectrum.lipschitz().unwrap().upper;
    let local = lipschitz_local(&model, &data, Some(&[0, 1]), Call::silent()).unwrap();
    for value in [sigma, bound, local] {
        assert!((value / norm - 1.0).abs() < 1e-3, "{value}, not {norm}");
    }
    assert_eq!(spectrum.vector(0, 0).unwrap().len(), 16);

    let target = 0.5 * norm;
    let mut clipper =
        Clipper::new(&mut model, &ClipOptions { target, ..Default::default() }).unwrap();
    let clipped = clipper.run(Call::silent()).unwrap();
    assert_eq!((clipped.layers, clipped.changed), (1, 1));
    spectrum.run(0, Call::silent()).unwrap();
    assert!(spectrum.values(0).unwrap().0[0] <= target * (1.0 + 1e-6));

    let other = linear(&ctx);
    let mut attack = Attack::fgsm(&ctx, &FgsmOptions::default()).unwrap();
    let rates = transfer(&[&model, &other], &mut attack, &data, None, Call::silent()).unwrap();
    assert_eq!((rates.rates.len(), rates.eligible.len(), rates.summary.samples), (4, 4, 30));

    let folder = scratch("ensemble");
    let mut pair = Ensemble::new(&ctx, &[&model, &other]).unwrap();
    let error = pair.save(&folder).err(); // a graph of one's own has no name to load it by
    assert!(error.is_none() || matches!(error, Some(Error::Unsupported(_))), "{error:?}");

    assert_eq!(auc(&[3.0, 2.0], &[1.0, 2.0]).unwrap(), 0.875);
    assert_eq!(tpr_at_fpr(&[3.0, 2.0], &[1.0, 2.5], 0.0).unwrap(), 0.5);
    assert!(matches!(auc(&[], &[1.0]), Err(Error::InvalidArgument(_))));
    rmia_scores(&[0.5; 4], &[0.5; 7], None, None, &RmiaOptions::default()).unwrap_err();
    let same = rmia_scores(&[0.5; 4], &[0.5; 8], None, None, &RmiaOptions::default()).unwrap();
    assert_eq!(same, [0.0; 4]); // all ratios are 1, and gamma is 2
}
