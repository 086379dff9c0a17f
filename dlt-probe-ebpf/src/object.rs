//! The committed eBPF object.

/// Aligned for the ELF reader.
#[repr(C, align(8))]
struct Aligned<T: ?Sized>(T);

static OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!(env!("DLT_PROBE_OBJECT_PATH")));

/// Version of the records that an object was built with: part of its configuration's name.
pub(crate) fn version(object: &[u8]) -> Option<u32> {
    const NAME: &[u8] = b"\0CONFIG_V";
    let start = object.windows(NAME.len()).position(|bytes| bytes == NAME)? + NAME.len();
    let rest = &object[start..];
    let digits = &rest[..rest.iter().position(|&byte| byte == 0)?];
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Its bytes.
pub(crate) fn bytes() -> &'static [u8] {
    &OBJECT.0
}
