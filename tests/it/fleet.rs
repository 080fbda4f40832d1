//! A fleet of nodes against the call limit of one account, simulated event by event.

pub mod chance;
mod node;
mod service;
mod simulation;
mod table;

use std::fs;
use std::sync::LazyLock;
use std::time::Duration;

use aliyun_acr_credential_provider::cache::freshness::Rules;
use aliyun_acr_credential_provider::net::congestion::Gate;

use crate::TESTS;
use service::Window;
use table::{Report, boots, table};

/// Calls of `AssumeRole` that an account has per second.
const PER_SECOND: u32 = 100;
/// From the start of a process to its look at the node's cache and, there being nothing, to its
/// first `AssumeRole`.
const START: Duration = Duration::from_millis(20);
/// Of one call.
const LATENCY: Duration = Duration::from_millis(30);
/// Defaults of the program's configuration.
const THRESHOLD: Duration = Duration::from_secs(15 * 60);
const MARGIN: Duration = Duration::from_secs(30);
const EXPIRE_DURATION: u32 = 3600;
const LIFE: Duration = Duration::from_secs(3600);
/// The kubelet's pod worker comes again 10 to 15 seconds after a sync that failed
/// (`pod_workers.go`: `backOffPeriod`, `workerBackOffPeriodJitterFactor`).
const POD_SYNC: Duration = Duration::from_secs(10);
const POD_SYNC_JITTER: Duration = Duration::from_secs(5);
/// Between two pulls that failed it lets 10 seconds pass, then 20, up to 300, without jitter
/// (`kubelet.go`: `imageBackOffPeriod`, `MaxImageBackOff`).
const BACK_OFF: Duration = Duration::from_secs(10);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(300);
/// How long a pull without a login takes to be denied.
const ANONYMOUS_PULL: Duration = Duration::from_millis(500);

/// What a fleet is and does.
#[derive(Clone, Copy)]
struct Fleet {
    nodes: usize,
    registries: usize,
    /// Registry by registry in turn; all registries may be behind one.
    roles: usize,
    boots_within: Duration,
    /// Of each registry that a booting node pulls, one in a pod.
    images: usize,
    /// On the average, from each registry on each node.
    pods_every: Duration,
    /// Between two runs of `refresh`, and how much longer at most, at random.
    timer: Duration,
    timer_delay: Duration,
    window: Window,
    lasts: Duration,
    /// From then on no call belongs to the boot.
    booted: Duration,
    seed: u64,
    gate: Gate,
    /// How long the service says that its limit stays used up.
    hint: Duration,
    rules: Rules,
}

/// The fleets of docs/scale.md.
static ONE_ROLE: LazyLock<Report> = LazyLock::new(|| Report::of(&fleet(1)));
static THREE_ROLES: LazyLock<Report> = LazyLock::new(|| Report::of(&fleet(3)));

fn fleet(roles: usize) -> Fleet {
    Fleet {
        nodes: 5000,
        registries: 3,
        roles,
        boots_within: Duration::from_secs(60),
        images: 2,
        pods_every: Duration::from_secs(10 * 60),
        timer: Duration::from_secs(5 * 60),
        timer_delay: Duration::from_secs(5 * 60),
        window: Window::Fixed,
        lasts: Duration::from_secs(6 * 3600),
        booted: Duration::from_secs(600),
        seed: 1,
        gate: Gate::DEFAULT,
        hint: Duration::ZERO,
        rules: Rules::DEFAULT,
    }
}

/// Of five thousand nodes behind three roles, with three seeds.
static BOOTS: LazyLock<[Report; 3]> =
    LazyLock::new(|| [1, 2, 3].map(|seed| Report::of(&Fleet { seed, ..boot(3) })));
static OVERLOAD: LazyLock<Report> =
    LazyLock::new(|| Report::of(&Fleet { nodes: 3500, registries: 2, ..boot(2) }));
static TWENTY_THOUSAND: LazyLock<Report> =
    LazyLock::new(|| Report::of(&Fleet { nodes: 20_000, ..boot(3) }));
static SLIDING: LazyLock<Report> =
    LazyLock::new(|| Report::of(&Fleet { window: Window::Sliding, ..boot(3) }));
/// Refused calls count against the limit. With three seeds, and behind three roles.
static COUNTED: LazyLock<[Report; 3]> = LazyLock::new(|| [1, 2, 3].map(|seed| counted(seed, 1)));
static COUNTED_OF_THREE: LazyLock<Report> = LazyLock::new(|| counted(1, 3));
/// Each refusal says how long the second lasts in which the limit is used up.
static HINTED: LazyLock<Report> = LazyLock::new(|| Report::of(&Fleet { hint: HINT, ..boot(3) }));
const HINT: Duration = Duration::from_secs(1);
const LONG_HINT: Duration = Duration::from_secs(30);
static LONG_HINTED: LazyLock<Report> =
    LazyLock::new(|| Report::of(&Fleet { hint: LONG_HINT, ..boot(3) }));

fn counted(seed: u64, roles: usize) -> Report {
    let lasts = Duration::from_secs(20 * 60);
    Report::of(&Fleet { seed, lasts, booted: lasts, window: Window::SlidingOverAll, ..boot(roles) })
}

/// With `BLESS=1` the tables are written instead of compared.
#[test]
fn the_tables_of_scale_are_the_simulations_own() {
    let fleets = table(&[("behind one role", &ONE_ROLE), ("behind three roles", &THREE_ROLES)]);
    let boots = boots(&[
        ("5,000 nodes × 3 roles", &BOOTS[0]),
        ("the same, another seed", &BOOTS[1]),
        ("the same, a third seed", &BOOTS[2]),
        ("the same, a sliding window", &SLIDING),
        ("the same, each refusal says `TimeLeft:1000`", &HINTED),
        ("the same, each refusal says `TimeLeft:30000`", &LONG_HINTED),
        ("slight overload: 3,500 nodes × 2 roles", &OVERLOAD),
        ("20,000 nodes × 3 roles", &TWENTY_THOUSAND),
        ("5,000 nodes × 1 role, refused calls count", &COUNTED[0]),
        ("the same, another seed", &COUNTED[1]),
        ("the same, a third seed", &COUNTED[2]),
        ("5,000 nodes × 3 roles, refused calls count", &COUNTED_OF_THREE),
    ]);
    is_on_page("fleet", &fleets);
    is_on_page("boots", &boots);
}

/// A part of docs/scale.md.
fn is_on_page(part: &str, wanted: &str) {
    let path = format!("{TESTS}/../docs/scale.md");
    let page = fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- {part}:begin -->\n"), format!("<!-- {part}:end -->"));
    let (before, rest) = page.split_once(&begin).expect("the table's beginning");
    let (written, after) = rest.split_once(&end).expect("the table's end");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, format!("{before}{begin}{wanted}{end}{after}")).unwrap();
        return;
    }
    assert_eq!(written, wanted, "run BLESS=1 cargo test --test it fleet");
}

/// And little later than the limit dictates; with other seeds as well.
#[test]
fn every_node_gets_its_logins() {
    for report in
        [&*ONE_ROLE, &*THREE_ROLES, &*OVERLOAD, &*TWENTY_THOUSAND].into_iter().chain(&*BOOTS)
    {
        assert_eq!(report.served, report.nodes);
        assert!(report.all < report.queue.0.mul_f64(1.25), "{:?}, {:?}", report.all, report.queue);
    }
    assert_eq!(ONE_ROLE.needed, 5000);
    assert_eq!(THREE_ROLES.needed, 15_000);
}

/// Before there were rules for a congestion, such a boot wasted 173,299 calls and took 159.7 s.
#[test]
fn a_boot_wastes_about_one_call_for_each_that_it_needs() {
    let wasted: u32 = BOOTS.iter().map(|report| report.throttled).sum();
    assert!(wasted / 3 <= 17_500, "{wasted}");
    let all: Duration = BOOTS.iter().map(|report| report.all).sum();
    assert!(all / 3 <= Duration::from_millis(159_700).mul_f64(1.02), "{all:?}");
}

/// docs/scale.md says so: which second is counted hardly matters, and a fleet with one role boots even
/// where refused calls count as well.
#[test]
fn how_the_limit_counts_matters_little() {
    let three = &BOOTS[0];
    assert!(SLIDING.all < three.all.mul_f64(1.1), "{:?}", SLIDING.all);
    assert!(SLIDING.throttled_per_node() < three.throttled_per_node() * 1.25);
    for counted in &*COUNTED {
        assert_eq!(counted.served, counted.nodes);
        assert!(counted.all <= Duration::from_secs(410), "{:?}", counted.all);
    }
}

/// What the service says is waited for, so a boot of which it says more than is true takes longer.
#[test]
fn a_hint_is_heeded() {
    assert!(HINTED.throttled < BOOTS[0].throttled.max(BOOTS[1].throttled) + 500);
    assert!(LONG_HINTED.throttled < HINTED.throttled / 10 * 9, "{}", LONG_HINTED.throttled);
}

/// The rules are the program's: with others the table says something else.
#[test]
fn another_gate_makes_another_table() {
    let with = |gate| Report::of(&Fleet { gate, nodes: 3000, ..boot(3) });
    let own = with(Gate::DEFAULT);
    let later = Gate::DEFAULT.later;
    let longer = with(Gate { later: later * 2, ..Gate::DEFAULT });
    let shorter = with(Gate { later: later / 4, ..Gate::DEFAULT });
    for other in [&longer, &shorter] {
        assert_ne!(table(&[("", other)]), table(&[("", &own)]));
    }
    assert!(longer.throttled < own.throttled);
    assert!(shorter.throttled > own.throttled * 2);
}

/// So are the rules of freshness.
#[test]
fn other_rules_of_freshness_make_another_table() {
    let with = |rules| Report::of(&Fleet { rules, nodes: 500, ..fleet(1) });
    let own = with(Rules::DEFAULT);
    let no_reuse = with(Rules { session_used_up: u32::MAX, ..Rules::DEFAULT });
    let later = with(Rules { largest_share: 6, ..Rules::DEFAULT });
    for other in [&no_reuse, &later] {
        assert_ne!(table(&[("", other)]), table(&[("", &own)]));
    }
    assert!(
        no_reuse.calls_later > own.calls_later / 2 * 3,
        "each registry needs a session of its own"
    );
    assert!(later.calls_later < own.calls_later, "logins live longer");
    let shared = |shared_failure| {
        let rules = Rules { shared_failure, ..Rules::DEFAULT };
        Report::of(&Fleet { rules, nodes: 3000, ..boot(3) })
    };
    let (own, longer) = (shared(Rules::DEFAULT.shared_failure), shared(Duration::from_secs(60)));
    assert!(longer.all > own.all, "what the kubelet asks again is not asked");
}

/// The busiest minute stays far from the limit, and at most eight times what an even spread would
/// be; without chance each renewal would be a boot again.
#[test]
fn renewals_do_not_come_together() {
    for report in [&*ONE_ROLE, &*THREE_ROLES] {
        assert_eq!((report.throttled_later, report.waited_later), (0, 0));
        assert!(report.busiest_minute() < report.mean * 8.0);
        assert!(report.busiest_minute() < f64::from(PER_SECOND) / 2.0);
        let minutes = &report.busiest_minutes;
        assert!(minutes[5] < minutes[0] * 0.7, "the wave flattens: {minutes:?}");
    }
    let rules = Rules { spread: u32::MAX, ..Rules::DEFAULT };
    let hours = Duration::from_secs(2 * 3600);
    let together =
        Report::of(&Fleet { rules, timer_delay: Duration::ZERO, lasts: hours, ..fleet(1) });
    assert!(together.busiest_minute() > ONE_ROLE.busiest_minute() * 4.0);
    assert!(together.throttled_later > 0);
}

/// A fleet as far as its boot goes.
fn boot(roles: usize) -> Fleet {
    let lasts = Duration::from_secs(12 * 60);
    Fleet { lasts, booted: lasts, ..fleet(roles) }
}
