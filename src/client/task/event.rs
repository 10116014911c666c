//! ◆ What happened to a task, in Nomad's types, facts and sentences.

use std::collections::BTreeMap;

use super::duration;
use crate::model::{Nanos, TaskEvent, Timestamp};

/// A happening. [`Happening::at`] gives it a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// The node accepted the allocation.
    Received,
    /// A step of the preparation.
    Setup(&'static str),
    /// The task's configuration is wrong.
    FailedValidation(String),
    /// A preparation cannot succeed.
    SetupFailure(String),
    /// The driver tells of its progress.
    Driver(String),
    /// The driver could not start it.
    DriverFailure(String),
    /// Its process runs.
    Started,
    /// Its process ended.
    Terminated(Exit),
    /// It will be started again.
    Restarting {
        /// Nomad's sentence, may be empty.
        reason: &'static str,
        /// The wait.
        delay: Nanos,
    },
    /// It will not be started again.
    NotRestarting(String),
    /// Somebody asked for a restart.
    RestartSignaled(String),
    /// A signal is sent.
    Signaling(String),
    /// It is being stopped.
    Killing {
        /// How long it has; none when the reason says it all.
        timeout: Nanos,
        /// Why, when that is not obvious.
        reason: Option<String>,
    },
    /// It was stopped; the error, if something went wrong on the way.
    Killed(Option<String>),
    /// Another task of the group failed.
    SiblingFailed(String),
    /// The group's leader ended.
    LeaderDead,
    /// Only sidecars are left.
    MainDead,
    /// The task is given time before it is stopped.
    WaitingForShutdownDelay(Nanos),
    /// It could not be taken over after a restart of the agent.
    FailedRestore(String),
    /// Text of a hook that is named as the event's type.
    Source {
        /// `Alloc Unhealthy`, `Template` …
        source: &'static str,
        /// The text.
        message: String,
    },
}

/// How a process ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code; 128 + signal when a signal ended it.
    pub code: i32,
    /// The signal that ended it, or 0.
    pub signal: i32,
    /// Whether the kernel killed it for want of memory.
    pub oom_killed: bool,
    /// What the driver says about it.
    pub message: String,
}

impl Exit {
    /// Whether it ended well.
    pub fn is_success(&self) -> bool {
        self.code == 0 && self.signal == 0 && !self.oom_killed
    }
}

impl Happening {
    /// Nomad's type.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Received => "Received",
            Self::Setup(_) => "Task Setup",
            Self::FailedValidation(_) => "Failed Validation",
            Self::SetupFailure(_) => "Setup Failure",
            Self::Driver(_) => "Driver",
            Self::DriverFailure(_) => "Driver Failure",
            Self::Started => "Started",
            Self::Terminated(_) => "Terminated",
            Self::Restarting { .. } => "Restarting",
            Self::NotRestarting(_) => "Not Restarting",
            Self::RestartSignaled(_) => "Restart Signaled",
            Self::Signaling(_) => "Signaling",
            Self::Killing { .. } => "Killing",
            Self::Killed(_) => "Killed",
            Self::SiblingFailed(_) => "Sibling Task Failed",
            Self::LeaderDead => "Leader Task Dead",
            Self::MainDead => "Main Tasks Dead",
            Self::WaitingForShutdownDelay(_) => "Waiting for shutdown delay",
            Self::FailedRestore(_) => "Failed Restoring Task",
            Self::Source { source, .. } => source,
        }
    }

    /// The sentence for people.
    pub fn sentence(&self) -> String {
        match self {
            Self::Received => "Task received by client".to_owned(),
            Self::Setup(text) => (*text).to_owned(),
            Self::FailedValidation(text)
            | Self::SetupFailure(text)
            | Self::Driver(text)
            | Self::DriverFailure(text)
            | Self::NotRestarting(text)
            | Self::RestartSignaled(text)
            | Self::FailedRestore(text)
            | Self::Source { message: text, .. } => text.clone(),
            Self::Started => "Task started by client".to_owned(),
            Self::Terminated(exit) => terminated(exit),
            Self::Restarting { reason, delay } => restarting(reason, *delay),
            // Nomad: the signal's name is in the facts only.
            Self::Signaling(_) => "Task being sent a signal".to_owned(),
            Self::Killing { reason: Some(reason), .. } => reason.clone(),
            Self::Killing { timeout, .. } if timeout.0 > 0 => {
                format!("Sent interrupt. Waiting {} before force killing", duration::go(*timeout))
            }
            Self::Killing { .. } => "Sent interrupt".to_owned(),
            Self::Killed(error) => {
                error.clone().unwrap_or_else(|| "Task successfully killed".to_owned())
            }
            Self::SiblingFailed(task) => format!("Task's sibling {task:?} failed"),
            Self::LeaderDead => "Leader Task in Group dead".to_owned(),
            Self::MainDead => "Main tasks in the group died".to_owned(),
            Self::WaitingForShutdownDelay(delay) => format!(
                "Waiting for shutdown_delay of {} before killing the task.",
                duration::go(*delay)
            ),
        }
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Received
            | Self::Started
            | Self::LeaderDead
            | Self::MainDead
            | Self::Killed(None)
            | Self::WaitingForShutdownDelay(_) => Vec::new(),
            Self::Setup(text) => vec![("message", (*text).to_owned())],
            Self::FailedValidation(text) => vec![("validation_error", text.clone())],
            Self::SetupFailure(text) => {
                vec![("setup_error", text.clone()), ("fails_task", "true".to_owned())]
            }
            Self::Driver(text) => vec![("driver_message", text.clone())],
            Self::DriverFailure(text) => vec![("driver_error", text.clone())],
            Self::Terminated(exit) => exit_facts(exit),
            Self::Restarting { reason, delay } => {
                vec![("restart_reason", (*reason).to_owned()), ("start_delay", delay.0.to_string())]
            }
            Self::NotRestarting(reason) => {
                vec![("restart_reason", reason.clone()), ("fails_task", "true".to_owned())]
            }
            Self::RestartSignaled(reason) => vec![("restart_reason", reason.clone())],
            Self::Signaling(signal) => vec![("signal", signal.clone())],
            Self::Killing { timeout, reason } => {
                let timeout = (timeout.0 > 0).then(|| ("kill_timeout", duration::go(*timeout)));
                let reason = reason.clone().map(|reason| ("kill_reason", reason));
                timeout.into_iter().chain(reason).collect()
            }
            Self::Killed(Some(error)) => vec![("kill_error", error.clone())],
            Self::SiblingFailed(task) => vec![("failed_sibling", task.clone())],
            Self::FailedRestore(text) | Self::Source { message: text, .. } => {
                vec![("message", text.clone())]
            }
        }
    }

    /// The event, at a time.
    pub fn at(&self, time: Timestamp) -> TaskEvent {
        let details: BTreeMap<String, String> =
            self.facts().into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        TaskEvent {
            kind: self.kind().to_owned(),
            time,
            display_message: self.sentence(),
            message: details.get("message").cloned().unwrap_or_default(),
            details,
        }
    }
}

fn terminated(exit: &Exit) -> String {
    let signal = match exit.signal {
        0 => String::new(),
        signal => format!(", Signal: {signal}"),
    };
    let message = match exit.message.as_str() {
        "" if exit.oom_killed => ", Exit Message: \"OOM Killed\"".to_owned(),
        "" => String::new(),
        message => format!(", Exit Message: {message:?}"),
    };
    format!("Exit Code: {}{signal}{message}", exit.code)
}

fn exit_facts(exit: &Exit) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("exit_code", exit.code.to_string()),
        ("signal", exit.signal.to_string()),
        ("oom_killed", exit.oom_killed.to_string()),
    ];
    if !exit.message.is_empty() {
        facts.push(("exit_message", exit.message.clone()));
    }
    facts
}

fn restarting(reason: &str, delay: Nanos) -> String {
    let wait = format!("Task restarting in {}", duration::go(delay));
    if reason.is_empty() || reason == super::restart::WITHIN_POLICY {
        wait
    } else {
        format!("{reason} - {wait}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_read_as_recorded() {
        let event = |happening: Happening| {
            let event = happening.at(Timestamp(7));
            (
                event.kind.clone(),
                event.display_message.clone(),
                serde_json::to_string(&event.details).unwrap(),
            )
        };
        let exit = Exit { code: 137, signal: 9, ..Exit::default() };
        let cases = [
            (Happening::Received, "Received", "Task received by client", "{}"),
            (
                Happening::Terminated(exit),
                "Terminated",
                "Exit Code: 137, Signal: 9",
                r#"{"exit_code":"137","oom_killed":"false","signal":"9"}"#,
            ),
            (
                Happening::Restarting { reason: "", delay: Nanos::ZERO },
                "Restarting",
                "Task restarting in 0s",
                r#"{"restart_reason":"","start_delay":"0"}"#,
            ),
            (
                Happening::Killing { timeout: Nanos::from_secs(1), reason: None },
                "Killing",
                "Sent interrupt. Waiting 1s before force killing",
                r#"{"kill_timeout":"1s"}"#,
            ),
            (
                Happening::NotRestarting("Policy allows no restarts".to_owned()),
                "Not Restarting",
                "Policy allows no restarts",
                r#"{"fails_task":"true","restart_reason":"Policy allows no restarts"}"#,
            ),
        ];
        for (happening, kind, sentence, facts) in cases {
            assert_eq!(event(happening), (kind.to_owned(), sentence.to_owned(), facts.to_owned()));
        }
        let setup = Happening::Setup("Building Task Directory").at(Timestamp(7));
        assert_eq!(setup.message, "Building Task Directory");
    }
}
