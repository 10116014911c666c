//! ◇ A published UDP socket that knows which of the host's addresses a datagram was sent to, and answers from that
//! one: a client drops an answer from another address.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd as _;

use nix::sys::socket::sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, recvmsg, sendmsg,
    setsockopt,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Who sent a datagram, and to which address of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Ends {
    pub(crate) client: SocketAddr,
    local: IpAddr,
}

/// The socket. On an IPv6 socket, IPv4 addresses are of the mapped form.
#[derive(Debug)]
pub(crate) struct Published {
    socket: UdpSocket,
    is_v6: bool,
}

impl Published {
    pub(crate) fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        let is_v6 = socket.local_addr()?.is_ipv6();
        if is_v6 {
            setsockopt(&socket, Ipv6RecvPacketInfo, &true)?;
        } else {
            setsockopt(&socket, Ipv4PacketInfo, &true)?;
        }
        Ok(Self { socket: UdpSocket::from_std(socket)?, is_v6 })
    }

    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// A datagram that is there already.
    pub(crate) fn try_receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Ends)> {
        self.socket.try_io(Interest::READABLE, || {
            if self.is_v6 { self.receive_v6(buffer) } else { self.receive_v4(buffer) }
        })
    }

    /// Answers. As on any network, what cannot be sent now is lost.
    pub(crate) fn answer(&self, datagram: &[u8], ends: &Ends) -> io::Result<()> {
        self.socket.try_io(Interest::WRITABLE, || {
            let fd = self.socket.as_raw_fd();
            let data = [IoSlice::new(datagram)];
            let flags = MsgFlags::empty();
            match (ends.client, ends.local) {
                (SocketAddr::V4(client), IpAddr::V4(local)) => {
                    let local = libc::in_addr { s_addr: u32::from(local).to_be() };
                    let any = libc::in_addr { s_addr: 0 };
                    let info =
                        libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: local, ipi_addr: any };
                    let info = [ControlMessage::Ipv4PacketInfo(&info)];
                    sendmsg(fd, &data, &info, flags, Some(&SockaddrIn::from(client)))?;
                }
                (SocketAddr::V6(client), IpAddr::V6(local)) => {
                    let ipi6_addr = libc::in6_addr { s6_addr: local.octets() };
                    // A link-local address needs its link; the others find theirs by the routes.
                    let info = libc::in6_pktinfo { ipi6_addr, ipi6_ifindex: client.scope_id() };
                    let info = [ControlMessage::Ipv6PacketInfo(&info)];
                    sendmsg(fd, &data, &info, flags, Some(&SockaddrIn6::from(client)))?;
                }
                (SocketAddr::V4(_), IpAddr::V6(_)) | (SocketAddr::V6(_), IpAddr::V4(_)) => {
                    return Err(io::Error::from(io::ErrorKind::InvalidInput));
                }
            }
            Ok(())
        })
    }

    fn receive_v4(&self, buffer: &mut [u8]) -> io::Result<(usize, Ends)> {
        let mut data = [IoSliceMut::new(buffer)];
        let mut control = nix::cmsg_space!(libc::in_pktinfo);
        let fd = self.socket.as_raw_fd();
        let message = recvmsg::<SockaddrIn>(fd, &mut data, Some(&mut control), MsgFlags::empty())?;
        let local = message.cmsgs()?.find_map(|info| match info {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                Some(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)))
            }
            _ => None,
        });
        let client = message.address.map(SocketAddrV4::from);
        let (client, local) = client.zip(local).ok_or(io::ErrorKind::InvalidData)?;
        Ok((message.bytes, Ends { client: client.into(), local: local.into() }))
    }

    fn receive_v6(&self, buffer: &mut [u8]) -> io::Result<(usize, Ends)> {
        let mut data = [IoSliceMut::new(buffer)];
        let mut control = nix::cmsg_space!(libc::in6_pktinfo);
        let fd = self.socket.as_raw_fd();
        let message = recvmsg::<SockaddrIn6>(fd, &mut data, Some(&mut control), MsgFlags::empty())?;
        let local = message.cmsgs()?.find_map(|info| match info {
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                Some(Ipv6Addr::from(info.ipi6_addr.s6_addr))
            }
            _ => None,
        });
        let client = message.address.map(SocketAddrV6::from);
        let (client, local) = client.zip(local).ok_or(io::ErrorKind::InvalidData)?;
        Ok((message.bytes, Ends { client: client.into(), local: local.into() }))
    }
}
