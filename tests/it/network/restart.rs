//! An agent ends and another one takes over.

use std::time::Duration;

use stead::network::Network;
use stead::sys::tasks::Stop;

use super::world::{CLIENT, HOST, World, blocking, bridge, inside, port, within};

#[test]
fn a_running_allocation_keeps_its_network_and_is_adopted() {
    let Some(world) = World::new() else { return };
    let (sender, journal) = std::sync::mpsc::channel();
    world.with_network(move |_, network| async move {
        for (id, number) in [("kept", 18080), ("forgotten", 18081)] {
            let asked = bridge(id, vec![port("http", "0.0.0.0", number, 80)]);
            sender.send(network.setup(&asked).await.unwrap()).unwrap();
        }
    });
    let kept = journal.recv().unwrap();
    let server = inside(&kept).serve(80);

    // Between the agents: from the LAN it goes on answering.
    assert_eq!(world.client.tcp(HOST, 18080).unwrap(), CLIENT);

    let mut vanished = kept.plan.clone();
    vanished.alloc_id = "vanished".to_owned();
    vanished.attachment =
        serde_json::from_value(serde_json::json!({"mode": "none", "netns": "vanished"})).unwrap();
    let plans = vec![kept.plan.clone(), vanished];
    world.with_plans(plans, move |world, network, restored| async move {
        assert_eq!(restored.adopted, ["kept"]);
        assert_eq!(restored.missing, ["vanished"]);
        assert_eq!(restored.removed[0], "forgotten");
        assert!(restored.unheld.is_empty());

        let client = world.client.clone();
        let answers = blocking(move || (client.tcp(HOST, 18080), client.tcp(HOST, 18081))).await;
        assert_eq!(answers.0.unwrap(), CLIENT);
        assert!(answers.1.is_err());
        assert!(std::net::TcpListener::bind("0.0.0.0:18080").is_err(), "held again");

        // Its address and port are still leased.
        let next = network.setup(&bridge("next", vec![])).await.unwrap();
        assert_ne!(next.address, kept.address);
        let again = network.setup(&bridge("other", vec![port("http", "0.0.0.0", 18080, 0)])).await;
        assert_eq!(again.unwrap_err().to_string(), "port `http`: 18080/tcp is taken by alloc kept");

        drop(server);
        network.teardown("kept").await.unwrap();
        network.teardown("next").await.unwrap();
        let host = world.host.clone();
        within(Duration::from_secs(3), "links are gone", move || {
            !host.sh("ip -o link").contains(" vs")
        })
        .await;
        network.remove_all().await.unwrap();
    });
}

#[test]
fn a_port_taken_meanwhile_is_reported_and_the_allocation_goes_on() {
    let Some(world) = World::new() else { return };
    let (sender, journal) = std::sync::mpsc::channel();
    world.with_network(move |_, network| async move {
        let asked = bridge("kept", vec![port("http", "0.0.0.0", 18080, 80)]);
        sender.send(network.setup(&asked).await.unwrap()).unwrap();
    });
    let kept = journal.recv().unwrap();
    let _server = inside(&kept).serve(80);
    let squatter = world.host.run(|| std::net::TcpListener::bind("0.0.0.0:18080").unwrap());
    world.with_plans(vec![kept.plan], |world, network, restored| async move {
        assert_eq!(restored.adopted, ["kept"]);
        assert!(restored.unheld[0].1.to_string().contains("is held by"), "{:?}", restored.unheld);
        let client = world.client.clone();
        assert_eq!(blocking(move || client.tcp(HOST, 18080)).await.unwrap(), CLIENT);
        network.teardown("kept").await.unwrap();
    });
    drop(squatter);
}

#[test]
fn a_second_agent_neither_touches_nor_uses_the_bridge_of_the_first() {
    let Some(world) = World::new() else { return };
    world.with_network(|world, network| async move {
        let status = network
            .setup(&bridge("first", vec![port("http", "0.0.0.0", 18080, 80)]))
            .await
            .unwrap();
        let _server = inside(&status).serve(80);

        // With the same names: a guest.
        let stop = Stop::new();
        let (guest, restored) = Network::open(world.config(), vec![], &stop).await.unwrap();
        assert!(restored.removed.is_empty() && restored.failures.is_empty(), "{restored:?}");
        let error = guest.setup(&bridge("second", vec![])).await.unwrap_err();
        let owner = format!("the agent with pid {} owns it", std::process::id());
        assert!(error.to_string().contains(&owner), "{error}");
        guest.remove_all().await.unwrap();
        guest.close().await;

        // With names and a subnet of its own: beside it.
        let mut config = world.config();
        config.bridge = "stead1".to_owned();
        config.settings.subnet_v4 = "10.99.0.0/24".parse().unwrap();
        config.settings.subnet_v6 = Some("fd99::/64".parse().unwrap());
        let (beside, _) = Network::open(config, vec![], &stop).await.unwrap();
        let second = bridge("second", vec![port("http", "0.0.0.0", 18081, 80)]);
        let second = beside.setup(&second).await.unwrap();
        let _second = inside(&second).serve(80);
        let client = world.client.clone();
        let answers = blocking(move || (client.tcp(HOST, 18080), client.tcp(HOST, 18081))).await;
        assert_eq!(
            (answers.0.unwrap(), answers.1.unwrap()),
            (CLIENT.to_owned(), CLIENT.to_owned())
        );
        beside.teardown("second").await.unwrap();
        beside.remove_all().await.unwrap();
        beside.close().await;
        let client = world.client.clone();
        assert_eq!(blocking(move || client.tcp(HOST, 18080)).await.unwrap(), CLIENT);
        network.teardown("first").await.unwrap();
        network.remove_all().await.unwrap();
    });
}
