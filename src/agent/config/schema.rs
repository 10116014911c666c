//! ◆ (table) Every setting an agent's configuration may hold, as Nomad names it: its kind and whether it has effect.

/// What a setting's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// true or false.
    Bool,
    /// A whole number.
    Int,
    /// Text.
    Text,
    /// Text as `30s`, or a number of seconds.
    Duration,
    /// A list of texts.
    List,
    /// Anything.
    Any,
}

/// What a setting does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// What it says.
    Works,
    /// Nothing yet: it is accepted with a warning.
    NotYet,
    /// Nothing, and nothing is missing: stead has no use for it, so it is accepted silently.
    Needless,
}

use Effect::{Needless, NotYet, Works};
use Kind::{Any, Bool, Duration, Int, List, Text};

/// Keys by kind and effect. A `*` stands for any one name: a block's label or a map's key; `**` for all below.
const TABLE: &[(Kind, Effect, &str)] = &[
    // Top level
    (
        Text,
        Works,
        "region datacenter name data_dir bind_addr log_level addresses.http advertise.http",
    ),
    (Bool, Works, "log_json"),
    (Int, Works, "ports.http ports.rpc"),
    (Text, Works, "addresses.rpc advertise.rpc"),
    (Int, Needless, "ports.serf"),
    (Text, Needless, "addresses.serf advertise.serf plugin_dir license_path"),
    (
        Bool,
        Needless,
        "disable_update_check disable_anonymous_signature leave_on_interrupt leave_on_terminate",
    ),
    (Text, NotYet, "log_file syslog_facility"),
    (Bool, NotYet, "log_include_location enable_debug enable_syslog"),
    (Any, NotYet, "log_rotate_duration log_rotate_bytes log_rotate_max_files"),
    (Text, NotYet, "http_api_response_headers.*"),
    (Any, Needless, "eventlog.** sentinel.** audit.** reporting.**"),
    (Any, NotYet, "limits.** rpc.**"),
    (Bool, Works, "tls.rpc"),
    (Text, Works, "tls.ca_file tls.cert_file tls.key_file"),
    (Bool, NotYet, "tls.http tls.verify_https_client tls.rpc_upgrade_mode"),
    // A server's name is always checked.
    (Bool, Needless, "tls.verify_server_hostname"),
    // server
    (Bool, Works, "server.enabled"),
    (Int, Works, "server.bootstrap_expect server.num_schedulers"),
    (List, Works, "server.enabled_schedulers"),
    (
        Duration,
        Works,
        "server.heartbeat_grace server.min_heartbeat_ttl server.failover_heartbeat_ttl",
    ),
    (Duration, Works, "server.node_gc_threshold server.job_gc_threshold server.eval_gc_threshold"),
    (
        Duration,
        Works,
        "server.batch_eval_gc_threshold server.deployment_gc_threshold server.job_gc_interval",
    ),
    (Any, NotYet, "server.max_heartbeats_per_second server.data_dir server.raft_multiplier"),
    (
        Any,
        NotYet,
        "server.server_join.** server.retry_join server.start_join server.retry_max server.retry_interval",
    ),
    (
        Any,
        NotYet,
        "server.default_scheduler_config.** server.search.** server.plan_rejection_tracker.**",
    ),
    (
        Any,
        NotYet,
        "server.job_default_priority server.job_max_priority server.job_max_count server.job_max_source_size",
    ),
    (Any, NotYet, "server.job_tracked_versions server.deploy_query_rate_limit server.oidc_issuer"),
    (
        Any,
        NotYet,
        "server.enable_event_broker server.event_buffer_size server.acl_token_gc_threshold",
    ),
    (
        Any,
        NotYet,
        "server.root_key_gc_interval server.root_key_gc_threshold server.root_key_rotation_threshold",
    ),
    (
        Any,
        NotYet,
        "server.csi_volume_claim_gc_interval server.csi_volume_claim_gc_threshold server.csi_plugin_gc_threshold",
    ),
    (
        Any,
        NotYet,
        "server.client_introduction.** server.authoritative_region server.raft_snapshot_threshold",
    ),
    (Any, NotYet, "server.raft_snapshot_interval server.raft_trailing_logs server.encrypt"),
    (
        Any,
        Needless,
        "server.protocol_version server.raft_protocol server.plan_apply_pipeline server.rejoin_after_leave",
    ),
    (
        Any,
        Needless,
        "server.start_timeout server.raft_logstore.** server.raft_boltdb.** server.non_voting_server",
    ),
    (
        Any,
        Needless,
        "server.redundancy_zone server.upgrade_version server.license_path server.non_production",
    ),
    // client
    (Bool, Works, "client.enabled"),
    (
        Text,
        Works,
        "client.node_pool client.node_class client.state_dir client.alloc_dir client.network_interface",
    ),
    (Text, Works, "client.meta.* client.options.* client.cgroup_parent"),
    (List, Works, "client.servers client.server_join.retry_join client.server_join.start_join"),
    // A client dials for ever, less and less often.
    (Any, Needless, "client.server_join.retry_max client.server_join.retry_interval"),
    (
        Int,
        Works,
        "client.cpu_total_compute client.memory_total_mb client.disk_total_mb client.disk_free_mb",
    ),
    (Int, Works, "client.min_dynamic_port client.max_dynamic_port"),
    (Int, Works, "client.reserved.cpu client.reserved.memory client.reserved.disk"),
    (Text, Works, "client.reserved.reserved_ports client.reserved.cores"),
    (Duration, Works, "client.max_kill_timeout"),
    (
        Text,
        Works,
        "client.bridge_network_name client.bridge_network_subnet client.bridge_network_subnet_ipv6",
    ),
    (List, Works, "client.insecure_registries"),
    (
        Text,
        NotYet,
        "client.host_volume.*.path client.host_network.*.cidr client.host_network.*.interface",
    ),
    (
        Text,
        NotYet,
        "client.host_network.*.reserved_ports client.reservable_cores client.preferred_address_family",
    ),
    (
        Bool,
        NotYet,
        "client.host_volume.*.read_only client.disable_remote_exec client.default_ineligible",
    ),
    (Any, NotYet, "client.chroot_env.** client.cni_path client.cni_config_dir"),
    (
        Any,
        NotYet,
        "client.gc_interval client.gc_parallel_destroys client.gc_disk_usage_threshold client.gc_inode_usage_threshold",
    ),
    (
        Any,
        NotYet,
        "client.gc_max_allocs client.gc_volumes_on_node_gc client.node_max_allocs client.drain_on_shutdown.**",
    ),
    (
        Any,
        NotYet,
        "client.template.** client.artifact.** client.users.** client.alloc_mounts_dir client.host_volumes_dir",
    ),
    (
        Any,
        NotYet,
        "client.host_volume_plugin_dir client.common_plugin_dir client.nomad_service_discovery",
    ),
    (
        Any,
        Needless,
        "client.no_host_uuid client.network_speed client.cpu_disable_dmidecode client.client_min_port",
    ),
    (
        Any,
        Needless,
        "client.client_max_port client.bridge_network_hairpin_mode client.bind_wildcard_default_host_network",
    ),
    (Any, Needless, "client.fingerprint.*.** client.fingerprint.*.retry_interval"),
    // Other blocks
    (Bool, NotYet, "acl.enabled"),
    (
        Any,
        NotYet,
        "acl.token_ttl acl.policy_ttl acl.role_ttl acl.token_min_expiration_ttl acl.token_max_expiration_ttl",
    ),
    (
        Any,
        NotYet,
        "acl.replication_token tls.tls_cipher_suites tls.tls_min_version telemetry.** autopilot.** ui.** keyring.**",
    ),
    (Any, Needless, "consul.** vault.**"),
    (Any, Works, "plugin.*.config.**"),
    (Any, Needless, "plugin.*.args"),
];

/// What is known of the setting with that path.
pub(super) fn find(path: &[String]) -> Option<(Kind, Effect)> {
    entries().find(|(pattern, _, _)| matches(pattern, path)).map(|(_, kind, effect)| (kind, effect))
}

/// Whether settings may stand below that path, so that an object there is looked into.
pub(super) fn has_below(path: &[String]) -> bool {
    entries().any(|(pattern, _, _)| {
        let mut parts = pattern.split('.');
        let begins = path.iter().all(|name| match parts.next() {
            Some("*") => true,
            Some(part) => part == name,
            None => false,
        });
        begins && parts.next().is_some_and(|part| part != "**")
    })
}

/// The known name that is nearest to what was written, when one is near.
pub(super) fn suggest(path: &[String]) -> Option<String> {
    let (name, parent) = path.split_last()?;
    let siblings = entries().filter_map(|(pattern, _, _)| {
        let mut parts = pattern.split('.');
        let begins =
            parent.iter().all(|above| parts.next().is_some_and(|p| p == "*" || p == above));
        begins.then(|| parts.next()).flatten()
    });
    siblings
        .filter(|sibling| !sibling.contains('*'))
        .map(|sibling| (distance(name, sibling), sibling))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, sibling)| sibling.to_owned())
}

fn entries() -> impl Iterator<Item = (&'static str, Kind, Effect)> {
    TABLE.iter().flat_map(|(kind, effect, keys)| keys.split(' ').map(|key| (key, *kind, *effect)))
}

fn matches(pattern: &str, path: &[String]) -> bool {
    let mut names = path.iter();
    for part in pattern.split('.') {
        match (part, names.next()) {
            ("**", _) => return true,
            ("*", Some(_)) => {}
            (part, Some(name)) if part == name => {}
            _ => return false,
        }
    }
    names.next().is_none()
}

/// Edits between two names (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = before + usize::from(x != *y);
            before = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(before + 1);
        }
    }
    row[b.len()]
}
