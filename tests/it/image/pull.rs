//! Pulls from a registry that lies, breaks off and counts.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stead::image::{
    Auth, Digest, Event, ImageError, LayerError, Progress, PullPolicy, Reference, RegistryConfig,
    RegistryError, Request,
};
use stead::sys::command::command;
use stead::sys::report::{Kind, chain};
use tokio::sync::Notify;

use super::fake::{Answer, Fake, blob_path};
use super::fixture::{
    Built, Compression, Layer, Place, busybox, digest, ensure, is_root, runtime, wait_until,
};

/// Layers with enough in them that half of one is something.
fn image(seed: u8, layers: usize) -> Built {
    let data = |layer: usize| -> Vec<u8> {
        let mut state = (u64::from(seed) << 32) + layer as u64 + 1;
        let mut byte = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        (0..300_000).map(|_| byte()).collect()
    };
    let layer = |n| Layer::new().file(&format!("file-{n}"), data(n), 0o644).end(Compression::Gzip);
    Built::new((0..layers).map(layer).collect())
}

fn test(body: impl AsyncFnOnce()) {
    if is_root() {
        runtime().block_on(body());
    }
}

#[test]
fn a_layer_that_is_not_what_its_digest_says_is_refused_and_leaves_nothing() {
    test(async || {
        let (fake, place, image) = (Fake::start().await, Place::new(), image(1, 2));
        fake.serve_image("app", "1", &image);
        let lie = Layer::new().file("evil", "evil", 0o644).end(Compression::Gzip);
        fake.answer(blob_path("app", &image.layers[1].digest()), Answer::ok(lie.bytes));
        let store = place.store_for(&fake.host);
        let name = format!("{}/app:1", fake.host);
        let error = ensure(&store, &name, PullPolicy::IfNotPresent).await.unwrap_err();
        let told = chain(&error);
        assert!(
            told.contains(&name)
                && told.contains(&image.layers[1].diff_id)
                && told.contains("blob has digest"),
            "{told}"
        );
        assert_eq!(error.kind(), Kind::Invalid);
        assert_eq!(store.list(), []);
        wait_until("the temporary directory is removed", || place.leftovers() == 0);
        // The right one is taken when it comes, and only it: the other layer is there.
        fake.serve_image("app", "1", &image);
        let pulled = ensure(&store, &name, PullPolicy::IfNotPresent).await.unwrap();
        assert_eq!(pulled.id.to_string(), image.id());
        assert!(fake.asked(&blob_path("app", &image.layers[0].digest())).len() <= 2);
    });
}

#[test]
fn a_manifest_or_configuration_of_another_digest_is_refused() {
    test(async || {
        let (fake, place, good, evil) =
            (Fake::start().await, Place::new(), image(1, 1), image(2, 1));
        fake.serve_image("app", "1", &good);
        fake.serve_image("app", "evil", &evil);
        let wanted = digest(&good.manifest);
        fake.answer(format!("/v2/app/manifests/{wanted}"), Answer::ok(evil.manifest.clone()));
        let store = place.store_for(&fake.host);
        let error =
            ensure(&store, &format!("{}/app@{wanted}", fake.host), PullPolicy::IfNotPresent)
                .await
                .unwrap_err();
        assert!(
            matches!(&error, ImageError::Registry { source: RegistryError::Digest { .. }, .. }),
            "{}",
            chain(&error)
        );
        fake.answer(blob_path("app", &good.id()), Answer::ok(evil.config));
        let error = ensure(&store, &format!("{}/app:1", fake.host), PullPolicy::IfNotPresent)
            .await
            .unwrap_err();
        assert!(
            matches!(&error, ImageError::Registry { source: RegistryError::Digest { .. }, .. }),
            "{}",
            chain(&error)
        );
        assert_eq!(store.list(), []);
    });
}

#[test]
fn what_is_no_image_is_refused_by_what_it_is() {
    test(async || {
        let (fake, place) = (Fake::start().await, Place::new());
        let store = place.store_for(&fake.host);
        let image = image(1, 1);
        fake.serve_image("app", "1", &image);
        let index = serde_json::json!({"schemaVersion": 2, "manifests": [
            {"digest": digest(b"x"), "size": 1, "platform": {"os": "linux", "architecture": "s390x"}}]});
        let windows = Built {
            config: String::from_utf8(image.config.clone())
                .unwrap()
                .replace("linux", "windows")
                .into_bytes(),
            ..image.clone()
        };
        let windows_manifest = String::from_utf8(image.manifest.clone())
            .unwrap()
            .replace(&image.id(), &windows.id())
            .into_bytes();
        fake.answer(blob_path("app", &windows.id()), Answer::ok(windows.config.clone()));
        let short = String::from_utf8(image.manifest.clone()).unwrap();
        let short = short.replace(&short[short.find("\"layers\":[").unwrap()..], "\"layers\":[]}");
        for (body, told) in [
            (r#"{"schemaVersion":1,"name":"app","fsLayers":[]}"#.into(), "schema 1"),
            (r#"{"schemaVersion":2,"mediaType":"text/plain"}"#.into(), "`text/plain`"),
            (b"<html>".to_vec(), "not JSON"),
            (index.to_string().into_bytes(), "it has linux/s390x"),
            (windows_manifest, "for `windows`"),
            (short.into_bytes(), "config names 1 layers, the manifest 0"),
        ] {
            fake.answer("/v2/app/manifests/bad", Answer::ok(body));
            let error = ensure(&store, &format!("{}/app:bad", fake.host), PullPolicy::Always)
                .await
                .unwrap_err();
            assert!(chain(&error).contains(told), "{told}: {}", chain(&error));
            assert_eq!(error.kind(), Kind::Invalid, "{told}");
        }
    });
}

#[test]
fn the_platform_of_this_machine_is_taken_from_an_index() {
    test(async || {
        let (fake, place, ours) = (Fake::start().await, Place::new(), image(1, 1));
        let theirs = Built::for_architecture(image(2, 1).layers, "s390x");
        fake.serve_image("app", "ours", &ours);
        fake.serve_image("app", "theirs", &theirs);
        let entry = |built: &Built, architecture: &str| {
            serde_json::json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest(&built.manifest),
                "size": built.manifest.len(), "platform": {"os": "linux", "architecture": architecture}})
        };
        let here = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let index = serde_json::json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [entry(&theirs, "s390x"), entry(&ours, here)]});
        fake.answer("/v2/app/manifests/multi", Answer::ok(index.to_string()));
        let store = place.store_for(&fake.host);
        let pulled = ensure(&store, &format!("{}/app:multi", fake.host), PullPolicy::IfNotPresent)
            .await
            .unwrap();
        assert_eq!(pulled.id.to_string(), ours.id());
        // Another one is taken when it is asked for, and does not take the name away from ours.
        let reference: Reference = format!("{}/app:multi", fake.host).parse().unwrap();
        let platform = Some("linux/s390x".parse().unwrap());
        let request = Request { platform, ..Request::new(reference.clone()) };
        let other = store.ensure(&request, &Progress::none()).await.unwrap();
        assert_eq!(other.id.to_string(), theirs.id());
        assert_eq!(store.get(&reference).unwrap().id, pulled.id);
    });
}

#[test]
fn a_broken_download_goes_on_where_it_broke() {
    test(async || {
        let (fake, place, image) = (Fake::start().await, Place::new(), image(1, 1));
        fake.serve_image("app", "1", &image);
        let path = blob_path("app", &image.layers[0].digest());
        fake.answer(
            path.clone(),
            Answer { break_after: Some(100_000), ..Answer::ok(image.layers[0].bytes.clone()) },
        );
        let store = place.store_for(&fake.host);
        ensure(&store, &format!("{}/app:1", fake.host), PullPolicy::IfNotPresent).await.unwrap();
        let asked = fake.asked(&path);
        assert_eq!(asked.len(), 2, "{asked:?}");
        // What had arrived in full chunks; at most what was sent.
        let from: usize = asked[1].range.as_ref().unwrap()["bytes=".len()..]
            .trim_end_matches('-')
            .parse()
            .unwrap();
        assert!(from > 0 && from <= 100_000, "{from}");
    });
}

#[test]
fn what_is_asked_for_twice_at_once_is_fetched_once() {
    test(async || {
        let (fake, place, image) = (Fake::start().await, Place::new(), image(1, 3));
        fake.serve_image("app", "1", &image);
        fake.serve_image("app", "2", &image);
        fake.serve_image("other", "1", &image);
        let store = place.store_for(&fake.host);
        let names: Vec<String> =
            ["app:1", "app:1", "app:2", "other:1"].map(|n| format!("{}/{n}", fake.host)).into();
        // Each in a task of its own, as a node's tasks ask.
        let mut pulls = tokio::task::JoinSet::new();
        for name in names {
            let store = store.clone();
            pulls.spawn(
                async move { ensure(&store, &name, PullPolicy::IfNotPresent).await.map(drop) },
            );
        }
        while let Some(pulled) = pulls.join_next().await {
            pulled.unwrap().unwrap();
        }
        for layer in &image.layers {
            let asked = ["app", "other"]
                .map(|repository| fake.asked(&blob_path(repository, &layer.digest())).len());
            assert_eq!(asked.iter().sum::<usize>(), 1);
        }
        let list = store.list();
        assert_eq!((list.len(), list[0].references.len(), place.layers()), (1, 3, 3));
    });
}

#[test]
fn an_image_of_known_layers_costs_two_requests_and_an_unchanged_one_less() {
    test(async || {
        let (fake, place, first) = (Fake::start().await, Place::new(), image(1, 2));
        let mut layers = first.layers.clone();
        layers.push(Layer::new().file("more", "more", 0o644).end(Compression::Plain));
        let second = Built::new(layers);
        fake.serve_image("app", "1", &first);
        let store = place.store_for(&fake.host);
        let name = format!("{}/app:1", fake.host);
        let one = ensure(&store, &name, PullPolicy::Always).await.unwrap();
        let again = ensure(&store, &name, PullPolicy::Always).await.unwrap();
        assert_eq!((one.id, fake.asked(&blob_path("app", &first.id())).len()), (again.id, 1));
        assert_eq!(fake.asked("/v2/app/manifests/1").len(), 2);
        ensure(&store, &name, PullPolicy::IfNotPresent).await.unwrap();
        assert_eq!(fake.asked("/v2/app/manifests/1").len(), 2);
        // The tag moves: the new image is taken, the layers they share are not.
        fake.serve_image("app", "1", &second);
        let moved = ensure(&store, &name, PullPolicy::Always).await.unwrap();
        assert_eq!(moved.id.to_string(), second.id());
        assert_eq!(moved.layers[..2], one.layers[..]);
        assert_eq!(fake.asked(&blob_path("app", &first.layers[0].digest())).len(), 1);
        // The old one lost its name, and is there as long as it is used.
        assert!(
            store
                .list()
                .iter()
                .any(|image| image.id == one.id && image.references.is_empty() && image.in_use)
        );
    });
}

#[test]
fn a_pull_tells_how_far_it_is() {
    test(async || {
        let (fake, place, image) = (Fake::start().await, Place::new(), image(1, 2));
        fake.serve_image("app", "1", &image);
        let store = place.store_for(&fake.host);
        let events = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&events);
        let progress = Progress::new(move |event| told.lock().unwrap().push(event));
        let reference: Reference = format!("{}/app:1", fake.host).parse().unwrap();
        store.ensure(&Request::new(reference.clone()), &progress).await.unwrap();
        let events = std::mem::take(&mut *events.lock().unwrap());
        assert_eq!(events[0], Event::Layers(2));
        for blob in &image.layers {
            let layer: Digest = blob.diff_id.parse().unwrap();
            let length = blob.bytes.len() as u64;
            assert!(events.contains(&Event::Started { layer, bytes: Some(length) }));
            let read = |event: &Event| match event {
                Event::Read { layer: of, bytes } if *of == layer => *bytes,
                _ => 0,
            };
            assert_eq!(events.iter().map(read).sum::<u64>(), length);
            assert!(events.contains(&Event::Done(layer)));
        }
    });
}

#[test]
fn a_pull_given_up_leaves_only_whole_layers() {
    test(async || {
        let (fake, place, image) = (Fake::start().await, Place::new(), image(1, 2));
        fake.serve_image("app", "1", &image);
        let gate = Arc::new(Notify::new());
        let path = blob_path("app", &image.layers[1].digest());
        fake.answer(
            path.clone(),
            Answer { gate: Some(Arc::clone(&gate)), ..Answer::ok(image.layers[1].bytes.clone()) },
        );
        let name = format!("{}/app:1", fake.host);
        let store = place.store_for(&fake.host);
        let given_up = tokio::time::timeout(Duration::from_secs(2), async {
            tokio::select! {
                biased;
                result = ensure(&store, &name, PullPolicy::IfNotPresent) => panic!("{result:?}"),
                () = until(|| place.layers() == 1 && place.leftovers() > 0) => {}
            }
        });
        given_up.await.unwrap();
        until(|| place.leftovers() == 0).await;
        drop(store);
        // The thread that was unpacking may hold the store a little longer.
        let mut store = None;
        until(|| {
            store = place.try_store_for(&fake.host).ok();
            store.is_some()
        })
        .await;
        let store = store.unwrap();
        assert_eq!((store.list().len(), place.layers()), (0, 1));
        fake.answer(path, Answer::ok(image.layers[1].bytes.clone()));
        ensure(&store, &name, PullPolicy::IfNotPresent).await.unwrap();
        assert_eq!(fake.asked(&blob_path("app", &image.layers[0].digest())).len(), 1);
    });
}

async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The other half of the next test, in a process that can be killed.
#[test]
fn a_pull_for_the_parent_to_kill() {
    let (Some(host), Some(dir)) =
        (std::env::var_os("STEAD_TEST_HOST"), std::env::var_os("STEAD_TEST_DIR"))
    else {
        return;
    };
    let host = host.to_str().unwrap();
    runtime().block_on(async {
        let registry =
            RegistryConfig { insecure: vec![host.to_owned()], ..RegistryConfig::default() };
        let config = stead::image::StoreConfig { registry, ..stead::image::StoreConfig::default() };
        let store = stead::image::Store::open(Path::new(&dir), config).unwrap();
        drop(ensure(&store, &format!("{host}/app:1"), PullPolicy::IfNotPresent).await);
    });
}

#[test]
fn a_pull_killed_in_the_middle_leaves_a_store_that_works() {
    test(async || {
        let (fake, place, image) = (Fake::start().await, Place::new(), image(1, 2));
        fake.serve_image("app", "1", &image);
        let gate = Arc::new(Notify::new());
        let path = blob_path("app", &image.layers[1].digest());
        fake.answer(
            path.clone(),
            Answer { gate: Some(gate), ..Answer::ok(image.layers[1].bytes.clone()) },
        );
        let mut child = command(std::env::current_exe().unwrap())
            .args(["image::pull::a_pull_for_the_parent_to_kill", "--exact"])
            .env("STEAD_TEST_HOST", &fake.host)
            .env("STEAD_TEST_DIR", place.path("store"))
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let halfway = until(|| {
            fs::exists(place.path("store/tmp")).unwrap_or(false)
                && place.layers() == 1
                && place.leftovers() > 0
        });
        let reached = tokio::time::timeout(Duration::from_secs(10), halfway).await;
        child.kill().unwrap();
        child.wait().unwrap();
        reached.unwrap();
        assert!(place.leftovers() > 0);
        let store = place.store_for(&fake.host);
        until(|| place.leftovers() == 0).await;
        assert_eq!((store.list().len(), place.layers()), (0, 1));
        fake.answer(path, Answer::ok(image.layers[1].bytes.clone()));
        let pulled = ensure(&store, &format!("{}/app:1", fake.host), PullPolicy::IfNotPresent)
            .await
            .unwrap();
        assert!(pulled.layers.iter().all(|layer| layer.is_dir()));
        assert_eq!(fake.asked(&blob_path("app", &image.layers[0].digest())).len(), 1);
    });
}

#[test]
fn a_hostile_layer_is_told_by_image_layer_and_entry() {
    test(async || {
        let (fake, place) = (Fake::start().await, Place::new());
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..11].copy_from_slice(b"../../evil\0");
        header.set_size(4);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(b"evil");
        bytes.resize(2048, 0);
        let layer = super::fixture::Blob {
            diff_id: digest(&bytes),
            bytes,
            media_type: "application/vnd.oci.image.layer.v1.tar",
        };
        let image = Built::new(vec![layer]);
        fake.serve_image("app", "1", &image);
        let store = place.store_for(&fake.host);
        let error = ensure(&store, &format!("{}/app:1", fake.host), PullPolicy::IfNotPresent)
            .await
            .unwrap_err();
        let ImageError::Layer { source, .. } = &error else { panic!("{error:?}") };
        assert!(matches!(**source, LayerError::Entry { .. }));
        let wanted = format!(
            "image `{}/app:1`: layer `{}`: entry `../../evil`: refused: path leads out of the image with `..`",
            fake.host, image.layers[0].diff_id
        );
        assert_eq!(chain(&error), wanted);
        assert_eq!((place.layers(), place.leftovers()), (0, 0));
        assert!(!place.path("store/evil").exists() && !place.path("evil").exists());
    });
}

#[test]
fn a_token_is_fetched_with_the_password_where_the_registry_says() {
    test(async || {
        let (fake, place, image) = (Fake::start().await, Place::new(), image(1, 1));
        fake.serve_image("app", "1", &image);
        fake.answer("/token", Answer::ok(r#"{"token":"secret-token"}"#));
        fake.guard(
            "Bearer secret-token",
            &format!(r#"Bearer realm="http://{}/token",service="fake""#, fake.host),
        );
        let store = place.store_for(&fake.host);
        let reference: Reference = format!("{}/app:1", fake.host).parse().unwrap();
        let auth = Auth::Basic { username: "user".into(), password: "pass".into() };
        store.ensure(&Request::new(reference.clone()).auth(auth), &Progress::none()).await.unwrap();
        let asked = fake.asked("/token?scope=repository%3Aapp%3Apull&service=fake");
        assert_eq!(asked[0].authorization.as_deref(), Some("Basic dXNlcjpwYXNz"));
        // A token given by hand is used as it is.
        let place = Place::new();
        let store = place.store_for(&fake.host);
        let auth = Auth::Bearer("secret-token".into());
        store.ensure(&Request::new(reference.clone()).auth(auth), &Progress::none()).await.unwrap();
        let wrong = Auth::Bearer("wrong".into());
        let error = store
            .ensure(
                &Request::new(reference.clone()).auth(wrong).policy(PullPolicy::Always),
                &Progress::none(),
            )
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Denied, "{}", chain(&error));
    });
}

#[test]
fn a_password_goes_only_where_it_is_asked_for_and_a_token_is_used_until_it_is_refused() {
    test(async || {
        let (fake, place, image) = (Fake::start().await, Place::new(), image(1, 1));
        fake.serve_image("app", "1", &image);
        let store = place.store_for(&fake.host);
        let auth = Auth::Basic { username: "user".into(), password: "pass".into() };
        let request = Request::new(format!("{}/app:1", fake.host).parse().unwrap()).auth(auth);
        let request = request.policy(PullPolicy::Always);
        let pull = async || store.ensure(&request, &Progress::none()).await;
        pull().await.unwrap();
        let path = "/v2/app/manifests/1";
        assert_eq!(fake.asked(path)[0].authorization, None);
        let challenge = format!(r#"Bearer realm="http://{}/token",service="fake""#, fake.host);
        let token = "/token?scope=repository%3Aapp%3Apull&service=fake";
        for (round, name) in ["first", "second"].into_iter().enumerate() {
            fake.answer("/token", Answer::ok(format!(r#"{{"access_token":"{name}"}}"#)));
            fake.guard(&format!("Bearer {name}"), &challenge);
            pull().await.unwrap();
            pull().await.unwrap();
            assert_eq!(fake.asked(token).len(), round + 1);
        }
        let password = Some("Basic dXNlcjpwYXNz");
        assert!(fake.asked(path).iter().all(|asked| asked.authorization.as_deref() != password));
        // Where tokens are given without TLS and the registry is none that may, nobody goes with a password.
        fake.guard("Bearer third", r#"Bearer realm="ftp://127.0.0.1/token""#);
        let error = pull().await.unwrap_err();
        assert!(chain(&error).contains("where there is no TLS"), "{}", chain(&error));
        fake.answer("/token", Answer::ok("{}"));
        fake.guard("Bearer third", &challenge);
        let error = pull().await.unwrap_err();
        assert!(chain(&error).contains("it gave no token"), "{}", chain(&error));
    });
}

#[test]
fn an_answer_without_end_is_cut_off() {
    test(async || {
        let (fake, place, image) = (Fake::start().await, Place::new(), image(1, 1));
        let store = place.store_for(&fake.host);
        let endless = |status| Answer { status, endless: true, ..Answer::default() };
        let pull = async |tag: &str| {
            let name = format!("{}/app:{tag}", fake.host);
            let pulled = ensure(&store, &name, PullPolicy::Always);
            tokio::time::timeout(Duration::from_secs(20), pulled).await.unwrap().unwrap_err()
        };
        let too_long = |error: &ImageError, wanted: &str| {
            let ImageError::Registry { source: RegistryError::TooLong { what, .. }, .. } = error
            else {
                panic!("{}", chain(error))
            };
            assert_eq!((*what, error.kind()), (wanted, Kind::Invalid));
        };
        fake.answer("/v2/app/manifests/endless", endless(200));
        too_long(&pull("endless").await, "manifest");
        // Refused for its length, before a byte of it has come.
        let gate = Some(Arc::new(Notify::new()));
        let long = Answer { gate, ..Answer::ok(vec![b' '; (4 << 20) + 1]) };
        fake.answer("/v2/app/manifests/long", long);
        too_long(&pull("long").await, "manifest");
        // As long as it may be: then only what it says counts.
        fake.answer("/v2/app/manifests/most", Answer::ok(vec![b' '; 4 << 20]));
        assert!(chain(&pull("most").await).contains("not JSON"));
        fake.answer("/v2/app/manifests/error", endless(500));
        assert_eq!(pull("error").await.kind(), Kind::Busy);
        fake.serve_image("app", "config", &image);
        fake.answer(blob_path("app", &image.id()), endless(200));
        too_long(&pull("config").await, "configuration");
        fake.answer("/token", endless(200));
        fake.guard("Bearer x", &format!(r#"Bearer realm="http://{}/token""#, fake.host));
        too_long(&pull("token").await, "token");
    });
}

#[test]
fn a_registry_that_cannot_be_had_is_told_by_the_reason() {
    test(async || {
        let (fake, place) = (Fake::start().await, Place::new());
        let store = place.store_for(&fake.host);
        let closed = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        let missing = ensure(&store, &format!("{}/none:1", fake.host), PullPolicy::IfNotPresent)
            .await
            .unwrap_err();
        assert_eq!(missing.kind(), Kind::NotFound, "{}", chain(&missing));
        let away =
            ensure(&store, &format!("{closed}/app:1"), PullPolicy::IfNotPresent).await.unwrap_err();
        assert_eq!(away.kind(), Kind::Unavailable);
        assert!(
            chain(&away).contains("is not reachable: ") && chain(&away).contains("refused"),
            "{}",
            chain(&away)
        );
        fake.answer("/v2/app/manifests/1", Answer { status: 503, ..Answer::default() });
        let busy = ensure(&store, &format!("{}/app:1", fake.host), PullPolicy::IfNotPresent)
            .await
            .unwrap_err();
        assert_eq!(busy.kind(), Kind::Busy, "{}", chain(&busy));
        // Not listed as insecure: spoken to with TLS, which it has not, on loopback too.
        let error = ensure(
            &Place::new().store(),
            &format!("{}/app:1", fake.host),
            PullPolicy::IfNotPresent,
        )
        .await
        .unwrap_err();
        assert!(
            matches!(&error, ImageError::Registry { source: RegistryError::Tls { .. }, .. }),
            "{}",
            chain(&error)
        );
        let never =
            ensure(&store, &format!("{}/app:2", fake.host), PullPolicy::Never).await.unwrap_err();
        assert!(matches!(never, ImageError::NotPresent { .. }));
        assert_eq!(fake.asked("/v2/app/manifests/2").len(), 0);
    });
}

#[test]
fn a_registry_is_trusted_by_the_authority_it_is_given() {
    test(async || {
        let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![key.cert.der().clone()],
                rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der())
                    .unwrap(),
            )
            .unwrap();
        let (fake, place, image) = (Fake::start_tls(config).await, Place::new(), busybox());
        fake.serve_image("app", "1", &image);
        let name = format!("{}/app:1", fake.host);
        let error = ensure(&place.store(), &name, PullPolicy::IfNotPresent).await.unwrap_err();
        assert!(
            matches!(&error, ImageError::Registry { source: RegistryError::Tls { .. }, .. }),
            "{}",
            chain(&error)
        );
        fs::write(place.path("ca.pem"), key.cert.pem()).unwrap();
        let store = place.store_with(RegistryConfig {
            ca_certificates: vec![place.path("ca.pem")],
            ..RegistryConfig::default()
        });
        ensure(&store, &name, PullPolicy::IfNotPresent).await.unwrap();
    });
}

/// Run by itself below, with proxies in its environment.
#[test]
fn a_proxy_in_the_environment_is_not_used() {
    if std::env::var_os("http_proxy").is_some() {
        return test(async || {
            let (fake, place, image) = (Fake::start().await, Place::new(), image(1, 1));
            fake.serve_image("app", "1", &image);
            let store = place.store_for(&fake.host);
            ensure(&store, &format!("{}/app:1", fake.host), PullPolicy::IfNotPresent)
                .await
                .unwrap();
            // One that is set is used, and says so by not being there.
            let place = Place::new();
            let store = place.store_with(RegistryConfig {
                insecure: vec![fake.host.clone()],
                proxy: Some("http://127.0.0.1:1".into()),
                ..RegistryConfig::default()
            });
            let error = ensure(&store, &format!("{}/app:1", fake.host), PullPolicy::IfNotPresent)
                .await
                .unwrap_err();
            assert_eq!(error.kind(), Kind::Unavailable, "{}", chain(&error));
        });
    }
    let output = command(std::env::current_exe().unwrap())
        .args(["image::pull::a_proxy_in_the_environment_is_not_used", "--exact"])
        .envs([
            ("http_proxy", "http://127.0.0.1:1"),
            ("https_proxy", "http://127.0.0.1:1"),
            ("all_proxy", "http://127.0.0.1:1"),
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
