//! The process: allocator, panics, rights, streams and exit code. Everything else is in the library.
//!
//! stdout carries one JSON document, written once at the very end; everything for people goes to
//! stderr, the error first.

#![forbid(unsafe_code)]

use std::alloc::System;
use std::io::{self, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::process::exit;

use aliyun_acr_credential_provider::app::session::Process;
use aliyun_acr_credential_provider::app::{self, Caller, Done};
use aliyun_acr_credential_provider::failure::{Exit, Failure};
use aliyun_acr_credential_provider::secret::Secret;
use aliyun_acr_credential_provider::system::clock;
use aliyun_acr_credential_provider::system::environment::Environment;
use aliyun_acr_credential_provider::system::log::{Journal, Level};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getegid, geteuid, getgid, getuid, set_dumpable_behavior,
    setrlimit,
};
use zeroizing_alloc::ZeroAlloc;

/// Wipes every block of memory that is given back. Secrets pass through buffers that are not ours,
/// of HTTP, TLS and JSON, and through strings that grow; no type of our own could reach those.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() {
    let start = clock::instant();
    std::panic::set_hook(Box::new(|panic| {
        report(panic);
        exit(Exit::Unexpected as i32);
    }));
    forbid_core_dumps();
    #[expect(clippy::disallowed_methods, reason = "the one reading of the environment")]
    let environment = Environment::new(std::env::vars_os());
    #[expect(clippy::disallowed_methods, reason = "the one reading of the arguments")]
    let mut arguments = std::env::args_os();
    let caller = Caller::of(arguments.next().as_deref());
    let journal = Journal::default();
    let level = app::log_level(&environment, &journal);
    let process = Process { start, environment: &environment, journal: &journal, say };
    let outcome = if has_foreign_rights() {
        Err(app::foreign_rights())
    } else {
        app::run(process, caller, arguments)
    };
    let is_quiet = outcome.as_ref().is_ok_and(|done| done.is_for_program);
    let code = finish(outcome, caller);
    let by_default =
        if is_quiet && !io::stderr().is_terminal() { Level::Error } else { Level::Warn };
    say(&journal.text(level.unwrap_or(by_default)));
    exit(code);
}

/// Writes the answer or the failure. The result is the exit code.
fn finish(outcome: Result<Done, Failure>, caller: Caller) -> i32 {
    let failure = match outcome {
        Ok(Done { text, exit, .. }) => match write_answer(&text) {
            Ok(()) => return i32::from(exit),
            Err(error) => app::unwritten(&error),
        },
        Err(failure) => failure,
    };
    let text = format!("{failure}\n");
    if caller == Caller::Docker {
        // docker shows stderr alone, the other clients quote stdout alone.
        let _ = write_answer(&Secret::new(text.as_str()));
    }
    say(&text);
    failure.exit as i32
}

/// The message of a panic may quote a value, so only the place is reported.
fn report(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(|at| format!("{}:{}", at.file(), at.line()));
    say(&format!("{}\n", app::internal_error(place.as_deref())));
}

/// Secrets do not go into core dumps. Either alone does, where a sandbox refuses the other.
fn forbid_core_dumps() {
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// Somebody else's rights and the caller's environment and files do not go together.
fn has_foreign_rights() -> bool {
    getuid() != geteuid() || getgid() != getegid()
}

fn write_answer(answer: &Secret) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(answer.expose().as_bytes())?;
    stdout.flush()
}

/// To stderr; where that is closed nobody reads it.
fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
