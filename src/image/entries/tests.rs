//! The walk compared with the `tar` crate's writer and reader, and fed what is damaged.

use std::io::Read as _;

use proptest::prelude::*;
use tar::Builder;

use super::*;

fn header(kind: EntryType, path: &str, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o4755);
    header.set_uid(1000);
    header.set_gid(10);
    header.set_mtime(1_700_000_000);
    header.set_cksum();
    header
}

fn block(mut header: Header, data: &[u8]) -> Vec<u8> {
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

type Found = Result<Vec<(Entry, Vec<u8>)>, TarError>;

fn read(bytes: &[u8]) -> Found {
    let mut entries = Entries::new(bytes);
    let mut found = Vec::new();
    while let Some(entry) = entries.next()? {
        let mut data = Vec::new();
        entries.read_all(&mut data)?;
        found.push((entry, data));
    }
    Ok(found)
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    builder
        .append_pax_extensions(records.iter().map(|(key, value)| (*key, value.as_bytes())))
        .unwrap();
    let mut bytes = builder.into_inner().unwrap();
    // Without the end marker.
    bytes.truncate(bytes.len() - 1024);
    bytes
}

#[test]
fn what_extension_headers_say_belongs_to_the_next_entry_only() {
    let mut bytes = pax(&[
        ("path", "long/name"),
        ("uid", "70000"),
        ("mtime", "5.5"),
        ("SCHILY.xattr.user.a", "b"),
    ]);
    bytes.extend(block(header(EntryType::Regular, "short", 3), b"abc"));
    bytes.extend(block(header(EntryType::Regular, "second", 0), b""));
    let found = read(&bytes).unwrap();
    let (first, data) = &found[0];
    assert_eq!(data, b"abc");
    assert_eq!(
        (first.path.as_slice(), first.uid, first.mtime),
        (b"long/name".as_slice(), 70000, (5, 500_000_000))
    );
    assert_eq!(first.xattrs, [(b"user.a".to_vec(), b"b".to_vec())]);
    let (second, _) = &found[1];
    assert_eq!(
        (second.path.as_slice(), second.uid, second.mode),
        (b"second".as_slice(), 1000, 0o4755)
    );
    assert_eq!(second.xattrs, []);
}

#[test]
fn a_size_in_an_extension_header_is_not_the_size_of_another_extension_header() {
    // The parser differential of CVE-2025-62518: a hidden archive between two readings of a size.
    let name = "n".repeat(150);
    let mut bytes = pax(&[("size", "3")]);
    bytes.extend(block(
        header(EntryType::GNULongName, "././@LongLink", 151),
        format!("{name}\0").as_bytes(),
    ));
    bytes.extend(block(header(EntryType::Regular, "x", 0), b"abc"));
    bytes.extend(block(header(EntryType::Regular, "last", 0), b""));
    let found = read(&bytes).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(
        (found[0].0.path.as_slice(), found[0].1.as_slice()),
        (name.as_bytes(), b"abc".as_slice())
    );
}

#[test]
fn a_huge_extension_header_is_refused_before_it_is_read() {
    let bytes = block(header(EntryType::GNULongName, "././@LongLink", 1 << 40), b"");
    assert!(matches!(read(&bytes), Err(TarError::Extension { at: 0, .. })));
}

#[test]
fn a_link_or_directory_has_no_data_whatever_its_header_says() {
    let mut bytes = block(header(EntryType::Directory, "dir", 4096), b"");
    bytes.extend(block(header(EntryType::Link, "link", 77), b""));
    bytes.extend(block(header(EntryType::Regular, "file", 1), b"x"));
    let found = read(&bytes).unwrap();
    assert_eq!(
        found.iter().map(|(entry, _)| entry.kind).collect::<Vec<_>>(),
        [Kind::Directory, Kind::HardLink, Kind::File]
    );
    assert_eq!(found[2].1, b"x");
}

#[test]
fn damage_is_told_by_its_place() {
    let good = block(header(EntryType::Regular, "a", 600), &[1; 600]);
    assert!(matches!(read(&good[..700]), Err(TarError::Truncated)));
    assert!(matches!(read(&good[..100]), Err(TarError::Truncated)));
    let mut flipped = good.clone();
    flipped[3] ^= 1;
    assert!(matches!(read(&flipped), Err(TarError::Checksum { at: 0 })));
    let lone = [good.clone(), vec![0; 512], good.clone()].concat();
    assert!(matches!(read(&lone), Err(TarError::LoneZeros { at: 1536 })));
    let odd = [good, block(header(EntryType::new(b'V'), "label", 0), b"")].concat();
    assert!(matches!(read(&odd), Err(TarError::Kind { at: 1536, kind: 'V' })));
}

#[test]
fn a_file_with_holes_is_mapped_in_each_form_gnu_tar_writes() {
    let dir = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(dir.path().join("sparse")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[7; 4096], 1 << 20).unwrap();
    file.set_len(3 << 20).unwrap();
    for format in [
        ["--format=gnu", "--sparse"],
        ["--format=pax", "--sparse-version=0.0"],
        ["--format=pax", "--sparse-version=0.1"],
        ["--format=pax", "--sparse-version=1.0"],
    ] {
        let tar = dir.path().join("sparse.tar");
        let status = crate::sys::command::command("tar")
            .args(format)
            .arg("--sparse")
            .arg("-cf")
            .arg(&tar)
            .arg("-C")
            .arg(dir.path())
            .arg("sparse")
            .status()
            .unwrap();
        assert!(status.success());
        let found = read(&std::fs::read(&tar).unwrap()).unwrap();
        let (entry, data) = &found[0];
        assert_eq!(
            (entry.path.as_slice(), entry.size),
            (b"sparse".as_slice(), 3 << 20),
            "{format:?}"
        );
        let map = entry.map.as_ref().unwrap();
        assert!(map.contains(&Extent { offset: 1 << 20, length: 4096 }), "{format:?} {map:?}");
        assert_eq!(data, &[7; 4096], "{format:?}");
    }
}

#[test]
fn a_map_outside_its_file_is_refused() {
    for (map, size) in
        [("0,1,0,1", "2"), ("5,2", "6"), ("18446744073709551615,2", "6"), ("0", "6"), ("0,1", "6")]
    {
        let mut bytes =
            pax(&[("GNU.sparse.map", map), ("GNU.sparse.size", size), ("GNU.sparse.name", "x")]);
        bytes.extend(block(header(EntryType::Regular, "x", 2), b"ab"));
        assert!(matches!(read(&bytes), Err(TarError::Sparse { .. })), "{map}");
    }
}

proptest! {
    #[test]
    fn what_the_tar_crate_writes_is_read_as_it_reads_it(
        files in proptest::collection::vec(("[a-z]{1,20}(/[a-z]{1,90}){0,3}", proptest::collection::vec(any::<u8>(), 0..1500)), 0..8)
    ) {
        let mut builder = Builder::new(Vec::new());
        for (path, data) in &files {
            let mut header = Header::new_gnu();
            header.set_size(data.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, path, data.as_slice()).unwrap();
        }
        let bytes = builder.into_inner().unwrap();
        let ours = read(&bytes).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let theirs: Vec<(Vec<u8>, Vec<u8>)> = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut data = Vec::new();
            entry.read_to_end(&mut data).unwrap();
            (entry.path_bytes().into_owned(), data)
        }).collect();
        let ours: Vec<(Vec<u8>, Vec<u8>)> = ours.into_iter().map(|(entry, data)| (entry.path, data)).collect();
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn any_damage_is_read_or_refused(
        at in 0..4096_usize, with in proptest::collection::vec(any::<u8>(), 1..200), cut in 0..5000_usize
    ) {
        let mut bytes = pax(&[("path", "a"), ("GNU.sparse.map", "0,2"), ("GNU.sparse.size", "9")]);
        bytes.extend(block(header(EntryType::Regular, "x", 2), b"ab"));
        bytes.extend(block(header(EntryType::GNULongName, "l", 5), b"name\0"));
        bytes.extend(block(header(EntryType::Regular, "x", 2), b"ab"));
        for (offset, byte) in with.into_iter().enumerate() {
            if let Some(place) = bytes.get_mut(at + offset) {
                *place = byte;
            }
        }
        // Make the checksums right again, so that the damage gets further than the first check.
        for start in (0..bytes.len()).step_by(512) {
            let mut header = Header::new_old();
            header.as_mut_bytes().copy_from_slice(&bytes[start..start + 512]);
            header.set_cksum();
            bytes[start..start + 512].copy_from_slice(header.as_bytes());
        }
        bytes.truncate(cut);
        let _result = read(&bytes);
    }
}
