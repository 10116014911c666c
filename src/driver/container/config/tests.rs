use super::*;
use serde_json::json;

fn plan_with(config: &Value, settings: &Settings) -> Result<Plan, DriverError> {
    plan(config.as_object().unwrap(), settings)
}

fn container(config: &Value) -> ContainerPlan {
    match plan_with(config, &Settings::default()).unwrap().work {
        Work::Container(plan) => *plan,
        other => panic!("{other:?}"),
    }
}

fn refusal(config: &Value) -> String {
    plan_with(config, &Settings::default()).unwrap_err().to_string()
}

#[test]
fn an_image_is_all_it_needs() {
    let plan = plan_with(&json!({"image": "redis:7"}), &Settings::default()).unwrap();
    let need = plan.image.unwrap();
    assert_eq!(need.reference, "redis:7");
    assert_eq!((need.auth, need.force_pull), (None, false));
    assert_eq!(refusal(&json!({})), "driver `docker`: config needs `image`");
}

#[test]
fn credentials_come_from_the_auth_block() {
    let config = json!({"image": "a", "auth": [{"username": "u", "password": "p"}], "force_pull": "true",
                        "image_pull_timeout": "10m"});
    let need = plan_with(&config, &Settings::default()).unwrap().image.unwrap();
    assert_eq!(need.auth.unwrap().password, "p");
    assert_eq!((need.force_pull, need.pull_timeout), (true, Some(600)));
}

#[test]
fn the_common_keys_are_understood() {
    let plan = container(&json!({
        "image": "a", "entrypoint": ["/e"], "command": "c", "args": ["1", 2], "ports": ["http"],
        "work_dir": "/w", "hostname": "h", "readonly_rootfs": true, "tty": true, "interactive": true,
        "labels": [{"a": "b"}], "extra_hosts": ["db:10.0.0.1", "six=[::1]"], "pids_limit": 10,
        "shm_size": 1024, "sysctl": [{"net.core.somaxconn": "16384"}], "ulimit": {"nofile": "1:2"},
        "devices": [{"host_path": "/dev/fuse"}], "group_add": ["video"], "network_mode": "host",
        "memory_hard_limit": 2, "cpu_hard_limit": true, "dns_servers": ["1.1.1.1"],
        "security_opt": ["no-new-privileges=false"]
    }));
    assert_eq!(plan.args, ["1", "2"]);
    assert_eq!(plan.network, Network::Host);
    assert_eq!(plan.extra_hosts[1], ("six".into(), "::1".into()));
    assert_eq!(plan.bounds.pids, Some(10));
    assert_eq!(plan.bounds.memory, Some(2 << 20));
    let nofile = Ulimit { name: "RLIMIT_NOFILE".into(), soft: 1, hard: 2 };
    assert_eq!(plan.bounds.ulimits, [nofile]);
    assert_eq!(plan.devices[0].permissions, "rwm");
    for switch in [Trait::Tty, Trait::ReadonlyRootfs, Trait::CpuHardLimit, Trait::NewPrivileges] {
        assert!(plan.is(switch));
    }
}

#[test]
fn what_opens_the_host_needs_the_owners_consent() {
    for config in [
        json!({"image": "a", "privileged": true}),
        json!({"image": "a", "pid_mode": "host"}),
        json!({"image": "a", "security_opt": ["seccomp=unconfined"]}),
    ] {
        assert!(refusal(&config).contains("its owner may set `allow_privileged`"));
        let settings = Settings { allow_privileged: true, ..Settings::default() };
        assert!(plan_with(&config, &settings).is_ok());
    }
}

#[test]
fn an_unsupported_key_says_what_to_do_instead() {
    let text = refusal(&json!({"image": "a", "port_map": [{"http": 80}]}));
    assert_eq!(
        text,
        "driver `docker`: config key `port_map` is not supported: it was removed; use `ports` and the group's \
         `network` block"
    );
    assert!(refusal(&json!({"image": "a", "imagee": "b"})).contains("config has no key `imagee`"));
}

#[test]
fn hostile_values_are_refused() {
    for config in [
        json!({"image": "a", "sysctl": {"kernel.core_pattern": "x"}}),
        json!({"image": "a", "sysctl": {"net.x/../../kernel": "x"}}),
        json!({"image": "a", "devices": [{"host_path": "/dev/../etc/shadow"}]}),
        json!({"image": "a", "extra_hosts": ["a b:1.1.1.1"]}),
        json!({"image": "a", "ulimit": {"nofile": "5:1"}}),
        json!({"image": "a", "command": "a\u{0}b"}),
        json!({"image": "a", "runtime": "nvidia"}),
    ] {
        assert!(refusal(&config).contains("config key"), "{config}");
    }
}
