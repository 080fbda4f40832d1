//! Killed at any moment: nothing corrupt is ever read, and nothing stays locked.

use std::thread;
use std::time::{Duration, Instant};

use simulation::cloud::standard;

use crate::node::{ACME, Node, entry};

/// Processes that are killed; `KILLS` in the environment asks for more.
const KILLS: u64 = 300;

#[test]
fn whenever_a_process_is_killed_the_next_pull_is_right() {
    let kills = std::env::var("KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let mut node = Node::new("{}");
    node.settings += "  timeout: 50s\n";
    node.configure(&entry(ACME, standard::ACME, standard::PULLER));
    let began = Instant::now();
    node.pull(ACME);
    let whole = began.elapsed();
    let mut pulls = 0;
    for kill in 0..kills {
        // From the very start to a little after the end of a cold run, never twice the same.
        let share = f64::from(u32::try_from(kill * 7919 % 1000).unwrap()) / 1000.0;
        let mut children: Vec<_> = (0..2).map(|_| node.start(ACME)).collect();
        thread::sleep(whole.mul_f64(share * 1.2));
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        if kill % 5 == 4 {
            let pulled = node.pull(ACME);
            assert_eq!(pulled.warnings, "", "after {kill} kills");
            pulls += 1;
        }
        // Every tenth time the login is due again, so that there is something to write.
        if kill % 2 == 1 {
            std::fs::remove_dir_all(node.cache()).ok();
        }
        if kill % 10 == 9 {
            node.pull(ACME);
            node.wait(3300);
        }
    }
    println!("{kills} times two processes killed, {pulls} pulls in between");
    // The lock is free: a process that finds it taken waits for half of the timeout, which is 25 seconds.
    let began = Instant::now();
    node.pull(ACME);
    assert!(began.elapsed() < Duration::from_secs(20));
}
