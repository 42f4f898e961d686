//! Short pieces of several columns, one after the other in one.

use std::ops::Range;

/// Cells that are copied at a time, whether all are wanted or not.
pub(crate) const PIECE: usize = 8;

/// Appends these cells of the columns, each piece named by the number of its column. Most are short, and of lengths that nobody
/// can foresee: a few cells more are copied, and written over by the next piece, rather than that the processor waits for the
/// length of each.
pub(crate) fn extend_pieces<T: Copy>(
    column: &mut Vec<T>,
    sources: &[&[T]],
    pieces: &[(usize, Range<usize>)],
) {
    for (source, cells) in pieces {
        let source = sources[*source];
        let count = cells.len();
        if count <= PIECE
            && let Some(piece) = source
                .get(cells.start..)
                .and_then(|s| s.first_chunk::<PIECE>())
        {
            let len = column.len() + count;
            column.extend_from_slice(piece);
            column.truncate(len);
        } else {
            column.extend_from_slice(&source[cells.clone()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn are_the_cells_one_after_the_other(
            lengths in prop::collection::vec(0usize..40, 1..4),
            picks in prop::collection::vec((any::<prop::sample::Index>(), 0usize..40, 0usize..20), 0..30),
        ) {
            let sources: Vec<Vec<u32>> = lengths
                .iter()
                .enumerate()
                .map(|(source, len)| (0..*len as u32).map(|cell| 100 * source as u32 + cell).collect())
                .collect();
            let pieces: Vec<(usize, Range<usize>)> = picks
                .iter()
                .map(|(source, start, len)| {
                    let source = source.index(sources.len());
                    let start = *start.min(&sources[source].len());
                    (source, start..(start + len).min(sources[source].len()))
                })
                .collect();
            let expected: Vec<u32> = pieces
                .iter()
                .flat_map(|(source, cells)| sources[*source][cells.clone()].to_vec())
                .collect();
            let slices: Vec<&[u32]> = sources.iter().map(Vec::as_slice).collect();
            let mut column = vec![7];
            extend_pieces(&mut column, &slices, &pieces);
            prop_assert_eq!(&column[1..], &expected[..]);
            prop_assert_eq!(column[0], 7);
        }
    }
}
