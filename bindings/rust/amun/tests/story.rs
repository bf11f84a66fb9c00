//! The main job on the digits at a size that a test can afford, and the example.
mod common;
use amun::*;
use common::*;
use std::process::Command;

const TRAIN: usize = 200;
const TEST: usize = 150;
const FORGET: usize = 20;

#[test]
fn trained_forgotten_audited() {
    let ctx = context();
    let [images, labels] = digits();
    let digits = Dataset::open_idx(&ctx, &images, Some(&labels)).unwrap();
    let order = forget_indices(digits.len(), digits.len(), 0).unwrap();
    let (train, test) = (
        digits.subset(&order[..TRAIN]).unwrap(),
        digits.subset(&order[TRAIN..TRAIN + TEST]).unwrap(),
    );
    let forget = forget_indices(FORGET, train.len(), 1).unwrap();
    let how = TrainOptions {
        epochs: 12,
        batch: 16,
        lr: 0.02,
        weight_decay: 0.0,
        schedule: Schedule::COSINE,
        augment_pad: 0,
        augment_flip: 0,
        ..Default::default()
    };
    let shape = ModelOptions { channels: 1, height: 8, width: 8, ..Default::default() };
    let mut model = Model::create(&ctx, "digits", &shape).unwrap();
    let trained = model.train(&train, None, &how, Call::silent()).unwrap();
    assert_eq!((trained.epochs, trained.samples), (12, 12 * TRAIN as i64));

    let mut search = Attack::search(&ctx, &SearchOptions::default()).unwrap();
    let set = AdvSet::build(&mut search, &model, &train, &forget, Call::silent()).unwrap();
    assert_eq!((set.len(), set.found()), (FORGET, FORGET));
    for (i, record) in set.records().iter().enumerate() {
        assert_eq!(record.index, forget[i]);
        assert_eq!(record.outcome, AttackOutcome::FLIPPED);
        // its distance, from the images themselves
        let clean = train.read(record.index as usize, 1).unwrap();
        let moved = clean.iter().zip(set.image(i).unwrap()).map(|(a, b)| f64::from(a - b).powi(2));
        assert!((moved.sum::<f64>().sqrt() - record.l2).abs() < 1e-5);
    }

    let mut forgetful = model.try_clone().unwrap();
    let method = UnlearnMethod::AMUN;
    let tune = TrainOptions {
        batch: 16,
        augment_pad: 0,
        augment_flip: 0,
        ..TrainOptions::of_method(method).unwrap()
    };
    assert_eq!((tune.epochs, tune.lr), (10, 0.01)); // as the header says
    let tune = TrainOptions { epochs: 5, lr: 0.05, ..tune };
    let request = UnlearnOptions { method, train: Some(tune), ..Default::default() };
    let done = forgetful.unlearn(&train, &forget, Some(&set), &request, Call::silent()).unwrap();
    assert_eq!((done.forget, done.adversarial, done.failed), (FORGET as i64, FORGET as i64, 0));
    assert_eq!(done.remain, (TRAIN - FORGET) as i64);

    let loss = |model: &Model| model.evaluate(&train, Some(&forget), Call::silent()).unwrap().1;
    let (before, after) = (loss(&model), loss(&forgetful));
    assert!(after > 2.0 * before, "loss of the forgotten samples: {after}, was {before}");

    let references = 4;
    let options = MiaOptions { references, ..Default::default() };
    let mut mia = Mia::new(&ctx, &train, &test, &options).unwrap();
    let inclusion = mia.inclusion();
    let pool = TRAIN + TEST;
    assert_eq!(inclusion.len(), 4 * pool);
    for image in 0..pool {
        assert_eq!((0..4).map(|row| inclusion[row * pool + image]).sum::<u8>(), 2);
    }
    mia.train_references(&model, &how, None, Call::silent()).unwrap();
    let original = mia.audit(&model, &forget, Call::silent()).unwrap();
    let unlearned = mia.audit(&forgetful, &forget, Call::silent()).unwrap();
    assert_eq!(original.references, 4);
    let accuracy = |list: &[i64]| model.evaluate(&train, Some(list), Call::silent()).unwrap().0;
    assert!((original.ua - accuracy(&forget)).abs() < 1e-9);
    assert!(original.ft_auc > unlearned.ft_auc, "{original:?} {unlearned:?}");
    assert!(unlearned.ta > 85.0);

    let mut report = Report::new(&ctx, "digits", model.arch(), FORGET, references).unwrap();
    report.add("original", 1, &original, trained.seconds).unwrap();
    report.add("amun", 1, &unlearned, done.seconds).unwrap();
    report.add_provenance("note", "{\"made\": \"here\"}").unwrap();
    let (mean, _, seconds) = report.get("amun").unwrap();
    assert_eq!((mean.ua, mean.ft_auc, seconds), (unlearned.ua, unlearned.ft_auc, done.seconds));
    let table = report.table().unwrap();
    assert!(table.contains("original") && table.contains("FT-AUC"), "{table}");
    let file = scratch("report.json");
    report.write(&file).unwrap();
    assert!(std::fs::read_to_string(file).unwrap().contains("\"amun.report/1\""));
}

/// Cargo builds the example beside the tests. It runs as its users would run it, made short.
#[test]
fn the_example() {
    let here = std::env::current_exe().unwrap();
    let program = here.ancestors().nth(2).unwrap().join("examples/forget");
    let output =
        Command::new(&program).args(digits()).args(["3", "2"]).output().expect("the example");
    let (text, errors) = (String::from_utf8(output.stdout).unwrap(), output.stderr);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&errors));
    assert_eq!(String::from_utf8_lossy(&errors), "");
    for method in ["original", "amun"] {
        let row = text.lines().find(|line| line.starts_with(method)).expect(&text);
        let test_accuracy: f64 = row.split_whitespace().nth(3).unwrap().parse().unwrap();
        assert!((60.0..=100.0).contains(&test_accuracy), "{row}");
    }
    let source = include_str!("../examples/forget.rs");
    assert!(source.lines().count() < 40);
}
