//! Chooses the eBPF object that is embedded: the committed one, unless `DLT_PROBE_OBJECT` names another.

fn main() {
    println!("cargo::rerun-if-env-changed=DLT_PROBE_OBJECT");
    let folder = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let prebuilt = format!("{folder}/prebuilt/dlt_probe.bpf.o");
    let object = std::env::var("DLT_PROBE_OBJECT").unwrap_or(prebuilt);
    assert!(
        std::path::Path::new(&object).is_file(),
        "there is no eBPF object `{object}`: check DLT_PROBE_OBJECT, or run `cargo xtask ebpf`"
    );
    println!("cargo::rerun-if-changed={object}");
    println!("cargo::rustc-env=DLT_PROBE_OBJECT_PATH={object}");
}
