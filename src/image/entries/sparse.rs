//! ◆ Where the stored bytes of a file with holes belong, in the forms GNU tar has written it.

use std::io::Read;

use tar::Header;

use super::{BLOCK, Entries, Entry, Extent, TarError};

/// The longest map of a file with holes.
const MAX_EXTENTS: usize = 1 << 18;

impl<R: Read> Entries<R> {
    /// The old form: four pieces in the header, more in blocks after it.
    pub(super) fn gnu_sparse(
        &mut self,
        at: u64,
        header: &Header,
        entry: &mut Entry,
    ) -> Result<(), TarError> {
        let bad = |_| TarError::Sparse { at };
        let gnu = header.as_gnu().ok_or(TarError::Sparse { at })?;
        let mut map = Vec::new();
        let mut take = |pieces: &[tar::GnuSparseHeader]| -> Result<(), TarError> {
            for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
                map.extend([piece.offset().map_err(bad)?, piece.length().map_err(bad)?]);
            }
            if map.len() > 2 * MAX_EXTENTS { Err(TarError::Sparse { at }) } else { Ok(()) }
        };
        take(&gnu.sparse)?;
        let mut more = gnu.is_extended();
        while more {
            let mut block = tar::GnuExtSparseHeader::new();
            if !self.block(block.as_mut_bytes())? {
                return Err(TarError::Truncated);
            }
            take(block.sparse())?;
            more = block.is_extended();
        }
        let real = gnu.real_size().map_err(bad)?;
        self.set_map(at, &map, real, entry)
    }

    /// Form 1.0: decimal lines before the data, filled up to a block.
    pub(super) fn map_in_data(&mut self, at: u64) -> Result<Vec<u64>, TarError> {
        let mut numbers = Vec::new();
        let mut wanted = None;
        let mut number: Option<u64> = None;
        let mut block = [0; BLOCK];
        while wanted.is_none_or(|wanted| numbers.len() < wanted) {
            self.read_exact(&mut block).map_err(|_| TarError::Sparse { at })?;
            for byte in block {
                match byte {
                    b'0'..=b'9' => {
                        let next = number
                            .unwrap_or(0)
                            .checked_mul(10)
                            .and_then(|n| n.checked_add(u64::from(byte - b'0')));
                        number = Some(next.ok_or(TarError::Sparse { at })?);
                    }
                    b'\n' => {
                        let value = number.take().ok_or(TarError::Sparse { at })?;
                        match wanted {
                            None => {
                                let count = usize::try_from(value)
                                    .ok()
                                    .filter(|count| *count <= MAX_EXTENTS);
                                wanted = Some(count.ok_or(TarError::Sparse { at })? * 2);
                            }
                            Some(_) => numbers.push(value),
                        }
                    }
                    // The filling, once all numbers were seen.
                    0 if wanted.is_some_and(|wanted| numbers.len() == wanted) => break,
                    _ => return Err(TarError::Sparse { at }),
                }
                if wanted.is_some_and(|wanted| numbers.len() == wanted) {
                    break;
                }
            }
        }
        Ok(numbers)
    }

    /// The pieces must follow each other, lie within the file and be as long as what is stored.
    pub(super) fn set_map(
        &mut self,
        at: u64,
        numbers: &[u64],
        real: u64,
        entry: &mut Entry,
    ) -> Result<(), TarError> {
        if !numbers.len().is_multiple_of(2) || numbers.len() > 2 * MAX_EXTENTS {
            return Err(TarError::Sparse { at });
        }
        let (mut end, mut stored) = (0_u64, 0_u64);
        let mut map = Vec::with_capacity(numbers.len() / 2);
        for pair in numbers.chunks_exact(2) {
            let (offset, length) = (pair[0], pair[1]);
            let next = offset.checked_add(length).filter(|next| offset >= end && *next <= real);
            end = next.ok_or(TarError::Sparse { at })?;
            stored += length;
            map.push(Extent { offset, length });
        }
        if stored != self.left {
            return Err(TarError::Sparse { at });
        }
        entry.size = real;
        entry.map = Some(map);
        Ok(())
    }
}
