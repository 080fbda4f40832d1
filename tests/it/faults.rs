//! `tests/faults`: every fault at every hop, and the result that it must have. The README there says how the
//! table is read.
//!
//! - [`table`]: the table as written, and whether it is complete.
//! - [`case`]: one run of it.
//! - [`renewal`]: what it means for a node that has a login already.
//! - [`run`]: one run of the program on a cloud with a fault.
//! - [`check`]: whether the result is what the row says, and what no run may ever do.

mod case;
mod check;
mod renewal;
mod run;
mod table;

use std::panic::{RefUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;

use self::case::Case;
use self::run::Ran;
use self::table::Tables;
use crate::boot_time::BootTime;

/// Most of a run is waiting, so more of them at a time than there are cores.
const AT_A_TIME: usize = 12;

#[test]
fn the_table_is_complete() {
    let tables = Tables::read();
    let gaps = tables.gaps();
    assert!(gaps.is_empty(), "{}", gaps.join("\n"));
}

/// Runs all rows, or those whose name (`assume-role reset once`) contains `FAULT`.
#[test]
fn every_row_holds_on_a_cold_node() {
    let tables = Tables::read();
    all_hold(&tables, tables.cold(), |case| run::cold(case, &tables));
}

#[test]
fn every_row_of_a_signed_hop_holds_with_the_other_signature() {
    let tables = Tables::read();
    let cases = Tables::with_the_other_signature(&tables.cold());
    all_hold(&tables, cases, |case| run::cold(case, &tables));
}

#[test]
fn every_row_holds_on_a_node_with_an_old_login() {
    let Some(boot_time) = BootTime::or_accepted("faults on a node with an old login") else {
        return;
    };
    let tables = Tables::read();
    all_hold(&tables, tables.with_an_old_login(), |case| {
        run::with_an_old_login(case, &tables, &boot_time)
    });
}

fn all_hold<'t>(
    tables: &Tables,
    mut cases: Vec<Case<'t>>,
    run: impl Fn(&Case<'t>) -> Ran<'t> + Sync + RefUnwindSafe,
) {
    let only = std::env::var("FAULT").unwrap_or_default();
    let known = tables.names().iter().any(|name| name.contains(&only));
    assert!(known, "no row is named like `{only}`");
    cases.retain(|case| case.name().contains(&only));
    let count = cases.len();
    let failures = in_parallel(cases, run);
    println!("{count} faults met");
    let failed = failures.len();
    assert!(failed == 0, "{failed} of {count} rows do not hold:\n\n{}", failures.join("\n\n"));
}

fn in_parallel<'t>(
    cases: Vec<Case<'t>>,
    run: impl Fn(&Case<'t>) -> Ran<'t> + Sync + RefUnwindSafe,
) -> Vec<String> {
    let queue = Mutex::new(cases.into_iter());
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let Some(case) = queue.lock().unwrap().next() else { return };
                    let wrong = catch_unwind(|| wrong_with(&case, &run(&case)))
                        .unwrap_or_else(|_| vec!["the test itself panicked, see above".to_owned()]);
                    if !wrong.is_empty() {
                        let told = format!("{}:\n  {}", case.name(), wrong.join("\n  "));
                        failures.lock().unwrap().push(told);
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    failures
}

fn wrong_with(case: &Case<'_>, ran: &Ran<'_>) -> Vec<String> {
    let mut wrong = check::broken_promises(ran);
    let differing = check::differing(case, ran);
    match (case.deviates, differing.is_empty()) {
        (false, _) => wrong.extend(differing),
        (true, false) => {}
        (true, true) => wrong.push("it holds: take it out of deviations.yaml".to_owned()),
    }
    if !wrong.is_empty() {
        wrong.push(format!("stderr is\n{}", ran.outcome.stderr_text()));
    }
    wrong
}
