//! What a change would do, for a person: a unified diff without secrets.

use std::fmt::Write;

/// Lines around a change.
const CONTEXT: usize = 3;

/// The difference of two texts as one hunk; empty if there is none.
#[must_use]
pub fn unified(path: &str, before: &str, after: &str) -> String {
    of_lines(path, &masked(before), &masked(after))
}

/// The difference of lines that have no secrets.
#[must_use]
pub fn of_lines(path: &str, before: &[String], after: &[String]) -> String {
    if before == after {
        return "(only what is masked differs)\n".to_owned();
    }
    let same = before.iter().zip(after).take_while(|(one, other)| one == other).count();
    let left = before.len().min(after.len()) - same;
    let pairs = before.iter().rev().zip(after.iter().rev()).take(left);
    let same_end = pairs.take_while(|(one, other)| one == other).count();
    let start = same.saturating_sub(CONTEXT);
    let part = |lines: &[String], end: usize| lines.get(start..end).unwrap_or_default().to_vec();
    let (gone, come) = (before.len() - same_end, after.len() - same_end);
    let context_end = same_end.min(CONTEXT);
    let (old, new) = (part(before, gone + context_end), part(after, come + context_end));
    let mut text = format!(
        "--- {path}\n+++ {path}\n@@ -{},{} +{},{} @@\n",
        if old.is_empty() { 0 } else { start + 1 },
        old.len(),
        if new.is_empty() { 0 } else { start + 1 },
        new.len()
    );
    let mut lines = |mark: char, lines: &[String], from: usize, to: usize| {
        for line in lines.get(from..to).unwrap_or_default() {
            let _ = writeln!(text, "{mark}{line}");
        }
    };
    lines(' ', before, start, same);
    lines('-', before, same, gone);
    lines('+', after, same, come);
    lines(' ', before, gone, gone + context_end);
    text
}

/// Lines without the values of secrets, which may go on below their keys.
fn masked(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    // The indent of a secret's key: deeper lines belong to its value.
    let mut hidden: Option<usize> = None;
    let mut next_line = false;
    for line in text.lines() {
        let line = without_login(line);
        let Some(indent) = line.find(|c: char| c != ' ' && c != '-' && c != '\t') else {
            all.push(line);
            continue;
        };
        if next_line || hidden.is_some_and(|key| indent > key) {
            next_line = false;
            all.push("***".to_owned());
            continue;
        }
        hidden = None;
        let Some(end) = secret(&line) else {
            all.push(line);
            continue;
        };
        let (key, value) = line.split_at(end);
        if !line.trim_start().starts_with('#') {
            hidden = Some(indent);
        }
        next_line = value.chars().all(|c| " \"'\\:>|+-".contains(c));
        all.push(format!("{key} ***"));
    }
    all
}

/// `https://user:password@proxy` without what stands before the at.
fn without_login(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("//") {
        text.push_str(before);
        text.push_str("//");
        let end = after.find(['/', ' ']).unwrap_or(after.len());
        let (authority, behind) = after.split_at(end);
        match authority.rsplit_once('@') {
            Some((_, host)) => text.extend(["***@", host]),
            None => text.push_str(authority),
        }
        rest = behind;
    }
    text + rest
}

/// Where the first key of a secret ends, behind its colon or equals sign.
fn secret(line: &str) -> Option<usize> {
    // Letters change their case one by one, so that places stay.
    let lower: Vec<char> = line.chars().map(|c| c.to_ascii_lowercase()).collect();
    let starts = |at: usize, word: &str| {
        word.chars().enumerate().all(|(number, c)| lower.get(at + number) == Some(&c))
    };
    let skip = |mut at: usize, fits: fn(char) -> bool| {
        while lower.get(at).is_some_and(|c| fits(*c)) {
            at += 1;
        }
        at
    };
    let sign = |at: usize| {
        let at = skip(at, |c| "\"'\\".contains(c));
        let at = skip(at, |c| c == ' ');
        lower.get(at).filter(|c| [':', '='].contains(c)).map(|_| at + 1)
    };
    for at in 0..lower.len() {
        let part = |word: &&&str| starts(at, word);
        let rest = |word: &str| skip(at + word.len(), |c| c.is_ascii_alphanumeric() || c == '_');
        let found = ["accesskey", "access-key", "access_key", "access key", "secret", "passw"]
            .iter()
            .find(part)
            .and_then(|word| sign(rest(word)))
            .or_else(|| ["token", "value"].iter().find(part).and_then(|word| sign(at + word.len())))
            .or_else(|| {
                // Where its value stands anywhere, such as behind a colon in the next line.
                let whole = ["customaccesskeysecret", "customaccesskey"];
                whole.iter().find(part).map(|word| at + word.len())
            });
        if let Some(end) = found {
            return Some(line.char_indices().nth(end).map_or(line.len(), |(byte, _)| byte));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_hunk_with_context() {
        let before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let after = "1\n2\n3\n4\nfive\n6\n7\n8\n9\n";
        assert_eq!(
            unified("/f", before, after),
            "--- /f\n+++ /f\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"
        );
        assert_eq!(unified("/f", "", "a\n"), "--- /f\n+++ /f\n@@ -0,0 +1,1 @@\n+a\n");
        assert_eq!(
            unified("/f", "a\nb\n", "a\nx\nb\n"),
            "--- /f\n+++ /f\n@@ -1,2 +1,3 @@\n a\n+x\n b\n"
        );
    }

    #[test]
    fn no_secret_is_shown() {
        for text in [
            "customAccessKeySecret: hunter2",
            "  - \"customAccessKey\": \"hunter2\"",
            "'customAccessKeySecret' : 'hunter2'",
            "customAccessKeySecret: >-\n  hunter2\n  hunter2",
            "- customAccessKeySecret:\n    hunter2",
            "[{customAccessKey: hunter2, customAccessKeySecret:\n  hunter2}]",
            "data: \"- customAccessKeySecret: hunter2\\n\"",
            "\"customAccessKeySecret\":\n\"hunter2\"",
            "HTTPS_PROXY=http://user:hunter2@proxy:3128",
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET=hunter2",
            "- name: TOKEN\n  value: hunter2",
            "? customAccessKeySecret\n: hunter2",
        ] {
            let shown = masked(text).join("\n");
            assert!(!shown.contains("hunter2"), "{text}\n{shown}");
        }
        let kept = "KUBELET_EXTRA_ARGS=--authentication-token-webhook=true\nregionId: cn-beijing";
        assert_eq!(masked(kept).join("\n"), kept);
    }
}
