//! `dlt-daemon` in its simple form: takes framed DLT on a Unix socket and on TCP, stores or counts it.
//!
//! | module | what |
//! |---|---|
//! | [`address`] | where it listens unless told otherwise |
//! | [`listen`] | its sockets: taken, stale and foreign ones told apart |
//! | [`connection`] | one client's bytes to messages |
//! | [`store`] | the `.dlt` file |
//! | [`stats`] | what it counts |
//! | [`server`] | one thread that serves all of them |
//!
//! Nothing that a client sends or leaves out holds up another client: reads never block, and a client has at most one
//! unfinished message in memory.

pub mod address;
pub mod connection;
pub mod listen;
pub mod server;
pub mod stats;
pub mod store;
