//! ◇ `job …`: run, plan, validate, inspect, init, status, stop, allocs, eval.

pub(super) mod init;
pub(super) mod inspect;
pub(super) mod plan;
pub(super) mod run;
pub(super) mod source;
pub(super) mod status;
pub(super) mod stop;
pub(super) mod validate;

use super::connection::Connection;
use super::exit::Outcome;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Register a job, or a new version of it, and follow what becomes of it
    Run(run::Args),
    /// Show what registering a job would change
    Plan(plan::Args),
    /// Check a job without registering it
    Validate(validate::Args),
    /// Show a job as the servers have it
    Inspect(inspect::Args),
    /// Write an example job
    Init(init::Args),
    /// Show jobs, or one in detail
    Status(status::Args),
    /// Stop jobs
    Stop(stop::Args),
}

pub(super) async fn perform(command: Command, connection: &Connection) -> Outcome {
    match command {
        Command::Run(args) => run::run(args, connection).await,
        Command::Plan(args) => plan::run(args, connection).await,
        Command::Validate(args) => validate::run(args, connection).await,
        Command::Inspect(args) => inspect::run(args, connection).await,
        Command::Init(args) => init::run(&args),
        Command::Status(args) => status::run(args, connection).await,
        Command::Stop(args) => stop::run(args, connection).await,
    }
}
