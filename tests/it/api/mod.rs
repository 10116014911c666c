//! The api room against what Nomad answered.

mod hostile;
mod jobspec;
mod oracle;
mod plan;
mod refused;

use std::path::PathBuf;

/// The recordings, or none with a word about it: they live beside the repository, not in it.
pub(crate) fn conformance(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("STEAD_CONFORMANCE").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance"),
        PathBuf::from,
    );
    let path = root.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: {} is not there", path.display());
    None
}
