//! The pages name every sample, and what they show in their place is the same.

use serde_json::Value;

use super::{SAMPLES, identities, sample};
use crate::documents::{Block, all, filled_in};

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
