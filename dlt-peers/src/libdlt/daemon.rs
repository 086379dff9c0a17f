//! COVESA's `dlt-daemon`, on loopback only, with a configuration and a folder of its own.
//!
//! Its stock configuration listens on all interfaces and multicasts every message: it is never used.
#![expect(unsafe_code, reason = "the daemon ends with this process, which only the kernel can promise")]

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Unavailable;

/// Its file name.
const PROGRAM: &str = "dlt-daemon";
/// What to do when it is not there. Where services are started on installation, its would be, as it is delivered.
pub(super) const INSTALL: &str = "apt-get install libdlt2 dlt-daemon (then `systemctl disable --now dlt-daemon`: its own service listens on all interfaces)";
/// How it says that it is COVESA's: this project has a program of the same name.
const MARK: &str = "DLT Package Version";
/// It starts, or ends, within this.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// Messages are written to its files (`DLT_USER_MODE_INTERNAL`), and to clients.
const RUNTIME: &str = "LoggingMode = 3\n";
/// A file of the trace is not cut before this; all are not longer than the second, and of that the oldest is removed.
const FILE_BYTES: u32 = 2_000_000_000;
const ALL_BYTES: u32 = 2_100_000_000;

/// It runs.
#[derive(Debug)]
pub(super) struct Daemon {
    child: Child,
    folder: PathBuf,
    /// It writes to a trace.
    has_trace: bool,
}

impl Daemon {
    /// Starts it in this folder, which is made, and removed at the end.
    pub(super) fn start(folder: PathBuf, has_trace: bool) -> Result<Self, Unavailable> {
        let program = find().ok_or_else(|| Unavailable::NotInstalled(INSTALL.into()))?;
        let made = |error| Unavailable::failed(format!("failed to lay out `{}`: {error}", folder.display()));
        let trace = folder.join("trace");
        fs::create_dir_all(&trace).map_err(made)?;
        let settings = folder.join("dlt.conf");
        fs::write(&settings, configuration(&folder, has_trace.then_some(&trace))).map_err(made)?;
        fs::write(folder.join("dlt-runtime.cfg"), RUNTIME).map_err(made)?;
        let words = File::create(folder.join("words")).map_err(made)?;
        let port = free_port().map_err(made)?;
        let mut command = Command::new(program);
        command.arg("-t").arg(&folder).arg("-p").arg(port.to_string()).arg("-c").arg(&settings);
        command.stdin(Stdio::null()).stdout(words.try_clone().map_err(made)?).stderr(words);
        // SAFETY: between fork and exec it makes one system call.
        unsafe { command.pre_exec(|| set_pdeathsig(Signal::SIGTERM).map_err(Into::into)) };
        let child = command.spawn().map_err(made)?;
        let mut daemon = Self { child, folder, has_trace };
        let pipe = daemon.folder.join("dlt");
        let is_pipe = |path: &Path| path.metadata().is_ok_and(|data| data.file_type().is_fifo());
        if daemon.wait_for(|_| is_pipe(&pipe)) {
            return Ok(daemon);
        }
        let words = fs::read_to_string(daemon.folder.join("words")).unwrap_or_default();
        Err(Unavailable::failed(format!("{PROGRAM} does not start: {}", words.trim())))
    }

    /// False: it has ended, or the time is over.
    fn wait_for(&mut self, mut is_so: impl FnMut(&mut Self) -> bool) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let has_ended = self.has_ended();
            if is_so(self) {
                return true;
            }
            if has_ended {
                return false;
            }
            std::thread::sleep(LOOK);
        }
        false
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Bytes in its files.
    pub(super) fn written(&self) -> u64 {
        self.files().iter().filter_map(|path| path.metadata().ok()).map(|data| data.len()).sum()
    }

    /// The file that it begins with, once something has reached it.
    pub(super) fn first_file(&self) -> PathBuf {
        self.folder.join("trace").join("dlt_offlinetrace.0000000001.dlt")
    }

    /// Its files, oldest first.
    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.join("trace")).into_iter().flatten().flatten();
        let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
        files.sort();
        files
    }

    /// Ends it, and appends what it has written to this file.
    pub(super) fn finish(mut self, sink: &Path) -> io::Result<()> {
        self.end();
        if !self.has_trace {
            return Ok(());
        }
        let files = self.files();
        if let [file] = &files[..]
            && sink.metadata().map_or(true, |data| data.len() == 0)
        {
            return fs::rename(file, sink);
        }
        let mut sink = File::options().append(true).create(true).open(sink)?;
        files.iter().try_for_each(|file| io::copy(&mut File::open(file)?, &mut sink).map(drop))
    }

    fn end(&mut self) {
        if self.has_ended() {
            return;
        }
        // It has not been waited for, so that the number is still its own.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        if !self.wait_for(Self::has_ended) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
        // Left behind, it does no harm.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn configuration(folder: &Path, trace: Option<&PathBuf>) -> String {
    let folder = folder.display();
    let trace = trace.map_or_else(String::new, |trace| {
        let trace = trace.display();
        format!(
            "OfflineTraceDirectory = {trace}\nOfflineTraceFileSize = {FILE_BYTES}\nOfflineTraceMaxSize = {ALL_BYTES}\n\
             OfflineTraceFileNameTimestampBased = 0\n"
        )
    });
    format!(
        "BindAddress = ::ffff:127.0.0.1\nUDPConnectionSetup = 0\nSendContextRegistration = 1\nECUId = ECU1\nLoggingMode = 3\n\
         LoggingLevel = 3\nTimeOutOnSend = 4\nRingbufferMinSize = 500000\nRingbufferMaxSize = 10000000\n\
         RingbufferStepSize = 500000\nControlSocketPath = {folder}/control\nPersistanceStoragePath = {folder}\n{trace}"
    )
}

/// The first of this name that is COVESA's.
fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(PROGRAM)).find(|program| {
        let output = Command::new(program).arg("-h").stdin(Stdio::null()).output();
        output.is_ok_and(|output| {
            [output.stdout, output.stderr].iter().any(|words| String::from_utf8_lossy(words).contains(MARK))
        })
    })
}

/// For clients; there are none.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
