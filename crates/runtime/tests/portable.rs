//! Formulas give the same bits whatever the processor may do: values one by one, blocks with the instructions of any x86-64,
//! and blocks with AVX2 and fused multiply-add at hand, which must not be used. `portable.txt` holds the digests of what
//! each gives at a fixed corpus. `make test` compares them once more in a build for the processor at hand.
#![allow(missing_docs, clippy::expect_used, clippy::needless_range_loop)]

use signal_runtime::{Formula, OPERANDS_MAX};

const ROWS: usize = 1024;

/// Numbers between 0 and 1, of equal bits everywhere (Steele, Lea & Flood 2014).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number as an operand of this name may be.
    fn operand(&mut self, name: &str, row: usize) -> f64 {
        let u = self.next();
        match name {
            "forward" | "strike" => 50.0 + 100.0 * u,
            "years" => u * u * u * u,
            "vol" => 0.01 + 2.0 * u,
            "discount" => 0.9 + 0.1 * u,
            "right" => {
                if u < 0.5 {
                    -1.0
                } else {
                    1.0
                }
            }
            "price" => 60.0 * u * u,
            _ => match row % 5 {
                0 => [0.0, 1.0, -1.0, 0.5][(4.0 * u) as usize],
                1 => 8.0 * u - 4.0,
                2 => 1e-6 * (u - 0.5),
                3 => 80.0 * (u - 0.5),
                _ => u,
            },
        }
    }
}

fn corpus(formula: Formula) -> Vec<Vec<f64>> {
    let names = formula.row().operands;
    let mut numbers = Numbers(names.len() as u64);
    let mut columns = vec![vec![0.0; ROWS]; OPERANDS_MAX];
    for row in 0..ROWS {
        for k in 0..OPERANDS_MAX {
            columns[k][row] = numbers.operand(names.get(k).copied().unwrap_or(""), row);
        }
    }
    columns
}

/// FNV-1a over the bits; of NaN only that it is one.
fn digest(values: &[f64]) -> u64 {
    let bits = |x: f64| {
        if x.is_nan() {
            0x7ff8 << 48
        } else {
            x.to_bits()
        }
    };
    let bytes = values.iter().flat_map(|&x| bits(x).to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn one_by_one(formula: Formula, columns: &[Vec<f64>]) -> Vec<f64> {
    let of = |row: usize| std::array::from_fn(|k| columns[k][row]);
    (0..ROWS).map(|row| formula.value(of(row))).collect()
}

fn block(formula: Formula, columns: &[Vec<f64>]) -> Vec<f64> {
    let mut out = vec![0.0; ROWS];
    formula.values(std::array::from_fn(|k| &columns[k][..]), &mut out);
    out
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
fn wide_block(formula: Formula, columns: &[Vec<f64>]) -> Vec<f64> {
    let mut out = vec![0.0; ROWS];
    formula.values(std::array::from_fn(|k| &columns[k][..]), &mut out);
    out
}

fn all() -> impl Iterator<Item = Formula> {
    Formula::OPERATORS.iter().chain(Formula::OF_BOOK).copied()
}

#[test]
fn no_instruction_set_changes_a_bit() {
    for formula in all() {
        let columns = corpus(formula);
        let wanted = digest(&one_by_one(formula, &columns));
        assert_eq!(digest(&block(formula, &columns)), wanted, "{formula:?}");
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            #[allow(unsafe_code)]
            // SAFETY: the processor has them, as was just asked.
            let wide = unsafe { wide_block(formula, &columns) };
            assert_eq!(digest(&wide), wanted, "{formula:?}");
        }
    }
}

#[test]
fn digests_are_those_of_every_other_build() {
    let known = include_str!("portable.txt");
    let lines: Vec<String> = all()
        .map(|formula| {
            let values = one_by_one(formula, &corpus(formula));
            format!("{} {:016x}", formula.row().name, digest(&values))
        })
        .collect();
    for line in known.lines() {
        let name = line.split(' ').next();
        let found = lines.iter().find(|made| made.split(' ').next() == name);
        assert_eq!(found.map(String::as_str), Some(line));
    }
    let log = known.lines().any(|line| line.starts_with("log "));
    assert!(
        log,
        "portable.txt should have lines as\n{}",
        lines.join("\n")
    );
}
