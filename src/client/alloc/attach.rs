//! ◇ What the tasks of an allocation share: its directory and its network, made before them and undone after them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::dir::AllocDir;
use super::network;
use crate::client::journal::{AllocRow, Entry};
use crate::client::site::Site;
use crate::client::task::interpolate::Names;
use crate::client::task::prepare::Attached;
use crate::driver::{EtcFiles, Isolation};
use crate::model::TaskGroup;
use crate::network::request::Attachment;
use crate::network::{Mode, NetworkPlan, NetworkStatus, files};
use crate::sys::report;

/// Makes directory and network, both at once, and writes down what was made before it is used. On failure what was
/// made stays; [`detach`] removes it.
pub(super) async fn attach(
    site: Arc<Site>,
    mut row: AllocRow,
    dir: AllocDir,
) -> Result<(Attached, AllocRow), String> {
    let Some(group) = row.alloc.group().cloned() else {
        return Err(format!(
            "alloc {}: its job has no group {}",
            row.alloc.id, row.alloc.task_group
        ));
    };
    let has_root = group.tasks.iter().any(|task| {
        let driver = site.drivers.get(&task.driver);
        driver.is_ok_and(|driver| driver.isolation() != Isolation::None)
    });
    let (built, status) = tokio::join!(build(dir, group), set_up(&site, &row));
    built?;
    let mut attached = Attached::default();
    if let Some(status) = status? {
        let plan = serde_json::to_value(&status.plan);
        if !is_bare(&status.plan) {
            row.network = Some(plan.map_err(|error| format!("alloc {}: {error}", row.alloc.id))?);
        }
        attached.status = network::told(&row.alloc, &status);
        attached.hostname = (status.netns.is_some()).then(|| status.plan.hostname.clone());
        attached.netns = status.netns;
        if has_root {
            attached.etc = etc(&site, row.alloc.id.as_str(), &status.plan).await?;
        }
    }
    // Before this row nothing of the allocation is known: what was made would be removed by the next agent.
    let written = site.journal.commit(vec![Entry::Alloc(&row)]).await;
    written.map_err(|error| report::chain(&error))?;
    Ok((attached, row))
}

async fn build(dir: AllocDir, group: TaskGroup) -> Result<(), String> {
    blocking(move || dir.build(&group).map_err(|error| report::chain(&error))).await
}

/// The network. Asked for again after a restart of the agent, the room gives what is there.
async fn set_up(site: &Site, row: &AllocRow) -> Result<Option<NetworkStatus>, String> {
    let node = Arc::clone(&site.node.borrow());
    let env = BTreeMap::new();
    let names = Names { node: &node, region: &site.settings.region, env: &env };
    let request = network::request(&row.alloc, &names).map_err(|error| report::chain(&error))?;
    if let Some(status) = network::bare(&request) {
        return Ok(Some(status));
    }
    let room = site.networks.get().await.map_err(|error| report::chain(&error))?;
    match room {
        Some(room) => room.setup(&request).await.map(Some).map_err(|error| report::chain(&error)),
        None if request.mode == Mode::Host => Ok(None),
        None => Err("network: this agent makes no networks; it must run as root".to_owned()),
    }
}

/// Whether nothing was made: the host's network, and no port of it.
fn is_bare(plan: &NetworkPlan) -> bool {
    plan.attachment == Attachment::Host && plan.ports.is_empty()
}

/// Files that tasks with a root of their own see in /etc.
async fn etc(site: &Site, alloc: &str, plan: &NetworkPlan) -> Result<EtcFiles, String> {
    let (dir, plan) = (etc_dir(site, alloc), plan.clone());
    let failed =
        |path: &Path, error: &std::io::Error| format!("`{}`: write: {error}", path.display());
    blocking(move || {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let host = read("/etc/resolv.conf");
        let upstream = read("/run/systemd/resolve/resolv.conf");
        let texts = files::texts(&plan, &[], &[&host, &upstream]);
        std::fs::create_dir_all(&dir).map_err(|error| failed(&dir, &error))?;
        let write = |name: &str, text: &str| {
            let path = dir.join(name);
            std::fs::write(&path, text).map_err(|error| failed(&path, &error))?;
            Ok::<PathBuf, String>(path)
        };
        Ok(EtcFiles {
            hosts: Some(write("hosts", &texts.hosts)?),
            resolv_conf: Some(write("resolv.conf", &texts.resolv_conf)?),
        })
    })
    .await
}

fn etc_dir(site: &Site, alloc: &str) -> PathBuf {
    site.settings.state_dir.join("etc").join(alloc)
}

/// Undoes it, except for the files. Goes on after a failure and tells all of them. May be repeated.
pub(super) async fn detach(site: Arc<Site>, row: AllocRow, dir: AllocDir) -> Vec<String> {
    let network = async {
        match site.networks.opened() {
            Some(room) => room.teardown(row.alloc.id.as_str()).await,
            None => Ok(()),
        }
    };
    let group = row.alloc.group().cloned().unwrap_or_default();
    let unmounted =
        blocking(move || dir.take_secrets(&group).map_err(|error| report::chain(&error)));
    let (network, unmounted) = tokio::join!(network, unmounted);
    network.err().map(|error| report::chain(&error)).into_iter().chain(unmounted.err()).collect()
}

/// Removes the files as well. May be repeated.
pub(super) async fn remove(site: Arc<Site>, row: AllocRow, dir: AllocDir) -> Vec<String> {
    let id = row.alloc.id.clone();
    let records = site.settings.state_dir.join("tasks").join(id.as_str());
    let etc = etc_dir(&site, id.as_str());
    let mut failures = detach(site, row, dir.clone()).await;
    let removed = blocking(move || {
        dir.remove().map_err(|error| report::chain(&error))?;
        for dir in [records, etc] {
            match std::fs::remove_dir_all(&dir) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(format!("`{}`: remove: {error}", dir.display()));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
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
