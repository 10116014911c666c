//! ◇ Reads configuration files; of a directory every `.hcl` and `.json` in the order of their names.

use std::path::{Path, PathBuf};

use super::error::ConfigError;

/// The files' names and texts, in the order in which they count.
pub fn read(paths: &[PathBuf]) -> Result<Vec<(String, String)>, ConfigError> {
    let mut files = Vec::new();
    for path in paths {
        let failed = |source| ConfigError::Read { path: path.clone(), source };
        if std::fs::metadata(path).map_err(failed)?.is_dir() {
            let mut found = Vec::new();
            for entry in std::fs::read_dir(path).map_err(failed)? {
                let entry = entry.map_err(failed)?.path();
                if is_config(&entry) {
                    found.push(entry);
                }
            }
            found.sort();
            for file in found {
                files.push(text(&file)?);
            }
        } else {
            files.push(text(path)?);
        }
    }
    Ok(files)
}

fn text(path: &Path) -> Result<(String, String), ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    Ok((path.display().to_string(), text))
}

/// Nomad: what editors leave beside a file is not read.
fn is_config(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = name.ends_with('~')
        || name.starts_with(".#")
        || (name.starts_with('#') && name.ends_with('#'));
    let extension = path.extension().and_then(|extension| extension.to_str());
    !temporary && path.is_file() && matches!(extension, Some("hcl" | "json"))
}
