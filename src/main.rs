//! ◇ Entry: decides before any thread or runtime exists whether this process is a task's shim.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    if words.nth(1).is_some_and(|word| word == "__shim") {
        return stead::driver::shim::main(words);
    }
    stead::cli::run(std::env::args_os().map(|word| word.to_string_lossy().into_owned()))
}
