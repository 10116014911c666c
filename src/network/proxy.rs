//! ◇ Passes on what arrives at a held socket: bytes for TCP, datagrams for UDP. The client's address is lost, so
//! it is only for what the kernel cannot redirect (see [`hold`](super::hold)).

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;

use super::hold::Held;
use super::request::Protocol;
use super::udp::{Ends, Published};
use crate::sys::tasks::{Stop, Tasks};

/// Connections or flows of one socket at a time; more wait (TCP) or are dropped (UDP).
const LIMIT: usize = 512;
/// How long a UDP flow may be silent, as in the kernel's connection tracking of answered flows.
const UDP_IDLE: Duration = Duration::from_mins(2);
/// A pause after an error that would come again at once, such as no free file descriptor.
const PAUSE: Duration = Duration::from_millis(100);
const DATAGRAM: usize = 65_536;

/// Serves `held` until `tasks` stops. `targets` are the namespace's addresses, tried in order.
pub(crate) fn serve(held: Held, targets: &[IpAddr], tasks: &Tasks) -> io::Result<()> {
    let targets: Arc<[SocketAddr]> =
        targets.iter().map(|ip| SocketAddr::new(*ip, held.to)).collect();
    match held.protocol {
        Protocol::Tcp => {
            let listener = TcpListener::from_std(held.socket.into())?;
            let owner = tasks.clone();
            tasks.spawn("published tcp port", tcp(listener, targets, owner));
        }
        Protocol::Udp => {
            let socket = Arc::new(Published::new(held.socket.into())?);
            let owner = tasks.clone();
            tasks.spawn("published udp port", udp(socket, targets, owner));
        }
    }
    Ok(())
}

async fn tcp(listener: TcpListener, targets: Arc<[SocketAddr]>, tasks: Tasks) {
    let stop = tasks.stop_token();
    let places = Arc::new(Semaphore::new(LIMIT));
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            // A permit or connection that was not taken is still there the next time.
            accepted = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (place, listener.accept().await)
            } => accepted,
        };
        let (Ok(place), Ok((client, _))) = accepted else {
            pause(&stop).await;
            continue;
        };
        let (targets, stop) = (Arc::clone(&targets), stop.clone());
        tasks.spawn("proxied connection", async move {
            // Whatever ends it, the client sees the end of its connection.
            drop(stop.run_until_cancelled(relay(client, &targets)).await);
            drop(place);
        });
    }
}

async fn relay(mut client: TcpStream, targets: &[SocketAddr]) -> io::Result<()> {
    let mut server = TcpStream::connect(targets).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

async fn udp(socket: Arc<Published>, targets: Arc<[SocketAddr]>, tasks: Tasks) {
    let stop = tasks.stop_token();
    let mut flows = Flows { socket, targets, tasks, open: HashMap::new() };
    // Waiting does not consume anything, so giving it up at a stop loses nothing.
    while let Some(Ok(())) = stop.run_until_cancelled(flows.socket.readable()).await {
        // Most published ports never see a datagram here: the buffer is made when one is waiting.
        let mut buffer = vec![0; DATAGRAM];
        while let Ok((length, ends)) = flows.socket.try_receive(&mut buffer) {
            flows.pass_on(ends, &buffer[..length]).await;
        }
    }
}

/// The clients of one published UDP port.
struct Flows {
    socket: Arc<Published>,
    targets: Arc<[SocketAddr]>,
    tasks: Tasks,
    open: HashMap<Ends, Arc<UdpSocket>>,
}

impl Flows {
    async fn pass_on(&mut self, ends: Ends, datagram: &[u8]) {
        // A flow whose task has ended is ours alone.
        self.open.retain(|_, flow| Arc::strong_count(flow) > 1);
        if !self.open.contains_key(&ends) {
            if self.open.len() >= LIMIT {
                return;
            }
            let Ok(flow) = flow_to(&self.targets).await else { return };
            let flow = Arc::new(flow);
            self.open.insert(ends, Arc::clone(&flow));
            let (back, stop) = (Arc::clone(&self.socket), self.tasks.stop_token());
            self.tasks.spawn("proxied datagrams", async move {
                stop.run_until_cancelled(answers(&flow, &back, &ends)).await.unwrap_or_default();
            });
        }
        if let Some(flow) = self.open.get(&ends) {
            // As on any network, a datagram that cannot be delivered is lost.
            flow.send(datagram).await.unwrap_or_default();
        }
    }
}

async fn flow_to(targets: &[SocketAddr]) -> io::Result<UdpSocket> {
    let target = targets.first().ok_or_else(|| io::Error::other("the namespace has no address"))?;
    let any: IpAddr = match target {
        SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    socket.connect(target).await?;
    Ok(socket)
}

async fn answers(flow: &UdpSocket, back: &Published, ends: &Ends) {
    while let Ok(Ok(())) = tokio::time::timeout(UDP_IDLE, flow.readable()).await {
        let mut buffer = vec![0; DATAGRAM];
        loop {
            match flow.try_recv(&mut buffer) {
                Ok(length) => back.answer(&buffer[..length], ends).unwrap_or_default(),
                // Nobody listens in the namespace, yet.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => return,
            }
        }
    }
}

async fn pause(stop: &Stop) {
    stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.unwrap_or_default();
}
