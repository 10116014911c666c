//! ◇ Following an evaluation, and the deployment it belongs to, until they end.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::connection::failed;
use super::deployment::status as deployment;
use super::exit::{Failure, Outcome};
use super::format::{self, number, text};
use super::output;
use crate::api::client::{Client, escape};
use crate::sys::clock;

fn now() -> String {
    format::time(clock::unix_nanos())
}

fn step(message: &str) {
    output::line(format!("    {}: {message}", now()));
}

/// Follows evaluation `id` and those that follow it, then its deployment. Ends with 0 when everything was
/// placed and became healthy, 2 when something could not be placed, 1 when the deployment failed.
pub(super) async fn evaluation(client: &Client, id: &str, verbose: bool) -> Outcome {
    let mut id = id.to_owned();
    let mut code = 0;
    loop {
        let (eval, placed) = one_evaluation(client, &id, verbose).await?;
        if !placed {
            code = 2;
        }
        let next = text(&eval, "NextEval");
        if text(&eval, "Status") != "failed" || next.is_empty() {
            let deployment = text(&eval, "DeploymentID");
            if deployment.is_empty() || code != 0 {
                return Ok(code);
            }
            return self::deployment(client, deployment, verbose).await;
        }
        next.clone_into(&mut id);
    }
}

async fn one_evaluation(
    client: &Client,
    id: &str,
    verbose: bool,
) -> Result<(Value, bool), Failure> {
    let short = |id: &str| format::id(id, verbose);
    output::line(format!("==> {}: Monitoring evaluation \"{}\"", now(), short(id)));
    let path = format!("/v1/evaluation/{}", escape(id));
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let (mut index, mut status, mut deployment) = (0, "pending".to_owned(), String::new());
    let mut first = true;
    loop {
        let wait = index.to_string();
        let answer = client
            .get(&path, &[("namespace", "*"), ("index", wait.as_str())])
            .await
            .map_err(failed("Error reading evaluation"))?;
        index = answer.index;
        let eval: Value = answer.json().map_err(failed("Error reading evaluation"))?;
        if std::mem::take(&mut first) {
            match (text(&eval, "NodeID"), text(&eval, "JobID")) {
                ("", job) => step(&format!("Evaluation triggered by job \"{job}\"")),
                (node, _) => step(&format!("Evaluation triggered by node \"{}\"", short(node))),
            }
        }
        if text(&eval, "DeploymentID") != deployment {
            text(&eval, "DeploymentID").clone_into(&mut deployment);
            step(&format!("Evaluation within deployment: \"{}\"", short(&deployment)));
        }
        allocations(client, id, &mut seen, verbose).await?;
        let current = text(&eval, "Status").to_owned();
        if current != status {
            step(&format!("Evaluation status changed: \"{status}\" -> \"{current}\""));
            status = current;
        }
        if matches!(status.as_str(), "complete" | "failed" | "canceled") {
            let placed = finished(&eval, id, verbose);
            return Ok((eval, placed));
        }
    }
}

/// Tells how an evaluation ended; whether everything was placed.
fn finished(eval: &Value, id: &str, verbose: bool) -> bool {
    let short = |id: &str| format::id(id, verbose);
    let status = text(eval, "Status");
    let failures = eval["FailedTGAllocs"].as_object().filter(|map| !map.is_empty());
    if let Some(groups) = failures {
        output::line(format!(
            "==> {}: Evaluation \"{}\" finished with status \"{status}\" but failed to place all allocations:",
            now(),
            short(id)
        ));
        for (group, metric) in groups {
            let count = number(metric, "CoalescedFailures") + 1;
            let noun = if count == 1 { "allocation" } else { "allocations" };
            output::line(format!(
                "    {}: Task Group \"{group}\" (failed to place {count} {noun}):\n{}",
                now(),
                self::metric(metric, "      ")
            ));
        }
        let blocked = text(eval, "BlockedEval");
        if !blocked.is_empty() {
            step(&format!(
                "Evaluation \"{}\" waiting for additional capacity to place remainder",
                short(blocked)
            ));
        }
        return false;
    }
    output::line(format!(
        "==> {}: Evaluation \"{}\" finished with status \"{status}\"",
        now(),
        short(id)
    ));
    status != "failed"
}

async fn allocations(
    client: &Client,
    eval: &str,
    seen: &mut BTreeMap<String, String>,
    verbose: bool,
) -> Result<(), Failure> {
    let short = |id: &str| format::id(id, verbose);
    let path = format!("/v1/evaluation/{}/allocations", escape(eval));
    let allocs: Vec<Value> = client
        .get_json(&path, &[("namespace", "*")])
        .await
        .map_err(failed("Error reading allocations"))?;
    for alloc in &allocs {
        let (id, status) = (text(alloc, "ID"), text(alloc, "ClientStatus"));
        let (node, group) = (short(text(alloc, "NodeID")), text(alloc, "TaskGroup"));
        match seen.insert(id.to_owned(), status.to_owned()) {
            None => {
                step(&format!(
                    "Allocation \"{}\" created: node \"{node}\", group \"{group}\"",
                    short(id)
                ));
            }
            Some(before) if before != status => {
                step(&format!(
                    "Allocation \"{}\" status changed: \"{before}\" -> \"{status}\"",
                    short(id)
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Follows deployment `id` until it ends; 0 when it was successful.
pub(super) async fn deployment(client: &Client, id: &str, verbose: bool) -> Outcome {
    let what = "Error reading deployment";
    output::line(format!("==> {}: Monitoring deployment \"{}\"", now(), format::id(id, verbose)));
    let path = format!("/v1/deployment/{}", escape(id));
    let mut index = 0;
    let mut shown = String::new();
    loop {
        let wait = index.to_string();
        let query = [("namespace", "*"), ("index", wait.as_str())];
        let answer = client.get(&path, &query).await.map_err(failed(what))?;
        index = answer.index;
        let current: Value = answer.json().map_err(failed(what))?;
        let text_now = deployment::detail(&current, verbose);
        if text_now != shown {
            output::line(format!("    \n{}\n{text_now}", now()));
            shown = text_now;
        }
        match text(&current, "Status") {
            "successful" => return Ok(0),
            "failed" | "cancelled" | "blocked" => return Ok(1),
            _ => {}
        }
    }
}

/// Why groups could not be placed, for `job plan`; empty when all could.
pub(super) fn placement_failures(failed: &Value, indent: &str, _evals: &Value) -> String {
    let mut lines = String::new();
    for (group, metric) in failed.as_object().into_iter().flatten() {
        let count = number(metric, "CoalescedFailures") + 1;
        let noun = if count == 1 { "allocation" } else { "allocations" };
        // Writing to a String cannot fail.
        writeln!(lines, "{indent}Task Group \"{group}\" (failed to place {count} {noun}):")
            .unwrap_or_default();
        writeln!(lines, "{}", self::metric(metric, "    ")).unwrap_or_default();
    }
    lines
}

/// Why a placement failed, a line for each reason.
pub(super) fn metric(metric: &Value, indent: &str) -> String {
    let mut lines = Vec::new();
    if number(metric, "NodesEvaluated") == 0 {
        lines.push("No nodes were eligible for evaluation".to_owned());
    }
    for (datacenter, count) in metric["NodesAvailable"].as_object().into_iter().flatten() {
        if count == 0 {
            lines.push(format!("No nodes are available in datacenter \"{datacenter}\""));
        }
    }
    let counted = |field: &str| {
        metric[field]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(k, v)| (k.clone(), v.as_i64().unwrap_or(0)))
    };
    lines.extend(
        counted("ClassFiltered")
            .map(|(c, n)| format!("Class \"{c}\": {n} nodes excluded by filter")),
    );
    lines.extend(
        counted("ConstraintFiltered")
            .map(|(c, n)| format!("Constraint \"{c}\": {n} nodes excluded by filter")),
    );
    let exhausted = number(metric, "NodesExhausted");
    if exhausted > 0 {
        lines.push(format!("Resources exhausted on {exhausted} nodes"));
    }
    lines.extend(
        counted("ClassExhausted").map(|(c, n)| format!("Class \"{c}\" exhausted on {n} nodes")),
    );
    lines.extend(
        counted("DimensionExhausted")
            .map(|(d, n)| format!("Dimension \"{d}\" exhausted on {n} nodes")),
    );
    lines.iter().map(|line| format!("{indent}* {line}")).collect::<Vec<_>>().join("\n")
}
