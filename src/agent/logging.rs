//! ◇ Where the agent's own log goes: stderr, as text or JSON.

use tracing_subscriber::EnvFilter;

use super::config::Config;

/// Begins logging. `STEAD_LOG` says more than a level when it is set (`stead::client=debug`).
pub(super) fn begin(config: &Config) {
    let level = format!("stead={},warn", config.log_level);
    let filter = std::env::var("STEAD_LOG").ok().and_then(|text| EnvFilter::try_new(text).ok());
    let filter = filter
        .unwrap_or_else(|| EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info")));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second agent in one process (tests) finds logging begun; its messages go to the first's.
    if config.log_json {
        builder.json().try_init().unwrap_or_default();
    } else {
        builder
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .try_init()
            .unwrap_or_default();
    }
}
