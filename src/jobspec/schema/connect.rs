//! ◆ `connect`: sidecars. Parsed whole, so that a job that asks for it is refused by name and not for its spelling. (table)

use super::Kind::{Bool, Free, Many, MaybeDuration, One, Text, TextBlock, Texts, Whole, Wholes};
use super::gateway::GATEWAY;
use super::policy::IDENTITY;
use super::resources::RESOURCES;
use super::task::{LOGS, VOLUME_MOUNT};
use super::{INT, Table, UINT16, field, hidden, table};

pub(super) static CONNECT: Table = table(&[
    field("native", "Native", Bool),
    field("gateway", "Gateway", One(&GATEWAY)),
    field("sidecar_service", "SidecarService", One(&SIDECAR_SERVICE)),
    field("sidecar_task", "SidecarTask", One(&SIDECAR_TASK)),
]);

static SIDECAR_SERVICE: Table = table(&[
    field("tags", "Tags", Texts),
    field("port", "Port", Text),
    field("proxy", "Proxy", One(&PROXY)),
    field("disable_default_tcp_check", "DisableDefaultTCPCheck", Bool),
    field("meta", "Meta", TextBlock),
]);

static SIDECAR_TASK: Table = table(&[
    field("name", "Name", Text),
    field("driver", "Driver", Text),
    field("user", "User", Text),
    field("config", "Config", Free),
    field("env", "Env", TextBlock),
    field("resources", "Resources", One(&RESOURCES)),
    field("meta", "Meta", TextBlock),
    field("kill_timeout", "KillTimeout", MaybeDuration),
    field("logs", "LogConfig", One(&LOGS)),
    field("shutdown_delay", "ShutdownDelay", MaybeDuration),
    field("kill_signal", "KillSignal", Text),
    field("volume_mount", "VolumeMounts", Many(&VOLUME_MOUNT)),
    field("identity", "Identities", Many(&IDENTITY)),
]);

static PROXY: Table = table(&[
    field("local_service_address", "LocalServiceAddress", Text),
    field("local_service_port", "LocalServicePort", Whole(INT)),
    field("expose", "Expose", One(&EXPOSE)),
    hidden("ExposeConfig", One(&EXPOSE)),
    field("upstreams", "Upstreams", Many(&UPSTREAM)),
    field("transparent_proxy", "TransparentProxy", One(&TRANSPARENT_PROXY)),
    field("config", "Config", Free),
]);

static EXPOSE: Table =
    table(&[field("path", "Paths", Many(&EXPOSE_PATH)), hidden("Path", Many(&EXPOSE_PATH))]);

static EXPOSE_PATH: Table = table(&[
    field("path", "Path", Text),
    field("protocol", "Protocol", Text),
    field("local_path_port", "LocalPathPort", Whole(INT)),
    field("listener_port", "ListenerPort", Text),
]);

static UPSTREAM: Table = table(&[
    field("destination_name", "DestinationName", Text),
    field("destination_namespace", "DestinationNamespace", Text),
    field("destination_peer", "DestinationPeer", Text),
    field("destination_partition", "DestinationPartition", Text),
    field("destination_type", "DestinationType", Text),
    field("local_bind_port", "LocalBindPort", Whole(INT)),
    field("datacenter", "Datacenter", Text),
    field("local_bind_address", "LocalBindAddress", Text),
    field("local_bind_socket_path", "LocalBindSocketPath", Text),
    field("local_bind_socket_mode", "LocalBindSocketMode", Text),
    field("mesh_gateway", "MeshGateway", One(&MESH_GATEWAY)),
    field("config", "Config", Free),
]);

static MESH_GATEWAY: Table = table(&[field("mode", "Mode", Text)]);

static TRANSPARENT_PROXY: Table = table(&[
    field("uid", "UID", Text),
    field("outbound_port", "OutboundPort", Whole(UINT16)),
    field("exclude_inbound_ports", "ExcludeInboundPorts", Texts),
    field("exclude_outbound_ports", "ExcludeOutboundPorts", Wholes(UINT16)),
    field("exclude_outbound_cidrs", "ExcludeOutboundCIDRs", Texts),
    field("exclude_uids", "ExcludeUIDs", Texts),
    field("no_dns", "NoDNS", Bool),
]);
