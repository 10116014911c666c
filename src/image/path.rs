//! ◆ The path of an entry in an archive, taken apart: what may be opened below a layer's root.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What a path in a layer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// The layer's root itself.
    Root,
    /// `name` in the directory `parent`, which is relative and may be empty.
    Entry { parent: PathBuf, name: &'a OsStr },
    /// What lower layers have as `name` in `parent` is gone.
    Whiteout { parent: PathBuf, name: &'a OsStr },
    /// What lower layers have in `parent` is gone.
    Opaque { parent: PathBuf },
    /// Bookkeeping of an old union file system.
    Ignored,
}

/// Why a path cannot be unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    #[error("path leads out of the image with `..`")]
    Escape,
    #[error("path has a zero byte")]
    Zero,
    #[error("path is longer than 4095 bytes")]
    Long,
    #[error("path is empty")]
    Empty,
    #[error("whiteout names nothing that can be removed")]
    Whiteout,
}

/// The parts of a path. A leading `/` means the layer's root, as in every tar reader; `..` is refused rather
/// than resolved, as nobody honest writes it.
fn parts(path: &[u8]) -> Result<Vec<&OsStr>, PathFault> {
    if path.is_empty() {
        return Err(PathFault::Empty);
    }
    if path.len() > 4095 {
        return Err(PathFault::Long);
    }
    if path.contains(&0) {
        return Err(PathFault::Zero);
    }
    let parts = path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    parts
        .map(
            |part| if part == b".." { Err(PathFault::Escape) } else { Ok(OsStr::from_bytes(part)) },
        )
        .collect()
}

impl<'a> Place<'a> {
    /// Where an entry of a layer belongs.
    pub(super) fn of(path: &'a [u8]) -> Result<Self, PathFault> {
        let parts = parts(path)?;
        let Some((name, parents)) = parts.split_last() else { return Ok(Self::Root) };
        if parents.iter().any(|part| part.as_bytes().starts_with(WHITEOUT)) {
            return if parents.iter().any(|part| part.as_bytes().starts_with(b".wh..wh.")) {
                Ok(Self::Ignored)
            } else {
                Err(PathFault::Whiteout)
            };
        }
        let parent = parents.iter().collect();
        let Some(removed) = name.as_bytes().strip_prefix(WHITEOUT) else {
            return Ok(Self::Entry { parent, name });
        };
        if name.as_bytes() == OPAQUE {
            return Ok(Self::Opaque { parent });
        }
        if removed.starts_with(WHITEOUT) {
            return Ok(Self::Ignored);
        }
        match removed {
            b"" | b"." | b".." => Err(PathFault::Whiteout),
            removed => Ok(Self::Whiteout { parent, name: OsStr::from_bytes(removed) }),
        }
    }

    /// The target of a hard link: a path in the same layer.
    pub(super) fn link_target(path: &'a [u8]) -> Result<(PathBuf, &'a OsStr), PathFault> {
        let parts = parts(path)?;
        let (name, parents) = parts.split_last().ok_or(PathFault::Empty)?;
        Ok((parents.iter().collect(), name))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_means_what_the_specification_says() {
        let entry =
            |parent: &str, name| Ok(Place::Entry { parent: parent.into(), name: OsStr::new(name) });
        let gone = |parent: &str, name| {
            Ok(Place::Whiteout { parent: parent.into(), name: OsStr::new(name) })
        };
        for (path, place) in [
            ("./", Ok(Place::Root)),
            ("/", Ok(Place::Root)),
            ("a", entry("", "a")),
            ("/etc//./passwd", entry("etc", "passwd")),
            ("dir/", entry("", "dir")),
            ("a/.wh.b", gone("a", "b")),
            (".wh.b", gone("", "b")),
            (".wh....", gone("", "...")),
            ("a/.wh..wh..opq", Ok(Place::Opaque { parent: "a".into() })),
            (".wh..wh.plnk", Ok(Place::Ignored)),
            (".wh..wh.plnk/1.2", Ok(Place::Ignored)),
            ("", Err(PathFault::Empty)),
            ("a/../b", Err(PathFault::Escape)),
            ("..", Err(PathFault::Escape)),
            ("a\0b", Err(PathFault::Zero)),
            (".wh.", Err(PathFault::Whiteout)),
            (".wh..", Err(PathFault::Whiteout)),
            (".wh...", Err(PathFault::Whiteout)),
            ("a/.wh.b/c", Err(PathFault::Whiteout)),
        ] {
            assert_eq!(Place::of(path.as_bytes()), place, "{path}");
        }
        assert_eq!(Place::of(&[b'a'; 5000]), Err(PathFault::Long));
        assert_eq!(Place::link_target(b"/a/b"), Ok(("a".into(), OsStr::new("b"))));
        assert_eq!(Place::link_target(b"../b"), Err(PathFault::Escape));
    }

    proptest! {
        #[test]
        fn no_part_of_a_place_leads_up(path in "[ab./wh]{0,30}") {
            let place = Place::of(path.as_bytes());
            let (parent, name) = match place {
                Ok(Place::Entry { parent, name } | Place::Whiteout { parent, name }) => (parent, name),
                Ok(Place::Opaque { parent }) => (parent, OsStr::new("x")),
                Ok(Place::Root | Place::Ignored) | Err(_) => return Ok(()),
            };
            let whole = parent.join(name);
            prop_assert!(whole.is_relative());
            let normal = |part| matches!(part, std::path::Component::Normal(_));
            prop_assert!(whole.components().all(normal), "{}", whole.display());
            prop_assert!(!name.as_bytes().contains(&b'/'));
        }
    }
}
