//! ◇ Who has a port: from the kernel's socket tables to a process and its name.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use super::request::Protocol;

/// A process that has a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its name, as `ps` shows it.
    pub name: String,
    /// Its id.
    pub pid: i32,
    /// The systemd unit it belongs to.
    pub unit: Option<String>,
}

/// What is known about who has a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeldBy {
    /// This process.
    Process(Holder),
    /// A socket without a process that we can see: the kernel's own (NFS), or in another PID namespace.
    Unseen,
}

impl fmt::Display for HeldBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(Holder { name, pid, unit: Some(unit) }) => {
                write!(f, "{name} (pid {pid}, {unit})")
            }
            Self::Process(Holder { name, pid, unit: None }) => write!(f, "{name} (pid {pid})"),
            Self::Unseen => f.write_str("a process that cannot be seen from here"),
        }
    }
}

/// Finds who keeps `port` on `address` from being bound, in this thread's network namespace.
pub(crate) fn find(protocol: Protocol, address: IpAddr, port: u16) -> HeldBy {
    let tables: [&str; 2] = match protocol {
        Protocol::Tcp => ["tcp", "tcp6"],
        Protocol::Udp => ["udp", "udp6"],
    };
    let mut inodes = Vec::new();
    for table in tables {
        // `/proc/net` would be the main thread's namespace.
        let path = Path::new("/proc/thread-self/net").join(table);
        let text = std::fs::read_to_string(path).unwrap_or_default();
        inodes.extend(text.lines().filter_map(|line| {
            let row = Row::parse(line)?;
            row.in_the_way(address, port).then_some(row)
        }));
    }
    // A listener stands in the way of everybody, other sockets only sometimes: look for its process first.
    inodes.sort_by_key(|row| !row.listens);
    let found = inodes.iter().find_map(|row| process_with(row.inode));
    found.map_or(HeldBy::Unseen, HeldBy::Process)
}

/// A line of `/proc/net/tcp` and its relatives (`proc_net_tcp.txt` of the kernel).
#[derive(Debug, PartialEq, Eq)]
struct Row {
    address: IpAddr,
    port: u16,
    listens: bool,
    inode: u64,
}

impl Row {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split_whitespace();
        let (address, port) = fields.nth(1)?.split_once(':')?;
        let state = fields.nth(1)?;
        let inode = fields.nth(5)?.parse().ok()?;
        let address = parse_address(address)?;
        Some(Self {
            address,
            port: u16::from_str_radix(port, 16).ok()?,
            listens: state == "0A",
            inode,
        })
    }

    fn in_the_way(&self, address: IpAddr, port: u16) -> bool {
        let wild = |a: IpAddr| a.is_unspecified();
        // `::` takes the IPv4 side as well unless it was told not to, which the table does not say.
        let same = self.address == address
            || (wild(self.address) && (self.address.is_ipv6() || address.is_ipv4()))
            || (wild(address) && (address.is_ipv6() || self.address.is_ipv4()));
        self.port == port && self.inode != 0 && same
    }
}

/// Words of four bytes in the host's order, each printed as one number.
fn parse_address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            let v6 = Ipv6Addr::from(bytes);
            Some(v6.to_ipv4_mapped().map_or_else(|| v6.into(), IpAddr::V4))
        }
        _ => None,
    }
}

fn process_with(inode: u64) -> Option<Holder> {
    let wanted = format!("socket:[{inode}]");
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let pid = pids.find(|pid| {
        let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        files.flatten().any(|file| {
            std::fs::read_link(file.path()).is_ok_and(|link| link.as_os_str() == wanted.as_str())
        })
    })?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    Some(Holder { name: printable(name.trim_end()), pid, unit: unit(&groups) })
}

/// A process chooses its own name: nothing of it may move a cursor.
fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn unit(groups: &str) -> Option<String> {
    let mut parts = groups.lines().flat_map(|line| line.split('/'));
    parts.rfind(|part| part.ends_with(".service")).map(printable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_table_is_read() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2021 1 x";
        let row = Row::parse(line).unwrap();
        let address = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(row, Row { address, port: 8080, listens: true, inode: 2021 });
        assert!(row.in_the_way(IpAddr::from([0, 0, 0, 0]), 8080));
        assert!(!row.in_the_way(IpAddr::from([10, 0, 0, 1]), 8080));
        assert_eq!(Row::parse("  sl  local_address rem_address   st"), None);
    }

    #[test]
    fn a_wild_ipv6_socket_is_in_the_way_of_ipv4() {
        let zero = "0".repeat(32);
        let line = format!(" 0: {zero}:0050 {zero}:0000 0A 0:0 0:0 0 0 0 77 1");
        assert!(Row::parse(&line).unwrap().in_the_way(IpAddr::from([10, 0, 0, 1]), 80));
    }

    #[test]
    fn the_unit_is_the_innermost_service() {
        let groups =
            "3:cpu:/\n1:name=systemd:/system.slice/nginx.service\n0::/system.slice/nginx.service";
        assert_eq!(unit(groups).as_deref(), Some("nginx.service"));
        assert_eq!(unit("0::/user.slice/session-1.scope"), None);
        assert_eq!(printable("a\u{1b}[31mb"), "a?[31mb");
    }
}
