//! Choosing, checking, certificates: on blobs, whose one dense layer can be computed by hand.
mod common;
use amun::*;
use common::*;

fn trained(ctx: &Context, data: &Dataset) -> Model {
    let mut model = linear(ctx);
    model.train(data, None, &TrainOptions { epochs: 3, ..recipe() }, Call::silent()).unwrap();
    model
}

#[test]
fn checks_of_forgetting() {
    // 3 of 4 pairs in the right order: 75 %
    let check = forget_check_scores(&[2.0, 4.0], &[1.0, 3.0], 0.95).unwrap();
    assert!((check.auc - 75.0).abs() < 1e-9 && check.low < check.auc && check.auc < check.high);
    let known: Vec<f64> = (0..40).map(f64::from).collect();
    let unseen: Vec<f64> = known.iter().map(|score| score - 30.0).collect();
    let verdict = |a: &[f64], b: &[f64]| forget_check_scores(a, b, 0.95).unwrap().verdict;
    assert_eq!(verdict(&known, &unseen), Verdict::UNDER);
    assert_eq!(verdict(&unseen, &known), Verdict::OVER);
    assert_eq!(verdict(&known, &known), Verdict::CONSISTENT);
    assert!(matches!(
        forget_check_scores(&[1.0], &[1.0, 2.0], 0.95),
        Err(Error::InvalidArgument(_))
    ));

    let ctx = context();
    let data = blob_set(&ctx, 60);
    let (train, unseen) = (
        data.subset(&(0..30).collect::<Vec<_>>()).unwrap(),
        data.subset(&(30..60).collect::<Vec<_>>()).unwrap(),
    );
    let model = trained(&ctx, &train);
    let forget: Vec<i64> = (0..10).collect();
    let check = forget_check(&model, &train, &forget, &unseen, None, 0.95, Call::silent()).unwrap();
    assert!((0.0..=100.0).contains(&check.auc));
    let options = RelearnOptions { most_epochs: 2, ..Default::default() };
    let again = relearn_time(&model, &train, &forget, 1.0, &options, Call::silent()).unwrap();
    assert_eq!((again.steps, again.before), (0, 100.0)); // it never forgot
}

#[test]
fn rates_are_chosen() {
    let ctx = context();
    let data = blob_set(&ctx, 60);
    let (train, heldout) = (
        data.subset(&(0..30).collect::<Vec<_>>()).unwrap(),
        data.subset(&(30..60).collect::<Vec<_>>()).unwrap(),
    );
    let model = trained(&ctx, &train);
    let before = weights(&model);
    let unlearn = UnlearnOptions {
        method: UnlearnMethod::FINETUNE,
        train: Some(TrainOptions { epochs: 1, ..recipe() }),
        ..Default::default()
    };
    let request = Request { train: &train, forget: &[0, 4], set: None, unlearn: &unlearn };
    let (options, rates) = (SelectOptions::default(), [0.001, 0.1]);
    let got = select_rate(&model, &request, &heldout, &rates, &options, Call::silent()).unwrap();
    assert_eq!(got.trials.iter().map(|trial| trial.lr).collect::<Vec<_>>(), rates);
    assert!(got.best < 2 && got.trials[got.best].failed == 0);
    assert_eq!(weights(&model), before);
    // the model that comes with it is what that rate gives
    let mut by_hand = model.try_clone().unwrap();
    let how = TrainOptions { lr: rates[got.best], ..unlearn.train.clone().unwrap() };
    let again = UnlearnOptions { train: Some(how), ..unlearn.clone() };
    by_hand.unlearn(&train, &[0, 4], None, &again, Call::silent()).unwrap();
    assert_eq!(weights(&by_hand), weights(&got.model));

    // a class, by TRW
    let forget: Vec<i64> = (0..30).filter(|i| i % 3 == 0).collect();
    let how = TrainOptions { epochs: 1, ..recipe() };
    let unlearn =
        UnlearnOptions { method: UnlearnMethod::TRW, train: Some(how), ..Default::default() };
    let request = Request { train: &train, forget: &forget, set: None, unlearn: &unlearn };
    let options = TrwSelectOptions { share: 0.5, tolerance: 100.0, ..Default::default() };
    let tilt = trw_select_beta(&model, &request, &[0.0, 2.0], &options, Call::silent()).unwrap();
    assert_eq!((tilt.beta, tilt.heldout.len()), (2.0, 2)); // all is tolerated: the largest
}

#[test]
fn certificates_hold() {
    let ctx = context();
    let data = blob_set(&ctx, 12);
    let model = trained(&ctx, &data);
    let mut spectrum = Spectrum::new(&model, &SpectrumOptions::default()).unwrap();
    spectrum.run(0, Call::silent()).unwrap();
    let bound = spectrum.lipschitz().unwrap().upper;

    let (images, labels) = blobs(12);
    let view = TensorView::new(&images, &[12, 1, 4, 4]).unwrap();
    let logits = model.predict(&view, Call::silent()).unwrap();
    let mut one = Ensemble::new(&ctx, &[&model]).unwrap();
    let (summary, radii) = certify(&mut one, &[bound], 0.1, &data, None, Call::silent()).unwrap();
    for (row, radius) in radii.iter().enumerate() {
        let row_of = &logits[CLASSES * row..CLASSES * (row + 1)];
        let own = row_of[labels[row] as usize];
        let others = (0..CLASSES).filter(|class| *class != labels[row] as usize);
        let best = others.map(|class| row_of[class]).fold(f32::MIN, f32::max);
        let want = f64::from((own - best).max(0.0)) / (2f64.sqrt() * bound);
        assert!((radius - want).abs() < 1e-4 * (1.0 + want), "{row}: {radius}, not {want}");
    }
    let over = radii.iter().filter(|radius| **radius >= 0.1).count();
    assert_eq!((summary.samples, summary.certified), (12, over as i64));
    assert!(matches!(
        certify(&mut one, &[bound, bound], 0.1, &data, None, Call::silent()),
        Err(Error::Shape(_))
    ));

    let other = linear(&ctx);
    let models = [&model, &other];
    let gap =
        transfer_bound(models, [bound, bound], 0.1, None, &data, None, Call::silent()).unwrap();
    let risk = |model: &Model| model.evaluate(&data, None, Call::silent()).unwrap().1;
    let clean = [risk(&model), risk(&other)];
    assert!((0..2).all(|i| (gap.clean[i] - clean[i]).abs() < 1e-6));
    let want = (clean[0] - clean[1]).abs() + 2.0 * 2f64.sqrt() * bound * 0.1;
    assert!((gap.bound - want).abs() < 1e-6 * want);

    let mut search = Attack::search(&ctx, &SearchOptions::default()).unwrap();
    let set = AdvSet::build(&mut search, &model, &data, &[0, 4], Call::silent()).unwrap();
    let models = (&model, &model, Some(&other));
    let terms = unlearn_diagnose(models, &data, &set, bound, 1.0, Call::silent()).unwrap();
    let mean = set.records().iter().map(|record| record.l2).sum::<f64>() / 2.0;
    assert!(terms.samples == 2 && (terms.delta - mean).abs() < 1e-6);
    assert_eq!(terms.before, terms.after); // the unlearned model is the original
}
