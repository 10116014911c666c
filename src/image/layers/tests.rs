//! Layers written into real directories. They need root, as an unpacker does.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tar::{EntryType, Header};
use xattr::FileExt as _;

use super::*;
use crate::sys::report::chain;

/// An archive in the making, able to say what `tar::Builder` refuses to.
#[derive(Default)]
struct Archive(Vec<u8>);

impl Archive {
    fn add(mut self, kind: EntryType, path: &str, link: &str, data: &[u8]) -> Self {
        self.push(kind, path.as_bytes(), link.as_bytes(), data);
        self
    }

    fn push(&mut self, kind: EntryType, path: &[u8], link: &[u8], data: &[u8]) {
        if path.len() > 100 {
            self.push(EntryType::GNULongName, b"././@LongLink", b"", path);
        }
        let mut header = Header::new_gnu();
        let name = &path[..path.len().min(100)];
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
        header.set_entry_type(kind);
        header.set_size(data.len() as u64);
        header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
        header.set_mtime(1_000_000);
        header.set_device_major(0).unwrap();
        header.set_device_minor(0).unwrap();
        header.set_uid(0);
        header.set_gid(0);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
    }

    fn pax(mut self, records: &[(&str, &[u8])]) -> Self {
        let mut body = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let length = (rest + 1..rest + 8)
                .find(|length| rest + length.to_string().len() == *length)
                .unwrap();
            body.extend_from_slice(format!("{length} {key}=").as_bytes());
            body.extend_from_slice(value);
            body.push(b'\n');
        }
        self.push(EntryType::XHeader, b"pax", b"", &body);
        self
    }

    fn file(self, path: &str, data: &str) -> Self {
        self.add(EntryType::Regular, path, "", data.as_bytes())
    }

    fn dir(self, path: &str) -> Self {
        self.add(EntryType::Directory, path, "", b"")
    }

    fn symlink(self, path: &str, to: &str) -> Self {
        self.add(EntryType::Symlink, path, to, b"")
    }

    fn hard_link(self, path: &str, to: &str) -> Self {
        self.add(EntryType::Link, path, to, b"")
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}

/// A directory with the layer's root in it, and things beside that root that must not change.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["root", "discard", "outside"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("outside/victim"), "untouched").unwrap();
        Self { dir }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn outside(&self) -> PathBuf {
        self.dir.path().join("outside")
    }

    fn unpack(
        &self,
        blob: &[u8],
        expected: &Expected,
        limit: UnpackLimit,
    ) -> Result<Unpacked, LayerError> {
        let open = |name: &str| File::open(self.dir.path().join(name)).unwrap();
        unpack(blob, expected, open("root"), open("discard"), limit)
    }

    fn layer(&self, archive: Archive) -> Result<Unpacked, LayerError> {
        let blob = archive.end();
        self.unpack(&blob, &expected(&blob), UnpackLimit::default())
    }

    fn refused(&self, archive: Archive) -> String {
        let error = self.layer(archive).unwrap_err();
        self.assert_outside_is_untouched();
        chain(&error)
    }

    fn assert_outside_is_untouched(&self) {
        let names: Vec<_> =
            fs::read_dir(self.outside()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["victim"]);
        let victim = self.outside().join("victim");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
        let metadata = fs::symlink_metadata(victim).unwrap();
        assert_eq!((metadata.nlink(), metadata.uid(), metadata.mode() & 0o7777), (1, 0, 0o644));
        assert_eq!(fs::read_dir(self.dir.path()).unwrap().count(), 3);
    }

    fn stat(&self, path: &str) -> fs::Metadata {
        fs::symlink_metadata(self.root().join(path)).unwrap()
    }

    fn is_whiteout(&self, path: &str) -> bool {
        let metadata = self.stat(path);
        metadata.file_type().is_char_device() && metadata.rdev() == 0
    }

    fn is_opaque(&self, path: &str) -> bool {
        xattr::get(self.root().join(path), "trusted.overlay.opaque").unwrap().as_deref()
            == Some(b"y")
    }
}

fn expected(blob: &[u8]) -> Expected {
    Expected { blob: None, diff_id: Digest::of(blob) }
}

fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("skipped: unpacking needs root");
    }
    root
}

#[test]
fn owners_modes_times_links_and_devices_are_kept() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut archive = Archive::default().dir("./").dir("bin/");
    for (kind, path, mode) in [
        (EntryType::Regular, "bin/su", 0o4755),
        (EntryType::Fifo, "pipe", 0o622),
        (EntryType::Char, "null", 0o666),
    ] {
        let mut header = Header::new_gnu();
        header.set_path(path).unwrap();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(1000);
        header.set_gid(50);
        header.set_mtime(1_234_567);
        header.set_size(0);
        header.set_device_major(1).unwrap();
        header.set_device_minor(3).unwrap();
        header.set_cksum();
        archive.0.extend_from_slice(header.as_bytes());
    }
    place.layer(archive.hard_link("bin/sudo", "/bin/su").symlink("bin/sh", "/etc/../x")).unwrap();
    let su = place.stat("bin/su");
    assert_eq!(
        (su.mode() & 0o7777, su.uid(), su.gid(), su.mtime(), su.nlink()),
        (0o4755, 1000, 50, 1_234_567, 2)
    );
    assert_eq!(su.ino(), place.stat("bin/sudo").ino());
    assert!(place.stat("pipe").file_type().is_fifo());
    let null = place.stat("null");
    assert_eq!((null.rdev(), null.permissions().mode() & 0o7777), (libc::makedev(1, 3), 0o666));
    assert_eq!(fs::read_link(place.root().join("bin/sh")).unwrap(), Path::new("/etc/../x"));
    // Last written to when `sh` was made, and still as old as the archive says.
    assert_eq!(place.stat("bin").mtime(), 1_000_000);
    assert_eq!(place.stat(".").mtime(), 1_000_000);
}

#[test]
fn attributes_of_the_image_are_kept_and_the_hosts_are_not_taken() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    // CAP_DAC_OVERRIDE and CAP_FOWNER: the value has a newline in it, and is not text.
    let capability: &[u8] = &[1, 0, 0, 2, 0x0a, 0, 0, 0, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let archive = Archive::default()
        .pax(&[
            ("SCHILY.xattr.security.capability", capability),
            ("SCHILY.xattr.user.note", b"kept"),
            ("SCHILY.xattr.user.empty", b""),
            ("SCHILY.xattr.user.overlay.origin", b""),
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
            ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
            ("SCHILY.xattr.security.selinux", b"x"),
            ("LIBARCHIVE.xattr.user.other", b"ignored"),
        ])
        .file("ping", "#!")
        .pax(&[
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
            ("SCHILY.xattr.security.capability", b""),
        ])
        .dir("etc");
    place.layer(archive).unwrap();
    let file = File::open(place.root().join("ping")).unwrap();
    let mut names: Vec<_> = file.list_xattr().unwrap().collect();
    names.sort();
    assert_eq!(names, ["security.capability", "user.empty", "user.note"]);
    assert_eq!(file.get_xattr("security.capability").unwrap().as_deref(), Some(capability));
    assert!(!place.is_opaque("etc"));
}

#[test]
fn whiteouts_become_overlayfs_markers_however_they_are_written() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let archive = Archive::default()
        .dir("a")
        .file("a/.wh.gone", "")
        .file("seed", "")
        .hard_link("a/.wh.linked", "seed")
        .file("b/.wh..wh..opq", "")
        .hard_link("c/.wh..wh..opq", "nowhere")
        .file("kept", "x")
        .file(".wh.kept", "")
        .dir("dir")
        .file("dir/inside", "x")
        .file(".wh.dir", "")
        .file(".wh.again", "")
        .dir("again")
        .file(".wh.renewed", "")
        .file("renewed", "x")
        .file(".wh..wh.plnk/1.2", "");
    place.layer(archive).unwrap();
    assert!(place.is_whiteout("a/gone"));
    assert!(place.is_whiteout("a/linked"));
    assert!(place.is_opaque("b"));
    assert!(place.is_opaque("c"));
    assert!(place.stat("kept").is_file());
    assert!(place.stat("dir/inside").is_file() && place.is_opaque("dir"));
    assert!(place.is_opaque("again"));
    assert!(place.stat("renewed").is_file());
    assert!(!place.root().join(".wh..wh.plnk").exists());
    assert_eq!(place.stat("b").mode() & 0o7777, 0o755);
}

#[test]
fn nothing_is_written_outside_by_dots_paths_or_links() {
    if !is_root() {
        return;
    }
    let outside = |place: &Place| place.outside().to_str().unwrap().to_owned();
    let place = Place::new();
    assert!(
        place
            .refused(Archive::default().file("../outside/new", "x"))
            .contains("entry `../outside/new`: refused: path leads out")
    );
    assert!(place.refused(Archive::default().file("a/../../outside/new", "x")).contains("`..`"));
    assert!(place.refused(Archive::default().file("a/.wh...", "x")).contains("whiteout"));
    let refused = place.refused(Archive::default().hard_link("link", "../outside/victim"));
    assert!(refused.contains("hard link to `../outside/victim` refused"), "{refused}");
    let refused =
        place.refused(Archive::default().hard_link("link", &format!("{}/victim", outside(&place))));
    assert!(refused.contains("No such file"), "{refused}");
    // Through a link to the outside, absolute or relative: it stays in the layer, as if that were `/`.
    let place = Place::new();
    let to = outside(&place);
    place
        .layer(Archive::default().dir(&to[1..]).symlink("out", &to).file("out/victim", "evil"))
        .unwrap();
    place.assert_outside_is_untouched();
    assert_eq!(fs::read_to_string(place.root().join(&to[1..]).join("victim")).unwrap(), "evil");
    let place = Place::new();
    place
        .layer(
            Archive::default()
                .symlink("up", "../../../../../../../..")
                .file("up/new", "x")
                .symlink("up2", "../outside")
                .file(&format!("up{}/other", outside(&place)), "x"),
        )
        .unwrap();
    place.assert_outside_is_untouched();
    assert!(place.root().join("new").exists());
    // A dangling link is not filled in.
    let refused =
        place.refused(Archive::default().symlink("hole", "/nowhere/at/all").file("hole/x", "x"));
    assert!(refused.contains("entry `hole/x`: directory it is in"), "{refused}");
}

#[test]
fn a_link_is_replaced_and_not_written_through() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let victim = place.outside().join("victim");
    let to = victim.to_str().unwrap();
    let archive = Archive::default()
        .symlink("a", to)
        .file("a", "mine")
        .symlink("d", place.outside().to_str().unwrap())
        .dir("d")
        .file("d/victim", "mine")
        .symlink("h", to)
        .hard_link("h2", "h")
        .file("h2", "mine")
        .symlink("f", to)
        .add(EntryType::Fifo, "f", "", b"");
    place.layer(archive).unwrap();
    place.assert_outside_is_untouched();
    assert!(place.stat("a").is_file() && place.stat("d").is_dir() && place.stat("h2").is_file());
    assert!(place.stat("h").is_symlink() && place.stat("f").file_type().is_fifo());
}

#[test]
fn the_last_entry_of_a_name_wins() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let archive = Archive::default()
        .file("x", "one")
        .file("x", "two")
        .dir("tree")
        .file("tree/deep/file", "x")
        .file("tree", "now a file")
        .file("self", "x")
        .hard_link("self", "self")
        .file("old", "x")
        .dir("old")
        .dir("old");
    place.layer(archive).unwrap();
    assert_eq!(fs::read_to_string(place.root().join("x")).unwrap(), "two");
    assert_eq!(fs::read_to_string(place.root().join("tree")).unwrap(), "now a file");
    assert_eq!(fs::read_to_string(place.root().join("self")).unwrap(), "x");
    assert!(place.stat("old").is_dir());
}

#[test]
fn what_a_layer_claims_to_be_is_verified() {
    if !is_root() {
        return;
    }
    let plain = Archive::default().file("a", "x").end();
    let gzip = {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&plain).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = zstd::encode_all(plain.as_slice(), 1).unwrap();
    let diff_id = Digest::of(&plain);
    for blob in [&plain, &gzip, &zstd] {
        let right = Expected { blob: Some((Digest::of(blob), blob.len() as u64)), diff_id };
        let unpacked = Place::new().unpack(blob, &right, UnpackLimit::default()).unwrap();
        assert_eq!(unpacked, Unpacked { size: plain.len() as u64, entries: 1 });
        let wrong = Expected { blob: Some((Digest::of(b"other"), blob.len() as u64)), diff_id };
        let error = Place::new().unpack(blob, &wrong, UnpackLimit::default()).unwrap_err();
        assert!(matches!(error, LayerError::Digest { .. }), "{error}");
        let short = Expected { blob: Some((Digest::of(blob), blob.len() as u64 - 1)), diff_id };
        let error = Place::new().unpack(blob, &short, UnpackLimit::default()).unwrap_err();
        assert!(matches!(error, LayerError::Length { .. }), "{error}");
        let other = Expected { blob: None, diff_id: Digest::of(b"other") };
        let error = Place::new().unpack(blob, &other, UnpackLimit::default()).unwrap_err();
        assert!(matches!(error, LayerError::DiffId { .. }), "{error}");
        // Damage inside is told as what it comes from: another blob than the one asked for.
        let mut damaged = blob.clone();
        damaged.truncate(blob.len() / 2);
        damaged.extend_from_slice(&[0xff; 3]);
        let right = Expected { blob: Some((Digest::of(blob), blob.len() as u64)), diff_id };
        let error = Place::new().unpack(&damaged, &right, UnpackLimit::default()).unwrap_err();
        assert!(matches!(error, LayerError::Digest { .. }), "{}", chain(&error));
    }
    let empty = Expected { blob: None, diff_id: Digest::of(b"") };
    assert_eq!(Place::new().unpack(b"", &empty, UnpackLimit::default()).unwrap().entries, 0);
}

#[test]
fn a_layer_over_its_limits_is_refused_by_the_limit() {
    if !is_root() {
        return;
    }
    let blob = Archive::default().file("a", "x").file("b", "y").end();
    let limit = UnpackLimit { entries: 1, ..UnpackLimit::default() };
    assert!(matches!(
        Place::new().unpack(&blob, &expected(&blob), limit),
        Err(LayerError::Entries(1))
    ));
    let limit = UnpackLimit { bytes: 1500, ..UnpackLimit::default() };
    assert!(matches!(
        Place::new().unpack(&blob, &expected(&blob), limit),
        Err(LayerError::Bytes(1500))
    ));
    // A bomb: two gibibytes of zeros after the archive, in a few kilobytes.
    let mut bomb = zstd::encode_all(blob.as_slice(), 1).unwrap();
    bomb.extend(zstd::encode_all(io::repeat(0).take(2 << 30), 1).unwrap());
    let error = Place::new().unpack(&bomb, &expected(&blob), UnpackLimit::default()).unwrap_err();
    assert!(matches!(error, LayerError::Ratio(_)), "{error}");
    // A file that is all hole takes no place, and is still refused for what it claims.
    let hole = Archive::default()
        .pax(&[
            ("GNU.sparse.map", b"0,0"),
            ("GNU.sparse.size", b"9000000000000000000"),
            ("GNU.sparse.name", b"x"),
        ])
        .file("x", "")
        .end();
    let error = Place::new().unpack(&hole, &expected(&hole), UnpackLimit::default()).unwrap_err();
    assert!(matches!(error, LayerError::Bytes(_)), "{error}");
}

/// What a hostile archive is made of: few names, so that entries meet, and every way to point elsewhere.
fn hostile_entry() -> impl Strategy<Value = (u8, String, String)> {
    let name = prop_oneof![
        4 => "[ab]".boxed(), 2 => Just("d".to_owned()).boxed(), 1 => Just("..".to_owned()).boxed(),
        1 => Just(".".to_owned()).boxed(), 1 => Just(".wh.a".to_owned()).boxed(),
        1 => Just(".wh..wh..opq".to_owned()).boxed(), 1 => Just(".wh...".to_owned()).boxed(), 1 => "\\PC{0,6}".boxed(),
    ];
    let path =
        (any::<bool>(), proptest::collection::vec(name, 1..4)).prop_map(|(absolute, parts)| {
            format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"))
        });
    let link = prop_oneof![
        3 => path.clone().boxed(), 1 => Just("../outside".to_owned()).boxed(), 1 => Just("../outside/victim".to_owned()).boxed(),
        1 => Just("OUTSIDE".to_owned()).boxed(), 1 => Just("OUTSIDE/victim".to_owned()).boxed(),
        1 => Just("/proc/self/cwd".to_owned()).boxed(), 1 => Just("/proc/self/fd/3".to_owned()).boxed(),
        1 => Just("../../../../../../../../tmp".to_owned()).boxed(),
    ];
    (0..7_u8, path, link)
}

fn tree(path: &Path, found: &mut BTreeMap<PathBuf, (u64, u32)>) {
    for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
        let metadata = entry.metadata().unwrap();
        found.insert(entry.path(), (metadata.ino(), metadata.mode()));
        if metadata.is_dir() {
            tree(&entry.path(), found);
        }
    }
}

proptest! {
    #[test]
    fn no_order_of_entries_writes_outside(entries in proptest::collection::vec(hostile_entry(), 1..24)) {
        if !is_root() {
            return Ok(());
        }
        let place = Place::new();
        let outside = place.outside();
        let mut before = BTreeMap::new();
        tree(&outside, &mut before);
        let mut archive = Archive::default();
        // Refused entries end a layer, so each goes into one of its own on top of what the others have made.
        for (kind, path, link) in entries {
            let link = link.replace("OUTSIDE", outside.to_str().unwrap());
            let link = &link.as_bytes()[..link.len().min(100)];
            let kind = [EntryType::Regular, EntryType::Directory, EntryType::Symlink, EntryType::Link, EntryType::Fifo, EntryType::Char, EntryType::Regular][usize::from(kind)];
            let data: &[u8] = if kind == EntryType::Regular { b"evil" } else { b"" };
            archive.push(kind, path.as_bytes(), link, data);
            let blob = std::mem::take(&mut archive).end();
            let _result = place.unpack(&blob, &expected(&blob), UnpackLimit::default());
            fs::remove_dir_all(place.dir.path().join("discard")).unwrap();
            fs::create_dir(place.dir.path().join("discard")).unwrap();
        }
        place.assert_outside_is_untouched();
        let mut after = BTreeMap::new();
        tree(&outside, &mut after);
        prop_assert_eq!(before, after);
    }

    #[test]
    fn no_bytes_at_all_bring_the_unpacker_down(bytes in proptest::collection::vec(any::<u8>(), 0..3000), magic in 0..4_usize) {
        if !is_root() {
            return Ok(());
        }
        let head: &[u8] = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0x28, 0xb5, 0x2f, 0xfd], &[0x50, 0x2a, 0x4d, 0x18], b""][magic];
        let blob = [head, &bytes].concat();
        let place = Place::new();
        let _result = place.unpack(&blob, &expected(&blob), UnpackLimit::default());
        place.assert_outside_is_untouched();
    }
}

#[test]
fn a_name_need_not_be_text() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut archive = Archive::default();
    archive.push(EntryType::Regular, b"caf\xe9", b"", b"x");
    place.layer(archive).unwrap();
    assert!(place.root().join(std::ffi::OsStr::from_bytes(b"caf\xe9")).exists());
}
