use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng};
use sha2::{Digest, Sha256};

/// A seeded source of randomness. The same seed gives the same draws, on every machine.
#[derive(Clone)]
pub struct Rng {
    seed: [u8; 32],
    draws: ChaCha20Rng,
}

impl Rng {
    /// From a short seed, for worlds and tests.
    pub fn seeded(seed: u64) -> Self {
        Self::from_seed(Sha256::digest(seed.to_be_bytes()).into())
    }

    /// From the operating system, for real runs.
    pub fn from_entropy() -> Result<Self, getrandom::Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        Ok(Self::from_seed(seed))
    }

    fn from_seed(seed: [u8; 32]) -> Self {
        Rng { seed, draws: ChaCha20Rng::from_seed(seed) }
    }

    /// An independent source named by `label`: it depends on the seed and the label alone, so that one more draw
    /// elsewhere never shifts it.
    pub fn child(&self, label: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(label.as_bytes());
        Self::from_seed(hash.finalize().into())
    }

    /// A uniform 64-bit number.
    pub fn next_u64(&mut self) -> u64 {
        self.draws.next_u64()
    }

    /// A number below `bound`; 0 if `bound` is 0. The bias is below 2⁻³² for bounds of 32 bits.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next_u64() % bound }
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.draws.fill_bytes(&mut out);
        out
    }

    /// `len` characters drawn from `alphabet`, which must be ASCII and not empty.
    pub fn text(&mut self, alphabet: &[u8], len: usize) -> String {
        (0..len)
            .map(|_| {
                let at = usize::try_from(self.below(alphabet.len() as u64)).unwrap_or(0);
                alphabet.get(at).copied().map_or('?', char::from)
            })
            .collect()
    }
}

impl std::fmt::Debug for Rng {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rng(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_does_not_depend_on_draws_of_its_parent() {
        let mut parent = Rng::seeded(7);
        let before = parent.child("a").next_u64();
        parent.next_u64();
        assert_eq!(before, parent.child("a").next_u64());
        assert_ne!(before, parent.child("b").next_u64());
    }

    #[test]
    fn between_includes_both_ends() {
        let mut rng = Rng::seeded(1);
        let drawn: std::collections::BTreeSet<u64> = (0..200).map(|_| rng.between(3, 5)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [3, 4, 5]);
    }
}
