//! Crossbeam's bounded queue.

use std::sync::Arc;

use crossbeam_queue::ArrayQueue;

use super::{Message, Queue, Receive, until_room};
use crate::{Setup, Unavailable};

/// The queue of all callers; each end is one of these.
#[derive(Debug, Clone)]
pub struct Shared(Arc<ArrayQueue<Message>>);

impl Queue for Shared {
    type Sender = Self;
    type Receiver = Self;

    const NAME: &'static str = "array-queue";

    fn describe(setup: &Setup<'_>) -> String {
        format!(
            "crossbeam-queue {}: ArrayQueue of {} messages for all threads; {}",
            env!("VERSION_CROSSBEAM_QUEUE"),
            setup.shared_capacity(),
            super::polled(setup)
        )
    }

    fn make(setup: &Setup<'_>) -> Result<(Self, Self), Unavailable> {
        let queue = Self(Arc::new(ArrayQueue::new(setup.shared_capacity())));
        Ok((queue.clone(), queue))
    }

    fn sender(&self, _index: usize) -> Self {
        self.clone()
    }

    fn offer(sender: &mut Self, message: Message) -> bool {
        sender.0.push(message).is_err()
    }

    fn wait(sender: &mut Self, message: Message) {
        until_room(message, |message| sender.0.push(message));
    }
}

impl Receive for Shared {
    fn take(&mut self, most: usize, batch: &mut Vec<Message>) {
        batch.extend(std::iter::from_fn(|| self.0.pop()).take(most));
    }
}
