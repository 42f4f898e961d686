//! State as bytes: little-endian, fixed layout. A kernel is loaded into one of the same configuration, so lengths are
//! known beforehand and hostile bytes can at worst be too few.

/// The bytes ended before the state did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

/// What a snapshot needs of a kernel.
pub trait State {
    /// Appends the state.
    fn save(&self, out: &mut Vec<u8>);

    /// Replaces the state of a kernel of the same configuration and advances `bytes` past it.
    fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Exhausted>;
}

/// Appends a `u64`.
pub fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends an `i64`.
pub fn put_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends an `f64` by its bits.
pub fn put_f64(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

/// Takes `N` bytes from the front.
pub fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Exhausted> {
    let (front, rest) = bytes.split_first_chunk::<N>().ok_or(Exhausted)?;
    *bytes = rest;
    Ok(*front)
}

/// Takes a `u64` from the front.
pub fn take_u64(bytes: &mut &[u8]) -> Result<u64, Exhausted> {
    take(bytes).map(u64::from_le_bytes)
}

/// Takes an `i64` from the front.
pub fn take_i64(bytes: &mut &[u8]) -> Result<i64, Exhausted> {
    take(bytes).map(i64::from_le_bytes)
}

/// Takes an `f64` from the front.
pub fn take_f64(bytes: &mut &[u8]) -> Result<f64, Exhausted> {
    take_u64(bytes).map(f64::from_bits)
}
