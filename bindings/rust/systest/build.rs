//! Tests and examples of this crate find the library where it was linked from. Programs of others
//! are left to the system's loader.
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if let Ok(folder) = std::env::var("DEP_AMUN_LIBDIR") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    }
}
