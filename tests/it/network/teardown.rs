//! What was made is removed, and how long both take.

use std::time::Duration;

use super::world::{World, blocking, bridge, elapsed_ms, inside, port, within};
use stead::sys::clock;

/// Everything of the host that a setup could change.
fn traces(world: &World) -> String {
    let sysctls = "for k in ip_forward conf/all/route_localnet; do cat /proc/sys/net/ipv4/$k; done
        for k in all/forwarding uplink/accept_ra default/accept_ra; do cat /proc/sys/net/ipv6/conf/$k; done";
    let netns = world.runtime_dir().join("netns");
    let files = netns.read_dir().map_or(0, Iterator::count);
    format!(
        "{files} {}",
        world.host.sh(&format!("ip -o link | cut -d: -f2; nft list ruleset; ss -Hltun; {sysctls}"))
    )
}

#[test]
fn nothing_is_left_and_settings_are_as_before() {
    let Some(world) = World::new() else { return };
    let before = traces(&world);
    world.with_network(|world, network| async move {
        let ports = vec![port("a", "0.0.0.0", 18080, 80), port("b", "127.0.0.1", 18081, 81)];
        let status = network.setup(&bridge("gone", ports)).await.unwrap();
        let during = {
            let world = world.clone();
            blocking(move || traces(&world)).await
        };
        assert!(during.contains("stead0") && during.contains("18080"), "{during}");
        network.teardown("gone").await.unwrap();
        assert!(!status.netns.unwrap().exists());
        // Idempotent, and safe for what never was.
        network.teardown("gone").await.unwrap();
        network.teardown("never-was").await.unwrap();
        network.teardown("../../etc/passwd").await.unwrap();
        let host = world.host.clone();
        within(Duration::from_secs(3), "the kernel removes the link", move || {
            !host.sh("ip -o link").contains("vsgone")
        })
        .await;
        network.remove_all().await.unwrap();
    });
    assert_eq!(traces(&world), before);
}

#[test]
fn a_failed_setup_leaves_nothing() {
    let Some(world) = World::new() else { return };
    world.with_network(|world, network| async move {
        // A link of the name that will be needed, and not a port of the bridge: it cannot be replaced by accident.
        let host = world.host.clone();
        blocking(move || host.sh("ip link add stead0 type veth peer name other")).await;
        let asked = bridge("undone", vec![port("http", "0.0.0.0", 18080, 80)]);
        let error = network.setup(&asked).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "link `stead0` is not a bridge; set another `bridge_network_name`"
        );
        drop(std::net::TcpListener::bind("0.0.0.0:18080").unwrap());
        assert!(!world.runtime_dir().join("netns/undone").exists());
        let host = world.host.clone();
        blocking(move || host.sh("ip link del stead0")).await;
        let status = network.setup(&asked).await.unwrap();
        assert_eq!(status.address.unwrap().to_string(), "172.26.64.2");
        network.teardown("undone").await.unwrap();
    });
}

#[test]
fn a_subnet_of_somebody_else_is_refused_by_name() {
    let Some(world) = World::new() else { return };
    world.host.sh("ip addr add 172.26.70.1/24 dev uplink");
    world.with_network(|_, network| async move {
        let error = network.setup(&bridge("overlap", vec![])).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "subnet 172.26.64.0/20: link `uplink` has 172.26.70.1 in it; set another `bridge_network_subnet`"
        );
    });
}

#[test]
fn the_room_is_not_removed_under_a_running_allocation() {
    let Some(world) = World::new() else { return };
    world.with_network(|_, network| async move {
        network.setup(&bridge("running", vec![])).await.unwrap();
        assert!(network.remove_all().await.is_err());
        network.teardown("running").await.unwrap();
        network.remove_all().await.unwrap();
    });
}

#[test]
fn fifty_setups_and_teardowns_are_fast_and_leave_nothing() {
    let Some(world) = World::new() else { return };
    world.with_network(|world, network| async move {
        network.setup(&bridge("warm", vec![])).await.unwrap();
        let (mut up, mut down) = (Vec::new(), Vec::new());
        for number in 0..50_u16 {
            let id = format!("speed-{number}");
            let start = clock::monotonic();
            network
                .setup(&bridge(&id, vec![port("http", "0.0.0.0", 20000 + number, 80)]))
                .await
                .unwrap();
            up.push(elapsed_ms(start));
            let start = clock::monotonic();
            network.teardown(&id).await.unwrap();
            down.push(elapsed_ms(start));
        }
        for (what, times) in [("setup", &mut up), ("teardown", &mut down)] {
            times.sort_by(f64::total_cmp);
            println!("{what}: p50 {:.2} ms, p95 {:.2} ms", times[25], times[47]);
        }
        network.teardown("warm").await.unwrap();
        let host = world.host.clone();
        within(Duration::from_secs(10), "the kernel removes the links", move || {
            !host.sh("ip -o link").contains(" vs")
        })
        .await;
        let host = world.host.clone();
        let table = blocking(move || host.sh("nft list table inet stead")).await;
        assert!(!table.contains("elements"), "{table}");
    });
}

#[test]
fn links_take_the_mtu_of_the_way_out_and_keep_it() {
    let Some(world) = World::new() else { return };
    world.host.sh("ip link set uplink mtu 1400");
    world.with_network(|world, network| async move {
        for id in ["mtu-a", "mtu-b"] {
            let status = network.setup(&bridge(id, vec![])).await.unwrap();
            let own = inside(&status);
            let link = blocking(move || own.sh("ip link show eth0")).await;
            assert!(link.contains("mtu 1400"), "{id}: {link}");
            network.teardown(id).await.unwrap();
            let host = world.host.clone();
            within(Duration::from_secs(5), "the kernel removes the link", move || {
                !host.sh("ip -o link").contains(" vs")
            })
            .await;
        }
        network.remove_all().await.unwrap();
    });
}
