//! The parts in which a large file is sent: all have the same size, except for a shorter last one.

/// The smallest size of a file that is sent in parts, and the size of a part.
pub const PART_BYTES: u64 = 8 * 1024 * 1024;
/// The most parts of a file. Object stores accept no more.
pub const PARTS_MAX: u32 = 10_000;
/// Larger parts have a multiple of this size.
const STEP_BYTES: u64 = 1024 * 1024;

/// A file's size, and that of its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    bytes: u64,
    part_bytes: u64,
}

impl Parts {
    /// Parts of `PART_BYTES`, or of the size with which a larger file has at most `PARTS_MAX`.
    pub fn of_file(bytes: u64) -> Self {
        let least = bytes.div_ceil(PARTS_MAX.into()).next_multiple_of(STEP_BYTES);
        Parts { bytes, part_bytes: least.max(PART_BYTES) }
    }

    /// The parts of an upload under way. A part has at least one byte.
    pub fn new(bytes: u64, part_bytes: u64) -> Self {
        Parts { bytes, part_bytes: part_bytes.max(1) }
    }

    /// The size of the file.
    pub fn bytes(self) -> u64 {
        self.bytes
    }

    /// The size of every part but the last.
    pub fn part_bytes(self) -> u64 {
        self.part_bytes
    }

    /// The number of parts. Their own numbers begin with 1.
    pub fn count(self) -> u32 {
        u32::try_from(self.bytes.div_ceil(self.part_bytes)).unwrap_or(u32::MAX)
    }

    /// The exact size of a part; `None` if there is no part of this number.
    pub fn bytes_of(self, number: u32) -> Option<u64> {
        let before = u64::from(number.checked_sub(1)?).checked_mul(self.part_bytes)?;
        let rest = self.bytes.checked_sub(before).filter(|rest| *rest > 0)?;
        Some(rest.min(self.part_bytes))
    }

    /// The numbers of the parts that are not among `received`, which is sorted.
    pub fn missing(self, received: &[u32]) -> Vec<u32> {
        (1..=self.count()).filter(|number| received.binary_search(number).is_err()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn all_parts_are_of_one_size_but_the_last() {
        for (bytes, sizes) in [
            (8 * MIB, vec![8 * MIB]),
            (8 * MIB + 1, vec![8 * MIB, 1]),
            (16 * MIB, vec![8 * MIB, 8 * MIB]),
            (20 * MIB, vec![8 * MIB, 8 * MIB, 4 * MIB]),
        ] {
            let parts = Parts::of_file(bytes);
            assert_eq!((1..=parts.count()).map_while(|number| parts.bytes_of(number)).collect::<Vec<_>>(), sizes);
            assert_eq!((parts.bytes_of(0), parts.bytes_of(parts.count() + 1)), (None, None));
        }
        assert_eq!(Parts::new(u64::MAX, 1).bytes_of(u32::MAX), Some(1));
        assert_eq!(Parts::new(10, 0).count(), 10);
    }

    #[test]
    fn a_file_of_any_size_has_at_most_the_most_parts() {
        let largest_of_small_parts = PART_BYTES * u64::from(PARTS_MAX);
        for (bytes, part_bytes) in
            [(largest_of_small_parts, PART_BYTES), (largest_of_small_parts + 1, 9 * MIB), (4 * MIB * MIB, 420 * MIB)]
        {
            let parts = Parts::of_file(bytes);
            assert_eq!(parts.part_bytes(), part_bytes, "{bytes}");
            assert!(parts.count() <= PARTS_MAX, "{} parts", parts.count());
            let sum: u64 = (1..=parts.count()).filter_map(|number| parts.bytes_of(number)).sum();
            assert_eq!(sum, bytes);
        }
    }

    #[test]
    fn missing_parts_are_those_not_received() {
        let parts = Parts::new(35, 10);
        assert_eq!(parts.missing(&[]), [1, 2, 3, 4]);
        assert_eq!(parts.missing(&[1, 3]), [2, 4]);
        assert_eq!(parts.missing(&[1, 2, 3, 4]), [0; 0]);
    }
}
