//! ◆ What a node says of an allocation, from how its tasks are.

use std::collections::BTreeMap;

use crate::model::allocation::TaskPhase;
use crate::model::{ClientStatus, TaskState};

/// The status, and Nomad's sentence about it.
pub fn derive(tasks: &BTreeMap<String, TaskState>) -> (ClientStatus, &'static str) {
    let any = |wanted: TaskPhase| tasks.values().any(|task| task.state == wanted);
    if tasks.values().any(|task| task.state == TaskPhase::Dead && task.failed) {
        (ClientStatus::Failed, "Failed tasks")
    } else if any(TaskPhase::Running) {
        (ClientStatus::Running, "Tasks are running")
    } else if any(TaskPhase::Pending) || tasks.is_empty() {
        (ClientStatus::Pending, "No tasks have started")
    } else {
        (ClientStatus::Complete, "All tasks have completed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_beats_running_beats_pending_beats_complete() {
        use TaskPhase::{Dead, Pending, Running};
        let status = |states: &[(TaskPhase, bool)]| {
            let tasks = states
                .iter()
                .enumerate()
                .map(|(n, (state, failed))| {
                    (
                        n.to_string(),
                        TaskState { state: *state, failed: *failed, ..TaskState::default() },
                    )
                })
                .collect();
            derive(&tasks).0
        };
        assert_eq!(status(&[(Running, false), (Dead, true)]), ClientStatus::Failed);
        assert_eq!(status(&[(Running, false), (Pending, false)]), ClientStatus::Running);
        assert_eq!(status(&[(Dead, false), (Pending, false)]), ClientStatus::Pending);
        assert_eq!(status(&[(Dead, false), (Dead, false)]), ClientStatus::Complete);
        assert_eq!(status(&[]), ClientStatus::Pending);
    }
}
