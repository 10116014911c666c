//! Published ports are held by sockets; what somebody else holds is refused by name.

use std::net::{Ipv6Addr, TcpListener, UdpSocket};

use stead::network::{Mode, Network, NetworkConfig, NetworkError, NetworkRequest};
use stead::sys::report::Kind;
use stead::sys::tasks::Stop;

use super::world::{World, blocking, bridge, inside, port};

#[test]
fn a_published_port_cannot_be_bound_by_others_and_is_seen_by_ss() {
    let Some(world) = World::new() else { return };
    world.with_network(|world, network| async move {
        network.setup(&bridge("held", vec![port("http", "0.0.0.0", 18080, 80)])).await.unwrap();
        assert!(TcpListener::bind("0.0.0.0:18080").is_err());
        assert!(TcpListener::bind("127.0.0.1:18080").is_err());
        assert!(TcpListener::bind((Ipv6Addr::UNSPECIFIED, 18080)).is_err());
        assert!(UdpSocket::bind("0.0.0.0:18080").is_err());
        let host = world.host.clone();
        let listening = blocking(move || host.sh("ss -Hltun")).await;
        assert_eq!(listening.matches("*:18080").count(), 2, "{listening}");

        // Free again as soon as teardown has returned.
        network.teardown("held").await.unwrap();
        drop(TcpListener::bind("0.0.0.0:18080").unwrap());
        drop(UdpSocket::bind("0.0.0.0:18080").unwrap());
    });
}

#[test]
fn a_port_that_something_else_holds_is_refused_with_its_name_and_pid() {
    let Some(world) = World::new() else { return };
    world.with_network(|world, network| async move {
        let listener = TcpListener::bind("127.0.0.1:18080").unwrap();
        let asked = bridge("refused", vec![port("http", "0.0.0.0", 18080, 80)]);
        let error = network.setup(&asked).await.unwrap_err();
        let comm = std::fs::read_to_string("/proc/self/comm").unwrap();
        let holder = format!("held by {} (pid {}", comm.trim(), std::process::id());
        assert!(error.to_string().contains(&holder), "{error}");
        assert!(error.to_string().starts_with("port `http`: 18080/tcp"), "{error}");
        assert_eq!(error.kind(), Kind::Conflict);

        // Nothing is left of the attempt, and it works when the port is free.
        assert!(!world.runtime_dir().join("netns/refused").exists());
        drop(listener);
        network.setup(&asked).await.unwrap();
        network.teardown("refused").await.unwrap();
    });
}

#[test]
fn two_allocations_do_not_get_the_same_port() {
    let Some(world) = World::new() else { return };
    world.with_network(|_, network| async move {
        network.setup(&bridge("first", vec![port("a", "0.0.0.0", 18080, 0)])).await.unwrap();
        let error = network
            .setup(&bridge("second", vec![port("b", "0.0.0.0", 18080, 0)]))
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "port `b`: 18080/tcp is taken by alloc first");
        network.teardown("first").await.unwrap();
        network.setup(&bridge("second", vec![port("b", "0.0.0.0", 18080, 0)])).await.unwrap();
        network.teardown("second").await.unwrap();
    });
}

#[test]
fn in_host_mode_a_port_is_checked_but_left_to_the_task() {
    let Some(world) = World::new() else { return };
    world.with_network(|_, network| async move {
        let asked = |id: &str| NetworkRequest {
            mode: Mode::Host,
            ..bridge(id, vec![port("http", "127.0.0.1", 18080, 0)])
        };
        let status = network.setup(&asked("host")).await.unwrap();
        assert_eq!((status.netns, status.address), (None, None));
        let task = TcpListener::bind("127.0.0.1:18080").unwrap();
        network.teardown("host").await.unwrap();
        let error = network.setup(&asked("host-2")).await.unwrap_err();
        assert!(matches!(error, NetworkError::PortHeld { .. }), "{error}");
        drop(task);
    });
}

#[test]
fn mode_none_has_a_namespace_with_loopback_only() {
    let Some(world) = World::new() else { return };
    world.with_network(|_, network| async move {
        let asked = NetworkRequest { mode: Mode::None, ..bridge("none", vec![]) };
        let status = network.setup(&asked).await.unwrap();
        let own = inside(&status);
        let links = blocking(move || own.sh("ip -o link; ip -o addr show lo")).await;
        assert_eq!(links.lines().filter(|line| line.contains("link/")).count(), 1, "{links}");
        assert!(links.contains("127.0.0.1/8"), "{links}");
        network.teardown("none").await.unwrap();
    });
}

#[test]
fn without_root_the_room_opens_and_host_mode_works() {
    if nix::unistd::geteuid().is_root() {
        println!("skipped: root has all rights; the other tests of this file cover it");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let config = NetworkConfig::new(directory.path().to_owned(), 7);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (network, _) = Network::open(config, Vec::new(), &Stop::new()).await.unwrap();
        let ports = vec![port("http", "127.0.0.1", 18080, 0)];
        let asked = NetworkRequest { mode: Mode::Host, ..bridge("host", ports.clone()) };
        network.setup(&asked).await.unwrap();
        network.teardown("host").await.unwrap();
        let error = network.setup(&bridge("bridge", ports)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Internal);
        network.close().await;
    });
}
