//! Text as a line of a log or a terminal can show it.

/// One line, whatever was put into it.
pub fn one_line(text: &str) -> String {
    text.chars().map(visible).collect()
}

/// A space in place of what ends a line, moves the cursor, turns the direction of what follows so
/// that it reads as something else, or cannot be seen at all.
pub fn visible(c: char) -> char {
    // Unicode's Bidi_Control and Default_Ignorable_Code_Point, line and paragraph separators, and
    // the marks of annotations.
    let unseen = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}');
    if c.is_control() || unseen { ' ' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_a_space() {
        let bidi_control = ['\u{61c}', '\u{200e}', '\u{200f}'];
        let bidi_control = bidi_control.into_iter().chain('\u{202a}'..='\u{202e}');
        for c in bidi_control.chain('\u{2066}'..='\u{2069}').chain("\u{1b}\n\u{9b}\u{7f}".chars()) {
            assert_eq!(visible(c), ' ', "{c:?}");
        }
        for c in "\u{ad}\u{180e}\u{200b}\u{200d}\u{2028}\u{2060}\u{3164}\u{fe0f}\u{feff}\u{fff9}\u{e0041}".chars() {
            assert_eq!(visible(c), ' ', "{c:?}");
        }
        for c in "aé画 「…\u{fffd}".chars() {
            assert_eq!(visible(c), c, "{c:?}");
        }
    }
}
