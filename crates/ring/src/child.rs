use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use crate::{Client, RingError};

/// A worker process as its parent sees it. Dropping it closes the pipes, not the process: whoever spawned it reaps it.
pub struct Child {
    /// Its process id.
    pub pid: u32,
    /// What it prints to standard output.
    pub stdout: OwnedFd,
    /// What it prints to standard error.
    pub stderr: OwnedFd,
}

impl Client {
    /// Starts the worker process `argv` with this ring as its standard input. Files that are close-on-exec, as
    /// Rust and Python open them, are not inherited: other rings in particular.
    ///
    /// Uses posix_spawn, so that the size of this process does not matter. Call it from a thread that lives as long as
    /// the worker shall: a worker that asked to die with its parent dies with the *thread* that spawned it.
    pub fn spawn(&mut self, argv: &[OsString]) -> Result<Child, RingError> {
        let Some((program, arguments)) = argv.split_first() else {
            return Err(RingError::Usage("spawn needs a program".into()));
        };
        let os = |source| RingError::Os {
            doing: "start a worker process",
            source,
        };
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::from(self.take_fd()?))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(os)?;
        match (child.stdout.take(), child.stderr.take()) {
            (Some(stdout), Some(stderr)) => Ok(Child {
                pid: child.id(),
                stdout: stdout.into(),
                stderr: stderr.into(),
            }),
            _ => Err(RingError::Usage("a worker process without pipes".into())),
        }
    }
}

/// Ends this process when the thread that spawned it ends. False if that has happened already (`parent` is not the
/// parent any more): the caller should end.
pub fn die_with_parent(parent: u32) -> bool {
    // SAFETY: both calls take and give plain numbers.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong);
        libc::getppid() as u32 == parent
    }
}
