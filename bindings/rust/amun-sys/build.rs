//! Finds libamun: the folder in AMUN_LIB_DIR, else what pkg-config says. The soname looks after
//! newer versions, so only the oldest that will do is asked for.
use std::path::Path;
use std::process::{exit, Command};

const OLDEST: &str = "0.1";

fn link(folder: &str) {
    println!("cargo:rustc-link-search=native={folder}");
    // for the build scripts of crates that want it in their programs: DEP_AMUN_LIBDIR
    println!("cargo:libdir={folder}");
}

/// What `pkg-config` prints, or why it did not.
fn pkg_config(arguments: &[&str]) -> Result<String, String> {
    let program = std::env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into());
    let output = Command::new(&program)
        .args(arguments)
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_string())
    }
}

fn main() {
    for name in ["AMUN_LIB_DIR", "PKG_CONFIG", "PKG_CONFIG_PATH"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    println!("cargo:rustc-link-lib=dylib=amun");
    if let Some(folder) = std::env::var("AMUN_LIB_DIR").ok().filter(|folder| !folder.is_empty()) {
        if !Path::new(&folder).join("libamun.so").exists() {
            eprintln!("AMUN_LIB_DIR is {folder}, and there is no libamun.so in it");
            exit(1);
        }
        return link(&folder);
    }
    let wanted = format!("amun >= {OLDEST}");
    match pkg_config(&["--print-errors", "--exists", &wanted])
        .and_then(|_| pkg_config(&["--variable=libdir", "amun"]))
    {
        Ok(folder) => link(&folder),
        Err(error) => {
            eprintln!("libamun was not found. Set AMUN_LIB_DIR to the folder of libamun.so, or");
            eprintln!("PKG_CONFIG_PATH to that of amun.pc. pkg-config said: {error}");
            exit(1);
        }
    }
}
