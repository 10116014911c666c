//! Writes changed rows to `state.db` behind the state machine: what changes often is written once, and no
//! commit waits for it. The log has everything that is not written yet.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::state::disk::{Disk, DiskError};
use crate::state::{RowKey, State};

/// How long changes gather before they are written.
const GATHER: Duration = Duration::from_millis(500);
/// How long to wait after a failure.
const AGAIN: Duration = Duration::from_secs(1);

/// Facts beside the rows: where in the log the state stands, and the membership.
pub(super) type Facts = Vec<(&'static str, String)>;

/// The writer's thread and what it is to write. Clones are the same keeper.
#[derive(Debug, Clone)]
pub(super) struct Keeper {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pending: Mutex<Pending>,
    changed: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Pending {
    /// The newest state; none when nothing is to be written.
    state: Option<Arc<State>>,
    facts: Facts,
    rows: HashSet<RowKey>,
    /// All rows, not only those.
    is_whole: bool,
    /// Who waits until all is written and safe from a power cut.
    waiting: Vec<oneshot::Sender<Result<(), String>>>,
    is_closing: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Keeper {
    /// Starts the thread.
    pub(super) fn start(disk: Disk) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            pending: Mutex::default(),
            changed: Condvar::new(),
            thread: Mutex::default(),
        });
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("state-writer".to_owned())
            .spawn(move || own.work(disk))?;
        *lock(&shared.thread) = Some(thread);
        Ok(Self { shared })
    }

    /// `rows` changed, and `state` is how everything is now.
    pub(super) fn note(
        &self,
        state: Arc<State>,
        rows: impl IntoIterator<Item = RowKey>,
        facts: Facts,
    ) {
        let mut pending = lock(&self.shared.pending);
        let was_empty = pending.state.is_none();
        pending.state = Some(state);
        pending.facts = facts;
        pending.rows.extend(rows);
        drop(pending);
        if was_empty {
            self.shared.changed.notify_one();
        }
    }

    /// `state` takes the place of everything.
    pub(super) fn note_whole(&self, state: Arc<State>, facts: Facts) {
        let mut pending = lock(&self.shared.pending);
        pending.state = Some(state);
        pending.facts = facts;
        pending.rows.clear();
        pending.is_whole = true;
        drop(pending);
        self.shared.changed.notify_one();
    }

    /// Waits until all that was noted before is safe from a power cut.
    pub(super) async fn sync(&self) -> std::io::Result<()> {
        let (sender, receiver) = oneshot::channel();
        lock(&self.shared.pending).waiting.push(sender);
        self.shared.changed.notify_one();
        let result = receiver.await.unwrap_or_else(|_| Err("it has stopped".to_owned()));
        result.map_err(|text| std::io::Error::other(format!("state.db: {text}")))
    }

    /// Writes what is left and ends the thread.
    pub(super) async fn close(&self) {
        lock(&self.shared.pending).is_closing = true;
        self.shared.changed.notify_one();
        let thread = lock(&self.shared.thread).take();
        if let Some(thread) = thread {
            // A thread that panicked has said so itself.
            let _ended = tokio::task::spawn_blocking(move || thread.join().is_ok()).await;
        }
    }
}

impl Shared {
    fn work(&self, mut disk: Disk) {
        loop {
            let Pending { state, facts, rows, is_whole, waiting, is_closing } = self.next();
            let mut result = match &state {
                None => Ok(()),
                Some(state) if is_whole => disk.replace(state, &facts),
                Some(state) => disk.save(state, &rows, &facts),
            };
            if result.is_ok() && !waiting.is_empty() {
                result = disk.sync();
            }
            let told = result.as_ref().copied().map_err(chain);
            for waiter in waiting {
                // Nobody waits any more when openraft was stopped.
                let _gone = waiter.send(told.clone()).is_err();
            }
            if let Err(text) = told {
                tracing::error!(error = %text, "the state cannot be written; the log keeps it meanwhile");
                if !is_closing {
                    self.put_back(state, facts, rows, is_whole);
                }
            }
            if is_closing {
                return;
            }
        }
    }

    /// Waits for something to write, and a little longer for more of it.
    fn next(&self) -> Pending {
        let mut pending = lock(&self.pending);
        while pending.state.is_none() && pending.waiting.is_empty() && !pending.is_closing {
            pending = self.changed.wait(pending).unwrap_or_else(PoisonError::into_inner);
        }
        let is_urgent = |pending: &mut Pending| !pending.waiting.is_empty() || pending.is_closing;
        if !is_urgent(&mut pending) {
            let (gathered, _) = self
                .changed
                .wait_timeout_while(pending, GATHER, |pending| !is_urgent(pending))
                .unwrap_or_else(PoisonError::into_inner);
            pending = gathered;
        }
        let is_closing = pending.is_closing;
        std::mem::replace(&mut *pending, Pending { is_closing, ..Pending::default() })
    }

    /// What could not be written is written with what came meanwhile, after a while.
    fn put_back(
        &self,
        state: Option<Arc<State>>,
        facts: Facts,
        rows: HashSet<RowKey>,
        is_whole: bool,
    ) {
        let mut pending = lock(&self.pending);
        pending.rows.extend(rows);
        pending.is_whole |= is_whole;
        if pending.state.is_none() {
            pending.state = state;
            pending.facts = facts;
        }
        drop(self.changed.wait_timeout_while(pending, AGAIN, |pending| !pending.is_closing));
    }
}

fn chain(error: &DiskError) -> String {
    crate::sys::report::chain(error)
}
