//! Transposes samples in blocks of 16 rows, the capacity of the processor's registers.

use wide::u8x16;

/// The sides of the transposed picture to swap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flip {
    /// Left and right.
    pub columns: bool,
    /// Top and bottom.
    pub rows: bool,
}

/// Samples of a block's side.
const BLOCK: usize = 16;
/// Samples of a tile's side. Both sides of the copy stay in the nearest cache during a tile.
const TILE: usize = 64;

/// Writes the `width` x `height` samples of `from`, whose rows are `stride` apart, as `height` x `width` samples of `to`,
/// whose rows are `to_stride` apart.
pub(crate) fn transpose(
    from: &[u8],
    stride: usize,
    (width, height): (usize, usize),
    to: &mut [u8],
    to_stride: usize,
    flip: Flip,
) {
    for tile_x in (0..width).step_by(TILE) {
        for y in (0..height).step_by(BLOCK) {
            let rows = BLOCK.min(height - y);
            let band = &from[y * stride..];
            let target_x = if flip.columns { height - y - rows } else { y };
            for x in (tile_x..width.min(tile_x + TILE)).step_by(BLOCK) {
                let columns = BLOCK.min(width - x);
                let target_y = if flip.rows { width - x - columns } else { x };
                let target = &mut to[target_y * to_stride + target_x..];
                // A whole block is copied in registers. Copies of varying length would take longer than the rest.
                if columns == BLOCK && rows == BLOCK {
                    let mut block = lines(&band[x..], stride);
                    if flip.columns {
                        block.reverse();
                    }
                    let mut block = transposed(block);
                    if flip.rows {
                        block.reverse();
                    }
                    let mut place = target;
                    for (row, line) in block.iter().enumerate() {
                        place[..BLOCK].copy_from_slice(line.as_array());
                        // After the last row there may be no memory.
                        if row + 1 < BLOCK {
                            place = &mut place[to_stride..];
                        }
                    }
                    continue;
                }
                for column in 0..columns {
                    for row in 0..rows {
                        let source_x = if flip.rows { x + columns - 1 - column } else { x + column };
                        let source_y = if flip.columns { rows - 1 - row } else { row };
                        target[column * to_stride + row] = band[source_y * stride + source_x];
                    }
                }
            }
        }
    }
}

/// The first samples of sixteen rows.
fn lines(mut from: &[u8], stride: usize) -> [u8x16; BLOCK] {
    std::array::from_fn(|row| {
        let line = from.first_chunk().copied().expect("a row is as long as its width");
        if row + 1 < BLOCK {
            from = &from[stride..];
        }
        u8x16::new(line)
    })
}

/// Interleaves the first half of the rows with the second, four times. Each time doubles the adjacent samples of a
/// column.
fn transposed(mut rows: [u8x16; BLOCK]) -> [u8x16; BLOCK] {
    for _ in 0..BLOCK.ilog2() {
        let mut next = rows;
        for row in 0..BLOCK / 2 {
            next[2 * row] = u8x16::unpack_low(rows[row], rows[row + BLOCK / 2]);
            next[2 * row + 1] = u8x16::unpack_high(rows[row], rows[row + BLOCK / 2]);
        }
        rows = next;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_of_every_size_finds_its_place() {
        for (width, height) in [(1, 1), (3, 2), (16, 16), (17, 15), (64, 32), (70, 34), (130, 81)] {
            let (stride, to_stride) = (width + 5, height + 3);
            let from: Vec<u8> = (0..stride * height).map(|n| (n % 251) as u8).collect();
            for (columns, rows) in [(false, false), (true, false), (false, true), (true, true)] {
                let mut to = vec![0; to_stride * width];
                transpose(&from, stride, (width, height), &mut to, to_stride, Flip { columns, rows });
                for y in 0..width {
                    for x in 0..height {
                        let source_y = if columns { height - 1 - x } else { x };
                        let source_x = if rows { width - 1 - y } else { y };
                        assert_eq!(
                            to[y * to_stride + x],
                            from[source_y * stride + source_x],
                            "{width} x {height}, flipped {columns} {rows}, at {x}, {y}"
                        );
                    }
                }
            }
        }
    }
}
