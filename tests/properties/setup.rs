//! A node's files: what is not ours is the same bytes after ours was put in and taken out.

use aliyun_acr_credential_provider::kubelet::provider_config::{Provider, ProviderConfig};
use aliyun_acr_credential_provider::kubelet::versions::ApiVersion;
use aliyun_acr_credential_provider::setup::arguments_text::Edit;
use aliyun_acr_credential_provider::setup::env_file::{self, Comments};
use aliyun_acr_credential_provider::setup::provider_file::{Added, merged, taken_out};
use proptest::prelude::*;

fn ours(patterns: &[&str]) -> Provider {
    let match_images = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    Provider { name: "ours".to_owned(), match_images, ..Provider::default() }
}

/// A file with some providers of others, in one of the forms that people and tools give it.
fn file() -> impl Strategy<Value = String> {
    let keys = |name: usize, quote: &str| {
        [
            format!("name: {quote}other-{name}{quote}"),
            format!("matchImages: [{quote}h{name}.example{quote}]"),
            format!("defaultCacheDuration: {quote}1h{quote}"),
            format!("apiVersion: {quote}credentialprovider.kubelet.k8s.io/v1{quote}"),
        ]
    };
    let list = (1usize..4, 0usize..5, 1usize..4, 0usize..4, "(|'|\")", any::<bool>()).prop_map(
        move |(count, indent, gap, form, quote, comment)| {
            let (dash, comment) = (" ".repeat(indent), if comment { " # c" } else { "" });
            let item = |name: usize| {
                let keys = keys(name, &quote);
                let gap = " ".repeat(gap);
                let inner = format!("\n{dash} {gap}");
                match form {
                    0 => format!(
                        "{dash}-{gap}{}{comment}\n",
                        keys.join(&format!("{comment}{inner}"))
                    ),
                    1 => format!("{dash}-{comment}{inner}{}\n", keys.join(&inner)),
                    2 => format!("{dash}- {{{}}}{comment}\n", keys.join(", ")),
                    _ => format!("{dash}- &a{name}{inner}{}\n", keys.join(&inner)),
                }
            };
            format!("providers:{comment}\n{}", (0..count).map(item).collect::<String>())
        },
    );
    let flow = (0usize..4, "(|\n  )", "(|, ?|\n)").prop_map(move |(count, gap, end)| {
        let end = end.trim_end_matches(['?', ' ']);
        let end = if count == 0 { "" } else { end };
        let items: Vec<String> =
            (0..count).map(|name| format!("{gap}{{{}}}", keys(name, "\"").join(", "))).collect();
        format!("providers: [{}{end}]\n", items.join(","))
    });
    let head = "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\n";
    let ends = "(|---\n|\\.\\.\\.\n|# end\n|\n\n|---\nkind: Other\n)";
    (
        prop_oneof![list, flow],
        any::<bool>(),
        "(|---\n|# a\n---\n)",
        ends,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(move |(list, is_first, start, end, crlf, cut)| {
            let body = if is_first { format!("{list}{head}") } else { format!("{head}{list}") };
            let text = format!("{start}{body}{end}");
            let text = if cut { text.trim_end().to_owned() } else { text };
            if crlf { text.replace('\n', "\r\n") } else { text }
        })
}

proptest! {
    #![proptest_config(super::config())]

    #[test]
    fn providers_of_others_are_the_same_bytes(text in file()) {
        let wanted = [ours(&["a.example", "*.b.example"])];
        let (new, added) = merged(&text, ApiVersion::V1, &wanted, &Added::default()).unwrap();
        let read = ProviderConfig::of_text("f", &new);
        prop_assert!(read.providers.iter().any(|provider| provider.name == "ours"), "{}", new);
        prop_assert!(read.findings.is_empty(), "{:?} {}", read.findings, new);
        prop_assert_eq!(taken_out(&new, &added).unwrap(), text);
        let again = merged(&new, ApiVersion::V1, &wanted, &added).unwrap();
        prop_assert_eq!(again, (new, added));
    }

    #[test]
    fn any_text_is_changed_rightly_or_not_at_all(text in "[ab{}\\[\\],:&*'\"#\\- \n]{0,60}") {
        let text = format!("kind: CredentialProviderConfig\nproviders: {text}");
        if let Ok((new, added)) = merged(&text, ApiVersion::V1, &[ours(&["a.example"])], &Added::default()) {
            prop_assert_eq!(taken_out(&new, &added).unwrap(), text);
        }
    }

    #[test]
    fn other_variables_and_arguments_stay(text in "[AB=\"'\\\\ \n#;$x-]{0,40}") {
        let add = Edit { add: vec!["--y=1".to_owned()], remove: Vec::new() };
        let back = Edit { add: Vec::new(), remove: add.add.clone() };
        let both = Comments::of(None);
        let words = |text: &str, name: &str| {
            let found = env_file::value(text, name, Comments::End);
            let value = found.map(|found| found.value).unwrap_or_default();
            value.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        if let Ok(new) = env_file::changed(&text, "A", &add, both) {
            let mut wanted = words(&text, "A");
            wanted.push("--y=1".to_owned());
            prop_assert_eq!(words(&new, "A"), wanted);
            prop_assert_eq!(words(&new, "B"), words(&text, "B"));
            let again = env_file::changed(&new, "A", &back, both).unwrap();
            prop_assert_eq!(words(&again, "A"), words(&text, "A"));
        }
    }
}
