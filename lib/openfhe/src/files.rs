//! New files of keys.

use std::fs::File;
use std::io;
use std::path::Path;

/// Writes a new file that only its owner can read: completely or not at all, and on the disk when this returns.
///
/// # Errors
/// It exists, cannot be written, or `fill` failed.
pub(crate) fn put_in_place(
    path: &Path,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Created with mode 0600, and removed again if anything below fails.
    let mut file = tempfile::Builder::new()
        .prefix(".key-")
        .tempfile_in(folder)?;
    fill(file.as_file_mut())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    // A new name in a folder is durable only after a sync of the folder.
    File::open(folder)?.sync_all()
}
