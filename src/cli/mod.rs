//! ◇ One file per command: arguments and a run function.
//!
//! Names, flags, columns and exit codes are Nomad's, so fingers and scripts work unchanged; one or two dashes
//! are the same. A command reads its arguments, asks the agent over the API and prints; it decides nothing
//! about the cluster. [`output`] is the only file that prints, [`exit`] tells how a command ended.

mod agent;
mod alloc;
mod connection;
mod deployment;
mod eval;
mod exit;
mod flags;
mod format;
mod frames;
mod image;
mod job;
mod monitor;
mod node;
mod operator;
mod output;
mod resolve;
mod server;
mod status;
mod system;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use connection::Connection;
use exit::Outcome;

/// One binary that turns a single box into a production orchestrator
#[derive(Debug, Parser)]
#[command(
    name = "stead",
    disable_version_flag = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run an agent: server and client in one unless told otherwise
    Agent(agent::Args),
    /// Work with allocations
    #[command(subcommand)]
    Alloc(alloc::Command),
    /// Work with deployments
    #[command(subcommand)]
    Deployment(deployment::Command),
    /// Work with evaluations
    #[command(subcommand)]
    Eval(eval::Command),
    /// Work with the images of the node
    #[command(subcommand)]
    Image(image::Command),
    /// Work with jobs
    #[command(subcommand)]
    Job(job::Command),
    /// Work with nodes
    #[command(subcommand)]
    Node(node::Command),
    /// Look after the cluster
    #[command(subcommand)]
    Operator(operator::Command),
    /// Work with servers
    #[command(subcommand)]
    Server(server::Command),
    /// Work with the whole system
    #[command(subcommand)]
    System(system::Command),
    /// Show jobs, or whatever an id or a prefix names
    Status(status::Args),
    /// Print the version
    Version,

    // Nomad: these stand for the longer form.
    /// Same as `job run`
    #[command(hide = true)]
    Run(job::run::Args),
    /// Same as `job plan`
    #[command(hide = true)]
    Plan(job::plan::Args),
    /// Same as `job stop`
    #[command(hide = true)]
    Stop(job::stop::Args),
    /// Same as `job validate`
    #[command(hide = true)]
    Validate(job::validate::Args),
    /// Same as `job init`
    #[command(hide = true)]
    Init(job::init::Args),
    /// Same as `job inspect`
    #[command(hide = true)]
    Inspect(job::inspect::Args),
    /// Same as `alloc logs`
    #[command(hide = true)]
    Logs(alloc::logs::Args),
    /// Same as `alloc exec`
    #[command(hide = true)]
    Exec(alloc::exec::Args),
    /// Same as `alloc fs`
    #[command(hide = true)]
    Fs(alloc::fs::Args),
}

/// Runs the command line `args` (program name first) and returns its exit code.
pub fn run(args: impl IntoIterator<Item = String>) -> ExitCode {
    let args = flags::rewrite(args);
    if matches!(args.get(1).map(String::as_str), Some("--version" | "-v")) {
        print_version();
        return ExitCode::SUCCESS;
    }
    let matches = match Cli::command().try_get_matches_from(&args) {
        Ok(matches) => matches,
        Err(error) => return refused(&error),
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => return refused(&error),
    };
    match dispatch(cli) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            output::note(&failure.text);
            if let Some(hint) = failure.hint {
                output::note(format!("hint: {hint}"));
            }
            ExitCode::from(failure.code)
        }
    }
}

/// Prints what is wrong with the arguments, or the help that was asked for.
fn refused(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    match error.kind() {
        ErrorKind::DisplayHelp => {
            output::line(error.render().to_string().trim_end());
            ExitCode::SUCCESS
        }
        // Nomad: no command, or one that does not exist, ends with 127.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        | ErrorKind::MissingSubcommand
        | ErrorKind::InvalidSubcommand => {
            output::note(error.render().to_string().trim_end());
            ExitCode::from(127)
        }
        _ => {
            output::note(error.render().to_string().trim_end());
            ExitCode::from(1)
        }
    }
}

fn print_version() {
    output::line(format!("stead v{}", env!("CARGO_PKG_VERSION")));
}

fn dispatch(cli: Cli) -> Outcome {
    let Cli { connection, command } = cli;
    let command = match command {
        Command::Agent(args) => return agent::run(args, &connection),
        Command::Version => {
            print_version();
            return Ok(0);
        }
        other => other,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| exit::Failure::of("start the runtime", &error))?;
    runtime.block_on(perform(command, &connection))
}

async fn perform(command: Command, connection: &Connection) -> Outcome {
    match command {
        // Done before the runtime was made.
        Command::Agent(_) | Command::Version => Ok(0),
        Command::Alloc(command) => alloc::run(command, connection).await,
        Command::Deployment(command) => deployment::run(command, connection).await,
        Command::Eval(command) => eval::run(command, connection).await,
        Command::Image(command) => image::run(command, connection).await,
        Command::Job(command) => job::perform(command, connection).await,
        Command::Node(command) => node::run(command, connection).await,
        Command::Operator(command) => operator::run(command, connection).await,
        Command::Server(command) => server::run(command, connection).await,
        Command::System(command) => system::run(command, connection).await,
        Command::Status(args) => status::run(args, connection).await,
        Command::Run(args) => job::run::run(args, connection).await,
        Command::Plan(args) => job::plan::run(args, connection).await,
        Command::Stop(args) => job::stop::run(args, connection).await,
        Command::Validate(args) => job::validate::run(args, connection).await,
        Command::Init(args) => job::init::run(&args),
        Command::Inspect(args) => job::inspect::run(args, connection).await,
        Command::Logs(args) => alloc::logs::run(args, connection).await,
        Command::Exec(args) => alloc::exec::run(args, connection).await,
        Command::Fs(args) => alloc::fs::run(args, connection).await,
    }
}
