//! The cases: what is measured, in which configurations, and what follows from it.
//!
//! | module | what |
//! |---|---|
//! | [`registry`] | all cases by name |
//! | [`overflow`] | what each overflow mode does under overload |
//! | [`buffer`] | sweeps of buffers, sizes and batches |
//! | [`concurrency`] | one thread, several, bursts, scaling |
//! | [`spec`] | a row before it is measured |
//! | [`measure`] | a row's passes |
//! | `measured` | the row that they make |
//! | [`driver`] | all rows of all cases, and the report |

pub mod buffer;
pub mod concurrency;
pub mod driver;
pub mod measure;
mod measured;
pub mod overflow;
pub mod registry;
pub mod spec;
