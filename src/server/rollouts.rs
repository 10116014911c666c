//! ◇ The loop of deployments.

use std::collections::{BTreeSet, HashMap, HashSet};

use tokio::sync::mpsc;

use super::deployments::{Action, Memory, View, deadline, look};
use super::error::ServerError;
use super::{Server, drive};
use crate::model::allocation::DesiredTransition;
use crate::model::{Deployment, DeploymentId, EvalTrigger, Evaluation, Timestamp};
use crate::state::{Intent, State};
use crate::sys::tasks::Tasks;

/// What the loop is told.
#[derive(Debug)]
pub(super) enum Event {
    /// A deployment may need something.
    Look(DeploymentId),
    /// What it needed was seen to.
    Done(DeploymentId),
}

/// The loop.
pub(super) struct Rollouts {
    memory: HashMap<DeploymentId, Memory>,
    due: BTreeSet<(Timestamp, DeploymentId)>,
    /// Those whose needs are being seen to: they are looked at again when that is done.
    busy: HashSet<DeploymentId>,
    mailbox: mpsc::Sender<Event>,
    tasks: Tasks,
    server: Server,
}

/// Runs the loop: looks at the deployments it is told of, and at those whose deadline passed.
pub(super) async fn run(
    server: Server,
    tasks: Tasks,
    (mailbox, events): (mpsc::Sender<Event>, mpsc::Receiver<Event>),
) {
    let stop = tasks.stop_token();
    let mut rollouts = Rollouts {
        memory: HashMap::new(),
        due: BTreeSet::new(),
        busy: HashSet::new(),
        mailbox,
        tasks,
        server,
    };
    let state = rollouts.server.state();
    let active = state.deployments().filter(|deployment| deployment.is_active());
    let mut first: Vec<Event> = active.map(|d| Event::Look(d.id.clone())).collect();
    drop(state);
    drive::drive(events, stop, |told, now| {
        let told = std::mem::take(&mut first).into_iter().chain(told);
        rollouts.turn(told, now)
    })
    .await;
}

impl Rollouts {
    fn turn(&mut self, told: impl Iterator<Item = Event>, now: Timestamp) -> Option<Timestamp> {
        let mut ids: BTreeSet<DeploymentId> = BTreeSet::new();
        for event in told {
            let (Event::Look(id) | Event::Done(id)) = &event;
            if matches!(event, Event::Done(_)) {
                self.busy.remove(id);
            }
            ids.insert(id.clone());
        }
        while let Some((at, id)) = self.due.first().cloned().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, id.clone()));
            ids.insert(id);
        }
        let state = self.server.state();
        for id in ids {
            self.look_at(&state, &id, now);
        }
        self.due.first().map(|(at, _)| *at)
    }

    fn look_at(&mut self, state: &State, id: &DeploymentId, now: Timestamp) {
        let Some(deployment) = state.deployment(id).filter(|deployment| deployment.is_active())
        else {
            self.memory.remove(id);
            self.due.retain(|(_, other)| other != id);
            return;
        };
        if self.busy.contains(id) {
            return;
        }
        if let Some(at) = deadline(deployment).filter(|at| *at > now) {
            self.due.insert((at, id.clone()));
        }
        let view = View {
            deployment,
            allocs: state.allocs_by_deployment(id).cloned().collect(),
            versions: state.job_versions(&deployment.job_key()).into_iter().cloned().collect(),
        };
        let memory = self.memory.entry(id.clone()).or_default();
        let actions = look(&view, memory, now);
        if actions.is_empty() {
            return;
        }
        self.busy.insert(id.clone());
        let (server, mailbox) = (self.server.clone(), self.mailbox.clone());
        let deployment = Deployment::clone(deployment);
        self.tasks.spawn("deployment", async move {
            for action in actions {
                if let Err(error) = perform(&server, &deployment, action).await {
                    tracing::warn!(deployment = %deployment.id, %error, "a deployment could not be seen to");
                }
            }
            // The loop may have ended.
            let _ended = mailbox.send(Event::Done(deployment.id)).await.is_err();
        });
    }
}

async fn perform(
    server: &Server,
    deployment: &Deployment,
    action: Action,
) -> Result<(), ServerError> {
    let eval = server.job_eval(&deployment.job_key(), EvalTrigger::DeploymentWatcher).map(|eval| {
        Evaluation {
            deployment_id: deployment.id.clone(),
            priority: if deployment.eval_priority > 0 {
                deployment.eval_priority
            } else {
                eval.priority
            },
            ..eval
        }
    });
    let intent = match action {
        Action::Evaluate => Intent::UpsertEvals(eval.into_iter().collect()),
        Action::Replace(ids) => {
            let replace =
                DesiredTransition { reschedule: Some(true), ..DesiredTransition::default() };
            Intent::UpdateDesiredTransitions {
                transitions: ids.into_iter().map(|id| (id, replace.clone())).collect(),
                evals: eval.into_iter().collect(),
            }
        }
        Action::Promote => Intent::PromoteDeployment {
            id: deployment.id.clone(),
            groups: None,
            eval: eval.map(Box::new),
        },
        Action::Fail(update, revert) => {
            Intent::UpdateDeployment { update, revert, eval: eval.map(Box::new) }
        }
    };
    server.propose(intent).await.map(drop)
}
