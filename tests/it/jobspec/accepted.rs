//! Every job file that Nomad accepts gives the JSON that Nomad prints.

use std::fs;

use serde_json::{Value, json};
use stead::jobspec::{self, LocalHost, NoFiles};

use super::support::{FolderHost, Report, case, conformance, difference, names, source};

#[test]
fn accepted_jobs_give_the_recorded_json() {
    let Some(folder) = conformance() else { return };
    let folder = folder.join("jobspec/ok");
    let mut report = Report::new("ok");
    for name in names(&folder, ".json") {
        let case = case(&folder, &name);
        let host = FolderHost { folder: folder.clone(), home: case.home.clone() };
        let source = source(&folder, &name);
        let parsed = if case.json {
            jobspec::parse_api_json(&source, &case.inputs)
        } else {
            jobspec::parse(&source, &case.inputs, &host)
        };
        let text = fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        let recorded: Value = serde_json::from_str(&text).unwrap();
        let problem = match parsed {
            Err(error) => Some(format!("refused: {error}")),
            Ok(mut job) => {
                // The command line adds these two after parsing.
                for (field, value) in [
                    ("ConsulNamespace", &case.consul_namespace),
                    ("VaultNamespace", &case.vault_namespace),
                ] {
                    if let Some(value) = value {
                        job[field] = json!(value);
                    }
                }
                difference(&json!({ "Job": job }), &recorded, "")
            }
        };
        report.add(&name, problem);
    }
    report.finish();
}

#[test]
fn the_examples_of_job_init_parse_to_the_same_job() {
    let parse = |text: &str| {
        let source = jobspec::Source::new("example.nomad.hcl", text);
        jobspec::parse(&source, &jobspec::Inputs::default(), &NoFiles).unwrap()
    };
    let (long, short) = (parse(jobspec::EXAMPLE), parse(jobspec::SHORT_EXAMPLE));
    for job in [&long, &short] {
        let group = &job["TaskGroups"][0];
        assert_eq!(group["Tasks"][0]["Driver"], "docker");
        assert_eq!(group["Networks"][0]["Mode"], "bridge");
        assert_eq!(group["Networks"][0]["DynamicPorts"][0]["To"], 6379);
    }
    assert_eq!(long["TaskGroups"][0]["Services"], short["TaskGroups"][0]["Services"]);
}

#[test]
fn the_local_host_reads_files_and_a_server_does_not() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("motd"), "hello").unwrap();
    let path = folder.path().join("motd").to_string_lossy().into_owned();
    let text = format!("job \"x\" {{\n  meta {{\n    a = file(\"{path}\")\n  }}\n}}\n");
    let source = jobspec::Source::new("x.hcl", text);
    let inputs = jobspec::Inputs::default();
    let job = jobspec::parse(&source, &inputs, &LocalHost).unwrap();
    assert_eq!(job["Meta"]["a"], "hello");
    let error = jobspec::parse(&source, &inputs, &NoFiles).unwrap_err();
    assert!(error.to_string().contains("filesystem function disabled"), "{error}");
}

#[test]
fn our_own_environment_prefix_counts_too() {
    let source =
        jobspec::Source::new("x.hcl", "variable \"a\" {}\njob \"x\" {\n  type = var.a\n}\n");
    let environment = vec![
        ("STEAD_VAR_a".to_owned(), "batch".to_owned()),
        ("NOMAD_VAR_a".to_owned(), "service".to_owned()),
    ];
    let inputs = jobspec::Inputs { environment, ..jobspec::Inputs::default() };
    assert_eq!(jobspec::parse(&source, &inputs, &NoFiles).unwrap()["Type"], "batch");
}
