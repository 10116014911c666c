//! ◆ Bodies that clients send, and what becomes of the job in them.

use std::collections::BTreeMap;

use axum::body::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::context::Context;
use super::error::HttpError;
use crate::api;
use crate::api::admission::{self, Invalid, Surroundings};
use crate::model::job::JobSubmission;
use crate::model::plan::PlanAnnotations;
use crate::model::{Job, Nanos};
use crate::state::command::RowTable;
use crate::sys::report::{self};

/// `PUT /v1/jobs` and `/v1/validate/job`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct RegisterRequest {
    /// The job, as it was sent.
    pub(super) job: Option<Box<api::job::Job>>,
    /// Its source.
    pub(super) submission: Option<JobSubmission>,
    /// Whether `job_modify_index` must hold.
    pub(super) enforce_index: bool,
    /// The index that must hold.
    pub(super) job_modify_index: u64,
    /// The evaluation's priority.
    pub(super) eval_priority: i64,
    /// The namespace.
    pub(super) namespace: String,
}

/// `PUT /v1/job/<id>/plan`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct PlanRequest {
    /// The job, as it was sent.
    pub(super) job: Option<Box<api::job::Job>>,
    /// Whether the difference is wanted.
    pub(super) diff: bool,
}

/// `PUT /v1/job/<id>/evaluate`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct EvaluateRequest {
    /// How.
    pub(super) eval_options: EvalOptions,
}

/// How a job is evaluated.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct EvalOptions {
    /// Whether failed allocations are replaced whatever their policy says.
    pub(super) force_reschedule: bool,
}

/// `PUT /v1/jobs/parse`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ParseRequest {
    /// The source.
    #[serde(rename = "JobHCL")]
    pub(super) job_hcl: String,
    /// Values of variables, as HCL.
    #[serde(rename = "Variables")]
    pub(super) variables: String,
    /// Whether defaults are filled in.
    #[serde(rename = "Canonicalize")]
    pub(super) canonicalize: bool,
}

/// `PUT /v1/job/<id>/revert`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct RevertRequest {
    /// The job.
    #[serde(rename = "JobID")]
    pub(super) job_id: String,
    /// The version to go back to.
    pub(super) job_version: u64,
    /// Refuse unless this is the current one.
    pub(super) enforce_prior_version: Option<u64>,
}

/// `PUT /v1/job/<id>/stable`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct StabilityRequest {
    /// The job.
    #[serde(rename = "JobID")]
    pub(super) job_id: String,
    /// The version.
    pub(super) job_version: u64,
    /// Whether it ran well.
    pub(super) stable: bool,
}

/// `PUT /v1/job/<id>/versions/<tag>/tag`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct TagRequest {
    /// The version.
    pub(super) version: u64,
    /// The current version is meant.
    pub(super) latest: bool,
    /// What for.
    pub(super) description: String,
}

/// `POST /v1/jobs/statuses`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct StatusesRequest {
    /// These; none for all.
    pub(super) jobs: Vec<NamedJob>,
    /// Also jobs that others have launched.
    pub(super) include_children: bool,
}

/// A job by name.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct NamedJob {
    /// Its ID.
    #[serde(rename = "ID")]
    pub(super) id: String,
    /// Its namespace.
    pub(super) namespace: String,
}

/// `PUT /v1/job/<id>/scale`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ScaleRequest {
    /// The new count.
    pub(super) count: Option<i64>,
    /// `Group` names the group.
    pub(super) target: BTreeMap<String, String>,
    /// Why.
    pub(super) message: String,
    /// Whether it only tells of an error.
    pub(super) error: bool,
    /// Free-form facts.
    pub(super) meta: Option<serde_json::Map<String, Value>>,
}

/// `PUT /v1/deployment/…`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct DeploymentRequest {
    /// The deployment.
    #[serde(rename = "DeploymentID")]
    pub(super) deployment_id: String,
    /// Pause or resume.
    pub(super) pause: bool,
    /// All groups.
    pub(super) all: bool,
    /// These groups.
    pub(super) groups: Vec<String>,
    /// Allocations somebody knows to be healthy.
    #[serde(rename = "HealthyAllocationIDs")]
    pub(super) healthy: Vec<String>,
    /// Allocations somebody knows not to be.
    #[serde(rename = "UnhealthyAllocationIDs")]
    pub(super) unhealthy: Vec<String>,
}

/// `DELETE /v1/evaluations`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct EvalDeleteRequest {
    /// These.
    #[serde(rename = "EvalIDs")]
    pub(super) eval_ids: Vec<String>,
    /// All that match.
    pub(super) filter: String,
}

/// `PUT /v1/node/<id>/eligibility`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct EligibilityRequest {
    /// `eligible` or `ineligible`.
    pub(super) eligibility: String,
}

/// `PUT /v1/node/<id>/drain`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct DrainRequest {
    /// How; none ends the drain.
    pub(super) drain_spec: Option<DrainSpec>,
    /// Whether the node becomes eligible again.
    pub(super) mark_eligible: bool,
    /// Why.
    pub(super) meta: Option<BTreeMap<String, String>>,
}

/// How a node is drained.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct DrainSpec {
    /// How long it may take.
    pub(super) deadline: Nanos,
    /// Whether system jobs stay.
    pub(super) ignore_system_jobs: bool,
}

/// `PUT /v1/search`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct SearchRequest {
    /// The beginning of an id.
    pub(super) prefix: String,
    /// Of what.
    pub(super) context: String,
}

/// `PUT /v1/client/allocation/<id>/restart`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct RestartRequest {
    /// The task; empty for all that run.
    pub(super) task_name: String,
    /// Also those that have ended.
    pub(super) all_tasks: bool,
}

/// `PUT /v1/client/allocation/<id>/signal`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct SignalRequest {
    /// The task; empty for all.
    pub(super) task: String,
    /// The signal.
    pub(super) signal: String,
}

/// Reads a body. Nomad: keys in any case, unknown ones ignored, an empty body is an error.
pub(super) fn decode<T: DeserializeOwned>(sent: &Bytes) -> Result<T, HttpError> {
    if sent.is_empty() {
        return Err(HttpError::bad_request("Request body is empty"));
    }
    api::decode::from_slice(sent).map_err(|error| HttpError::bad_request(report::chain(&error)))
}

/// Reads a body that may be left out.
pub(super) fn decode_or_default<T: DeserializeOwned + Default>(
    sent: &Bytes,
) -> Result<T, HttpError> {
    if sent.is_empty() { Ok(T::default()) } else { decode(sent) }
}

/// What a job is checked against: the namespaces and pools that exist, and the region.
pub(super) fn surroundings(cx: &Context) -> Result<Surroundings, HttpError> {
    let state = cx.state()?;
    let keys = |table| state.rows(table).map(|(key, _)| key.to_string()).collect();
    let oversubscription = state
        .row(RowTable::SchedulerConfig, "default")
        .is_some_and(|row| row.value["MemoryOversubscriptionEnabled"] == true);
    Ok(Surroundings {
        region: cx.facts.region(),
        namespaces: keys(RowTable::Namespaces),
        node_pools: keys(RowTable::NodePools),
        memory_oversubscription: oversubscription,
        ..Surroundings::default()
    })
}

/// A job as it was sent, with the keys that were not understood.
#[derive(Debug)]
pub(super) struct SentJob {
    job: Box<api::job::Job>,
    dropped: Vec<String>,
}

impl SentJob {
    /// Reads a job that is not part of a request.
    pub(super) fn read(job: Value) -> Result<Self, HttpError> {
        let (job, dropped) = api::job::Job::decode(job).map_err(unreadable)?;
        Ok(Self { job: Box::new(job), dropped })
    }

    /// Its ID; empty when it has none.
    pub(super) fn id(&self) -> &str {
        self.job.id.as_deref().unwrap_or_default()
    }

    /// In the namespace that the request names, if it names one.
    pub(super) fn in_namespace(mut self, namespace: &str) -> Self {
        if !namespace.is_empty() {
            self.job.namespace = Some(namespace.to_owned());
        }
        self
    }

    /// With every default filled in, whether it breaks rules or not.
    pub(super) fn canonical(self) -> Job {
        self.job.canonical(Surroundings::default().default_priority)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn unreadable(error: api::decode::DecodeError) -> HttpError {
    HttpError::bad_request(error.to_string())
}

/// Reads a request that holds a job.
pub(super) fn job_request<T: DeserializeOwned>(
    sent: &Bytes,
    take: impl FnOnce(&mut T) -> Option<Box<api::job::Job>>,
) -> Result<(T, Option<SentJob>), HttpError> {
    let value: Value = decode(sent)?;
    let (mut request, dropped) = api::decode::from_value_noting::<T>(value).map_err(unreadable)?;
    let of_job = dropped.iter().filter_map(|key| key.split_once('.'));
    let of_job = of_job.filter(|(first, _)| first.eq_ignore_ascii_case("job"));
    let dropped = of_job.map(|(_, key)| key.to_owned()).collect();
    let job = take(&mut request).map(|job| SentJob { job, dropped });
    Ok((request, job))
}

/// Fills a job's defaults and checks it; its warnings come with it.
pub(super) fn admit(cx: &Context, sent: SentJob) -> Result<(Job, String), HttpError> {
    match admission::admit(*sent.job, &sent.dropped, &surroundings(cx)?) {
        Ok((job, warnings)) => Ok((job, warnings.text())),
        Err(Invalid::SystemScaling) => {
            Err(HttpError::bad_request(Invalid::SystemScaling.to_string()))
        }
        Err(invalid) => Err(HttpError::from_error(invalid.kind(), &invalid)),
    }
}

/// What is wrong with a job, as an answer.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// Each by itself.
    pub(super) errors: Vec<String>,
    /// All of them as one text.
    pub(super) text: String,
    /// What is worth knowing when nothing is wrong.
    pub(super) warnings: String,
}

/// As [`admit`], but what is wrong is an answer.
pub(super) fn check(cx: &Context, sent: SentJob) -> Result<Checked, HttpError> {
    Ok(match admission::admit(*sent.job, &sent.dropped, &surroundings(cx)?) {
        Ok((_, warnings)) => Checked { warnings: warnings.text(), ..Checked::default() },
        Err(invalid) => {
            Checked { errors: invalid.list(), text: invalid.to_string(), warnings: String::new() }
        }
    })
}

/// What registering `new` over `old` would change.
pub(super) fn diff(
    old: Option<&Job>,
    new: &Job,
    annotations: Option<&PlanAnnotations>,
) -> api::diff::JobDiff {
    let mut diff = api::diff::between(old, Some(new));
    api::diff::annotate(&mut diff, annotations);
    diff
}
