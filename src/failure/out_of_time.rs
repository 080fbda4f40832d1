//! What the time went to, where it ran out.

use std::time::Duration;

use crate::failure::{Exit, Failure};

/// What comes before anything is asked, in a run for the kubelet.
const START: &str = "reading the request on stdin and the configuration";

impl Failure {
    /// Says what the time went to, if it ran out: `before` was gone before there was anything to
    /// ask, and `longest` is what took most from then on.
    pub fn after(
        mut self,
        timeout: Duration,
        before: Duration,
        longest: Option<(&str, Duration)>,
    ) -> Self {
        if self.exit != Exit::OutOfTime {
            return self;
        }
        let whole = format!("{timeout:?}");
        let start = before > timeout / 2;
        let most = if start { Some((START, before)) } else { longest };
        if start && longest.is_none() {
            let message = format!("out of time before anything was asked: {START} took too long");
            self = Self::new(Exit::OutOfTime, message).passing().hint("see what sends the request on stdin: the request must come at once and must end; a higher `timeout` gives it more time");
        }
        let most =
            most.map(|(what, time)| format!(", and {what} took {:.1}s of it", time.as_secs_f64()));
        self.caused_by(format!("the whole call may take {whole}{}", most.unwrap_or_default()))
    }
}
