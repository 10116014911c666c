//! ◆ Manifests and indexes, of OCI and of Docker (schema 2), and the choice of a platform.

use serde::Deserialize;

use super::digest::Digest;

pub(super) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(super) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// What a registry is asked for.
pub(super) const ACCEPTED: [&str; 4] = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST];

/// More layers than any builder writes, and as many as overlayfs is asked to stack.
const MAX_LAYERS: usize = 127;

/// Where a content is: its digest, and its length in bytes as the manifest claims.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    #[serde(default)]
    pub(super) media_type: String,
    pub(super) digest: Digest,
    #[serde(default)]
    pub(super) size: u64,
    #[serde(default)]
    pub(super) platform: Option<Platform>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) annotations: std::collections::BTreeMap<String, String>,
}

/// What an image was built for: `linux/arm64/v8`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Platform {
    #[serde(default)]
    pub os: String,
    #[serde(default)]
    pub architecture: String,
    #[serde(default)]
    pub variant: Option<String>,
}

/// Why a text is not a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("platform `{0}` is not `os/architecture` or `os/architecture/variant`")]
pub struct PlatformError(String);

impl std::str::FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let mut parts = text.split('/').map(str::to_owned);
        let (Some(os), Some(architecture), variant, None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(PlatformError(text.to_owned()));
        };
        if os.is_empty()
            || architecture.is_empty()
            || variant.as_ref().is_some_and(String::is_empty)
        {
            return Err(PlatformError(text.to_owned()));
        }
        Ok(Self { os, architecture, variant })
    }
}

/// A manifest in the two shapes it can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Manifest {
    Image { config: Descriptor, layers: Vec<Descriptor> },
    Index(Vec<Descriptor>),
}

/// Why bytes are not a manifest of an image that can run.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("manifest is not JSON of an image or an index")]
    Json(#[source] serde_json::Error),
    #[error(
        "manifest is of Docker's schema 1, which has no content digests: push the image again with a newer tool"
    )]
    Schema1,
    #[error("manifest has media type `{0}`, which is not a container image")]
    MediaType(String),
    #[error("manifest has {0} layers, more than {MAX_LAYERS}")]
    Layers(usize),
    #[error("manifest names no config: it is not a container image")]
    NoConfig,
    #[error("index has no image for {wanted}: it has {found}")]
    Platform { wanted: String, found: String },
    #[error("config names {diff_ids} layers, the manifest {layers}")]
    Count { diff_ids: usize, layers: usize },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: Option<u32>,
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Manifest {
    /// Reads the bytes of a manifest.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let raw: Raw = serde_json::from_slice(bytes).map_err(ManifestError::Json)?;
        if raw.schema_version == Some(1) {
            return Err(ManifestError::Schema1);
        }
        // The media type inside is optional in OCI; the shape says the same.
        let is_index = match raw.media_type.as_deref() {
            None | Some("") => raw.manifests.is_some(),
            Some(OCI_INDEX | DOCKER_LIST) => true,
            Some(OCI_MANIFEST | DOCKER_MANIFEST) => false,
            Some(other) => return Err(ManifestError::MediaType(other.chars().take(128).collect())),
        };
        if is_index {
            return Ok(Self::Index(raw.manifests.unwrap_or_default()));
        }
        let layers = raw.layers.unwrap_or_default();
        if layers.len() > MAX_LAYERS {
            return Err(ManifestError::Layers(layers.len()));
        }
        let config = raw.config.ok_or(ManifestError::NoConfig)?;
        match config.media_type.as_str() {
            "application/vnd.oci.image.config.v1+json"
            | "application/vnd.docker.container.image.v1+json"
            | "application/octet-stream"
            | "" => Ok(Self::Image { config, layers }),
            other => Err(ManifestError::MediaType(other.chars().take(128).collect())),
        }
    }
}

impl Platform {
    /// The platform of this build of the program.
    pub fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", None),
            "aarch64" => ("arm64", Some("v8")),
            "x86" => ("386", None),
            "arm" => ("arm", Some("v7")),
            "riscv64" => ("riscv64", None),
            other => (other, None),
        };
        Self {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
        }
    }

    /// How well an image for `other` runs here, higher is better; `None`: not at all.
    fn fitness(&self, other: &Self) -> Option<u8> {
        if other.os != self.os || other.architecture != self.architecture {
            return None;
        }
        let level = |variant: &Option<String>| {
            variant
                .as_deref()
                .and_then(|text| text.strip_prefix('v'))
                .and_then(|text| text.parse::<u8>().ok())
        };
        match (level(&self.variant), level(&other.variant)) {
            (_, None) => Some(100),
            (Some(ours), Some(theirs)) if theirs <= ours => Some(100 + theirs),
            // An x86-64 level above the first: whether this processor has it is not known here.
            (None, Some(theirs)) => Some(100_u8.saturating_sub(theirs)),
            (Some(_), Some(_)) => None,
        }
    }

    /// The entry of an index that runs best on this platform; the first of equals.
    pub(super) fn choose<'a>(
        &self,
        entries: &'a [Descriptor],
    ) -> Result<&'a Descriptor, ManifestError> {
        let mut best: Option<(u8, &Descriptor)> = None;
        for entry in entries {
            let fitness = match &entry.platform {
                Some(platform) => self.fitness(platform),
                // Layout directories of one platform often leave it out.
                None => Some(1),
            };
            if let Some(fitness) =
                fitness.filter(|fitness| best.is_none_or(|(other, _)| *fitness > other))
            {
                best = Some((fitness, entry));
            }
        }
        best.map(|(_, entry)| entry).ok_or_else(|| ManifestError::Platform {
            wanted: self.to_string(),
            found: listed(entries),
        })
    }
}

/// The platforms of an index for a message, without the attestations that builders add as `unknown/unknown`.
fn listed(entries: &[Descriptor]) -> String {
    let mut found: Vec<String> = entries
        .iter()
        .filter_map(|entry| entry.platform.as_ref())
        .filter(|platform| platform.os != "unknown")
        .map(Platform::to_string)
        .take(16)
        .collect();
    found.sort();
    found.dedup();
    if found.is_empty() { "none".to_owned() } else { found.join(", ") }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(os: &str, architecture: &str, variant: Option<&str>) -> Descriptor {
        let text = format!("{os}{architecture}{variant:?}");
        Descriptor {
            media_type: OCI_MANIFEST.to_owned(),
            digest: Digest::of(text.as_bytes()),
            size: 1,
            platform: Some(Platform {
                os: os.to_owned(),
                architecture: architecture.to_owned(),
                variant: variant.map(str::to_owned),
            }),
            annotations: std::collections::BTreeMap::default(),
        }
    }

    fn platform(architecture: &str, variant: Option<&str>) -> Platform {
        Platform {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
        }
    }

    #[test]
    fn the_platform_that_runs_best_is_chosen() {
        let index = [
            entry("unknown", "unknown", None),
            entry("windows", "amd64", None),
            entry("linux", "amd64", Some("v3")),
            entry("linux", "amd64", None),
            entry("linux", "arm", Some("v5")),
            entry("linux", "arm", Some("v7")),
            entry("linux", "arm64", Some("v8")),
        ];
        for (host, chosen) in [
            (platform("amd64", None), 3),
            (platform("arm64", Some("v8")), 6),
            (platform("arm", Some("v7")), 5),
            (platform("arm", Some("v6")), 4),
        ] {
            assert_eq!(host.choose(&index).unwrap(), &index[chosen], "{host}");
        }
        let error = platform("s390x", None).choose(&index[..3]).unwrap_err().to_string();
        assert_eq!(
            error,
            "index has no image for linux/s390x: it has linux/amd64/v3, windows/amd64"
        );
    }

    #[test]
    fn a_platform_reads_back_as_it_was_written() {
        for text in ["linux/amd64", "linux/arm/v7"] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
        for text in ["", "linux", "linux/", "/amd64", "linux/arm/", "a/b/c/d"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_not_an_image_is_refused_by_its_fault() {
        let digest = Digest::of(b"x");
        let refused = |text: String| Manifest::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(refused("<html>".into()).contains("not JSON"));
        assert!(refused(r#"{"schemaVersion":1,"fsLayers":[]}"#.into()).contains("schema 1"));
        assert!(
            refused(r#"{"schemaVersion":2,"mediaType":"text/plain"}"#.into())
                .contains("`text/plain`")
        );
        assert!(refused(r#"{"schemaVersion":2}"#.into()).contains("no config"));
        assert!(refused(format!(
            r#"{{"config":{{"digest":"{digest}","mediaType":"application/vnd.cncf.helm.config.v1+json"}}}}"#
        ))
        .contains("helm"));
        let layer = format!(r#"{{"digest":"{digest}"}}"#);
        let layers = vec![layer.as_str(); 128].join(",");
        assert!(
            refused(format!(r#"{{"config":{layer},"layers":[{layers}]}}"#)).contains("128 layers")
        );
    }

    #[test]
    fn the_shape_decides_where_the_media_type_is_left_out() {
        let digest = Digest::of(b"x");
        let image =
            format!(r#"{{"schemaVersion":2,"config":{{"digest":"{digest}","annotations":null}}}}"#);
        assert!(matches!(Manifest::parse(image.as_bytes()), Ok(Manifest::Image { .. })));
        let index = format!(r#"{{"manifests":[{{"digest":"{digest}","size":3}}]}}"#);
        let Ok(Manifest::Index(entries)) = Manifest::parse(index.as_bytes()) else {
            panic!("{index}")
        };
        assert_eq!(entries[0].size, 3);
    }
}
