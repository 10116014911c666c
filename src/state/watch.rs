//! ◇ The current snapshot, and who waits for it to change: blocking queries and the event stream.
//!
//! A waiter says which topics it cares for; a change wakes the waiters of its topics and nobody else, and
//! costs nothing where nobody waits. Being woken is a hint: the query is asked again, and the answer's own
//! index decides.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast, watch};

use crate::model::{DeploymentId, EvalId, Index, JobKey, NodeId};

use super::event::{Change, Object, StateEvent};
use super::key::{RowKey, Table};
use super::tables::State;

/// How many indexes with events are kept for subscribers that come late. Nomad's `event_buffer_size`.
const KEPT_BATCHES: usize = 100;

/// What a waiter can wait for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Anything in a table.
    Table(Table),
    /// One row.
    Row(RowKey),
    /// Rows of a table that belong to a job: allocations, evaluations, deployments, versions.
    OfJob(Table, JobKey),
    /// Allocations of a node.
    AllocsOfNode(NodeId),
    /// Allocations that an evaluation placed.
    AllocsOfEval(EvalId),
    /// Allocations of a deployment.
    AllocsOfDeployment(DeploymentId),
}

impl Topic {
    fn each_of(change: &Change, mut act: impl FnMut(Self)) {
        act(Self::Table(change.row.table()));
        act(Self::Row(change.row.clone()));
        if let Some(job) = change.job_key() {
            act(Self::OfJob(change.row.table(), job));
        }
        match &change.object {
            Object::Alloc(alloc) => {
                act(Self::AllocsOfNode(alloc.node_id.clone()));
                act(Self::AllocsOfEval(alloc.eval_id.clone()));
                act(Self::AllocsOfDeployment(alloc.deployment_id.clone()));
            }
            Object::Node(_)
            | Object::Job(_)
            | Object::Eval(_)
            | Object::Deployment(_)
            | Object::Row(_)
            | Object::None => {}
        }
    }
}

/// The current snapshot and those who wait. Cheap to clone; all clones are the same watch.
#[derive(Debug, Clone)]
pub struct Watch {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    current: watch::Sender<Arc<State>>,
    waiters: Mutex<Waiters>,
    /// The last batches; locked while one is sent, so that a new subscriber misses none and gets none twice.
    batches: Mutex<VecDeque<Arc<EventBatch>>>,
    sender: broadcast::Sender<Arc<EventBatch>>,
}

type Waiter = (u64, Arc<Notify>);

#[derive(Debug, Default)]
struct Waiters {
    next: u64,
    by_topic: HashMap<Topic, Vec<Waiter>>,
}

/// What one command told subscribers.
#[derive(Debug, Clone, PartialEq)]
pub struct EventBatch {
    /// Where it stood in the log.
    pub index: Index,
    /// What it changed.
    pub events: Vec<StateEvent>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole after every statement, so a panic elsewhere spoils nothing.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// A watch whose current snapshot is `state`.
    pub fn new(state: Arc<State>) -> Self {
        let inner = Inner {
            current: watch::Sender::new(state),
            waiters: Mutex::default(),
            batches: Mutex::default(),
            sender: broadcast::Sender::new(KEPT_BATCHES),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The current snapshot.
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.inner.current.borrow())
    }

    /// Follows every new snapshot. For the few loops that look at everything; others wait for topics.
    pub fn follow(&self) -> watch::Receiver<Arc<State>> {
        self.inner.current.subscribe()
    }

    /// Makes `state` the current snapshot, tells subscribers and wakes the waiters of what changed.
    /// Only the raft room calls it.
    pub fn publish<'a>(
        &self,
        state: Arc<State>,
        changes: impl IntoIterator<Item = &'a Change>,
        batches: impl IntoIterator<Item = EventBatch>,
    ) {
        self.inner.current.send_replace(state);
        for batch in batches.into_iter().filter(|batch| !batch.events.is_empty()) {
            let batch = Arc::new(batch);
            let mut kept = lock(&self.inner.batches);
            kept.push_back(Arc::clone(&batch));
            if kept.len() > KEPT_BATCHES {
                kept.pop_front();
            }
            // Fails when nobody listens.
            let _listeners = self.inner.sender.send(batch).unwrap_or_default();
        }
        let waiters = lock(&self.inner.waiters);
        if waiters.by_topic.is_empty() {
            return;
        }
        for change in changes {
            Topic::each_of(change, |topic| {
                for (_, waiter) in waiters.by_topic.get(&topic).into_iter().flatten() {
                    waiter.notify_one();
                }
            });
        }
    }

    /// Makes `state` the current snapshot and wakes everybody: a snapshot of another server took the place
    /// of all rows. Only the raft room calls it.
    pub fn replace(&self, state: Arc<State>) {
        self.inner.current.send_replace(state);
        lock(&self.inner.batches).clear();
        for (_, waiter) in lock(&self.inner.waiters).by_topic.values().flatten() {
            waiter.notify_one();
        }
    }

    /// Asks `query` until the index it answers with is greater than `min_index`, at most for `timeout`; then
    /// gives the last answer. It is asked again when something of `topics` changed.
    ///
    /// The answer's index is that of what was asked for (the row, or the table when there is none), not the
    /// state's. With `min_index` 0 it does not wait.
    pub async fn block<T>(
        &self,
        topics: &[Topic],
        min_index: Index,
        timeout: Duration,
        mut query: impl FnMut(&State) -> (Index, T),
    ) -> (Arc<State>, Index, T) {
        if min_index == 0 {
            let state = self.state();
            let (index, answer) = query(&state);
            return (state, index, answer);
        }
        let waiting = self.wait_for(topics);
        let deadline = tokio::time::sleep(timeout);
        tokio::pin!(deadline);
        loop {
            let state = self.state();
            let (index, answer) = query(&state);
            if index > min_index {
                return (state, index, answer);
            }
            tokio::select! {
                biased;
                () = &mut deadline => return (state, index, answer),
                // A wake-up that is dropped here was not needed: the query has been answered.
                () = waiting.changed() => {}
            }
        }
    }

    /// Registers for `topics` until the result is dropped.
    pub fn wait_for(&self, topics: &[Topic]) -> Waiting {
        let notify = Arc::new(Notify::new());
        let mut waiters = lock(&self.inner.waiters);
        waiters.next += 1;
        let id = waiters.next;
        for topic in topics {
            let list = waiters.by_topic.entry(topic.clone()).or_default();
            list.push((id, Arc::clone(&notify)));
        }
        drop(waiters);
        Waiting { id, topics: topics.to_vec(), notify, inner: Arc::clone(&self.inner) }
    }

    /// Subscribes to events after `index`, as far back as they are kept; 0 begins with the oldest kept,
    /// `None` with the next.
    pub fn subscribe(&self, index: Option<Index>) -> Subscription {
        let batches = lock(&self.inner.batches);
        let backlog = match index {
            None => VecDeque::new(),
            Some(index) => batches.iter().filter(|b| b.index >= index).cloned().collect(),
        };
        let receiver = self.inner.sender.subscribe();
        drop(batches);
        Subscription { backlog, receiver }
    }
}

/// A registration for topics; ends when it is dropped.
#[derive(Debug)]
pub struct Waiting {
    id: u64,
    topics: Vec<Topic>,
    notify: Arc<Notify>,
    inner: Arc<Inner>,
}

impl Waiting {
    /// Returns when something changed since the registration or the last return. May be dropped and asked
    /// again: nothing is lost.
    pub async fn changed(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiters = lock(&self.inner.waiters);
        for topic in &self.topics {
            if let Some(list) = waiters.by_topic.get_mut(topic) {
                list.retain(|(id, _)| *id != self.id);
                if list.is_empty() {
                    waiters.by_topic.remove(topic);
                }
            }
        }
    }
}

/// Events, first those that were kept, then each as it happens.
#[derive(Debug)]
pub struct Subscription {
    backlog: VecDeque<Arc<EventBatch>>,
    receiver: broadcast::Receiver<Arc<EventBatch>>,
}

/// Why a subscription ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubscriptionEnd {
    /// It was read too slowly and missed events.
    #[error("the subscriber was too slow and missed events")]
    Lagged,
    /// The server stops.
    #[error("the server stops")]
    Closed,
}

impl Subscription {
    /// The next batch. May be dropped and asked again: nothing is lost.
    pub async fn next(&mut self) -> Result<Arc<EventBatch>, SubscriptionEnd> {
        if let Some(batch) = self.backlog.pop_front() {
            return Ok(batch);
        }
        self.receiver.recv().await.map_err(|error| match error {
            broadcast::error::RecvError::Lagged(_) => SubscriptionEnd::Lagged,
            broadcast::error::RecvError::Closed => SubscriptionEnd::Closed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Node, Timestamp};
    use crate::state::{Command, Intent, apply};

    /// Applies and publishes, as the raft room does.
    fn register(watch: &Watch, id: &str) {
        let mut state = State::clone(&watch.state());
        let node = Node { id: id.into(), ..Node::default() };
        let command = Command { time: Timestamp(1), intent: Intent::RegisterNode(Box::new(node)) };
        let index = state.index() + 1;
        let applied = apply(&mut state, &command, index);
        let batch = EventBatch { index, events: applied.events };
        watch.publish(Arc::new(state), &applied.changes, [batch]);
    }

    fn node_index(state: &State) -> (Index, usize) {
        (state.table_index(Table::Nodes), state.nodes().count())
    }

    #[tokio::test]
    async fn a_query_waits_for_its_table() {
        let watch = Watch::new(Arc::new(State::new()));
        register(&watch, "a");
        let topics = [Topic::Table(Table::Nodes)];
        let (_, index, count) = watch.block(&topics, 0, Duration::from_secs(9), node_index).await;
        assert_eq!((index, count), (1, 1));
        let long = Duration::from_mins(1);
        let (waited, ()) = tokio::join!(watch.block(&topics, 1, long, node_index), async {
            register(&watch, "b");
        });
        assert_eq!((waited.1, waited.2), (2, 2));
        assert!(lock(&watch.inner.waiters).by_topic.is_empty(), "a waiter was left behind");
    }

    #[tokio::test]
    async fn a_query_without_change_answers_at_its_deadline() {
        let watch = Watch::new(Arc::new(State::new()));
        register(&watch, "a");
        let topics = [Topic::Row(RowKey::Node("b".into()))];
        let (_, index, count) =
            watch.block(&topics, 1, Duration::from_millis(20), node_index).await;
        assert_eq!((index, count), (1, 1));
    }

    #[tokio::test]
    async fn only_those_who_wait_for_a_row_are_woken() {
        let watch = Watch::new(Arc::new(State::new()));
        let one = watch.wait_for(&[Topic::Row(RowKey::Node("one".into()))]);
        let two = watch.wait_for(&[Topic::Row(RowKey::Node("two".into()))]);
        register(&watch, "two");
        two.changed().await;
        let soon = tokio::time::timeout(Duration::from_millis(1), one.changed()).await;
        assert!(soon.is_err(), "woken by another's row");
    }

    #[tokio::test]
    async fn a_late_subscriber_gets_what_is_kept_and_a_slow_one_is_dropped() {
        let watch = Watch::new(Arc::new(State::new()));
        register(&watch, "0");
        let mut slow = watch.subscribe(None);
        for n in 1..=150 {
            register(&watch, &n.to_string());
        }
        let mut late = watch.subscribe(Some(0));
        register(&watch, "last");
        let first = late.next().await.unwrap();
        assert_eq!(first.index, 52);
        let mut last = first.index;
        while last < 152 {
            let batch = late.next().await.unwrap();
            assert_eq!(batch.index, last + 1);
            last = batch.index;
        }
        assert_eq!(slow.next().await, Err(SubscriptionEnd::Lagged));
    }
}
