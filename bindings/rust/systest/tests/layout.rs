//! amun-sys against the headers: through a C compiler, and through the numbers of tests/abi/layout.c.
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// One line per size, offset and value, as Rust has them.
fn rust_lines() -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for item in systest::structs() {
        lines.insert(format!("SIZE {} {}", item.name, item.size));
        for field in &item.fields {
            let (name, offset, size) = (field.name, field.offset, field.size);
            lines.insert(format!("FIELD {} {name} {offset} {size}", item.name));
        }
    }
    lines.extend(systest::constants().iter().map(|(name, value)| format!("VALUE {name} {value}")));
    lines
}

/// A program that prints the same lines, as C has them.
fn c_program() -> String {
    let mut text = String::from(
        "#include <stdio.h>\n#include <amun/amun.h>\n\
         #define SIZE(t) printf(\"SIZE \" #t \" %zu\\n\", sizeof(t))\n\
         #define FIELD(t, m) printf(\"FIELD \" #t \" \" #m \" %zu %zu\\n\", offsetof(t, m), \
         sizeof(((t *)0)->m))\n\
         #define VALUE(n) printf(\"VALUE \" #n \" %lld\\n\", (long long)(n))\n\
         int main(void)\n{\n",
    );
    for item in systest::structs() {
        text += &format!("SIZE({});\n", item.name);
        for field in &item.fields {
            text += &format!("FIELD({}, {});\n", item.name, field.name);
        }
    }
    for (name, _) in systest::constants() {
        text += &format!("VALUE({name});\n");
    }
    text + "return 0;\n}\n"
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn as_the_c_compiler_sees_it() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (source, program) = (folder.join("layout.c"), folder.join("layout"));
    std::fs::write(&source, c_program()).unwrap();
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let mut words = compiler.split_whitespace(); // CC may be "ccache gcc"
    run(Command::new(words.next().unwrap())
        .args(words)
        .arg("-I")
        .arg(root().join("include"))
        .args([source.as_os_str(), "-o".as_ref(), program.as_os_str()]));
    let c: BTreeSet<String> = run(&mut Command::new(&program)).lines().map(String::from).collect();
    let rust = rust_lines();
    assert!(rust.len() > 700, "{} lines", rust.len());
    let wrong: Vec<_> = rust.symmetric_difference(&c).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// "SIZE(type, 8);" as "SIZE type 8".
fn pinned_lines(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| ["SIZE(", "FIELD(", "VALUE("].iter().any(|kind| line.starts_with(kind)))
        .map(|line| line.replace(['(', ','], " ").replace(");", ""))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .map(
            |line| if line.starts_with("VALUE") { line.trim_end_matches('u').into() } else { line },
        )
        .filter(|line| !line.starts_with("SIZE void") && !line.starts_with("SIZE size_t"))
        .collect()
}

#[test]
fn as_it_was_released() {
    let text = std::fs::read_to_string(root().join("tests/abi/layout.c")).unwrap();
    let pinned = pinned_lines(&text);
    assert!(pinned.len() > 650, "{} lines", pinned.len());
    let rust = rust_lines();
    let missing: Vec<_> = pinned.difference(&rust).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Linking alone would drop what nobody calls.
#[test]
fn the_library_has_every_function() {
    let functions = systest::functions();
    let addresses: BTreeSet<_> = functions.iter().map(|(_, address)| *address).collect();
    assert!(functions.iter().all(|(_, address)| !address.is_null()));
    assert_eq!(addresses.len(), functions.len());
}

#[test]
fn the_library_is_the_one_declared() {
    let (major, minor) = (amun_sys::AMUN_ABI_MAJOR, amun_sys::AMUN_ABI_MINOR);
    let running = unsafe { amun_sys::amun_abi_version() };
    assert_eq!(running >> 16, major);
    assert!(running & 0xffff >= minor);
}
