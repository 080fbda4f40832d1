//! `matchImages` as doctor reads it, against the simulated kubelet, which follows Go's URL parser and
//! `filepath.Match` step by step.

use aliyun_acr_credential_provider::kubelet::match_images::{is_refused, matches, overlap};
use proptest::prelude::*;
use simulation::kubelet::urls_match;

/// The kubelet's own test vectors and what its documents say, and what they are often taken to say.
const VECTORS: [(&str, &str, bool); 25] = [
    ("*.kubernetes.io", "prefix.kubernetes.io", true),
    ("*.kubernetes.io", "kubernetes.io", false),
    ("*.*.kubernetes.io", "prefix.kubernetes.io", false),
    ("prefix.*.io/foo", "prefix.kubernetes.io/foo/bar", true),
    ("prefix.*.io/foo", "prefix.kubernetes.io:1111/foo/bar", false),
    ("*.kubernetes.io:1111/blah", "prefix.kubernetes.io:1111/blah", true),
    ("*.kubernetes.io:1234/blah", "prefix.kubernetes.io:1111/blah", false),
    ("k*.io", "quay.io", false),
    ("app*.k8s.io", "app1.k8s.io/a", true),
    ("*-good.k8s.io", "prefix-good.k8s.io/a", true),
    ("*", "localhost/a", true),
    ("*", "reg.io/a", false),
    ("bar.example.com/pong", "bar.example.com/pongz", true),
    ("registry.io/team/", "registry.io/team/x", true),
    ("registry.io/team/", "registry.io/team2/x", false),
    ("registry.io/team/", "registry.io/team", false),
    ("registry.io/*", "registry.io/team/x", false),
    ("reg.io:*", "reg.io:443/a", false),
    ("reg.io", "reg.io:443/a", false),
    ("https://reg.io", "reg.io/a", false),
    ("K8s.io", "k8s.io/a", false),
    ("k[a-z]8s.io", "kx8s.io/a", false),
    ("[a-z]8s.io", "k8s.io/a", false),
    ("app?.k8s.io", "app1.k8s.io/a", false),
    ("k[a-z]8s.io:443", "kx8s.io:443/a", false),
];

#[test]
fn vectors() {
    for (pattern, image, expected) in VECTORS {
        assert_eq!(matches(pattern, image), expected, "{pattern} on {image}");
        assert_eq!(urls_match(pattern, image).unwrap_or(false), expected, "{pattern} on {image}");
    }
}

fn label() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[ab]{1,2}".prop_map(String::from),
        3 => Just("*".to_owned()),
        1 => prop::sample::select(vec!["?", "[a-b]", "x[ab]", "[^a]", "\\*", "[", "]", "[]", "-", "%2A", "a-[b-]"])
            .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

fn pattern() -> impl Strategy<Value = String> {
    let port = prop::sample::select(vec!["", "", "", "", ":1", ":2", ":", ":*", ":x"]);
    let path =
        prop::sample::select(vec!["", "", "", "/", "/t", "/t/", "/*", "/%74", "/%zz", "?q", "#f"]);
    let before = prop::sample::select(vec!["", "", "", "", "", "https://", "u@", "u:p@", " "]);
    (before, prop::collection::vec(label(), 1..4), port, path).prop_map(
        |(before, labels, port, path)| format!("{before}{}{port}{path}", labels.join(".")),
    )
}

/// An image as the kubelet has it: normalised, without tag.
fn image() -> impl Strategy<Value = String> {
    let port = prop::sample::select(vec!["", "", "", ":1", ":2"]);
    let path = prop::sample::select(vec!["/t", "/t/u", "/tt", "/u"]);
    (prop::collection::vec("[abx]{1,4}(-[ab])?", 1..4), port, path)
        .prop_map(|(labels, port, path)| format!("{}{port}{path}", labels.join(".")))
}

/// The kubelet starts with it.
fn is_accepted(pattern: &str) -> bool {
    urls_match(pattern, "x").is_ok()
}

proptest! {
    #![proptest_config(super::config())]

    #[test]
    fn doctor_says_what_the_kubelet_does(pattern in pattern(), image in image()) {
        prop_assert_eq!(is_refused(&pattern), !is_accepted(&pattern), "{:?}", pattern);
        prop_assert_eq!(matches(&pattern, &image), urls_match(&pattern, &image).unwrap_or(false), "{:?} on {:?}", pattern, image);
    }

    /// Two patterns that hit one image overlap.
    #[test]
    fn what_both_hit_is_an_overlap(one in pattern(), other in pattern(), image in image()) {
        let hits = |pattern: &str| urls_match(pattern, &image).unwrap_or(false);
        if hits(&one) && hits(&other) {
            prop_assert!(overlap(&one, &other), "{:?} and {:?} on {:?}", one, other, image);
            prop_assert!(overlap(&other, &one));
        }
    }

    /// Patterns that are as usual: labels of letters and stars.
    #[test]
    fn usual_patterns(pattern in "([ab*]{1,3}\\.){0,2}[ab*]{1,3}(:1)?(/t)?", image in image()) {
        prop_assert!(is_accepted(&pattern));
        prop_assert_eq!(matches(&pattern, &image), urls_match(&pattern, &image).unwrap());
    }
}

/// Stars do not multiply.
#[test]
fn many_stars_take_no_long_time() {
    let begun = std::time::Instant::now();
    assert!(!matches(&"*a".repeat(30), &format!("{}b/t", "a".repeat(60))));
    assert!(overlap(&"*a".repeat(12), &"*b".repeat(12)) || begun.elapsed().as_secs() < 5);
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}
