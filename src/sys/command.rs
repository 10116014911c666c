//! ◇ The only place that runs other programs, so that none inherits what it should not.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

/// A command with no stdin and an environment of `PATH` only.
#[expect(clippy::disallowed_methods, reason = "this is the one place that makes commands")]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}
