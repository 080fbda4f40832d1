//! Whether a pattern of `matchImages` hits an image, by the kubelet's rules (`keyring.go`,
//! `URLsMatchStr`): the same port or none, as many labels, each label a glob, and the pattern's
//! path a prefix of the image's.

/// Whether a pattern hits an image; both without a scheme.
#[must_use]
pub fn matches(pattern: &str, image: &str) -> bool {
    let (pattern_host, pattern_path) = split(pattern);
    let (host, path) = split(image);
    let (pattern_host, pattern_port) = port(pattern_host);
    let (host, port) = port(host);
    let labels = |host: &str| host.split('.').count();
    pattern_port == port
        && path.starts_with(pattern_path)
        && labels(pattern_host) == labels(host)
        && pattern_host.split('.').zip(host.split('.')).all(|(glob, label)| {
            let (glob, label): (Vec<char>, Vec<char>) =
                (glob.chars().collect(), label.chars().collect());
            fits(&glob, &label)
        })
}

/// Whether some image is hit by both of two patterns. Classes of characters count as any
/// character, so it errs on the side of yes.
#[must_use]
pub fn overlap(one: &str, other: &str) -> bool {
    let ((one_host, one_path), (other_host, other_path)) = (split(one), split(other));
    let ((one_host, one_port), (other_host, other_port)) = (port(one_host), port(other_host));
    let labels = |host: &str| host.split('.').count();
    one_port == other_port
        && (one_path.starts_with(other_path) || other_path.starts_with(one_path))
        && labels(one_host) == labels(other_host)
        && one_host.split('.').zip(other_host.split('.')).all(|(one, other)| {
            let (one, other): (Vec<char>, Vec<char>) = (any(one), any(other));
            both(&one, &other)
        })
}

/// A glob with `?` in place of classes.
fn any(glob: &str) -> Vec<char> {
    let mut simple = Vec::new();
    let mut chars = glob.chars();
    while let Some(c) = chars.next() {
        match c {
            '[' => {
                chars.by_ref().skip(1).find(|c| *c == ']');
                simple.push('?');
            }
            '\\' => simple.extend(chars.next()),
            c => simple.push(c),
        }
    }
    simple
}

fn both(one: &[char], other: &[char]) -> bool {
    match (one, other) {
        ([], []) => true,
        (['*', rest @ ..], other) | (other, ['*', rest @ ..]) => {
            let longer = other.split_first().is_some_and(|(_, tail)| match one {
                ['*', ..] => both(one, tail),
                _ => both(tail, &[&['*'], rest].concat()),
            });
            both(rest, other) || longer
        }
        ([a, one @ ..], [b, other @ ..]) => (a == b || *a == '?' || *b == '?') && both(one, other),
        _ => false,
    }
}

fn split(text: &str) -> (&str, &str) {
    text.split_at(text.find('/').unwrap_or(text.len()))
}

fn port(host: &str) -> (&str, Option<&str>) {
    host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port)))
}

/// `*` any characters, `?` one, `[a-z]` and `[^a-z]` one of a class, `\` the next as it is, as in
/// Go's `path/filepath.Match`.
fn fits(glob: &[char], label: &[char]) -> bool {
    match glob {
        [] => label.is_empty(),
        ['*', rest @ ..] => (0..=label.len())
            .any(|skipped| label.get(skipped..).is_some_and(|label| fits(rest, label))),
        ['?', rest @ ..] => label.split_first().is_some_and(|(_, label)| fits(rest, label)),
        ['\\', literal, rest @ ..] => {
            label.split_first().is_some_and(|(c, label)| c == literal && fits(rest, label))
        }
        ['[', class @ ..] => {
            let Some(end) = class.iter().skip(1).position(|c| *c == ']').map(|end| end + 1) else {
                return false;
            };
            let (Some(class), Some(rest)) = (class.get(..end), class.get(end + 1..)) else {
                return false;
            };
            label.split_first().is_some_and(|(c, label)| in_class(class, *c) && fits(rest, label))
        }
        [literal, rest @ ..] => {
            label.split_first().is_some_and(|(c, label)| c == literal && fits(rest, label))
        }
    }
}

fn in_class(class: &[char], c: char) -> bool {
    let (negated, mut class) = match class {
        ['^', rest @ ..] => (true, rest),
        class => (false, class),
    };
    let mut found = false;
    while let Some((first, rest)) = class.split_first() {
        class = match rest {
            ['-', last, rest @ ..] => {
                found |= (*first..=*last).contains(&c);
                rest
            }
            rest => {
                found |= *first == c;
                rest
            }
        };
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps() {
        for (one, other, expected) in [
            ("*.cn-a.cr.aliyuncs.com", "acme-registry.*.cr.aliyuncs.com", true),
            ("*-registry.cn-a.cr.aliyuncs.com", "acme-*.cn-a.cr.aliyuncs.com", true),
            ("a*.x", "b*.x", false),
            ("*a.x", "*b.x", false),
            ("a.x/team", "a.x/team/app", true),
            ("a.x/team-a", "a.x/team-b", false),
            ("a.x:443", "a.x", false),
            ("*.x", "a.b.x", false),
            ("[ab].x", "c.x", true),
        ] {
            assert_eq!(overlap(one, other), expected, "{one} {other}");
            assert_eq!(overlap(other, one), expected, "{other} {one}");
        }
    }

    #[test]
    fn labels_ports_and_paths() {
        let image = "acme-registry.cn-hangzhou.cr.aliyuncs.com/team/app";
        for (pattern, hits) in [
            ("*.cn-hangzhou.cr.aliyuncs.com", true),
            ("*-registry.*.cr.aliyuncs.com", true),
            ("*.*.cr.aliyuncs.com/team", true),
            ("*.*.cr.aliyuncs.com/te", true),
            ("*.*.cr.aliyuncs.com/other", false),
            ("*.cr.aliyuncs.com", false),
            ("*.*.cr.aliyuncs.com:443", false),
            ("acme-registry.cn-hangzhou.cr.aliyuncs.com", true),
            ("[a-c]cme-registry.cn-hangzhou.cr.aliyuncs.com", true),
            ("[^a]cme-registry.cn-hangzhou.cr.aliyuncs.com", false),
            ("?cme-registry.cn-hangzhou.cr.aliyuncs.com", true),
        ] {
            assert_eq!(matches(pattern, image), hits, "{pattern}");
        }
        assert!(matches("img.example.com:8443", "img.example.com:8443/a"));
    }
}
