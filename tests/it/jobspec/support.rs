//! Where the recorded answers are, a host that reads only below one folder, and the list of known differences.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use stead::jobspec::{Entry, Host, Inputs, LocalHost, ReadError, Source, read_source};

/// The folder of recorded answers, or nothing where they are not at hand.
pub(super) fn conformance() -> Option<PathBuf> {
    let folder = std::env::var_os("STEAD_CONFORMANCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance"),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no recorded answers at {}", folder.display());
    None
}

/// A host whose relative paths start in a folder, with fixed randomness.
pub(super) struct FolderHost {
    pub folder: PathBuf,
    pub home: Option<String>,
}

impl FolderHost {
    fn at(&self, path: &str) -> String {
        self.folder.join(path).to_string_lossy().into_owned()
    }
}

impl Host for FolderHost {
    fn allows_files(&self) -> bool {
        true
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        LocalHost.read(&self.at(path))
    }

    fn entry(&self, path: &str) -> Entry {
        LocalHost.entry(&self.at(path))
    }

    fn walk(&self, folder: &str) -> Result<Vec<String>, String> {
        LocalHost.walk(&self.at(folder))
    }

    fn working_directory(&self) -> Option<String> {
        Some(self.folder.to_string_lossy().into_owned())
    }

    fn home(&self) -> Option<String> {
        self.home.clone()
    }

    fn random(&self) -> [u8; 16] {
        [7; 16]
    }
}

/// What a recorded case gave on the command line and in the environment.
#[derive(Default)]
pub(super) struct Case {
    pub inputs: Inputs,
    pub json: bool,
    pub home: Option<String>,
    pub consul_namespace: Option<String>,
    pub vault_namespace: Option<String>,
    /// A variable file that could not be read.
    pub unreadable: Option<stead::jobspec::ParseError>,
}

/// Reads `NAME.args` and `NAME.env`.
pub(super) fn case(folder: &Path, name: &str) -> Case {
    let mut case = Case::default();
    let args = fs::read_to_string(folder.join(format!("{name}.args"))).unwrap_or_default();
    let mut lines = args.lines();
    while let Some(arg) = lines.next() {
        let (flag, value) = arg.split_once('=').unwrap_or((arg, ""));
        let value = match (flag, value) {
            ("-var", "") => lines.next().unwrap_or_default().to_owned(),
            (_, value) => value.to_owned(),
        };
        match flag {
            "-var" => case.inputs.vars.push(value),
            "-var-file" => match read_source(&folder.join(&value).to_string_lossy()) {
                Ok(source) => case.inputs.var_files.push(source),
                Err(error) => case.unreadable = Some(error),
            },
            "-hcl2-strict" => case.inputs.strict = value != "false",
            "-json" => case.json = true,
            "-consul-namespace" => case.consul_namespace = Some(value),
            "-vault-namespace" => case.vault_namespace = Some(value),
            "-namespace" | "-region" => {}
            other => panic!("{name}: unknown argument {other}"),
        }
    }
    let env = fs::read_to_string(folder.join(format!("{name}.env"))).unwrap_or_default();
    for line in env.lines() {
        let (key, value) = line.split_once('=').unwrap();
        if key == "HOME" {
            case.home = Some(value.to_owned());
        }
        case.inputs.environment.push((key.to_owned(), value.to_owned()));
    }
    case
}

/// The source of a case: `NAME.hcl` or `NAME.in.json`.
pub(super) fn source(folder: &Path, name: &str) -> Source {
    let path = [format!("{name}.hcl"), format!("{name}.in.json")]
        .into_iter()
        .find(|file| folder.join(file).exists())
        .unwrap();
    Source::new(path.clone(), fs::read(folder.join(path)).unwrap())
}

/// Names of the cases in a folder, by the ending of their main file.
pub(super) fn names(folder: &Path, ending: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(ending).map(str::to_owned))
        .filter(|name| !name.contains('.'))
        .collect();
    names.sort();
    names
}

/// Equal as JSON, numbers compared by value: as integers where both are, else as floats.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a == b,
            _ => a.as_f64() == b.as_f64(),
        },
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, a)| b.get(k).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// Where two values differ first, in words.
pub(super) fn difference(ours: &Value, theirs: &Value, path: &str) -> Option<String> {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            keys.into_iter().find_map(|key| {
                let path = format!("{path}.{key}");
                match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => difference(a, b, &path),
                    (Some(_), None) => Some(format!("{path} is not theirs")),
                    _ => Some(format!("{path} is not ours")),
                }
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .find_map(|(i, (a, b))| difference(a, b, &format!("{path}[{i}]"))),
        _ if same(ours, theirs) => None,
        _ => Some(format!("{path}: ours {ours}, theirs {theirs}")),
    }
}

/// Results of one table. A known difference that holds again is a failure too.
pub(super) struct Report {
    table: &'static str,
    known: BTreeMap<String, String>,
    holds: usize,
    differs: usize,
    problems: Vec<String>,
}

impl Report {
    pub(super) fn new(table: &'static str) -> Self {
        let known = include_str!("differences.txt")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once(": "))
            .filter_map(|(name, reason)| Some((name.split_once(' ')?, reason)))
            .filter(|((of, _), _)| *of == table)
            .map(|((_, name), reason)| (name.to_owned(), reason.to_owned()))
            .collect();
        Self { table, known, holds: 0, differs: 0, problems: Vec::new() }
    }

    pub(super) fn add(&mut self, name: &str, problem: Option<String>) {
        match (problem, self.known.remove(name)) {
            (None, None) => self.holds += 1,
            (None, Some(_)) => {
                self.problems.push(format!("{name}: is listed as different but holds"));
            }
            (Some(_), Some(_)) => self.differs += 1,
            (Some(problem), None) => self.problems.push(format!("{name}: {problem}")),
        }
    }

    pub(super) fn finish(mut self) {
        for name in self.known.keys() {
            self.problems.push(format!("{name}: is listed as different but does not exist"));
        }
        println!("{}: {} hold, {} differ as listed", self.table, self.holds, self.differs);
        let shown: Vec<&str> = self.problems.iter().take(40).map(String::as_str).collect();
        assert!(
            self.problems.is_empty(),
            "{}: {} hold, {} do not:\n{}",
            self.table,
            self.holds,
            self.problems.len(),
            shown.join("\n")
        );
    }
}
