//! ◆ What people call an image: a name in a registry, a file or directory on this machine, or an id.
//!
//! ```text
//! nginx                              docker.io/library/nginx:latest
//! host:5000/team/app:1.2@sha256:…    that registry; the digest decides, the tag is for people
//! oci:/dir[:tag]                     an OCI layout directory
//! oci-archive:/file.tar[:tag]        the same, as a tar file
//! docker-archive:/file.tar[:name]    what `docker save` writes
//! sha256:…                           an image that is already in the store
//! ```

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::digest::{Digest, DigestError};

const DEFAULT_REGISTRY: &str = "docker.io";
const DEFAULT_TAG: &str = "latest";

/// A parsed reference. Its `Display` is canonical: two references to the same thing print the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reference {
    Registry(Name),
    Layout { path: PathBuf, tag: Option<String> },
    OciArchive { path: PathBuf, tag: Option<String> },
    DockerArchive { path: PathBuf, name: Option<String> },
    Id(Digest),
}

/// The name of an image in a registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    registry: String,
    repository: String,
    /// Absent only when there is a digest.
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is not a reference: the part at fault, as it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    #[error("image reference is empty")]
    Empty,
    #[error("image reference `{reference}`: after the `@`")]
    Digest { reference: String, source: DigestError },
    #[error(
        "image reference `{reference}`: registry `{registry}` is not a host name, an address or either with a port"
    )]
    Registry { reference: String, registry: String },
    #[error(
        "image reference `{reference}`: repository `{repository}` must be lower-case letters, digits and single separators (`.` `_` `__` `-` `/`), at most 255 long"
    )]
    Repository { reference: String, repository: String },
    #[error(
        "image reference `{reference}`: tag `{tag}` must be at most 128 letters, digits, `_`, `.` and `-`, not beginning with `.` or `-`"
    )]
    Tag { reference: String, tag: String },
    #[error("image reference `{reference}`: path `{path}` must be absolute")]
    Path { reference: String, path: String },
}

impl Name {
    /// The registry as people write it, `docker.io` when none was written.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository, with `library/` in front of a bare name of Docker's registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }
}

impl Reference {
    /// Whether the reference names no more than what `latest` is today. Nomad: such images are always pulled again.
    pub fn is_latest(&self) -> bool {
        match self {
            Self::Registry(name) => {
                name.digest.is_none() && name.tag.as_deref() == Some(DEFAULT_TAG)
            }
            Self::Layout { .. }
            | Self::OciArchive { .. }
            | Self::DockerArchive { .. }
            | Self::Id(_) => false,
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(written: &str) -> Result<Self, ReferenceError> {
        // Nomad: the docker driver takes `https://` off, and its users paste it; skopeo's users write `docker://`.
        let text = ["docker://", "https://"]
            .iter()
            .find_map(|scheme| written.strip_prefix(scheme))
            .unwrap_or(written);
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if let Some(rest) = text.strip_prefix("oci:") {
            let (path, tag) = split_path(written, rest)?;
            return Ok(Self::Layout { path, tag });
        }
        if let Some(rest) = text.strip_prefix("oci-archive:") {
            let (path, tag) = split_path(written, rest)?;
            return Ok(Self::OciArchive { path, tag });
        }
        if let Some(rest) = text.strip_prefix("docker-archive:") {
            let (path, name) = split_path(written, rest)?;
            return Ok(Self::DockerArchive { path, name });
        }
        if let Some(hex) = text.strip_prefix("sha256:").filter(|hex| hex.len() == 64) {
            return Digest::from_hex(hex).map(Self::Id).map_err(|source| ReferenceError::Digest {
                reference: written.to_owned(),
                source,
            });
        }
        parse_name(written, text).map(Self::Registry)
    }
}

/// `/path[:suffix]`. A path with a colon in it needs a suffix of its own, even an empty one.
fn split_path(written: &str, rest: &str) -> Result<(PathBuf, Option<String>), ReferenceError> {
    // docker-archive names contain slashes and colons themselves, so the first colon divides.
    let (path, suffix) =
        rest.split_once(':').map_or((rest, None), |(path, suffix)| (path, Some(suffix)));
    if !path.starts_with('/') || path.contains('\0') {
        return Err(ReferenceError::Path { reference: written.to_owned(), path: path.to_owned() });
    }
    Ok((PathBuf::from(path), suffix.filter(|suffix| !suffix.is_empty()).map(str::to_owned)))
}

fn parse_name(written: &str, text: &str) -> Result<Name, ReferenceError> {
    let reference = || written.to_owned();
    let (text, digest) = match text.split_once('@') {
        None => (text, None),
        Some((name, digest)) => {
            let digest = digest
                .parse()
                .map_err(|source| ReferenceError::Digest { reference: reference(), source })?;
            (name, Some(digest))
        }
    };
    let (registry, rest) = split_registry(text);
    if !is_registry(registry) {
        return Err(ReferenceError::Registry {
            reference: reference(),
            registry: registry.to_owned(),
        });
    }
    let (repository, tag) =
        rest.split_once(':').map_or((rest, None), |(name, tag)| (name, Some(tag)));
    if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
        return Err(ReferenceError::Tag { reference: reference(), tag: tag.to_owned() });
    }
    let repository = if registry == DEFAULT_REGISTRY && !repository.contains('/') {
        format!("library/{repository}")
    } else {
        repository.to_owned()
    };
    if !is_repository(&repository) {
        let repository = repository.strip_prefix("library/").unwrap_or(&repository).to_owned();
        return Err(ReferenceError::Repository { reference: reference(), repository });
    }
    let tag = match (tag, digest) {
        (Some(tag), _) => Some(tag.to_owned()),
        (None, Some(_)) => None,
        (None, None) => Some(DEFAULT_TAG.to_owned()),
    };
    Ok(Name { registry: registry.to_owned(), repository, tag, digest })
}

/// The first part is a registry when it cannot be a repository: it has a dot or a port, is `localhost`, or
/// has an upper-case letter.
fn split_registry(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some(("index.docker.io" | "registry-1.docker.io" | DEFAULT_REGISTRY, rest)) => {
            (DEFAULT_REGISTRY, rest)
        }
        Some((first, rest))
            if first.contains(['.', ':', '['])
                || first == "localhost"
                || first.chars().any(char::is_uppercase) =>
        {
            (first, rest)
        }
        Some(_) | None => (DEFAULT_REGISTRY, text),
    }
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            ("v6", port.strip_prefix(':').or_else(|| port.is_empty().then_some("0")))
        }
        None => text.split_once(':').map_or((text, Some("0")), |(host, port)| (host, Some(port))),
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    host.len() <= 253
        && host.split('.').all(label)
        && port.is_some_and(|port| {
            port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
        })
}

fn is_repository(text: &str) -> bool {
    let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let component = |part: &str| {
        let bytes = part.as_bytes();
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
        lower(*first)
            && lower(*last)
            && bytes.iter().all(|b| lower(*b) || matches!(b, b'.' | b'_' | b'-'))
            && bytes.split(|b| lower(*b)).all(|run| {
                matches!(run, b"" | b"." | b"_" | b"__") || run.iter().all(|b| *b == b'-')
            })
    };
    text.len() <= 255 && text.split('/').all(component)
}

fn is_tag(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && !text.starts_with(['.', '-'])
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, path, suffix) = match self {
            Self::Registry(name) => return fmt::Display::fmt(name, f),
            Self::Id(digest) => return fmt::Display::fmt(digest, f),
            Self::Layout { path, tag } => ("oci", path, tag),
            Self::OciArchive { path, tag } => ("oci-archive", path, tag),
            Self::DockerArchive { path, name } => ("docker-archive", path, name),
        };
        write!(f, "{kind}:{}", path.display())?;
        match suffix {
            Some(suffix) => write!(f, ":{suffix}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn shown(text: &str) -> String {
        text.parse::<Reference>().map_or_else(|e| e.to_string(), |r| r.to_string())
    }

    #[test]
    fn what_is_left_out_is_filled_in_as_docker_does() {
        let pinned = format!("host:5000/a/b:tag@sha256:{HEX}");
        for (written, canonical) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1.27-alpine", "docker.io/library/nginx:1.27-alpine"),
            ("docker.io/nginx", "docker.io/library/nginx:latest"),
            ("index.docker.io/grafana/grafana", "docker.io/grafana/grafana:latest"),
            ("docker://grafana/grafana:11", "docker.io/grafana/grafana:11"),
            ("localhost/a", "localhost/a:latest"),
            ("localhost:5000/a:1", "localhost:5000/a:1"),
            ("[::1]:5000/a:1", "[::1]:5000/a:1"),
            ("ghcr.io/a__b/c---d/e.f", "ghcr.io/a__b/c---d/e.f:latest"),
            (&pinned, &pinned),
            ("oci:/srv/app", "oci:/srv/app"),
            ("oci:/srv/app:v1", "oci:/srv/app:v1"),
            ("oci-archive:/srv/app.tar", "oci-archive:/srv/app.tar"),
            ("docker-archive:/srv/a.tar:team/app:1", "docker-archive:/srv/a.tar:team/app:1"),
        ] {
            assert_eq!(shown(written), canonical, "{written}");
            assert_eq!(shown(canonical), canonical);
        }
        assert_eq!(
            shown(&format!("nginx@sha256:{HEX}")),
            format!("docker.io/library/nginx@sha256:{HEX}")
        );
        assert_eq!(shown(&format!("sha256:{HEX}")), format!("sha256:{HEX}"));
        // Too short to be an id: a repository named sha256 with a tag.
        assert_eq!(shown("sha256:1"), "docker.io/library/sha256:1");
    }

    #[test]
    fn an_error_names_the_part_at_fault() {
        for (written, part) in [
            ("", "empty"),
            ("Nginx", "repository `Nginx`"),
            ("a//b", "repository `a//b`"),
            ("a/../b", "repository `a/../b`"),
            ("nginx:", "tag ``"),
            ("nginx:.x", "tag `.x`"),
            ("x/nginx:a/b", "tag `a/b`"),
            ("nginx@sha256:12", "64"),
            ("nginx@md5:12", "algorithm `md5`"),
            ("-bad.example/a", "registry `-bad.example`"),
            ("host:99999/a", "registry `host:99999`"),
            ("[::zz]:5000/a", "registry `[::zz]:5000`"),
            ("oci:dir", "path `dir`"),
            ("docker-archive:", "path ``"),
        ] {
            let error = written.parse::<Reference>().unwrap_err();
            let error = crate::sys::report::chain(&error);
            assert!(error.contains(part), "{written}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_has_one_canonical_form(text in "[a-zA-Z0-9:/@._\\[\\]-]{0,40}|\\PC{0,40}") {
            if let Ok(reference) = text.parse::<Reference>() {
                let canonical = reference.to_string();
                prop_assert_eq!(canonical.parse::<Reference>(), Ok(reference));
            }
        }
    }
}
