//! ◇ From flags to a running agent to its end.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::build::{self, Built};
use super::config::{self, Config, Machine, Options};
use super::{logging, notify};
use crate::driver::become_subreaper;
use crate::sys::tasks::Stop;

/// How long each part has to end.
const GRACE: Duration = Duration::from_secs(5);

/// Runs an agent until it is told to stop.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let config = settle(options)?;
    logging::begin(&config);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    // Before any thread exists: a shim that dies leaves its task to this process.
    become_subreaper().context("become the reaper of tasks whose shim dies")?;
    let ephemeral = config.ephemeral.then(|| config.data_dir.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    let result = runtime.block_on(live(config));
    runtime.shutdown_timeout(GRACE);
    if let Some(dir) = ephemeral {
        std::fs::remove_dir_all(&dir).with_context(|| format!("remove {}", dir.display()))?;
    }
    result
}

fn settle(options: &Options) -> anyhow::Result<Config> {
    let files = config::read::read(&options.config)?;
    let hostname = nix::unistd::gethostname().context("find out the host's name")?;
    let temporary: PathBuf = std::env::temp_dir().join(format!("stead-dev-{}", std::process::id()));
    let machine = Machine { hostname: hostname.to_string_lossy().into_owned(), temporary };
    Ok(config::settle(&files, options, &machine)?)
}

async fn live(config: Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let stop = Stop::new();
    let ends = if config.ephemeral { "all that it runs ends too" } else { "what it runs goes on" };
    let built: Built = build::build(config, &stop).await?;
    tracing::info!(http = %built.http_address, "stead is running");
    notify::tell("READY=1");
    let reason = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!(reason, "stead stops; {ends}");
    notify::tell("STOPPING=1");
    tokio::select! {
        () = built.shutdown(GRACE) => {}
        _ = terminate.recv() => tracing::warn!("told again: ending at once"),
        _ = interrupt.recv() => tracing::warn!("told again: ending at once"),
    }
    Ok(())
}
