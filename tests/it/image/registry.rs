//! A real registry, filled by another tool.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::Child;

use stead::image::{Auth, Progress, PullPolicy, Reference, RegistryConfig, Request};
use stead::sys::command::command;
use stead::sys::report::{Kind, chain};

use super::fixture::{
    Built, Compression, Layer, Place, busybox, digest, ensure, is_root, runtime, skopeo, wait_until,
};

/// docker's registry on a port of its own, ended by its pid.
pub(super) struct Registry {
    pub(super) host: String,
    child: Child,
    _dir: tempfile::TempDir,
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Both fail only when it has ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Registry {
    /// Started, unless it is not installed.
    pub(super) fn start(users: Option<&str>) -> Option<Self> {
        if !is_root() {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\n",
            dir.path().join("data").display()
        );
        if let Some(users) = users {
            let path = dir.path().join("htpasswd");
            fs::write(&path, users).unwrap();
            let auth =
                format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", path.display());
            config.push_str(&auth);
        }
        let path = dir.path().join("config.yml");
        fs::write(&path, config).unwrap();
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let started = command("docker-registry")
            .arg("serve")
            .arg(&path)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        let Ok(child) = started else {
            println!("skipped: docker-registry is not installed");
            return None;
        };
        let registry = Self { host: format!("127.0.0.1:{port}"), child, _dir: dir };
        wait_until("the registry listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(registry)
    }
}

#[test]
fn an_image_is_pulled_by_tag_and_by_digest() {
    let Some(registry) = Registry::start(None) else { return };
    let (place, image) = (Place::new(), busybox());
    image.write_layout(&place.path("layout"), "v1");
    let source = format!("oci:{}:v1", place.path("layout").display());
    let name = format!("{}/team/busybox:1", registry.host);
    skopeo(&["copy", "--dest-tls-verify=false", &source, &format!("docker://{name}")]);
    runtime().block_on(async {
        let store = place.store_for(&registry.host);
        let pulled = ensure(&store, &name, PullPolicy::IfNotPresent).await.unwrap();
        assert_eq!(pulled.id.to_string(), image.id());
        assert_eq!(pulled.layers.len(), 2);
        assert_eq!(pulled.config.cmd, ["/bin/sh"]);
        assert_eq!(pulled.config.env, ["PATH=/bin"]);
        assert_eq!(
            fs::read(pulled.layers[0].join("bin/cat")).unwrap(),
            fs::read("/bin/busybox").unwrap()
        );
        assert_eq!(fs::read_to_string(pulled.layers[1].join("etc/motd")).unwrap(), "upper\n");
        let by_digest = format!("{}/team/busybox@{}", registry.host, digest(&image.manifest));
        let same = ensure(&store, &by_digest, PullPolicy::IfNotPresent).await.unwrap();
        assert_eq!((same.id, &same.layers), (pulled.id, &pulled.layers));
        let missing = ensure(
            &store,
            &format!("{}/team/busybox:none", registry.host),
            PullPolicy::IfNotPresent,
        )
        .await
        .unwrap_err();
        assert_eq!(missing.kind(), Kind::NotFound);
        assert!(chain(&missing).contains("team/busybox:none"), "{}", chain(&missing));
    });
    // What docker's own tools make of it: a manifest of schema 2.
    let docker_place = Place::new();
    let layer = Layer::new().file("docker", "docker", 0o644).end(Compression::Gzip);
    Built::new(vec![layer]).write_layout(&docker_place.path("layout"), "v1");
    let source = format!("oci:{}:v1", docker_place.path("layout").display());
    let docker = format!("{}/team/docker:1", registry.host);
    skopeo(&[
        "copy",
        "--dest-tls-verify=false",
        "--format=v2s2",
        "--dest-compress-format=gzip",
        &source,
        &format!("docker://{docker}"),
    ]);
    runtime().block_on(async {
        let pulled =
            ensure(&docker_place.store_for(&registry.host), &docker, PullPolicy::IfNotPresent)
                .await
                .unwrap();
        assert_eq!(fs::read_to_string(pulled.layers[0].join("docker")).unwrap(), "docker");
    });
}

#[test]
fn a_password_opens_a_private_registry() {
    let made = command("htpasswd").args(["-Bbn", "user", "pass"]).output();
    let Ok(users) = made else {
        println!("skipped: htpasswd is not installed");
        return;
    };
    let Some(registry) = Registry::start(Some(&String::from_utf8(users.stdout).unwrap())) else {
        return;
    };
    let (place, image) = (Place::new(), busybox());
    image.write_layout(&place.path("layout"), "v1");
    let name = format!("{}/private:1", registry.host);
    let source = format!("oci:{}:v1", place.path("layout").display());
    skopeo(&[
        "copy",
        "--dest-tls-verify=false",
        "--dest-creds=user:pass",
        &source,
        &format!("docker://{name}"),
    ]);
    fs::write(
        place.path("config.json"),
        format!(r#"{{"auths":{{"{}":{{"auth":"dXNlcjpwYXNz"}}}}}}"#, registry.host),
    )
    .unwrap();
    runtime().block_on(async {
        let reference: Reference = name.parse().unwrap();
        let basic =
            |password: &str| Auth::Basic { username: "user".into(), password: password.into() };
        let store = place.store_for(&registry.host);
        for auth in [Auth::Configured, basic("wrong")] {
            let error = store
                .ensure(&Request::new(reference.clone()).auth(auth), &Progress::none())
                .await
                .unwrap_err();
            assert_eq!(error.kind(), Kind::Denied, "{}", chain(&error));
            assert!(!chain(&error).contains("wrong,"), "{}", chain(&error));
        }
        // The right one works after a wrong one was used with the same registry.
        store
            .ensure(&Request::new(reference.clone()).auth(basic("pass")), &Progress::none())
            .await
            .unwrap();
        drop(store);
        let other = Place::new();
        let store = other.store_with(RegistryConfig {
            insecure: vec![registry.host.clone()],
            docker_config: Some(place.path("config.json")),
            ..RegistryConfig::default()
        });
        store.ensure(&Request::new(reference.clone()), &Progress::none()).await.unwrap();
    });
}
