//! What comes into the program from others is counted, named with its reason, and held to rules.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::TESTS;

/// Counts the crates, and has the reason for each.
const PAGE: &str = "docs/dependencies.md";

fn root(path: &str) -> String {
    format!("{TESTS}/../{path}")
}

fn text(path: &str) -> String {
    fs::read_to_string(root(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

fn lines_of(program: &str, arguments: &[&str]) -> Vec<String> {
    let output = Command::new(program).args(arguments).current_dir(root("")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The crates that are linked into a released binary; `depth` 1 are those that it asks for itself.
fn linked(depth: &str) -> BTreeSet<String> {
    let tree = [
        "tree",
        "--locked",
        "--package",
        "aliyun-acr-credential-provider",
        "--edges",
        "normal,no-proc-macro",
        "--target",
        "x86_64-unknown-linux-musl",
        "--prefix",
        "none",
        "--depth",
        depth,
        "--format",
        "{p}",
    ];
    let name = |line: &String| line.split(" (").next().unwrap().to_owned();
    let crates = lines_of(env!("CARGO"), &tree).iter().map(name).collect::<BTreeSet<_>>();
    crates.into_iter().filter(|name| !name.starts_with("aliyun-acr-credential-provider ")).collect()
}

/// As cargo reads them, wherever the manifest has them.
fn direct() -> BTreeSet<String> {
    linked("1").iter().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn the_crates_are_counted() {
    let (all, direct) = (linked("99").len(), direct().len());
    let sentence =
        format!("{all} crates are linked into the program, {direct} of them by its own choice");
    assert!(text(PAGE).contains(&sentence), "{PAGE} lacks: {sentence}");
}

#[test]
fn each_direct_one_has_its_reason() {
    let page = text(PAGE);
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let firsts: Vec<&str> = rows.filter_map(|row| row.split('|').nth(1)).collect();
    let named: BTreeSet<String> = firsts
        .iter()
        .flat_map(|cell| cell.split([',', ' ', '(', ')']))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    let missing: Vec<String> = direct().into_iter().filter(|name| !named.contains(name)).collect();
    assert!(missing.is_empty(), "no reason in {PAGE} for {missing:?}");
}

/// The compiler holds each package to it, tests and examples included.
#[test]
fn every_package_forbids_unsafe() {
    let manifests = lines_of("git", &["ls-files", "Cargo.toml", "*/Cargo.toml"]);
    assert!(manifests.len() >= 2, "{manifests:?}");
    for manifest in manifests {
        // What makes a fuzz target brings unsafe code of its own into it, and says so there.
        let level = if manifest.starts_with("fuzz/") { "deny" } else { "forbid" };
        let lint = format!("unsafe_code = \"{level}\"");
        assert!(text(&manifest).contains(&lint), "{manifest} lacks {lint}");
    }
}

/// What is built and tested is what Cargo.lock says, and never something newer.
#[test]
fn every_script_holds_to_the_lock_file() {
    let mut seen = 0;
    for script in lines_of("git", &["ls-files"]) {
        let Ok(contents) = fs::read_to_string(root(&script)) else { continue };
        if !(contents.starts_with("#!/bin/sh") || contents.starts_with("#!/usr/bin/env bash")) {
            continue;
        }
        let contents = contents.replace("\\\n", " ");
        for line in contents.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            let builds = ["build", "check", "run", "test", "clippy", "bench", "zigbuild"];
            let is_one = |what: &&str| {
                line.contains(&format!("cargo {what} ")) || line.contains(&format!("cargo-{what} "))
            };
            if builds.iter().any(is_one) {
                seen += 1;
                assert!(line.contains("--locked"), "{script}: {line}");
            }
        }
    }
    assert!(seen >= 11, "only {seen} lines that build were found");
}

/// What is fuzzed is what is released, though it has a lock file of its own.
#[test]
fn the_same_crates_are_fuzzed() {
    let locked = |path: &str| -> BTreeSet<(String, String)> {
        let text = text(path);
        let packages = text.split("[[package]]\n").skip(1);
        let field = |package: &str, name: &str| {
            let value = package.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            value.trim_matches('"').to_owned()
        };
        packages.map(|each| (field(each, "name = "), field(each, "version = "))).collect()
    };
    let (ours, fuzzed) = (locked("Cargo.lock"), locked("fuzz/Cargo.lock"));
    let is_known = |name: &str| ours.iter().any(|(known, _)| known == name);
    let others: Vec<_> = fuzzed.difference(&ours).filter(|(name, _)| is_known(name)).collect();
    assert!(fuzzed.intersection(&ours).count() > 50, "{fuzzed:?}");
    assert!(others.is_empty(), "other versions than in Cargo.lock: {others:?}");
}
