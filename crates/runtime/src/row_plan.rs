//! A compiled graph over rows of one instrument, and its bytes: what a host needs that has no compiler.
//!
//! The bytes are a magic with a version, the parts in order, and a CRC-32. Operators stand in them by name. What is read is
//! checked in full, so that a plan from hostile bytes is refused or runs: registers are written once and in order, operands come
//! before results, state is bounded.

use crate::formula::OPERANDS_MAX;
use crate::memory::{
    Content, LagFn, SCAN_PARAMETERS, Scan, Statistic, Weighted, Window, WindowStat,
};
use crate::op::{Op, Read, Reg};
use crate::program::Program;
use crate::registers::{SPAN, Slot};
use crate::row_inputs::RowInputs;
use crate::sides::{Level, LevelInput, Sides};
use crate::table::Formula;
use signal_kernels::ewm::Ewm;
use signal_kernels::state::{
    Exhausted, put_f64, put_i64, put_u64, take, take_f64, take_i64, take_u64,
};
use std::fmt;

const MAGIC: &[u8; 8] = b"SSPLAN\x00\x01";
/// Columns of a row, and features, at most.
const NAMES_MAX: usize = 1 << 14;
/// Bytes of a name at most.
const NAME_MAX: usize = 1 << 10;
/// Values that a window, a lag or weights reach back over at most.
const WINDOW_MAX: usize = 1 << 20;
/// Programs at most.
const PROGRAMS_MAX: usize = 1 << 8;
/// Levels of a side at most.
const LEVELS_MAX: usize = 50;
/// Bytes of state at most: what a 32-bit address space holds beside the rest.
const STATE_MAX: usize = 1 << 30;

/// A program that runs at each row.
#[derive(Clone, Debug, PartialEq)]
pub struct RowProgram {
    /// What a row feeds.
    pub inputs: RowInputs,
    /// Register, and the program before it and its export whose newest value it takes.
    pub lasts: Vec<(Slot, usize, usize)>,
    /// The steps.
    pub code: Program,
}

/// A graph over rows of one instrument. A row holds the numbers of all streams that the graph reads, known at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct RowPlan {
    /// The graph's digest: 64 characters.
    pub digest: String,
    /// What each column of a row holds.
    pub fields: Vec<String>,
    /// Names of the features.
    pub features: Vec<String>,
    /// Rows are bars of this many nanoseconds, none of which may be missing; 0 if they are not.
    pub step_ns: i64,
    /// What runs at each row, in order: each reads programs before it.
    pub programs: Vec<RowProgram>,
    /// The program whose registers make the vector.
    pub on: usize,
    /// Register of each feature in that program.
    pub columns: Vec<Reg>,
}

/// Why bytes are no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanFault(pub &'static str);

impl fmt::Display for PlanFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the compiled plan cannot be read: {}. Compile the graph again",
            self.0
        )
    }
}

impl std::error::Error for PlanFault {}

impl From<Exhausted> for PlanFault {
    fn from(_: Exhausted) -> Self {
        Self("it ends too early")
    }
}

fn refuse<T>(why: &'static str) -> Result<T, PlanFault> {
    Err(PlanFault(why))
}

fn check(holds: bool, why: &'static str) -> Result<(), PlanFault> {
    if holds { Ok(()) } else { Err(PlanFault(why)) }
}

impl RowPlan {
    /// The plan as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        put_text(&mut out, &self.digest);
        for names in [&self.fields, &self.features] {
            put_size(&mut out, names.len());
            names.iter().for_each(|name| put_text(&mut out, name));
        }
        put_i64(&mut out, self.step_ns);
        put_size(&mut out, self.programs.len());
        for program in &self.programs {
            put_inputs(&mut out, &program.inputs);
            put_size(&mut out, program.lasts.len());
            for &(reg, of, export) in &program.lasts {
                [usize::from(reg), of, export]
                    .into_iter()
                    .for_each(|size| put_size(&mut out, size));
            }
            put_program(&mut out, &program.code);
        }
        put_size(&mut out, self.on);
        put_sizes(&mut out, &self.columns);
        let checksum = crc32fast::hash(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    /// The plan that [`RowPlan::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PlanFault> {
        let Some((body, checksum)) = bytes.split_last_chunk::<4>() else {
            return refuse("it is empty");
        };
        let Some(mut rest) = body.strip_prefix(MAGIC) else {
            return refuse("it does not begin like one of this version");
        };
        check(
            crc32fast::hash(body) == u32::from_le_bytes(*checksum),
            "its checksum does not match",
        )?;
        let rest = &mut rest;
        let digest = take_text(rest)?;
        check(
            digest.len() == 64 && digest.bytes().all(|c| c.is_ascii_hexdigit()),
            "its graph's digest is none",
        )?;
        let (fields, features) = (take_names(rest)?, take_names(rest)?);
        let step_ns = take_i64(rest)?;
        check(step_ns >= 0, "its bars have a length below 0")?;
        let mut programs = Vec::new();
        let mut state = 0;
        for _ in 0..take_size(rest, PROGRAMS_MAX)? {
            let program = take_row_program(rest, fields.len(), &programs, &mut state)?;
            programs.push(program);
        }
        let on = take_size(rest, PROGRAMS_MAX)?;
        let Some(last) = programs.get(on) else {
            return refuse("it has no program that makes a vector");
        };
        let columns = take_sizes(rest, last.code.registers)?;
        check(
            columns.len() == features.len(),
            "its features and their registers are not as many",
        )?;
        check(rest.is_empty(), "it goes on after its end")?;
        Ok(Self {
            digest,
            fields,
            features,
            step_ns,
            programs,
            on,
            columns,
        })
    }
}

fn put_size(out: &mut Vec<u8>, size: usize) {
    put_u64(out, size as u64);
}

fn put_sizes(out: &mut Vec<u8>, sizes: &[usize]) {
    put_size(out, sizes.len());
    sizes.iter().for_each(|&size| put_size(out, size));
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_size(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// A number up to and with `most`.
fn take_size(bytes: &mut &[u8], most: usize) -> Result<usize, PlanFault> {
    let size = take_u64(bytes)?;
    check(size <= most as u64, "a number in it is too large")?;
    Ok(size as usize)
}

/// A register of the first `registers`.
fn take_reg(bytes: &mut &[u8], registers: usize) -> Result<Reg, PlanFault> {
    let reg = take_size(bytes, SPAN)?;
    check(reg < registers, "it reads a register before it is written")?;
    Ok(reg)
}

/// Registers of the first `registers`.
fn take_sizes(bytes: &mut &[u8], registers: usize) -> Result<Vec<Reg>, PlanFault> {
    let count = take_size(bytes, SPAN)?;
    (0..count).map(|_| take_reg(bytes, registers)).collect()
}

fn take_text(bytes: &mut &[u8]) -> Result<String, PlanFault> {
    let length = take_size(bytes, NAME_MAX)?;
    let Some((text, rest)) = bytes.split_at_checked(length) else {
        return Err(Exhausted.into());
    };
    *bytes = rest;
    match std::str::from_utf8(text) {
        Ok(text) => Ok(text.to_string()),
        Err(_) => refuse("a name in it is no text"),
    }
}

fn take_names(bytes: &mut &[u8]) -> Result<Vec<String>, PlanFault> {
    let count = take_size(bytes, NAMES_MAX)?;
    (0..count).map(|_| take_text(bytes)).collect()
}

fn take_flag(bytes: &mut &[u8]) -> Result<bool, PlanFault> {
    match take(bytes)? {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => refuse("a flag in it is neither 0 nor 1"),
    }
}

/// None as 0, else one more than the number.
fn put_option(out: &mut Vec<u8>, of: Option<usize>) {
    put_size(out, of.map_or(0, |of| of + 1));
}

fn take_option(bytes: &mut &[u8], below: usize) -> Result<Option<usize>, PlanFault> {
    Ok(take_size(bytes, below)?.checked_sub(1))
}

fn put_inputs(out: &mut Vec<u8>, inputs: &RowInputs) {
    put_size(out, inputs.columns.len());
    for &(reg, column) in &inputs.columns {
        put_size(out, usize::from(reg));
        put_size(out, column);
    }
    put_size(out, inputs.ones.len());
    inputs
        .ones
        .iter()
        .for_each(|&reg| put_size(out, usize::from(reg)));
    out.push(inputs.sides.is_some().into());
    let Some(sides) = &inputs.sides else { return };
    out.push(sides.is_book().into());
    for levels in sides.levels() {
        put_size(out, levels.len());
        for level in levels {
            put_option(out, level.price);
            put_option(out, level.qty);
        }
    }
    put_size(out, sides.inputs().len());
    for input in sides.inputs() {
        put_size(out, usize::from(input.reg));
        put_size(out, input.side);
        put_size(out, input.level);
        out.push(input.price.into());
    }
}

/// A program behind those `before` it, whose bytes of state are counted. Every register that is fed is so once, and those are
/// the first ones.
fn take_row_program(
    bytes: &mut &[u8],
    columns: usize,
    before: &[RowProgram],
    state: &mut usize,
) -> Result<RowProgram, PlanFault> {
    let inputs = take_inputs(bytes, columns)?;
    let mut lasts = Vec::new();
    for _ in 0..take_size(bytes, SPAN)? {
        let reg = take_size(bytes, SPAN - 1)? as Slot;
        let (of, export) = (take_size(bytes, PROGRAMS_MAX)?, take_size(bytes, SPAN)?);
        let known = before
            .get(of)
            .is_some_and(|program| export < program.code.exports.len());
        check(known, "it samples what no program before it exports")?;
        lasts.push((reg, of, export));
    }
    let of_columns = inputs.columns.iter().map(|&(reg, _)| reg);
    let of_programs = lasts.iter().map(|&(reg, ..)| reg);
    let mut fed: Vec<Slot> = (of_columns.chain(of_programs))
        .chain(inputs.ones.iter().copied())
        .collect();
    fed.sort_unstable();
    let in_order = fed
        .iter()
        .enumerate()
        .all(|(i, &reg)| i == usize::from(reg));
    check(in_order, "an input of it is fed twice or never")?;
    let mut of_sides = inputs.sides.iter().flat_map(|sides| sides.inputs());
    let sides_fed = of_sides.all(|input| usize::from(input.reg) < fed.len());
    check(sides_fed, "a level feeds no input")?;
    Ok(RowProgram {
        code: take_program(bytes, fed.len(), state)?,
        inputs,
        lasts,
    })
}

/// What rows of so many columns feed.
fn take_inputs(bytes: &mut &[u8], columns: usize) -> Result<RowInputs, PlanFault> {
    let slot = |bytes: &mut &[u8]| Ok::<_, PlanFault>(take_size(bytes, SPAN - 1)? as Slot);
    let mut inputs = RowInputs::default();
    for _ in 0..take_size(bytes, SPAN)? {
        let reg = slot(bytes)?;
        let column = take_size(bytes, columns)?;
        check(column < columns, "it reads a column that rows do not have")?;
        inputs.columns.push((reg, column));
    }
    for _ in 0..take_size(bytes, SPAN)? {
        inputs.ones.push(slot(bytes)?);
    }
    if !take_flag(bytes)? {
        return Ok(inputs);
    }
    let book = take_flag(bytes)?;
    let mut levels: [Vec<Level>; 2] = Default::default();
    for side in &mut levels {
        for _ in 0..take_size(bytes, LEVELS_MAX)? {
            side.push(Level {
                price: take_option(bytes, columns)?,
                qty: take_option(bytes, columns)?,
            });
        }
    }
    let mut of = Vec::new();
    for _ in 0..take_size(bytes, SPAN)? {
        let input = LevelInput {
            reg: slot(bytes)?,
            side: take_size(bytes, 1)?,
            level: take_size(bytes, LEVELS_MAX)?,
            price: take_flag(bytes)?,
        };
        of.push(input);
    }
    inputs.sides = Some(Sides::new(levels, of, book));
    Ok(inputs)
}

fn put_program(out: &mut Vec<u8>, program: &Program) {
    put_size(out, program.consts.len());
    program.consts.iter().for_each(|&x| put_f64(out, x));
    put_size(out, program.ops.len());
    program.ops.iter().for_each(|op| put_op(out, op));
    put_sizes(out, &program.exports);
}

fn take_program(bytes: &mut &[u8], inputs: usize, state: &mut usize) -> Result<Program, PlanFault> {
    let mut consts = Vec::new();
    for _ in 0..take_size(bytes, SPAN)? {
        let x = take_f64(bytes)?;
        check(x.is_finite(), "a constant in it is not finite")?;
        consts.push(x);
    }
    let (mut ops, mut registers) = (Vec::new(), inputs + consts.len());
    for _ in 0..take_size(bytes, SPAN)? {
        let op = take_op(bytes, registers)?;
        for out in op.outputs() {
            check(out == registers, "its registers are not written in order")?;
            registers += 1;
        }
        *state += op.bytes();
        check(*state <= STATE_MAX, "it remembers more than a gigabyte")?;
        ops.push(op);
    }
    check(
        registers <= SPAN,
        "it has more registers than steps can name",
    )?;
    Ok(Program {
        inputs,
        consts,
        ops,
        registers,
        exports: take_sizes(bytes, registers)?,
    })
}

fn put_op(out: &mut Vec<u8>, op: &Op) {
    match op {
        Op::Formula { f, of, out: to } => {
            out.push(0);
            out.push(Formula::OF_BOOK.contains(f).into());
            put_text(out, f.row().name);
            of.iter().chain([to]).for_each(|&reg| put_size(out, reg));
        }
        Op::Lag { f, n, x, out: to } => {
            out.push(1);
            put_text(out, f.row().name);
            [n, x, to].into_iter().for_each(|&reg| put_size(out, reg));
        }
        Op::Imbalance { of, out: to } => {
            out.push(2);
            put_sizes(out, of);
            put_size(out, *to);
        }
        Op::Ofi { of, out: to } => {
            out.push(3);
            of.iter().chain([to]).for_each(|&reg| put_size(out, reg));
        }
        Op::Windows {
            timed,
            content,
            x,
            y,
            cap,
            reads,
        } => {
            out.push(4);
            out.push((*timed).into());
            put_text(out, content_name(*content));
            put_size(out, *x);
            put_option(out, *y);
            put_size(out, *cap);
            put_size(out, reads.len());
            reads.iter().for_each(|read| put_read(out, read));
        }
        Op::Ewm {
            f,
            alpha,
            min_periods,
            x,
            y,
            out: to,
        } => {
            out.push(5);
            put_text(out, f.row().name);
            put_f64(out, *alpha);
            [min_periods, x]
                .into_iter()
                .for_each(|&size| put_size(out, size));
            put_option(out, *y);
            put_size(out, *to);
        }
        Op::Fresh {
            x,
            age,
            ns,
            out: to,
        } => {
            out.push(6);
            put_i64(out, *ns);
            [x, age, to].into_iter().for_each(|&reg| put_size(out, reg));
        }
        Op::Scan {
            f,
            parameters,
            min_periods,
            x,
            out: to,
        } => {
            out.push(7);
            let row = f.row();
            put_text(out, &format!("{}{}", row.family.prefix(), row.name));
            let given = &parameters[..row.parameters.len()];
            given.iter().for_each(|&x| put_f64(out, x));
            [min_periods, x, to]
                .into_iter()
                .for_each(|&size| put_size(out, size));
        }
    }
}

/// An op whose operands are among the first `registers`.
fn take_op(bytes: &mut &[u8], registers: usize) -> Result<Op, PlanFault> {
    let tag = take::<1>(bytes)?;
    let operand = |bytes: &mut &[u8]| take_reg(bytes, registers);
    let result = |bytes: &mut &[u8]| take_size(bytes, SPAN);
    Ok(match tag {
        [0] => {
            let among = match take_flag(bytes)? {
                true => Formula::OF_BOOK,
                false => Formula::OPERATORS,
            };
            let name = take_text(bytes)?;
            let Some(&f) = among.iter().find(|f| f.row().name == name) else {
                return refuse("it has a formula that this version does not know");
            };
            let mut of = [0; OPERANDS_MAX];
            for reg in &mut of {
                *reg = operand(bytes)?;
            }
            Op::Formula {
                f,
                of,
                out: result(bytes)?,
            }
        }
        [1] => {
            let f = known(LagFn::named(&take_text(bytes)?))?;
            let n = take_size(bytes, WINDOW_MAX)?;
            check(n > 0, "a lag in it is 0")?;
            Op::Lag {
                f,
                n,
                x: operand(bytes)?,
                out: result(bytes)?,
            }
        }
        [2] => {
            let of = take_sizes(bytes, registers)?;
            let sound = !of.is_empty() && of.len().is_multiple_of(2);
            check(sound, "the sides of a book in it are not as deep")?;
            Op::Imbalance {
                of,
                out: result(bytes)?,
            }
        }
        [3] => {
            let mut of = [0; 4];
            for reg in &mut of {
                *reg = operand(bytes)?;
            }
            Op::Ofi {
                of,
                out: result(bytes)?,
            }
        }
        [4] => take_windows(bytes, registers)?,
        [5] => {
            let name = take_text(bytes)?;
            let alpha = take_f64(bytes)?;
            let sound =
                alpha > 0.0 && alpha <= 1.0 && Ewm::levels(alpha) <= WINDOW_MAX.ilog2() as usize;
            check(sound, "a weight in it is not above 0 and up to 1")?;
            let min_periods = take_size(bytes, WINDOW_MAX)?;
            let (x, y) = (operand(bytes)?, take_option(bytes, registers)?);
            let series = 1 + usize::from(y.is_some());
            Op::Ewm {
                f: known(Weighted::named(&name, series))?,
                alpha,
                min_periods,
                x,
                y,
                out: result(bytes)?,
            }
        }
        [6] => Op::Fresh {
            ns: take_i64(bytes)?,
            x: operand(bytes)?,
            age: operand(bytes)?,
            out: result(bytes)?,
        },
        [7] => {
            let f = known(Scan::qualified(&take_text(bytes)?))?;
            let mut parameters = [0.0; SCAN_PARAMETERS];
            for (given, parameter) in parameters.iter_mut().zip(f.row().parameters) {
                *given = take_f64(bytes)?;
                let fits = parameter.refusal(*given).is_none();
                check(fits, "a parameter in it is not allowed")?;
            }
            let fits = f.refusal(parameters).is_none();
            check(fits, "parameters in it do not fit each other")?;
            Op::Scan {
                f,
                parameters,
                min_periods: take_size(bytes, WINDOW_MAX)?,
                x: operand(bytes)?,
                out: result(bytes)?,
            }
        }
        _ => return refuse("it has a step that this version does not know"),
    })
}

fn take_windows(bytes: &mut &[u8], registers: usize) -> Result<Op, PlanFault> {
    let timed = take_flag(bytes)?;
    let name = take_text(bytes)?;
    let content = CONTENTS.iter().find(|(_, known)| *known == name);
    let content = known(content.map(|(content, _)| *content))?;
    let x = take_reg(bytes, registers)?;
    let y = take_option(bytes, registers)?;
    check(
        y.is_some() == (content == Content::Pairs),
        "a window in it has not as many series as it keeps",
    )?;
    let cap = take_size(bytes, WINDOW_MAX)?;
    check(cap > 0, "a window in it holds nothing")?;
    let mut reads = Vec::new();
    for _ in 0..take_size(bytes, SPAN)? {
        let read = take_read(bytes, timed, cap, 1 + usize::from(y.is_some()))?;
        let kept = read.stat.content();
        let higher = kept.is_moments() && content.is_moments() && kept < content;
        let sound = kept == content || higher;
        check(sound, "a window in it does not keep what it is asked for")?;
        reads.push(read);
    }
    Ok(Op::Windows {
        timed,
        content,
        x,
        y,
        cap,
        reads,
    })
}

fn put_read(out: &mut Vec<u8>, read: &Read) {
    put_text(out, read.stat.f.row().name);
    put_f64(out, read.stat.parameter());
    match read.window {
        Window::Count(n) => put_size(out, n),
        Window::Time { ns, cap } => {
            put_i64(out, ns);
            put_size(out, cap);
        }
    }
    put_option(out, read.out);
    put_size(out, read.node);
}

/// A statistic of so many series, over a window that reaches back over `cap` values at most.
fn take_read(bytes: &mut &[u8], timed: bool, cap: usize, series: usize) -> Result<Read, PlanFault> {
    let f = known(Statistic::named(&take_text(bytes)?, series))?;
    let given = take_f64(bytes)?;
    let fits = match f.row().parameter {
        Some(parameter) if !given.is_nan() => parameter.refusal(given).is_none(),
        _ => given.is_nan(),
    };
    check(fits, "a parameter in it is not allowed")?;
    let stat = WindowStat::new(f, given);
    let window = if timed {
        let ns = take_i64(bytes)?;
        check(ns > 0, "a window in it has no length")?;
        Window::Time {
            ns,
            cap: take_size(bytes, cap)?,
        }
    } else {
        Window::Count(take_size(bytes, cap)?)
    };
    let (Window::Count(reach) | Window::Time { cap: reach, .. }) = window;
    check(
        reach > 0 && (timed || reach >= stat.least()),
        "a window in it holds fewer values than its statistic needs",
    )?;
    Ok(Read {
        window,
        stat,
        out: take_option(bytes, SPAN)?,
        node: take_size(bytes, u32::MAX as usize)?,
    })
}

const CONTENTS: [(Content, &str); 8] = [
    (Content::Sums, "sums"),
    (Content::Moments, "moments"),
    (Content::Cubes, "cubes"),
    (Content::Quartics, "quartics"),
    (Content::Extremes, "extremes"),
    (Content::Values, "values"),
    (Content::Pairs, "pairs"),
    (Content::Trend, "trend"),
];

fn content_name(content: Content) -> &'static str {
    let found = CONTENTS.iter().find(|(known, _)| *known == content);
    found.map_or("?", |(_, name)| name)
}

fn known<T>(found: Option<T>) -> Result<T, PlanFault> {
    found.ok_or(PlanFault(
        "it has an operator that this version does not know",
    ))
}
