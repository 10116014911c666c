//! ◇ The job file that `run`, `plan` and `validate` read, with its variables.

use serde_json::{Value, json};

use crate::api;
use crate::cli::connection::Connection;
use crate::cli::exit::Failure;
use crate::jobspec;

/// A job file and its variables
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct SourceArgs {
    /// The job file; - for standard input
    #[arg(value_name = "FILE")]
    pub(in crate::cli) path: String,
    /// The file is the JSON that -output prints
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// Refuse variables that the job does not declare [default: true]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(in crate::cli) hcl2_strict: Option<bool>,
    /// A value for a variable of the job
    #[arg(long, value_name = "NAME=VALUE", allow_hyphen_values = true)]
    pub(in crate::cli) var: Vec<String>,
    /// A file of values for variables of the job
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) var_file: Vec<String>,
    /// Kept for scripts that pass it: stead has no Consul
    #[arg(long, hide = true)]
    consul_namespace: Option<String>,
    /// Kept for scripts that pass it: stead has no Vault
    #[arg(long, hide = true)]
    vault_namespace: Option<String>,
}

/// A job as it was read.
#[derive(Debug)]
pub(in crate::cli) struct Parsed {
    /// In the API's shape.
    pub(in crate::cli) job: Value,
    /// What it was read from, for the servers to keep.
    pub(in crate::cli) submission: Value,
}

/// Reads the job file; errors name file, line and column.
pub(in crate::cli) fn read(args: &SourceArgs, connection: &Connection) -> Result<Parsed, Failure> {
    let refused = |error: jobspec::ParseError| {
        Failure::new(format!(
            "Error getting job struct: Error parsing job file from {}:\n{}",
            args.path,
            jobspec::format_error(&error)
        ))
    };
    let source = jobspec::read_source(&args.path).map_err(refused)?;
    let var_files: Result<Vec<_>, _> =
        args.var_file.iter().map(|path| jobspec::read_source(path)).collect();
    let inputs = jobspec::Inputs {
        var_files: var_files.map_err(refused)?,
        vars: args.var.clone(),
        environment: std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        strict: args.hcl2_strict.unwrap_or(true),
    };
    let mut job = if args.json {
        jobspec::parse_api_json(&source, &inputs).map_err(refused)?
    } else {
        jobspec::parse(&source, &inputs, &jobspec::LocalHost).map_err(refused)?
    };
    for (field, value) in [
        ("Namespace", connection.namespace().filter(|n| n != "*")),
        ("Region", connection.region()),
        ("ConsulNamespace", args.consul_namespace.clone()),
        ("VaultNamespace", args.vault_namespace.clone()),
    ] {
        if let Some(value) = value.filter(|_| job[field].is_null()) {
            job[field] = Value::String(value);
        }
    }
    let submission = submission(args, &source, &inputs);
    Ok(Parsed { job, submission })
}

/// What the servers keep of the source: its text, and the values of variables as they were given.
fn submission(args: &SourceArgs, source: &jobspec::Source, inputs: &jobspec::Inputs) -> Value {
    let flags: serde_json::Map<String, Value> = inputs
        .vars
        .iter()
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let files: Vec<String> = inputs
        .var_files
        .iter()
        .map(|file| String::from_utf8_lossy(&file.bytes).into_owned())
        .collect();
    json!({
        "Source": String::from_utf8_lossy(&source.bytes),
        "Format": if args.json { "json" } else { "hcl2" },
        "VariableFlags": flags,
        "Variables": files.join("\n"),
    })
}

/// Checks a job without an agent: the number of errors, their text, and warnings.
pub(in crate::cli) fn validate_here(job: Value) -> Result<(usize, String, String), Failure> {
    let (job, dropped) =
        api::job::Job::decode(job).map_err(|error| Failure::of("Error validating job", &error))?;
    Ok(match api::admission::admit(job, &dropped, &api::admission::Surroundings::default()) {
        Ok((_, warnings)) => (0, String::new(), warnings.text()),
        Err(invalid) => (invalid.list().len(), invalid.to_string(), String::new()),
    })
}
