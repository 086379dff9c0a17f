//! The golden files.

use dlt_logger::format::decode::{Frame, Item, split, split_item};
use std::path::{Path, PathBuf};

/// A file of the golden data.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/data").join(name)
}

pub(crate) fn read(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn read_text(name: &str) -> String {
    String::from_utf8(read(name)).unwrap()
}

/// The `.bin` files of a folder with their contents, sorted by name.
pub(crate) fn folder(name: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(path(name))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|file| file.strip_suffix(".bin").is_some())
        .map(|file| (file.clone(), read(&format!("{name}/{file}"))))
        .collect();
    files.sort();
    files
}

/// Whole items one after the other; nothing may be left over.
pub(crate) fn items(mut bytes: &[u8]) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    while !bytes.is_empty() {
        let (item, used) = split_item(bytes).unwrap().expect("the item is complete");
        items.push(item);
        bytes = &bytes[used..];
    }
    items
}

/// Whole messages one after the other; nothing may be left over.
pub(crate) fn frames(mut bytes: &[u8]) -> Vec<Frame<'_>> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (frame, used) = split(bytes).unwrap().expect("the message is complete");
        frames.push(frame);
        bytes = &bytes[used..];
    }
    frames
}

/// The names of the messages in `golden_all.dlt`.
pub(crate) fn names() -> Vec<String> {
    read_text("golden_all.names").lines().map(str::to_owned).collect()
}
