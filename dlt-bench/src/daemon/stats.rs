//! What the daemon counts.

use std::collections::BTreeMap;
use std::fmt;

use dlt_logger::Id4;

/// Applications that are counted by name; messages of further ones are counted together.
const MAX_APPLICATIONS: usize = 1000;

/// Counts since the start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// Messages.
    pub messages: u64,
    /// Bytes of whole messages, with what stood before them.
    pub bytes: u64,
    /// Registrations and the like, which are no log messages.
    pub user_messages: u64,
    /// Times that bytes were no message.
    pub errors: u64,
    /// Bytes that were skipped to find the next message, or that a connection ended with.
    pub skipped_bytes: u64,
    /// Connections that were accepted.
    pub connections: u64,
    /// Connections that exist.
    pub open: u64,
    /// Connections that were closed because of what they sent.
    pub refused: u64,
    /// Messages that could not be stored.
    pub not_stored: u64,
    /// Messages per application.
    applications: BTreeMap<[u8; 4], u64>,
    /// Messages of applications that are not counted by name.
    other_applications: u64,
}

impl Stats {
    /// A message of `application`, of this many bytes.
    pub fn message(&mut self, application: Id4, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes as u64;
        let id = application.to_bytes();
        if let Some(count) = self.applications.get_mut(&id) {
            *count += 1;
        } else if self.applications.len() < MAX_APPLICATIONS {
            self.applications.insert(id, 1);
        } else {
            self.other_applications += 1;
        }
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            messages,
            bytes,
            user_messages,
            errors,
            skipped_bytes,
            connections,
            open,
            refused,
            not_stored,
            applications,
            other_applications,
        } = self;
        writeln!(f, "messages {messages}, bytes {bytes}, registrations and the like {user_messages}")?;
        writeln!(f, "errors {errors}, bytes skipped {skipped_bytes}, messages not stored {not_stored}")?;
        writeln!(f, "connections {connections}, open {open}, closed for what they sent {refused}")?;
        for (id, count) in applications {
            writeln!(f, "  {:4} {count}", Id4::from_bytes(*id).to_string())?;
        }
        if *other_applications > 0 {
            writeln!(f, "  others {other_applications}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applications_are_counted_by_name_up_to_a_limit() {
        let mut stats = Stats::default();
        for number in 0..MAX_APPLICATIONS as u32 + 5 {
            stats.message(Id4::from_bytes(number.to_be_bytes()), 10);
            stats.message(Id4::from_bytes([0; 4]), 10);
        }
        assert_eq!(stats.applications.len(), MAX_APPLICATIONS);
        assert_eq!(stats.other_applications, 5);
        let named: u64 = stats.applications.values().sum();
        assert_eq!(named + stats.other_applications, stats.messages);
    }
}
