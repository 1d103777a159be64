//! Lines on standard input, a FIFO or a socket.
//!
//! Only a socket answers. Of the other two, what was read and is not on disk is lost with a kill, and so is what the pipe held: whoever
//! cannot send again uses a socket.

use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use service::stop::Stop;
use service::warn_limited;
use tokio::net::UnixListener;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

use super::text::{Lines, answered};
use super::{LiveError, PARCEL, Parcels, socket};

/// Most sockets that are connected at the same time; others wait.
const CONNECTIONS: usize = 64;

/// Begins to read lines from `place`.
pub(super) fn begin(place: &str, parcels: Parcels, stop: &Stop) -> Result<(), LiveError> {
    let stop = stop.clone();
    if place == "-" {
        tracing::info!("reading live readings from standard input");
        let lines = standard_input();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.stopped() => {}
                () = pass_on(lines, &parcels) => {
                    tracing::warn!("standard input has ended: no more live readings come");
                }
            }
        });
    } else if let Some(path) = place.strip_prefix("unix:") {
        let listener = listen(place, Path::new(path))?;
        tracing::info!(path, "waiting for live readings on a socket");
        tokio::spawn(accept(listener, parcels, stop));
    } else {
        let fifo = fifo(place)?;
        tracing::info!(path = place, "reading live readings from a FIFO");
        tokio::spawn(async move {
            tokio::select! {
                () = stop.stopped() => {}
                () = pass_on(pieces_of(fifo), &parcels) => {}
            }
        });
    }
    Ok(())
}

/// Pieces of standard input. A thread of its own reads them, since a read of it cannot be given up: the process ends without it.
fn standard_input() -> mpsc::Receiver<Vec<u8>> {
    let (pieces, received) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut piece = vec![0; 1 << 16];
        loop {
            match input.read(&mut piece) {
                Ok(length @ 1..) => {
                    if pieces.blocking_send(piece[..length].to_vec()).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return,
            }
        }
    });
    received
}

/// Pieces of a FIFO, whose writers come and go.
fn pieces_of(fifo: pipe::Receiver) -> mpsc::Receiver<Vec<u8>> {
    let (pieces, received) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut piece = vec![0; 1 << 16];
        while fifo.readable().await.is_ok() && !pieces.is_closed() {
            match fifo.try_read(&mut piece) {
                Ok(length @ 1..) => {
                    if pieces.send(piece[..length].to_vec()).await.is_err() {
                        return;
                    }
                }
                Ok(0) | Err(_) => tokio::task::yield_now().await,
            }
        }
    });
    received
}

/// Reads lines from pieces until there are no more, and says of those that are refused why.
async fn pass_on(mut pieces: mpsc::Receiver<Vec<u8>>, parcels: &Parcels) {
    let mut lines = Lines::default();
    while let Some(piece) = pieces.recv().await {
        let mut read = lines.take(&piece);
        while !read.is_empty() {
            let rest = read.split_off(read.len().min(PARCEL));
            if answered(read, parcels).await.is_none() {
                return;
            }
            read = rest;
        }
    }
}

fn fifo(place: &str) -> Result<pipe::Receiver, LiveError> {
    let wrong = |problem| LiveError::Place {
        place: place.to_owned(),
        problem,
    };
    let found = std::fs::metadata(place).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            wrong("there is none: make it with `mkfifo`, or write unix: before the path")
        }
        _ => LiveError::Open {
            place: place.to_owned(),
            error,
        },
    })?;
    if !found.file_type().is_fifo() {
        return Err(wrong(
            "it is not a FIFO: make one with `mkfifo`; a file is read with meter.source = \"replay\"",
        ));
    }
    // Open for writing, too, a FIFO does not end when its last writer goes.
    let opened = pipe::OpenOptions::new()
        .read_write(true)
        .open_receiver(place);
    opened.map_err(|error| LiveError::Open {
        place: place.to_owned(),
        error,
    })
}

/// A socket that only this user may write to. One that a process left which was killed makes way.
fn listen(place: &str, path: &Path) -> Result<UnixListener, LiveError> {
    let open = |error| LiveError::Open {
        place: place.to_owned(),
        error,
    };
    if let Ok(found) = std::fs::symlink_metadata(path) {
        let problem = match found.file_type().is_socket() {
            false => Some("there is something else than a socket: remove it, or name another path"),
            true if std::os::unix::net::UnixStream::connect(path).is_ok() => {
                Some("another process listens there: name another path")
            }
            true => None,
        };
        if let Some(problem) = problem {
            let place = place.to_owned();
            return Err(LiveError::Place { place, problem });
        }
        std::fs::remove_file(path).map_err(open)?;
    }
    let listener = UnixListener::bind(path).map_err(open)?;
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, private).map_err(open)?;
    Ok(listener)
}

async fn accept(listener: UnixListener, parcels: Parcels, stop: Stop) {
    let mut connected = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            () = stop.stopped() => return,
            Some(_) = connected.join_next() => {}
            accepted = listener.accept(), if connected.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connected.spawn(socket::serve(stream, parcels.clone()));
                }
                Err(error) => {
                    warn_limited!("cannot accept a connection for live readings: {error}");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_that_cannot_be_used_is_named_with_the_mend() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let path = file.display().to_string();
        for (place, said) in [
            (format!("{path}-not"), "mkfifo"),
            (path.clone(), "it is not a FIFO"),
            (format!("unix:{path}"), "something else than a socket"),
        ] {
            let (parcels, _received) = mpsc::channel(1);
            let (_handle, stop) = Stop::manual();
            let error = begin(&place, parcels, &stop).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
            assert!(error.contains(&place), "{error}");
        }
    }

    #[tokio::test]
    async fn a_socket_that_was_left_makes_way_and_one_that_is_listened_on_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let listener = listen("unix:socket", &path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let error = listen("unix:socket", &path).unwrap_err().to_string();
        assert!(error.contains("another process listens"), "{error}");
        drop(listener);
    }
}
