//! Where the daemon listens and the benchmark looks for it.

use std::path::{Path, PathBuf};

/// TCP address on which clients of a DLT daemon expect it (port: `DLT_DAEMON_TCP_PORT` of `dlt_protocol.h`).
pub const DEFAULT_TCP: &str = "127.0.0.1:3490";
/// Name of the Unix socket.
const SOCKET_NAME: &str = "dlt-daemon.sock";

/// `$XDG_RUNTIME_DIR/dlt-daemon.sock` where there is such a folder, else `/tmp/dlt-daemon.sock`.
pub fn default_unix_path() -> PathBuf {
    unix_path_in(std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from))
}

fn unix_path_in(runtime: Option<PathBuf>) -> PathBuf {
    runtime.filter(|folder| folder.is_dir()).unwrap_or_else(|| Path::new("/tmp").into()).join(SOCKET_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_runtime_folder_it_is_in_tmp() {
        assert_eq!(unix_path_in(None), Path::new("/tmp/dlt-daemon.sock"));
        assert_eq!(unix_path_in(Some("/no/such/folder".into())), Path::new("/tmp/dlt-daemon.sock"));
        assert_eq!(unix_path_in(Some("/proc".into())), Path::new("/proc/dlt-daemon.sock"));
    }
}
