//! What a run says: rows, the environment they were measured in, and the forms in which both go out.
//!
//! | module | what |
//! |---|---|
//! | [`row`] | one measured configuration |
//! | [`environment`] | machine and program |
//! | [`document`] | the whole report, as it goes to JSON |
//! | [`human`] | tables and closing lines |
//! | [`output`] | files and streams, tried before anything runs |

pub mod document;
pub mod environment;
pub mod human;
pub mod output;
pub mod row;

pub use document::Document;
pub use row::{Row, Status};
