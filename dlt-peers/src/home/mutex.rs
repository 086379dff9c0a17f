//! A mutex.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Message, Queue, Receive, until_room};
use crate::{Setup, Unavailable};

/// The queue of all callers; each end is one of these.
#[derive(Debug, Clone)]
pub struct Locked {
    queue: Arc<Mutex<VecDeque<Message>>>,
    capacity: usize,
}

impl Locked {
    fn with<R>(&self, action: impl FnOnce(&mut VecDeque<Message>) -> R) -> R {
        action(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, message: Message) -> Result<(), Message> {
        self.with(|queue| {
            if queue.len() >= self.capacity {
                return Err(message);
            }
            queue.push_back(message);
            Ok(())
        })
    }
}

impl Queue for Locked {
    type Sender = Self;
    type Receiver = Self;

    const NAME: &'static str = "mutex";

    fn describe(setup: &Setup<'_>) -> String {
        format!(
            "std::sync::Mutex around a VecDeque of {} messages for all threads; {}",
            setup.shared_capacity(),
            super::polled(setup)
        )
    }

    fn make(setup: &Setup<'_>) -> Result<(Self, Self), Unavailable> {
        let capacity = setup.shared_capacity();
        let queue = Self { queue: Arc::new(Mutex::new(VecDeque::with_capacity(capacity))), capacity };
        Ok((queue.clone(), queue))
    }

    fn sender(&self, _index: usize) -> Self {
        self.clone()
    }

    fn offer(sender: &mut Self, message: Message) -> bool {
        sender.push(message).is_err()
    }

    fn wait(sender: &mut Self, message: Message) {
        until_room(message, |message| sender.push(message));
    }
}

impl Receive for Locked {
    fn take(&mut self, most: usize, batch: &mut Vec<Message>) {
        self.with(|queue| batch.extend(queue.drain(..most.min(queue.len()))));
    }
}
