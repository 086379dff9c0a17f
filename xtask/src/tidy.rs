//! Rules of this repository that no other tool checks.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::shell::{self, root};

/// A file that is longer than this holds two things.
const LONGEST_FILE: usize = 800;

/// What marks something as unfinished. In halves, so that this file does not break its own rule.
const UNFINISHED: [(&str, &str); 5] =
    [("to", "do!("), ("un", "implemented!("), ("#[ig", "nore"), ("TO", "DO"), ("FIX", "ME")];

/// Folders that are there on one machine only.
const OF_ONE_MACHINE: [(&str, &str); 4] =
    [("/ho", "me/"), ("/ro", "ot/"), ("/wo", "rk/"), ("/tmp/tar", "get")];

/// Checks all files that git knows.
pub(crate) fn run() -> Result<()> {
    let mut files = Command::new("git");
    files.args(["ls-files", "*.rs", "*.md", "*.toml", "*.json", ".ci", "xtask/kernels"]).current_dir(root());
    let files = shell::output(&mut files).context("the rules are checked for the files that git knows")?;
    let mut wrong = Vec::new();
    for file in files.lines() {
        // Deleted and not yet committed.
        let Ok(text) = std::fs::read_to_string(root().join(file)) else { continue };
        wrong.extend(violations(file, &text));
        if text.starts_with("#!/bin/bash") {
            shell::run(Command::new("bash").arg("-n").arg(root().join(file)))?;
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// What is wrong with a file.
fn violations(file: &str, text: &str) -> Vec<String> {
    let is_rust = Path::new(file).extension().is_some_and(|extension| extension == "rs");
    let mut wrong = Vec::new();
    let lines = text.lines().count();
    if is_rust && lines > LONGEST_FILE {
        wrong.push(format!("{file}: {lines} lines, at most {LONGEST_FILE}: split what are two things"));
    }
    for (number, line) in (1..).zip(text.lines()) {
        for (kind, words) in [("unfinished", &UNFINISHED[..]), ("a path of one machine", &OF_ONE_MACHINE[..])]
        {
            let found =
                words.iter().map(|(a, b)| format!("{a}{b}")).find(|word| line.contains(word.as_str()));
            wrong.extend(found.map(|word| format!("{file}:{number}: `{word}`: {kind}")));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_FILE, OF_ONE_MACHINE, UNFINISHED, violations};

    #[test]
    fn each_rule_finds_what_it_forbids() {
        for (a, b) in UNFINISHED.iter().chain(&OF_ONE_MACHINE) {
            assert_eq!(violations("a.md", &format!("fine\nnot {a}{b} fine")).len(), 1, "{a}{b}");
        }
        let long = "\n".repeat(LONGEST_FILE + 1);
        assert_eq!(violations("a.rs", &long).len(), 1);
        assert!(violations("a.md", &long).is_empty());
        assert!(violations("a.rs", "fn main() {}\n").is_empty());
    }
}
