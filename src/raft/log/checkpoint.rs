//! Copies the write-ahead log of `raft.db` into the file from a thread of its own, so that commits go on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use super::file::LogFile;
use super::{LogError, lock};

/// After about how many pages the write-ahead log is copied.
const EVERY_PAGES: u64 = 1000;
/// With more pages than this the writer itself copies the rest, so that the log starts again at its
/// beginning: 32 MB.
const MOST_PAGES: i64 = 8000;

#[derive(Debug)]
pub(super) struct Checkpointer {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    pages: AtomicU64,
    is_behind: AtomicBool,
    order: Mutex<Order>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Order {
    #[default]
    Rest,
    Copy,
    Close,
}

impl Checkpointer {
    pub(super) fn start(file: LogFile) -> Result<Self, LogError> {
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        // Never waited for: it holds nothing that must be finished, and sees the order to close at once.
        drop(
            std::thread::Builder::new()
                .name("raft-checkpoint".to_owned())
                .spawn(move || own.work(&file))
                .map_err(|source| LogError::Thread { source })?,
        );
        Ok(Self { shared })
    }

    /// Tells that the write-ahead log grew by about so many pages.
    pub(super) fn grew(&self, pages: u64) {
        let before = self.shared.pages.fetch_add(pages, Ordering::Relaxed);
        if before + pages >= EVERY_PAGES {
            self.shared.pages.store(0, Ordering::Relaxed);
            self.order(Order::Copy);
        }
    }

    /// Whether the writer should copy the rest; says so once.
    pub(super) fn is_behind(&self) -> bool {
        self.shared.is_behind.load(Ordering::Relaxed)
            && self.shared.is_behind.swap(false, Ordering::Relaxed)
    }

    fn order(&self, order: Order) {
        *lock(&self.shared.order) = order;
        self.shared.changed.notify_one();
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.order(Order::Close);
    }
}

impl Shared {
    fn work(&self, file: &LogFile) {
        while self.next() == Order::Copy {
            match file.checkpoint() {
                Ok((pages, copied)) => {
                    tracing::trace!(pages, copied, "raft.db checkpoint");
                    if pages > MOST_PAGES {
                        self.is_behind.store(true, Ordering::Relaxed);
                    }
                }
                // The writer meets the same trouble, and is the one whose failure counts.
                Err(error) => tracing::warn!(%error, "raft.db: checkpoint failed"),
            }
        }
    }

    fn next(&self) -> Order {
        let mut order = lock(&self.order);
        while *order == Order::Rest {
            order = self.changed.wait(order).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        let taken = *order;
        if taken == Order::Copy {
            *order = Order::Rest;
        }
        taken
    }
}
