//! The shape of the house, checked: which room may name which, what a deciding (◆) file may not touch,
//! where third-party names live, how long a file may be, and that every example is used by a test.
#![expect(clippy::unwrap_used, reason = "a test that cannot read the house stops")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which rooms each room may name. Nobody else's.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("sys", &[]),
    ("api", &["model", "sys"]),
    ("jobspec", &["api", "sys"]),
    ("scheduler", &["model"]),
    ("state", &["model", "sys"]),
    ("raft", &["model", "state", "sys"]),
    ("server", &["model", "scheduler", "state", "raft", "secrets", "sys"]),
    ("driver", &["model", "sys", "logs"]),
    ("image", &["model", "sys"]),
    ("network", &["model", "sys"]),
    ("volume", &["model", "sys"]),
    ("device", &["model", "sys"]),
    ("template", &["model", "sys"]),
    ("logs", &["model", "sys"]),
    ("checks", &["model", "sys"]),
    ("artifact", &["model", "sys"]),
    ("discovery", &["model", "sys"]),
    ("secrets", &["model", "sys"]),
    ("autoscaler", &["model", "sys"]),
    (
        "client",
        &[
            "model",
            "sys",
            "driver",
            "image",
            "network",
            "volume",
            "device",
            "template",
            "logs",
            "checks",
            "artifact",
            "discovery",
            "secrets",
        ],
    ),
    ("http", &["model", "api", "jobspec", "state", "server", "client", "sys"]),
    (
        "agent",
        &[
            "model",
            "api",
            "jobspec",
            "scheduler",
            "state",
            "raft",
            "server",
            "client",
            "driver",
            "image",
            "network",
            "volume",
            "device",
            "template",
            "logs",
            "checks",
            "artifact",
            "discovery",
            "secrets",
            "autoscaler",
            "http",
            "sys",
        ],
    ),
    ("cli", &["api", "model", "jobspec", "agent", "sys"]),
];

/// Third-party crates that may be named only in files whose path starts with one of these.
const HOMES: &[(&str, &[&str])] = &[
    ("openraft", &["src/raft/"]),
    ("rusqlite", &["src/raft/", "src/state/disk", "src/client/journal"]),
    ("libcontainer", &["src/driver/container/"]),
    ("oci_spec", &["src/driver/", "src/image/"]),
    ("reqwest", &["src/image/registry/"]),
    ("rtnetlink", &["src/network/"]),
    ("netlink_packet_netfilter", &["src/network/"]),
    ("netlink_packet_route", &["src/network/"]),
    ("clap", &["src/cli/"]),
    ("axum", &["src/http/"]),
    ("hcl", &["src/jobspec/", "src/agent/config"]),
    ("hcl_edit", &["src/jobspec/", "src/agent/config"]),
    ("indicatif", &["src/cli/"]),
];

/// What a deciding file may not name.
const EFFECTS: &[&str] = &[
    "tokio::",
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "Instant",
    "SystemTime",
    "rand::",
    "Mutex",
    "async fn",
    ".await",
    "std::process",
    "std::thread",
    "crate::sys::clock",
    "crate::sys::ids",
];

const LINE_CAP: usize = 600;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(dir: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            files(&entry, extension, found);
        } else if entry.extension().is_some_and(|e| e == extension) {
            found.push(entry);
        }
    }
    found.sort();
}

struct Source {
    name: String,
    text: String,
}

impl Source {
    fn all() -> Vec<Self> {
        let mut found = Vec::new();
        files(&root().join("src"), "rs", &mut found);
        found
            .into_iter()
            .map(|path| Self {
                name: path.strip_prefix(root()).unwrap().to_string_lossy().into_owned(),
                text: fs::read_to_string(&path).unwrap(),
            })
            .collect()
    }

    fn room(&self) -> Option<&str> {
        let mut parts = self.name.split('/');
        let (_, room) = (parts.next(), parts.next()?);
        parts.next().map(|_| room)
    }

    fn is_test(&self) -> bool {
        self.name.ends_with("/tests.rs") || self.name.contains("/tests/")
    }

    /// The lines before the first in-file test module.
    fn production(&self) -> &str {
        self.text.split("#[cfg(test)]").next().unwrap_or_default()
    }

    /// Production lines without comments, each with its number.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.production()
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
            .map(|(number, line)| (number + 1, line.split(" // ").next().unwrap_or(line)))
    }

    /// ◆ in the file's first line, or in its room's without a ◇ of its own.
    fn decides(&self, rooms: &BTreeMap<String, bool>) -> bool {
        let first = self.text.lines().next().unwrap_or_default();
        if first.contains('◆') {
            return true;
        }
        !first.contains('◇')
            && self.room().is_some_and(|room| rooms.get(room).copied().unwrap_or(false))
    }
}

fn pure_rooms(sources: &[Source]) -> BTreeMap<String, bool> {
    sources
        .iter()
        .filter(|s| s.name.ends_with("/mod.rs") && s.name.matches('/').count() == 2)
        .filter_map(|s| {
            Some((s.room()?.to_owned(), s.text.lines().next().unwrap_or_default().contains('◆')))
        })
        .collect()
}

fn assert_none(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// Whether `text` names the path segment `word` followed by `::`, `;`, ` ` or `}` (not as a part of another word).
fn names(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = &text[at + word.len()..];
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '"')
            && (after.starts_with("::") || after.starts_with(';'))
    })
}

#[test]
fn rooms_name_only_the_rooms_they_may() {
    let arrows: BTreeMap<&str, BTreeSet<&str>> =
        ARROWS.iter().map(|(room, to)| (*room, to.iter().copied().collect())).collect();
    let mut problems = Vec::new();
    for source in Source::all().iter().filter(|s| !s.is_test()) {
        let Some(room) = source.room() else { continue };
        let Some(allowed) = arrows.get(room) else {
            problems.push(format!("{}: room `{room}` is not in the table of arrows", source.name));
            continue;
        };
        for (number, line) in source.code() {
            for (at, _) in line.match_indices("crate::") {
                let to: String = line[at + 7..]
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                if arrows.contains_key(to.as_str()) && to != room && !allowed.contains(to.as_str())
                {
                    problems
                        .push(format!("{}:{number}: `{room}` may not name `{to}`", source.name));
                }
            }
        }
    }
    assert_none(&problems);
}

#[test]
fn deciding_files_touch_nothing() {
    let sources = Source::all();
    let rooms = pure_rooms(&sources);
    let mut problems = Vec::new();
    for source in sources.iter().filter(|s| !s.is_test() && s.decides(&rooms)) {
        for (number, line) in source.code() {
            for effect in EFFECTS.iter().filter(|effect| line.contains(*effect)) {
                problems
                    .push(format!("{}:{number}: a deciding file names `{effect}`", source.name));
            }
        }
    }
    assert_none(&problems);
}

#[test]
fn third_party_names_stay_at_home() {
    let mut problems = Vec::new();
    for source in Source::all().iter().filter(|s| !s.is_test()) {
        for (number, line) in source.code() {
            for (word, homes) in HOMES.iter().filter(|(word, _)| names(line, word)) {
                if !homes.iter().any(|home| source.name.starts_with(home)) {
                    problems.push(format!(
                        "{}:{number}: `{word}` belongs to {}",
                        source.name,
                        homes.join(", ")
                    ));
                }
            }
        }
    }
    assert_none(&problems);
}

#[test]
fn no_file_is_longer_than_the_cap() {
    let mut problems = Vec::new();
    for source in Source::all().iter().filter(|s| !s.is_test()) {
        let lines = source.production().lines().count();
        let table = source.text.lines().next().unwrap_or_default().contains("(table)");
        if lines > LINE_CAP && !table {
            problems
                .push(format!("{}: {lines} production lines, the cap is {LINE_CAP}", source.name));
        }
    }
    assert_none(&problems);
}

#[test]
fn every_integration_test_file_is_mounted() {
    let mut found = Vec::new();
    files(&root().join("tests/it"), "rs", &mut found);
    let mut problems = Vec::new();
    for path in found.iter().filter(|p| !p.ends_with("main.rs") && !p.ends_with("mod.rs")) {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let dir = path.parent().unwrap();
        let parent = [dir.join("mod.rs"), dir.join("main.rs")].into_iter().find(|p| p.exists());
        let mounted = parent
            .is_some_and(|p| fs::read_to_string(p).unwrap().contains(&format!("mod {stem};")));
        if !mounted {
            problems.push(format!("{}: not mounted by its mod.rs", path.display()));
        }
    }
    assert_none(&problems);
}

#[test]
fn every_example_is_used_by_a_test() {
    let mut examples = Vec::new();
    files(&root().join("examples"), "hcl", &mut examples);
    files(&root().join("examples"), "sh", &mut examples);
    let mut tests = Vec::new();
    files(&root().join("tests"), "rs", &mut tests);
    files(&root().join("tests"), "sh", &mut tests);
    let all: String = tests.iter().map(|t| fs::read_to_string(t).unwrap()).collect();
    let problems: Vec<String> = examples
        .iter()
        .map(|e| e.file_name().unwrap().to_string_lossy().into_owned())
        .filter(|name| !all.contains(name.as_str()))
        .map(|name| format!("examples/{name}: no test names it"))
        .collect();
    assert_none(&problems);
}
