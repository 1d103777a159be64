//! The shape of the workspace's code, read with `syn`: which file uses which, and how long things are.
//!
//! # What a circle is
//! File A *uses* file B of the same target if code of A names an item that is defined in B. A name is followed to its
//! definition, through imports and re-exports; handing it on with `pub use` does not count. What a module uses of its
//! own parents does not count either: a child is a part of them, and Rust lets it see even what they keep private. Nor
//! does code for tests. Files that use each other, directly or by way of others, are one circle.
//!
//! Not seen: methods (their types are not known here), names inside strings and attributes.
//!
//! # Layout
//! - `source`: the modules and files of a target
//! - `names`: a name, followed to where it is defined
//! - `uses`: the names that code mentions
//! - `circles`: files that use each other
//! - `measure`: lines, public items, the longest functions

mod circles;
mod measure;
mod names;
mod source;
mod uses;

use std::path::{Path, PathBuf};

use cargo_metadata::{MetadataCommand, TargetKind};

pub use circles::Circle;
pub use measure::{Function, MAX_FUNCTION_LINES, Measures};

/// A crate of the workspace.
pub struct Package {
    /// The name.
    pub name: String,
    /// The code that runs: library, binaries, build script.
    shipped: Vec<source::Target>,
    /// The code around it: integration tests, benchmarks, examples.
    around: Vec<source::Target>,
}

/// Every crate of the workspace at `root`, by name. Panics if one does not parse.
#[must_use]
pub fn workspace(root: &Path) -> Vec<Package> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata runs");
    let root = metadata.workspace_root.as_std_path();
    let mut packages: Vec<Package> = metadata
        .workspace_packages()
        .into_iter()
        .map(|package| {
            let (around, shipped): (Vec<_>, Vec<_>) = package.targets.iter().partition(|target| {
                let around = [TargetKind::Test, TargetKind::Bench, TargetKind::Example];
                target.kind.iter().any(|kind| around.contains(kind))
            });
            let read = |targets: Vec<&cargo_metadata::Target>| {
                let files = targets.iter().map(|target| target.src_path.as_std_path());
                files.map(|file| source::Target::read(root, file)).collect()
            };
            Package {
                name: package.name.to_string(),
                shipped: read(shipped),
                around: read(around),
            }
        })
        .collect();
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    packages
}

/// The folder of the workspace this was built in.
#[must_use]
pub fn here() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().expect("the folder this is built in")
}

impl Package {
    /// Files that use each other.
    #[must_use]
    pub fn circles(&self) -> Vec<Circle> {
        self.shipped.iter().flat_map(circles::find).collect()
    }

    /// How much there is of what.
    #[must_use]
    pub fn measures(&self) -> Measures {
        Measures::of(&self.shipped, &self.around)
    }
}
