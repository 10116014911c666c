//! ◆ `connect { gateway }`. (table)

use super::Kind::{
    Bool, Free, Label, Many, MaybeDuration, MaybeWhole, Named, One, Text, TextBlock, Texts, Whole,
};
use super::{INT, Table, UINT32, field, table};

pub(super) static GATEWAY: Table = table(&[
    field("proxy", "Proxy", One(&PROXY)),
    field("ingress", "Ingress", One(&INGRESS)),
    field("terminating", "Terminating", One(&TERMINATING)),
    field("mesh", "Mesh", One(&MESH)),
]);

static PROXY: Table = table(&[
    field("connect_timeout", "ConnectTimeout", MaybeDuration),
    field("envoy_gateway_bind_tagged_addresses", "EnvoyGatewayBindTaggedAddresses", Bool),
    field("envoy_gateway_bind_addresses", "EnvoyGatewayBindAddresses", Named(&BIND_ADDRESS)),
    field("envoy_gateway_no_default_bind", "EnvoyGatewayNoDefaultBind", Bool),
    field("envoy_dns_discovery_type", "EnvoyDNSDiscoveryType", Text),
    field("config", "Config", Free),
]);

static BIND_ADDRESS: Table = table(&[
    field("", "Name", Label(0)),
    field("address", "Address", Text),
    field("port", "Port", Whole(INT)),
]);

static INGRESS: Table =
    table(&[field("tls", "TLS", One(&TLS)), field("listener", "Listeners", Many(&LISTENER))]);

static TLS: Table = table(&[
    field("enabled", "Enabled", Bool),
    field("tls_min_version", "TLSMinVersion", Text),
    field("tls_max_version", "TLSMaxVersion", Text),
    field("cipher_suites", "CipherSuites", Texts),
    field("sds", "SDS", One(&SDS)),
]);

static SDS: Table = table(&[
    field("cluster_name", "ClusterName", Text),
    field("cert_resource", "CertResource", Text),
]);

static LISTENER: Table = table(&[
    field("port", "Port", Whole(INT)),
    field("protocol", "Protocol", Text),
    field("service", "Services", Many(&INGRESS_SERVICE)),
]);

static INGRESS_SERVICE: Table = table(&[
    field("name", "Name", Text),
    field("hosts", "Hosts", Texts),
    field("tls", "TLS", One(&TLS)),
    field("request_headers", "RequestHeaders", One(&HEADERS)),
    field("response_headers", "ResponseHeaders", One(&HEADERS)),
    field("max_connections", "MaxConnections", MaybeWhole(UINT32)),
    field("max_pending_requests", "MaxPendingRequests", MaybeWhole(UINT32)),
    field("max_concurrent_requests", "MaxConcurrentRequests", MaybeWhole(UINT32)),
]);

static HEADERS: Table = table(&[
    field("add", "Add", TextBlock),
    field("set", "Set", TextBlock),
    field("remove", "Remove", Texts),
]);

static TERMINATING: Table = table(&[field("service", "Services", Many(&LINKED_SERVICE))]);

static LINKED_SERVICE: Table = table(&[
    field("name", "Name", Text),
    field("ca_file", "CAFile", Text),
    field("cert_file", "CertFile", Text),
    field("key_file", "KeyFile", Text),
    field("sni", "SNI", Text),
]);

static MESH: Table = table(&[]);
