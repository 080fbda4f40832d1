//! Values that stand in a sample for what the reader was to put there.

/// What templates and samples put around a name, or in the place of one.
const MARKS: [&str; 8] = ["{{", "}}", "${", "<", ">", "…", "...", "***"];

/// Whether a value was left as a sample or a template has it: `<id>`, `${ID}`, `cri-xxx`, `LTAI5t…`.
///
/// Words of `x` alone are placeholders from three letters on, in a host from four, and so is a long
/// row of them at the end.
#[must_use]
pub fn is_placeholder(text: &str) -> bool {
    let shortest = if text.contains('.') { 4 } else { 3 };
    let is_row =
        |word: &str| word.len() >= shortest && word.bytes().all(|b| b.eq_ignore_ascii_case(&b'x'));
    let rest = text.trim_end_matches(['x', 'X']);
    MARKS.iter().any(|mark| text.contains(mark))
        || text.split(|c: char| !c.is_ascii_alphanumeric()).any(is_row)
        || text.len() - rest.len() >= 4
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
            "{{ .Values.instanceId }}",
            "xxxxx-registry.cn-hangzhou.cr.aliyuncs.com",
            "acs:ram::1000000000000001:role/xxx",
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
            "acme-registry.cn-hangzhou.cr.aliyuncs.com",
        ] {
            assert!(!is_placeholder(text), "{text}");
        }
    }
}
