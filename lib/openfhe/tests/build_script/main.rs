//! The build script's own code against machines that lack something.
//!
//! Nothing here leaves the machine: pip is pointed at a local folder or at a closed port.

#![allow(clippy::unwrap_used)]

#[allow(clippy::module_inception, dead_code, missing_docs)]
#[path = "../../build/mod.rs"]
mod build;
mod local;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use build::cache::Cache;
use build::compiler::Compiler;
use build::error::BuildError;
use build::fetch::Fetch;
use build::install::Install;
use build::platform::{Platform, check_libc};
use build::shim::Shim;
use build::tree::tree_hash;
use build::wheels::WHEELS;
use build::{Inputs, prepare};
use local::{Local, entries, fetch_error, offline, write_wheel};

const LINUX: &str = "x86_64-unknown-linux-gnu";

#[test]
fn unpacks_once_into_the_layout_of_an_install() {
    let local = Local::new();
    let log = local.folder.path().join("log");
    let python = local.fake_python(&format!("echo \"$*\" >> {}", log.display()));
    let fetch = Fetch {
        python,
        ..local.fetch.clone()
    };
    let tree = fetch.tree_in(&local.cache()).unwrap();
    for file in [
        "lib/libOPENFHEpke.so.1",
        "lib/libOPENFHEpke.so",
        "lib/libgomp.so.1",
        "include/openfhe/pke/openfhe.h",
        "include/openfhe/third-party/include/cereal/cereal.hpp",
        "licences/openfhe-LICENSE",
    ] {
        assert!(tree.join(file).is_file(), "{file}");
    }
    assert!(
        fs::read_to_string(tree.join("include/openfhe/core/config_core.h"))
            .unwrap()
            .contains("MATHBACKEND 4")
    );
    // HEIR's own library, without OpenMP, must not be there to be linked.
    assert!(!tree.join("lib/libopenfhe.so").exists());
    // Cargo would run the script again for a watched file newer than its last run.
    let modified = fs::metadata(tree.join("lib/libOPENFHEpke.so"))
        .unwrap()
        .modified()
        .unwrap();
    assert!(modified < SystemTime::now() - Duration::from_secs(1_000_000));
    Install::fetched(&tree).unwrap();

    let calls = fs::read_to_string(&log).unwrap();
    assert_eq!(fetch.tree_in(&local.cache()).unwrap(), tree);
    assert_eq!(
        fs::read_to_string(&log).unwrap(),
        calls,
        "the second fetch ran python again"
    );
}

#[test]
fn builds_at_the_same_time_download_once() {
    let local = Local::new();
    let log = local.folder.path().join("log");
    let python = local.fake_python(&format!("echo \"$*\" >> {}", log.display()));
    let fetch = Fetch {
        python,
        ..local.fetch.clone()
    };
    let trees: Vec<PathBuf> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| fetch.tree_in(&local.cache()).unwrap()))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(
        trees
            .iter()
            .all(|tree| *tree == trees[0] && tree.join("complete").is_file())
    );
    let calls = fs::read_to_string(&log).unwrap();
    assert_eq!(calls.matches("pip download").count(), 1, "{calls}");
    assert_eq!(
        entries(local.cache().root()).len(),
        2,
        "the lock and the tree, no leftovers"
    );
}

#[test]
fn what_a_killed_build_left_behind_is_cleared_and_never_used() {
    let local = Local::new();
    let root = local.cache().root().to_owned();
    // As after SIGKILL: half a tree under a temporary name, and a lock file that nobody holds.
    fs::create_dir_all(root.join("tmp-4711/tree/lib")).unwrap();
    fs::write(root.join("lock"), "").unwrap();
    let tree = local.fetch.tree_in(&local.cache()).unwrap();
    assert!(tree.join("complete").is_file());
    assert_eq!(entries(&root).len(), 2, "{:?}", entries(&root));
}

#[test]
fn an_unpacking_that_dies_leaves_no_entry() {
    let local = Local::new();
    let python = local.fake_python("case \"$3\" in */tree) mkdir -p \"$3/lib\"; kill -9 $$;; esac");
    let killed = Fetch {
        python,
        ..local.fetch.clone()
    };
    assert!(matches!(
        fetch_error(&local, &killed),
        BuildError::Unpack { .. }
    ));
    local.fetch.tree_in(&local.cache()).unwrap();
}

#[test]
fn an_entry_that_was_damaged_is_replaced() {
    let local = Local::new();
    let tree = local.fetch.tree_in(&local.cache()).unwrap();
    fs::remove_file(tree.join("complete")).unwrap();
    fs::remove_dir_all(tree.join("lib")).unwrap();
    assert_eq!(local.fetch.tree_in(&local.cache()).unwrap(), tree);
    assert!(tree.join("lib/libOPENFHEpke.so").is_file());
}

#[test]
fn a_header_or_a_library_that_was_changed_in_the_cache_is_never_used() {
    let local = Local::new();
    let tree = local.fetch.tree_in(&local.cache()).unwrap();
    let pinned = Fetch {
        tree: Some(tree_hash(&tree).unwrap()),
        ..local.fetch.clone()
    };
    let (header, library) = ("include/openfhe/pke/openfhe.h", "lib/libOPENFHEpke.so.1");
    let original = fs::read(tree.join(header)).unwrap();
    for file in [header, library, "include/openfhe/pke/added.h"] {
        fs::write(tree.join(file), "changed").unwrap();
        assert_eq!(pinned.tree_in(&local.cache()).unwrap(), tree);
        let found = tree_hash(&tree).unwrap();
        assert_eq!(Some(found), pinned.tree, "{file} is as it was");
    }
    assert_eq!(fs::read(tree.join(header)).unwrap(), original);
    let other = Fetch {
        tree: Some(String::new()),
        ..local.fetch.clone()
    };
    let error = other.tree_in(&local.cache()).unwrap_err();
    assert!(matches!(error, BuildError::Unpack { .. }), "{error}");
}

#[test]
fn a_tampered_wheel_is_refused_by_pip() {
    let local = Local::new();
    let path = local
        .folder
        .path()
        .join("wheels/openfhe-1.4.2.0.22.4-py3-none-any.whl");
    write_wheel(&path, &WHEELS[0], &["openfhe/lib/libgomp.so".to_owned()]);
    let error = fetch_error(&local, &local.fetch);
    assert!(
        matches!(error, BuildError::WrongHash { .. }),
        "{error}\n{:?}",
        error.details()
    );
    assert!(error.to_string().contains("not the pinned one"));
}

#[test]
fn a_wheel_that_changed_after_pip_checked_it_is_refused() {
    let local = Local::new();
    let python = local.fake_python("case \"$3\" in */tree) for w in \"${3%tree}\"openfhe-*.whl; do echo >> \"$w\"; done;; esac");
    let fetch = Fetch {
        python,
        ..local.fetch.clone()
    };
    assert!(matches!(
        fetch_error(&local, &fetch),
        BuildError::WrongHash { .. }
    ));
}

#[test]
fn without_network_the_error_names_the_ways_out() {
    let local = Local::new();
    let fetch = Fetch {
        env: [
            ("PIP_CONFIG_FILE", "/dev/null"),
            ("PIP_INDEX_URL", "http://127.0.0.1:9/simple"),
            ("PIP_FIND_LINKS", ""),
            ("PIP_RETRIES", "1"),
            ("PIP_TIMEOUT", "2"),
        ]
        .map(|(key, value)| (key.into(), value.into()))
        .to_vec(),
        ..local.fetch.clone()
    };
    let error = fetch_error(&local, &fetch);
    assert!(
        matches!(error, BuildError::NoNetwork { .. }),
        "{error}\n{:?}",
        error.details()
    );
    let text = error.to_string();
    for way in [
        "network",
        "PIP_INDEX_URL",
        "PIP_FIND_LINKS",
        "openfhe==1.4.2.0.22.4",
    ] {
        assert!(text.contains(way), "{text}");
    }
}

#[test]
fn an_index_without_the_packages_is_told_apart_from_no_network() {
    let local = Local::new();
    let empty = local.folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let fetch = Fetch {
        env: offline(&empty),
        ..local.fetch.clone()
    };
    let error = fetch_error(&local, &fetch);
    assert!(
        matches!(error, BuildError::NotOnIndex { .. }),
        "{error}\n{:?}",
        error.details()
    );
}

#[test]
fn missing_tools_are_named_with_the_command_that_installs_them() {
    let local = Local::new();
    let with = |python: OsString| Fetch {
        python,
        ..local.fetch.clone()
    };
    let error = fetch_error(&local, &with("/nowhere/python3".into()));
    assert!(matches!(error, BuildError::PythonMissing { .. }));
    assert!(
        error
            .to_string()
            .contains("apt install python3 python3-pip")
    );

    let python =
        local.fake_python("[ \"$2\" = pip ] && { echo 'No module named pip' >&2; exit 1; }");
    let error = fetch_error(&local, &with(python));
    assert!(matches!(error, BuildError::PipMissing { .. }));
    assert!(error.to_string().contains("apt install python3-pip"));

    let python = local.fake_python("echo 'AssertionError: Python 3.6.9' >&2; exit 1");
    let error = fetch_error(&local, &with(python));
    assert!(
        matches!(&error, BuildError::PythonUnusable { found, .. } if found.contains("3.6.9")),
        "{error}"
    );

    let python = local.fake_python("echo 'glibc 2.31'; exit 0");
    assert!(matches!(
        fetch_error(&local, &with(python)),
        BuildError::OldLibc { .. }
    ));

    let error = Compiler::find(Some("/nowhere/c++".as_ref())).unwrap_err();
    assert!(error.to_string().contains("apt install g++"));
}

#[test]
fn only_platforms_of_the_published_libraries_are_taken() {
    let check = |target: &str, host: &str| {
        Platform {
            target: target.into(),
            host: host.into(),
        }
        .check()
    };
    assert!(check(LINUX, LINUX).is_ok());
    for target in [
        "aarch64-unknown-linux-gnu",
        "x86_64-apple-darwin",
        "x86_64-unknown-linux-musl",
        "x86_64-pc-windows-gnu",
    ] {
        let error = check(target, target).unwrap_err();
        assert!(matches!(error, BuildError::UnsupportedTarget { .. }));
        assert!(error.to_string().contains("OPENFHE_ROOT") && error.to_string().contains(target));
    }
    assert!(matches!(
        check(LINUX, "aarch64-unknown-linux-gnu"),
        Err(BuildError::CrossCompiling { .. })
    ));
    assert!(check_libc("glibc 2.34").is_ok() && check_libc("glibc 3.0").is_ok());
    for old in ["glibc 2.33", "glibc 2.4", "", "musl"] {
        assert!(
            matches!(check_libc(old), Err(BuildError::OldLibc { .. })),
            "{old}"
        );
    }
}

#[test]
fn an_unsupported_platform_is_refused_before_anything_is_fetched() {
    let local = Local::new();
    let cache = local.folder.path().join("cache");
    let mut inputs = inputs(&cache);
    inputs.platform.target = "riscv64gc-unknown-linux-gnu".into();
    let error = prepare(&inputs, &local.fetch).unwrap_err();
    assert!(matches!(error, BuildError::UnsupportedTarget { .. }));
    inputs.platform.target = "aarch64-apple-darwin".into();
    inputs.openfhe_root = Some("/opt/openfhe".into());
    let error = prepare(&inputs, &local.fetch).unwrap_err();
    assert!(matches!(error, BuildError::NotLinux { .. }));
    assert!(!cache.exists());
}

#[test]
fn the_cache_is_where_the_documentation_says() {
    let locate = |own: Option<&str>, xdg: Option<&str>, home: Option<&str>| {
        Cache::locate(
            own.map(str::as_ref),
            xdg.map(str::as_ref),
            home.map(str::as_ref),
        )
        .map(|cache| cache.root().to_str().unwrap().to_owned())
    };
    assert_eq!(
        locate(Some("/a/b"), Some("/x"), Some("/h")).unwrap(),
        "/a/b"
    );
    assert_eq!(
        locate(Some(""), Some("/x"), Some("/h")).unwrap(),
        "/x/cipherwatt"
    );
    assert_eq!(
        locate(None, Some("relative"), Some("/h")).unwrap(),
        "/h/.cache/cipherwatt"
    );
    assert!(matches!(locate(None, None, None), Err(BuildError::NoCache)));
    for path in ["relative", "/with:colon", "/with$ORIGIN"] {
        assert!(
            matches!(
                locate(Some(path), None, None),
                Err(BuildError::CachePath { .. })
            ),
            "{path}"
        );
    }
    // A file where the folder should be: no user, not even root, can write below it.
    let file = tempfile::NamedTempFile::new().unwrap();
    let cache = Cache::locate(Some(file.path().join("cache").as_os_str()), None, None).unwrap();
    assert!(matches!(cache.lock(), Err(BuildError::Cache { .. })));
}

#[test]
fn an_own_install_is_checked_before_it_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let problem = || match Install::own(root) {
        Err(BuildError::OwnInstall { problem, .. }) => problem,
        other => panic!("{other:?}"),
    };
    let write = |path: &str, content: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    assert!(problem().contains("no libOPENFHEpke.so"));
    write("lib64/libOPENFHEpke.so", "");
    assert!(problem().contains("openfhe.h"));
    write("include/openfhe/pke/openfhe.h", "");
    write(
        "include/openfhe/core/config_core.h",
        "#define NATIVEINT 128\n#define WITH_OPENMP\n",
    );
    assert!(problem().contains("NATIVE_SIZE=64"));
    write(
        "include/openfhe/core/config_core.h",
        "#define NATIVEINT 64\n/* #undef WITH_OPENMP */\n",
    );
    assert!(problem().contains("without OpenMP"));
    write(
        "include/openfhe/core/config_core.h",
        "#define NATIVEINT 64\n#define WITH_OPENMP\n",
    );
    write(
        "lib64/OpenFHE/OpenFHEConfigVersion.cmake",
        "set(PACKAGE_VERSION \"1.2.0\")\n",
    );
    assert!(problem().contains("1.2.0"));
    write(
        "lib64/OpenFHE/OpenFHEConfigVersion.cmake",
        "set(PACKAGE_VERSION \"1.4.2\")\n",
    );
    assert_eq!(
        Install::own(root).unwrap().lib,
        root.canonicalize().unwrap().join("lib64")
    );
    assert!(matches!(
        Install::own(&root.join("absent")),
        Err(BuildError::OwnInstall { .. })
    ));
}

#[test]
fn a_shim_that_does_not_compile_leaves_the_cache_as_it_was() {
    let local = Local::new();
    // The stand-in headers of the wheel are no C++.
    let install = Install::fetched(&local.fetch.tree_in(&local.cache()).unwrap()).unwrap();
    let compiler = Compiler::find(None).unwrap();
    let error = Shim::build(&local.cache(), &install, &compiler, false).unwrap_err();
    assert!(matches!(error, BuildError::Compile { .. }), "{error}");
    assert!(error.details().unwrap().contains("error"));
    assert!(
        entries(local.cache().root())
            .iter()
            .all(|name| !name.starts_with("shim"))
    );
}

fn inputs(cache: &Path) -> Inputs {
    Inputs {
        platform: Platform {
            target: LINUX.into(),
            host: LINUX.into(),
        },
        openfhe_root: None,
        cipherwatt_cache: Some(cache.into()),
        xdg_cache_home: None,
        home: None,
        cxx: None,
        serialisation: false,
    }
}
