//! `stead image …` with the real binary, an agent of its own and a real registry.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::fake::{Answer, Fake, blob_path};
use super::fixture::{
    Built, Compression, Layer, busybox, busybox_with, digest, is_root, runtime, skopeo, wait_until,
};
use super::registry::Registry;
use crate::e2e::{Agent, eventually, free_port};

/// An agent that may speak HTTP with one registry.
fn agent(insecure: &str) -> Agent {
    Agent::with(&format!(
        "server {{\n  enabled = true\n}}\nclient {{\n  enabled = true\n  insecure_registries = [\"{insecure}\"]\n}}"
    ))
}

/// The command line with a standard input and an environment.
fn stead(agent: &Agent, args: &[&str], stdin: Option<&[u8]>, env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stead"));
    command.args(args).env_clear().env("STEAD_ADDR", agent.address()).envs(env.iter().copied());
    command.stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .current_dir(agent.dir())
        .spawn()
        .unwrap();
    if let (Some(bytes), Some(mut input)) = (stdin, child.stdin.take()) {
        // It may refuse before it has read everything.
        input.write_all(bytes).unwrap_or_default();
    }
    child.wait_with_output().unwrap()
}

/// Runs a command that must fail with 1 and returns what it says.
fn refused(agent: &Agent, args: &[&str]) -> String {
    let out = agent.cli(args);
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1), "stead {}: {told}", args.join(" "));
    assert!(out.stdout.is_empty(), "{}", String::from_utf8_lossy(&out.stdout));
    told
}

fn images(agent: &Agent) -> Vec<Value> {
    let text = agent.ok(&["image", "list", "-json"]);
    serde_json::from_str::<Value>(&text).unwrap().as_array().unwrap().clone()
}

/// What is in the temporary directory of the agent's store.
fn leftovers(agent: &Agent) -> usize {
    fs::read_dir(agent.dir().join("data/images/tmp")).unwrap().count()
}

/// Open files of the agent that have no name in its store: archives on their way.
fn spooled(agent: &Agent) -> usize {
    let fds = format!("/proc/{}/fd", agent.pid());
    let store = agent.dir().join("data/images/tmp");
    fs::read_dir(fds)
        .unwrap()
        .filter_map(|fd| fs::read_link(fd.unwrap().path()).ok())
        .filter(|to| to.starts_with(&store) && to.to_string_lossy().ends_with("(deleted)"))
        .count()
}

fn push(
    registry: &Registry,
    image: &Built,
    dir: &Path,
    name: &str,
    credentials: &[&str],
) -> String {
    let layout = dir.join(format!("layout-{}", name.replace(['/', ':'], "-")));
    image.write_layout(&layout, "v1");
    let source = format!("oci:{}:v1", layout.display());
    let name = format!("{}/{name}", registry.host);
    let to = format!("docker://{name}");
    let mut args = vec!["copy", "--dest-tls-verify=false"];
    args.extend(credentials);
    args.extend([source.as_str(), to.as_str()]);
    skopeo(&args);
    name
}

#[test]
fn an_image_is_pulled_listed_and_removed() {
    let Some(registry) = Registry::start(None) else { return };
    let (agent, image) = (agent(&registry.host), busybox());
    assert_eq!(agent.ok(&["image", "list"]), "No images\n");
    let name = push(&registry, &image, agent.dir(), "team/busybox:1", &[]);
    let out = agent.cli(&["image", "pull", &name]);
    let (stdout, stderr) =
        (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{stderr}");
    let short = &image.id()[7..19];
    assert!(stdout.starts_with(short) && stdout.contains(&name), "{stdout}");
    for layer in &image.layers {
        assert!(stderr.contains(&format!("layer {}: ", &layer.diff_id[7..19])), "{stderr}");
    }
    let listed = agent.ok(&["image", "list"]);
    let row =
        listed.lines().find(|line| line.contains(&name)).unwrap_or_else(|| panic!("{listed}"));
    assert!(row.contains(short) && row.ends_with('-'), "{row}");
    let json = images(&agent);
    assert_eq!(json[0]["ID"], image.id());
    assert_eq!(json[0]["References"][0], name);
    assert_eq!(json[0]["Layers"], 2);
    assert_eq!(json[0]["InUse"], false);
    // By digest it is the same image with one more name; the layers are here.
    let by_digest = format!("{}/team/busybox@{}", registry.host, digest(&image.manifest));
    let out = agent.cli(&["image", "pull", &by_digest]);
    assert!(String::from_utf8_lossy(&out.stderr).contains("here already"));
    assert_eq!(agent.ok(&["image", "pull", "-quiet", &name]), format!("{}\n", image.id()));
    assert!(agent.ok(&["image", "remove", &name]).contains("the image has others"));
    assert_eq!(images(&agent)[0]["References"].as_array().unwrap().len(), 1);
    let removed = agent.ok(&["image", "remove", short]);
    assert!(removed.contains(short) && removed.contains("freed"), "{removed}");
    assert_eq!(images(&agent), Vec::<Value>::new());
    assert!(refused(&agent, &["image", "remove", short]).contains("is not in the store"));
    assert!(refused(&agent, &["image", "remove", &name]).contains("is not in the store"));
    assert_eq!(leftovers(&agent), 0);
}

#[test]
fn what_cannot_be_pulled_is_told_by_its_cause() {
    let Some(registry) = Registry::start(None) else { return };
    let agent = agent(&registry.host);
    let name = push(&registry, &busybox(), agent.dir(), "app:1", &[]);
    let pull = |args: &[&str]| {
        let args: Vec<&str> = ["image", "pull"].iter().chain(args).copied().collect();
        refused(&agent, &args)
    };
    let told = pull(&[&format!("{}/app:none", registry.host)]);
    assert!(told.contains("not found in registry") && told.contains("app:none"), "{told}");
    let told = pull(&["Not A Name"]);
    assert!(told.contains("image reference `Not A Name`"), "{told}");
    let told = pull(&[&format!("127.0.0.1:{}/app:1", free_port())]);
    assert!(told.contains("is not reachable") || told.contains("not trusted"), "{told}");
    let told = pull(&["-platform", "linux", &name]);
    assert!(told.contains("platform `linux` is not"), "{told}");
    let told = pull(&["oci:/nowhere:v1"]);
    assert!(told.contains("cannot open `/nowhere`"), "{told}");
    let told = pull(&["oci:here"]);
    assert!(told.contains("must be absolute"), "{told}");
    let host = registry.host.clone();
    drop(registry);
    let told = pull(&[&format!("{host}/app:2")]);
    assert!(told.contains(&format!("registry `{host}` is not reachable")), "{told}");
    let agent_away = stead(&agent, &["image", "list", "-address", "http://127.0.0.1:1"], None, &[]);
    assert_eq!(agent_away.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&agent_away.stderr).contains("is an agent running there?"));
    assert_eq!(images(&agent), Vec::<Value>::new());
    assert_eq!(leftovers(&agent), 0);
}

#[test]
fn a_platform_is_chosen_from_an_index_or_missed_by_name() {
    if !is_root() {
        return;
    }
    let runtime = runtime();
    let fake = runtime.block_on(Fake::start());
    let agent = agent(&fake.host);
    let layer = |text: &str| Layer::new().file(text, text, 0o644).end(Compression::Gzip);
    let (ours, theirs) =
        (Built::new(vec![layer("ours")]), Built::for_architecture(vec![layer("theirs")], "s390x"));
    fake.serve_image("app", "ours", &ours);
    fake.serve_image("app", "theirs", &theirs);
    let host = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let entry = |image: &Built, architecture: &str| {
        serde_json::json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest(&image.manifest),
            "size": image.manifest.len(), "platform": {"os": "linux", "architecture": architecture},
        })
    };
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry(&ours, host), entry(&theirs, "s390x")],
    });
    fake.answer("/v2/app/manifests/1", Answer::ok(index.to_string()));
    let name = format!("{}/app:1", fake.host);
    assert_eq!(agent.ok(&["image", "pull", "-quiet", &name]).trim(), ours.id());
    let pulled = agent.ok(&["image", "pull", "-quiet", "-platform", "linux/s390x", &name]);
    assert_eq!(pulled.trim(), theirs.id());
    let told = refused(&agent, &["image", "pull", "-platform", "linux/riscv64", &name]);
    assert!(told.contains("linux/riscv64") && told.contains("linux/s390x"), "{told}");
    // Each platform's image has a name of its own, and goes by it.
    agent.ok(&["image", "remove", "-platform", "linux/s390x", &name]);
    let left = images(&agent);
    assert_eq!((left.len(), left[0]["ID"].as_str()), (1, Some(ours.id().as_str())));
}

#[test]
fn credentials_come_from_standard_input_the_environment_or_a_file() {
    let made = Command::new("htpasswd").args(["-Bbn", "user", "pa:ss word"]).output();
    let Ok(users) = made else {
        println!("skipped: htpasswd is not installed");
        return;
    };
    let Some(registry) = Registry::start(Some(&String::from_utf8(users.stdout).unwrap())) else {
        return;
    };
    let agent = agent(&registry.host);
    let name =
        push(&registry, &busybox(), agent.dir(), "private:1", &["--dest-creds=user:pa:ss word"]);
    let told = refused(&agent, &["image", "pull", &name]);
    assert!(told.contains("refuses") && told.contains("hint: log in with -username"), "{told}");
    let login = ["image", "pull", "-username", "user", "-password-stdin", &name];
    let wrong = stead(&agent, &login, Some(b"wrong\n"), &[]);
    let told = String::from_utf8_lossy(&wrong.stderr);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(told.contains("the credentials are wrong") && !told.contains("wrong\n\n"), "{told}");
    let empty = stead(&agent, &login, Some(b"\n"), &[]);
    assert!(String::from_utf8_lossy(&empty.stderr).contains("standard input has no password"));
    let none = stead(&agent, &["image", "pull", "-username", "user", &name], None, &[]);
    assert!(String::from_utf8_lossy(&none.stderr).contains("no password for user"));
    let right = stead(&agent, &login, Some(b"pa:ss word\r\n"), &[]);
    assert!(right.status.success(), "{}", String::from_utf8_lossy(&right.stderr));
    agent.ok(&["image", "remove", &name]);
    let env = [("STEAD_REGISTRY_USERNAME", "user"), ("STEAD_REGISTRY_PASSWORD", "pa:ss word")];
    let right = stead(&agent, &["image", "pull", &name], None, &env);
    assert!(right.status.success(), "{}", String::from_utf8_lossy(&right.stderr));
    agent.ok(&["image", "remove", &name]);
    // base64 of `user:pa:ss word`.
    let config =
        format!(r#"{{"auths":{{"{}":{{"auth":"dXNlcjpwYTpzcyB3b3Jk"}}}}}}"#, registry.host);
    let file = agent.job("config.json", &config);
    agent.ok(&["image", "pull", "-auth", &file, &name]);
    let told = refused(&agent, &["image", "pull", "-auth", &file, "elsewhere.example/app:1"]);
    assert!(
        told.contains("has no credentials for the registry of elsewhere.example/app:1"),
        "{told}"
    );
    assert!(!agent.log().contains("pa:ss"), "{}", agent.log());
    drop(agent);
    // An agent that has been given the file asks with it by itself.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.json");
    fs::write(&file, config).unwrap();
    let agent = Agent::with(&format!(
        "server {{\n  enabled = true\n}}\nclient {{\n  enabled = true\n  insecure_registries = [\"{}\"]\n}}\nplugin \"docker\" {{\n  config {{\n    auth {{\n      config = \"{}\"\n    }}\n  }}\n}}",
        registry.host,
        file.display()
    ));
    agent.ok(&["image", "pull", &name]);
}

const JOB: &str = r#"
job "user" {
  group "app" {
    task "main" {
      driver = "container"
      config {
        image   = "IMAGE"
        command = "/bin/busybox"
        args    = ["sleep", "1000"]
      }
      kill_signal = "SIGKILL"
      resources {
        cpu    = 20
        memory = 16
      }
    }
  }
}
"#;

#[test]
fn an_image_that_an_allocation_uses_stays() {
    let Some(registry) = Registry::start(None) else { return };
    let mut agent = agent(&registry.host);
    let name = push(&registry, &busybox(), agent.dir(), "used:1", &[]);
    let other = Layer::new().file("other", "other", 0o644).end(Compression::Gzip);
    let unused = push(&registry, &Built::new(vec![other]), agent.dir(), "unused:1", &[]);
    agent.ok(&["image", "pull", &unused]);
    agent.ok(&["job", "run", "-detach", &agent.job("user.hcl", &JOB.replace("IMAGE", &name))]);
    let alloc = agent.alloc_with("user", "running");
    let refusals = |agent: &Agent| {
        for what in [name.as_str(), &busybox().id()[7..19]] {
            let told = refused(agent, &["image", "remove", what]);
            assert!(
                told.contains("is in use by allocation") && told.contains(&alloc[..8]),
                "{told}"
            );
            assert!(told.contains("job `user`, task `main`") && told.contains("hint: "), "{told}");
        }
    };
    refusals(&agent);
    let listed = agent.ok(&["image", "list"]);
    let row = listed.lines().find(|line| line.contains("/used:1")).unwrap();
    assert!(row.ends_with(&alloc[..8]), "{listed}");
    assert_eq!(agent.ok(&["image", "gc"]), "Removed 1 image and 1 layer: 2.0 KiB freed\n");
    assert_eq!(images(&agent).len(), 1);
    // An agent that was killed and came back knows it still.
    agent.kill();
    agent.launch();
    eventually("the task is found again", || {
        (images(&agent)[0]["Users"][0]["AllocID"] == alloc.as_str()).then_some(())
    });
    refusals(&agent);
    agent.ok(&["job", "stop", "-detach", "user"]);
    agent.alloc_with("user", "complete");
    eventually("nobody uses it", || (images(&agent)[0]["InUse"] == false).then_some(()));
    let told = agent.ok(&["image", "gc"]);
    assert!(told.starts_with("Removed 1 image and 2 layers"), "{told}");
    assert_eq!(agent.ok(&["image", "gc"]), "Removed 0 images and 0 layers: 0 B freed\n");
}

#[test]
fn archives_and_directories_are_loaded() {
    if !is_root() {
        return;
    }
    let (agent, image) = (agent(""), busybox_with(Compression::Gzip));
    let layout = agent.dir().join("layout");
    image.write_layout(&layout, "v1");
    let source = format!("oci:{}:v1", layout.display());
    let file = |name: &str| agent.dir().join(name).to_string_lossy().into_owned();
    let (docker, oci, zipped) = (file("docker.tar"), file("oci.tar"), file("oci.tar.gz"));
    skopeo(&["copy", &source, &format!("docker-archive:{docker}:team/app:2")]);
    skopeo(&["copy", &source, &format!("oci-archive:{oci}:v1")]);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&fs::read(&oci).unwrap()).unwrap();
    fs::write(&zipped, encoder.finish().unwrap()).unwrap();
    let forget = |agent: &Agent| drop(agent.ok(&["image", "gc"]));
    let loaded = agent.ok(&["image", "load", &docker]);
    assert!(loaded.contains("docker.io/team/app:2") && loaded.contains("2 layers"), "{loaded}");
    forget(&agent);
    // Of an OCI archive a bare tag is no name: it is given one, or goes by its id.
    assert_eq!(agent.ok(&["image", "load", "-quiet", &oci]).trim(), image.id());
    assert!(agent.ok(&["image", "list"]).contains("<none>"));
    forget(&agent);
    let loaded = agent.ok(&["image", "load", "-name", "my/app:3", &zipped]);
    assert!(loaded.contains("docker.io/my/app:3"), "{loaded}");
    forget(&agent);
    // From standard input, and a directory by a relative path.
    let out = stead(&agent, &["image", "load", "-"], Some(&fs::read(&docker).unwrap()), &[]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    forget(&agent);
    let loaded = agent.ok(&["image", "load", "-name", "my/dir:1", "layout"]);
    assert!(loaded.contains("docker.io/my/dir:1"), "{loaded}");
    assert_eq!(images(&agent).len(), 1);
    assert_eq!((leftovers(&agent), spooled(&agent)), (0, 0));
}

#[test]
fn a_broken_archive_is_refused_and_leaves_nothing() {
    if !is_root() {
        return;
    }
    let (agent, image) = (agent(""), busybox_with(Compression::Gzip));
    let layout = agent.dir().join("layout");
    image.write_layout(&layout, "v1");
    let oci = agent.dir().join("oci.tar");
    skopeo(&[
        "copy",
        &format!("oci:{}:v1", layout.display()),
        &format!("oci-archive:{}:v1", oci.display()),
    ]);
    let good = fs::read(&oci).unwrap();
    let half = &good[..good.len() / 2];
    let mut changed = good.clone();
    // In the middle of the larger layer, so of no header.
    let middle = good.len() / 2;
    changed[middle..middle + 64].fill(0x55);
    let empty = tar::Builder::new(Vec::new()).into_inner().unwrap();
    let bad_zip = [&[0x1f, 0x8b][..], &[7; 500]].concat();
    for (bytes, told) in [
        (half, "archive"),
        (&changed, "sha256:"),
        (b"no archive at all, whatever its length may be", "not a tar archive"),
        (&empty, "it is not an image"),
        (&bad_zip, "cannot be decompressed"),
        (b"", "archive"),
    ] {
        let out = stead(&agent, &["image", "load", "-"], Some(bytes), &[]);
        let shown = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{shown}");
        assert!(shown.contains("Error loading -: ") && shown.contains(told), "{told}: {shown}");
    }
    let told = refused(&agent, &["image", "load", "nowhere.tar"]);
    assert!(told.contains("No such file"), "{told}");
    let told = refused(&agent, &["image", "load", "-name", "Bad Name", &oci.to_string_lossy()]);
    assert!(told.contains("image reference `Bad Name`"), "{told}");
    fs::create_dir(agent.dir().join("empty")).unwrap();
    let told = refused(&agent, &["image", "load", "empty"]);
    assert!(told.contains("it is not an image"), "{told}");
    assert_eq!(images(&agent), Vec::<Value>::new());
    wait_until("nothing is left", || leftovers(&agent) == 0 && spooled(&agent) == 0);
}

#[test]
fn an_upload_or_a_pull_that_is_interrupted_leaves_nothing() {
    if !is_root() {
        return;
    }
    let runtime = runtime();
    let fake = runtime.block_on(Fake::start());
    let agent = agent(&fake.host);
    let start = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_stead"))
            .args(args)
            .env("STEAD_ADDR", agent.address())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut load = start(&["image", "load", "-"]);
    load.stdin.as_mut().unwrap().write_all(&vec![7; 3 << 20]).unwrap();
    wait_until("the archive is on its way", || spooled(&agent) == 1);
    load.kill().unwrap();
    load.wait().unwrap();
    wait_until("the archive is gone", || spooled(&agent) == 0 && leftovers(&agent) == 0);
    let noise: Vec<u8> =
        (0..400_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
    let image = Built::new(vec![Layer::new().file("noise", noise, 0o644).end(Compression::Plain)]);
    fake.serve_image("app", "1", &image);
    let bytes = image.layers[0].bytes.clone();
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    let path = blob_path("app", &image.layers[0].digest());
    fake.answer(path, Answer { gate: Some(gate), ..Answer::ok(bytes) });
    let mut pull = start(&["image", "pull", &format!("{}/app:1", fake.host)]);
    wait_until("the layer is on its way", || leftovers(&agent) == 1);
    pull.kill().unwrap();
    pull.wait().unwrap();
    wait_until("the layer is given up", || leftovers(&agent) == 0);
    assert_eq!(images(&agent), Vec::<Value>::new());
    assert_eq!(agent.ok(&["image", "gc"]), "Removed 0 images and 0 layers: 0 B freed\n");
}

#[test]
fn a_bar_runs_on_a_terminal() {
    let Some(registry) = Registry::start(None) else { return };
    let agent = agent(&registry.host);
    let name = push(&registry, &busybox(), agent.dir(), "app:1", &[]);
    let line = format!("{} image pull {name}", env!("CARGO_BIN_EXE_stead"));
    let out = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env("STEAD_ADDR", agent.address())
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{shown}");
    assert!(shown.contains("/2 layers") && shown.contains("  ["), "{shown}");
    assert!(shown.contains(&busybox().id()[7..19]), "{shown}");
}

#[test]
fn the_routes_refuse_what_they_are_not_for() {
    if !is_root() {
        return;
    }
    let agent = agent("");
    let api = |args: &[&str]| {
        let args: Vec<&str> = ["operator", "api"].iter().chain(args).copied().collect();
        refused(&agent, &args)
    };
    let told = api(&["/v1/client/images?node_id=00000000-0000-0000-0000-000000000001"]);
    assert!(told.contains("Unknown node"), "{told}");
    assert!(api(&["-X", "DELETE", "/v1/client/images"]).contains("must provide an image"));
    assert!(api(&["/v1/client/images/pull"]).contains("405"));
    assert!(api(&["/v1/client/images/nope"]).contains("404"));
    assert!(api(&["/v1/client/images/pull", "{}"]).contains("image reference is empty"));
    assert!(api(&["/v1/client/images/load?path=here", "-X", "PUT"]).contains("must be absolute"));
    let own = agent.api("/v1/nodes")[0]["ID"].as_str().unwrap().to_owned();
    assert_eq!(agent.api(&format!("/v1/client/images?node_id={own}")), serde_json::json!([]));
}

#[test]
fn the_commands_of_the_readme_do_what_it_says() {
    let Some(registry) = Registry::start(None) else { return };
    let (agent, image) = (agent(&registry.host), busybox_with(Compression::Gzip));
    let name = push(&registry, &image, agent.dir(), "app:1", &[]);
    fs::write(agent.dir().join("password.txt"), "secret\n").unwrap();
    let layout = fs::read_dir(agent.dir()).unwrap().map(|entry| entry.unwrap().path());
    let layout = layout.into_iter().find(|path| path.join("oci-layout").exists()).unwrap();
    let archive = agent.dir().join("app.tar");
    skopeo(&[
        "copy",
        &format!("oci:{}:v1", layout.display()),
        &format!("docker-archive:{}:app:1", archive.display()),
    ]);
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_stead")).parent().unwrap();
    let mut told = Vec::new();
    for line in readme.lines().filter(|line| line.starts_with("stead image ")) {
        let out = Command::new("sh")
            .args(["-ec", &line.replace("registry.lan:5000", &registry.host)])
            .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
            .env("STEAD_ADDR", agent.address())
            .current_dir(agent.dir())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
        told.push(String::from_utf8(out.stdout).unwrap());
    }
    let [pulled, again, loaded, listed, removed, collected] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert!(pulled.contains(&name) && again.contains(&name), "{pulled}{again}");
    assert!(loaded.contains("docker.io/library/app:1"), "{loaded}");
    assert!(listed.contains(&name) && listed.contains("docker.io/library/app:1"), "{listed}");
    assert!(removed.contains(&name), "{removed}");
    assert!(collected.starts_with("Removed 1 image "), "{collected}");
    assert_eq!(images(&agent), Vec::<Value>::new());
}
