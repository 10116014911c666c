//! ◆ The way of a job from what a client sent to what enters the log: defaults, what they imply, rules.
//!
//! The one place of all three, in Nomad's order: every default is filled in ([`super::job`]), sidecars are
//! added ([`connect`]), conditions that follow from what the job uses are added ([`implied`]), every task
//! gets its identity, then all rules are checked ([`validate`]) and all of what breaks them is told at once.
//! What only the state knows (does the namespace exist, does the type change) is asked of [`Surroundings`].

use std::collections::BTreeSet;

use super::job::{self, Job};
use crate::model;
use crate::sys::report::Kind;

mod connect;
mod errors;
mod implied;
mod ours;
mod validate;
mod warnings;

pub use errors::Errors;

/// What the servers' configuration and state say that a job is checked against.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The priority of a job that names none.
    pub default_priority: i64,
    /// The highest priority.
    pub max_priority: i64,
    /// The most allocations a job may ask for.
    pub max_count: i64,
    /// The servers' region.
    pub region: String,
    /// The namespaces that exist.
    pub namespaces: BTreeSet<String>,
    /// The node pools that exist.
    pub node_pools: BTreeSet<String>,
    /// Whether tasks may use more memory than they reserve.
    pub memory_oversubscription: bool,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            default_priority: 50,
            max_priority: 100,
            max_count: 50_000,
            region: "global".to_owned(),
            namespaces: BTreeSet::from(["default".to_owned()]),
            node_pools: BTreeSet::from(["all".to_owned(), "default".to_owned()]),
            memory_oversubscription: false,
        }
    }
}

/// What is worth knowing about a job that was let in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Warnings {
    /// Nomad's, in its words.
    pub nomad: Errors,
    /// Ours: what was dropped, and what has no effect in this version.
    pub ours: Errors,
}

impl Warnings {
    /// All of them in one text, Nomad's first; empty when there are none.
    pub fn text(&self) -> String {
        let mut all = self.nomad.clone();
        all.append(self.ours.clone());
        all.warnings()
    }
}

/// Why a job is not let in.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// It belongs to a region these servers know no way to.
    #[error("No path to region")]
    Region,
    /// System jobs run on every node.
    #[error("Task groups with job type system do not support scaling blocks")]
    SystemScaling,
    /// It breaks rules; the text is Nomad's list of them.
    #[error("{}", .0.text())]
    Rules(Errors),
}

impl Invalid {
    /// What it means to the one who asked.
    pub fn kind(&self) -> Kind {
        Kind::Invalid
    }

    /// The rules it breaks, one by one.
    pub fn list(&self) -> Vec<String> {
        match self {
            Self::Rules(errors) => errors.list().to_vec(),
            Self::Region | Self::SystemScaling => vec![self.to_string()],
        }
    }
}

/// Lets a job in, or says everything that is wrong with it.
///
/// `dropped` are the keys that were not understood when it was read; each becomes a warning.
pub fn admit(
    job: Job,
    dropped: &[String],
    around: &Surroundings,
) -> Result<(model::Job, Warnings), Invalid> {
    let region = job.region.as_deref().unwrap_or_default();
    if !region.is_empty() && region != "global" && region != around.region {
        return Err(Invalid::Region);
    }
    let unknown_type =
        job.kind.clone().filter(|kind| !kind.is_empty() && job::job_type(kind).is_none());
    let lost = ours::lost(&job);
    let mut job = job.canonical(around.default_priority);
    around.region.clone_into(&mut job.region);
    if job.kind == model::JobType::System && job.task_groups.iter().any(|g| g.scaling.is_some()) {
        return Err(Invalid::SystemScaling);
    }
    let mut errors = Errors::default();
    connect::mutate(&mut job, &mut errors);
    if !errors.is_empty() {
        return Err(Invalid::Rules(errors));
    }
    implied::constraints(&mut job);
    implied::identities(&mut job);
    validate::job(&job, unknown_type.as_deref(), around, &mut errors);
    if !errors.is_empty() {
        return Err(Invalid::Rules(errors));
    }
    let warnings =
        Warnings { nomad: warnings::of(&job, around), ours: ours::warnings(&job, dropped, lost) };
    Ok((job, warnings))
}
