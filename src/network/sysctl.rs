//! ◇ The host's kernel settings: what was changed is written down before it is changed, so that it can be put back.
//!
//! A changed setting is put back by [`Sysctls::restore`], which the room calls only when its last trace goes, and only where the
//! value is still the one we wrote. Forwarding is left on when other links that live on it exist (bridges,
//! tunnels, veths of others): they may have found it on and rely on it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::sys;

/// What was there before us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Change {
    before: String,
    ours: String,
}

/// The settings we changed since boot. The file lies in a directory that a reboot empties, as it resets the settings.
#[derive(Debug)]
pub(crate) struct Sysctls {
    file: PathBuf,
    changes: BTreeMap<String, Change>,
}

impl Sysctls {
    /// Reads what an earlier agent wrote down.
    pub(crate) fn open(file: PathBuf) -> io::Result<Self> {
        let changes = match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { file, changes })
    }

    /// Makes `key` (as `net/ipv4/ip_forward`) have `value`. False when it had it already.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> io::Result<bool> {
        let before = read(key)?;
        if before == value {
            return Ok(false);
        }
        // The oldest value is the one to go back to.
        let change = self.changes.entry(key.to_owned());
        let change = change.or_insert_with(|| Change { before, ours: String::new() });
        value.clone_into(&mut change.ours);
        self.save()?;
        write(key, value)?;
        Ok(true)
    }

    /// Puts back every change that `wanted` agrees to and that nobody changed since. The others are forgotten.
    pub(crate) fn restore(&mut self, wanted: impl Fn(&str) -> bool) -> io::Result<()> {
        let mut result = Ok(());
        for (key, change) in std::mem::take(&mut self.changes).into_iter().rev() {
            // The link of a setting may be gone.
            let still_ours = read(&key).is_ok_and(|now| now == change.ours);
            if still_ours && wanted(&key) {
                let written = write(&key, &change.before);
                result = result.and(written);
            }
        }
        match std::fs::remove_file(&self.file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => result.and(Err(error)),
            Err(_) | Ok(()) => result,
        }
    }

    fn save(&self) -> io::Result<()> {
        if let Some(parent) = self.file.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let bytes = serde_json::to_vec(&self.changes).map_err(io::Error::other)?;
        sys::fs::write_atomic(&self.file, &bytes, 0o644)
    }
}

/// Whether the host has IPv6 at all.
pub(crate) fn has_ipv6() -> bool {
    read("net/ipv6/conf/all/disable_ipv6").is_ok_and(|value| value == "0")
}

/// Links whose router advertisements are heeded only as long as the host forwards nothing.
pub(crate) fn links_that_heed_advertisements() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir("/proc/sys/net/ipv6/conf") else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let hears = |name: &String| {
        !matches!(name.as_str(), "all" | "lo")
            && read(&format!("net/ipv6/conf/{name}/accept_ra")).is_ok_and(|value| value == "1")
    };
    names.filter(hears).collect()
}

pub(crate) fn read(key: &str) -> io::Result<String> {
    Ok(std::fs::read_to_string(path(key))?.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn write(key: &str, value: &str) -> io::Result<()> {
    std::fs::write(path(key), value)
}

fn path(key: &str) -> PathBuf {
    Path::new("/proc/sys").join(key)
}
