//! What of a YAML text is lost, or means something else, if it is read as Envoy reads it.

use granit_parser::{Event, Parser, ScalarStyle};

use super::read::is_ignore;

/// What a text has that the tree has not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// Comments.
    pub comments: usize,
    /// Aliases, each in the place of what its anchor stands for.
    pub aliases: usize,
    /// Keys with the tag `!ignore`, which Envoy passes over: a place for anchors.
    pub ignored: usize,
    /// The lines with a merge key, `<<`.
    pub merges: Vec<usize>,
}

/// What is open, from the outside in.
enum Open {
    List,
    /// Whether a key comes next.
    Map(bool),
}

/// Looks through a text, as far as it is YAML.
pub fn scan(text: &str) -> Scan {
    let mut scan = Scan::default();
    let mut open = Vec::new();
    let mut parser = Parser::new_from_str(text);
    while let Some(Ok((event, span))) = parser.next_event() {
        match event {
            Event::Comment(..) => scan.comments += 1,
            Event::Alias(_) => {
                scan.aliases += 1;
                is_key(&mut open);
            }
            Event::Scalar(text, style, _, tag) => {
                let key = is_key(&mut open);
                scan.ignored += usize::from(key && tag.is_some_and(|tag| is_ignore(&tag)));
                let merge = key && style == ScalarStyle::Plain && text == "<<";
                scan.merges.extend(merge.then(|| span.start.line()));
            }
            Event::SequenceStart(..) => {
                is_key(&mut open);
                open.push(Open::List);
            }
            Event::MappingStart(..) => {
                is_key(&mut open);
                open.push(Open::Map(true));
            }
            Event::SequenceEnd | Event::MappingEnd => drop(open.pop()),
            _ => {}
        }
    }
    scan
}

/// Whether what comes is a key; behind it comes its value.
fn is_key(open: &mut [Open]) -> bool {
    match open.last_mut() {
        Some(Open::Map(key)) => std::mem::replace(key, !*key),
        Some(Open::List) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_aliases_and_merge_keys_are_counted() {
        let found = scan(
            "# one\na: &a {x: 1} # two\nb: [*a, *a, <<]\nc:\n  \"<<\": 1\n  << : *a\nd: {<<: *a, e: <<}\nf: \"#\"\n",
        );
        assert_eq!(found, Scan { comments: 2, aliases: 4, ignored: 0, merges: vec![6, 7] });
        assert_eq!(scan("a: b\n"), Scan::default());
        assert_eq!(scan("!ignore a: {b: !ignore c, !ignore d: e}\n").ignored, 2);
        assert_eq!(scan("a: [ # one\n").comments, 1);
    }
}
