//! The most memory that a process had resident, without what its parent had.
//!
//! `ru_maxrss` of a child begins with the parent's own maximum at the fork and survives the exec,
//! so it says nothing about a small program under a large one. `VmHWM` in `/proc` is counted again
//! from the exec on, but is gone with the process: so the process is stopped on its way out, by
//! ptrace, and read there.

use std::error::Error;
use std::fs;
use std::process::Stdio;

use nix::libc::PTRACE_EVENT_EXIT;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::process::Program;

/// What a process had at its end, in KiB.
#[derive(Clone, Copy)]
pub struct Memory {
    /// The most that was resident.
    pub most: u64,
    /// What it shares with no other process and no file.
    pub private: u64,
}

/// Runs a program and gives its memory.
pub fn peak(program: &Program) -> Result<Memory, Box<dyn Error>> {
    // The shell stops itself, so that nothing of the program has run when it is taken hold of.
    let mut command = program.command("/bin/sh")?;
    command.args(["-c", r#"kill -STOP $$; exec "$0" "$@""#]).arg(&program.path).args(&program.args);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    match waitpid(pid, Some(WaitPidFlag::WUNTRACED))? {
        WaitStatus::Stopped(_, Signal::SIGSTOP) => {}
        other => return Err(format!("the shell did not stop: {other:?}").into()),
    }
    ptrace::seize(pid, Options::PTRACE_O_TRACEEXIT)?;
    kill(pid, Signal::SIGCONT)?;
    let mut memory = None;
    loop {
        match waitpid(pid, None)? {
            WaitStatus::PtraceEvent(_, _, PTRACE_EVENT_EXIT) => {
                let process = pid.to_string();
                let most = high_water_mark(&process)?;
                memory = Some(Memory { most, private: private(&process)? });
                ptrace::cont(pid, None)?;
            }
            WaitStatus::PtraceEvent(..) => ptrace::cont(pid, None)?,
            WaitStatus::Stopped(_, signal) => ptrace::cont(pid, signal)?,
            WaitStatus::Exited(_, 0) => break,
            other => return Err(format!("{}: {other:?}", program.path.display()).into()),
        }
    }
    memory.ok_or_else(|| "the process ended unseen".into())
}

/// Of a process that is there; `self` is this one.
pub fn high_water_mark(process: &str) -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or("no VmHWM")?;
    Ok(number.parse()?)
}

/// What a process has changed of its memory.
fn private(process: &str) -> Result<u64, Box<dyn Error>> {
    let maps = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = maps.lines().find_map(|line| line.strip_prefix("Private_Dirty:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or("no Private_Dirty")?;
    Ok(number.parse()?)
}
