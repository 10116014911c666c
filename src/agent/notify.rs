//! ◇ Tells systemd how the agent is (`sd_notify(3))`: a datagram to the socket it names. Without one, nothing.

use std::os::unix::net::UnixDatagram;

/// Sends `state`, such as `READY=1`.
pub(super) fn tell(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let sent = UnixDatagram::unbound().and_then(|socket| socket.send_to(state.as_bytes(), &path));
    if let Err(error) = sent {
        tracing::debug!(%error, "systemd was not told `{state}`");
    }
}
