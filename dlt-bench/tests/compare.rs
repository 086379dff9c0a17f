//! The compare cases as their users run them, with tiny counts.
#![cfg_attr(feature = "peers", expect(clippy::unwrap_used, reason = "helpers of tests are tests as well"))]

#[cfg(feature = "peers")]
#[path = "compare/failures.rs"]
mod failures;
#[cfg(feature = "peers")]
#[expect(dead_code, reason = "shared with tests that stop threads of a single child")]
#[path = "suite/left_behind.rs"]
mod left_behind;
#[cfg(feature = "peers")]
#[path = "suite/misfits.rs"]
mod misfits;
#[cfg(feature = "peers")]
#[path = "compare/rows.rs"]
mod rows;
#[cfg(feature = "peers")]
#[path = "compare/stops.rs"]
mod stops;
#[path = "compare/support.rs"]
mod support;

/// A build without the other loggers says how to get them.
#[cfg(not(feature = "peers"))]
#[test]
fn a_build_without_peers_says_how_to_get_them() {
    for arguments in ["-c compare-all", "contender mutex --measure bursts --write-to /dev/null --time-ms 1"] {
        let output = support::bench(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{output:?}");
        assert!(support::text(&output.stderr).contains("--features peers"), "{output:?}");
    }
}
