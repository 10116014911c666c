//! ◆ Numbers and ids that follow from a seed.

/// A sequence of numbers that look random (`SplitMix64`) and follow from a seed.
#[derive(Debug, Clone)]
pub struct Sequence(u64);

impl Sequence {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next_number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number less than `bound`; 0 when there is none. The bias of the multiplication is below 2⁻³².
    pub fn below(&mut self, bound: u32) -> u32 {
        let wide = (self.next_number() >> 32) * u64::from(bound);
        u32::try_from(wide >> 32).unwrap_or(0)
    }

    /// The next id, in the form of a random UUID.
    pub fn uuid(&mut self) -> String {
        uuid::Builder::from_random_bytes(self.bytes()).into_uuid().to_string()
    }

    fn bytes(&mut self) -> [u8; 16] {
        let wide = (u128::from(self.next_number()) << 64) | u128::from(self.next_number());
        wide.to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::Sequence;

    #[test]
    fn the_same_seed_gives_the_same_ids() {
        let (mut a, mut b, mut c) = (Sequence::new(7), Sequence::new(7), Sequence::new(8));
        let id = a.uuid();
        assert_eq!(id, b.uuid());
        assert_ne!(id, c.uuid());
        assert_eq!((id.len(), id.as_bytes()[14]), (36, b'4'));
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        let mut seed = Sequence::new(1);
        assert!((0..1000).all(|_| seed.below(7) < 7));
        assert_eq!(seed.below(0), 0);
    }
}
