//! Which crate may reach which: what the design promises about who can hold a key and who links C++.
//!
//! By default `meter` reaches no C++ and no OpenFHE. With its feature `openfhe` it does; `meter/clippy.toml` keeps it from the module of
//! secret keys.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, Node, PackageId};

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .exec()
        .expect("cargo metadata runs")
}

/// The same for a build of `package` alone, whose features nothing else in the workspace turns on.
fn metadata_of(package: &str, features: &[&str]) -> Metadata {
    let manifest = format!("{}/../{package}/Cargo.toml", env!("CARGO_MANIFEST_DIR"));
    let features = features.iter().map(|feature| (*feature).to_owned());
    MetadataCommand::new()
        .manifest_path(manifest)
        .features(CargoOpt::SomeFeatures(features.collect()))
        // Not what only other systems need.
        .other_options(["--filter-platform", "x86_64-unknown-linux-gnu"].map(str::to_owned))
        .exec()
        .expect("cargo metadata runs")
}

/// Names of everything `root` reaches through normal dependencies.
fn reached(metadata: &Metadata, root: &str) -> BTreeSet<String> {
    reached_through(metadata, root, &[DependencyKind::Normal])
}

/// Names of everything `root` reaches through dependencies of these kinds.
fn reached_through(metadata: &Metadata, root: &str, kinds: &[DependencyKind]) -> BTreeSet<String> {
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
            let mut found = dependency.dep_kinds.iter();
            if found.any(|kind| kinds.contains(&kind.kind)) && seen.insert(dependency.pkg.clone()) {
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

/// It has masks, and nothing that they could be on.
#[test]
fn a_holder_reaches_nothing_that_decrypts_and_no_other_process() {
    let metadata = metadata();
    let reached = reached(&metadata, "holder");
    let processes = ["operator", "analytics", "meter", "evaluator", "broker"];
    for forbidden in ["openfhe", "seal", "cxx", "compare"]
        .into_iter()
        .chain(processes)
    {
        assert!(!reached.contains(forbidden), "a holder reaches {forbidden}");
    }
}

/// It compares what is encrypted, and nothing in the clear: it has neither a crate that opens sums nor OpenFHE's secret keys.
#[test]
fn the_evaluator_reaches_no_secret_key() {
    let metadata = metadata_of("evaluator", &[]);
    let reached = reached(&metadata, "evaluator");
    for forbidden in ["masks", "seal", "operator", "analytics", "meter", "harness"] {
        assert!(
            !reached.contains(forbidden),
            "the evaluator reaches {forbidden}"
        );
    }
    let packages = metadata.packages.iter();
    let own = packages.filter(|package| {
        reached.contains(package.name.as_str()) || package.name.as_str() == "evaluator"
    });
    for package in own {
        let needs = package
            .dependencies
            .iter()
            .filter(|needed| needed.name == "openfhe");
        let needs = needs.filter(|needed| needed.kind == DependencyKind::Normal);
        for needed in needs {
            assert!(
                needed.features.is_empty(),
                "{}: {:?}",
                package.name,
                needed.features
            );
        }
    }
    let sources =
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../evaluator/src")).unwrap();
    let mut folders: Vec<_> = sources.map(|entry| entry.unwrap().path()).collect();
    while let Some(path) = folders.pop() {
        if path.is_dir() {
            folders.extend(
                std::fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for forbidden in ["secret::", "Totals", ".open(&", "centre("] {
            assert!(
                !text.contains(forbidden),
                "{} has {forbidden}",
                path.display()
            );
        }
    }
}

/// Build scripts included: with Rust and gcc, which links it and compiles ring, a gateway can be built.
#[test]
fn a_meter_is_built_without_cpp_and_of_c_has_only_ring_unless_openfhe_is_asked_for() {
    let kinds = [DependencyKind::Normal, DependencyKind::Build];
    let metadata = metadata_of("meter", &[]);
    let reached = reached_through(&metadata, "meter", &kinds);
    let nodes = &metadata.resolve.as_ref().expect("a resolve").nodes;
    let compiles_c = |node: &&Node| {
        let own = &metadata[&node.id].name;
        let mut needs = node.deps.iter();
        reached.contains(own.as_str()) && needs.any(|needed| needed.name == "cc")
    };
    let compiling = nodes.iter().filter(compiles_c);
    let compiling: Vec<_> = compiling
        .map(|node| metadata[&node.id].name.as_str())
        .collect();
    assert_eq!(compiling, ["ring"]);
    for forbidden in [
        "openfhe",
        "cxx",
        "cxx-build",
        "cmake",
        "bindgen",
        "pkg-config",
    ] {
        assert!(!reached.contains(forbidden), "meter reaches {forbidden}");
    }
    assert!(reached.contains("seal") && reached.contains("wire"));
    let reached = reached_through(&metadata_of("meter", &["openfhe"]), "meter", &kinds);
    assert!(reached.contains("openfhe") && reached.contains("cxx"));
}

#[test]
fn the_libraries_know_nothing_of_the_processes_nor_the_format_of_the_ciphertext() {
    let metadata = metadata();
    for library in [
        "wire", "packed", "masks", "release", "privacy", "seal", "openfhe", "service", "live",
        "compare",
    ] {
        let reached = reached(&metadata, library);
        for process in [
            "broker",
            "meter",
            "analytics",
            "operator",
            "evaluator",
            "bench",
        ] {
            assert!(!reached.contains(process), "{library} reaches {process}");
        }
    }
    assert!(!reached(&metadata, "packed").contains("wire"));
    assert!(!reached(&metadata, "packed").contains("openfhe"));
    for foreign in ["openfhe", "wire", "masks"] {
        assert!(!reached(&metadata, "seal").contains(foreign));
    }
    assert!(!reached(&metadata, "masks").contains("wire"));
    assert!(!reached(&metadata, "release").contains("wire"));
    assert!(!reached(&metadata, "release").contains("tokio"));
    // It knows what holders agree on, and nothing of who says it where.
    for foreign in ["tokio", "service", "masks"] {
        assert!(!reached(&metadata, "privacy").contains(foreign));
    }
    // Whoever holds readings draws no noise.
    assert!(!reached(&metadata, "service").contains("privacy"));
    assert!(!reached(&metadata, "masks").contains("packed"));
    assert!(!reached(&metadata, "wire").contains("packed"));
    assert!(!reached(&metadata, "wire").contains("tokio"));
    assert!(!reached(&metadata, "service").contains("openfhe"));
    // Only who may decrypt serves the page that shows load.
    assert!(!reached(&metadata, "meter").contains("live"));
}
