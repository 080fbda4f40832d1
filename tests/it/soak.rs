//! Nodes that pull for as long as it is asked for, on clouds in which everything goes wrong
//! at random: every hop fails in every way of `tests/faults`, credentials are rotated, processes are
//! killed, clocks step. The result is judged by what a kubelet and a registry would do with it.
//!
//! `SOAK=3600 cargo test --test it soak -- --nocapture` runs for an hour, `SOAK_SEED` asks for
//! another chance than 1, and `SOAK_NODE=489` for that node alone, which a run has named.
//!
//! - [`weather`]: what goes wrong, at random.
//! - [`files`]: `setup` on the node's files.
//! - [`pulls`]: the registries, identities and requests.
//! - [`stalls`]: when the machine itself stood still.
//! - [`judge`]: whether the result of a pull is right.

mod files;
mod judge;
mod pulls;
mod stalls;
mod weather;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use self::files::Files;
use self::judge::Table;
use self::pulls::Place;
use self::weather::Weather;
use crate::fleet::chance::Chance;

/// Seconds, unless `SOAK` says otherwise.
const SHORT: u64 = 20;

/// Nodes at a time: most of a pull is waiting.
const NODES: usize = 6;

/// Steps in the life of one node; then another one begins, with another cloud.
const STEPS: u32 = 30;

#[test]
fn soak() {
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).map_or(otherwise, |text| text.parse().expect("a whole number"))
    };
    let (seconds, seed) = (number("SOAK", SHORT), number("SOAK_SEED", 1));
    let (began, lives) = (Instant::now(), AtomicU64::new(0));
    let table = Mutex::new(Table::default());
    let is_over = || began.elapsed() >= Duration::from_secs(seconds);
    // One of them again, from its first step to its last.
    if let Ok(life) = std::env::var("SOAK_NODE") {
        let life = life.parse().expect("the number of a node");
        table.lock().unwrap().add(live(chance(seed, life), &|| false), seed, life);
        return finish(&table.into_inner().unwrap(), seconds, seed, 1);
    }
    thread::scope(|scope| {
        scope.spawn(|| stalls::watch(&is_over));
        for _ in 0..NODES {
            scope.spawn(|| {
                while !is_over() {
                    let life = lives.fetch_add(1, Ordering::Relaxed);
                    let pulls = live(chance(seed, life), &is_over);
                    table.lock().unwrap().add(pulls, seed, life);
                }
            });
        }
    });
    finish(&table.into_inner().unwrap(), seconds, seed, lives.into_inner());
}

fn chance(seed: u64, life: u64) -> Chance {
    Chance(seed.wrapping_mul(1_000_003) + life)
}

fn finish(table: &Table, seconds: u64, seed: u64, nodes: u64) {
    println!("soak of {seconds} s, seed {seed}, {nodes} nodes\n{table}");
    assert!(table.pulls > 0 && table.right > 0, "nothing was pulled");
    assert!(table.wrong.is_empty(), "wrong:\n{}", table.wrong.join("\n"));
    assert!(table.out_of_time * 20 < table.right, "it is out of time too often");
    assert!(table.stood_still * 100 < table.pulls, "the machine stands still all the time");
    assert_eq!(table.secrets, 0, "secrets were seen in an output");
}

/// One node on one cloud.
fn live(mut chance: Chance, is_over: &impl Fn() -> bool) -> Table {
    let mut table = Table::default();
    let mut place = Place::new(&mut chance);
    let mut files = Files::new();
    for _ in 0..STEPS {
        if is_over() {
            break;
        }
        place.let_time_pass(&mut chance, &mut table);
        let weather = Weather::by_chance(&mut chance);
        place.set(&weather);
        let before = place.calls();
        if chance.one_in(20) {
            place.kill_one(&mut chance, &mut table);
        }
        let pulled = place.pull_some(&mut chance);
        let trouble = place.trouble(&weather, before);
        place.look_for_throttling(before);
        for pulled in &pulled {
            judge::pull(&place, pulled, &weather, &trouble, &mut table);
        }
        if chance.one_in(6) {
            files.change(&mut chance, &mut table);
        }
        if chance.one_in(8) {
            let outcome = place.node.exec(&["refresh"]).run(&[]).unwrap();
            judge::refresh(&place, &outcome, &mut table);
        }
    }
    for violation in place.node.cloud.violations() {
        table.wrong.push(format!("violation: {violation}"));
    }
    table
}
