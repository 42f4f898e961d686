//! How the engine will run a graph: programs for each stream, registers numbered, state known beforehand.

use crate::graph::Graph;
use crate::operator::{Cross, NodeId};
use crate::stream::{Field, Scope, Source, Stream};
use crate::time_fn::TimeFn;

pub use signal_runtime::op::{Op, Read, Reg};

/// What a program loads before it runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// A number of its own stream's event.
    Field(Field),
    /// The last value known of another program's register.
    Last {
        /// Index in [`Plan::programs`].
        program: usize,
        /// Index in that program's exports.
        export: usize,
    },
    /// A window of another program, evaluated at this moment.
    Window {
        /// Index in [`Plan::programs`].
        program: usize,
        /// Index in that program's ops.
        op: usize,
        /// Index in that op's reads.
        read: usize,
    },
    /// What a function across instruments makes of another program's register, at this moment.
    Section {
        /// Index in [`Plan::programs`].
        program: usize,
        /// Index in [`Plan::sections`].
        section: usize,
    },
    /// Nanoseconds since another program's newest event.
    Age {
        /// Index in [`Plan::programs`].
        program: usize,
    },
    /// A function of the time of the event.
    Time(TimeFn),
}

impl Input {
    /// The other program that is read, if it is one.
    pub fn program(&self) -> Option<usize> {
        match self {
            Self::Field(_) | Self::Time(_) => None,
            Self::Last { program, .. }
            | Self::Window { program, .. }
            | Self::Section { program, .. }
            | Self::Age { program } => Some(*program),
        }
    }

    pub(crate) fn program_mut(&mut self) -> Option<&mut usize> {
        match self {
            Self::Field(_) | Self::Time(_) => None,
            Self::Last { program, .. }
            | Self::Window { program, .. }
            | Self::Section { program, .. }
            | Self::Age { program } => Some(program),
        }
    }
}

/// Bytes of a program, beside its steps.
const PROGRAM: usize = 512;

/// Bytes of an instrument's result of a function across instruments, and of the value that is carried.
const SECTION: usize = 48;

/// What runs at each event of one stream.
#[derive(Clone, Debug)]
pub struct Program {
    /// The stream.
    pub stream: Stream,
    /// Loaded into the first registers of the code, as many as it takes.
    pub inputs: Vec<Input>,
    /// The steps and their registers.
    pub code: signal_runtime::Program,
    /// The graph node that each op computes (the first, where windows share one).
    pub nodes: Vec<NodeId>,
}

/// A function across instruments: of a register of one program, read by programs behind it.
#[derive(Clone, Debug)]
pub struct Section {
    /// Index in [`Plan::programs`].
    pub program: usize,
    /// Index in that program's exports.
    pub export: usize,
    /// The function, and whose values it takes.
    pub cross: Cross,
    /// The graph node that it computes.
    pub node: NodeId,
}

/// A compiled graph.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The graph, shared and validated.
    pub graph: Graph,
    /// Its digest.
    pub digest: String,
    /// Programs in order of evaluation: each reads only programs before it. A stream has several where it and another
    /// one read each other.
    pub programs: Vec<Program>,
    /// The program at whose events a vector is made.
    pub on: usize,
    /// Register of each feature in that program.
    pub columns: Vec<Reg>,
    /// Functions across instruments.
    pub sections: Vec<Section>,
}

impl Plan {
    /// Bytes that an instrument holds at most, once all windows are full: state and steps of every program. Its order book
    /// is not among them, nor what the engine holds once for all instruments (registers, vectors).
    pub fn bytes(&self) -> usize {
        let programs = self.programs.iter().map(|program| {
            let ops: usize = program.code.ops.iter().map(Op::bytes).sum();
            PROGRAM + 16 * program.code.exports.len() + ops
        });
        programs.sum::<usize>() + SECTION * self.sections.len()
    }

    /// Whether the graph reads instruments that it names, or takes values across instruments.
    pub fn reads_others(&self) -> bool {
        !self.sections.is_empty()
            || self
                .programs
                .iter()
                .any(|program| program.stream.scope != Scope::Own)
    }

    /// Streams whose events the graph reads, each once.
    pub fn inputs(&self) -> impl Iterator<Item = &Stream> {
        let programs = self.programs.iter().enumerate();
        let first = programs.filter(|(i, program)| {
            let before = &self.programs[..*i];
            before.iter().all(|other| other.stream != program.stream)
        });
        first
            .map(|(_, program)| &program.stream)
            .filter(|stream| !matches!(stream.source, Source::Clock(_)))
    }
}
