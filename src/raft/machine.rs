//! The state machine: applies what was agreed on and publishes the result.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{Stream, StreamExt as _};
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};

use super::forms::{PlacedCircle, Position};
use super::keeper::{Facts, Keeper};
use super::types::{Answers, Batch, LogId, Snapshot, SnapshotMeta, StoredMembership, Types};
use crate::state::disk::Loaded;
use crate::state::{Change, EventBatch, State, Watch, apply};

/// Entries that are applied together and published once.
const TOGETHER: usize = 256;

const APPLIED: &str = "raft.applied";
const MEMBERSHIP: &str = "raft.membership";

/// The state, where in the log it stands, and where it is published and kept.
#[derive(Debug)]
pub(super) struct Machine {
    state: State,
    place: Arc<Mutex<Place>>,
    watch: Watch,
    keeper: Option<Keeper>,
}

/// Where in the log a state stands.
#[derive(Debug, Clone, Default)]
struct Place {
    applied: Option<LogId>,
    membership: StoredMembership,
    /// The state there, as it was published.
    state: Arc<State>,
    /// Whether there is a snapshot: one was built, installed, or read from the disk.
    has_snapshot: bool,
}

impl Place {
    fn meta(&self) -> SnapshotMeta {
        SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() }
    }

    fn facts(&self) -> Facts {
        // Numbers, names and addresses always have a text.
        let text = |value: serde_json::Result<String>| value.unwrap_or_default();
        let applied = serde_json::to_string(&self.applied.map(Position::from));
        let membership = serde_json::to_string(&PlacedCircle::from(&self.membership));
        vec![(APPLIED, text(applied)), (MEMBERSHIP, text(membership))]
    }
}

fn lock(place: &Mutex<Place>) -> MutexGuard<'_, Place> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Machine {
    /// An empty state that is kept nowhere.
    pub(super) fn in_memory(watch: Watch) -> Self {
        let place = Place { state: watch.state(), ..Place::default() };
        Self { state: State::new(), place: Arc::new(Mutex::new(place)), watch, keeper: None }
    }

    /// The state that was read from the disk.
    pub(super) fn loaded(
        loaded: Loaded,
        keeper: Keeper,
        watch: Watch,
    ) -> Result<Self, serde_json::Error> {
        let fact = |key: &str| loaded.meta.get(key).map_or("null", String::as_str);
        let applied: Option<Position> = serde_json::from_str(fact(APPLIED))?;
        let membership: Option<PlacedCircle> = serde_json::from_str(fact(MEMBERSHIP))?;
        let place = Place {
            applied: applied.map(LogId::from),
            membership: membership.unwrap_or_default().into(),
            state: watch.state(),
            has_snapshot: applied.is_some(),
        };
        Ok(Self {
            state: loaded.state,
            place: Arc::new(Mutex::new(place)),
            watch,
            keeper: Some(keeper),
        })
    }

    fn apply_batch(&mut self, batch: &Batch, done: &mut Done) -> Answers {
        let answers = batch.commands().iter().map(|command| {
            let index = self.state.index().saturating_add(1);
            let applied = apply(&mut self.state, command, index);
            done.changes.extend(applied.changes);
            done.batches.push(EventBatch { index, events: applied.events });
            (index, applied.reply)
        });
        Answers(answers.collect())
    }

    /// Shows everybody what was applied, before those who proposed it are told.
    fn publish(&self, applied: Option<LogId>, membership: Option<StoredMembership>, done: Done) {
        let state = Arc::new(self.state.clone());
        let facts = {
            let mut place = lock(&self.place);
            place.applied = applied.or(place.applied);
            if let Some(membership) = membership {
                place.membership = membership;
            }
            place.state = Arc::clone(&state);
            place.facts()
        };
        if let Some(keeper) = &self.keeper {
            let rows = done.changes.iter().map(|change| change.row.clone());
            keeper.note(Arc::clone(&state), rows, facts);
        }
        self.watch.publish(state, &done.changes, done.batches);
    }
}

/// What a few entries changed.
#[derive(Default)]
struct Done {
    changes: Vec<Change>,
    batches: Vec<EventBatch>,
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = Arc<State>;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        let place = lock(&self.place);
        Ok((place.applied, place.membership.clone()))
    }

    async fn apply<S>(&mut self, entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        let mut entries = entries.ready_chunks(TOGETHER);
        while let Some(chunk) = entries.next().await {
            let mut done = Done::default();
            let mut answered: Vec<(ApplyResponder<Types>, Answers)> = Vec::new();
            let (mut last, mut membership) = (None, None);
            for entry in chunk {
                let (entry, responder) = entry?;
                last = Some(entry.log_id);
                let answers = match entry.payload {
                    EntryPayload::Blank => Answers::default(),
                    EntryPayload::Normal(batch) => self.apply_batch(&batch, &mut done),
                    EntryPayload::Membership(circle) => {
                        membership = Some(StoredMembership::new(last, circle));
                        Answers::default()
                    }
                };
                answered.extend(responder.map(|responder| (responder, answers)));
            }
            self.publish(last, membership, done);
            for (responder, answers) in answered {
                responder.send(answers);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        let place = lock(&self.place).clone();
        Builder { taken: place, place: Arc::clone(&self.place), keeper: self.keeper.clone() }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Arc<State>,
    ) -> Result<(), io::Error> {
        self.state = State::clone(&snapshot);
        let facts = {
            let mut place = lock(&self.place);
            *place = Place {
                applied: meta.last_log_id,
                membership: meta.last_membership.clone(),
                state: Arc::clone(&snapshot),
                has_snapshot: true,
            };
            place.facts()
        };
        if let Some(keeper) = &self.keeper {
            keeper.note_whole(Arc::clone(&snapshot), facts);
            // openraft forgets the log before it, so it must be safe.
            keeper.sync().await?;
        }
        self.watch.replace(snapshot);
        Ok(())
    }

    /// The newest state, which is at least as new as the last one that was built: a snapshot is only a
    /// pointer to it.
    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        let place = lock(&self.place);
        Ok(place
            .has_snapshot
            .then(|| Snapshot { meta: place.meta(), snapshot: Arc::clone(&place.state) }))
    }
}

/// Makes a snapshot: sees to it that the state is safe up to here, so that the log before may go.
#[derive(Debug)]
pub(super) struct Builder {
    taken: Place,
    place: Arc<Mutex<Place>>,
    keeper: Option<Keeper>,
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = Arc<State>;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        if let Some(keeper) = &self.keeper {
            keeper.sync().await?;
        }
        lock(&self.place).has_snapshot = true;
        Ok(Snapshot { meta: self.taken.meta(), snapshot: Arc::clone(&self.taken.state) })
    }
}
