//! The log, in a program of its own: it needs a setting in the environment.
mod common;
use amun::*;
use common::*;
use std::ffi::CStr;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};

static MESSAGES: AtomicUsize = AtomicUsize::new(0);

fn count(_: LogLevel, message: &str) {
    assert!(!message.is_empty());
    MESSAGES.fetch_add(1, Ordering::SeqCst);
}

fn fail(_: LogLevel, message: &str) {
    panic!("log: {message}");
}

#[test]
fn messages_and_panics_arrive() {
    std::env::set_var("AMUN_LOG", "plan");
    let info = unsafe { CStr::from_ptr(sys::amun_build_info_json()) }.to_str().unwrap();
    let silent = info.contains("\"onednn\":null") || info.contains("\"onednn\": null");
    let ctx = context();
    ctx.set_log(Some(count), LogLevel::INFO).unwrap();
    let (data, model) = (blob_set(&ctx, 12), linear(&ctx));
    model.evaluate(&data, None, Call::silent()).unwrap();
    if silent {
        return; // only plans on oneDNN list themselves
    }
    assert!(MESSAGES.load(Ordering::SeqCst) > 0, "{info}");

    ctx.set_log(Some(fail), LogLevel::INFO).unwrap();
    let fresh = linear(&ctx); // whose plan is yet to be compiled
    let panic = catch_unwind(|| fresh.evaluate(&data, None, Call::silent())).unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().starts_with("log: plan"));
    ctx.set_log(None, LogLevel::SILENT).unwrap();
    linear(&ctx).evaluate(&data, None, Call::silent()).unwrap();
}
