//! ◆ `resources`, `network`, `device`. (table)

use super::Kind::{Bool, Label, Many, MaybeWhole, One, Text, TextMap, Texts, Whole};
use super::constraint::{AFFINITY, CONSTRAINT};
use super::{INT, Table, UINT64, field, table};

pub(super) static RESOURCES: Table = table(&[
    field("cpu", "CPU", MaybeWhole(INT)),
    field("cores", "Cores", MaybeWhole(INT)),
    field("memory", "MemoryMB", MaybeWhole(INT)),
    field("memory_max", "MemoryMaxMB", MaybeWhole(INT)),
    field("disk", "DiskMB", MaybeWhole(INT)),
    field("network", "Networks", Many(&NETWORK)),
    field("device", "Devices", Many(&DEVICE)),
    field("numa", "NUMA", One(&NUMA)),
    field("secrets", "SecretsMB", MaybeWhole(INT)),
    field("iops", "IOPS", MaybeWhole(INT)),
]);

static DEVICE: Table = table(&[
    field("", "Name", Label(0)),
    field("count", "Count", MaybeWhole(UINT64)),
    field("constraint", "Constraints", Many(&CONSTRAINT)),
    field("affinity", "Affinities", Many(&AFFINITY)),
]);

static NUMA: Table =
    table(&[field("affinity", "Affinity", Text), field("devices", "Devices", Texts)]);

pub(super) static NETWORK: Table = table(&[
    field("mode", "Mode", Text),
    field("device", "Device", Text),
    field("cidr", "CIDR", Text),
    field("ip", "IP", Text),
    field("dns", "DNS", One(&DNS)),
    field("reserved_ports", "ReservedPorts", Many(&PORT)),
    field("port", "DynamicPorts", Many(&PORT)),
    field("hostname", "Hostname", Text),
    field("mbits", "MBits", MaybeWhole(INT)),
    field("cni", "CNI", One(&CNI)),
]);

static PORT: Table = table(&[
    field("", "Label", Label(0)),
    field("static", "Value", Whole(INT)),
    field("to", "To", Whole(INT)),
    field("host_network", "HostNetwork", Text),
    field("ignore_collision", "IgnoreCollision", Bool),
]);

static DNS: Table = table(&[
    field("servers", "Servers", Texts),
    field("searches", "Searches", Texts),
    field("options", "Options", Texts),
]);

static CNI: Table = table(&[field("args", "Args", TextMap)]);
