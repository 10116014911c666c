//! The table belongs to us alone, and comes back when somebody removes it.

use std::time::Duration;

use super::world::{CLIENT, HOST, World, blocking, bridge, inside, port, within};

#[test]
fn a_flushed_ruleset_is_repaired_within_a_second() {
    let Some(world) = World::new() else { return };
    world.with_network(|world, network| async move {
        let status = network
            .setup(&bridge("flush", vec![port("http", "0.0.0.0", 18080, 80)]))
            .await
            .unwrap();
        let _server = inside(&status).serve(80);
        for command in [
            "nft flush ruleset",
            "nft delete table inet stead",
            "nft flush chain inet stead prerouting",
        ] {
            let host = world.host.clone();
            blocking(move || host.sh(command)).await;
            let client = world.client.clone();
            within(Duration::from_secs(1), command, move || {
                client.tcp(HOST, 18080).is_ok_and(|seen| seen == CLIENT)
            })
            .await;
        }
        network.teardown("flush").await.unwrap();
    });
}

#[test]
fn tables_of_others_are_left_alone() {
    let Some(world) = World::new() else { return };
    let theirs = "table inet filter { set s { type ipv4_addr; elements = { 192.0.2.7 } }; chain forward { type filter hook forward priority 0; policy accept; ip saddr @s counter drop; }; }
        table ip nat { chain prerouting { type nat hook prerouting priority -100; tcp dport 7 redirect to :8; }; }";
    world.host.sh(&format!("nft -f - <<'EOF'\n{theirs}\nEOF"));
    let list =
        |world: &World| world.host.sh("nft -a list table inet filter; nft -a list table ip nat");
    let before = list(&world);
    world.with_network(|_, network| async move {
        network.setup(&bridge("others", vec![port("http", "0.0.0.0", 18080, 80)])).await.unwrap();
        network.teardown("others").await.unwrap();
        network.remove_all().await.unwrap();
    });
    assert_eq!(list(&world), before);
    assert!(!world.host.sh("nft list tables").contains("stead"));
}
