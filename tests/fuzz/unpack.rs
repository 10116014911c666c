//! Any bytes as a layer: unpacked or refused, and never a file outside of the store.
#![no_main]

use std::io::Write as _;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use sha2::{Digest as _, Sha256};
use stead::image::{Progress, Store, StoreConfig};

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn append(archive: &mut tar::Builder<std::fs::File>, name: &str, bytes: &[u8]) {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, bytes).unwrap();
}

/// As docker writes it, with one layer whose digest is right.
fn image(path: &Path, layer: &[u8]) {
    let mut archive = tar::Builder::new(std::fs::File::create(path).unwrap());
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", hex(layer))] },
    });
    let manifest = serde_json::json!([{
        "Config": "config.json", "RepoTags": ["fuzz:1"], "Layers": ["layer.tar"],
    }]);
    append(&mut archive, "config.json", config.to_string().as_bytes());
    append(&mut archive, "layer.tar", layer);
    append(&mut archive, "manifest.json", manifest.to_string().as_bytes());
    archive.into_inner().unwrap().flush().unwrap();
}

fuzz_target!(|layer: &[u8]| {
    let dir = tempfile::tempdir().unwrap();
    let outside = dir.path().join("outside");
    std::fs::write(&outside, "untouched").unwrap();
    let archive = dir.path().join("image.tar");
    image(&archive, layer);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(&dir.path().join("images"), StoreConfig::default()).unwrap();
        drop(store.load(&archive, None, &Progress::none()).await);
    });
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "untouched");
    let mut names: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["image.tar", "images", "outside"]);
});
