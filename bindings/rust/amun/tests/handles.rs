//! Ownership: what is made is given back, in any order, on any thread that may.
mod common;
use amun::*;
use common::*;
use std::mem::size_of_val;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

const CYCLES: usize = 1000;

/// Makes and drops `CYCLES` times; the memory of the context is then as after the first time.
fn cycles<T>(ctx: &Context, what: &str, make: impl Fn() -> T) {
    drop(make());
    let before = ctx.memory().unwrap();
    let alive = make();
    let within = ctx.memory().unwrap();
    assert!(within.blocks > before.blocks, "{what} allocates nothing: the test sees nothing");
    drop(alive);
    for _ in 0..CYCLES {
        drop(make());
    }
    let after = ctx.memory().unwrap();
    assert_eq!((after.current, after.blocks), (before.current, before.blocks), "{what}");
}

#[test]
fn a_thousand_of_each_leave_nothing() {
    let ctx = context();
    let data = blob_set(&ctx, 12);
    let mut model = linear(&ctx);
    model.train(&data, None, &recipe(), Call::silent()).unwrap();
    let mut search = Attack::search(&ctx, &SearchOptions::default()).unwrap();
    let set = AdvSet::build(&mut search, &model, &data, &[0, 4], Call::silent()).unwrap();
    let file = scratch("handles.advset");
    set.save(&file).unwrap();

    cycles(&ctx, "data set", || blob_set(&ctx, 12));
    cycles(&ctx, "subset", || data.subset(&[3, 1]).unwrap());
    cycles(&ctx, "graph", || Graph::new(&ctx, 1, 4, 4).unwrap());
    cycles(&ctx, "model", || linear(&ctx));
    cycles(&ctx, "clone of a model", || model.try_clone().unwrap());
    cycles(&ctx, "search", || Attack::search(&ctx, &SearchOptions::default()).unwrap());
    cycles(&ctx, "pgd", || Attack::pgd_l2(&ctx, &PgdOptions::l2()).unwrap());
    cycles(&ctx, "adversarial set", || AdvSet::load(&ctx, &data, &file).unwrap());
    cycles(&ctx, "audit", || Mia::new(&ctx, &data, &data, &MiaOptions::default()).unwrap());
    cycles(&ctx, "report", || Report::new(&ctx, "a", "b", 1, 2).unwrap());
    cycles(&ctx, "ensemble", || Ensemble::new(&ctx, &[&model]).unwrap());
    cycles(&ctx, "spectrum", || Spectrum::new(&model, &SpectrumOptions::default()).unwrap());
    let model = std::cell::RefCell::new(model);
    cycles(&ctx, "clipper", || {
        Clipper::new(&mut model.borrow_mut(), &ClipOptions::default()).unwrap()
    });
}

/// A context has no statistics to outlive it, so an allocator counts.
#[test]
fn contexts_leave_nothing() {
    use std::alloc::{alloc, dealloc, Layout};
    use std::ffi::c_void;
    static LIVE: AtomicUsize = AtomicUsize::new(0);
    unsafe extern "C" fn take(_: *mut c_void, size: usize, align: usize) -> *mut c_void {
        LIVE.fetch_add(1, Ordering::SeqCst);
        unsafe { alloc(Layout::from_size_align(size, align).unwrap()).cast() }
    }
    unsafe extern "C" fn give(_: *mut c_void, at: *mut c_void, size: usize, align: usize) {
        LIVE.fetch_sub(1, Ordering::SeqCst);
        unsafe { dealloc(at.cast(), Layout::from_size_align(size, align).unwrap()) }
    }
    for _ in 0..CYCLES {
        unsafe {
            let mut opts: sys::amun_context_options = std::mem::zeroed();
            assert_eq!(sys::amun_context_options_init(&mut opts, size_of_val(&opts)), 0);
            opts.alloc = Some(take);
            opts.free = Some(give);
            let mut ctx = std::ptr::null_mut();
            assert_eq!(sys::amun_context_create(&mut ctx, &opts), 0);
            assert!(LIVE.load(Ordering::SeqCst) > 0);
            sys::amun_context_unref(ctx);
        }
        drop(Context::new(&ContextOptions::default()).unwrap().clone());
        assert_eq!(LIVE.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn handles_keep_what_they_need() {
    let ctx = context();
    let data = blob_set(&ctx, 12);
    let part = data.subset(&[2, 5, 7]).unwrap();
    let first = linear(&ctx);
    let want = weights(&first);
    let mut ensemble = Ensemble::new(&ctx, &[&first, &first]).unwrap();
    let mut spectrum = Spectrum::new(&first, &SpectrumOptions::default()).unwrap();
    drop((ctx, data, first));
    assert_eq!(part.labels(0, 3).unwrap(), [2, 2, 1]);
    assert_eq!(ensemble.len(), 2);
    assert_eq!(weights(&ensemble.model(1).unwrap()), want);
    assert!(ensemble.model(2).is_none());
    ensemble.evaluate(&part, None, Call::silent()).unwrap();
    spectrum.run(0, Call::silent()).unwrap();
    assert_eq!(spectrum.layer(0).unwrap().name.as_deref(), Some("fc"));
}

/// Images that count their owners.
struct Owned {
    _owner: Arc<()>,
    pixels: Vec<u8>,
}

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &self.pixels
    }
}

#[test]
fn images_are_released_once() {
    let ctx = context();
    let owner = Arc::new(());
    let images = || Owned { _owner: owner.clone(), pixels: vec![51; 32] };
    let data = Dataset::from_images(&ctx, images(), &[2, 4, 4], Some(&[0, 1]), 0).unwrap();
    assert_eq!(Arc::strong_count(&owner), 2);
    assert!(data.read(1, 1).unwrap().iter().all(|pixel| *pixel == 0.2));
    let part = data.subset(&[1]).unwrap();
    drop(data);
    assert_eq!(Arc::strong_count(&owner), 2);
    std::thread::spawn(move || drop(part)).join().unwrap();
    assert_eq!(Arc::strong_count(&owner), 1);

    // a wrong shape is found here, a wrong label by the library
    for (shape, label) in [([3, 4, 4], 0), ([2, 4, 4], -1)] {
        Dataset::from_images(&ctx, images(), &shape, Some(&[0, label]), 0).unwrap_err();
        assert_eq!(Arc::strong_count(&owner), 1);
    }
}

#[test]
fn threads_share_what_they_may() {
    fn sends<T: Send>() {}
    fn shares<T: Send + Sync>() {}
    shares::<Context>();
    shares::<Dataset>();
    shares::<AdvSet>();
    shares::<Model>();
    sends::<Attack>();
    sends::<Graph>();
    sends::<Mia>();
    sends::<Report>();
    sends::<Ensemble>();
    sends::<Spectrum>();
    sends::<Clipper>();

    let ctx = context();
    let (model, data) = (linear(&ctx), blob_set(&ctx, 30));
    let want = model.evaluate(&data, None, Call::silent()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(model.evaluate(&data, None, Call::silent()).unwrap(), want);
                }
            });
        }
    });
}

/// A writer and a reader that the borrow checker cannot see together: an error, at once.
#[test]
fn a_hidden_conflict_is_busy() {
    let ctx = context();
    let (data, mut model) = (blob_set(&ctx, 30), linear(&ctx));
    let same = Ensemble::new(&ctx, &[&model]).unwrap().model(0).unwrap();
    let mut answer = None;
    let look = Call::progress(|_| {
        answer = same.evaluate(&data, None, Call::silent()).err();
        std::ops::ControlFlow::Break(())
    });
    let how = recipe();
    let error = model.train(&data, None, &how, look.every(std::time::Duration::ZERO)).unwrap_err();
    assert!(matches!(error, Error::Cancelled(_)), "{error:?}");
    assert!(matches!(answer, Some(Error::Busy(_))), "{answer:?}");
    same.evaluate(&data, None, Call::silent()).unwrap();
}

/// Does not compile if one of them is Sync: the inference of `_` would then have two answers.
macro_rules! one_at_a_time {
    ($($kind:ty),*) => {$(
        const _: fn() = || {
            trait Shared<A> { fn here() {} }
            impl<T: ?Sized> Shared<()> for T {}
            #[allow(dead_code)]
            struct Yes;
            impl<T: ?Sized + Sync> Shared<Yes> for T {}
            <$kind as Shared<_>>::here();
        };
    )*};
}
one_at_a_time!(Attack, Graph, Mia, Report, Ensemble, Spectrum, Clipper);
