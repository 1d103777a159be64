//! Folders of state, which only their owner can enter.

use std::fs::{self, DirBuilder, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::folder_of;

/// Opens what is there and follows no link, and waits for nobody at the other end of a pipe.
const NO_LINK_NO_WAIT: i32 = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits() as i32;

/// The state folder of one process, `{state_dir}/{process}`; see [`private_folder`].
///
/// # Errors
/// Those of the operating system.
pub fn state_folder(state_dir: &Path, process: &str) -> io::Result<PathBuf> {
    let path = state_dir.join(process);
    private_folder(&path)?;
    Ok(path)
}

/// Creates a folder that only its owner can enter, and those above it, unless they exist. What others may do with one that
/// exists, and with what is in it, is taken from them: earlier versions, and some ways to restore a backup, leave it to them.
///
/// # Errors
/// Those of the operating system.
pub fn private_folder(path: &Path) -> io::Result<()> {
    make_folder(path)?;
    let changed = take_from_others(path)?;
    if changed > 0 {
        tracing::warn!(
            path = %path.display(),
            "others could use {changed} files or folders of this one: only their owner can from now on"
        );
    }
    Ok(())
}

/// Creates a folder that only its owner can enter, and those above it, unless they exist.
///
/// # Errors
/// Those of the operating system.
pub fn make_folder(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let above = folder_of(path);
    if !above.exists() {
        make_folder(above)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        // Another process has just made it.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made.and_then(|()| give_to_owner_of_folder(path)),
    }
}

/// What root makes in a service's folder is the service's: a command that is run as root beside a running operator leaves it files.
///
/// # Errors
/// Those of the operating system.
pub fn give_to_owner_of_folder(path: &Path) -> io::Result<()> {
    let folder = fs::metadata(folder_of(path))?;
    if !rustix::process::geteuid().is_root() || folder.uid() == 0 {
        return Ok(());
    }
    // The service may have put something of root's in its place: a link, or another name of a file elsewhere.
    let made = OpenOptions::new()
        .read(true)
        .custom_flags(NO_LINK_NO_WAIT)
        .open(path)?;
    let of = made.metadata()?;
    if of.uid() != 0 || (of.is_file() && of.nlink() > 1) {
        return Err(io::Error::other(format!(
            "{} is not what was just made",
            path.display()
        )));
    }
    fchown(made, Some(folder.uid()), Some(folder.gid()))
}

/// How many files and folders, this one and all below it, were open to others.
fn take_from_others(path: &Path) -> io::Result<usize> {
    let metadata = fs::symlink_metadata(path)?;
    let mut changed = usize::from(make_private(path, &metadata)?);
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            changed += take_from_others(&entry?.path())?;
        }
    }
    Ok(changed)
}

/// Whether others could use the file or folder; only its owner can from now on. A link is left alone.
pub(crate) fn make_private(path: &Path, metadata: &Metadata) -> io::Result<bool> {
    let mode = metadata.permissions().mode() & 0o777;
    if metadata.is_symlink() || mode & 0o077 == 0 {
        return Ok(false);
    }
    fs::set_permissions(path, Permissions::from_mode(mode & 0o700))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::super::{PRIVATE, write_atomic};
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn what_root_makes_in_a_folder_of_a_service_is_the_services() {
        let folder = tempfile::tempdir().unwrap();
        let own = fs::metadata(folder.path()).unwrap().uid();
        // Only root can give a folder away; for others it stays theirs.
        let service = if own == 0 { 61_184 } else { own };
        std::os::unix::fs::chown(folder.path(), Some(service), None).unwrap();
        let (inner, deep) = (folder.path().join("a"), folder.path().join("a/approved"));
        make_folder(&deep).unwrap();
        write_atomic(&deep.join("file"), b"", PRIVATE).unwrap();
        let owners =
            [&inner, &deep, &deep.join("file")].map(|path| fs::metadata(path).unwrap().uid());
        assert_eq!(owners, [service; 3]);
        if own == 0 {
            // Another name of a file of root's.
            let (secret, name) = (folder.path().join("secret"), folder.path().join("a/name"));
            fs::write(&secret, "").unwrap();
            fs::hard_link(&secret, &name).unwrap();
            give_to_owner_of_folder(&name).unwrap_err();
            std::os::unix::fs::symlink(&secret, deep.join("link")).unwrap();
            give_to_owner_of_folder(&deep.join("link")).unwrap_err();
            assert_eq!(fs::metadata(&secret).unwrap().uid(), 0);
        }
    }

    #[test]
    fn state_folders_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = state_folder(&folder.path().join("state"), "gateway-1").unwrap();
        assert_eq!(mode(&path), 0o700);
        state_folder(&folder.path().join("state"), "gateway-1").unwrap();
    }

    #[test]
    fn what_others_could_use_in_a_state_folder_is_theirs_no_more_once_a_process_starts() {
        let folder = tempfile::tempdir().unwrap();
        let path = state_folder(folder.path(), "gateway-1").unwrap();
        let (inner, file) = (path.join("inner"), path.join("inner/outbox.redb"));
        fs::create_dir(&inner).unwrap();
        fs::write(&file, "").unwrap();
        for (path, mode) in [(&path, 0o755), (&inner, 0o777), (&file, 0o644)] {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        let outside = folder.path().join("outside");
        fs::write(&outside, "").unwrap();
        fs::set_permissions(&outside, Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::symlink(&outside, path.join("link")).unwrap();
        state_folder(folder.path(), "gateway-1").unwrap();
        assert_eq!(
            [&path, &inner, &file].map(|path| mode(path)),
            [0o700, 0o700, 0o600]
        );
        assert_eq!(mode(&outside), 0o644, "a link leads out of the folder");
    }
}
