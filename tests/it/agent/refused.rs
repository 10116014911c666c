//! Who has no business here is refused, and told why on both sides.

use super::world::{Authority, Lan, client_of};

#[test]
fn a_client_of_another_authority_is_refused_and_told_why() {
    let Some(lan) = Lan::new("a_client_of_another_authority_is_refused_and_told_why") else {
        return;
    };
    let server = lan.server();
    let mut client = lan.agent("client", "");
    let (dir, join) = (client.dir.join("tls"), client_of(&server.address));

    // It trusts another authority too: it does not talk to the server.
    let stranger = Authority::new();
    client.configure(&stranger.certify(&dir, "client.global.nomad"), &join);
    client.launch();
    client.logs(&["server at 10.88.0.1:4647", "its certificate is not of our authority", "ca.pem"]);
    client.kill();

    // It trusts the server: the server does not trust it.
    let tls = stranger.certify_trusting(&dir, "client.global.nomad", &lan.authority);
    client.configure(&tls, &join);
    client.launch();
    client.logs(&["server at 10.88.0.1:4647", "it refuses our certificate", "cert.pem"]);
    server.logs(&["rpc connection refused", &client.address, "not of our authority"]);
    server.nodes_are("ready", 0);
}

#[test]
fn a_certificate_for_something_else_is_refused_and_named() {
    let Some(lan) = Lan::new("a_certificate_for_something_else_is_refused_and_named") else {
        return;
    };
    let server = lan.server();
    let mut client = lan.agent("client", "");
    let (dir, join) = (client.dir.join("tls"), client_of(&server.address));

    client.configure(&lan.authority.certify(&dir, "web.example.org"), &join);
    client.launch();
    let said = client.ends();
    assert!(
        said.contains("for `web.example.org`") && said.contains("client.global.nomad"),
        "{said}"
    );

    let region = format!("region = \"mars\"\n{join}");
    client.configure(&lan.authority.certify(&dir, "client.mars.nomad"), &region);
    client.launch();
    client.logs(&["for `server.global.nomad`", "a server of this region has `server.mars.nomad`"]);
    client.kill();

    let mut second = lan.agent("client", "server {\n  enabled = true\n}");
    second.launch();
    let said = second.ends();
    assert!(
        said.contains("is for `client.global.nomad`") && said.contains("server.global.nomad"),
        "{said}"
    );
    server.nodes_are("ready", 0);
}

#[test]
fn a_client_without_servers_or_certificates_says_what_it_needs() {
    let Some(lan) = Lan::new("a_client_without_servers_or_certificates_says_what_it_needs") else {
        return;
    };
    let mut client = lan.agent("client", "client {\n  enabled = true\n}");
    client.launch();
    let said = client.ends();
    assert!(said.contains("servers = [\"host:4647\"]"), "{said}");
    client.configure("", &client_of("10.88.0.9"));
    client.launch();
    let said = client.ends();
    assert!(said.contains("tls { rpc = true }") && said.contains("ca_file"), "{said}");
}
