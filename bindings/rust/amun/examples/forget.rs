//! Trains on handwritten digits, forgets some of them with AMUN, audits before and after.
//! Usage: forget IMAGES.idx LABELS.idx [EPOCHS [REFERENCES]]
use amun::*;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [images, labels, numbers @ ..] = &args[..] else { return Err("two files, please".into()) };
    let number = |i: usize, usual: i32| numbers.get(i).map_or(Ok(usual), |text| text.parse());
    let (epochs, references) = (number(0, 20)?, number(1, 16)?);

    let ctx = Context::new(&ContextOptions { threads: 1, ..Default::default() })?;
    let digits = Dataset::open_idx(&ctx, images, Some(labels))?;
    let order = forget_indices(digits.len(), digits.len(), 0)?;
    let (train, test) = (digits.subset(&order[..900])?, digits.subset(&order[900..])?);
    let forget = forget_indices(90, train.len(), 1)?;

    let plain = TrainOptions { batch: 30, augment_pad: 0, augment_flip: 0, ..Default::default() };
    let steady = TrainOptions { weight_decay: 0.0, schedule: Schedule::COSINE, ..plain };
    let how = TrainOptions { epochs, lr: 0.02, ..steady };
    let shape = ModelOptions { channels: 1, height: 8, width: 8, ..Default::default() };
    let mut model = Model::create(&ctx, "digits", &shape)?;
    let trained = model.train(&train, None, &how, Call::silent())?;
    let mut search = Attack::search(&ctx, &SearchOptions::default())?;
    let set = AdvSet::build(&mut search, &model, &train, &forget, Call::silent())?;

    let mut forgetful = model.try_clone()?;
    let tune = TrainOptions::of_method(UnlearnMethod::AMUN)?;
    let tune = TrainOptions { batch: 30, augment_pad: 0, augment_flip: 0, ..tune };
    let request = UnlearnOptions { train: Some(tune), ..Default::default() };
    let done = forgetful.unlearn(&train, &forget, Some(&set), &request, Call::silent())?;

    let mut mia = Mia::new(&ctx, &train, &test, &MiaOptions { references, ..Default::default() })?;
    mia.train_references(&model, &how, None, Call::silent())?;
    let mut report = Report::new(&ctx, "digits", model.arch(), forget.len(), references)?;
    report.add("original", 1, &mia.audit(&model, &forget, Call::silent())?, trained.seconds)?;
    report.add("amun", 1, &mia.audit(&forgetful, &forget, Call::silent())?, done.seconds)?;
    print!("{}", report.table()?);
    Ok(())
}
