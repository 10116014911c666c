//! ◇ One owner of a bridge and its table per network namespace.
//!
//! A second agent on the machine would take what the first one made for leftovers. So the owner listens on an
//! abstract socket named after the bridge: such names belong to a network namespace, and vanish with the process.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::unistd::geteuid;

/// Who owns the bridge.
#[derive(Debug)]
pub(crate) enum Claim {
    /// This room, as long as the value lives.
    Ours(#[expect(dead_code, reason = "kept for its name")] UnixListener),
    /// Nobody can: the name was taken by a process that has no right to it, and is ignored.
    Ignored,
    /// Another process.
    Theirs {
        /// Its id.
        pid: i32,
    },
}

/// Claims the bridge of this name in the calling thread's network namespace.
pub(crate) fn claim(bridge: &str) -> io::Result<Claim> {
    let address = SocketAddr::from_abstract_name(format!("stead-network:{bridge}"))?;
    // The owner may end between the two calls.
    for _ in 0..3 {
        match UnixListener::bind_addr(&address) {
            Ok(listener) => return Ok(Claim::Ours(listener)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
        if let Ok(owner) = UnixStream::connect_addr(&address) {
            let owner = getsockopt(&owner, PeerCredentials)?;
            // Anybody can take a name. Who cannot make links does not own any.
            let may = owner.uid() == 0 || owner.uid() == geteuid().as_raw();
            return Ok(if may { Claim::Theirs { pid: owner.pid() } } else { Claim::Ignored });
        }
    }
    Ok(Claim::Ignored)
}
