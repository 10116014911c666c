//! ◇ Holding published ports: a bound socket per port and address, so that no other program can bind it by mistake
//! and `ss` shows it.
//!
//! The kernel redirects a packet to a published port before it looks for a socket, so these sockets see no
//! traffic, with two exceptions that make them worth more than a placeholder: `[::1]`, which the kernel cannot
//! redirect, and the time when another program's firewall drops forwarded packets. What arrives is passed on by
//! [`proxy`](super::proxy).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::IpFreebind;
use socket2::{Domain, Socket, Type};

use super::request::{NetworkPlan, PlannedPort, Protocol, Scope};

/// How many connections may wait for the proxy.
const BACKLOG: i32 = 128;

/// A port that could not be bound.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) port: PlannedPort,
    pub(crate) protocol: Protocol,
    pub(crate) address: IpAddr,
    pub(crate) source: io::Error,
}

/// A bound socket and where in the namespace its traffic belongs.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) socket: Socket,
    pub(crate) protocol: Protocol,
    /// The port in the namespace.
    pub(crate) to: u16,
}

/// Binds every port of `plan`, all or none. `with_v6`: whether the host has IPv6.
pub(crate) fn bind_all(plan: &NetworkPlan, with_v6: bool) -> Result<Vec<Held>, Refused> {
    let mut held = Vec::new();
    for port in &plan.ports {
        for protocol in port.protocols.each() {
            for address in addresses(&port.scope, with_v6) {
                let socket = bind(*protocol, address, port.host_port).map_err(|source| {
                    Refused { port: port.clone(), protocol: *protocol, address, source }
                })?;
                held.push(Held { socket, protocol: *protocol, to: port.to });
            }
        }
    }
    Ok(held)
}

/// One socket on `::` covers both families.
fn addresses(scope: &Scope, with_v6: bool) -> Vec<IpAddr> {
    match scope {
        Scope::Every if with_v6 => vec![Ipv6Addr::UNSPECIFIED.into()],
        Scope::Every => vec![Ipv4Addr::UNSPECIFIED.into()],
        Scope::At(addresses) => {
            addresses.iter().copied().filter(|a| with_v6 || a.is_ipv4()).collect()
        }
    }
}

fn bind(protocol: Protocol, address: IpAddr, port: u16) -> io::Result<Socket> {
    let address = SocketAddr::new(address, port);
    let kind = match protocol {
        Protocol::Tcp => Type::STREAM,
        Protocol::Udp => Type::DGRAM,
    };
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // The address may come later, when a cable is plugged in or a lease arrives.
    setsockopt(&socket, IpFreebind, &true)?;
    match protocol {
        Protocol::Tcp => {
            // Connections of an earlier holder that linger in TIME_WAIT are in nobody's way.
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
        }
        Protocol::Udp => socket.bind(&address.into())?,
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}
