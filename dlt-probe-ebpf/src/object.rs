//! The committed eBPF object.

/// Aligned for the ELF reader.
#[repr(C, align(8))]
struct Aligned<T: ?Sized>(T);

static OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!(env!("DLT_PROBE_OBJECT_PATH")));

/// Its bytes.
pub(crate) fn bytes() -> &'static [u8] {
    &OBJECT.0
}
