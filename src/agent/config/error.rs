//! ◆ What can be wrong with a configuration.

use std::path::PathBuf;

use super::syntax::Place;

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{}: read the configuration", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It cannot be parsed.
    #[error("{place}: {reason}")]
    Syntax {
        /// Where.
        place: Place,
        /// Why.
        reason: String,
    },
    /// There is no such setting.
    #[error("{place}: unknown setting `{path}`{}", suggestion.as_ref().map(|s| format!("; did you mean `{s}`?")).unwrap_or_default())]
    Unknown {
        /// Where.
        place: Place,
        /// Its path.
        path: String,
        /// A known one that is near.
        suggestion: Option<String>,
    },
    /// The value is of another kind.
    #[error("{place}: `{path}` must be {wanted}")]
    Kind {
        /// Where.
        place: Place,
        /// The setting.
        path: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// The value cannot be.
    #[error("{place}: `{path}`: {reason}")]
    Value {
        /// Where.
        place: Place,
        /// The setting.
        path: String,
        /// Why.
        reason: String,
    },
    /// Settings that cannot go together, or a flag that cannot be.
    #[error("{0}")]
    Settled(String),
}
