//! ◇ Entry: decides before any thread or runtime exists whether this process is a task's shim.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::SUCCESS
}
