//! ◆ PAX extended headers: `length key=value\n` records, read by their length and nothing else.
//!
//! Values are bytes: file capabilities hold newlines and zeros, so splitting at newlines would both lose them
//! and let an archive hide records from one reader that another one sees.

/// The records that matter for unpacking. A record with an empty value withdraws an earlier one, except an
/// extended attribute, whose value may be empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    /// Seconds and nanoseconds.
    pub(super) mtime: Option<(i64, u32)>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse: Sparse,
}

/// GNU's records for files with holes, in the three forms it has had.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sparse {
    pub(super) name: Option<Vec<u8>>,
    pub(super) real_size: Option<u64>,
    /// Offsets and lengths in turn: forms 0.0 and 0.1.
    pub(super) map: Vec<u64>,
    /// Form 1.0: the map stands before the data.
    pub(super) map_in_data: bool,
}

/// The record that is wrong, by its key where it has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PaxError {
    #[error("extended header is damaged: a record does not end where its length says")]
    Damaged,
    #[error("extended header: `{key}` has the value `{value}`, which is not a number in range")]
    Number { key: String, value: String },
}

impl Pax {
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Self, PaxError> {
        let mut pax = Self::default();
        // Some writers pad the last block with zeros and count them in.
        while bytes.first().is_some_and(|byte| *byte != 0) {
            let (key, value, rest) = record(bytes)?;
            pax.take(key, value)?;
            bytes = rest;
        }
        Ok(pax)
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), PaxError> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            self.xattrs.retain(|(other, _)| other != name);
            self.xattrs.push((name.to_vec(), value.to_vec()));
            return Ok(());
        }
        let text = (!value.is_empty()).then(|| value.to_vec());
        match key {
            b"path" => self.path = text,
            b"linkpath" => self.link = text,
            b"size" => self.size = number(key, value)?,
            b"uid" => self.uid = number(key, value)?,
            b"gid" => self.gid = number(key, value)?,
            b"mtime" => self.mtime = if value.is_empty() { None } else { Some(time(key, value)?) },
            b"GNU.sparse.name" => self.sparse.name = text,
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => {
                self.sparse.real_size = number(key, value)?;
            }
            b"GNU.sparse.major" => self.sparse.map_in_data = value == b"1",
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                self.sparse.map.extend(number(key, value)?);
            }
            b"GNU.sparse.map" => {
                self.sparse.map.clear();
                for part in value.split(|byte| *byte == b',').filter(|part| !part.is_empty()) {
                    self.sparse.map.extend(number(key, part)?);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

type Record<'a> = (&'a [u8], &'a [u8], &'a [u8]);

/// The first record's key and value, and what follows it.
fn record(bytes: &[u8]) -> Result<Record<'_>, PaxError> {
    // 20 digits are more than any length in memory needs.
    let space = bytes.iter().take(20).position(|byte| *byte == b' ').ok_or(PaxError::Damaged)?;
    let length = digits(&bytes[..space])
        .and_then(|length| usize::try_from(length).ok())
        .ok_or(PaxError::Damaged)?;
    if length <= space + 1 || length > bytes.len() {
        return Err(PaxError::Damaged);
    }
    let (record, rest) = bytes.split_at(length);
    let body = record[space + 1..].strip_suffix(b"\n").ok_or(PaxError::Damaged)?;
    let equals = body.iter().position(|byte| *byte == b'=').ok_or(PaxError::Damaged)?;
    Ok((&body[..equals], &body[equals + 1..], rest))
}

fn digits(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

fn number(key: &[u8], value: &[u8]) -> Result<Option<u64>, PaxError> {
    if value.is_empty() {
        return Ok(None);
    }
    digits(value).map(Some).ok_or_else(|| refuse(key, value))
}

fn refuse(key: &[u8], value: &[u8]) -> PaxError {
    let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(64)]).into_owned();
    PaxError::Number { key: text(key), value: text(value) }
}

/// Decimal seconds, perhaps negative, perhaps with a fraction.
fn time(key: &[u8], value: &[u8]) -> Result<(i64, u32), PaxError> {
    let (negative, rest) = value.strip_prefix(b"-").map_or((false, value), |rest| (true, rest));
    let mut parts = rest.splitn(2, |byte| *byte == b'.');
    let whole = parts.next().unwrap_or_default();
    let seconds = digits(whole)
        .and_then(|seconds| i64::try_from(seconds).ok())
        .ok_or_else(|| refuse(key, value))?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err(refuse(key, value));
    }
    let mut nanos = 0_u32;
    for place in 0..9 {
        nanos = nanos * 10 + fraction.get(place).map_or(0, |digit| u32::from(digit - b'0'));
    }
    Ok(match (negative, nanos) {
        (false, nanos) => (seconds, nanos),
        (true, 0) => (-seconds, 0),
        (true, nanos) => (-seconds - 1, 1_000_000_000 - nanos),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(key: &str, value: &[u8]) -> Vec<u8> {
        let body = key.len() + value.len() + 3;
        let mut length = body + body.to_string().len();
        if length.to_string().len() != body.to_string().len() {
            length = body + length.to_string().len();
        }
        [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
    }

    #[test]
    fn a_value_may_hold_newlines_and_what_looks_like_records() {
        let hidden = written("size", b"4096");
        let value = [b"\n".as_slice(), &hidden, b"\0x"].concat();
        let bytes = [written("SCHILY.xattr.user.a", &value), written("path", b"a/b")].concat();
        let pax = Pax::parse(&bytes).unwrap();
        assert_eq!(pax.size, None);
        assert_eq!(pax.path.as_deref(), Some(b"a/b".as_slice()));
        assert_eq!(pax.xattrs, [(b"user.a".to_vec(), value)]);
    }

    #[test]
    fn an_empty_value_withdraws_a_record_and_empties_an_attribute() {
        let bytes = [
            written("path", b"long"),
            written("path", b""),
            written("SCHILY.xattr.user.overlay.origin", b""),
            written("mtime", b"-1.25"),
        ]
        .concat();
        let pax = Pax::parse(&bytes).unwrap();
        assert_eq!(pax.path, None);
        assert_eq!(pax.xattrs, [(b"user.overlay.origin".to_vec(), Vec::new())]);
        assert_eq!(pax.mtime, Some((-2, 750_000_000)));
    }

    #[test]
    fn a_damaged_record_is_refused() {
        for bytes in [
            &b"8 path=a\n"[..],
            b"x path=a\n",
            b"99 path=a\n",
            b"3 a\n",
            b"11 path=abcd",
            b" a=b\n",
            b"6 a=b\n\n",
        ] {
            assert!(Pax::parse(bytes).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
        let error = Pax::parse(&written("uid", b"-1")).unwrap_err().to_string();
        assert!(error.contains("`uid` has the value `-1`"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _result = Pax::parse(&bytes);
        }

        #[test]
        fn any_attribute_reads_back(name in "[a-z.]{1,40}", value in proptest::collection::vec(any::<u8>(), 0..200)) {
            let pax = Pax::parse(&written(&format!("SCHILY.xattr.{name}"), &value)).unwrap();
            prop_assert_eq!(pax.xattrs, [(name.into_bytes(), value)]);
        }
    }
}
