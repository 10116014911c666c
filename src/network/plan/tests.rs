use proptest::prelude::*;

use super::super::request::Protocols;
use super::*;

fn settings() -> Settings {
    Settings {
        subnet_v4: Subnet4::DEFAULT,
        subnet_v6: Some("fd00::/64".parse().unwrap()),
        host_networks: vec![
            vec!["192.168.1.5".parse().unwrap(), "fd11::5".parse().unwrap()],
            vec!["10.0.0.5".parse().unwrap()],
        ],
    }
}

fn port(label: &str, ip: &str, number: u16) -> PortRequest {
    PortRequest {
        label: label.to_owned(),
        host_ip: ip.parse().unwrap(),
        host_port: number,
        to: 0,
        protocols: Protocols::Both,
    }
}

fn request(id: &str, mode: Mode, ports: Vec<PortRequest>) -> NetworkRequest {
    NetworkRequest { alloc_id: id.to_owned(), mode, hostname: None, dns: None, ports }
}

const ID: &str = "3f2a77aa-0102-4b5c-8d7e-123456789abc";

#[test]
fn a_bridge_plan_names_everything() {
    let settings = settings();
    let mut asked = request(ID, Mode::Bridge, vec![port("http", "0.0.0.0", 8080)]);
    asked.ports[0].to = 80;
    let plan = plan(&asked, &Leases::new(&settings), &settings).unwrap();
    let Attachment::Bridge { netns, veth, offset, v4, v6 } = &plan.attachment else { panic!() };
    assert_eq!((netns.as_str(), veth.as_str(), *offset), (ID, "vs3f2a77aa0102", 2));
    assert_eq!(v4.address.to_string(), "172.26.64.2");
    assert_eq!(v6.unwrap().gateway.to_string(), "fd00::1");
    assert_eq!(plan.hostname, "3f2a77aa");
    assert_eq!((plan.ports[0].to, &plan.ports[0].scope), (80, &Scope::Every));
    assert!(veth.len() <= 15);
}

#[test]
fn a_port_on_one_address_is_published_on_its_whole_network_and_on_loopback() {
    let settings = settings();
    let asked = request(ID, Mode::Bridge, vec![port("http", "192.168.1.5", 80)]);
    let plan = plan(&asked, &Leases::new(&settings), &settings).unwrap();
    let expected = ["192.168.1.5", "fd11::5", "127.0.0.1", "::1"].map(|a| a.parse().unwrap());
    assert_eq!(plan.ports[0].scope, Scope::At(expected.to_vec()));
}

#[test]
fn the_same_port_on_two_host_networks_is_no_conflict_and_the_first_keeps_loopback() {
    let settings = settings();
    let mut leases = Leases::new(&settings);
    let first = plan(
        &request("a", Mode::Bridge, vec![port("http", "192.168.1.5", 80)]),
        &leases,
        &settings,
    )
    .unwrap();
    assert!(leases.take(&first));
    let second =
        plan(&request("b", Mode::Bridge, vec![port("http", "10.0.0.5", 80)]), &leases, &settings)
            .unwrap();
    assert_eq!(second.ports[0].scope, Scope::At(vec!["10.0.0.5".parse().unwrap()]));

    let both = vec![port("lan", "192.168.1.5", 81), port("vpn", "10.0.0.5", 81)];
    let both = plan(&request("c", Mode::Bridge, both), &leases, &settings).unwrap();
    assert_eq!(both.ports[1].scope, Scope::At(vec!["10.0.0.5".parse().unwrap()]));
}

#[test]
fn a_taken_port_is_refused_with_its_owner() {
    let settings = settings();
    let mut leases = Leases::new(&settings);
    let asked = vec![port("http", "0.0.0.0", 80)];
    let first = plan(&request("a", Mode::Bridge, asked.clone()), &leases, &settings).unwrap();
    assert!(leases.take(&first));
    let error = plan(&request("b", Mode::Host, asked.clone()), &leases, &settings).unwrap_err();
    assert_eq!(error.to_string(), "port `http`: 80/tcp is taken by alloc a");
    leases.release(&first);
    assert!(plan(&request("b", Mode::Host, asked), &leases, &settings).is_ok());
}

#[test]
fn one_number_may_be_tcp_of_one_and_udp_of_another() {
    let settings = settings();
    let mut leases = Leases::new(&settings);
    let mut tcp = port("dns", "0.0.0.0", 53);
    tcp.protocols = Protocols::Tcp;
    let mut udp = tcp.clone();
    udp.protocols = Protocols::Udp;
    let first = plan(&request("a", Mode::Bridge, vec![tcp]), &leases, &settings).unwrap();
    assert!(leases.take(&first));
    assert!(plan(&request("b", Mode::Bridge, vec![udp]), &leases, &settings).is_ok());
}

#[test]
fn a_port_twice_in_one_request_is_refused() {
    let settings = settings();
    let asked = vec![port("a", "0.0.0.0", 80), port("b", "192.168.1.5", 80)];
    let error = plan(&request(ID, Mode::Bridge, asked), &Leases::new(&settings), &settings);
    assert_eq!(error.unwrap_err().to_string(), "port `b`: 80/tcp is asked for twice");
}

#[test]
fn hostile_names_are_refused() {
    let settings = settings();
    let leases = Leases::new(&settings);
    for id in ["", "../../etc", "a/b", "-rf", "a\0b", &"x".repeat(65)] {
        assert!(plan(&request(id, Mode::None, vec![]), &leases, &settings).is_err(), "{id:?}");
    }
    for name in ["", "a b", "a\n127.0.0.1 evil", "-a", "a..b", &"x".repeat(64)] {
        let mut asked = request("a", Mode::None, vec![]);
        asked.hostname = Some(name.to_owned());
        assert!(plan(&asked, &leases, &settings).is_err(), "{name:?}");
    }
}

#[test]
fn a_plan_survives_the_journal() {
    let settings = settings();
    let asked = request(ID, Mode::Bridge, vec![port("http", "192.168.1.5", 80)]);
    let plan = plan(&asked, &Leases::new(&settings), &settings).unwrap();
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<NetworkPlan>(&text).unwrap(), plan);
}

#[test]
fn a_lease_of_another_subnet_is_not_restored() {
    let settings = settings();
    let asked = request(ID, Mode::Bridge, vec![]);
    let plan = plan(&asked, &Leases::new(&settings), &settings).unwrap();
    let moved = Settings { subnet_v4: "10.9.0.0/24".parse().unwrap(), ..settings };
    assert!(!Leases::new(&moved).take(&plan));
}

proptest! {
    #[test]
    fn no_two_plans_share_a_port_or_an_address(
        steps in prop::collection::vec((0_u8..3, 0_usize..4, 1_u16..6, any::<bool>()), 1..60)
    ) {
        let settings = settings();
        let mut leases = Leases::new(&settings);
        let mut live: Vec<NetworkPlan> = Vec::new();
        for (number, (action, ip, host_port, host_mode)) in steps.into_iter().enumerate() {
            if action == 0 && !live.is_empty() {
                let gone = live.remove(usize::from(host_port) % live.len());
                leases.release(&gone);
                continue;
            }
            let ip = ["0.0.0.0", "192.168.1.5", "10.0.0.5", "127.0.0.1"][ip];
            let mode = if host_mode { Mode::Host } else { Mode::Bridge };
            let asked = request(&format!("a{number}"), mode, vec![port("p", ip, host_port)]);
            let Ok(plan) = plan(&asked, &leases, &settings) else { continue };
            prop_assert!(leases.take(&plan));
            for other in &live {
                prop_assert!(plan.address().is_none() || plan.address() != other.address());
                let (one, two) = (&plan.ports[0], &other.ports[0]);
                if one.host_port == two.host_port {
                    let (Scope::At(one), Scope::At(two)) = (&one.scope, &two.scope) else {
                        return Err(TestCaseError::fail("every address next to another plan"));
                    };
                    prop_assert!(one.iter().all(|address| !two.contains(address)));
                }
            }
            live.push(plan);
        }
    }
}
