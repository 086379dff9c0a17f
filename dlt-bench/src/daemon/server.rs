//! One thread that accepts, reads, stores and counts.

use std::io::{self, Write};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};

use super::connection::{BUFFER_BYTES, Connection, Progress, Socket};
use super::listen::UnixSocket;
use super::stats::Stats;
use super::store::Store;

/// Connections at the same time; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 1000;
/// What was received is in the file at the latest after this long, in milliseconds.
const FLUSH_MS: u8 = 200;
/// After a round that read less than this, the next one waits a little: being woken by every small write would cost
/// the clients more than the write.
const LITTLE_BYTES: usize = 64 << 10;
const LITTLE: Duration = Duration::from_micros(200);
/// When it ends, clients that go on sending are read this often at most.
const LAST_READS: usize = 10_000;

/// What it serves.
#[derive(Debug)]
pub struct Server {
    /// The Unix socket, unless it does without.
    pub unix: Option<UnixSocket>,
    /// TCP, unless it does without.
    pub tcp: Option<TcpListener>,
    /// Where messages are stored, unless they are only counted.
    pub store: Option<Store>,
    signals: Signals,
}

/// Signals as flags, with a stream that wakes the server.
#[derive(Debug)]
struct Signals {
    end: Arc<AtomicBool>,
    say: Arc<AtomicBool>,
    wake: UnixStream,
}

impl Signals {
    fn install() -> io::Result<Self> {
        let (wake, waker) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let (end, say) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        for (signal, flag) in [(SIGINT, &end), (SIGTERM, &end), (SIGUSR1, &say)] {
            // The flag first: whoever is woken finds it set.
            signal_hook::flag::register(signal, Arc::clone(flag))?;
            signal_hook::low_level::pipe::register(signal, waker.try_clone()?)?;
        }
        Ok(Self { end, say, wake })
    }

    fn drain(&mut self) {
        let mut bytes = [0; 64];
        while io::Read::read(&mut self.wake, &mut bytes).is_ok_and(|n| n > 0) {}
    }
}

impl Server {
    /// Handles signals from here on, so that whoever is told that the daemon listens can end it in order.
    ///
    /// # Errors
    /// The system refuses signal handlers.
    pub fn new(unix: Option<UnixSocket>, tcp: Option<TcpListener>, store: Option<Store>) -> io::Result<Self> {
        Ok(Self { unix, tcp, store, signals: Signals::install()? })
    }

    /// Serves until SIGINT or SIGTERM. Statistics go to `out` at SIGUSR1 and at the end, troubles to `talk`.
    ///
    /// # Errors
    /// The system refuses `poll`.
    pub fn run(mut self, out: &mut dyn Write, talk: &mut dyn Write) -> io::Result<Stats> {
        let (mut stats, mut connections) = (Stats::default(), Vec::new());
        let mut buffer = vec![0; BUFFER_BYTES];
        while !self.signals.end.load(Relaxed) {
            self.wait(&connections)?;
            self.signals.drain();
            if self.signals.say.swap(false, Relaxed) {
                self.flush(&mut stats, talk);
                say(out, &stats);
            }
            self.accept(&mut connections, &mut stats);
            let bytes = self.receive(&mut connections, &mut buffer, &mut stats, talk);
            if bytes == 0 {
                self.flush(&mut stats, talk);
            } else if bytes < LITTLE_BYTES {
                std::thread::sleep(LITTLE);
            }
        }
        // What clients have sent until now is still taken.
        for _ in 0..LAST_READS {
            self.accept(&mut connections, &mut stats);
            if self.receive(&mut connections, &mut buffer, &mut stats, talk) == 0 {
                break;
            }
        }
        self.flush(&mut stats, talk);
        stats.open = connections.len() as u64;
        say(out, &stats);
        Ok(stats)
    }

    /// Waits until there is something to do.
    fn wait(&self, connections: &[Connection]) -> io::Result<()> {
        let mut fds = vec![PollFd::new(self.signals.wake.as_fd(), PollFlags::POLLIN)];
        if connections.len() < MAX_CONNECTIONS {
            fds.extend(self.unix.iter().map(|unix| PollFd::new(unix.listener.as_fd(), PollFlags::POLLIN)));
            fds.extend(self.tcp.iter().map(|tcp| PollFd::new(tcp.as_fd(), PollFlags::POLLIN)));
        }
        fds.extend(connections.iter().map(|client| PollFd::new(client.as_fd(), PollFlags::POLLIN)));
        match poll(&mut fds, PollTimeout::from(FLUSH_MS)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn accept(&self, connections: &mut Vec<Connection>, stats: &mut Stats) {
        while connections.len() < MAX_CONNECTIONS {
            let unix = self.unix.as_ref().map(|unix| unix.listener.accept());
            let socket = match unix {
                Some(Ok((socket, _))) => socket.set_nonblocking(true).map(|()| Socket::Unix(socket)),
                _ => match self.tcp.as_ref().map(TcpListener::accept) {
                    Some(Ok((socket, _))) => socket.set_nonblocking(true).map(|()| Socket::Tcp(socket)),
                    // Nobody is there, or there is no descriptor left: the client waits until there is.
                    _ => return,
                },
            };
            if let Ok(socket) = socket {
                stats.connections += 1;
                connections.push(Connection::new(socket));
            }
        }
    }

    /// Reads once from each client. Returns the number of bytes.
    fn receive(
        &mut self,
        connections: &mut Vec<Connection>,
        buffer: &mut [u8],
        stats: &mut Stats,
        talk: &mut dyn Write,
    ) -> usize {
        let mut bytes = 0;
        let store = &mut self.store;
        connections.retain_mut(|client| {
            let progress = client.receive(buffer, stats, |frame, whole, stats| {
                if let Some(store) = store
                    && let Err(failure) = store.message(frame, whole)
                {
                    not_stored(store, failure, stats, talk);
                }
            });
            match progress {
                Progress::Read(n) => bytes += n,
                Progress::Nothing => {}
                Progress::Closed => return false,
            }
            true
        });
        stats.open = connections.len() as u64;
        bytes
    }

    fn flush(&mut self, stats: &mut Stats, talk: &mut dyn Write) {
        if let Some(store) = &mut self.store
            && let Err(failure) = store.flush()
        {
            not_stored(store, failure, stats, talk);
        }
    }
}

/// Says it once; all are counted.
fn not_stored(store: &Store, (messages, error): (u64, io::Error), stats: &mut Stats, talk: &mut dyn Write) {
    if stats.not_stored == 0 {
        // If nobody reads it, the statistics still say it.
        let _ = writeln!(talk, "dlt-daemon: failed to write `{}`: {error}", store.path().display());
    }
    stats.not_stored += messages;
}

fn say(out: &mut dyn Write, stats: &Stats) {
    // A reader that has gone away is no reason to stop.
    let _ = write!(out, "{stats}").and_then(|()| out.flush());
}
