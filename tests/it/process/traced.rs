//! Runs a program under ptrace: every process and program that it starts is seen, and its memory is
//! read when it is about to end.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};

use nix::libc::{
    PTRACE_EVENT_CLONE, PTRACE_EVENT_EXEC, PTRACE_EVENT_EXIT, PTRACE_EVENT_FORK, PTRACE_EVENT_VFORK,
};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use simulation::kubelet::Exec;

#[derive(Default)]
pub struct Seen {
    pub exit: i32,
    pub threads: usize,
    /// Processes that it started; threads are none.
    pub processes: usize,
    /// Programs that it turned into, beside the first.
    pub programs: usize,
    /// What could be read of it at its end: everything that it can write to.
    pub memory: Vec<u8>,
}

impl Seen {
    pub fn remembers(&self, text: &str) -> bool {
        self.memory.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

pub fn run(exec: &Exec, request: &[u8]) -> Seen {
    // The shell stops itself, so that nothing of the program has run when it is taken hold of.
    #[expect(clippy::zombie_processes, reason = "it is waited for below, by its id")]
    let mut child = Command::new("/bin/sh")
        .args(["-c", r#"kill -STOP $$; exec "$0" "$@""#])
        .arg(&exec.program)
        .args(&exec.args)
        .env_clear()
        .envs(exec.config_env.iter().cloned())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(request).unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let stopped = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
    assert_eq!(stopped, WaitStatus::Stopped(pid, Signal::SIGSTOP));
    let options = Options::PTRACE_O_TRACEEXIT
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK;
    ptrace::seize(pid, options).unwrap();
    kill(pid, Signal::SIGCONT).unwrap();
    let mut seen = Seen::default();
    loop {
        // Of this thread's children alone: other tests wait for theirs.
        let all = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        let (at, signal) = match waitpid(None, Some(all)).unwrap() {
            WaitStatus::PtraceEvent(at, _, event) => {
                match event {
                    PTRACE_EVENT_FORK | PTRACE_EVENT_VFORK => seen.processes += 1,
                    PTRACE_EVENT_EXEC => seen.programs += 1,
                    PTRACE_EVENT_CLONE => {
                        let new = ptrace::getevent(at).unwrap();
                        if is_thread_of(new, pid) { seen.threads += 1 } else { seen.processes += 1 }
                    }
                    PTRACE_EVENT_EXIT if at == pid => seen.memory = memory(pid),
                    _ => {}
                }
                (at, None)
            }
            WaitStatus::Stopped(at, signal) => (at, Some(signal)),
            WaitStatus::Exited(at, code) if at == pid => {
                // The shell became the program.
                seen.programs -= 1;
                return Seen { exit: code, ..seen };
            }
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => continue,
            other => panic!("{other:?}"),
        };
        // One that was killed in the meantime is gone.
        let _ = ptrace::cont(at, signal);
    }
}

fn is_thread_of(thread: i64, process: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
    status.lines().any(|line| line == format!("Tgid:\t{process}"))
}

fn memory(pid: Pid) -> Vec<u8> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut all = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        let (from, to) = range.split_once('-').unwrap();
        let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
        if rights.starts_with("rw") {
            let mut part = vec![0; usize::try_from(number(to) - number(from)).unwrap()];
            if memory.read_exact_at(&mut part, number(from)).is_ok() {
                all.extend(part);
            }
        }
    }
    all
}
