//! ◆ Consul Connect as clients send it. Kept by the servers as given; read so that it can be checked.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::identity::WorkloadIdentity;
use super::resources::Resources;
use super::task::LogConfig;
use super::volume::VolumeMount;
use super::{Dict, List};

macro_rules! wire {
    ($($(#[$doc:meta])* struct $name:ident { $($(#[$attr:meta])* $field:ident: $kind:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
            #[serde(rename_all = "PascalCase", default)]
            pub struct $name {
                $($(#[$attr])* pub $field: $kind,)*
            }
        )*
    };
}

wire! {
    /// Exactly one of native, sidecar and gateway.
    struct ConsulConnect {
        native: bool,
        gateway: Option<Gateway>,
        sidecar_service: Option<SidecarService>,
        sidecar_task: Option<SidecarTask>,
    }

    /// The service of a sidecar.
    struct SidecarService {
        tags: List<String>,
        port: String,
        proxy: Option<Proxy>,
        #[serde(rename = "DisableDefaultTCPCheck")]
        disable_default_tcp_check: bool,
        meta: Dict<String>,
    }

    /// What replaces the defaults of a sidecar's task.
    struct SidecarTask {
        name: String,
        driver: String,
        user: String,
        config: Option<Map<String, Value>>,
        env: Dict<String>,
        resources: Option<Resources>,
        meta: Dict<String>,
        kill_timeout: Option<i64>,
        log_config: Option<LogConfig>,
        shutdown_delay: Option<i64>,
        kill_signal: String,
        volume_mounts: List<VolumeMount>,
        identities: List<WorkloadIdentity>,
    }

    /// A proxy's own settings.
    struct Proxy {
        local_service_address: String,
        local_service_port: i64,
        expose: Option<ExposeConfig>,
        expose_config: Option<ExposeConfig>,
        upstreams: List<Upstream>,
        transparent_proxy: Option<TransparentProxy>,
        config: Option<Map<String, Value>>,
    }

    /// Paths a proxy lets through.
    struct ExposeConfig {
        paths: List<ExposePath>,
        path: List<ExposePath>,
    }

    /// A path a proxy lets through.
    struct ExposePath {
        path: String,
        protocol: String,
        local_path_port: i64,
        listener_port: String,
    }

    /// A service a proxy reaches.
    struct Upstream {
        destination_name: String,
        destination_namespace: String,
        destination_peer: String,
        destination_partition: String,
        destination_type: String,
        local_bind_port: i64,
        datacenter: String,
        local_bind_address: String,
        local_bind_socket_path: String,
        local_bind_socket_mode: String,
        mesh_gateway: Option<MeshGateway>,
        config: Option<Map<String, Value>>,
    }

    /// How an upstream's gateway is used.
    struct MeshGateway {
        mode: String,
    }

    /// Traffic a proxy takes without being asked.
    struct TransparentProxy {
        #[serde(rename = "UID")]
        uid: String,
        outbound_port: u16,
        exclude_inbound_ports: List<String>,
        exclude_outbound_ports: List<u16>,
        #[serde(rename = "ExcludeOutboundCIDRs")]
        exclude_outbound_cidrs: List<String>,
        #[serde(rename = "ExcludeUIDs")]
        exclude_uids: List<String>,
        #[serde(rename = "NoDNS")]
        no_dns: bool,
    }

    /// A gateway of a mesh.
    struct Gateway {
        proxy: Option<GatewayProxy>,
        ingress: Option<GatewayIngress>,
        terminating: Option<GatewayTerminating>,
        mesh: Option<GatewayMesh>,
    }

    /// A gateway's proxy.
    struct GatewayProxy {
        connect_timeout: Option<i64>,
        envoy_gateway_bind_tagged_addresses: bool,
        envoy_gateway_bind_addresses: Dict<GatewayBindAddress>,
        envoy_gateway_no_default_bind: bool,
        #[serde(rename = "EnvoyDNSDiscoveryType")]
        envoy_dns_discovery_type: String,
        config: Option<Map<String, Value>>,
    }

    /// An address a gateway listens on.
    struct GatewayBindAddress {
        name: String,
        address: String,
        port: i64,
    }

    /// Traffic into the mesh.
    struct GatewayIngress {
        #[serde(rename = "TLS")]
        tls: Option<GatewayTls>,
        listeners: List<GatewayListener>,
    }

    /// TLS of a gateway.
    struct GatewayTls {
        enabled: bool,
        #[serde(rename = "TLSMinVersion")]
        tls_min_version: String,
        #[serde(rename = "TLSMaxVersion")]
        tls_max_version: String,
        cipher_suites: List<String>,
        #[serde(rename = "SDS")]
        sds: Option<GatewayTlsSds>,
    }

    /// Certificates from elsewhere.
    struct GatewayTlsSds {
        cluster_name: String,
        cert_resource: String,
    }

    /// A port of an ingress gateway.
    struct GatewayListener {
        port: i64,
        protocol: String,
        services: List<GatewayService>,
    }

    /// A service behind a listener.
    struct GatewayService {
        name: String,
        hosts: List<String>,
        #[serde(rename = "TLS")]
        tls: Option<GatewayTls>,
        request_headers: Option<HeaderModifiers>,
        response_headers: Option<HeaderModifiers>,
        max_connections: Option<u32>,
        max_pending_requests: Option<u32>,
        max_concurrent_requests: Option<u32>,
    }

    /// Changes to HTTP headers.
    struct HeaderModifiers {
        add: Dict<String>,
        set: Dict<String>,
        remove: List<String>,
    }

    /// Traffic out of the mesh.
    struct GatewayTerminating {
        services: List<LinkedService>,
    }

    /// A service outside the mesh.
    struct LinkedService {
        name: String,
        #[serde(rename = "CAFile")]
        ca_file: String,
        cert_file: String,
        key_file: String,
        #[serde(rename = "SNI")]
        sni: String,
    }

    /// Traffic between meshes.
    struct GatewayMesh {}
}

impl ConsulConnect {
    /// The servers' shape.
    pub(super) fn canonical(mut self) -> Value {
        let task = self.sidecar_task.take().map(SidecarTask::canonical);
        if let Some(proxy) = self.sidecar_service.as_mut().and_then(|s| s.proxy.as_mut()) {
            proxy.canonicalize();
        }
        let mut value = serde_json::to_value(self).unwrap_or_default();
        value["SidecarTask"] = task.unwrap_or_default();
        if let Some(proxy) =
            value.pointer_mut("/SidecarService/Proxy").and_then(Value::as_object_mut)
        {
            proxy.remove("ExposeConfig");
            if let Some(expose) = proxy.get_mut("Expose").and_then(Value::as_object_mut) {
                expose.remove("Path");
            }
        }
        value
    }
}

impl Proxy {
    fn canonicalize(&mut self) {
        if let Some(expose) = self.expose_config.take() {
            self.expose.get_or_insert(expose);
        }
        if let Some(expose) = &mut self.expose {
            expose.paths = expose.paths.take().or_else(|| expose.path.take());
        }
        for upstream in self.upstreams.iter_mut().flatten() {
            upstream.mesh_gateway.get_or_insert_default();
        }
    }
}

impl SidecarTask {
    fn canonical(self) -> Value {
        json!({
            "Name": self.name,
            "Driver": self.driver,
            "User": self.user,
            "Config": self.config,
            "Env": self.env,
            "Resources": self.resources.unwrap_or_default().canonical(),
            "Meta": self.meta,
            "KillTimeout": self.kill_timeout.unwrap_or(5_000_000_000),
            "LogConfig": self.log_config.unwrap_or_default().canonical(),
            "ShutdownDelay": self.shutdown_delay.unwrap_or_default(),
            "KillSignal": self.kill_signal,
            "VolumeMounts": self
                .volume_mounts
                .map(|mounts| mounts.into_iter().map(VolumeMount::canonical).collect::<Vec<_>>()),
            "Identities": self.identities.map(|identities| {
                identities.into_iter().map(WorkloadIdentity::canonical).collect::<Vec<_>>()
            }),
        })
    }
}
