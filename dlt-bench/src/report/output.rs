//! Where the report goes. Everything is tried before any case runs.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::Error;

/// Name of the report in the folder of `--out`.
const REPORT_NAME: &str = "report.json";

/// Where the JSON report goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonTarget {
    /// Standard output; the human report goes to standard error then.
    Stdout,
    /// A file.
    File(PathBuf),
}

/// The JSON files of a run, open before it begins.
#[derive(Debug)]
pub struct Outputs {
    json: Option<JsonTarget>,
    files: Vec<ReportFile>,
}

#[derive(Debug)]
struct ReportFile {
    path: PathBuf,
    file: File,
    /// It was made for this run and is taken away if nothing is written to it.
    is_new: bool,
    is_written: bool,
}

impl Outputs {
    /// Opens what was asked for.
    ///
    /// # Errors
    /// A file or folder cannot be written.
    pub fn open(json: Option<JsonTarget>, out: Option<&Path>) -> Result<Self, Error> {
        let mut files = Vec::new();
        if let Some(JsonTarget::File(path)) = &json {
            files.push(ReportFile::open(path, "--json")?);
        }
        if let Some(folder) = out {
            std::fs::create_dir_all(folder).map_err(|error| {
                Error::usage(format!("failed to make the folder `{}` of --out: {error}", folder.display()))
                    .with_hint("choose a folder that can be written")
            })?;
            files.push(ReportFile::open(&folder.join(REPORT_NAME), "--out")?);
        }
        Ok(Self { json, files })
    }

    /// Where text for people goes.
    pub fn screen(&self) -> Screen {
        Screen { is_stdout: self.json != Some(JsonTarget::Stdout), is_closed: false }
    }

    /// True if somebody gets the report whose standard output is closed.
    pub fn has_files(&self) -> bool {
        !self.files.is_empty()
    }

    /// Writes the report everywhere. Returns the files.
    ///
    /// # Errors
    /// A file that could be opened cannot be written: a full disk.
    pub fn write(mut self, document: &impl Serialize) -> Result<Vec<PathBuf>, Error> {
        let text = serde_json::to_string_pretty(document)
            .map_err(|error| Error::failed(format!("failed to make the JSON report: {error}")))?;
        for file in &mut self.files {
            file.write(&text)?;
        }
        if self.json == Some(JsonTarget::Stdout) {
            match writeln!(io::stdout().lock(), "{text}") {
                Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                    return Err(Error::failed(format!("failed to write the JSON report: {error}")));
                }
                _ => {}
            }
        }
        Ok(self.files.iter().map(|file| file.path.clone()).collect())
    }
}

impl ReportFile {
    fn open(path: &Path, option: &str) -> Result<Self, Error> {
        let is_new = !path.exists();
        // Not truncated yet: a report of before stays if this run does not begin.
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).open(path).map_err(|error| {
                Error::usage(format!("failed to open `{}` of {option} for writing: {error}", path.display()))
                    .with_hint("choose a path that can be written")
            })?;
        Ok(Self { path: path.to_owned(), file, is_new, is_written: false })
    }

    fn write(&mut self, text: &str) -> Result<(), Error> {
        let result = || {
            if self.file.metadata()?.is_file() {
                self.file.set_len(0)?;
            }
            writeln!(self.file, "{text}")
        };
        let mut result = result;
        self.is_written = true;
        result().map_err(|error| {
            Error::failed(format!("failed to write the report to `{}`: {error}", self.path.display()))
        })
    }
}

impl Drop for ReportFile {
    fn drop(&mut self) {
        if self.is_new && !self.is_written && self.path.is_file() {
            // Nothing was run: nothing is left behind. If it cannot be removed, an empty file does no harm.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Text for people: standard output, or standard error if standard output carries JSON.
#[derive(Debug)]
pub struct Screen {
    is_stdout: bool,
    is_closed: bool,
}

impl Screen {
    /// Prints text. If nobody reads it any more, this and all that follows is dropped: no error.
    pub fn print(&mut self, text: &str) {
        if self.is_closed {
            return;
        }
        let result = if self.is_stdout {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        } else {
            io::stderr().lock().write_all(text.as_bytes())
        };
        self.is_closed = result.is_err();
    }

    /// True once nobody reads it.
    pub const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// True if progress can be shown.
    pub fn shows_progress() -> bool {
        io::stderr().is_terminal()
    }
}
