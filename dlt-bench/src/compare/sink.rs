//! Where contenders write to: a folder in memory, so that no disk is measured.

use std::io;
use std::path::{Path, PathBuf};

use nix::sys::statfs::{TMPFS_MAGIC, statfs};

/// Is there usually, and is usually in memory.
const SHARED_MEMORY: &str = "/dev/shm";
/// Free space that a measurement may need.
const NEEDED_BYTES: u64 = 2 << 30;

/// A folder of this run; it is taken away with all that is in it.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    in_memory: bool,
}

impl Folder {
    /// Makes it.
    pub(super) fn new() -> io::Result<Self> {
        let in_memory = is_roomy_memory(Path::new(SHARED_MEMORY));
        let parent = if in_memory { PathBuf::from(SHARED_MEMORY) } else { std::env::temp_dir() };
        let path = parent.join(format!("dlt-bench-compare-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Self { path, in_memory })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What it is, for who reads the figures.
    pub(super) fn description(&self) -> String {
        let what = if self.in_memory { "a file in memory (tmpfs)" } else { "a file on disk" };
        let parent = self.path.parent().unwrap_or(&self.path);
        format!("{what}, below {}", parent.display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nothing else can be done about it at the end.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn is_roomy_memory(path: &Path) -> bool {
    statfs(path).is_ok_and(|fs| {
        fs.filesystem_type() == TMPFS_MAGIC
            && fs.blocks_available() * fs.block_size().cast_unsigned() >= NEEDED_BYTES
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_taken_away_with_what_is_in_it() {
        let folder = Folder::new().unwrap();
        let path = folder.path().to_owned();
        std::fs::create_dir(path.join("one")).unwrap();
        std::fs::write(path.join("one/file"), "text").unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_no_memory_is_not_taken_for_it() {
        assert!(!is_roomy_memory(Path::new("/proc")));
        assert!(!is_roomy_memory(Path::new("/nonexistent")));
    }
}
