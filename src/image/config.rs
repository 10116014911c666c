//! ◆ What an image says about the process to run: the part of the OCI image configuration that is used here.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer};

use super::digest::Digest;

/// The defaults an image brings. Absent and null fields are empty, as every builder writes them differently.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageConfig {
    /// `NAME=value`, in the image's order.
    pub env: Vec<String>,
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    /// Empty means `/`.
    pub working_dir: String,
    /// `user[:group]`, names or numbers; empty means root.
    pub user: String,
    /// `80/tcp`.
    pub exposed_ports: BTreeSet<String>,
    pub volumes: BTreeSet<String>,
    pub labels: BTreeMap<String, String>,
    /// `SIGTERM` or a number; empty means the runtime's choice.
    pub stop_signal: String,
    /// As the image claims; `amd64`.
    pub architecture: String,
    pub os: String,
}

/// The configuration of an image and the digests of its uncompressed layers, lowest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Config {
    pub(super) image: ImageConfig,
    pub(super) diff_ids: Vec<Digest>,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    architecture: Option<String>,
    #[serde(default)]
    os: Option<String>,
    #[serde(default)]
    config: Option<RawProcess>,
    #[serde(default)]
    rootfs: Option<RawRootfs>,
}

#[derive(Deserialize)]
struct RawRootfs {
    #[serde(default, deserialize_with = "or_default")]
    diff_ids: Vec<Digest>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawProcess {
    #[serde(deserialize_with = "or_default")]
    env: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    entrypoint: Words,
    #[serde(deserialize_with = "or_default")]
    cmd: Words,
    #[serde(deserialize_with = "or_default")]
    working_dir: String,
    #[serde(deserialize_with = "or_default")]
    user: String,
    #[serde(deserialize_with = "or_default")]
    exposed_ports: Keys,
    #[serde(deserialize_with = "or_default")]
    volumes: Keys,
    #[serde(deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    stop_signal: String,
}

/// Old builders wrote a command of one word as a string.
#[derive(Default)]
struct Words(Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            One(String),
            Many(Vec<String>),
        }
        Ok(match Either::deserialize(deserializer)? {
            Either::One(word) => Self(vec![word]),
            Either::Many(words) => Self(words),
        })
    }
}

/// Go's way to write a set: an object whose values say nothing.
#[derive(Default)]
struct Keys(BTreeSet<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = BTreeMap::<String, serde_json::Value>::deserialize(deserializer)?;
        Ok(Self(map.into_keys().collect()))
    }
}

fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Config {
    /// Reads the bytes of an image configuration.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let raw: Raw = serde_json::from_slice(bytes)?;
        let process = raw.config.unwrap_or_default();
        Ok(Self {
            image: ImageConfig {
                env: process.env,
                entrypoint: process.entrypoint.0,
                cmd: process.cmd.0,
                working_dir: process.working_dir,
                user: process.user,
                exposed_ports: process.exposed_ports.0,
                volumes: process.volumes.0,
                labels: process.labels,
                stop_signal: process.stop_signal,
                architecture: raw.architecture.unwrap_or_default(),
                os: raw.os.unwrap_or_default(),
            },
            diff_ids: raw.rootfs.map(|rootfs| rootfs.diff_ids).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_read_whichever_builder_wrote_it() {
        let id = Digest::of(b"layer");
        let text = format!(
            r#"{{"architecture":"amd64","os":"linux","created":"2024-01-01T00:00:00Z","history":[{{"x":1}}],
            "config":{{"Env":["PATH=/bin","A=1"],"Entrypoint":null,"Cmd":"sh","WorkingDir":"/srv","User":"1000:10",
            "ExposedPorts":{{"80/tcp":{{}}}},"Volumes":{{"/data":{{}}}},"Labels":null,"StopSignal":"SIGINT","OnBuild":null}},
            "rootfs":{{"type":"layers","diff_ids":["{id}"]}}}}"#
        );
        let config = Config::parse(text.as_bytes()).unwrap();
        assert_eq!(config.diff_ids, [id]);
        assert_eq!(config.image.env, ["PATH=/bin", "A=1"]);
        assert_eq!(config.image.cmd, ["sh"]);
        assert!(config.image.entrypoint.is_empty());
        assert_eq!(config.image.user, "1000:10");
        assert_eq!(config.image.exposed_ports, BTreeSet::from(["80/tcp".to_owned()]));
        assert_eq!(config.image.volumes, BTreeSet::from(["/data".to_owned()]));
        assert_eq!(config.image.stop_signal, "SIGINT");
    }

    #[test]
    fn an_empty_configuration_is_an_image_without_layers() {
        let config = Config::parse(b"{}").unwrap();
        assert_eq!(config, Config { image: ImageConfig::default(), diff_ids: Vec::new() });
        assert!(Config::parse(b"3").is_err());
        assert!(Config::parse(br#"{"rootfs":{"diff_ids":["sha256:1"]}}"#).is_err());
    }
}
