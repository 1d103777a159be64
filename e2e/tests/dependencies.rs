//! Which crate may reach which: what the design promises about who can hold a key and who links C++.
//!
//! `meter` links `openfhe` for encryption; `meter/clippy.toml` keeps it from the module of secret keys.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Node, PackageId};

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .exec()
        .expect("cargo metadata runs")
}

/// Names of everything `root` reaches through normal dependencies.
fn reached(metadata: &Metadata, root: &str) -> BTreeSet<String> {
    let nodes = &metadata.resolve.as_ref().expect("a resolve").nodes;
    let node =
        |id: &PackageId| -> &Node { nodes.iter().find(|node| node.id == *id).expect("a node") };
    let package = metadata
        .workspace_packages()
        .into_iter()
        .find(|package| package.name.as_str() == root);
    let mut todo = vec![package.expect("a workspace package").id.clone()];
    let mut seen = BTreeSet::new();
    while let Some(id) = todo.pop() {
        for dependency in &node(&id).deps {
            let normal = dependency
                .dep_kinds
                .iter()
                .any(|kind| kind.kind == DependencyKind::Normal);
            if normal && seen.insert(dependency.pkg.clone()) {
                todo.push(dependency.pkg.clone());
            }
        }
    }
    seen.iter()
        .map(|id| metadata[id].name.to_string())
        .collect()
}

#[test]
fn analytics_and_the_broker_reach_no_secret_key_and_no_cpp() {
    let metadata = metadata();
    for process in ["analytics", "broker"] {
        let reached = reached(&metadata, process);
        for forbidden in ["openfhe", "masks", "cxx", "operator", "meter", "live"] {
            assert!(
                !reached.contains(forbidden),
                "{process} reaches {forbidden}"
            );
        }
        assert!(reached.contains("wire"));
    }
}

#[test]
fn the_libraries_know_nothing_of_the_processes_nor_the_format_of_the_ciphertext() {
    let metadata = metadata();
    for library in [
        "wire", "packed", "masks", "release", "openfhe", "service", "live",
    ] {
        let reached = reached(&metadata, library);
        for process in ["broker", "meter", "analytics", "operator", "bench"] {
            assert!(!reached.contains(process), "{library} reaches {process}");
        }
    }
    assert!(!reached(&metadata, "packed").contains("wire"));
    assert!(!reached(&metadata, "packed").contains("openfhe"));
    assert!(!reached(&metadata, "masks").contains("wire"));
    assert!(!reached(&metadata, "release").contains("wire"));
    assert!(!reached(&metadata, "release").contains("tokio"));
    assert!(!reached(&metadata, "masks").contains("packed"));
    assert!(!reached(&metadata, "wire").contains("packed"));
    assert!(!reached(&metadata, "wire").contains("tokio"));
    assert!(!reached(&metadata, "service").contains("openfhe"));
    // Only who may decrypt serves the page that shows load.
    assert!(!reached(&metadata, "meter").contains("live"));
}
