//! ◇ Who this node is: an id and a secret, made once and kept in its own directory.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::NodeId;
use crate::sys::{fs, ids};

/// Who this node is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Never an address, never used twice.
    pub id: NodeId,
    /// Proves to the servers that it is who it says.
    pub secret: String,
}

/// Why the node cannot know who it is.
#[derive(Debug, thiserror::Error)]
#[error("node identity `{}`: {doing}", path.display())]
pub struct IdentityError {
    /// The file.
    pub path: PathBuf,
    /// Which step.
    pub doing: &'static str,
    /// Why.
    #[source]
    pub source: io::Error,
}

impl Identity {
    /// Reads it from `dir`, or makes it there. Nomad: the files have its names, so a node can be taken over.
    pub fn load(dir: &Path) -> Result<Self, IdentityError> {
        Ok(Self { id: kept(&dir.join("client-id"))?.into(), secret: kept(&dir.join("secret-id"))? })
    }
}

fn kept(path: &Path) -> Result<String, IdentityError> {
    let failed = |doing| move |source| IdentityError { path: path.to_owned(), doing, source };
    match std::fs::read_to_string(path) {
        Ok(text) if is_uuid(text.trim()) => return Ok(text.trim().to_ascii_lowercase()),
        Ok(_) => {
            let source =
                io::Error::other("it does not hold a UUID; remove it to become a new node");
            return Err(failed("read")(source));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("read")(error)),
    }
    let fresh = ids::uuid();
    fs::write_atomic(path, fresh.as_bytes(), 0o600).map_err(failed("write"))?;
    Ok(fresh)
}

fn is_uuid(text: &str) -> bool {
    let dashes = [8, 13, 18, 23];
    text.len() == 36
        && text.bytes().enumerate().all(|(n, byte)| {
            if dashes.contains(&n) { byte == b'-' } else { byte.is_ascii_hexdigit() }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_stays_who_it_is_and_does_not_guess() {
        let dir = tempfile::tempdir().unwrap();
        let first = Identity::load(dir.path()).unwrap();
        let again = Identity::load(dir.path()).unwrap();
        assert_eq!((&first.id, &first.secret), (&again.id, &again.secret));
        assert_ne!(first.id.as_str(), first.secret);
        std::fs::write(dir.path().join("client-id"), "nonsense").unwrap();
        assert!(Identity::load(dir.path()).is_err());
    }
}
