//! A kubelet that a shell starts: its arguments stand in the shell's own.

const SHELLS: [&str; 4] = ["sh", "bash", "dash", "ash"];

/// Why arguments are not seen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Hidden {
    #[error("a shell starts the kubelet, and sets the arguments itself: {0}")]
    ByShell(String),
    #[error("{0} is a script, and sets the arguments itself")]
    ByScript(String),
}

/// A command line as the kubelet gets it: that of a shell with `-c` is the last command of its text.
/// `value` has the variables of the shell.
///
/// # Errors
///
/// A text of which that is not certain.
pub fn unwrapped<'v>(
    line: Vec<String>,
    value: impl Fn(&str) -> Option<&'v str>,
) -> Result<Vec<String>, Hidden> {
    let program = line.first().and_then(|program| program.rsplit('/').next()).unwrap_or_default();
    let is_command = |word: &&String| word.starts_with('-') && word.ends_with('c');
    let at = line.iter().take(4).position(|word| is_command(&word));
    let (true, Some(at)) = (SHELLS.contains(&program), at) else { return Ok(line) };
    let text = line.get(at + 1).map(String::as_str).unwrap_or_default();
    let hidden = || Hidden::ByShell(text.to_owned());
    let words = words(text, value).ok_or_else(hidden)?;
    let is_kubelet = |word: &String| word.rsplit('/').next() == Some("kubelet");
    let from = words.iter().position(is_kubelet).ok_or_else(hidden)?;
    Ok(words.into_iter().skip(from).collect())
}

/// The words of one command, or of its last one; none where they hang on what other commands do.
fn words<'v>(text: &str, value: impl Fn(&str) -> Option<&'v str>) -> Option<Vec<String>> {
    let mut all = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = text.chars().peekable();
    // Other commands may set a variable, and then its value is not known.
    let mut is_first = true;
    while let Some(c) = rest.next() {
        match c {
            '\'' | '"' if quote.is_none() => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            _ if quote == Some(c) => quote = None,
            c if quote == Some('\'') => word.get_or_insert_default().push(c),
            // A line that goes on: there is nothing, not an empty word.
            '\\' if rest.next_if_eq(&'\n').is_some() => {}
            '\\' => word.get_or_insert_default().extend(rest.next()),
            '`' => return None,
            '$' => {
                let is_braced = rest.next_if_eq(&'{').is_some();
                let mut name = String::new();
                while let Some(c) = rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                    name.push(c);
                }
                if name.is_empty() || is_braced && rest.next() != Some('}') {
                    return None;
                }
                let set = match value(&name) {
                    None if !is_first => return None,
                    set => set.unwrap_or_default(),
                };
                if quote.is_some() {
                    word.get_or_insert_default().push_str(set);
                    continue;
                }
                // Its spaces divide words.
                for c in set.chars() {
                    if c.is_whitespace() {
                        all.extend(word.take());
                    } else {
                        word.get_or_insert_default().push(c);
                    }
                }
            }
            ';' | '&' | '|' | '\n' if quote.is_none() => {
                all.extend(word.take());
                let is_over = all.iter().any(|word: &String| word.ends_with("kubelet"));
                if is_over {
                    return Some(all);
                }
                is_first = false;
                all.clear();
            }
            c if quote.is_none() && c.is_whitespace() => all.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    all.extend(word);
    quote.is_none().then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_command_of_a_shell() {
        let variable = |name: &str| (name == "ARGS").then_some("--a=1 --b");
        for (text, expected) in [
            ("exec kubelet --a 'b c' \"d\"e", Some("kubelet|--a|b c|de")),
            (
                "/usr/bin/kubelet $ARGS \"${ARGS}\" $NONE",
                Some("/usr/bin/kubelet|--a=1|--b|--a=1 --b"),
            ),
            (
                "sleep 1; exec kubelet --a >> /var/log/kubelet.log 2>&1",
                Some("kubelet|--a|>>|/var/log/kubelet.log|2>"),
            ),
            ("test -e /x && exec kubelet $ARGS", Some("kubelet|--a=1|--b")),
            ("kubelet --a \\\n --b", Some("kubelet|--a|--b")),
            (". /etc/x; exec kubelet $OTHER", None),
            ("exec kubelet $(cat /etc/args)", None),
            ("exec kubelet `cat /etc/args`", None),
            ("exec kubelet ${ARGS:-x}", None),
            ("exec kubelet 'a", None),
            ("/opt/start", None),
        ] {
            let line = ["/bin/bash", "-ec", text].map(str::to_owned).to_vec();
            let expected = expected.map(|words| words.split('|').map(str::to_owned).collect());
            assert_eq!(unwrapped(line, variable).ok(), expected, "{text}");
        }
        let line = ["/bin/sh", "--v=2"].map(str::to_owned).to_vec();
        assert_eq!(unwrapped(line.clone(), variable), Ok(line));
    }
}
