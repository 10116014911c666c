use super::super::plan::PlannedMount;
use super::*;
use crate::driver::context::{EtcFiles, LogPolicy, Resources, TaskDirs};

fn context(image: Option<ImageRoot>) -> TaskContext {
    let dir = PathBuf::from("/x");
    TaskContext {
        alloc_id: "a".into(),
        task: "t".into(),
        env: BTreeMap::from([("B".into(), "task".into())]),
        user: None,
        dirs: TaskDirs {
            task: dir.clone(),
            shared: dir.clone(),
            local: dir.clone(),
            secrets: dir.clone(),
            logs: dir.clone(),
            state: dir,
        },
        logs: LogPolicy::default(),
        resources: Resources::default(),
        netns: None,
        hostname: None,
        etc: EtcFiles::default(),
        mounts: Vec::new(),
        devices: Vec::new(),
        image,
        cgroup_parent: "/stead".into(),
    }
}

fn image() -> ImageRoot {
    ImageRoot {
        env: vec!["A=image".into(), "B=image".into()],
        entrypoint: vec!["/entry".into()],
        cmd: vec!["default".into()],
        work_dir: "/srv".into(),
        ..ImageRoot::default()
    }
}

fn build(plan: &ContainerPlan, context: &TaskContext, version: Version) -> Value {
    let identity =
        Identity { uid: 33, gid: 34, groups: vec![44], home: "/home/web".into(), name: None };
    spec(&Input {
        plan,
        context,
        identity: &identity,
        rootfs: Path::new("/state/rootfs"),
        binds: &[Bind { source: "/s/0".into(), target: "/alloc".into(), propagation: None }],
        devices: &[],
        cgroup: Path::new("/stead/a.t"),
        version,
        guard: if version == Version::V1 { Guard::Cgroup } else { Guard::NoNodes },
        hostname: "host",
    })
    .unwrap()
}

fn plain() -> ContainerPlan {
    ContainerPlan {
        capabilities: vec!["CAP_CHOWN".into(), "CAP_MKNOD".into()],
        ..ContainerPlan::bare(Root::Image)
    }
}

#[test]
fn libcontainer_reads_what_is_written() {
    for version in [Version::V1, Version::V2] {
        let value = build(&plain(), &context(Some(image())), version);
        let spec: oci_spec::runtime::Spec = serde_json::from_value(value).unwrap();
        let process = spec.process().as_ref().unwrap();
        assert_eq!(process.user().uid(), 33);
        assert_eq!(process.no_new_privileges(), Some(true));
        assert!(spec.linux().as_ref().unwrap().seccomp().is_some());
    }
}

#[test]
fn arguments_follow_dockers_rules() {
    let line = |change: fn(&mut ContainerPlan)| {
        let mut plan = plain();
        change(&mut plan);
        command_line(&plan, Some(&image())).unwrap().join(" ")
    };
    assert_eq!(line(|_| {}), "/entry default");
    assert_eq!(line(|plan| plan.command = Some("c".into())), "/entry c");
    assert_eq!(line(|plan| plan.args = vec!["x".into()]), "/entry x");
    assert_eq!(line(|plan| plan.entrypoint = Some(vec!["/e".into()])), "/e");
    assert!(command_line(&plain(), Some(&ImageRoot::default())).is_err());
}

#[test]
fn the_tasks_environment_wins_over_the_images() {
    let value = build(&plain(), &context(Some(image())), Version::V1);
    let env: Vec<&str> =
        value["process"]["env"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(env.contains(&"A=image") && env.contains(&"B=task"));
    assert!(env.contains(&"HOME=/home/web") && env.contains(&"HOSTNAME=host"));
    assert!(env.iter().any(|entry| entry.starts_with("PATH=/usr/local/sbin")));
}

#[test]
fn no_writable_cgroup_is_shown() {
    let has_cgroup = |version| {
        let value = build(&plain(), &context(Some(image())), version);
        value["mounts"].as_array().unwrap().iter().any(|mount| mount["type"] == "cgroup")
    };
    assert!(!has_cgroup(Version::V1));
    assert!(has_cgroup(Version::V2));
}

#[test]
fn without_a_device_list_a_container_cannot_make_nodes() {
    let caps = |version| {
        build(&plain(), &context(Some(image())), version)["process"]["capabilities"]["bounding"]
            .clone()
    };
    assert_eq!(caps(Version::V1), json!(["CAP_CHOWN", "CAP_MKNOD"]));
    assert_eq!(caps(Version::V2), json!(["CAP_CHOWN"]));
}

#[test]
fn privileged_lifts_the_posture_and_nothing_else_does() {
    let mut plan = plain();
    plan.traits.insert(Trait::Privileged);
    let value = build(&plan, &context(Some(image())), Version::V1);
    assert!(value["linux"].get("seccomp").is_none() && value["linux"].get("maskedPaths").is_none());
    let value = build(&plain(), &context(Some(image())), Version::V1);
    assert_eq!(value["linux"]["resources"]["devices"][0], json!({"allow": false, "access": "rwm"}));
    assert!(value["linux"]["maskedPaths"].as_array().unwrap().contains(&json!("/proc/kcore")));
}

#[test]
fn the_network_namespace_is_the_groups() {
    let mut context = context(Some(image()));
    let network = |plan: &ContainerPlan, context: &TaskContext| {
        let value = build(plan, context, Version::V1);
        let list = value["linux"]["namespaces"].as_array().unwrap().clone();
        list.into_iter().find(|namespace| namespace["type"] == "network")
    };
    assert_eq!(network(&plain(), &context), None);
    context.netns = Some("/run/netns/x".into());
    let joined = json!({"type": "network", "path": "/run/netns/x"});
    assert_eq!(network(&plain(), &context), Some(joined));
    let mut plan = plain();
    plan.network = Network::Host;
    assert_eq!(network(&plan, &context), None);
}

#[test]
fn a_tmpfs_has_its_size_and_mode() {
    let mut plan = plain();
    plan.mounts.push(PlannedMount {
        source: Source::Tmpfs { size: Some(4096), mode: Some(0o700) },
        target: "/t".into(),
        read_only: true,
        propagation: None,
        make_source: false,
    });
    let value = build(&plan, &context(Some(image())), Version::V1);
    let mounts = value["mounts"].as_array().unwrap();
    let tmpfs = mounts.iter().find(|mount| mount["destination"] == "/t").unwrap();
    assert_eq!(
        tmpfs["options"],
        json!(["nosuid", "nodev", "noexec", "mode=700", "size=4096", "ro"])
    );
}
