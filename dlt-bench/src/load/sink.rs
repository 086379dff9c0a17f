//! Where frames go, and whether that can be reached before any case runs.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::collector::Collector;
use crate::daemon::address;
use crate::error::Error;

/// A file sink's row ends early at this size: 2 GiB are 29 million messages.
pub const FILE_LIMIT_BYTES: u64 = 2 << 30;
/// A file begins with the pattern of a storage header (PRS "Storage Header").
const STORAGE_PATTERN: &[u8] = b"DLT\x01";

/// What the user chose.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SinkChoice {
    /// The embedded receiver, which checks every frame.
    #[default]
    Collector,
    /// `/dev/null`.
    Null,
    /// A file, begun anew for every row and checked afterwards.
    File(PathBuf),
    /// A Unix socket that somebody listens on.
    Unix(PathBuf),
    /// The daemon of this project: a Unix socket …
    DaemonUnix(PathBuf),
    /// … or a TCP port.
    DaemonTcp(SocketAddr),
}

impl SinkChoice {
    /// Reads `collector`, `null`, `file:PATH`, `unix:PATH`, `daemon` or `daemon:ADDR`.
    ///
    /// # Errors
    /// What is accepted instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (kind, rest) = text.split_once(':').map_or((text, None), |(kind, rest)| (kind, Some(rest)));
        match (kind, rest) {
            ("collector", None) => Ok(Self::Collector),
            ("null", None) => Ok(Self::Null),
            ("file", Some(path)) if !path.is_empty() => Ok(Self::File(path.into())),
            ("unix", Some(path)) if !path.is_empty() => Ok(Self::Unix(path.into())),
            ("daemon", None) => Ok(Self::DaemonUnix(address::default_unix_path())),
            ("daemon", Some(path)) if path.starts_with('/') => Ok(Self::DaemonUnix(path.into())),
            ("daemon", Some(address)) => match address.parse() {
                Ok(address) => Ok(Self::DaemonTcp(address)),
                Err(_) => Err(format!(
                    "`{text}`: `{address}` is no daemon address: a socket's absolute path or IP:PORT is, e.g. \
                     daemon:{}",
                    address::DEFAULT_TCP
                )),
            },
            _ => Err(format!(
                "sink `{text}` is not known: collector, null, file:PATH, unix:PATH, daemon or daemon:ADDR are"
            )),
        }
    }

    /// Its name in reports.
    pub fn name(&self) -> String {
        match self {
            Self::Collector => "collector".to_owned(),
            Self::Null => "null".to_owned(),
            Self::File(path) => format!("file:{}", path.display()),
            Self::Unix(path) => format!("unix:{}", path.display()),
            Self::DaemonUnix(path) => format!("daemon:{}", path.display()),
            Self::DaemonTcp(address) => format!("daemon:{address}"),
        }
    }

    /// Why what was delivered cannot be verified; `None` if it is.
    pub const fn unverified_because(&self) -> Option<&'static str> {
        match self {
            Self::Collector | Self::File(_) => None,
            Self::Null => Some("accepted by the kernel, not verified: /dev/null has no receiver"),
            Self::Unix(_) => Some("accepted by the kernel, not verified: the receiver is another program"),
            Self::DaemonUnix(_) | Self::DaemonTcp(_) => Some(
                "accepted by the kernel, not verified here: compare with the counts that dlt-daemon prints",
            ),
        }
    }

    /// Sees whether it can be used. Leaves nothing behind.
    ///
    /// # Errors
    /// A file that cannot be written or is no DLT file; a socket that nobody listens on.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Self::Collector | Self::Null => Ok(()),
            Self::File(path) => check_file(path),
            Self::Unix(path) => {
                let connected = UnixStream::connect(path);
                connected.map(drop).map_err(|error| {
                    Error::cannot_run(format!(
                        "failed to connect to Unix socket `{}`: {error}",
                        path.display()
                    ))
                    .with_hint("start the program that listens there, or use --sink collector")
                })
            }
            Self::DaemonUnix(path) => UnixStream::connect(path)
                .map(drop)
                .map_err(|error| no_daemon(&format!("Unix socket `{}`", path.display()), &error, "")),
            Self::DaemonTcp(address) => {
                let connected = TcpStream::connect_timeout(address, Duration::from_secs(2));
                let option = format!(" --tcp {address}");
                connected.map(drop).map_err(|error| no_daemon(&format!("TCP {address}"), &error, &option))
            }
        }
    }
}

fn no_daemon(place: &str, error: &std::io::Error, option: &str) -> Error {
    let reason = match error.kind() {
        // No socket there: for the user the same as a socket that nobody listens on.
        ErrorKind::NotFound => "connection refused: there is no such socket".to_owned(),
        ErrorKind::ConnectionRefused => "connection refused: nobody listens there".to_owned(),
        _ => error.to_string(),
    };
    Error::cannot_run(format!("no dlt-daemon at {place}: {reason}")).with_hint(format!(
        "start it with `./target/release/dlt-daemon{option} &`, or leave --sink out: the embedded collector needs \
         nothing to be started"
    ))
}

fn check_file(path: &Path) -> Result<(), Error> {
    let refused = |error: std::io::Error| {
        Error::usage(format!("failed to open sink file `{}` for writing: {error}", path.display()))
            .with_hint("choose a path that can be written")
    };
    let existed = path.exists();
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(refused)?;
    if !existed {
        return std::fs::remove_file(path).map_err(refused);
    }
    let mut start = [0; STORAGE_PATTERN.len()];
    let is_regular = file.metadata().is_ok_and(|meta| meta.is_file() && meta.len() > 0);
    if is_regular && (file.read_exact(&mut start).is_err() || start != *STORAGE_PATTERN) {
        return Err(Error::usage(format!(
            "`{}` exists and is no DLT file: it is not overwritten",
            path.display()
        ))
        .with_hint("choose another path for --sink file:"));
    }
    Ok(())
}

/// What a logger writes to.
#[derive(Debug)]
pub(crate) enum Endpoint {
    /// `/dev/null`.
    Null,
    /// A file, appended to.
    File(PathBuf),
    /// A Unix socket.
    Unix(PathBuf),
    /// A TCP port.
    Tcp(SocketAddr),
    /// Connected streams, one for each worker.
    Streams(Vec<OwnedFd>),
}

/// A sink ready for one run.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) endpoint: Endpoint,
    pub(crate) collector: Option<Collector>,
    /// To be checked afterwards.
    pub(crate) file: Option<PathBuf>,
}

/// Opens the sink for a logger with this many streams.
pub(crate) fn open(choice: &SinkChoice, streams: usize) -> Result<Opened, Error> {
    let (mut collector, mut file) = (None, None);
    let endpoint = match choice {
        SinkChoice::Null => Endpoint::Null,
        SinkChoice::Unix(path) | SinkChoice::DaemonUnix(path) => Endpoint::Unix(path.clone()),
        SinkChoice::DaemonTcp(address) => Endpoint::Tcp(*address),
        SinkChoice::File(path) => {
            begin_anew(path)?;
            file = Some(path.clone());
            Endpoint::File(path.clone())
        }
        SinkChoice::Collector => {
            let (started, ends) = Collector::start(streams)
                .map_err(|error| Error::failed(format!("failed to start the collector: {error}")))?;
            collector = Some(started);
            Endpoint::Streams(ends)
        }
    };
    Ok(Opened { endpoint, collector, file })
}

/// Empties a regular file; a device or a pipe has nothing to empty.
fn begin_anew(path: &Path) -> Result<(), Error> {
    let emptied = || {
        let file = File::options().append(true).create(true).open(path)?;
        if file.metadata()?.is_file() { file.set_len(0) } else { Ok(()) }
    };
    emptied()
        .map_err(|error| Error::failed(format!("failed to empty sink file `{}`: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sinks_by_name() {
        let parse = SinkChoice::parse;
        assert_eq!(parse("collector"), Ok(SinkChoice::Collector));
        assert_eq!(parse("null"), Ok(SinkChoice::Null));
        assert_eq!(parse("file:/tmp/a:b"), Ok(SinkChoice::File("/tmp/a:b".into())));
        assert_eq!(parse("unix:x"), Ok(SinkChoice::Unix("x".into())));
        assert_eq!(parse("daemon:/run/d"), Ok(SinkChoice::DaemonUnix("/run/d".into())));
        assert_eq!(parse("daemon:[::1]:3490"), Ok(SinkChoice::DaemonTcp("[::1]:3490".parse().unwrap())));
        assert!(matches!(parse("daemon"), Ok(SinkChoice::DaemonUnix(_))));
        for bad in ["", "nul", "file", "file:", "unix:", "null:x", "daemon:", "daemon:localhost"] {
            let error = parse(bad).unwrap_err();
            assert!(error.contains(bad), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_no_dlt_file_is_not_overwritten() {
        let path = std::env::temp_dir().join(format!("dlt-bench-check-{}", std::process::id()));
        std::fs::write(&path, "precious").unwrap();
        let error = SinkChoice::File(path.clone()).check().unwrap_err();
        assert_eq!(error.exit_code(), crate::exit_code::ExitCode::Usage);
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        std::fs::write(&path, b"DLT\x01....").unwrap();
        assert!(SinkChoice::File(path.clone()).check().is_ok());
        std::fs::remove_file(&path).unwrap();
        assert!(SinkChoice::File(path.clone()).check().is_ok());
        assert!(!path.exists(), "the check leaves nothing behind");
    }
}
