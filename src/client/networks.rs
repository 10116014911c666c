//! ◇ The network room, opened when an allocation first needs it: an agent that runs none leaves the machine's links and
//! tables alone, and does not wait for them at its start.

use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::network::{Network, NetworkConfig, NetworkError, NetworkPlan};
use crate::sys::report;
use crate::sys::tasks::Stop;

/// The network room, when there is one.
#[derive(Debug, Clone)]
pub struct Networks {
    config: Option<NetworkConfig>,
    room: Arc<OnceCell<Network>>,
    stop: Stop,
}

impl Networks {
    /// Opens nothing yet, unless an earlier agent left networks: `plans`, or what it did not come to write down.
    pub async fn new(
        config: Option<NetworkConfig>,
        plans: Vec<NetworkPlan>,
        stop: &Stop,
    ) -> Result<Self, NetworkError> {
        let leftovers = config.as_ref().is_some_and(|config| {
            let dir = std::fs::read_dir(config.runtime_dir.join("netns"));
            dir.is_ok_and(|mut entries| entries.next().is_some())
        });
        let networks = Self { config, room: Arc::default(), stop: stop.clone() };
        if let Some(config) = &networks.config
            && (leftovers || !plans.is_empty())
        {
            networks.room.get_or_try_init(|| open(config.clone(), plans, stop)).await?;
        }
        Ok(networks)
    }

    /// The room; none on a node that may make no networks.
    pub async fn get(&self) -> Result<Option<&Network>, NetworkError> {
        let Some(config) = &self.config else { return Ok(None) };
        let open = || open(config.clone(), Vec::new(), &self.stop);
        self.room.get_or_try_init(open).await.map(Some)
    }

    /// The room if anybody needed it so far.
    pub fn opened(&self) -> Option<&Network> {
        self.room.get()
    }
}

async fn open(
    config: NetworkConfig,
    plans: Vec<NetworkPlan>,
    stop: &Stop,
) -> Result<Network, NetworkError> {
    let (network, restored) = Network::open(config, plans, stop).await?;
    for alloc in restored.missing {
        tracing::info!(%alloc, "its network is gone and is made anew");
    }
    for (alloc, error) in restored.unheld {
        tracing::warn!(%alloc, error = %report::chain(&error), "a port of it was taken meanwhile");
    }
    Ok(network)
}
