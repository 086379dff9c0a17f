//! What became of a stop.

/// What stood still while a victim did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stalled {
    /// Calls of the crowd did not return.
    pub calls: bool,
    /// Messages of the crowd did not arrive.
    pub delivery: bool,
    /// This chore did not end.
    pub chore: Option<usize>,
}

/// What became of one stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everybody went on, and the books balanced afterwards.
    Fine,
    /// Somebody waited for the victim.
    Stalled(Stalled),
    /// A message was lost, duplicated, torn, or somebody did not recover.
    Broken(String),
    /// The victim did not come there.
    NotReached,
    /// The ring was not in the state of the recorded way: whatever happened proves nothing.
    OtherState,
}

impl Outcome {
    /// Somebody waited, or a message was not accounted for.
    pub const fn is_violation(&self) -> bool {
        matches!(self, Self::Stalled(_) | Self::Broken(_))
    }

    /// The stop was made as it was meant.
    pub const fn is_made(&self) -> bool {
        matches!(self, Self::Fine) || self.is_violation()
    }
}
