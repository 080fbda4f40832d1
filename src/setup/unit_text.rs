//! A unit, a drop-in or another file of systemd's as text: its assignments and the words of their values.

use std::ops::Range;

/// Characters and where each begins in the file.
pub type Placed = Vec<(usize, char)>;

/// An assignment, lines that go on in one.
pub struct Line {
    pub section: String,
    pub key: String,
    pub value: Placed,
}

pub fn lines(text: &str) -> Vec<Line> {
    let mut all = Vec::new();
    let mut section = String::new();
    let mut line: Placed = Vec::new();
    let mut start = 0;
    for raw in text.split_inclusive('\n') {
        let content = raw.trim_end_matches(['\n', '\r']);
        let indent = content.len() - content.trim_start().len();
        let content = content.trim_start();
        let from = start + indent;
        start += raw.len();
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        line.extend(content.char_indices().map(|(at, c)| (from + at, c)));
        let backslashes = content.chars().rev().take_while(|c| *c == '\\').count();
        if backslashes % 2 == 1 {
            if let Some(last) = line.last_mut() {
                last.1 = ' ';
            }
            continue;
        }
        let whole = std::mem::take(&mut line);
        take_line(&whole, &mut section, &mut all);
    }
    take_line(&line, &mut section, &mut all);
    all
}

fn take_line(line: &Placed, section: &mut String, all: &mut Vec<Line>) {
    let text = plain(line);
    if text.starts_with('[') {
        *section = text;
        return;
    }
    let Some(equals) = line.iter().position(|(_, c)| *c == '=') else { return };
    let (key, value) = line.split_at(equals);
    let value = value.iter().skip(1).copied().skip_while(|(_, c)| c.is_whitespace()).collect();
    all.push(Line { section: section.clone(), key: plain(key), value });
}

/// A line's text without spaces at its ends.
pub fn plain(line: &[(usize, char)]) -> String {
    line.iter().map(|(_, c)| *c).collect::<String>().trim().to_owned()
}

pub struct Word {
    pub text: String,
    pub raw: Range<usize>,
}

/// Words with their quotes and escapes taken off, wherever in a word those stand.
pub fn words(line: &[(usize, char)]) -> Vec<Word> {
    let mut all: Vec<Word> = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote = None;
    let mut rest = line.iter().copied();
    while let Some((at, c)) = rest.next() {
        if quote.is_none() && c.is_whitespace() {
            all.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_with(|| Word { text: String::new(), raw: at..at });
        word.raw.end = at + c.len_utf8();
        match c {
            '"' | '\'' if quote.is_none() => quote = Some(c),
            _ if quote == Some(c) => quote = None,
            '\\' => {
                let Some((at, escaped)) = rest.next() else { break };
                word.raw.end = at + escaped.len_utf8();
                match escaped {
                    'n' => word.text.push('\n'),
                    't' => word.text.push('\t'),
                    's' => word.text.push(' '),
                    '\\' | '"' | '\'' | ' ' => word.text.push(escaped),
                    other => word.text.extend(['\\', other]),
                }
            }
            c => word.text.push(c),
        }
    }
    all.extend(word);
    all
}
