//! What a caller writes to stdin, read with a bound in size and in time.

use std::io;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::failure::{Exit, Failure};
use crate::system::clock;

/// Largest text that is read, in bytes.
const MOST: usize = 1024 * 1024;
/// Room for a request without a pod's token, in bytes. More is made as it fills.
const ROOM: usize = 1024;
/// Callers write at once and close stdin. One that forgets to close it would wait for us forever.
const LONGEST: Duration = Duration::from_secs(10);

/// Reads stdin to its end, for a process that was started at this instant.
///
/// # Errors
///
/// When stdin cannot be read, holds too much, or stays open for too long.
pub fn read(start: Instant) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::with_capacity(ROOM);
    loop {
        wait(start)?;
        text.reserve(1);
        // Past the buffer of `Stdin`, which is never given back and would keep the pod's token.
        match rustix::io::read(io::stdin(), spare_capacity(&mut text)) {
            Ok(0) => return Ok(text),
            Ok(_) if text.len() > MOST => {
                return Err(Failure::new(Exit::Usage, "the text on stdin is larger than 1 MiB"));
            }
            Ok(_) | Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
}

/// Until there is something to read, or the end.
fn wait(start: Instant) -> Result<(), Failure> {
    let stdin = io::stdin();
    let left = LONGEST.saturating_sub(clock::instant().saturating_duration_since(start));
    let left = Timespec::try_from(left).map_err(|_| unreadable(Errno::INVAL))?;
    match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&left)) {
        Ok(0) => Err(Failure::new(
            Exit::OutOfTime,
            format!("stdin is still open after {} s: the request has no end", LONGEST.as_secs()),
        )
        .hint("the caller must close stdin behind what it writes")),
        // What is wrong with it, if anything, is what reading it says.
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(unreadable(error)),
    }
}

fn unreadable(error: Errno) -> Failure {
    let error = io::Error::from(error);
    Failure::new(Exit::Usage, format!("stdin cannot be read: {error}"))
}
