//! ◇ A netlink socket that waits for its answers. The kernel answers most requests before `send` returns, so there
//! is nothing to gain from asynchrony, and the socket stays in the network namespace of the thread that opened it.

pub(crate) mod wire;

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::sys::socket::sockopt::{ReceiveTimeout, SndBufForce};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, getsockname,
    recv, send, setsockopt, socket,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

use wire::{Message, Reply, half};

const REQUEST: u16 = half(libc::NLM_F_REQUEST);
const ACK: u16 = half(libc::NLM_F_ACK);
const DUMP: u16 = half(libc::NLM_F_DUMP);

/// As large as the kernel ever makes a part of a dump.
const BUFFER: usize = 32 * 1024;
/// The kernel answers in microseconds; this only keeps a bug from blocking for ever.
const ANSWER_SECONDS: i64 = 10;

/// Which part of the kernel to talk to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Protocol {
    /// Links, addresses, routes.
    Route,
    /// nftables.
    Netfilter,
}

/// A socket in the opening thread's network namespace.
#[derive(Debug)]
pub(crate) struct Netlink {
    fd: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Netlink {
    pub(crate) fn open(protocol: Protocol) -> io::Result<Self> {
        let fd = bound(protocol, 0, SockFlag::SOCK_CLOEXEC)?;
        setsockopt(&fd, ReceiveTimeout, &TimeVal::seconds(ANSWER_SECONDS))?;
        Ok(Self { fd, sequence: 0, buffer: vec![0; BUFFER] })
    }

    /// The number by which notifications name this socket.
    pub(crate) fn port(&self) -> io::Result<u32> {
        Ok(getsockname::<NetlinkAddr>(self.fd.as_raw_fd())?.pid())
    }

    /// Sends one message and waits until the kernel has done it.
    pub(crate) fn request(&mut self, message: Message) -> io::Result<()> {
        self.ask(message, ACK, |_| ())
    }

    /// Asks for one object or, with the dump flag, for all, and shows each to `see`.
    pub(crate) fn dump(&mut self, message: Message, see: impl FnMut(&Reply<'_>)) -> io::Result<()> {
        self.ask(message, DUMP, see)
    }

    /// Asks for one object.
    pub(crate) fn get(&mut self, message: Message, see: impl FnMut(&Reply<'_>)) -> io::Result<()> {
        self.ask(message, ACK, see)
    }

    fn ask(
        &mut self,
        mut message: Message,
        flags: u16,
        mut see: impl FnMut(&Reply<'_>),
    ) -> io::Result<()> {
        message.flag(REQUEST | flags);
        self.sequence = self.sequence.wrapping_add(1);
        self.send(&message.finish(self.sequence))?;
        self.receive(self.sequence, &mut see)
    }

    /// Sends messages in one datagram, which nfnetlink applies as one transaction when they stand between the begin
    /// and end of a batch. The first error is returned.
    pub(crate) fn transact(&mut self, messages: Vec<Message>, asks_ack: usize) -> io::Result<()> {
        // The receive buffer would overflow with an answer to each of thousands of messages: only one asks for it.
        // An error is answered in any case, before that one.
        let mut datagram = Vec::new();
        let mut last = 0;
        for (number, mut message) in messages.into_iter().enumerate() {
            self.sequence = self.sequence.wrapping_add(1);
            message.flag(REQUEST);
            if number == asks_ack {
                message.flag(ACK);
                last = self.sequence;
            }
            datagram.append(&mut message.finish(self.sequence));
        }
        // The default limit of a datagram is 208 KiB, enough for about 3,000 elements.
        if datagram.len() > 100 * 1024 {
            setsockopt(&self.fd, SndBufForce, &(datagram.len() * 2))?;
        }
        self.send(&datagram)?;
        self.receive(last, &mut |_| ())
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        loop {
            match send(self.fd.as_raw_fd(), bytes, MsgFlags::empty()) {
                Err(nix::errno::Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Reads until the message with sequence `until` is acknowledged, refused, or its dump done.
    fn receive(&mut self, until: u32, see: &mut impl FnMut(&Reply<'_>)) -> io::Result<()> {
        let mut failure = None;
        loop {
            let length = match recv(self.fd.as_raw_fd(), &mut self.buffer, MsgFlags::empty()) {
                Err(nix::errno::Errno::EINTR) => continue,
                Ok(length) => length,
                Err(errno) => return Err(errno.into()),
            };
            for reply in wire::replies(&self.buffer[..length]) {
                match reply.errno() {
                    Some(0) if reply.sequence == until => return failure.map_or(Ok(()), Err),
                    Some(0) => {}
                    Some(errno) => {
                        let error =
                            failure.take().unwrap_or_else(|| io::Error::from_raw_os_error(errno));
                        if reply.sequence == until {
                            return Err(error);
                        }
                        // A refusal of an earlier part; that of the last part ends the answer.
                        failure = Some(error);
                    }
                    None if i32::from(reply.kind) == libc::NLMSG_DONE => return Ok(()),
                    None if reply.sequence == until => see(&reply),
                    // A late answer to a request that was given up.
                    None => {}
                }
            }
        }
    }
}

/// A socket that hears what changes in nftables, in the opening thread's namespace. It does not block.
#[derive(Debug)]
pub(crate) struct Notifications(OwnedFd);

impl Notifications {
    pub(crate) fn nftables() -> io::Result<Self> {
        let group = 1 << (libc::NFNLGRP_NFTABLES - 1);
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        Ok(Self(bound(Protocol::Netfilter, group, flags)?))
    }

    /// The next datagram; `None` when there is none yet.
    pub(crate) fn next<'a>(&self, buffer: &'a mut [u8]) -> io::Result<Option<&'a [u8]>> {
        match recv(self.0.as_raw_fd(), buffer, MsgFlags::empty()) {
            Ok(length) => Ok(Some(&buffer[..length])),
            Err(nix::errno::Errno::EAGAIN) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for Notifications {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl std::os::fd::AsRawFd for Notifications {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }
}

fn bound(protocol: Protocol, groups: u32, flags: SockFlag) -> io::Result<OwnedFd> {
    let protocol = match protocol {
        Protocol::Route => SockProtocol::NetlinkRoute,
        Protocol::Netfilter => SockProtocol::NetlinkNetFilter,
    };
    let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
    bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(fd)
}
