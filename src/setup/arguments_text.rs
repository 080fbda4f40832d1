//! Arguments as they stand in somebody's text, raw with its quotes: extended and shortened there,
//! so that everything else stays as it was.

/// Arguments that are to be in a text, and others that are to go.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Edit {
    pub add: Vec<String>,
    pub remove: Vec<String>,
}

impl Edit {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }

    /// What becomes of the arguments of a value.
    #[must_use]
    pub fn of(&self, value: &str) -> Vec<String> {
        let stays = |word: &&str| !self.remove.iter().any(|gone| gone == word);
        let kept = value.split_whitespace().filter(stays).map(str::to_owned);
        kept.chain(self.add.iter().cloned()).collect()
    }

    /// A raw value, in its quotes if it has some, with the change made. `quote` is the one that
    /// closes at its very end.
    #[must_use]
    pub fn raw(&self, raw: &str, quote: Option<char>) -> String {
        let mut text = raw.to_owned();
        for gone in &self.remove {
            text = without(&text, gone);
        }
        if self.add.is_empty() {
            return text;
        }
        let added = self.add.join(" ");
        match quote {
            Some(quote) => {
                let inner = text.strip_suffix(quote).unwrap_or(&text);
                // An escaped quote is the end of a value, another the beginning of an empty one.
                let is_empty = inner.ends_with(quote) && !inner.ends_with(&format!("\\{quote}"));
                let space = if is_empty || inner.ends_with(' ') { "" } else { " " };
                format!("{inner}{space}{added}{quote}")
            }
            None if text.is_empty() => format!("\"{added}\""),
            // A shell that reads the file would take a second word for a command.
            None if !text.contains(['"', '\'', '\\', '$', '`']) => format!("\"{text} {added}\""),
            None => format!("{text} {added}"),
        }
    }
}

/// A text without an argument, each time that it stands there as a whole word.
fn without(text: &str, word: &str) -> String {
    let is_end = |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || "\"'".contains(c));
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(word) {
        let begins = kept.chars().chain(before.chars()).next_back();
        kept.push_str(before);
        if is_end(begins) && is_end(after.chars().next()) {
            if kept.ends_with(' ') {
                kept.pop();
            } else {
                rest = after.strip_prefix(' ').unwrap_or(after);
                continue;
            }
        } else {
            kept.push_str(word);
        }
        rest = after;
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(add: &[&str], remove: &[&str]) -> Edit {
        let texts = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Edit { add: texts(add), remove: texts(remove) }
    }

    #[test]
    fn added_inside_the_quotes() {
        let add = edit(&["--x=1", "--y"], &[]);
        assert_eq!(add.raw("\"--a --b\"", Some('"')), "\"--a --b --x=1 --y\"");
        assert_eq!(add.raw("'--a'", Some('\'')), "'--a --x=1 --y'");
        assert_eq!(add.raw("\"\"", Some('"')), "\"--x=1 --y\"");
        assert_eq!(add.raw("", None), "\"--x=1 --y\"");
        assert_eq!(add.raw("--a --b", None), "\"--a --b --x=1 --y\"");
        assert_eq!(add.raw("--a=\\$b", None), "--a=\\$b --x=1 --y");
    }

    #[test]
    fn whole_words_go() {
        let gone = edit(&[], &["--x=/a"]);
        for (before, after) in [
            ("--x=/a", ""),
            ("--v --x=/a", "--v"),
            ("--x=/a --v", "--v"),
            ("\"--v --x=/a --w\"", "\"--v --w\""),
            ("\"--x=/a\"", "\"\""),
            ("--x=/ab --y--x=/a", "--x=/ab --y--x=/a"),
            ("--x=/a --x=/a --x=/ab", "--x=/ab"),
        ] {
            assert_eq!(gone.raw(before, None), after, "{before}");
        }
    }
}
