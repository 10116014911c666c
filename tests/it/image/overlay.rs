//! Layers mounted by overlayfs, and looked at.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use stead::image::{PullPolicy, overlay};
use stead::sys::command::command;
use stead::sys::report::chain;

use super::fixture::{Built, Compression, Layer, Place, busybox, ensure, is_root, runtime};

/// A mount that goes when the test does.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        overlay::unmount(&self.0).unwrap();
    }
}

fn directories(place: &Place) -> [PathBuf; 3] {
    // An overlay cannot hold the changes of another, which /tmp may be on: a tmpfs can.
    ["upper", "work", "merged"].map(|name| {
        let path = place.path(name);
        fs::create_dir_all(&path).unwrap();
        path
    })
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn the_layers_of_an_image_are_one_file_system_that_runs() {
    if !is_root() {
        return;
    }
    let (place, image) = (Place::new(), busybox());
    image.write_layout(&place.path("layout"), "v1");
    let store = place.store();
    let name = format!("oci:{}", place.path("layout").display());
    let image = runtime().block_on(ensure(&store, &name, PullPolicy::IfNotPresent)).unwrap();
    let [upper, work, merged] = directories(&place);
    overlay::mount(&image.layers, &upper, &work, &merged).unwrap();
    let _mounted = Mounted(merged.clone());
    assert_eq!(read(&merged.join("etc/motd")), "upper\n");
    assert!(!merged.join("etc/gone").exists());
    let names = |dir: &str| {
        let mut names: Vec<_> = fs::read_dir(merged.join(dir))
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    // Whiteouts and what they hide are not seen.
    assert_eq!(names("etc"), ["motd"]);
    assert_eq!(names("data"), ["new"]);
    let inode = |path: &str| fs::metadata(merged.join(path)).unwrap().ino();
    assert_eq!(inode("bin/cat"), inode("bin/busybox"));
    let output = command("chroot")
        .arg(&merged)
        .args(["/bin/sh", "-c", "/bin/cat /etc/motd; echo changed > /etc/motd"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "upper\n");
    assert_eq!(
        (read(&merged.join("etc/motd")).as_str(), read(&upper.join("etc/motd")).as_str()),
        ("changed\n", "changed\n")
    );
    assert_eq!(read(&image.layers[1].join("etc/motd")), "upper\n");
    assert_eq!(fs::metadata(&merged).unwrap().permissions().mode() & 0o7777, 0o755);
}

#[test]
fn as_many_layers_as_an_image_may_have_are_mounted() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let layers: Vec<PathBuf> = (0..127)
        .map(|n| {
            // As long as the paths of a real store, and with what mount options would trip over.
            let path = place.path("layers").join(format!("{n:064}")).join("di:f,f\\");
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("top"), n.to_string()).unwrap();
            fs::write(path.join(format!("of-{n}")), "").unwrap();
            path
        })
        .collect();
    let [upper, work, merged] = directories(&place);
    overlay::mount(&layers, &upper, &work, &merged).unwrap();
    let mounted = Mounted(merged.clone());
    assert_eq!(read(&merged.join("top")), "126");
    assert!(merged.join("of-0").exists());
    drop(mounted);
    assert!(!merged.join("top").exists());
    // Not mounted any more is no error.
    overlay::unmount(&merged).unwrap();
    for read_only in [&layers[..1], &layers[..2]] {
        overlay::mount_read_only(read_only, &merged).unwrap();
        let _mounted = Mounted(merged.clone());
        assert!(merged.join("of-0").exists());
        let error = fs::write(merged.join("new"), "x").unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    }
    let error = overlay::mount(&[place.path("none")], &upper, &work, &merged).unwrap_err();
    assert!(chain(&error).contains("none`: No such file"), "{}", chain(&error));
}

#[test]
fn the_root_of_a_container_is_like_the_root_of_its_image() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut layer = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(0o1750);
    header.set_uid(7);
    header.set_gid(8);
    header.set_size(0);
    layer.append_data(&mut header, "./", [].as_slice()).unwrap();
    let plain = layer.into_inner().unwrap();
    let empty = Built::new(vec![]);
    let built = Built::new(vec![super::fixture::Blob {
        diff_id: super::fixture::digest(&plain),
        bytes: plain,
        media_type: "application/vnd.oci.image.layer.v1.tar",
    }]);
    built.write_layout(&place.path("layout"), "one");
    empty.write_layout(&place.path("layout"), "none");
    let store = place.store();
    let [upper, work, merged] = directories(&place);
    for (tag, mode, owner) in [("one", 0o1750, 7), ("none", 0o755, 0)] {
        let name = format!("oci:{}:{tag}", place.path("layout").display());
        let image = runtime().block_on(ensure(&store, &name, PullPolicy::IfNotPresent)).unwrap();
        overlay::mount(&image.layers, &upper, &work, &merged).unwrap();
        let _mounted = Mounted(merged.clone());
        let metadata = fs::metadata(&merged).unwrap();
        assert_eq!((metadata.mode() & 0o7777, metadata.uid()), (mode, owner), "{tag}");
    }
}

#[test]
fn the_kernel_of_a_node_is_asked_for_overlayfs() {
    assert!(overlay::is_supported() || !is_root());
    let _unused = Layer::new().end(Compression::Plain);
}
