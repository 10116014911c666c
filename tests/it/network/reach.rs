//! Who reaches a published port from where, and with which address.

use std::time::Duration;

use super::world::{
    CLIENT, CLIENT_V6, HOST, HOST_V6, Namespace, World, blocking, bridge, inside, port, within,
};

/// Asks over both transports and compares the answers.
async fn both(from: &Namespace, address: &str, number: u16, expected: &str) {
    let (from, to, expected) = (from.clone(), address.to_owned(), expected.to_owned());
    blocking(move || {
        for (transport, answer) in [("tcp", from.tcp(&to, number)), ("udp", from.udp(&to, number))]
        {
            let answer = answer.unwrap_or_else(|error| format!("{error}"));
            assert!(
                answer.contains(&expected),
                "{transport} to {to}:{number}: {answer}, not {expected}"
            );
        }
    })
    .await;
}

async fn neither(from: &Namespace, address: &str, number: u16) {
    let (from, to) = (from.clone(), address.to_owned());
    blocking(move || {
        let answers = (from.tcp(&to, number), from.udp(&to, number));
        assert!(answers.0.is_err() && answers.1.is_err(), "{to}:{number} answers {answers:?}");
    })
    .await;
}

#[test]
fn a_published_port_answers_from_everywhere_and_keeps_the_clients_address() {
    let Some(world) = World::new() else { return };
    world.with_network(|world, network| async move {
        let status = network
            .setup(&bridge("reach-a", vec![port("http", "0.0.0.0", 18080, 8080)]))
            .await
            .unwrap();
        let own = inside(&status);
        let _server = own.serve(8080);
        let (v4, v6) =
            (status.address.unwrap().to_string(), status.address_v6.unwrap().to_string());
        let (gateway, gateway_v6) = ("172.26.64.1", "fd00:0:7::1");

        // The box itself: loopback, its addresses, the bridge, the namespace's own address.
        both(&world.host, "127.0.0.1", 18080, gateway).await;
        both(&world.host, "::1", 18080, "").await;
        both(&world.host, HOST, 18080, HOST).await;
        both(&world.host, HOST_V6, 18080, HOST_V6).await;
        both(&world.host, gateway, 18080, gateway).await;
        both(&world.host, &v4, 8080, gateway).await;
        both(&world.host, &v6, 8080, gateway_v6).await;

        // Another machine: its address arrives.
        both(&world.client, HOST, 18080, CLIENT).await;
        both(&world.client, HOST_V6, 18080, CLIENT_V6).await;

        // The allocation itself and a neighbour, through the published port.
        both(&own, HOST, 18080, gateway).await;
        both(&own, HOST_V6, 18080, gateway_v6).await;
        let neighbour = network.setup(&bridge("reach-b", vec![])).await.unwrap();
        both(&inside(&neighbour), HOST, 18080, gateway).await;
        both(&inside(&neighbour), &v4, 8080, &neighbour.address.unwrap().to_string()).await;

        // Out into the world, with the host's address.
        let _outside = world.client.serve(9000);
        both(&own, CLIENT, 9000, HOST).await;
        both(&own, CLIENT_V6, 9000, HOST_V6).await;

        for alloc in ["reach-a", "reach-b"] {
            network.teardown(alloc).await.unwrap();
        }
        neither(&world.client, HOST, 18080).await;
        network.remove_all().await.unwrap();
    });
}

#[test]
fn a_port_on_one_address_answers_there_and_on_loopback_only() {
    let Some(world) = World::new() else { return };
    world.with_network(|world, network| async move {
        let status =
            network.setup(&bridge("scope", vec![port("http", HOST, 18080, 0)])).await.unwrap();
        let _server = inside(&status).serve(18080);
        both(&world.host, HOST, 18080, HOST).await;
        both(&world.host, "127.0.0.1", 18080, "172.26.64.1").await;
        both(&world.host, "::1", 18080, "").await;
        both(&world.client, HOST, 18080, CLIENT).await;
        neither(&world.client, "10.78.0.1", 18080).await;
        neither(&world.client, HOST_V6, 18080).await;

        // The other address has room for another allocation with the same port.
        let second =
            network.setup(&bridge("scope-2", vec![port("http", "10.78.0.1", 18080, 8080)])).await;
        let _second = inside(&second.unwrap()).serve(8080);
        both(&world.client, "10.78.0.1", 18080, CLIENT).await;
        network.teardown("scope").await.unwrap();
        network.teardown("scope-2").await.unwrap();
    });
}

#[test]
fn a_machine_on_the_lan_reaches_neither_loopback_nor_what_was_not_published() {
    let Some(world) = World::new() else { return };
    world.with_network(|world, network| async move {
        let status =
            network.setup(&bridge("guard", vec![port("http", "127.0.0.1", 18080, 8080)])).await;
        let status = status.unwrap();
        let _server = inside(&status).serve(8080);
        // The client's own loopback is down, so it can claim that 127.0.0.1 is behind the host.
        let client = world.client.clone();
        blocking(move || {
            client.sh(&format!(
                "sysctl -qw net.ipv4.conf.all.route_localnet=1
                 ip route add 127.0.0.1 via {HOST} src {CLIENT}
                 ip route add 172.26.64.0/20 via {HOST}"
            ))
        })
        .await;
        both(&world.host, "127.0.0.1", 18080, "172.26.64.1").await;
        neither(&world.client, "127.0.0.1", 18080).await;
        neither(&world.client, HOST, 18080).await;
        neither(&world.client, &status.address.unwrap().to_string(), 8080).await;
        network.teardown("guard").await.unwrap();
    });
}

#[test]
fn a_udp_client_that_never_pauses_follows_the_port() {
    let Some(world) = World::new() else { return };
    world.with_network(|world, network| async move {
        // It sends from one source port from before the port is published until after its allocation was replaced.
        let asked = |id: &str| bridge(id, vec![port("dns", "0.0.0.0", 18080, 8080)]);
        let client = world.client.run(|| std::net::UdpSocket::bind((CLIENT, 5353)).unwrap());
        client.set_nonblocking(true).unwrap();
        client.connect((HOST, 18080)).unwrap();
        let client = std::sync::Arc::new(client);
        let answered = |what: &'static str| {
            let client = std::sync::Arc::clone(&client);
            within(Duration::from_secs(2), what, move || {
                let mut buffer = [0; 100];
                drop(client.send(b"?"));
                std::iter::from_fn(|| client.recv(&mut buffer).ok()).last().is_some()
            })
        };
        drop(client.send(b"too early"));
        for id in ["udp-a", "udp-b"] {
            let status = network.setup(&asked(id)).await.unwrap();
            let server = inside(&status).serve(8080);
            answered(id).await;
            network.teardown(id).await.unwrap();
            drop(server);
        }
    });
}
