//! ◇ What the tasks of an allocation share: its directory and its network, made before them and undone after them.

use std::sync::Arc;

use super::dir::AllocDir;
use crate::client::journal::AllocRow;
use crate::client::site::Site;
use crate::client::task::prepare::Attached;
use crate::model::TaskGroup;
use crate::sys::report;

/// Makes directory and network. On failure what was made stays; [`detach`] removes it.
pub(super) async fn attach(
    _site: Arc<Site>,
    row: AllocRow,
    dir: AllocDir,
) -> Result<Attached, String> {
    let Some(group) = row.alloc.group().cloned() else {
        return Err(format!(
            "alloc {}: its job has no group {}",
            row.alloc.id, row.alloc.task_group
        ));
    };
    build(dir, group).await?;
    Ok(Attached::default())
}

async fn build(dir: AllocDir, group: TaskGroup) -> Result<(), String> {
    blocking(move || dir.build(&group).map_err(|error| report::chain(&error))).await
}

/// Undoes it, except for the files. Goes on after a failure and tells all of them. May be repeated.
pub(super) async fn detach(_site: Arc<Site>, _row: AllocRow, dir: AllocDir) -> Vec<String> {
    let unmounted = blocking(move || dir.unmount().map_err(|error| report::chain(&error))).await;
    unmounted.err().into_iter().collect()
}

/// Removes the files as well. May be repeated.
pub(super) async fn remove(site: Arc<Site>, row: AllocRow, dir: AllocDir) -> Vec<String> {
    let records = site.settings.state_dir.join("tasks").join(row.alloc.id.as_str());
    let mut failures = detach(site, row, dir.clone()).await;
    let removed = blocking(move || {
        dir.remove().map_err(|error| report::chain(&error))?;
        match std::fs::remove_dir_all(&records) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(format!("`{}`: remove: {error}", records.display()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    });
    failures.extend(removed.await.err());
    failures
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(format!("unexpected end of a worker: {error}")))
}
