//! What is in a folder, as one hash.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// SHA-256, in hex, over the path and the content of every file below `tree`, and where its links lead, in the order of
/// their paths.
pub(crate) fn tree_hash(tree: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    list(tree, &mut files)?;
    files.sort();
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    for file in files {
        let name = file.strip_prefix(tree).unwrap_or(&file);
        add(name.as_os_str().as_encoded_bytes());
        match fs::read_link(&file) {
            Ok(target) => add(target.as_os_str().as_encoded_bytes()),
            Err(_) => add(&fs::read(&file)?),
        }
    }
    Ok(hex(&hash.finalize()))
}

/// Files and links below `folder`.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => list(&entry.path(), files)?,
            false => files.push(entry.path()),
        }
    }
    Ok(())
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
