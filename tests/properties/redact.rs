//! What is taken out of a service's words, against the plain way: every part of every form of a secret
//! is looked for at every place.

use aliyun_acr_credential_provider::aliyun::redact;
use aliyun_acr_credential_provider::aliyun::signature::percent_encode;
use aliyun_acr_credential_provider::secret::Secret;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;
use proptest::sample::Index;

const WITHHELD: &str = "[secret]";

/// Secrets of few letters, so that texts have something in common with them by accident as well.
fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[aB+]{0,60}",
        3 => "[A-Za-z0-9+/=._-]{0,120}",
        1 => "[aé中%]{0,40}",
        1 => any::<String>(),
    ]
}

/// All that a text can quote of a secret.
fn encodings(secret: &str) -> Vec<String> {
    let each = |form: &dyn Fn(u8) -> String| bytes(secret, form);
    let mut all = vec![
        secret.to_owned(),
        secret.to_uppercase(),
        percent_encode(secret),
        percent_encode(percent_encode(secret)),
        each(&|byte| format!("%{byte:02x}")),
        each(&|byte| format!("{byte:02X}")),
        each(&|byte| byte.to_string()),
        each(&|byte| format!("&#x{byte:x};")),
        secret.chars().flat_map(|c| [c, '.']).collect(),
    ];
    for skipped in ["", "u", "us"] {
        all.push(BASE64_STANDARD.encode(format!("{skipped}{secret}")));
    }
    all
}

/// A text with each of its bytes in another form.
fn bytes(text: &str, form: &dyn Fn(u8) -> String) -> String {
    text.bytes().map(form).collect()
}

/// One piece of a text: a part of some form of a secret, or anything.
#[derive(Debug, Clone)]
enum Piece {
    Quoted { secret: Index, form: Index, begin: Index, length: usize },
    Other(String),
}

fn piece() -> impl Strategy<Value = Piece> {
    let quoted = (any::<Index>(), any::<Index>(), any::<Index>(), 1usize..40);
    prop_oneof![
        3 => quoted.prop_map(|(secret, form, begin, length)| {
            Piece::Quoted { secret, form, begin, length }
        }),
        2 => "[aB+%. \n-]{0,20}".prop_map(Piece::Other),
        1 => any::<String>().prop_map(Piece::Other),
    ]
}

fn text(secrets: &[String], pieces: &[Piece]) -> String {
    let written = pieces.iter().map(|piece| match piece {
        Piece::Other(text) => text.clone(),
        Piece::Quoted { .. } if secrets.is_empty() => String::new(),
        Piece::Quoted { secret, form, begin, length } => {
            let forms = encodings(secret.get::<String>(secrets));
            let form: Vec<char> = form.get(&forms).chars().collect();
            let begin = begin.index(form.len() + 1);
            form[begin..].iter().take(*length).collect()
        }
    });
    written.collect()
}

proptest! {
    #![proptest_config(super::config())]

    #[test]
    fn what_is_taken_out_is_what_the_plain_way_takes_out(
        secrets in proptest::collection::vec(secret(), 0..3),
        pieces in proptest::collection::vec(piece(), 0..5),
    ) {
        let text = text(&secrets, &pieces);
        let kept: Vec<Secret> = secrets.iter().map(Secret::new).collect();
        let kept: Vec<&Secret> = kept.iter().collect();
        prop_assert_eq!(redact::line(&text, &kept), line(&text, &secrets));
        prop_assert_eq!(redact::word(&text, &kept), word(&text, &secrets));
        prop_assert_eq!(redact::is_clear(&text, &kept), !shows(&text, &secrets));
    }
}

fn line(text: &str, secrets: &[String]) -> String {
    let cleaned = without(text, secrets);
    let words = cleaned.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let mut line = words.join(" ");
    if line.chars().count() > 300 {
        line = line.chars().take(300).chain(['…']).collect();
    }
    if shows(&line, secrets) { WITHHELD.to_owned() } else { line }
}

fn word(text: &str, secrets: &[String]) -> String {
    let begin: String = text.chars().take(300).collect();
    let plain = |c: &char| c.is_ascii_alphanumeric() || ".-_:".contains(*c);
    let word: String = begin.chars().filter(plain).take(100).collect();
    let is_clear = without(&word, secrets) == word && !shows(&begin, secrets);
    if is_clear { word } else { WITHHELD.to_owned() }
}

fn without(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    let mut long: Vec<Vec<char>> = Vec::new();
    for secret in secrets.iter().filter(|secret| secret.len() > 5) {
        let once = percent_encode(secret);
        for form in [percent_encode(&once), once, secret.clone()] {
            if form.len() <= 12 {
                text = text.replace(&form, WITHHELD);
            } else {
                long.push(form.chars().collect());
            }
        }
    }
    let text: Vec<char> = text.chars().collect();
    let begins = |at: usize| {
        let part = text.get(at..at + 12);
        part.is_some_and(|part| long.iter().any(|form| form.windows(12).any(|it| it == part)))
    };
    let mut cleaned = String::new();
    let mut until = 0;
    for (at, character) in text.iter().enumerate() {
        if begins(at) {
            if at >= until {
                cleaned.push_str(WITHHELD);
            }
            until = at + 12;
        }
        if at >= until {
            cleaned.push(*character);
        }
    }
    cleaned
}

fn shows(text: &str, secrets: &[String]) -> bool {
    let once = unescaped(text);
    let twice = unescaped(&once);
    let texts = [text, &once, &twice].map(letters);
    let parts: Vec<&str> = texts.iter().flat_map(|text| windows(text)).collect();
    secrets.iter().any(|secret| {
        let base64 = (0..3).filter_map(|skipped| secret.as_bytes().get(skipped..));
        let base64 = base64.map(|rest| letters(&BASE64_STANDARD.encode(rest)));
        let hexadecimal = bytes(secret, &|byte| format!("{byte:02x}"));
        let decimal = bytes(secret, &|byte| byte.to_string());
        let mut forms = base64.chain([letters(secret), hexadecimal, decimal]);
        forms.any(|form| parts.iter().any(|part| form.contains(part)))
    })
}

fn windows(letters: &str) -> impl Iterator<Item = &str> {
    (0..(letters.len() + 1).saturating_sub(16)).map(|at| &letters[at..at + 16])
}

fn letters(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn unescaped(text: &str) -> String {
    let mut text = text.to_ascii_lowercase();
    for begin in ["\\u00", "%u00", "\\x", "&#x"] {
        text = text.replace(begin, "%");
    }
    let mut decoded = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('%') {
        decoded.push_str(before);
        let byte = after.get(..2).filter(|two| !two.contains('%'));
        if let Some(byte) = byte.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            decoded.push(char::from(byte));
            rest = &after[2..];
        } else {
            decoded.push('%');
            rest = after;
        }
    }
    decoded + rest
}
