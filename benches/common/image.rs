//! The image that everything here runs: busybox, which answers on port 80 and obeys its signal.

use std::path::{Path, PathBuf};

use stead::sys::command::command;

const MAIN: &str = r#"["/bin/busybox","sh","-c","trap 'exit 0' TERM INT; /bin/busybox httpd -f -p 80 -h /srv & wait $!"]"#;

/// One image in two forms.
pub(crate) struct Image {
    /// As a job names it.
    pub(crate) layout: String,
    /// For `docker load` and `podman load`.
    pub(crate) archive: PathBuf,
}

/// How the peers name it.
pub(crate) const NAME: &str = "localhost/bench:1";

/// Makes the image in `dir`, from Debian's package.
pub(crate) fn make(dir: &Path) -> Image {
    let files = dir.join("files");
    std::fs::create_dir_all(files.join("srv")).unwrap();
    std::fs::write(files.join("srv/index.html"), "here\n").unwrap();
    let (layout, archive) = (dir.join("image"), dir.join("image.tar"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/image.sh");
    let mut make = command("bash");
    make.arg(script).arg(&layout).arg("1").arg(&files).arg(MAIN).arg("busybox-static");
    let layout = format!("oci:{}:1", layout.display());
    let mut convert = command("skopeo");
    convert.args(["--insecure-policy", "copy", "--quiet", &layout]);
    convert.arg(format!("docker-archive:{}:{NAME}", archive.display()));
    for mut one in [make, convert] {
        let out = one.output().unwrap_or_else(|error| panic!("{one:?}: {error}"));
        assert!(out.status.success(), "{one:?}: {}", String::from_utf8_lossy(&out.stderr));
    }
    Image { layout, archive }
}
