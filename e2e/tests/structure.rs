//! The shape of the code: no circles between files, no long files, no long functions.
//!
//! `e2e::structure` says what counts. `cargo run -p e2e --bin structure` prints a table of it, `-- circles` and
//! `-- excesses` what this test sees. The list in excesses.txt is exact: what is mended must leave it, so it only shrinks.

use std::collections::BTreeSet;

use e2e::structure::{here, workspace};

/// Files over 300 lines, functions over 60, functions with more than five arguments: `file` or `file#function`, a bar, and
/// why it stays as it is; `to be mended` is no reason to stay.
const EXCESSES: &str = include_str!("excesses.txt");

#[test]
fn files_of_a_crate_use_each_other_in_one_direction_only() {
    let packages = workspace(&here());
    let circles: Vec<_> = packages
        .iter()
        .flat_map(|package| package.circles())
        .collect();
    for circle in &circles {
        println!("{circle}");
    }
    assert!(circles.is_empty(), "files that use each other");
}

#[test]
fn files_and_functions_are_short_or_say_why_not() {
    let allowed: BTreeSet<String> = EXCESSES
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| {
            let (what, reason) = line.split_once(" | ").expect("what, a bar, a reason");
            assert!(!reason.trim().is_empty(), "{what} has no reason");
            what.to_owned()
        })
        .collect();
    let packages = workspace(&here());
    let excesses: Vec<_> = packages
        .iter()
        .flat_map(|package| package.measures().excesses())
        .collect();
    let new: Vec<_> = excesses
        .iter()
        .filter(|(what, _)| !allowed.contains(what))
        .collect();
    assert!(
        new.is_empty(),
        "too long, and not in excesses.txt: {new:#?}"
    );
    let found: BTreeSet<String> = excesses.into_iter().map(|(what, _)| what).collect();
    let gone: Vec<_> = allowed.difference(&found).collect();
    assert!(
        gone.is_empty(),
        "mended, so take them out of excesses.txt: {gone:#?}"
    );
}

/// The test itself: what it must see, in a small workspace made for it.
#[test]
fn a_circle_is_seen_through_imports_reexports_and_macros_and_a_parent_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(
        "Cargo.toml",
        "[package]\nname = \"x\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n",
    );
    write(
        "src/lib.rs",
        "mod a; mod b; mod c; mod d; mod e; mod f; pub use b::B; pub const TOP: u8 = 0;",
    );
    // a and b, through the re-export at the root; c uses d in a macro only, d uses c by a glob.
    write("src/a.rs", "use crate::B; pub struct A(B);");
    write("src/b.rs", "pub struct B; fn f(_: &super::a::A) {}");
    write(
        "src/c.rs",
        "pub const C: u8 = 1; fn f() { assert!(crate::d::D > 0); }",
    );
    write("src/d.rs", "use crate::c::*; pub const D: u8 = C;");
    // A child and its parents; a test; a handing on.
    write(
        "src/e.rs",
        "mod inner; pub(crate) const E: u8 = inner::I; pub(crate) use crate::f::F;",
    );
    write(
        "src/e/inner.rs",
        "pub(super) const I: u8 = super::E + crate::TOP;",
    );
    write(
        "src/f.rs",
        "pub(crate) const F: u8 = crate::e::E; #[cfg(test)] mod tests { use crate::a::A; }",
    );
    let packages = workspace(&folder.path().canonicalize().unwrap());
    let circles = packages[0].circles();
    let files: Vec<String> = circles
        .iter()
        .map(|circle| circle.files.join(" "))
        .collect();
    assert_eq!(files, ["src/a.rs src/b.rs", "src/c.rs src/d.rs"]);
}

#[test]
fn functions_lines_and_public_items_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| std::fs::write(folder.path().join(path), text).unwrap();
    std::fs::create_dir(folder.path().join("src")).unwrap();
    write(
        "Cargo.toml",
        "[package]\nname = \"x\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n",
    );
    let long = "let _ = 0;\n".repeat(59);
    write(
        "src/lib.rs",
        &format!(
            "pub struct S;\nimpl S {{\npub fn long(&self) {{\n{long}}}\n}}\npub(crate) fn many(_: u8, _: u8, _: u8, _: u8, _: u8, _: u8) {{}}\n\n#[cfg(test)]\nmod tests {{\n    pub fn f() {{}}\n}}\n"
        ),
    );
    let packages = workspace(&folder.path().canonicalize().unwrap());
    let measures = packages[0].measures();
    assert_eq!(
        (measures.public, measures.lines, measures.lines_around),
        (2, 66, 4)
    );
    let excesses = [
        ("src/lib.rs#S::long".to_owned(), "61 lines".to_owned()),
        ("src/lib.rs#many".to_owned(), "6 arguments".to_owned()),
    ];
    assert_eq!(measures.excesses(), excesses);
}
