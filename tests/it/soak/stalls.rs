//! When the machine stood still: a virtual machine may be held for a minute by its host, and what
//! was under way then is nobody's fault.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// How closely it is looked, and what counts as standing still.
const LOOK: Duration = Duration::from_millis(200);
const STILL: Duration = Duration::from_secs(2);

/// The moments before and after.
static STALLS: Mutex<Vec<(Instant, Instant)>> = Mutex::new(Vec::new());

/// Looks until it is over.
pub fn watch(is_over: &impl Fn() -> bool) {
    while !is_over() {
        let before = Instant::now();
        thread::sleep(LOOK);
        let after = Instant::now();
        if after - before > STILL {
            println!("the machine stood still for {:.1} s", (after - before).as_secs_f64());
            STALLS.lock().unwrap().push((before, after));
        }
    }
}

/// Whether it stood still at any time since.
pub fn since(began: Instant) -> bool {
    // The watch may be the last to wake up.
    thread::sleep(2 * LOOK);
    STALLS.lock().unwrap().iter().any(|(_, after)| *after > began)
}
