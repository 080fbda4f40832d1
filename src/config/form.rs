//! Values that do not have the form that they must have, and those that a sample left in their place.

use crate::config::diagnostics::notes::quotable;

/// What templates and samples put around a name, or in the place of one.
const MARKS: [&str; 10] = ["{{", "}}", "${", "$(", "@@", "<", ">", "…", "...", "***"];

/// Whether a value was left as a sample or a template has it: `<id>`, `${ID}`, `cri-xxx`, `LTAI5t…`.
///
/// Words of `x` alone are placeholders from three letters on, in a host from four, and so is a long
/// row of them at the end.
pub fn is_placeholder(text: &str) -> bool {
    let shortest = if text.contains('.') { 4 } else { 3 };
    let is_row =
        |word: &str| word.len() >= shortest && word.bytes().all(|b| b.eq_ignore_ascii_case(&b'x'));
    let rest = text.trim_end_matches(['x', 'X']);
    let words = || text.split(|c: char| !c.is_ascii_alphanumeric());
    let is_word = |word: &str| {
        let behind = word.strip_prefix("your").or_else(|| word.strip_prefix("Your"));
        behind.is_some_and(|rest| rest.chars().next().is_none_or(|c| c.is_ascii_uppercase()))
            || word.eq_ignore_ascii_case("changeme")
    };
    MARKS.iter().any(|mark| text.contains(mark))
        || words().any(is_word)
        || words().any(is_row)
        || text.len() - rest.len() >= 4
}

/// Says that a value has another form than it must have. `is` stands between name and value; without it
/// the value is not shown.
pub fn not_of_form(name: &str, is: Option<&str>, value: &str, form: &str) -> String {
    match (is, is_placeholder(value)) {
        (None, true) => format!("{name} is a placeholder; put {form} there"),
        (None, false) => format!("{name} has another form; expected {form}"),
        (Some(is), true) => {
            let value = quotable(value);
            format!("{name} {is} `{value}`, a placeholder; put your own value there: {form}")
        }
        (Some(is), false) => format!("{name} {is} `{}`; expected {form}", quotable(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::is_placeholder;

    #[test]
    fn samples_are_known() {
        for text in [
            "xxxxx",
            "XXX",
            "cri-xxx",
            "cri-xxxxxxxxxxxxxxxx",
            "LTAI5txxxxxxxx",
            "LTAI5t…",
            "LTAI5t...",
            "LTAI****",
            "<AccessKey ID>",
            "cri-<id>",
            "${AK}",
            "$(INSTANCE_ID)",
            "@@INSTANCE@@",
            "{{ .Values.instanceId }}",
            "xxxxx-registry.cn-hangzhou.cr.aliyuncs.com",
            "acs:ram::1000000000000001:role/xxx",
            "cri-your-instance-id",
            "your-registry.cn-hangzhou.cr.aliyuncs.com",
            "yourAccessKeyID",
            "changeme",
        ] {
            assert!(is_placeholder(text), "{text}");
        }
        for text in [
            "",
            "x",
            "cri-x",
            "cri-xx",
            "cri-abcxxxdef",
            "LTAI5tabcxxx",
            "img.example.xxx",
            "team-*",
            "yours-registry.cn-hangzhou.cr.aliyuncs.com",
            "acme-registry.cn-hangzhou.cr.aliyuncs.com",
        ] {
            assert!(!is_placeholder(text), "{text}");
        }
    }
}
