//! The thread that takes messages out and writes frames.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Acquire};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dlt_logger::format::header::{STORAGE_BYTES, TEMPLATE_BYTES};
use dlt_logger::format::{StorageHeader, Template};
use dlt_logger::{Id4, Level};

use super::{Message, Receive};
use crate::TEXT_BYTES;

/// Messages per write.
pub(super) const BATCH: usize = 64;
/// The worker looks again after this long when there was nothing.
pub(super) const IDLE: Duration = Duration::from_millis(1);
/// DLT counts time in 0.1 ms.
const NS_PER_TICK: u64 = 100_000;
/// Arguments of a message.
const ARGUMENTS: u8 = 2;
/// Type info of a u32.
const TYPE_U32: [u8; 4] = [0x43, 0, 0, 0];
/// Type info of a UTF-8 string, and its length with the final NUL.
const STRING_HEAD: [u8; 6] = [0, 0x82, 0, 0, TEXT_BYTES as u8 + 1, 0];
/// Bytes of a payload.
const PAYLOAD_BYTES: usize = TYPE_U32.len() + 4 + STRING_HEAD.len() + TEXT_BYTES + 1;

/// The headers of one producer's messages, and how many there were.
#[derive(Debug)]
struct Origin {
    template: Template,
    counter: u8,
}

pub(super) struct Worker<R> {
    receiver: R,
    sink: File,
    ecu: Id4,
    origins: Vec<Origin>,
    is_closed: Arc<AtomicBool>,
}

impl<R: Receive> Worker<R> {
    pub(super) fn new(receiver: R, sink: File, producers: usize, is_closed: Arc<AtomicBool>) -> Self {
        let id = |text: &str| Id4::try_new(text).unwrap_or(Id4::NONE);
        let ecu = id("ECU1");
        let origin = |index| Origin {
            template: Template::new(ecu, std::process::id(), id("PEER"), id(&format!("P{index:03}"))),
            counter: 0,
        };
        Self { receiver, sink, ecu, origins: (0..producers).map(origin).collect(), is_closed }
    }

    /// Until the queue is closed and empty. An error: so many messages were not written.
    pub(super) fn run(mut self) -> Result<(), u64> {
        let mut batch = Vec::with_capacity(BATCH);
        let mut bytes = Vec::with_capacity(BATCH * (STORAGE_BYTES + TEMPLATE_BYTES + PAYLOAD_BYTES));
        let mut unwritten = 0;
        loop {
            // Asked before the queue is looked at: what is logged in between is found in the next turn. Pairs with the
            // Release in `finish`.
            let is_closed = self.is_closed.load(Acquire);
            self.receiver.take(BATCH, &mut batch);
            if batch.is_empty() {
                if is_closed {
                    return if unwritten == 0 { Ok(()) } else { Err(unwritten) };
                }
                std::thread::sleep(IDLE);
                continue;
            }
            self.stage(&batch, &mut bytes);
            if self.sink.write_all(&bytes).is_err() {
                unwritten += batch.len() as u64;
            }
            batch.clear();
            bytes.clear();
        }
    }

    fn stage(&mut self, batch: &[Message], bytes: &mut Vec<u8>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (seconds, microseconds) = (now.as_secs() as u32, now.subsec_micros() as i32);
        let storage = StorageHeader { seconds, microseconds, ecu: self.ecu }.to_bytes();
        for message in batch {
            let Some(origin) = self.origins.get_mut(message.producer as usize) else { continue };
            let time = (message.logged_ns / NS_PER_TICK) as u32;
            let headers = origin.template.log(Level::Info, origin.counter, time, ARGUMENTS, PAYLOAD_BYTES);
            origin.counter = origin.counter.wrapping_add(1);
            bytes.extend_from_slice(&storage);
            bytes.extend_from_slice(&headers);
            bytes.extend_from_slice(&TYPE_U32);
            bytes.extend_from_slice(&message.number.to_le_bytes());
            bytes.extend_from_slice(&STRING_HEAD);
            bytes.extend_from_slice(&message.text);
            bytes.push(0);
        }
    }
}
