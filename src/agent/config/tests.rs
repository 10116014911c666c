//! Settled values, and refusals with their places.

use super::*;

fn machine() -> Machine {
    Machine { hostname: "box".to_owned(), temporary: PathBuf::from("/tmp/x") }
}

fn settled(text: &str) -> Result<Config, ConfigError> {
    settle(&[("agent.hcl".to_owned(), text.to_owned())], &Options::default(), &machine())
}

#[test]
fn nothing_said_is_a_server_and_a_client_on_loopback() {
    let config = settle(&[], &Options::default(), &machine()).unwrap();
    assert!(config.server.is_some() && config.client.is_some());
    assert!(config.http_bind[0].is_loopback());
    assert_eq!(config.name, "box");
    assert_eq!(config.data_dir, PathBuf::from("/var/lib/stead"));
    assert!(!config.ephemeral);
}

#[test]
fn dev_keeps_nothing_unless_told_where() {
    let dev = Options { dev: true, ..Options::default() };
    assert!(settle(&[], &dev, &machine()).unwrap().ephemeral);
    let kept = Options { data_dir: Some(PathBuf::from("/data")), ..dev };
    assert!(!settle(&[], &kept, &machine()).unwrap().ephemeral);
}

#[test]
fn later_files_win_setting_by_setting() {
    let files = [
        "client {\n  enabled = true\n  meta { a = \"1\" }\n  servers = [\"x:1\"]\n}",
        "{\"client\": {\"node_class\": \"big\", \"meta\": {\"b\": 2}, \"servers\": [\"y:1\"]}}",
    ];
    let files: Vec<_> =
        files.iter().enumerate().map(|(n, text)| (format!("{n}"), (*text).to_owned())).collect();
    let client = settle(&files, &Options::default(), &machine()).unwrap().client.unwrap();
    assert_eq!(client.node_class, "big");
    assert_eq!(client.meta, BTreeMap::from([("a".into(), "1".into()), ("b".into(), "2".into())]));
    assert_eq!(client.servers, ["x:1", "y:1"]);
}

#[test]
fn an_unknown_setting_is_refused_with_its_place_and_a_suggestion() {
    let error = settled("client {\n  enabled = true\n  node_clas = \"x\"\n}").unwrap_err();
    assert_eq!(
        error.to_string(),
        "agent.hcl:3:3: unknown setting `client.node_clas`; did you mean `node_class`?"
    );
    let json = settled("{\n  \"client\": {\n    \"nope\": 1\n  }\n}").unwrap_err();
    assert_eq!(json.to_string(), "agent.hcl:3:5: unknown setting `client.nope`");
}

#[test]
fn a_value_of_another_kind_is_refused_with_its_place() {
    let error = settled("server { enabled = \"maybe\" }").unwrap_err();
    assert!(
        error.to_string().starts_with("agent.hcl:1:10: `server.enabled` must be true or false"),
        "{error}"
    );
    assert!(settled("ports { http = 70000 }").unwrap_err().to_string().contains("out of range"));
    assert!(settled("client {").unwrap_err().to_string().starts_with("agent.hcl:"));
}

#[test]
fn plugins_keep_what_they_were_told() {
    let text = "plugin \"raw_exec\" {\n  config {\n    enabled = true\n  }\n}\n\
                plugin \"docker\" {\n  config {\n    allow_privileged = true\n    volumes {\n      enabled = true\n    }\n  }\n}";
    let plugins = settled(text).unwrap().client.unwrap().plugins;
    assert_eq!(plugins["raw_exec"]["enabled"], true);
    assert_eq!(plugins["docker"]["volumes"]["enabled"], true);
}

#[test]
fn what_has_no_effect_yet_is_named() {
    let config = settled("telemetry {\n  prometheus_metrics = true\n}").unwrap();
    assert_eq!(
        config.warnings,
        ["agent.hcl:2:3: `telemetry.prometheus_metrics` has no effect yet"]
    );
}

#[test]
fn a_wide_bind_is_refused_with_what_to_do() {
    let error = settled("bind_addr = \"0.0.0.0\"").unwrap_err().to_string();
    assert!(error.contains("addresses {"), "{error}");
    assert!(settled("bind_addr = \"0.0.0.0\"\naddresses { http = \"127.0.0.1\" }").is_ok());
}

#[test]
fn nomads_own_recording_configuration_is_understood() {
    let text = r#"
name                 = "conformance-1"
bind_addr            = "127.0.0.1"
data_dir             = "/var/lib/conformance"
disable_update_check = true
ports { 
  http = 24646
  rpc  = 24647
  serf = 24648
}
advertise { 
  http = "127.0.0.1"
  rpc  = "127.0.0.1"
  serf = "127.0.0.1"
}
server { 
  enabled          = true
  bootstrap_expect = 1
}
client { 
  enabled           = true
  network_interface = "lo"
}
plugin "raw_exec" { 
  config {
    enabled = true
  }
}
telemetry { 
  prometheus_metrics = true
}
"#;
    let config = settled(text).unwrap();
    assert_eq!(config.http_advertise, "127.0.0.1:24646");
    assert_eq!(config.rpc_advertise, "127.0.0.1:24647");
}

#[test]
fn a_client_names_its_servers_in_any_of_nomads_ways() {
    let config = settled(
        "client {\n  enabled = true\n  servers = [\"a\"]\n  server_join {\n    retry_join = [\"b:1\"]\n    retry_max = 3\n  }\n}",
    );
    assert_eq!(config.unwrap().client.unwrap().servers, ["a", "b:1"]);
    for wrong in ["", "provider=aws tag=x", "http://x"] {
        let error = settled(&format!("client {{\n  servers = [\"{wrong}\"]\n  enabled = true\n}}"));
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with("agent.hcl:2:3: `client.servers`"), "{error}");
    }
}

#[test]
fn tls_between_agents_needs_its_three_files() {
    let text =
        "tls {\n  rpc = true\n  ca_file = \"/a\"\n  cert_file = \"/b\"\n  key_file = \"/c\"\n}";
    let tls = settled(text).unwrap().tls.unwrap();
    assert_eq!((tls.ca, tls.cert, tls.key), ("/a".into(), "/b".into(), "/c".into()));
    let error = settled(&text.replace("  key_file = \"/c\"\n", "")).unwrap_err().to_string();
    assert!(error.contains("agent.hcl:2:3") && error.contains("tls.key_file"), "{error}");
    assert_eq!(settled(&text.replace("rpc = true", "rpc = false")).unwrap().tls, None);
    let alone = settled("server {\n  enabled = true\n  bootstrap_expect = 3\n}").unwrap();
    for said in ["no client can join", "`server.bootstrap_expect` = 3"] {
        assert!(alone.warnings.iter().any(|warning| warning.contains(said)), "{said}");
    }
}
