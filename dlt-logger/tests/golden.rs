//! The wire format against bytes of real DLT programs and against an independent parser.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "golden/convert.rs"]
mod convert;
#[path = "golden/damaged.rs"]
mod damaged;
#[path = "golden/encode.rs"]
mod encode;
#[path = "golden/independent.rs"]
mod independent;
#[path = "golden/round_trip.rs"]
mod round_trip;
#[path = "golden/split.rs"]
mod split;
#[path = "golden/values.rs"]
mod values;
#[path = "golden/vectors.rs"]
mod vectors;
