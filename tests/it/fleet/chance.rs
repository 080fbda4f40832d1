//! Chance that can be had again: the same seed, the same fleet, on every machine.

use std::time::Duration;

/// `SplitMix64`. Only whole numbers: the logarithm of a machine's own library would make the page's
/// table the machine's own.
pub struct Chance(pub u64);

impl Chance {
    /// Uniform over all of `u64`.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Uniform between nothing and `most`.
    pub fn below(&mut self, most: Duration) -> Duration {
        let nanos = (most.as_nanos() * u128::from(self.number())) >> 64;
        Duration::from_nanos(u64::try_from(nanos).unwrap())
    }

    /// One of so many, from 0.
    pub fn of(&mut self, many: usize) -> usize {
        usize::try_from(self.number() % many as u64).unwrap()
    }

    pub fn one_in(&mut self, many: usize) -> bool {
        self.of(many) == 0
    }
}
