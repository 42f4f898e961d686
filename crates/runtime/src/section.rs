//! Functions across instruments: of the values that the members of a universe have at one moment. A new one is a row here,
//! a line in `specs/cross_section.md`, a method in Python and an oracle.

/// The valid values of one moment, in the order of their instruments' ids, each with the number of its group.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    /// At least as many as [`SectionRow::least`].
    pub values: &'a [f64],
    /// Numbers of groups, placed alike.
    pub groups: &'a [u32],
}

/// A number that a function is given.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Where none is given.
    pub usual: f64,
    /// The least and the largest that make sense.
    pub range: [f64; 2],
    /// Whether it counts something.
    pub whole: bool,
}

/// One function.
#[derive(Debug)]
pub struct SectionRow {
    /// As graphs name it.
    pub name: &'static str,
    /// The number that it is given, if it takes one.
    pub parameter: Option<Parameter>,
    /// Fewest values that define it.
    pub least: usize,
    /// In a sentence.
    pub meaning: &'static str,
    /// Who defined it.
    pub citation: &'static str,
    /// Writes the result of each value behind each other; what is not finite lies outside the domain.
    pub apply: fn(Section<'_>, f64, &mut Vec<f64>),
}

/// A standard deviation of a normal distribution is this many times its median absolute deviation: 1 / Phi^-1(3/4).
const MAD_TO_STD: f64 = 1.482_602_218_505_602;

const fn parameter(
    name: &'static str,
    usual: f64,
    range: [f64; 2],
    whole: bool,
) -> Option<Parameter> {
    Some(Parameter {
        name,
        usual,
        range,
        whole,
    })
}

macro_rules! sections {
    ($($name:literal $parameter:expr, $least:literal, $citation:literal, $meaning:literal => $apply:expr;)+) => {
        &[$(SectionRow {
            name: $name, parameter: $parameter, least: $least, meaning: $meaning, citation: $citation, apply: $apply,
        },)+]
    };
}

#[rustfmt::skip] // A row a line.
const ROWS: &[SectionRow] = sections! {
    "rank" None, 1, "Kakushadze 2016", "(average rank - 0.5) / n, in (0, 1); equal values share the mean of their ranks." => |of, _, out| {
        let n = of.values.len() as f64;
        out.extend(ranks(of.values).into_iter().map(|rank| (rank - 0.5) / n));
    };
    "pct_rank" None, 1, "pandas rank(pct=True)", "Average rank over n, in (0, 1]." => |of, _, out| {
        let n = of.values.len() as f64;
        out.extend(ranks(of.values).into_iter().map(|rank| rank / n));
    };
    "bucket" parameter("buckets", 10.0, [2.0, 1_000.0], true), 1, "Fama & French 1993", "Which of so many buckets of equal size, 0 for the smallest values."
        => |of, buckets, out| {
        let n = of.values.len() as f64;
        out.extend(ranks(of.values).into_iter().map(|rank| (buckets * (rank - 0.5) / n).floor()));
    };
    "zscore" None, 2, "Grinold & Kahn 2000", "(x - mean) / sample standard deviation; invalid (`DOMAIN`) where all are equal." => |of, _, out| {
        let (mean, std) = (mean(of.values), spread(of.values));
        out.extend(of.values.iter().map(|x| (x - mean) / std));
    };
    "robust_zscore" parameter("clip", 3.0, [f64::MIN_POSITIVE, 1e9], false), 1, "Hampel 1974",
        "(x - median) / (1.4826 x median absolute deviation), clipped at `clip`." => |of, clip, out| {
        let (middle, mad) = robust(of.values);
        let scaled = of.values.iter().map(|x| (x - middle) / (MAD_TO_STD * mad));
        // What is no number stays none.
        out.extend(scaled.map(|z| if z > clip { clip } else if z < -clip { -clip } else { z }));
    };
    "winsorise" parameter("k", 3.0, [0.0, 1e9], false), 1, "Hampel 1974",
        "x, but no further from the median than k x 1.4826 x the median absolute deviation." => |of, k, out| {
        let (middle, mad) = robust(of.values);
        let reach = k * MAD_TO_STD * mad;
        out.extend(of.values.iter().map(|x| x.max(middle - reach).min(middle + reach)));
    };
    "winsorise_quantile" parameter("q", 0.01, [0.0, 0.5], false), 1, "Tukey 1962",
        "x, but not below the q-quantile nor above the (1 - q)-quantile, linear between neighbours (type 7)." => |of, q, out| {
        let sorted = sorted(of.values);
        let (low, high) = (quantile(&sorted, q), quantile(&sorted, 1.0 - q));
        out.extend(of.values.iter().map(|x| x.max(low).min(high)));
    };
    "demean" None, 1, "Grinold & Kahn 2000", "x minus the mean of all." => |of, _, out| {
        let mean = mean(of.values);
        out.extend(of.values.iter().map(|x| x - mean));
    };
    "neutralise" None, 1, "Kakushadze 2016 (indneutralize)", "x minus the mean of its group in the universe; members without a group are one." => |of, _, out| {
        let mut sums: Vec<(f64, f64)> = Vec::new();
        for (&x, &group) in of.values.iter().zip(of.groups) {
            let group = group as usize;
            if sums.len() <= group {
                sums.resize(group + 1, (0.0, 0.0));
            }
            sums[group].0 += x;
            sums[group].1 += 1.0;
        }
        out.extend(of.values.iter().zip(of.groups).map(|(x, &group)| {
            let (sum, n) = sums[group as usize];
            x - sum / n
        }));
    };
    "scale" None, 1, "Kakushadze 2016", "x over the sum of all |x|." => |of, _, out| {
        let sum: f64 = of.values.iter().map(|x| x.abs()).sum();
        out.extend(of.values.iter().map(|x| x / sum));
    };
    "mean" None, 1, "pandas", "Mean of all: the same number for each member." => |of, _, out| same(mean(of.values), of, out);
    "median" None, 1, "pandas", "Median of all: the same number for each member." => |of, _, out| same(robust(of.values).0, of, out);
    "dispersion" None, 2, "Solnik & Roulet 2000", "Sample standard deviation of all: the same number for each member." => |of, _, out| same(spread(of.values), of, out);
    "breadth" None, 1, "Grinold & Kahn 2000", "Share of members whose x is above 0." => |of, _, out| {
        let above = of.values.iter().filter(|x| **x > 0.0).count();
        same(above as f64 / of.values.len() as f64, of, out);
    };
    "count" None, 1, "pandas", "Number of members with a valid x." => |of, _, out| same(of.values.len() as f64, of, out);
};

/// A function of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SectionFn(usize);

impl SectionFn {
    /// All, in the table's order.
    pub fn all() -> impl Iterator<Item = Self> + Clone {
        (0..ROWS.len()).map(Self)
    }

    /// The function of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|function| function.row().name == name)
    }

    /// Its row.
    pub fn row(self) -> &'static SectionRow {
        &ROWS[self.0]
    }
}

fn same(x: f64, of: Section<'_>, out: &mut Vec<f64>) {
    out.extend(of.values.iter().map(|_| x));
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Sample standard deviation; exactly 0 where all are equal.
fn spread(values: &[f64]) -> f64 {
    let first = values[0];
    if values.iter().all(|x| *x == first) {
        return 0.0;
    }
    let mean = mean(values);
    let squares: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
    (squares / (values.len() - 1) as f64).sqrt()
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// Type 7 of Hyndman & Fan (1996): linear between neighbours.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() - 1) as f64;
    let below = at.floor() as usize;
    let above = sorted[(below + 1).min(sorted.len() - 1)];
    sorted[below] + (at - below as f64) * (above - sorted[below])
}

/// Median, and median of the distances from it.
fn robust(values: &[f64]) -> (f64, f64) {
    let middle = quantile(&sorted(values), 0.5);
    let distances: Vec<f64> = values.iter().map(|x| (x - middle).abs()).collect();
    (middle, quantile(&sorted(&distances), 0.5))
}

/// The rank of each value, from 1 on; equal ones share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    // Whole numbers in the same order, with their places beside them, are sorted without a look at the values.
    let numbered = values.iter().zip(0u32..);
    let mut order: Vec<(i64, u32)> = numbered.map(|(&x, i)| (ordered(x), i)).collect();
    order.sort_unstable();
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    while from < order.len() {
        let value = values[order[from].1 as usize];
        let equal = order[from..].iter();
        let upto = from
            + equal
                .take_while(|&&(_, i)| values[i as usize] == value)
                .count();
        let rank = (from + 1 + upto) as f64 / 2.0;
        for &(_, i) in &order[from..upto] {
            ranks[i as usize] = rank;
        }
        from = upto;
    }
    ranks
}

/// A whole number for each number, in the order of `f64::total_cmp`.
fn ordered(x: f64) -> i64 {
    let bits = x.to_bits() as i64;
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, parameter: f64, values: &[f64], groups: &[u32]) -> Vec<f64> {
        let mut out = Vec::new();
        let function = SectionFn::named(name).map(|function| function.row().apply);
        function
            .into_iter()
            .for_each(|apply| apply(Section { values, groups }, parameter, &mut out));
        out
    }

    #[test]
    fn equal_values_share_a_rank_and_zero_has_no_sign() {
        assert_eq!(
            of("pct_rank", 0.0, &[3.0, 1.0, 3.0, 2.0], &[0; 4]),
            [0.875, 0.25, 0.875, 0.5]
        );
        assert_eq!(
            of("rank", 0.0, &[0.0, -0.0, 5.0], &[0; 3]),
            [1.0 / 3.0, 1.0 / 3.0, 2.5 / 3.0]
        );
    }

    #[test]
    fn each_has_one_result_a_value_whatever_comes() {
        for function in SectionFn::all() {
            let row = function.row();
            let usual = row.parameter.map_or(0.0, |parameter| parameter.usual);
            for n in row.least..7 {
                for x in [0.0, 1.0, -1e300, 1e-300] {
                    let values: Vec<f64> = (0..n).map(|i| x * i as f64).collect();
                    let mut out = Vec::new();
                    (row.apply)(
                        Section {
                            values: &values,
                            groups: &vec![1; n],
                        },
                        usual,
                        &mut out,
                    );
                    assert_eq!(out.len(), n, "{}", row.name);
                }
            }
        }
    }

    #[test]
    fn groups_are_their_own_means() {
        assert_eq!(
            of("neutralise", 0.0, &[1.0, 2.0, 3.0, 10.0], &[0, 2, 0, 2]),
            [-1.0, -4.0, 1.0, 4.0]
        );
    }

    #[test]
    fn buckets_begin_at_zero_and_end_below_their_number() {
        let values: Vec<f64> = (0..20).map(f64::from).collect();
        let buckets = of("bucket", 5.0, &values, &[0; 20]);
        assert_eq!(
            buckets.iter().map(|x| *x as usize).collect::<Vec<_>>(),
            (0..20).map(|i| i / 4).collect::<Vec<_>>()
        );
    }
}
