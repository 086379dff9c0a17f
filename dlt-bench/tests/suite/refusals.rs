//! What is refused before any case runs, and how it is said.

use crate::support::{Folder, bench, described, run, text};

/// Exit code, no data on standard output, and these words in the message.
fn refused(arguments: &str, code: i32, words: &[&str]) {
    let output = run(arguments);
    check(&output, code, words);
}

fn check(output: &std::process::Output, code: i32, words: &[&str]) {
    assert_eq!(output.status.code(), Some(code), "{}", described(output));
    assert_eq!(text(&output.stdout), "", "nothing has run");
    let message = text(&output.stderr);
    for word in words {
        assert!(message.contains(word), "`{word}` is missing in: {message}");
    }
}

#[test]
fn an_unknown_case_is_answered_with_the_nearest() {
    refused("-c overflow-dorp", 2, &["overflow-dorp", "overflow-drop", "hint"]);
    refused("case mpsc", 2, &["concurrency-mpsc"]);
    refused("-c xyzzy", 2, &["xyzzy", "list"]);
}

#[test]
fn usage_errors() {
    refused("--messages 5", 2, &["-c"]);
    refused("-c quick --messages 0", 2, &["--messages", "0"]);
    refused("-c quick --threads 1000", 2, &["--threads", "1000"]);
    refused("-c quick --logger fast", 2, &["fast", "mutex"]);
    refused("-c quick --sink nowhere", 2, &["nowhere", "collector"]);
    refused("-c quick --frobnicate", 2, &["--frobnicate"]);
}

#[test]
fn help_teaches() {
    let help = text(&run("--help").stdout);
    for word in ["Examples", "Exit codes", "DLT_USER_OVERFLOW_MODE", "130", "daemon[:ADDR]", "selftest"] {
        assert!(help.contains(word), "{word}");
    }
}

#[test]
fn bad_variables() {
    let cases = [
        ("DLT_USER_BUFFER_SIZE_0", "abc", "2..=1048576"),
        ("DLT_USER_BUFFER_SIZE_0", "0", "2..=1048576"),
        ("DLT_USER_OVERFLOW_MODE", "7", "BlockWithTimeout"),
        ("DLT_USER_NUM_BUFFERS", "65", "1..=64"),
        ("DLT_USER_BATCH_SIZE", "-1", "1..=1024"),
        ("DLT_USER_TIMEOUT_MS", "", "1..=60000"),
        ("DLT_USER_MEMORY_LIMIT", "1T", "suffix"),
        ("DLT_USER_BUFFER_SIZE_4", "64", "0..=3"),
    ];
    let folder = Folder::new();
    for (name, value, accepted) in cases {
        let json = folder.file("report.json");
        let output = bench().args(["-c", "overflow-all", "--json", &json]).env(name, value).output().unwrap();
        check(&output, 2, &[name, &format!("`{value}`"), accepted]);
        assert!(!std::path::Path::new(&json).exists(), "nothing is left behind");
    }
}

#[test]
fn swept_values_that_override_a_variable_are_said() {
    let mut command = bench();
    command.args("-c buffer-count --messages 400".split(' ')).env("DLT_USER_NUM_BUFFERS", "3");
    let output = command.env("DLT_USER_BUFFER_SIZE_2", "64").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", described(&output));
    let said = text(&output.stdout);
    assert!(said.contains("DLT_USER_NUM_BUFFERS = `3` has no effect here"), "{said}");
    assert!(
        said.contains("DLT_USER_BUFFER_SIZE_2 = `64` has no effect here: this case has 1 buffer"),
        "{said}"
    );
}

#[test]
fn outputs_that_cannot_be_written() {
    refused("-c quick --json /proc/no/report.json", 2, &["/proc/no/report.json", "hint"]);
    refused("-c quick --out /proc/no", 2, &["/proc/no", "hint"]);
    refused("-c quick --sink file:/proc/no/a.dlt", 2, &["/proc/no/a.dlt", "hint"]);
    let folder = Folder::new();
    let precious = folder.file("precious");
    std::fs::write(&precious, "not a DLT file").unwrap();
    refused(&format!("-c quick --sink file:{precious}"), 2, &["precious", "not overwritten"]);
    assert_eq!(std::fs::read_to_string(precious).unwrap(), "not a DLT file");
}

#[test]
fn sinks_that_nobody_listens_at() {
    let folder = Folder::new();
    let path = folder.file("no.sock");
    refused(
        &format!("-c quick --sink daemon:{path}"),
        4,
        &[&path, "connection refused", "./target/release/dlt-daemon"],
    );
    refused(&format!("-c quick --sink unix:{path}"), 4, &[&path, "hint"]);
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    refused(&format!("-c quick --sink daemon:{free}"), 4, &[&free.to_string(), "connection refused"]);
    let output =
        bench().args(["-c", "quick", "--sink", "daemon"]).env("XDG_RUNTIME_DIR", folder.path()).output();
    check(&output.unwrap(), 4, &["dlt-daemon.sock", "connection refused"]);
}
