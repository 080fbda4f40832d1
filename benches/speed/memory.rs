//! How much memory a run takes at most.

use std::error::Error;
use std::hint::black_box;

use crate::peak_memory::{high_water_mark, peak};
use crate::process::Program;
use crate::report::{self, Report};
use crate::subject::{Identity, Subject};

/// Runs of each; the largest counts.
const RUNS: usize = 10;

const FROM_CACHE_MIB: f64 = 4.0;
const COLD_MIB: f64 = 10.0;
/// Most of it are addresses that a position-independent program corrects when it starts.
const PRIVATE_KIB: u64 = 160;

pub fn measure(report: &mut Report, subject: &Subject) -> Result<(), Box<dyn Error>> {
    report::section(
        "most resident memory",
        &format!("VmHWM as the process ends; the largest of {RUNS} runs"),
    );
    controls(report)?;
    let way = subject.straight()?;
    let program = subject.program(Identity::WorkerRole, way)?;
    program.answer()?;
    let before = subject.seen();
    let kept = largest(|| Ok(peak(&program)?.most))?;
    let private = largest(|| Ok(peak(&program)?.private))?;
    let calls = subject.seen().since(before);
    show("from the cache", kept);
    report.calls("from the cache without a call", calls.requests + calls.metadata, 0);
    report.at_most("from the cache", mib(kept), FROM_CACHE_MIB, " MiB");
    show("from the cache, private", private);
    let limit = PRIVATE_KIB;
    let detail = format!("{private} KiB, limit {limit} KiB");
    report.holds("private memory of an answer from the cache", private <= limit, &detail);
    for identity in Identity::ALL {
        let program = subject.program(identity, way)?;
        let cold = largest(|| {
            subject.forget(identity, way)?;
            Ok(peak(&program)?.most)
        })?;
        show(&format!("cold, {}", identity.name()), cold);
        report.at_most(&format!("cold, {}", identity.name()), mib(cold), COLD_MIB, " MiB");
    }
    Ok(())
}

/// The method counts a program's own memory, and nothing of this one's.
fn controls(report: &mut Report) -> Result<(), Box<dyn Error>> {
    // So that it would show.
    let ballast = vec![1_u8; 64 * 1024 * 1024];
    let parent = high_water_mark("self")?;
    let nothing = largest(|| Ok(peak(&Program::new("/bin/true"))?.most))?;
    let sixteen = Program {
        args: ["if=/dev/zero", "of=/dev/null", "bs=16M", "count=1", "status=none"]
            .map(str::to_owned)
            .into(),
        ..Program::new("/bin/dd")
    };
    let sixteen = peak(&sixteen)?.most;
    drop(black_box(ballast));
    show("control: this benchmark itself", parent);
    show("control: /bin/true", nothing);
    show("control: dd with a buffer of 16 MiB", sixteen);
    report.holds(
        "the method does not count the parent",
        nothing * 10 < parent,
        &format!("/bin/true {:.2} MiB under a parent of {:.2} MiB", mib(nothing), mib(parent)),
    );
    report.holds(
        "and counts what is there",
        (16.0..20.0).contains(&mib(sixteen)),
        &format!("dd {:.2} MiB", mib(sixteen)),
    );
    Ok(())
}

fn largest(mut peak: impl FnMut() -> Result<u64, Box<dyn Error>>) -> Result<u64, Box<dyn Error>> {
    (0..RUNS).try_fold(0, |largest, _| Ok(peak()?.max(largest)))
}

fn show(name: &str, kibibytes: u64) {
    report::row(name, &[format!("{kibibytes} KiB")]);
}

#[expect(clippy::cast_precision_loss, reason = "no process has so much memory")]
fn mib(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1024.0
}
