//! ◇ `job init`: write an example job.

use std::io::Write as _;
use std::path::PathBuf;

use crate::cli::exit::{Failure, Outcome};
use crate::cli::output;
use crate::jobspec;

/// Write an example job
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The file to write
    #[arg(default_value = "example.nomad.hcl")]
    file: PathBuf,
    /// Without explanations
    #[arg(long)]
    short: bool,
}

pub(in crate::cli) fn run(args: &Args) -> Outcome {
    let name = args.file.display();
    let text = if args.short { jobspec::SHORT_EXAMPLE } else { jobspec::EXAMPLE };
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).open(&args.file).map_err(
            |error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => {
                    Failure::new(format!("Job '{name}' already exists"))
                }
                _ => Failure::of(&format!("write {name}"), &error),
            },
        )?;
    file.write_all(text.as_bytes())
        .map_err(|error| Failure::of(&format!("write {name}"), &error))?;
    output::line(format!("Example job file written to {name}"));
    Ok(0)
}
