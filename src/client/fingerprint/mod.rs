//! ◇ What this machine is and has. Reads /proc, /sys and /etc only: no other program, no network, no waiting.
//!
//! What cannot be found out is left out; a node with fewer attributes runs fewer jobs, and says so by that.

mod cpu;
mod network;
mod system;

use std::collections::BTreeMap;
use std::path::Path;

pub use cpu::Cpu;
pub use network::{Address, Interface};

use super::config::ClientConfig;

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Fingerprint {
    /// Node attributes.
    pub attributes: BTreeMap<String, String>,
    /// Processor.
    pub cpu: Cpu,
    /// MiB.
    pub memory_mb: i64,
    /// MiB that are free where allocations are kept.
    pub disk_free_mb: i64,
    /// The interfaces ports are published on, the default one first.
    pub interfaces: Vec<Interface>,
}

/// Looks at the machine.
pub fn look(config: &ClientConfig) -> Fingerprint {
    let mut found = Fingerprint::default();
    let put = |found: &mut Fingerprint, pairs: Vec<(&str, String)>| {
        found.attributes.extend(
            pairs
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| (name.to_owned(), value)),
        );
    };
    found.cpu = cpu::look(Path::new("/"), config.overrides.cpu_total_compute);
    let usable = (found.cpu.total_mhz - config.reserved.cpu).max(0);
    let cpu = &found.cpu;
    let pairs = vec![
        ("cpu.arch", std::env::consts::ARCH.replace("x86_64", "amd64").replace("aarch64", "arm64")),
        ("cpu.modelname", cpu.model.clone()),
        ("cpu.numcores", cpu.cores.len().to_string()),
        ("cpu.reservablecores", cpu.cores.len().to_string()),
        ("cpu.frequency", cpu.core_mhz().to_string()),
        ("cpu.totalcompute", cpu.total_mhz.to_string()),
        ("cpu.usablecompute", usable.to_string()),
        ("numa.node.count", "1".to_owned()),
    ];
    put(&mut found, pairs);
    let bytes = match config.overrides.memory_total_mb {
        0 => system::memory_bytes(Path::new("/")),
        mib => mib << 20,
    };
    found.memory_mb = bytes >> 20;
    put(&mut found, vec![("memory.totalbytes", bytes.to_string())]);
    put(&mut found, system::attributes(Path::new("/")));
    let disk = system::disk(&config.alloc_dir);
    let own = |mib: i64, measured: i64| if mib > 0 { mib << 20 } else { measured };
    let total = own(config.overrides.disk_total_mb, disk.total);
    let free = own(config.overrides.disk_free_mb, disk.free);
    found.disk_free_mb = free >> 20;
    let storage = vec![
        ("unique.storage.volume", disk.device),
        ("unique.storage.bytestotal", total.to_string()),
        ("unique.storage.bytesfree", free.to_string()),
    ];
    put(&mut found, storage);
    found.interfaces = network::look(&config.network_interface, &config.host_networks);
    let address = found.interfaces.first().and_then(|first| first.addresses.first());
    let address = address.map(|address| address.ip.to_string()).unwrap_or_default();
    put(&mut found, vec![("unique.network.ip-address", address)]);
    put(&mut found, built_in(config));
    found
}

/// What this program brings, in the attributes that jobs' implied constraints ask for.
fn built_in(config: &ClientConfig) -> Vec<(&'static str, String)> {
    // Bridge networking is built in: the versions are the oldest that satisfy Nomad's implied constraint.
    let plugin = || "1.0.0".to_owned();
    vec![
        ("nomad.version", config.version.clone()),
        ("nomad.revision", env!("CARGO_PKG_VERSION").to_owned()),
        ("nomad.advertise.address", config.http_addr.clone()),
        ("unique.advertise.address", config.http_addr.clone()),
        ("nomad.bridge.hairpin_mode", "true".to_owned()),
        ("nomad.service_discovery", config.service_discovery.to_string()),
        ("stead.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("plugins.cni.version.bridge", plugin()),
        ("plugins.cni.version.firewall", plugin()),
        ("plugins.cni.version.host-local", plugin()),
        ("plugins.cni.version.loopback", plugin()),
        ("plugins.cni.version.portmap", plugin()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_recognised_quickly() {
        let dir = tempfile::tempdir().unwrap();
        let config = ClientConfig::new(dir.path().to_owned(), dir.path().to_owned());
        let began = crate::sys::clock::monotonic();
        let found = look(&config);
        assert!(began.elapsed().as_millis() < 200, "{:?}", began.elapsed());
        for name in [
            "kernel.name",
            "kernel.version",
            "cpu.arch",
            "cpu.numcores",
            "os.name",
            "os.cgroups.version",
            "os.signals",
            "memory.totalbytes",
            "unique.hostname",
            "unique.storage.bytesfree",
        ] {
            assert!(found.attributes.contains_key(name), "{name} is missing");
        }
        assert!(found.cpu.total_mhz > 100 && found.memory_mb > 10 && found.disk_free_mb > 0);
    }
}
