//! A cold answer when STS and ACR are far away: no more than the round trips that must be.
//!
//! [`Identity::round_trips`] says which these are. A process that has just begun has no session to resume,
//! so TLS needs its round trip. The metadata service is asked too, but is on the machine itself: no
//! distance is put in front of it.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::link;
use crate::process::{median, now};
use crate::report::{self, Report, ms};
use crate::subject::{Calls, Identity, Subject, Way};

const ROUNDS: usize = 20;
const ONE_WAY: Duration = Duration::from_millis(20);

/// Beyond the round trips, in parts of their time.
const BEYOND: f64 = 0.10;

pub fn measure(report: &mut Report, subject: &Subject) -> Result<(), Box<dyn Error>> {
    let round_trip = 2 * ONE_WAY;
    report::section(
        "with STS and ACR far away",
        &format!(
            "{ONE_WAY:?} each way to STS and to ACR, by a relay that also counts TCP's handshake;
             medians of {ROUNDS} runs. `near` is the same through a relay without delay"
        ),
    );
    control(report, round_trip)?;
    let straight = subject.straight()?;
    let (near, far) = (relayed(straight, Duration::ZERO)?, relayed(straight, ONE_WAY)?);
    report::row("", &["round trips", "these alone", "near", "far", "beyond"].map(str::to_owned));
    for identity in Identity::ALL {
        let (mut walls_near, mut walls_far) = (Vec::new(), Vec::new());
        let before = subject.seen();
        for _ in 0..ROUNDS {
            for (way, walls) in [(near, &mut walls_near), (far, &mut walls_far)] {
                let program = subject.program(identity, way)?;
                subject.forget(identity, way)?;
                walls.push(program.cost()?.wall);
            }
        }
        let seen = subject.seen().since(before);
        let trips = identity.round_trips();
        let alone = round_trip * u32::try_from(trips)?;
        let (near, far) = (median(walls_near.into_iter()), median(walls_far.into_iter()));
        let beyond = far.as_secs_f64() / alone.as_secs_f64() - 1.0;
        report::row(
            identity.name(),
            &[trips.to_string(), ms(alone), ms(near), ms(far), format!("{:.1} %", beyond * 100.0)],
        );
        expect_calls(report, identity, seen);
        let what = format!("{}: beyond its round trips", identity.name());
        report.at_most(&what, beyond * 100.0, BEYOND * 100.0, " %");
    }
    Ok(())
}

fn expect_calls(report: &mut Report, identity: Identity, seen: Calls) {
    let expected = identity.calls().times(2 * ROUNDS);
    let what = format!("{}: no call or connection too many", identity.name());
    report.holds(&what, seen == expected, &format!("{seen:?}"));
}

fn relayed(way: Way, one_way: Duration) -> Result<Way, Box<dyn Error>> {
    let (sts, cr) = (link::distant(way.sts, one_way)?, link::distant(way.cr, one_way)?);
    Ok(Way { sts, cr, ..way })
}

/// What the relay itself does to a round trip: a connection and one byte there and back are two.
fn control(report: &mut Report, round_trip: Duration) -> Result<(), Box<dyn Error>> {
    let echo = link::distant(echo()?, ONE_WAY)?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let start = now();
        let mut stream = TcpStream::connect(echo)?;
        stream.set_nodelay(true)?;
        stream.write_all(b"x")?;
        stream.read_exact(&mut [0])?;
        times.push(start.elapsed() / 2);
    }
    let measured = median(times.into_iter());
    report::row("control: a round trip over the relay", &[ms(measured)]);
    let off = measured.as_secs_f64() / round_trip.as_secs_f64() - 1.0;
    report.holds(
        "the relay delays as it should",
        (0.0..0.03).contains(&off),
        &format!("{:+.1} %", off * 100.0),
    );
    Ok(())
}

fn echo() -> Result<SocketAddr, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut byte = [0];
            if stream.read_exact(&mut byte).is_ok() {
                let _ = stream.write_all(&byte);
            }
        }
    });
    Ok(address)
}
