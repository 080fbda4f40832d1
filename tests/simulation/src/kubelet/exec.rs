//! A plugin as a process: what the kubelet gives it, and what it takes back.

use std::error::Error;
use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::response::{Refusal, Response, decode_response};

/// One way to run a plugin, as plugin.go `ExecPlugin` does: no shell, no arguments but the
/// configured ones, the request on stdin and then its end, one minute of wall clock.
#[derive(Clone, Debug)]
pub struct Exec {
    /// `<bin-dir>/<name>`, which is `argv[0]` too.
    pub program: PathBuf,
    pub args: Vec<String>,
    /// All that the plugin inherits. A kubelet passes on what systemd gave it, which may lack HOME;
    /// the environment of the test process never leaks in.
    pub kubelet_env: Vec<(String, String)>,
    /// `env` of the provider's configuration; wins over the kubelet's own.
    pub config_env: Vec<(String, String)>,
    pub timeout: Duration,
}

impl Exec {
    /// `program` with no arguments, an empty environment and the kubelet's timeout.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            kubelet_env: Vec::new(),
            config_env: Vec::new(),
            timeout: Duration::from_secs(60),
        }
    }

    /// Runs the plugin to its end. An error means that it could not be started.
    ///
    /// When the time is up the process gets SIGKILL at once, and its children get nothing.
    pub fn run(&self, request: &[u8]) -> io::Result<Outcome> {
        let started = now();
        let mut child = Command::new(&self.program)
            .args(&self.args)
            .env_clear()
            .envs(self.kubelet_env.iter().cloned())
            .envs(self.config_env.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(stdin) = child.stdin.take() {
            feed(stdin, request.to_vec());
        }
        let stdout = child.stdout.take().map(Collector::start);
        let stderr = child.stderr.take().map(Collector::start);
        let exit = wait(&mut child, started + self.timeout)?;
        let (stdout, stdout_ended) = stdout.map(Collector::finish).unwrap_or_default();
        let (stderr, stderr_ended) = stderr.map(Collector::finish).unwrap_or_default();
        Ok(Outcome {
            exit,
            stdout,
            stderr,
            duration: started.elapsed(),
            pipes_left_open: !(stdout_ended && stderr_ended),
        })
    }
}

/// The result of one run.
#[derive(Clone, PartialEq)]
pub struct Outcome {
    pub exit: Exit,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub duration: Duration,
    /// A process left behind still holds stdout or stderr. A kubelet would go on waiting for it,
    /// past the minute; the simulation gives up after a few seconds and says so here.
    pub pipes_left_open: bool,
}

impl Outcome {
    /// What the kubelet makes of it: stdout counts only after exit code 0, and stderr only after
    /// any other end.
    pub fn answer(&self, configured_api_version: &str) -> Result<Response, Failure> {
        if self.exit == Exit::Code(0) {
            return decode_response(&self.stdout, configured_api_version).map_err(Failure::Refused);
        }
        Err(Failure::Exec { exit: self.exit, stderr: self.stderr_text() })
    }

    #[must_use]
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// Stdout may hold credentials and is not shown.
impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome")
            .field("exit", &self.exit)
            .field("stdout_bytes", &self.stdout.len())
            .field("stderr", &self.stderr_text())
            .field("duration", &self.duration)
            .field("pipes_left_open", &self.pipes_left_open)
            .finish()
    }
}

/// How the process ended. All codes but 0 are equal to the kubelet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    Signal(i32),
    TimedOut,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(number) => write!(f, "signal: {number}"),
            Self::TimedOut => f.write_str("context deadline exceeded"),
        }
    }
}

/// Why the provider yields nothing. Every failure is soft: the pull goes on with other
/// credentials or anonymously, and no pod event mentions the plugin.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// The process did not end with exit code 0. Only here does stderr reach the kubelet's log.
    Exec {
        exit: Exit,
        stderr: String,
    },
    Refused(Refusal),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exec { exit, stderr } => write!(f, "{exit}: {stderr}"),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl Error for Failure {}

/// How long to wait for the end of the streams once the process has ended.
const PIPE_GRACE: Duration = Duration::from_secs(3);

const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// Writes in the background: a plugin that does not read must not block the kubelet. A plugin that
/// closes its end early is not an error.
fn feed(mut stdin: impl Write + Send + 'static, request: Vec<u8>) {
    thread::spawn(move || {
        let _ = stdin.write_all(&request);
    });
}

#[expect(clippy::disallowed_methods, reason = "a process has no other clock to be measured by")]
fn now() -> Instant {
    Instant::now()
}

fn wait(child: &mut Child, deadline: Instant) -> io::Result<Exit> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(exit_of(status));
        }
        if now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(Exit::TimedOut);
        }
        thread::sleep(POLL_INTERVAL);
    }
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    }
}

/// Reads one stream to its end, without a limit, as the kubelet does.
struct Collector {
    collected: Arc<Mutex<Vec<u8>>>,
    ended: Receiver<()>,
}

impl Collector {
    fn start(mut stream: impl Read + Send + 'static) -> Self {
        let collected = Arc::new(Mutex::new(Vec::new()));
        let (end, ended) = mpsc::channel();
        let shared = Arc::clone(&collected);
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            loop {
                match stream.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(length) => shared
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .extend_from_slice(buffer.get(..length).unwrap_or_default()),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
            let _ = end.send(());
        });
        Self { collected, ended }
    }

    /// What was read, and whether the stream has ended.
    fn finish(self) -> (Vec<u8>, bool) {
        let ended = self.ended.recv_timeout(PIPE_GRACE).is_ok();
        let mut collected = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut collected), ended)
    }
}

#[cfg(test)]
mod tests {
    use super::super::response::CacheKeyType;
    use super::*;

    const V1: &str = "credentialprovider.kubelet.k8s.io/v1";

    /// A plugin that is a shell script.
    fn script(text: &str) -> Exec {
        Exec { args: vec!["-c".to_owned(), text.to_owned()], ..Exec::new("/bin/sh") }
    }

    fn run(text: &str, request: &[u8]) -> Outcome {
        script(text).run(request).unwrap()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn the_request_arrives_and_ends() {
        let outcome = run("cat", b"request\n");
        assert_eq!(outcome.exit, Exit::Code(0));
        assert_eq!(outcome.stdout, b"request\n");
        assert!(!outcome.pipes_left_open);
    }

    #[test]
    fn a_plugin_need_not_read_its_request() {
        let request = vec![b'x'; 1 << 20];
        assert_eq!(run("exit 0", &request).exit, Exit::Code(0));
    }

    #[test]
    fn large_answers_on_both_streams_are_collected_whole() {
        let outcome = run("head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2", b"");
        assert_eq!((outcome.stdout.len(), outcome.stderr.len()), (300_000, 300_000));
    }

    #[test]
    fn the_environment_is_the_given_one_alone() {
        let mut exec = script("echo \"${HOME-none} ${PATH_WANTED} ${BOTH}\"");
        exec.kubelet_env = vec![pair("PATH_WANTED", "k"), pair("BOTH", "kubelet")];
        exec.config_env = vec![pair("BOTH", "first"), pair("BOTH", "last")];
        assert_eq!(exec.run(b"").unwrap().stdout, b"none k last\n");
    }

    #[test]
    fn stdout_counts_after_exit_code_0_only() {
        let valid = format!(
            r#"echo '{{"apiVersion":"{V1}","kind":"CredentialProviderResponse","cacheKeyType":"Image"}}'"#
        );
        let answer = run(&format!("{valid}; echo warning >&2"), b"").answer(V1).unwrap();
        assert_eq!(answer.cache_key_type, CacheKeyType::Image);
        let failure = run(&format!("{valid}; echo 'error: no' >&2; exit 3"), b"").answer(V1);
        let stderr = "error: no\n".to_owned();
        assert_eq!(failure, Err(Failure::Exec { exit: Exit::Code(3), stderr }));
        assert_eq!(failure.unwrap_err().to_string(), "exit status 3: error: no\n");
    }

    #[test]
    fn an_empty_answer_is_refused() {
        let failure = run("exit 0", b"").answer(V1).unwrap_err();
        assert!(matches!(failure, Failure::Refused(Refusal::NoTypeMeta { .. })), "{failure}");
    }

    #[test]
    fn a_signal_is_a_failure() {
        assert_eq!(run("kill -TERM $$", b"").exit, Exit::Signal(15));
    }

    #[test]
    fn a_plugin_that_takes_too_long_is_killed() {
        let mut exec = script("trap '' TERM; exec sleep 30");
        exec.timeout = Duration::from_millis(200);
        let outcome = exec.run(b"").unwrap();
        assert_eq!(outcome.exit, Exit::TimedOut);
        assert!(outcome.duration < Duration::from_secs(20), "{outcome:?}");
        let failure = outcome.answer(V1).unwrap_err();
        assert_eq!(failure.to_string(), "context deadline exceeded: ");
    }

    #[test]
    fn a_process_left_behind_is_noticed() {
        let outcome = run("sleep 20 & echo done", b"");
        assert_eq!(outcome.exit, Exit::Code(0));
        assert_eq!(outcome.stdout, b"done\n");
        assert!(outcome.pipes_left_open);
    }

    #[test]
    fn a_missing_binary_is_an_error() {
        assert!(Exec::new("/nowhere/plugin").run(b"").is_err());
    }

    #[test]
    fn debug_text_does_not_show_stdout() {
        let outcome = run("echo s3cr3t", b"");
        assert!(!format!("{outcome:?}").contains("s3cr3t"));
    }
}
