//! ◆ Bodies that clients send, and what becomes of the job in them.

use axum::body::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::context::Context;
use super::error::HttpError;
use crate::api;
use crate::api::admission::{self, Surroundings};
use crate::model::job::JobSubmission;
use crate::model::plan::PlanAnnotations;
use crate::model::{Job, Nanos};
use crate::state::command::RowTable;
use crate::sys::report::{self, Kind};

/// `PUT /v1/jobs` and `/v1/validate/job`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct RegisterRequest {
    /// The job, as it was sent.
    pub(super) job: Option<Value>,
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
    pub(super) job: Option<Value>,
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
    #[serde(deserialize_with = "crate::model::go::deserialize")]
    pub(super) groups: Vec<String>,
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
    pub(super) meta: Option<std::collections::BTreeMap<String, String>>,
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
        return Err(HttpError::bad_request("EOF"));
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
        .row(RowTable::SchedulerConfig, "scheduler")
        .is_some_and(|row| row.value["MemoryOversubscriptionEnabled"] == true);
    Ok(Surroundings {
        region: cx.facts.region(),
        namespaces: keys(RowTable::Namespaces),
        node_pools: keys(RowTable::NodePools),
        memory_oversubscription: oversubscription,
        ..Surroundings::default()
    })
}

fn read_job(job: Value) -> Result<(api::job::Job, Vec<String>), HttpError> {
    api::job::Job::decode(job).map_err(|error| HttpError::bad_request(report::chain(&error)))
}

/// Fills a job's defaults and checks it; its warnings come with it.
pub(super) fn admit(cx: &Context, job: Value) -> Result<(Job, String), HttpError> {
    let (job, dropped) = read_job(job)?;
    let admitted = admission::admit(job, &dropped, &surroundings(cx)?);
    let (job, warnings) =
        admitted.map_err(|invalid| HttpError::from_error(invalid.kind(), &invalid))?;
    Ok((job, warnings.text()))
}

/// As [`admit`], but what is wrong is an answer: the single errors, all of them as a text, and the warnings.
pub(super) fn check(cx: &Context, job: Value) -> Result<(Value, String, String), HttpError> {
    let (job, dropped) = read_job(job)?;
    Ok(match admission::admit(job, &dropped, &surroundings(cx)?) {
        Ok((_, warnings)) => (Value::Null, String::new(), warnings.text()),
        Err(invalid) => (invalid.list().into(), invalid.to_string(), String::new()),
    })
}

/// What registering `new` over `old` would change. `null` until the difference of jobs is worked out.
pub(super) fn diff(
    _old: Option<&Job>,
    _new: &Job,
    _annotations: Option<&PlanAnnotations>,
) -> Result<Value, HttpError> {
    Ok(Value::Null)
}
