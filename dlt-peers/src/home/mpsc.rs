//! The standard library's channel.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::{Message, Queue, Receive};
use crate::{Setup, Unavailable};

/// What senders are cloned from.
#[derive(Debug)]
pub struct Channel(SyncSender<Message>);

impl Queue for Channel {
    type Sender = SyncSender<Message>;
    type Receiver = Receiver<Message>;

    const NAME: &'static str = "std-mpsc";

    fn describe(setup: &Setup<'_>) -> String {
        let full = if setup.lossless { "calls wait in `send`" } else { "the newest is dropped" };
        format!(
            "std::sync::mpsc::sync_channel of {} messages for all threads; when it is full {full}, when it is empty the \
             worker waits in `recv`",
            setup.shared_capacity()
        )
    }

    fn make(setup: &Setup<'_>) -> Result<(Self, Self::Receiver), Unavailable> {
        let (sender, receiver) = sync_channel(setup.shared_capacity());
        Ok((Self(sender), receiver))
    }

    fn sender(&self, _index: usize) -> Self::Sender {
        self.0.clone()
    }

    fn offer(sender: &mut Self::Sender, message: Message) -> bool {
        sender.try_send(message).is_err()
    }

    fn wait(sender: &mut Self::Sender, message: Message) {
        // It fails only when the worker has ended, which it does after the last sender.
        let _ = sender.send(message);
    }
}

impl Receive for Receiver<Message> {
    fn take(&mut self, most: usize, batch: &mut Vec<Message>) {
        // An error: all senders are gone, and nothing is left.
        if let Ok(message) = self.recv() {
            batch.push(message);
            batch.extend(self.try_iter().take(most - 1));
        }
    }
}
