//! The C++ that touches OpenFHE, compiled once into `libopenfhe_shim.so` in the cache.
//!
//! A shared library, because a run path given by a build script reaches only the crate's own
//! binaries. This one's SONAME is its absolute path: linkers copy it into whatever links to it, and
//! the loader opens a name with a slash as it is. Its own run path (old style, which is inherited)
//! then finds OpenFHE. The price: binaries break when the cache moves.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::cache::Cache;
use super::compiler::{Compiler, Missing};
use super::error::BuildError;
use super::install::Install;
use super::tree::hex;

/// The folder of this crate, which the sources are below.
const CRATE: &str = env!("CARGO_MANIFEST_DIR");

const FILE: &str = "libopenfhe_shim.so";

/// Always optimised and never with debug information: an unoptimised shim doubles run times, since
/// its inline copies of OpenFHE's functions take the place of the library's.
const COMPILE: [&str; 10] = [
    "-std=c++17",
    "-O3",
    "-g0",
    "-fPIC",
    "-fopenmp",
    "-DPARALLEL",
    "-Wall",
    "-Wextra",
    "-Wno-unknown-pragmas",
    // After whatever CXXFLAGS asks for: OpenFHE itself is not instrumented.
    "-fno-sanitize=address",
];

const LINK: [&str; 9] = [
    "-shared",
    "-fopenmp",
    "-Wl,--no-as-needed",
    "-lOPENFHEpke",
    "-lOPENFHEbinfhe",
    "-lOPENFHEcore",
    "-lgomp",
    "-Wl,--as-needed,--no-undefined,--disable-new-dtags",
    "-Wl,-z,relro,-z,now",
];

/// The compiled library.
#[derive(Debug)]
pub(crate) struct Shim {
    /// The folder it is in, for the linker's search path.
    pub folder: PathBuf,
    /// The file.
    pub file: PathBuf,
}

impl Shim {
    /// The C++ sources, below the crate's folder.
    pub(crate) const SOURCES: [&'static str; 8] = [
        "cpp/shim.h",
        "cpp/shim.cpp",
        "cpp/internal.h",
        "cpp/sign.h",
        "cpp/sign.cpp",
        "cpp/levelled.h",
        "cpp/levelled.cpp",
        "cpp/serialise.cpp",
    ];

    /// Compiles the shim unless the cache has it.
    pub(crate) fn build(
        cache: &Cache,
        install: &Install,
        compiler: &Compiler,
        serialisation: bool,
    ) -> Result<Self, BuildError> {
        let mut units = vec!["cpp/shim.cpp", "cpp/sign.cpp", "cpp/levelled.cpp"];
        if serialisation {
            units.push("cpp/serialise.cpp");
        }
        let name = name(cache, install, compiler, &units)?;
        let folder = cache.entry(&name);
        let shim = Self {
            file: folder.join(FILE),
            folder,
        };
        if shim.file.is_file() {
            return Ok(shim);
        }
        let lock = cache.lock()?;
        if shim.file.is_file() {
            return Ok(shim);
        }
        let temporary = lock.temporary()?;
        compile(temporary.path(), &shim.file, install, compiler, &units)?;
        lock.publish(temporary.path(), &name)?;
        Ok(shim)
    }
}

/// A name made of everything that decides the content. The cache's path is part of it, because the
/// SONAME is absolute.
fn name(
    cache: &Cache,
    install: &Install,
    compiler: &Compiler,
    units: &[&str],
) -> Result<String, BuildError> {
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    for flag in COMPILE.iter().chain(&LINK).chain(units) {
        add(flag.as_bytes());
    }
    add(compiler.path.as_encoded_bytes());
    add(compiler.version.as_bytes());
    add(cache.root().as_os_str().as_encoded_bytes());
    for path in install.includes.iter().chain([&install.lib]) {
        add(path.as_os_str().as_encoded_bytes());
    }
    for path in &install.watched {
        let metadata = fs::metadata(path).map_err(|e| BuildError::cache("read", path, e))?;
        let modified = metadata
            .modified()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        add(&metadata.len().to_le_bytes());
        add(&modified.unwrap_or_default().as_nanos().to_le_bytes());
    }
    for source in Shim::SOURCES {
        let path = Path::new(CRATE).join(source);
        add(&fs::read(&path).map_err(|e| BuildError::cache("read", &path, e))?);
    }
    Ok(format!("shim-{}", hex(&hash.finalize()[..10])))
}

fn compile(
    temporary: &Path,
    final_file: &Path,
    install: &Install,
    compiler: &Compiler,
    units: &[&str],
) -> Result<(), BuildError> {
    let mut children = Vec::new();
    let mut objects = Vec::new();
    for unit in units {
        let object = temporary.join(unit.replace('/', "_")).with_extension("o");
        let mut command = Command::new(&compiler.path);
        command
            .args(COMPILE)
            .arg("-c")
            .arg(Path::new(CRATE).join(unit))
            .arg("-o")
            .arg(&object);
        for include in &install.includes {
            // As system headers, so that only our own code is warned about.
            command.arg("-isystem").arg(include);
        }
        children.push(command);
        objects.push(object);
    }
    // The units side by side; each has its own object file.
    std::thread::scope(|scope| {
        let running: Vec<_> = children
            .into_iter()
            .map(|command| scope.spawn(|| run(command, compiler)))
            .collect();
        running
            .into_iter()
            .try_for_each(|thread| match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
    })?;

    let mut link = Command::new(&compiler.path);
    link.args(&objects)
        .arg("-o")
        .arg(temporary.join(FILE))
        .arg("-L")
        .arg(&install.lib)
        .args(LINK);
    // -Xlinker and not -Wl, so that a comma in a path is nothing special.
    for (option, value) in [
        ("-rpath", install.lib.as_os_str()),
        ("-soname", final_file.as_os_str()),
    ] {
        link.args(["-Xlinker", option, "-Xlinker"]).arg(value);
    }
    run(link, compiler)?;
    for object in objects {
        fs::remove_file(&object).map_err(|e| BuildError::cache("remove", &object, e))?;
    }
    Ok(())
}

fn run(mut command: Command, compiler: &Compiler) -> Result<(), BuildError> {
    let name = compiler.path.to_string_lossy().into_owned();
    let output = command.output().map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => Missing {
            compiler: name.clone(),
        }
        .into(),
        _ => BuildError::Compile {
            compiler: name.clone(),
            details: e.to_string(),
        },
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(BuildError::Compile {
        compiler: name,
        details: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
