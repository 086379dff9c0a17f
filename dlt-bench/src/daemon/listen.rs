//! The daemon's sockets.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// A Unix socket; its file is removed with it.
#[derive(Debug)]
pub struct UnixSocket {
    /// The socket.
    pub listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file, so that nobody else's is removed.
    file: Option<(u64, u64)>,
}

impl UnixSocket {
    /// Listens at `path`. A file that a killed daemon left is replaced.
    ///
    /// # Errors
    /// Somebody listens there, the file is no socket, or the system refuses it.
    pub fn bind(path: &Path) -> Result<Self, Error> {
        remove_stale(path)?;
        let bound = UnixListener::bind(path).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        let listener = bound.map_err(|error| {
            Error::cannot_run(format!("failed to listen at Unix socket `{}`: {error}", path.display()))
                .with_hint("choose another path with --unix")
        })?;
        Ok(Self { listener, path: path.to_owned(), file: identity(path) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if self.file.is_some() && identity(&self.path) == self.file {
            // The next daemon replaces it if this fails.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let meta = std::fs::symlink_metadata(path).ok()?;
    Some((meta.dev(), meta.ino()))
}

fn remove_stale(path: &Path) -> Result<(), Error> {
    let Ok(meta) = std::fs::symlink_metadata(path) else { return Ok(()) };
    let shown = path.display();
    if !meta.file_type().is_socket() {
        return Err(Error::usage(format!("`{shown}` exists and is no socket: it is not replaced"))
            .with_hint("choose another path with --unix"));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|error| {
                Error::cannot_run(format!("failed to remove the stale socket `{shown}`: {error}"))
            })
        }
        Err(error) => Err(Error::cannot_run(format!("`{shown}` exists and cannot be tried: {error}"))
            .with_hint("choose another path with --unix")),
        Ok(_) => Err(Error::cannot_run(format!(
            "somebody already listens at `{shown}`, most likely another dlt-daemon"
        ))
        .with_hint("stop it, or choose another path with --unix")),
    }
}

/// Listens on TCP.
///
/// # Errors
/// The address is not of the loopback interface and `allow_remote` is not set, the port is taken, or the system refuses
/// it.
pub fn bind_tcp(address: SocketAddr, allow_remote: bool) -> Result<TcpListener, Error> {
    if !address.ip().is_loopback() && !allow_remote {
        return Err(Error::usage(format!("--tcp {address} would listen to other machines"))
            .with_hint("use a loopback address such as 127.0.0.1:3490, or say --allow-remote"));
    }
    let bind = || -> io::Result<TcpListener> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    bind().map_err(|error| {
        let text = format!("failed to listen on TCP {address}: {error}");
        if error.kind() == ErrorKind::AddrInUse {
            Error::cannot_run(text).with_hint(
                "the port is taken, most likely by another DLT daemon: stop that, choose another with --tcp, or \
                 do without with --no-tcp",
            )
        } else {
            Error::cannot_run(text).with_hint("choose another address with --tcp, or do without with --no-tcp")
        }
    })
}
