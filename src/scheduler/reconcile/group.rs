//! ◆ One group of a service or batch job.

use std::sync::Arc;

use super::names::Names;
use super::set::{self, ByFailure, Set, by_failure, by_node, without};
use super::stop::Surplus;
use super::{FollowUp, Place, Reconciler, reason};
use crate::model::deployment::DeploymentState;
use crate::model::{Allocation, ClientStatus, Job, Nanos, TaskGroup, Timestamp};
use crate::scheduler::updated;

/// Later replacements within this time of each other share an evaluation.
const BATCHED: Nanos = Nanos::from_secs(5);

/// A group's allocations after the sorting.
struct Sorted {
    untainted: Set,
    migrate: Set,
    lost: Set,
    now: Set,
    waits: bool,
}

impl Reconciler<'_, '_> {
    /// Decides about one group. Returns whether its part of the deployment is done.
    pub(super) fn group(&mut self, job: &Arc<Job>, group: &TaskGroup, mut all: Set) -> bool {
        self.changes.desired.entry(group.name.clone()).or_default();
        let (mut state, known) = self.group_state(group);
        self.drop_old_ended(job, group, &mut all);
        let mut canaries = self.stale_canaries(group, &mut all);
        let mut sorted = self.sort(group, &all);

        let known_to_names =
            [&sorted.untainted, &sorted.migrate, &sorted.now, &sorted.lost].into_iter().flatten();
        let mut names =
            Names::taken_by(&job.id, &group.name, group.count, known_to_names.map(|a| &**a));
        let mut is_canarying = state.desired_canaries > 0 && !state.promoted && known;
        let surplus = Surplus {
            untainted: &mut sorted.untainted,
            migrate: &mut sorted.migrate,
            lost: &sorted.lost,
            canaries: &canaries,
            is_canarying,
        };
        self.surplus(group, &mut names, surplus);
        self.drop_surplus_failed(group, &mut sorted, &canaries, is_canarying);

        let (mut destructive, in_place) = self.updates(job, group, &sorted.untainted);
        if !known {
            state.desired_total += as_i64(destructive.len() + in_place);
        }
        if is_canarying {
            without(&mut sorted.untainted, &[&canaries]);
        }
        let needs_canaries = needs_canaries(group, &state, destructive.len(), canaries.len());
        if needs_canaries {
            self.place_canaries(job, group, &mut state, &mut names, &canaries, &destructive, known);
        }
        canaries.clear();
        is_canarying = state.desired_canaries > 0 && !state.promoted;
        let mut budget = self.budget(
            group,
            &sorted.untainted,
            destructive.len() + sorted.migrate.len(),
            is_canarying,
        );

        let place = self.missing(job, group, &mut names, &sorted, is_canarying);
        if !known {
            state.desired_total += as_i64(place.len());
        }
        let placing = place.len();
        let ready = !self.paused && !self.failed && !is_canarying;
        self.replacements(group, place, &sorted, ready, &mut budget);
        let replacing = destructive.len();
        if ready {
            let now = budget.min(destructive.len());
            self.count(&group.name, |d| {
                d.destructive_update += as_u64(now);
                d.ignore += as_u64(replacing - now);
            });
            self.changes.replace.extend(destructive.drain(..now));
        } else {
            self.count(&group.name, |d| d.ignore += as_u64(replacing));
        }
        let migrating = sorted.migrate.len();
        self.migrations(job, group, sorted.migrate, is_canarying);
        if !known {
            self.extend_deployment(job, group, state, &all, replacing + in_place);
        }
        let idle = replacing + in_place + placing + migrating + sorted.now.len() == 0;
        idle && !sorted.waits && !needs_canaries && self.group_is_complete(group)
    }

    /// Batch: ended allocations of older versions say nothing about this one.
    fn drop_old_ended(&mut self, job: &Job, group: &TaskGroup, all: &mut Set) {
        if !self.is_batch {
            return;
        }
        let before = all.len();
        all.retain(|alloc| {
            let of_older = alloc.version() < job.version
                || alloc.job.as_ref().is_some_and(|j| j.create_index < job.create_index);
            !(of_older && alloc.is_terminal())
        });
        let dropped = before - all.len();
        self.count(&group.name, |d| d.ignore += as_u64(dropped));
    }

    /// Sorts by node and by failure, and notes what waits for a later time.
    fn sort(&mut self, group: &TaskGroup, all: &Set) -> Sorted {
        let by_node = by_node(all.clone(), self.input.lookup, self.now);
        self.count(&group.name, |d| d.ignore += as_u64(by_node.ignore.len()));
        let (untainted, reconnected) =
            self.reconnect(group, by_node.untainted, by_node.reconnecting);
        let failures = by_failure(
            untainted,
            self.is_batch,
            self.now,
            &self.input.eval.id,
            self.deployment.as_ref(),
        );
        let ByFailure { mut untainted, now: mut due, later } = failures;
        untainted.extend(reconnected);
        self.count(&group.name, |d| {
            d.reschedule_now += as_u64(due.len());
            d.reschedule_later += as_u64(later.len());
        });
        let waits = !later.is_empty();
        self.replace_later(later);
        let (replaced, kept) = self.disconnect(group, by_node.disconnecting);
        due.extend(replaced);
        untainted.extend(kept);
        Sorted { untainted, migrate: by_node.migrate, lost: by_node.lost, now: due, waits }
    }

    /// Failed ones are replaced only as far as there should be as many; the others are stopped.
    fn drop_surplus_failed(
        &mut self,
        group: &TaskGroup,
        sorted: &mut Sorted,
        canaries: &Set,
        is_canarying: bool,
    ) {
        let mut have = sorted.untainted.clone();
        if is_canarying {
            without(&mut have, &[canaries]);
        }
        let wanted = usize::try_from(group.count).unwrap_or(0);
        let mut room = wanted.saturating_sub(have.len() + sorted.migrate.len());
        let mut replaced = Set::new();
        for alloc in std::mem::take(&mut sorted.now) {
            if is_canarying && is_canary(&alloc) {
                replaced.push(alloc);
            } else if room > 0 {
                room -= 1;
                replaced.push(alloc);
            } else {
                self.count(&group.name, |d| d.stop += 1);
                self.stop(alloc, reason::NOT_NEEDED);
            }
        }
        sorted.now = replaced;
    }

    /// Makes evaluations for replacements at a time, several at once where they are close.
    fn replace_later(&mut self, mut later: Vec<(Arc<Allocation>, Timestamp)>) {
        later.sort_by_key(|(_, at)| *at);
        let mut batch: Option<(Timestamp, crate::model::EvalId)> = None;
        for (alloc, at) in later {
            let id = match &batch {
                Some((from, id)) if at.since(*from) < BATCHED => id.clone(),
                Some(_) | None => {
                    let id = self.follow_up(at, FollowUp::Reschedule);
                    batch = Some((at, id.clone()));
                    id
                }
            };
            let noted = Allocation { followup_eval_id: id, ..Allocation::clone(&alloc) };
            self.changes.notes.push(noted);
        }
    }

    /// Marks allocations of nodes that are not heard of as unknown. Returns those that get a replacement meanwhile, and
    /// those that get none and count as if nothing had happened.
    fn disconnect(&mut self, group: &TaskGroup, disconnecting: Set) -> (Set, Set) {
        let (mut replaced, mut kept) = (Set::new(), Set::new());
        for alloc in disconnecting {
            let Some(after) = set::lost_after(&alloc) else { continue };
            let follow_up = self.follow_up(self.now.plus(after), FollowUp::Disconnect);
            self.count(&group.name, |d| d.disconnect += 1);
            let mut unknown = Allocation::clone(&alloc);
            unknown.client_status = ClientStatus::Unknown;
            reason::UNKNOWN.clone_into(&mut unknown.client_description);
            unknown.followup_eval_id = follow_up;
            unknown.alloc_states.push(crate::model::allocation::AllocStateChange {
                field: "ClientStatus".to_owned(),
                value: "unknown".to_owned(),
                time: self.now,
            });
            self.changes.notes.push(unknown);
            let place = if set::is_replaced_meanwhile(&alloc) { &mut replaced } else { &mut kept };
            place.push(alloc);
        }
        (replaced, kept)
    }

    /// Decides between allocations that came back and their replacements. Returns the other untainted ones, and those
    /// that came back and stay.
    fn reconnect(&mut self, group: &TaskGroup, mut untainted: Set, back: Set) -> (Set, Set) {
        let mut stay = Set::new();
        let version = self.input.job.as_ref().map_or(0, |job| job.version);
        for alloc in back {
            self.count(&group.name, |d| d.reconnect += 1);
            let rival =
                untainted.iter().find(|other| other.previous_allocation == alloc.id).cloned();
            let keeps_replacement = alloc
                .group()
                .and_then(|g| g.disconnect.as_ref())
                .is_some_and(|disconnect| disconnect.reconcile == "keep_replacement");
            let outdated = alloc.version() < version || alloc.client_status == ClientStatus::Failed;
            if let (Some(_), true) = (&rival, keeps_replacement || outdated) {
                self.count(&group.name, |d| d.stop += 1);
                self.stop(alloc, reason::RECONNECTED);
                continue;
            }
            if let Some(rival) = rival {
                without(&mut untainted, &[std::slice::from_ref(&rival)]);
                if !rival.is_terminal() {
                    self.count(&group.name, |d| d.stop += 1);
                    self.stop(rival, reason::RECONNECTED);
                }
            }
            stay.push(alloc);
        }
        (untainted, stay)
    }

    /// Sorts by what a newer version of the job means. Returns those to be replaced, and how many change in place.
    fn updates(&mut self, job: &Arc<Job>, group: &TaskGroup, untainted: &Set) -> (Set, usize) {
        let (mut destructive, mut in_place, mut ignore) = (Set::new(), 0, 0);
        for alloc in untainted {
            let old = alloc.job.clone();
            let same = old.as_ref().is_none_or(|old| old.job_modify_index == job.job_modify_index);
            let replaced =
                old.as_ref().is_some_and(|old| updated::must_replace(old, job, &group.name));
            if same {
                ignore += 1;
            } else if replaced {
                destructive.push(Arc::clone(alloc));
            } else if alloc.is_terminal() {
                ignore += 1;
            } else if let Some(kept) = self.placer.keep(job, group, alloc) {
                in_place += 1;
                self.changes.in_place.push(Allocation {
                    eval_id: self.input.eval.id.clone(),
                    job: None,
                    job_version: Some(job.version),
                    job_create_index: Some(job.create_index),
                    allocated_resources: kept.resources,
                    metrics: kept.metrics,
                    modify_time: self.now,
                    ..Allocation::clone(alloc)
                });
            } else {
                destructive.push(Arc::clone(alloc));
            }
        }
        self.count(&group.name, |d| {
            d.ignore += ignore;
            d.in_place_update += as_u64(in_place);
        });
        (destructive, in_place)
    }

    #[expect(clippy::too_many_arguments, reason = "the pieces of one group, each of its own kind")]
    fn place_canaries(
        &mut self,
        job: &Arc<Job>,
        group: &TaskGroup,
        state: &mut DeploymentState,
        names: &mut Names,
        canaries: &Set,
        destructive: &Set,
        known: bool,
    ) {
        let wanted = group.update.as_ref().map_or(0, |update| update.canary);
        state.desired_canaries = wanted;
        if self.paused || self.failed {
            return;
        }
        let missing = usize::try_from(wanted).unwrap_or(0).saturating_sub(canaries.len());
        self.count(&group.name, |d| d.canary += as_u64(missing));
        let chosen = names.next_canaries(
            missing,
            canaries.iter().map(|a| &**a),
            destructive.iter().map(|a| &**a),
        );
        for name in chosen {
            self.changes.place.push(Place {
                name,
                group: group.name.clone(),
                job: Arc::clone(job),
                previous: None,
                stops: None,
                reschedule: false,
                canary: true,
            });
        }
        if known && let Some(deployment) = &mut self.deployment {
            deployment.task_groups.insert(group.name.clone(), state.clone());
            self.canaries_changed = true;
        }
    }

    /// How many may be replaced or moved at once.
    fn budget(
        &self,
        group: &TaskGroup,
        untainted: &Set,
        changing: usize,
        is_canarying: bool,
    ) -> usize {
        let count = usize::try_from(group.count).unwrap_or(0);
        let rolls = group.update.as_ref().filter(|update| update.max_parallel > 0);
        let Some(update) = rolls.filter(|_| changing > 0) else { return count.max(changing) };
        let parallel = usize::try_from(update.max_parallel).unwrap_or(0);
        let Some(deployment) = &self.deployment else { return parallel };
        if self.paused || self.failed || is_canarying {
            return 0;
        }
        let mut left = parallel;
        for alloc in untainted.iter().filter(|alloc| alloc.deployment_id == deployment.id) {
            match alloc.deployment_status.as_ref().and_then(|status| status.healthy) {
                Some(true) => {}
                Some(false) => return 0,
                None => left = left.saturating_sub(1),
            }
        }
        left
    }

    /// What has to be placed to have as many as wanted.
    fn missing(
        &self,
        job: &Arc<Job>,
        group: &TaskGroup,
        names: &mut Names,
        sorted: &Sorted,
        is_canarying: bool,
    ) -> Vec<Place> {
        let wanted = usize::try_from(group.count).unwrap_or(0);
        let place = |name: String, previous: Option<&Arc<Allocation>>, reschedule: bool| {
            let canary = previous.is_some_and(|alloc| is_canary(alloc));
            // While canaries are out, whoever is not one stays at the version it had.
            let old = previous.and_then(|alloc| alloc.job.clone());
            let old = old.or_else(|| self.settled_job(job));
            let version = if is_canarying && !canary { old } else { None };
            Place {
                name,
                group: group.name.clone(),
                job: version.unwrap_or_else(|| Arc::clone(job)),
                previous: previous.cloned(),
                stops: None,
                reschedule,
                canary: canary && is_canarying,
            }
        };
        let mut all: Vec<Place> =
            sorted.now.iter().map(|alloc| place(alloc.name.clone(), Some(alloc), true)).collect();
        let mut have = sorted.untainted.len() + sorted.migrate.len() + sorted.now.len();
        for alloc in &sorted.lost {
            if have >= wanted {
                break;
            }
            have += 1;
            all.push(place(alloc.name.clone(), Some(alloc), false));
        }
        let fresh = names.next(wanted.saturating_sub(have));
        all.extend(fresh.into_iter().map(|name| place(name, None, false)));
        all
    }

    /// The version before the one whose canaries are out.
    fn settled_job(&self, job: &Job) -> Option<Arc<Job>> {
        let mut older = (0..job.version).rev();
        let key = job.key();
        let stable = older.find_map(|version| {
            self.input.lookup.job_version(&key, version).filter(|job| job.stable)
        });
        let last = job.version.checked_sub(1);
        stable.or_else(|| self.input.lookup.job_version(&key, last?))
    }

    /// Places what is missing as far as the deployment allows: not while it is paused, failed or canarying,
    /// except for what was lost, and for what failed outside a failed deployment.
    fn replacements(
        &mut self,
        group: &TaskGroup,
        place: Vec<Place>,
        sorted: &Sorted,
        ready: bool,
        budget: &mut usize,
    ) {
        let mut allowed_lost = sorted.lost.len();
        if ready {
            *budget = budget.saturating_sub(place.len());
        }
        for mut place in place {
            if !ready && !place.reschedule {
                if allowed_lost == 0 {
                    continue;
                }
                allowed_lost -= 1;
            }
            if !ready && place.reschedule && self.is_of_failed_deployment(place.previous.as_deref())
            {
                continue;
            }
            self.count(&group.name, |d| d.place += 1);
            if place.reschedule && place.previous.as_ref().is_some_and(|a| !is_unknown_soon(a)) {
                self.count(&group.name, |d| d.stop += 1);
                place.stops = Some(reason::RESCHEDULED);
            }
            self.changes.place.push(place);
        }
    }

    fn is_of_failed_deployment(&self, previous: Option<&Allocation>) -> bool {
        self.failed
            && previous.is_some_and(|alloc| {
                self.deployment.as_ref().is_some_and(|d| d.id == alloc.deployment_id)
            })
    }

    /// Stops what is to move, and places it anew.
    fn migrations(&mut self, job: &Arc<Job>, group: &TaskGroup, migrate: Set, is_canarying: bool) {
        self.count(&group.name, |d| d.migrate += as_u64(migrate.len()));
        for alloc in migrate {
            let canary = is_canary(&alloc);
            let stays_down = alloc.desired_transition.migrate_disable_placement == Some(true);
            if !stays_down {
                let old = alloc.job.clone().filter(|_| is_canarying && !canary);
                self.changes.place.push(Place {
                    name: alloc.name.clone(),
                    group: group.name.clone(),
                    job: old.unwrap_or_else(|| Arc::clone(job)),
                    previous: Some(Arc::clone(&alloc)),
                    stops: None,
                    reschedule: false,
                    canary: canary && is_canarying,
                });
            }
            self.stop(alloc, reason::MIGRATING);
        }
    }
}

fn is_canary(alloc: &Allocation) -> bool {
    alloc.deployment_status.as_ref().is_some_and(|status| status.canary)
}

/// Whether it is replaced because its node is not heard of: it is not stopped, it may come back.
fn is_unknown_soon(alloc: &Allocation) -> bool {
    alloc.client_status == ClientStatus::Running
}

/// Whether canaries have to come before anything else changes.
fn needs_canaries(
    group: &TaskGroup,
    state: &DeploymentState,
    destructive: usize,
    out: usize,
) -> bool {
    let wanted = group.update.as_ref().map_or(0, |update| update.canary);
    wanted > 0 && !state.promoted && destructive > 0 && as_i64(out) < wanted
}

fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn as_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
