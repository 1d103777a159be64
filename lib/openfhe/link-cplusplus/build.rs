//! Looks for a C++ compiler; links the standard library.

#[path = "../build/compiler.rs"]
mod compiler;

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../build/compiler.rs");
    println!("cargo::rerun-if-env-changed=CXX");
    match compiler::Compiler::find(env::var_os("CXX").as_deref()) {
        Ok(_) => println!("cargo::rustc-link-lib=stdc++"),
        // Cargo fails the build on this, and unlike after a failed exit adds next to nothing to it.
        Err(missing) => println!("cargo::error={missing}"),
    }
}
