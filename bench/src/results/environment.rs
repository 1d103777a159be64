//! The machine, the build and the command, as far as they can be learnt.

use packed::Profile;
use packed::layout::{Layout, Shape};
use procfs::{Current as _, LoadAverage, Meminfo};
use tokio::process::Command;

use super::schema::{Environment, Profile as ProfileRow};
use crate::command::run;

/// The version of OpenFHE that the crate `openfhe` is built with.
const OPENFHE: &str = "1.4.2";

/// Instruction sets that matter to the fold, to SHA-256 and to signatures.
const FLAGS: &str = "sse4_2 avx avx2 bmi2 sha_ni avx512f avx512dq avx512ifma avx512vbmi";

/// Readings of the report whose bytes are stated of each profile.
const READINGS: u16 = 96;

/// The environment at this moment; what follows later is left open.
pub(crate) async fn now(repeats: u32, warmup: u32, quick: bool) -> Environment {
    let cpu = procfs::CpuInfo::current().ok();
    let model = cpu.as_ref().and_then(|cpu| cpu.model_name(0));
    let has = cpu.as_ref().and_then(|cpu| cpu.flags(0));
    let has = has.unwrap_or_default();
    let unknown = "unknown".to_owned();
    let kernel = procfs::sys::kernel::Version::current();
    let kernel = kernel.map(|it| format!("{}.{}.{}", it.major, it.minor, it.patch));
    let build = match cfg!(debug_assertions) {
        true => "debug",
        false => "release",
    };
    let changes = answer("git", &["status", "--porcelain"]).await;
    Environment {
        started_at: timestamp(),
        ended_at: None,
        wall_s: 0.0,
        command_line: std::env::args().collect(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: answer("git", &["rev-parse", "HEAD"]).await,
        commit_dirty: changes.map(|changes| !changes.is_empty()),
        build: build.to_owned(),
        rustc: answer("rustc", &["--version"]).await,
        openfhe: OPENFHE.to_owned(),
        cpu_model: model.map_or_else(|| unknown.clone(), str::to_owned),
        cpu_cores: std::thread::available_parallelism().map_or(1, usize::from),
        cpu_flags: (FLAGS.split(' ').filter(|flag| has.contains(flag)))
            .map(str::to_owned)
            .collect(),
        fold_kernel: packed::Kernel::best().to_string(),
        memory_bytes: Meminfo::current().map_or(0, |meminfo| meminfo.mem_total),
        kernel: format!("{} {}", std::env::consts::OS, kernel.unwrap_or(unknown)),
        load_average_before: load_average().unwrap_or_default(),
        load_average_after: None,
        profiles: Profile::all().iter().map(|profile| row(profile)).collect(),
        repeats,
        warmup,
        quick,
        estimate_s: 0.0,
    }
}

/// Load averages over 1, 5 and 15 minutes.
pub(crate) fn load_average() -> Option<[f64; 3]> {
    let load = LoadAverage::current().ok()?;
    Some([load.one, load.five, load.fifteen].map(|load| (f64::from(load) * 100.0).round() / 100.0))
}

/// Memory that can be had without swapping, in bytes.
pub(crate) fn memory_available() -> Option<u64> {
    Meminfo::current().ok()?.mem_available
}

/// Now, RFC 3339, UTC, to the second.
pub(crate) fn timestamp() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

fn row(profile: &Profile) -> ProfileRow {
    let shape = Shape::new(Layout::Profile, READINGS);
    ProfileRow {
        name: profile.name.to_owned(),
        ring_dimension: profile.ring.dimension,
        modulus_bits: profile.ring.modulus_bits,
        scale_bits: profile.scale_bits,
        dropped_bits: profile.dropped,
        max_contributors: profile.max_contributors(),
        ciphertext_bytes: shape
            .ok()
            .map(|shape| profile.packed_len(shape.coefficients())),
    }
}

/// What a program says of the sources this was built from; `None` where it or they are not there.
async fn answer(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    Some(run(&mut command).await.ok()?.trim().to_owned())
}
