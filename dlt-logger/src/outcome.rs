//! What became of a log call.

/// What became of a log call. Every value but [`Accepted`](Self::Accepted) and [`Filtered`](Self::Filtered) is counted
/// in [`Stats`](crate::Stats).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The message is in its lane. In Overwrite mode it may later give way to newer ones, which is counted then.
    Accepted,
    /// The context's threshold is below the message's level: nothing was done.
    Filtered,
    /// DropNewest: the lane is full.
    Full,
    /// The message is larger than the lane, or than a DLT message may be.
    TooLarge,
    /// The thread has no lane: the memory limit is reached, or the process is a fork of the logger's.
    NoLane,
    /// BlockWithTimeout: there was no room until the timeout.
    TimedOut,
    /// The logger is closed.
    Closed,
}
