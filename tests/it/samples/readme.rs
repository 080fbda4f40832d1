//! The pages name every sample, and what they show in their place is the same.

use serde_json::Value;

use super::{SAMPLES, identities, sample};
use crate::documents::{Block, all, blocks};

/// What stands for the reader's own values in the pages, and in the samples.
const PLACEHOLDERS: [(&str, &str); 5] = [
    ("<account A>", "1000000000000001"),
    ("<account B>", "2000000000000002"),
    ("KubernetesWorkerRole-…", "KubernetesWorkerRole-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"),
    ("<cluster id>", "c0000000000000000000000000000000a"),
    (
        "<the OIDC provider's URL>",
        "https://oidc-ack-cn-hangzhou.oss-cn-hangzhou.aliyuncs.com/c0000000000000000000000000000000a",
    ),
];

/// The blocks of one language, with what stands in the samples in the reader's place.
fn filled_in(language: &str) -> Vec<Block> {
    let fill = |block: Block| {
        let text = PLACEHOLDERS.iter().fold(block.text, |text, (from, to)| text.replace(from, to));
        Block { text, ..block }
    };
    blocks(language).into_iter().map(fill).collect()
}

#[test]
fn every_sample_is_named() {
    let pages = all();
    for (name, _) in SAMPLES {
        let named = pages.iter().any(|page| page.text.contains(&format!("config/{name}")));
        assert!(named, "no page names {name}");
    }
}

#[test]
fn the_policies_are_those_of_the_samples() {
    let policies: Vec<Value> = SAMPLES
        .iter()
        .filter(|(name, _)| name.starts_with("ram/"))
        .map(|(name, _)| serde_json::from_str(&sample(name)).unwrap())
        .collect();
    let shown = filled_in("json");
    assert!(shown.len() >= 3, "{}", shown.len());
    for Block { path, text, .. } in shown {
        assert!(policies.contains(&serde_json::from_str(&text).unwrap()), "{path}: {text}");
    }
}

#[test]
fn the_configurations_are_accepted() {
    let shown = filled_in("yaml");
    assert!(shown.len() >= 5, "{}", shown.len());
    for Block { path, text, .. } in shown {
        identities::read_configuration(&path, &text);
    }
}
