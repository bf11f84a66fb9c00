//! Audits of a forgotten class on made-up logits, whose figures can be worked out by hand.
mod common;
use amun::*;
use common::Noise;

const ROWS: usize = 60;
const CLASSES: usize = 3;

/// Logits [ROWS, CLASSES] of a model that knows classes 1 and 2, and sends class 0 to `goal`.
fn logits(seed: u64, goal: usize) -> Vec<f64> {
    let mut noise = Noise(seed);
    let mut list = Vec::new();
    for row in 0..ROWS {
        let class = if row % CLASSES == 0 { goal } else { row % CLASSES };
        list.extend(
            (0..CLASSES).map(|c| if c == class { 4.0 } else { 0.0 } + f64::from(noise.next())),
        );
    }
    list
}

fn labels() -> Vec<i64> {
    (0..ROWS).map(|row| (row % CLASSES) as i64).collect()
}

fn softmax(row: &[f64]) -> Vec<f64> {
    let sum: f64 = row.iter().map(|z| z.exp()).sum();
    row.iter().map(|z| z.exp() / sum).collect()
}

#[test]
fn where_the_class_goes() {
    let retrained = [logits(1, 1), logits(2, 1), logits(3, 1)].concat();
    let labels = labels();
    let labels = TensorView::new(&labels, &[ROWS]).unwrap();
    let retrained = TensorView::new(&retrained, &[3, ROWS, CLASSES]).unwrap();
    let (good, bad) = (logits(4, 1), logits(5, 2));
    let shape = [ROWS, CLASSES];
    let [good, bad] = [&good, &bad].map(|list| TensorView::new(list, &shape).unwrap());
    let all = |unlearned| ClassLogits { retrained, unlearned, labels, forget: &[0] };

    let options = MiannOptions::default();
    let (right, wrong) =
        (miann(&all(good), &options).unwrap(), miann(&all(bad), &options).unwrap());
    assert_eq!((right.neighbour, right.models), (1, 3));
    assert!(right.gap < 5.0 && wrong.gap > 95.0, "{right:?} {wrong:?}");

    let options = C2stOptions::default();
    let (right, wrong) = (c2st(&all(good), &options).unwrap(), c2st(&all(bad), &options).unwrap());
    assert!(wrong.retained > 99.0 && right.retained < 80.0, "{right:?} {wrong:?}");

    let shares = distance_routing(&retrained, &bad, Some((&labels, &[0]))).unwrap();
    let (own, other) = ([0.0, 100.0, 0.0], [0.0, 0.0, 100.0]);
    assert_eq!(shares, [own, own, own, other].concat());

    let options = UliraOptions::default();
    let shadows = [logits(6, 2), logits(7, 2), logits(8, 2)].concat();
    let shadows = TensorView::new(&shadows, &[3, ROWS, CLASSES]).unwrap();
    let got = ulira_class(&shadows, &retrained, Some(&bad), &labels, &[0], &options).unwrap();
    assert_eq!((got.unlearned, got.retrained, got.rows), (3, 3, ROWS as i64 / 3));
    assert!((0.0..=100.0).contains(&got.auc));
}

#[test]
fn figures_by_hand() {
    let (first, second, truth) = (logits(1, 1), logits(2, 2), labels());
    let shape = [ROWS, CLASSES];
    let one = TensorView::new(&first, &[1, ROWS, CLASSES]).unwrap();
    let [a, b] = [&first, &second].map(|list| TensorView::new(list, &shape).unwrap());
    let labels = TensorView::new(&truth, &[ROWS]).unwrap();

    let (figures, rows) = distance(&one, &b, None).unwrap();
    let mut mean = 0.0;
    for (row, tv) in rows.iter().enumerate() {
        let [p, q] = [&first, &second].map(|list| softmax(&list[CLASSES * row..][..CLASSES]));
        let want = p.iter().zip(&q).map(|(p, q)| (p - q).abs() / 2.0).sum::<f64>();
        assert!((tv - want).abs() < 1e-12, "{row}: {tv}, not {want}");
        mean += want / ROWS as f64;
    }
    assert!((figures.tv - mean).abs() < 1e-12);
    let (figures, rows) = distance(&one, &b, Some((&labels, &[0]))).unwrap();
    assert_eq!(figures.rows, ROWS as i64 / 3);
    assert!(rows.iter().enumerate().all(|(row, tv)| tv.is_nan() == (row % CLASSES != 0)));

    assert!((distance_zrf(&a, &a).unwrap() - 1.0).abs() < 1e-12);
    assert!(distance_zrf(&a, &b).unwrap() < 0.95);

    for (row, phi) in ulira_phi(&a, &labels).unwrap().iter().enumerate() {
        let p = softmax(&first[CLASSES * row..][..CLASSES])[truth[row] as usize];
        assert!((phi - (p.ln() - (1.0 - p).ln())).abs() < 1e-9);
    }

    // members are sure of their class, the others are not; those who are asked about are not either
    let doubtful: Vec<f64> = first.iter().map(|z| 0.1 * z).collect();
    let doubtful = TensorView::new(&doubtful, &shape).unwrap();
    let (known, unknown) = ((&a, &labels), (&doubtful, &labels));
    let options = SvcmiaOptions::default();
    for got in [
        svcmia_salun(known, unknown, unknown, &options),
        svcmia_kodge(known, unknown, unknown, &options),
    ] {
        match got {
            Ok(got) => assert!(got.entropy > 90.0 && got.queries == ROWS as i64, "{got:?}"),
            Err(error) => assert!(matches!(error, Error::Unsupported(_)), "{error:?}"),
        }
    }
    distance_routing(&a, &b, None).unwrap_err(); // not [models, n, classes]
}
