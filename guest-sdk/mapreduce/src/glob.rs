//! Which files a pattern names: `*` is any text, `?` a character, `[a-z]` one of some; none of them goes beyond a `/`.

/// Whether there is anything in it but plain characters.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Whether a name is only found where it is written out.
pub(crate) fn is_hidden(name: &str) -> bool {
    name.starts_with(['.', '_'])
}

/// Whether a name, without `/`, is one of a pattern's.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last star was, and how far it reached.
    let mut star = None;
    loop {
        let step = match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
                continue;
            }
            Some(_) if n < name.len() => one(&pattern[p..], name[n]),
            None if n == name.len() => return true,
            _ => None,
        };
        match (step, star) {
            (Some(len), _) => (p, n) = (p + len, n + 1),
            (None, Some((at, reached))) if reached < name.len() => {
                star = Some((at, reached + 1));
                (p, n) = (at + 1, reached + 1);
            }
            _ => return false,
        }
    }
}

/// How much of a pattern a character takes, if it fits.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['[', rest @ ..] => {
            let Some(end) = rest.iter().skip(1).position(|&end| end == ']').map(|end| end + 1) else {
                return (c == '[').then_some(1);
            };
            let (set, not) = match &rest[..end] {
                ['!', set @ ..] if !set.is_empty() => (set, true),
                set => (set, false),
            };
            (contains(set, c) != not).then_some(end + 2)
        }
        [plain, ..] => (*plain == c).then_some(1),
        [] => None,
    }
}

fn contains(mut set: &[char], c: char) -> bool {
    loop {
        set = match set {
            [from, '-', to, ..] if (*from..=*to).contains(&c) => return true,
            [_, '-', _, rest @ ..] => rest,
            [one, ..] if *one == c => return true,
            [_, rest @ ..] => rest,
            [] => return false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_what_they_should() {
        for (pattern, yes, no) in [
            ("*.txt", &["a.txt", ".txt"][..], &["a.txt.gz", "txt"][..]),
            ("part-?????", &["part-00000"], &["part-0000", "part-000000"]),
            ("[a-c]*[!0-9]", &["ab", "cxx"], &["d", "a1", "a"]),
            ("*a*b*", &["ab", "xaxbx", "aab"], &["ba", "b"]),
            ("a[", &["a["], &["a"]),
            ("", &[""], &["a"]),
        ] {
            yes.iter().for_each(|name| assert!(matches(pattern, name), "{pattern} {name}"));
            no.iter().for_each(|name| assert!(!matches(pattern, name), "{pattern} {name}"));
        }
    }
}
