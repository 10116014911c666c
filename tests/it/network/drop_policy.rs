//! Another program's firewall that drops what is forwarded, as Docker's and ufw's do.

use std::time::Duration;

use stead::network::Reach;

use super::world::{CLIENT, HOST, World, blocking, bridge, inside, port, within};

const DROP: &str = "nft -f - <<'EOF'
table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }
EOF";

#[test]
fn a_published_port_survives_a_drop_policy_and_the_operator_is_told() {
    let Some(world) = World::new() else { return };
    world.host.sh(DROP);
    world.with_network(|world, network| async move {
        let status = network
            .setup(&bridge("docker", vec![port("http", "0.0.0.0", 18080, 80)]))
            .await
            .unwrap();
        let own = inside(&status);
        let _server = own.serve(80);
        let mut reach = network.reach();
        let found =
            tokio::time::timeout(Duration::from_secs(5), reach.wait_for(|r| *r == Reach::Proxied));
        drop(found.await.expect("the drop is noticed").unwrap());

        // Through the held socket, so with the bridge's address, but it answers: from outside, here, and inside.
        for (from, to) in
            [(&world.client, HOST), (&world.host, "127.0.0.1"), (&world.host, "::1"), (&own, HOST)]
        {
            let (from, to) = (from.clone(), to.to_owned());
            let answers = blocking(move || (from.tcp(&to, 18080), from.udp(&to, 18080))).await;
            assert!(answers.0.is_ok() && answers.1.is_ok(), "{answers:?}");
        }

        // The operator lets the bridge through, as advised; the client's address is back by itself.
        let host = world.host.clone();
        blocking(move || {
            host.sh("nft insert rule ip filter FORWARD iifname stead0 accept
                     nft insert rule ip filter FORWARD oifname stead0 accept")
        })
        .await;
        let client = world.client.clone();
        within(Duration::from_secs(1), "forwarded again", move || {
            client.tcp(HOST, 18080).is_ok_and(|seen| seen == CLIENT)
        })
        .await;
        assert_eq!(*network.reach().borrow(), Reach::Forwarded);
        network.teardown("docker").await.unwrap();
    });
}

#[test]
fn a_drop_policy_that_comes_later_is_noticed() {
    let Some(world) = World::new() else { return };
    world.with_network(|world, network| async move {
        let status = network
            .setup(&bridge("later", vec![port("http", "0.0.0.0", 18080, 80)]))
            .await
            .unwrap();
        let _server = inside(&status).serve(80);
        let (client, host) = (world.client.clone(), world.host.clone());
        let seen = blocking(move || {
            let seen = client.tcp(HOST, 18080);
            host.sh(DROP);
            seen
        });
        assert_eq!(seen.await.unwrap(), CLIENT);
        let client = world.client.clone();
        within(Duration::from_secs(1), "proxied", move || {
            client.tcp(HOST, 18080).is_ok_and(|seen| seen == "172.26.64.1")
        })
        .await;
        network.teardown("later").await.unwrap();
    });
}
