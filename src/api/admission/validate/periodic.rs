//! ◆ Rules of jobs that are launched by the clock or by dispatch.

use std::collections::BTreeSet;

use crate::api::admission::Errors;
use crate::model::policy::{ParameterizedJobConfig, PeriodicConfig};
use crate::model::{Job, JobType};

/// Of both.
pub(super) fn periodic(job: &Job, errors: &mut Errors) {
    let batch = matches!(job.kind, JobType::Batch | JobType::Sysbatch);
    if let Some(periodic) = job.periodic.as_ref().filter(|periodic| periodic.enabled) {
        errors.check(batch, || {
            "Periodic can only be used with \"batch\" or \"sysbatch\" scheduler".to_owned()
        });
        errors.nest_bare(&clock(periodic));
    }
    if let Some(config) = &job.parameterized_job {
        errors.check(batch, || {
            "Parameterized job can only be used with \"batch\" or \"sysbatch\" scheduler".to_owned()
        });
        errors.nest_bare(&parameterized(config));
    }
}

fn clock(periodic: &PeriodicConfig) -> Errors {
    let mut errors = Errors::default();
    if periodic.spec.is_empty() && periodic.specs.is_empty() {
        errors.push("Must specify a spec");
    }
    if !periodic.spec.is_empty() && !periodic.specs.is_empty() {
        errors.push("Only cron or crons may be used");
    }
    if jiff::tz::TimeZone::get(&periodic.time_zone).is_err() {
        let zone = &periodic.time_zone;
        errors.push(format!("Invalid time zone \"{zone}\": unknown time zone {zone}"));
    }
    match periodic.spec_type.as_str() {
        "cron" => {
            let specs = periodic.specs.iter().chain(Some(&periodic.spec));
            for spec in specs.filter(|spec| !spec.is_empty()) {
                if let Err(why) = cron(spec) {
                    errors.push(format!("Invalid cron spec \"{spec}\": {why}"));
                }
            }
        }
        // Nomad's own tests use it.
        "_internal_test" => {}
        other => errors.push(format!("Unknown periodic specification type \"{other}\"")),
    }
    errors
}

/// Whether it is a cron expression by its looks; when it fires is told elsewhere.
fn cron(spec: &str) -> Result<(), String> {
    const MACROS: [&str; 6] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@hourly"];
    if MACROS.contains(&spec.trim()) {
        return Ok(());
    }
    let fields: Vec<&str> = spec.split_whitespace().collect();
    match fields.len() {
        0..5 => return Err("missing field(s)".to_owned()),
        5..=7 => {}
        _ => return Err("too many fields".to_owned()),
    }
    let known = |c: char| c.is_ascii_alphanumeric() || "*/,-?#".contains(c);
    fields
        .iter()
        .find(|field| !field.chars().all(known))
        .map_or(Ok(()), |field| Err(format!("syntax error in `{field}`")))
}

fn parameterized(config: &ParameterizedJobConfig) -> Errors {
    let mut errors = Errors::default();
    if !["optional", "required", "forbidden"].contains(&config.payload.as_str()) {
        errors.push(format!("Unknown payload requirement: \"{}\"", config.payload));
    }
    let required: BTreeSet<&String> = config.meta_required.iter().collect();
    let optional: BTreeSet<&String> = config.meta_optional.iter().collect();
    let both: Vec<&str> = required.intersection(&optional).map(|key| key.as_str()).collect();
    errors.check(both.is_empty(), || {
        format!(
            "Required and optional meta keys should be disjoint. Following keys exist in both: [{}]",
            both.join(" ")
        )
    });
    errors
}
