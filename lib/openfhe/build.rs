//! Obtains OpenFHE, compiles the C++ side and tells Cargo how to link it. The work is in `build/`.

#[allow(clippy::module_inception)]
#[path = "build/mod.rs"]
mod build;

use std::env;

use build::error::BuildError;
use build::fetch::Fetch;
use build::platform::Platform;
use build::shim::Shim;
use build::{Inputs, Prepared};

fn main() {
    watch();
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let inputs = Inputs {
        platform: Platform {
            target: variable("TARGET"),
            host: variable("HOST"),
        },
        openfhe_root: env::var_os("OPENFHE_ROOT"),
        cipherwatt_cache: env::var_os("CIPHERWATT_CACHE"),
        xdg_cache_home: env::var_os("XDG_CACHE_HOME"),
        home: env::var_os("HOME"),
        cxx: env::var_os("CXX"),
        serialisation: env::var_os("CARGO_FEATURE_SERIALISATION").is_some(),
    };
    match build::prepare(&inputs, &Fetch::default()) {
        Ok(prepared) => link(&prepared),
        Err(error) => fail(&error),
    }
}

/// Names everything that decides the outcome, so that nothing else makes Cargo run this again.
fn watch() {
    for path in ["build.rs", "build", "src/bridge.rs"]
        .iter()
        .chain(&Shim::SOURCES)
    {
        println!("cargo::rerun-if-changed={path}");
    }
    for name in [
        "OPENFHE_ROOT",
        "CIPHERWATT_CACHE",
        "XDG_CACHE_HOME",
        "HOME",
        "CXX",
    ] {
        println!("cargo::rerun-if-env-changed={name}");
    }
}

fn link(prepared: &Prepared) {
    // Only the generated glue: it converts types and catches exceptions, and includes no OpenFHE.
    let mut glue = cxx_build::bridge("src/bridge.rs");
    if cfg!(feature = "serialisation") {
        glue.define("CIPHERWATT_SERIALISATION", None);
    }
    glue.compiler(&prepared.compiler.path)
        .std("c++17")
        .opt_level(2)
        .debug(false)
        .inherit_rustflags(false)
        .include("cpp")
        .compile("openfhe_bridge");
    println!(
        "cargo::rustc-link-search=native={}",
        prepared.shim.folder.display()
    );
    println!("cargo::rustc-link-lib=dylib=openfhe_shim");
    // A cache that was cleared, or an own install that was replaced.
    for path in prepared.install.watched.iter().chain([&prepared.shim.file]) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
}

/// Cargo fails the build on these lines, and unlike after a failed exit adds next to nothing to them.
fn fail(error: &BuildError) {
    const LAST_LINES: usize = 20;
    let lines: Vec<_> = error
        .details()
        .unwrap_or_default()
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    for line in &lines[lines.len().saturating_sub(LAST_LINES)..] {
        println!("cargo::error=| {line}");
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    println!("cargo::error={text}");
}
