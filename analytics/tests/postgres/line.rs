//! A line to a server, which can be cut and says how much went over it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

#[derive(Default)]
struct Carried {
    ends: Mutex<Vec<TcpStream>>,
    /// Bytes to the server, and from it.
    bytes: [AtomicU64; 2],
}

pub(crate) struct Line {
    carried: Arc<Carried>,
    pub(crate) port: u16,
}

impl Line {
    /// A line that leads to this port of loopback. It listens as long as the process lives.
    pub(crate) fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let carried = Arc::new(Carried::default());
        let shared = carried.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else {
                    continue;
                };
                for (number, (from, to)) in [(&client, &server), (&server, &client)]
                    .into_iter()
                    .enumerate()
                {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let shared = shared.clone();
                    thread::spawn(move || carry(from, to, &shared.bytes[number]));
                }
                shared.ends.lock().unwrap().extend([client, server]);
            }
        });
        Self { carried, port }
    }

    /// Ends every connection; what was sent arrives.
    pub(crate) fn cut(&self) {
        for end in self.carried.ends.lock().unwrap().drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// Bytes that went to the server.
    pub(crate) fn sent(&self) -> u64 {
        self.carried.bytes[0].load(Ordering::Relaxed)
    }

    /// Bytes that came from the server.
    pub(crate) fn received(&self) -> u64 {
        self.carried.bytes[1].load(Ordering::Relaxed)
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, bytes: &AtomicU64) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
        bytes.fetch_add(count as u64, Ordering::Relaxed);
    }
    let _ = to.shutdown(Shutdown::Write);
}
