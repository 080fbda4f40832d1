//! What a service says, without the secrets that it may echo.

use std::collections::HashSet;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

use crate::aliyun::signature::percent_encode;
use crate::secret::Secret;

/// Longest line that is passed on, in characters.
const MAX_LINE: usize = 300;
/// Longest word that is passed on, in characters.
const MAX_WORD: usize = 100;
/// What stands behind so many characters is not looked at, and not passed on: a line that quotes
/// the longest token comes to its end before.
const MAX_READ: usize = 64 * 1024;

/// So many characters of a secret one after another are not printed.
const TELLING: usize = 12;

/// And so many where the letters alone are compared; `AccessKeySecret` is a word that a message may
/// have, and a secret made up for a trial as well.
const TELLING_LETTERS: usize = 16;

/// No service issues a secret as short as this; such a one would be found in words by accident.
const TOO_SHORT: usize = 5;

/// In the place of a secret, or of a whole line with one that cannot be taken out.
const WITHHELD: &str = "[secret]";

/// One line of at most `MAX_LINE` (300) characters without any of the secrets, nor a part of one.
pub fn line(text: &str, secrets: &[&Secret]) -> String {
    let text: String = text.chars().take(MAX_READ).collect();
    let text = without(&text, secrets);
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let line = words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(" ");
    let line = if line.chars().count() > MAX_LINE {
        line.chars().take(MAX_LINE).chain(['…']).collect()
    } else {
        line
    };
    if has_part_of(&line, secrets) { WITHHELD.to_owned() } else { line }
}

/// A code or a request id as a plain word: anything else in it is left out. One with a part of a
/// secret is withheld.
pub fn word(text: &str, secrets: &[&Secret]) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    let text: String = text.chars().take(MAX_LINE).collect();
    let word: String = text.chars().filter(plain).take(MAX_WORD).collect();
    if without(&word, secrets) != word || has_part_of(&text, secrets) {
        return WITHHELD.to_owned();
    }
    word
}

/// Whether a name that decides something says nothing of the secrets. A short one, which has no parts
/// that would give it away, does not rule the name out.
pub fn is_clear(name: &str, secrets: &[&Secret]) -> bool {
    !has_part_of(name, secrets)
}

/// What a text is without what it has in common with a secret, as it is or percent-encoded: a
/// service may quote a secret's beginning alone.
fn without(text: &str, secrets: &[&Secret]) -> String {
    let mut text = text.to_owned();
    let mut forms: Vec<Zeroizing<String>> = Vec::new();
    for secret in secrets.iter().filter(|secret| secret.expose().len() > TOO_SHORT) {
        let once = percent_encode(secret.expose());
        let twice = once.replace('%', "%25");
        for form in [twice, once, secret.expose().to_owned()].map(Zeroizing::new) {
            // A short one has no parts that would tell it.
            if form.len() <= TELLING {
                text = text.replace(&*form, WITHHELD);
            } else {
                forms.push(form);
            }
        }
    }
    let pieces = Pieces::of([text.as_bytes()]);
    forms.retain(|form| pieces.may_have(TELLING, form.as_bytes()));
    if forms.is_empty() { text } else { without_parts(&text, &forms) }
}

/// What a text is without what it has in common with any of these forms.
fn without_parts(text: &str, forms: &[Zeroizing<String>]) -> String {
    let forms = forms.iter().map(|form| Zeroizing::new(form.chars().collect()));
    let forms: Vec<Zeroizing<Vec<char>>> = forms.collect();
    let parts: HashSet<&[char]> = forms.iter().flat_map(|form| form.windows(TELLING)).collect();
    let characters: Vec<char> = text.chars().collect();
    let mut cleaned = String::new();
    // Up to where what has been seen is part of a secret.
    let mut secret_until = 0;
    for (at, character) in characters.iter().enumerate() {
        let here = characters.get(at..at + TELLING).is_some_and(|part| parts.contains(part));
        if here && at >= secret_until {
            cleaned.push_str(WITHHELD);
        }
        if here {
            secret_until = at + TELLING;
        }
        if at >= secret_until {
            cleaned.push(*character);
        }
    }
    cleaned
}

/// Whether a part of a secret is in a short text in any of the usual encodings, or with something between its
/// characters. Letters and digits alone are compared, whatever their case.
fn has_part_of(text: &str, secrets: &[&Secret]) -> bool {
    let once = unescaped(text);
    let twice = unescaped(&once);
    let texts = [text.as_bytes(), once.as_bytes(), twice.as_bytes()].map(letters);
    let parts: HashSet<&[u8]> =
        texts.iter().flat_map(|text| text.windows(TELLING_LETTERS)).collect();
    if parts.is_empty() {
        return false;
    }
    let pieces = Pieces::of(texts.iter().map(Vec::as_slice));
    let is_shown = |form: &Vec<u8>| {
        pieces.may_have(TELLING_LETTERS, form)
            && form.windows(TELLING_LETTERS).any(|part| parts.contains(part))
    };
    // Few texts have so many decimal digits one after another.
    let in_numbers = parts.iter().any(|part| part.iter().all(u8::is_ascii_digit));
    secrets.iter().any(|secret| forms(secret, in_numbers).iter().any(is_shown))
}

/// The letters and digits of a secret: as it is, in hexadecimal and if need be in decimal numbers, and
/// in Base64 from each of the three places in which it can begin there.
fn forms(secret: &Secret, in_numbers: bool) -> Zeroizing<Vec<Vec<u8>>> {
    let text = secret.expose().as_bytes();
    let base64 = |skipped| text.get(skipped..).map(|rest| BASE64_STANDARD.encode(rest));
    let mut forms: Vec<Vec<u8>> = (0..3).filter_map(base64).map(letters).collect();
    forms.push(letters(text));
    let digit = |half: u8| if half < 10 { b'0' + half } else { b'a' + half - 10 };
    forms.push(text.iter().flat_map(|byte| [byte >> 4, byte & 15].map(digit)).collect());
    if in_numbers {
        forms.push(text.iter().flat_map(|byte| byte.to_string().into_bytes()).collect());
    }
    Zeroizing::new(forms)
}

fn letters(text: impl Into<Vec<u8>>) -> Vec<u8> {
    let mut text = text.into();
    text.retain(u8::is_ascii_alphanumeric);
    text.make_ascii_lowercase();
    text
}

/// Length of a piece, in bytes.
const PIECE: usize = 8;

/// All pieces of some texts, sorted. Nearly every text has nothing of any secret, and the pieces show
/// that soon: a text with a part of a secret has whole pieces of it, so that one of every few of the
/// secret's pieces is enough to look for.
struct Pieces(Vec<u64>);

impl Pieces {
    fn of<'t>(texts: impl IntoIterator<Item = &'t [u8]>) -> Self {
        let pieces = texts.into_iter().flat_map(|text| text.windows(PIECE));
        let pieces = pieces.filter_map(|piece| piece.first_chunk().copied());
        let mut pieces: Vec<u64> = pieces.map(u64::from_ne_bytes).collect();
        pieces.sort_unstable();
        pieces.dedup();
        Self(pieces)
    }

    /// False is certain: none of the texts has so many bytes one after another in common with a
    /// secret.
    fn may_have(&self, telling: usize, secret: &[u8]) -> bool {
        let mut rest = secret;
        while let Some(piece) = rest.first_chunk() {
            if self.0.binary_search(&u64::from_ne_bytes(*piece)).is_ok() {
                return true;
            }
            // So far apart that each part of the telling length holds a piece that is looked for.
            rest = rest.get(telling - PIECE + 1..).unwrap_or_default();
        }
        false
    }
}

/// A text with `%4d`, and what is like it in JSON, C and XML, as the characters they stand for.
fn unescaped(text: &str) -> String {
    let same = ["\\u00", "%u00", "\\x", "&#x"];
    let text = same.iter().fold(text.to_ascii_lowercase(), |text, begin| text.replace(begin, "%"));
    let mut parts = text.split('%');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (hexadecimal, rest) = part.split_at_checked(2).unwrap_or_default();
        if let Ok(byte) = u8::from_str_radix(hexadecimal, 16) {
            decoded.push(char::from(byte));
            decoded.push_str(rest);
        } else {
            decoded.push('%');
            decoded.push_str(part);
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_a_message_is_taken_out_in_every_encoding() {
        let token = Secret::new("CAIS/se+t==");
        let encoded = percent_encode(token.expose());
        let text = format!("a {} b {encoded} c {} d", token.expose(), percent_encode(&encoded));
        assert_eq!(line(&text, &[&token]), "a [secret] b [secret] c [secret] d");
    }

    #[test]
    fn a_part_of_a_secret_is_taken_out_as_well() {
        let token = Secret::new("CAISbeginning+of/a/long+token/and=its==end");
        let encoded = percent_encode(token.expose());
        for (text, printed) in [
            ("`CAISbeginning+of/a…` is malformed", "`[secret]…` is malformed"),
            ("it ends in /and=its==end.", "it ends in [secret]."),
            (&format!("({encoded}{encoded})"), "([secret][secret])"),
            (&format!("x{}", encoded.get(20..50).unwrap()), "x[secret]"),
            ("CAISbeginni, token and its last", "CAISbeginni, token and its last"),
            ("a long+token/a and CAISbeginning", "a [secret] and [secret]"),
        ] {
            assert_eq!(line(text, &[&token]), printed);
        }
        for (text, printed) in [
            ("CAISbeginning+of/a", "[secret]"),
            ("CAIS.beg%in ning+of/a", "[secret]"),
            ("CAISbeginni", "CAISbeginni"),
        ] {
            assert_eq!(word(text, &[&token]), printed);
        }
    }

    #[test]
    fn a_short_secret_is_not_found_in_words_by_chance() {
        let (short, longer) = (Secret::new("miss"), Secret::new("registry"));
        assert_eq!(word("NoPermission", &[&short]), "NoPermission");
        assert_eq!(line("no registry", &[&short, &longer]), "no [secret]");
        assert!(is_clear("cri-registry-permission", &[&short, &longer]));
        let long = Secret::new("MadeUp3pullTk9Dw");
        assert!(!is_clear("cri-madeup3pulltk9dw", &[&long]));
    }

    #[test]
    fn a_line_with_a_secret_in_another_form_is_withheld() {
        let secret = Secret::new("MadeUp+3pullTk9Dw/Mv7Qz4Xc6Ln0");
        let text = secret.expose();
        let each = |form: &dyn Fn(u8) -> String| text.bytes().map(form).collect::<String>();
        let pieces = |between: &str| {
            let characters: Vec<char> = text.chars().collect();
            let pieces: Vec<String> = characters.chunks(10).map(String::from_iter).collect();
            pieces.join(between)
        };
        let upper = each(&|byte| format!("%{byte:02X}"));
        for form in [
            BASE64_STANDARD.encode(text),
            BASE64_STANDARD.encode(format!("user:{text}")),
            BASE64_STANDARD.encode(format!("a:{text}")).replace('+', "-").replace('/', "_"),
            percent_encode(BASE64_STANDARD.encode(text)),
            percent_encode(text).replace("%2B", "%2b").to_lowercase(),
            upper.to_lowercase(),
            percent_encode(&upper),
            upper,
            each(&|byte| format!("{byte:02x}")),
            each(&|byte| format!("{byte:02X}:")),
            each(&|byte| format!("\\u{byte:04x}")),
            each(&|byte| format!("\\x{byte:02x}")),
            each(&|byte| format!("&#x{byte:x};")),
            each(&|byte| format!("&#{byte};")),
            each(&|byte| format!("{byte}, ")),
            each(&|byte| {
                if byte % 2 == 0 { char::from(byte).into() } else { format!("%{byte:x}") }
            }),
            pieces("\n"),
            pieces("\r\n  "),
            pieces("\u{200b}"),
            pieces("|"),
            each(&|byte| format!("{} ", char::from(byte))),
        ] {
            let printed = line(&format!("key {form} is bad"), &[&secret]);
            assert_eq!(printed, WITHHELD, "{form}");
            let printed = word(&format!("R-{form}"), &[&secret]);
            assert_eq!(printed, WITHHELD, "{form}");
        }
        let harmless = "User not exist: MadeUp 100%, 50 %2, \\u4e2d, acs:ram::2000000000000002:role/x, BFCB5D51-0B4B-5C67-8B2F-6E1B8F9F0A11 7b9d6e4a";
        assert_eq!(line(harmless, &[&secret]), harmless);
    }

    #[test]
    fn however_long_a_message_and_a_secret_are_it_is_soon_read() {
        let secret = Secret::new("MadeUp/0".repeat(2_500));
        let begun = crate::system::clock::instant();
        for text in ["x".repeat(1 << 20), "%".repeat(1 << 20), "MadeUp".repeat(170_000)] {
            assert!(line(&text, &[&secret, &secret]).chars().count() <= MAX_LINE + 1);
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(10));
    }
}
