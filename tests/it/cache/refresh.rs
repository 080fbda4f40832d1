//! Renewal ahead of time.

use std::thread;
use std::time::Duration;

use simulation::cloud::{Hop, Service, standard};

use crate::node::{ACME, FOO, Node, entry};

#[test]
fn a_pull_finds_its_login_ready() {
    let mut node = Node::new("{}");
    node.pull(ACME);
    node.wait(3000);
    assert_eq!(node.refresh(), (0, format!("renewed {ACME}\n")));
    let calls = node.cloud.calls().len();
    let pulled = node.pull(ACME);
    assert!((3560..=3570).contains(&pulled.cache), "{pulled:?}");
    assert_eq!(node.cloud.calls().len(), calls);
    assert_eq!(node.refresh(), (0, "nothing to renew\n".to_owned()));
}

/// Nobody notices an outage that is no longer than the threshold.
#[test]
fn an_outage_of_a_quarter_of_an_hour_is_not_noticed() {
    let mut node = Node::new("{}");
    node.pull(ACME);
    for _ in 0..6 {
        node.wait(300);
        assert_eq!(node.refresh().0, 0);
    }
    node.cloud.take_down(Service::Sts).unwrap();
    for _ in 0..3 {
        node.wait(290);
        node.refresh();
        let pulled = node.pull(ACME);
        assert!(pulled.cache > 0, "{pulled:?}");
    }
}

#[test]
fn only_what_is_due_is_renewed() {
    let mut node = Node::new("{}");
    let entries = [
        entry(ACME, standard::ACME, standard::PULLER),
        entry(FOO, standard::FOO_REGISTRY, standard::PULLER_ONE_HOUR),
    ];
    node.configure(&entries.concat());
    node.pull(ACME);
    node.wait(1500);
    node.pull(FOO);
    node.wait(1500);
    assert_eq!(node.refresh(), (0, format!("renewed {ACME}\n")));
}

/// Renewals are no uses: what pulls have not asked for in a day is let go.
#[test]
fn what_no_pull_has_used_for_a_day_is_not_renewed() {
    let mut node = Node::new("{}");
    node.pull(ACME);
    let mut renewals = 0;
    for _ in 0..30 {
        node.wait(3000);
        let (code, line) = node.refresh();
        assert_eq!(code, 0, "{line}");
        renewals += usize::from(line.starts_with("renewed"));
    }
    assert_eq!(renewals, 28, "28 times 3000 seconds are just under a day");
}

#[test]
fn what_fails_is_told_and_the_exit_code_tells() {
    let mut node = Node::new("{}");
    let entries = [
        entry(ACME, standard::ACME, standard::PULLER),
        entry(FOO, standard::FOO_REGISTRY, standard::PULLER_ONE_HOUR),
    ];
    node.configure(&entries.concat());
    node.pull(ACME);
    node.pull(FOO);
    node.wait(3000);
    let overlay = format!(
        r#"{{accounts: {{"{}": {{roles: {{acr-puller-one-hour: {{trust: {{Statement: []}}}}}}}}}}}}"#,
        standard::REGISTRY_ACCOUNT
    );
    node.cloud.change(&overlay).unwrap();
    let (code, text) = node.refresh();
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("NoPermission"), "{text}");
    assert!(text.contains(&format!("renewed {ACME}; not renewed: {FOO}")), "{text}");
}

#[test]
fn there_are_never_two_at_once() {
    let mut node = Node::new("{}");
    node.settings += "  timeout: 50s\n";
    node.configure(&entry(ACME, standard::ACME, standard::PULLER));
    node.pull(ACME);
    node.wait(3000);
    node.cloud.change("{faults: {assume-role: [{calls: 1, connection: hang}]}}").unwrap();
    let connections = node.cloud.connections(Service::Sts);
    thread::scope(|scope| {
        let first = scope.spawn(|| node.refresh());
        // When it is at STS, it has begun. It is there for some seconds before it tries again.
        while node.cloud.connections(Service::Sts) == connections {
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(node.refresh(), (0, "another refresh is under way\n".to_owned()));
        assert_eq!(first.join().unwrap(), (0, format!("renewed {ACME}\n")));
    });
    let tries = "one for the pull, two for the refresh";
    assert_eq!(node.calls(Hop::AssumeRole), 3, "{tries}");
}

#[test]
fn an_empty_cache_and_none_at_all() {
    let mut node = Node::new("{}");
    assert_eq!(node.refresh(), (0, "nothing to renew\n".to_owned()));
    node.settings = "  cacheDir: off\n".to_owned();
    node.configure(&entry(ACME, standard::ACME, standard::PULLER));
    let (code, text) = node.refresh();
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("the cache is off"), "{text}");
}
