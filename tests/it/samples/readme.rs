//! README names every sample, and what it shows in their place is the same.

use std::fs;

use serde_json::Value;

use super::{SAMPLES, folder, identities, sample};

/// What stands for the reader's own values in README, and in the samples.
const PLACEHOLDERS: [(&str, &str); 13] = [
    ("<アカウント A の ID>", "1000000000000001"),
    ("<アカウント B の ID>", "2000000000000002"),
    ("<账号 A 的 ID>", "1000000000000001"),
    ("<账号 B 的 ID>", "2000000000000002"),
    ("<account A>", "1000000000000001"),
    ("<account B>", "2000000000000002"),
    ("<アカウントB>", "2000000000000002"),
    ("<账号B>", "2000000000000002"),
    ("<ロール>", "acr-puller"),
    ("<角色>", "acr-puller"),
    ("KubernetesWorkerRole-…", "KubernetesWorkerRole-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"),
    ("<cluster id>", "c0000000000000000000000000000000a"),
    (
        "<the OIDC provider's URL>",
        "https://oidc-ack-cn-hangzhou.oss-cn-hangzhou.aliyuncs.com/c0000000000000000000000000000000a",
    ),
];

fn readme() -> String {
    fs::read_to_string(folder().join("../README.md")).unwrap()
}

/// The blocks of one language, without the indentation of the list that they are in.
fn blocks(language: &str) -> Vec<String> {
    let readme = readme();
    let mut found = Vec::new();
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        let Some(indentation) = line.strip_suffix(&format!("```{language}")) else { continue };
        let block: Vec<&str> = lines
            .by_ref()
            .take_while(|line| line.trim() != "```")
            .map(|line| line.strip_prefix(indentation).unwrap_or(line))
            .collect();
        let block = block.join("\n") + "\n";
        found.push(PLACEHOLDERS.iter().fold(block, |text, (from, to)| text.replace(from, to)));
    }
    found
}

#[test]
fn every_sample_is_named() {
    let readme = readme();
    for (name, _) in SAMPLES {
        assert!(readme.contains(&format!("config/{name}")), "README does not name {name}");
    }
}

#[test]
fn every_link_leads_somewhere() {
    let readme = readme();
    let targets = readme.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let files =
        targets.map(|(target, _)| target).filter(|it| !it.contains("://") && !it.starts_with('#'));
    let mut count = 0;
    for file in files {
        assert!(folder().join("..").join(file).exists(), "README links to {file}");
        count += 1;
    }
    assert!(count > 10, "{count} links");
}

#[test]
fn the_policies_are_those_of_the_samples() {
    let policies: Vec<Value> = SAMPLES
        .iter()
        .filter(|(name, _)| name.starts_with("ram/"))
        .map(|(name, _)| serde_json::from_str(&sample(name)).unwrap())
        .collect();
    let shown = blocks("json");
    assert!(shown.len() >= 3, "{}", shown.len());
    for block in shown {
        assert!(policies.contains(&serde_json::from_str(&block).unwrap()), "{block}");
    }
}

#[test]
fn the_configurations_are_accepted() {
    let shown = blocks("yaml");
    assert!(shown.len() >= 5, "{}", shown.len());
    for block in shown {
        identities::read_configuration("README.md", &block);
    }
}
