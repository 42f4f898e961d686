//! Several rows of a series at once: the one place that speaks to the processor's vector unit.
//!
//! A formula is written once over [`Simd`] and computes one row ([`Scalar`]) or as many as the instruction set takes
//! together. Each operation is the IEEE one on every row by itself, so the bits do not depend on the number of rows; none
//! is fused. Loops that the compiler turns into vectors by itself stay plain loops: this is for code that walks many
//! levels with a row in registers, where it does not.
//!
//! All `unsafe` code of the crate is here. It rests on one fact: a value of an instruction set's token exists only where
//! the processor has the instructions, and a vector comes from a token.
#![allow(unsafe_code)]

use core::ops::{Add, Div, Mul, Sub};

/// Rows side by side.
pub trait Vector:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// Row by row `a` where `a < b`, else `b`.
    fn least(a: Self, b: Self) -> Self;

    /// Row by row `a` where `a > b`, else `b`.
    fn most(a: Self, b: Self) -> Self;

    /// Row by row 1 where `a < b`, else 0.
    fn below(a: Self, b: Self) -> Self;

    /// Row by row 1 where `a <= b`, else 0.
    fn up_to(a: Self, b: Self) -> Self;

    /// Writes the rows to the front of `to`, which has room for them.
    fn store(self, to: &mut [f64]);
}

/// Work that [`Simd::outlined`] compiles for an instruction set. `run`, and all that takes vectors in it, is
/// `#[inline(always)]`. A closure cannot be, so that it serves for plain numbers alone: where the compiler leaves it a function of
/// its own, that function is compiled for the baseline, and each operation on a vector becomes a call.
pub trait Work {
    /// What it gives.
    type Out;

    /// Does it.
    fn run<I: Simd>(self, isa: I) -> Self::Out;
}

impl<R, F: FnOnce() -> R> Work for F {
    type Out = R;

    #[inline(always)]
    fn run<I: Simd>(self, _: I) -> R {
        self()
    }
}

/// Most rows side by side of any instruction set.
pub const LANES_MAX: usize = 4;

/// An instruction set that this processor has.
pub trait Simd: Copy {
    /// Rows side by side.
    type V: Vector;

    /// How many, a power of two.
    const LANES: usize;

    /// The same number in each row.
    fn splat(self, x: f64) -> Self::V;

    /// The front of `from`, which has as many rows.
    fn load(self, from: &[f64]) -> Self::V;

    /// Does work as a function of its own, compiled for the instruction set. Loops over many kinds of work need it: with
    /// all kinds in one function, none would find its numbers in registers.
    fn outlined<W: Work>(self, work: W) -> W::Out;

    /// Rows of a series, of which the first one's value stands fourth in `from`: the values three places before each,
    /// two, one, and its own.
    #[inline(always)]
    fn load_four(self, from: &[f64]) -> [Self::V; 4] {
        [
            self.load(from),
            self.load(&from[1..]),
            self.load(&from[2..]),
            self.load(&from[3..]),
        ]
    }
}

/// Tells the processor that these numbers are read soon. Where many columns are read a piece at a time, it does not see so
/// by itself.
#[inline(always)]
pub fn expect(numbers: &[f64]) {
    #[cfg(target_arch = "x86_64")]
    for line in numbers.chunks(8) {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint, of an address within `numbers`; every x86-64 has the instruction.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = numbers;
}

/// Columns of one length, read side by side after one check.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a, const K: usize> {
    starts: [*const f64; K],
    rows: usize,
    columns: core::marker::PhantomData<&'a [f64]>,
}

impl<'a, const K: usize> Columns<'a, K> {
    /// The columns as far as the shortest goes.
    #[inline(always)]
    pub fn new(columns: [&'a [f64]; K]) -> Self {
        let rows = columns
            .iter()
            .fold(usize::MAX, |rows, column| rows.min(column.len()));
        Self {
            starts: columns.map(<[f64]>::as_ptr),
            rows,
            columns: core::marker::PhantomData,
        }
    }

    /// Rows from `i` on of each column. Panics where there are none.
    #[inline(always)]
    pub fn load<I: Simd>(&self, isa: I, i: usize) -> [I::V; K] {
        assert!(i < self.rows && self.rows - i >= I::LANES);
        let mut vectors = [isa.splat(0.0); K];
        for k in 0..K {
            // SAFETY: every column is borrowed and has `rows` numbers, and the rows from `i` on are among them.
            vectors[k] =
                isa.load(unsafe { core::slice::from_raw_parts(self.starts[k].add(i), I::LANES) });
        }
        vectors
    }
}

/// One row at a time, on any target.
#[derive(Clone, Copy, Debug)]
pub struct Scalar;

impl Vector for f64 {
    #[inline(always)]
    fn least(a: Self, b: Self) -> Self {
        if a < b { a } else { b }
    }

    #[inline(always)]
    fn most(a: Self, b: Self) -> Self {
        if a > b { a } else { b }
    }

    #[inline(always)]
    fn below(a: Self, b: Self) -> Self {
        f64::from(u8::from(a < b))
    }

    #[inline(always)]
    fn up_to(a: Self, b: Self) -> Self {
        f64::from(u8::from(a <= b))
    }

    #[inline(always)]
    fn store(self, to: &mut [f64]) {
        to[0] = self;
    }
}

impl Simd for Scalar {
    type V = f64;
    const LANES: usize = 1;

    #[inline(always)]
    fn splat(self, x: f64) -> f64 {
        x
    }

    #[inline(always)]
    fn load(self, from: &[f64]) -> f64 {
        from[0]
    }

    #[inline(never)]
    fn outlined<W: Work>(self, work: W) -> W::Out {
        work.run(self)
    }
}

/// Writes a vector type over one of the processor's, with its token.
#[cfg(target_arch = "x86_64")]
macro_rules! x86 {
    ($isa:ident, $features:literal, $vector:ident, $raw:ident, $lanes:literal, $set1:ident, $load:ident, $store:ident, $add:ident, $sub:ident,
     $mul:ident, $div:ident, $min:ident, $max:ident, $and:ident, $less:path, $up_to:path) => {
        /// Rows side by side in one register.
        #[derive(Clone, Copy, Debug)]
        pub struct $vector(core::arch::x86_64::$raw);

        impl Simd for $isa {
            type V = $vector;
            const LANES: usize = $lanes;

            #[inline(always)]
            fn splat(self, x: f64) -> $vector {
                // SAFETY: the token says that the processor has the instruction.
                $vector(unsafe { core::arch::x86_64::$set1(x) })
            }

            #[inline(always)]
            fn load(self, from: &[f64]) -> $vector {
                let from = &from[..$lanes];
                // SAFETY: as above; the slice has as many numbers, and the load asks for no alignment.
                $vector(unsafe { core::arch::x86_64::$load(from.as_ptr()) })
            }

            #[inline(always)]
            fn outlined<W: Work>(self, work: W) -> W::Out {
                #[inline(never)]
                #[target_feature(enable = $features)]
                fn outlined<W: Work>(work: W, isa: $isa) -> W::Out {
                    work.run(isa)
                }
                // SAFETY: the token says that the processor has the instructions.
                unsafe { outlined(work, self) }
            }
        }

        impl Vector for $vector {
            #[inline(always)]
            fn least(a: Self, b: Self) -> Self {
                // SAFETY: the vectors came from a token. The instruction gives `b` unless `a < b`.
                Self(unsafe { core::arch::x86_64::$min(a.0, b.0) })
            }

            #[inline(always)]
            fn most(a: Self, b: Self) -> Self {
                // SAFETY: the vectors came from a token. The instruction gives `b` unless `a > b`.
                Self(unsafe { core::arch::x86_64::$max(a.0, b.0) })
            }

            #[inline(always)]
            fn below(a: Self, b: Self) -> Self {
                // SAFETY: the vectors came from a token. The comparison gives all ones or all zeros, which keep 1 or not.
                Self(unsafe {
                    core::arch::x86_64::$and($less(a.0, b.0), core::arch::x86_64::$set1(1.0))
                })
            }

            #[inline(always)]
            fn up_to(a: Self, b: Self) -> Self {
                // SAFETY: as above.
                Self(unsafe {
                    core::arch::x86_64::$and($up_to(a.0, b.0), core::arch::x86_64::$set1(1.0))
                })
            }

            #[inline(always)]
            fn store(self, to: &mut [f64]) {
                let to = &mut to[..$lanes];
                // SAFETY: the vector came from a token; the slice has room, and the store asks for no alignment.
                unsafe { core::arch::x86_64::$store(to.as_mut_ptr(), self.0) }
            }
        }

        impl Add for $vector {
            type Output = Self;

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                // SAFETY: the vectors came from a token.
                Self(unsafe { core::arch::x86_64::$add(self.0, other.0) })
            }
        }

        impl Sub for $vector {
            type Output = Self;

            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                // SAFETY: the vectors came from a token.
                Self(unsafe { core::arch::x86_64::$sub(self.0, other.0) })
            }
        }

        impl Mul for $vector {
            type Output = Self;

            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                // SAFETY: the vectors came from a token.
                Self(unsafe { core::arch::x86_64::$mul(self.0, other.0) })
            }
        }

        impl Div for $vector {
            type Output = Self;

            #[inline(always)]
            fn div(self, other: Self) -> Self {
                // SAFETY: the vectors came from a token.
                Self(unsafe { core::arch::x86_64::$div(self.0, other.0) })
            }
        }
    };
}

/// Two rows at a time, which every x86-64 has.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
pub struct Sse2;

/// Four rows at a time.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

#[cfg(target_arch = "x86_64")]
impl Avx2 {
    /// The token.
    ///
    /// # Safety
    /// The processor has AVX2.
    #[inline(always)]
    pub const unsafe fn new() -> Self {
        Self(())
    }
}

#[cfg(target_arch = "x86_64")]
x86!(
    Sse2,
    "sse2",
    F64x2,
    __m128d,
    2,
    _mm_set1_pd,
    _mm_loadu_pd,
    _mm_storeu_pd,
    _mm_add_pd,
    _mm_sub_pd,
    _mm_mul_pd,
    _mm_div_pd,
    _mm_min_pd,
    _mm_max_pd,
    _mm_and_pd,
    core::arch::x86_64::_mm_cmplt_pd,
    core::arch::x86_64::_mm_cmple_pd
);
#[cfg(target_arch = "x86_64")]
x86!(
    Avx2,
    "avx2,bmi1,bmi2,lzcnt,popcnt",
    F64x4,
    __m256d,
    4,
    _mm256_set1_pd,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    _mm256_add_pd,
    _mm256_sub_pd,
    _mm256_mul_pd,
    _mm256_div_pd,
    _mm256_min_pd,
    _mm256_max_pd,
    _mm256_and_pd,
    core::arch::x86_64::_mm256_cmp_pd::<{ core::arch::x86_64::_CMP_LT_OQ }>,
    core::arch::x86_64::_mm256_cmp_pd::<{ core::arch::x86_64::_CMP_LE_OQ }>
);

/// The instruction set that every processor of this target has.
#[cfg(target_arch = "x86_64")]
pub type Baseline = Sse2;
/// The instruction set that every processor of this target has.
#[cfg(not(target_arch = "x86_64"))]
pub type Baseline = Scalar;

/// The token of [`Baseline`].
#[cfg(target_arch = "x86_64")]
pub const BASELINE: Baseline = Sse2;
/// The token of [`Baseline`].
#[cfg(not(target_arch = "x86_64"))]
pub const BASELINE: Baseline = Scalar;
