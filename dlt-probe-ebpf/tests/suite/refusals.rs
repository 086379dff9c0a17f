//! Where the probe cannot run it says why and what to do.

use std::os::unix::process::CommandExt;
use std::process::Command;

use dlt_probe_ebpf::records::VERSION;
use dlt_probe_ebpf::{Error, Options, Probe};

use super::support::{forking, load};

/// In a process of an ordinary user.
#[test]
fn without_privileges_the_missing_capabilities_are_named() {
    const INSIDE: &str = "DLT_PROBE_TEST_ORDINARY";
    if std::env::var_os(INSIDE).is_some() {
        let Err(Error::CannotRun(reason)) = Probe::load(Options::default()) else { panic!("loaded") };
        assert!(reason.missing.contains("CAP_BPF") && reason.missing.contains("CAP_PERFMON"), "{reason}");
        assert!(reason.remedy.contains("setcap") && reason.remedy.contains("sudo"), "{reason}");
        println!("INSIDE: refused");
        return;
    }
    if load(Options::default()).is_none() {
        return;
    }
    // The build folder may not be readable for others.
    let copy = std::env::temp_dir().join(format!("probe-test-{}", std::process::id()));
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let forking = forking();
    let output = Command::new(&copy)
        .args([
            "suite::refusals::without_privileges_the_missing_capabilities_are_named",
            "--exact",
            "--nocapture",
        ])
        .env(INSIDE, "1")
        .current_dir("/")
        .uid(65534)
        .gid(65534)
        .output();
    drop(forking);
    std::fs::remove_file(&copy).unwrap();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("INSIDE: refused"), "{text}");
}

/// An object with other records would be read wrongly: it is refused by name, before anything is loaded.
#[test]
fn other_records_are_refused() {
    if load(Options::default()).is_none() {
        return;
    }
    let mut object = include_bytes!(env!("DLT_PROBE_OBJECT_PATH")).to_vec();
    let name = format!("\0CONFIG_V{VERSION}\0").into_bytes();
    let at: Vec<_> =
        object.windows(name.len()).enumerate().filter(|(_, w)| *w == name).map(|(at, _)| at).collect();
    assert!(!at.is_empty(), "the object tells its version");
    for at in at {
        object[at + name.len() - 2] = b'9';
    }
    let error = Probe::load_object(&object, std::process::id(), Options::default()).unwrap_err();
    assert!(matches!(error, Error::OtherRecords { found: Some(9), wanted: VERSION }), "{error:?}");
    assert!(error.to_string().contains("cargo xtask ebpf"), "{error}");
}

/// The committed object is the one that the hash beside it says.
#[test]
fn committed_object_has_its_hash() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/prebuilt");
    let _forking = forking();
    let output = Command::new("sha256sum")
        .args(["--check", "--strict", "dlt_probe.bpf.o.sha256"])
        .current_dir(folder)
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
