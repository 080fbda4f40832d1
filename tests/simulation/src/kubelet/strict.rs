//! Strict reading of fields: exact letter case, no repeated key, nothing unknown, no coercion.
//!
//! The rules are those of the codec factory that the kubelet builds with `EnableStrict`
//! (plugin.go); they hold for answers and for configuration files alike. What Go does with `null`
//! is part of them: it leaves the field as if it had not been written.

use super::duration::GoDuration;
use super::json::Node;

/// Which rule of strict decoding a document broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// `kind` is absent, null or empty.
    MissingKind,
    /// `kind` is another one than the reader expects.
    OtherKind,
    /// `apiVersion` names a group or version that has no such kind.
    UnknownVersion,
    /// A field the type does not have; a wrong letter case makes one.
    UnknownField,
    /// The same key twice in one object, map keys included.
    RepeatedKey,
    /// A value of another JSON type than the field's.
    WrongType,
    /// A string that `time.ParseDuration` does not read.
    NotADuration,
}

/// A broken rule and its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Violation {
    pub rule: Rule,
    /// Names of known fields and positions only, so that it can be shown even when the document
    /// holds credentials.
    pub path: String,
    /// The key that is unknown or repeated, as written. Not for answers: it may be anything.
    pub key: Option<String>,
}

/// The members of one object, taken field by field; what is left at the end is unknown.
#[derive(Debug)]
pub(super) struct Fields {
    path: String,
    members: Vec<(String, Node)>,
}

impl Fields {
    /// The members of `node`. Null is an object without any: Go leaves the struct at its zero.
    pub(super) fn of(node: Node, path: &str) -> Result<Self, Violation> {
        let members = match node {
            Node::Null => Vec::new(),
            Node::Object(members) => members,
            _ => return Err(violation(Rule::WrongType, path)),
        };
        for (position, (name, _)) in members.iter().enumerate() {
            if members.iter().take(position).any(|(earlier, _)| earlier == name) {
                let key = Some(name.clone());
                return Err(Violation { key, ..violation(Rule::RepeatedKey, path) });
            }
        }
        Ok(Self { path: path.to_owned(), members })
    }

    pub(super) fn string(&mut self, name: &str) -> Result<Option<String>, Violation> {
        match self.take(name) {
            None => Ok(None),
            Some(Node::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong_type(name)),
        }
    }

    pub(super) fn boolean(&mut self, name: &str) -> Result<Option<bool>, Violation> {
        match self.take(name) {
            None => Ok(None),
            Some(Node::Bool(value)) => Ok(Some(value)),
            Some(_) => Err(self.wrong_type(name)),
        }
    }

    /// metav1.Duration: a JSON string in Go's notation, never a number (meta/v1/duration.go).
    pub(super) fn duration(&mut self, name: &str) -> Result<Option<GoDuration>, Violation> {
        let Some(text) = self.string(name)? else {
            return Ok(None);
        };
        let duration = GoDuration::parse(&text);
        duration.map(Some).ok_or_else(|| violation(Rule::NotADuration, &self.place(name)))
    }

    pub(super) fn strings(&mut self, name: &str) -> Result<Vec<String>, Violation> {
        let items = self.list(name)?;
        let strings = items.into_iter().map(|(node, path)| match node {
            Node::Null => Ok(String::new()),
            Node::String(text) => Ok(text),
            _ => Err(violation(Rule::WrongType, &path)),
        });
        strings.collect()
    }

    /// The objects of a list.
    pub(super) fn objects(&mut self, name: &str) -> Result<Vec<Fields>, Violation> {
        let items = self.list(name)?;
        items.into_iter().map(|(node, path)| Fields::of(node, &path)).collect()
    }

    pub(super) fn object(&mut self, name: &str) -> Result<Option<Fields>, Violation> {
        let place = self.place(name);
        self.take(name).map(|node| Fields::of(node, &place)).transpose()
    }

    /// A map from strings to objects. Places count the entries and do not name them.
    pub(super) fn map(&mut self, name: &str) -> Result<Option<Vec<(String, Fields)>>, Violation> {
        let Some(Fields { path, members }) = self.object(name)? else {
            return Ok(None);
        };
        let entries = members.into_iter().enumerate().map(|(position, (key, node))| {
            Ok((key, Fields::of(node, &format!("{path}[{position}]"))?))
        });
        entries.collect::<Result<_, _>>().map(Some)
    }

    /// Refuses what nobody took.
    pub(super) fn end(self) -> Result<(), Violation> {
        match self.members.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => {
                let key = Some(name);
                Err(Violation { key, ..violation(Rule::UnknownField, &self.path) })
            }
        }
    }

    fn list(&mut self, name: &str) -> Result<Vec<(Node, String)>, Violation> {
        let place = self.place(name);
        let items = match self.take(name) {
            None => Vec::new(),
            Some(Node::List(items)) => items,
            Some(_) => return Err(violation(Rule::WrongType, &place)),
        };
        let places = (0..).map(|position: usize| format!("{place}[{position}]"));
        Ok(items.into_iter().zip(places).collect())
    }

    /// The value of a field; null counts as absent.
    fn take(&mut self, name: &str) -> Option<Node> {
        let position = self.members.iter().position(|(member, _)| member == name)?;
        let (_, node) = self.members.remove(position);
        (node != Node::Null).then_some(node)
    }

    fn wrong_type(&self, name: &str) -> Violation {
        violation(Rule::WrongType, &self.place(name))
    }

    fn place(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

fn violation(rule: Rule, path: &str) -> Violation {
    Violation { rule, path: path.to_owned(), key: None }
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    fn fields(text: &str) -> Result<Fields, Violation> {
        Fields::of(json::read(text.as_bytes()).unwrap(), "")
    }

    fn rule<T>(result: Result<T, Violation>) -> (Rule, String) {
        match result {
            Ok(_) => panic!("accepted"),
            Err(violation) => (violation.rule, violation.path),
        }
    }

    #[test]
    fn null_counts_as_absent() {
        let mut fields =
            fields(r#"{"s":null,"b":null,"d":null,"l":null,"o":null,"m":null}"#).unwrap();
        assert_eq!(fields.string("s").unwrap(), None);
        assert_eq!(fields.boolean("b").unwrap(), None);
        assert_eq!(fields.duration("d").unwrap(), None);
        assert!(fields.strings("l").unwrap().is_empty());
        assert!(fields.object("o").unwrap().is_none());
        assert!(fields.map("m").unwrap().is_none());
        fields.end().unwrap();
    }

    #[test]
    fn nothing_is_coerced() {
        let mut fields = fields(r#"{"s":1,"b":"true","d":3600,"l":"x","o":[],"m":"x"}"#).unwrap();
        for result in [
            rule(fields.string("s")),
            rule(fields.boolean("b")),
            rule(fields.duration("d")),
            rule(fields.strings("l")),
            rule(fields.object("o")),
            rule(fields.map("m")),
        ] {
            assert_eq!(result.0, Rule::WrongType, "{}", result.1);
        }
    }

    #[test]
    fn letter_case_matters_and_leftovers_are_unknown() {
        let mut fields = fields(r#"{"Name":"x"}"#).unwrap();
        assert_eq!(fields.string("name").unwrap(), None);
        let refused = fields.end().unwrap_err();
        assert_eq!((refused.rule, refused.key.as_deref()), (Rule::UnknownField, Some("Name")));
    }

    #[test]
    fn places_name_fields_and_count_entries() {
        let mut map = fields(r#"{"auth":{"a":{},"b":{"x":1,"x":1}}}"#).unwrap();
        assert_eq!(rule(map.map("auth")), (Rule::RepeatedKey, "auth[1]".to_owned()));
        let mut list = fields(r#"{"l":["x",2]}"#).unwrap();
        assert_eq!(rule(list.strings("l")), (Rule::WrongType, "l[1]".to_owned()));
    }
}
