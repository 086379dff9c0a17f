//! `dlt-daemon`: takes framed DLT on a Unix socket and on loopback TCP, stores it in a `.dlt` file or only counts it.

use std::io::{Write, stderr, stdout};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use dlt_bench::daemon::address;
use dlt_bench::daemon::listen::{UnixSocket, bind_tcp};
use dlt_bench::daemon::server::Server;
use dlt_bench::daemon::store::Store;
use dlt_bench::error::Error;
use dlt_bench::exit_code::ExitCode;

const AFTER_HELP: &str = "\
It prints its statistics to standard output at SIGUSR1 and at the end, and ends at SIGINT (Ctrl-C) or SIGTERM: what was
received is in the file then, and the socket is gone.

Examples:
  dlt-daemon &                                  counts
  dlt-daemon --output trace.dlt                 stores
  dlt-daemon & sleep 2; dlt-bench -c quick --sink daemon; kill %1

Exit codes: 0 ended in order, 1 messages could not be stored, 2 usage, or an output that cannot be written, 4 cannot
listen (the message says why)";

/// Takes framed DLT on a Unix socket and on loopback TCP; stores it in a .dlt file or only counts it.
#[derive(Debug, Parser)]
#[command(name = "dlt-daemon", version, about, after_help = AFTER_HELP)]
struct Cli {
    /// Unix socket; default: dlt-daemon.sock in $XDG_RUNTIME_DIR, else in /tmp
    #[arg(long, value_name = "PATH", conflicts_with = "no_unix")]
    unix: Option<PathBuf>,
    /// Does without a Unix socket
    #[arg(long, conflicts_with = "no_tcp")]
    no_unix: bool,
    /// TCP address
    #[arg(long, value_name = "IP:PORT", default_value = address::DEFAULT_TCP, conflicts_with = "no_tcp")]
    tcp: SocketAddr,
    /// Does without TCP
    #[arg(long)]
    no_tcp: bool,
    /// Accepts an address of --tcp that other machines can reach; whoever can connect can write
    #[arg(long)]
    allow_remote: bool,
    /// Appends messages to this file, with storage headers; without it they are only counted
    #[arg(long, value_name = "FILE.dlt")]
    output: Option<PathBuf>,
}

fn main() -> std::process::ExitCode {
    match serve(Cli::parse()) {
        Ok(code) => code.into(),
        Err(error) => {
            let _ = writeln!(stderr(), "error: {error}");
            error.exit_code().into()
        }
    }
}

fn serve(cli: Cli) -> Result<ExitCode, Error> {
    let Cli { unix, no_unix, tcp, no_tcp, allow_remote, output } = cli;
    let open = |path: PathBuf| {
        Store::open(&path).map_err(|error| {
            Error::usage(format!("failed to open `{}` of --output for writing: {error}", path.display()))
                .with_hint("choose a path that can be written")
        })
    };
    let tcp = if no_tcp { None } else { Some(bind_tcp(tcp, allow_remote)?) };
    let unix = if no_unix {
        None
    } else {
        Some(UnixSocket::bind(&unix.unwrap_or_else(address::default_unix_path))?)
    };
    let store = output.map(open).transpose()?;
    let mut places = Vec::new();
    places.extend(unix.iter().map(|unix| format!("Unix socket `{}`", unix.path().display())));
    places.extend(tcp.iter().filter_map(|tcp| tcp.local_addr().ok()).map(|address| format!("TCP {address}")));
    let failed = |error: std::io::Error| Error::cannot_run(format!("failed to serve: {error}"));
    let server = Server::new(unix, tcp, store).map_err(failed)?;
    let _ = writeln!(stderr(), "dlt-daemon: listening at {}", places.join(" and "));
    let stats = server.run(&mut stdout(), &mut stderr()).map_err(failed)?;
    Ok(if stats.not_stored > 0 { ExitCode::Violation } else { ExitCode::Pass })
}
