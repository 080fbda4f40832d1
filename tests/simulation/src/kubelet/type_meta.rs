//! `apiVersion` and `kind`, read before anything else is.

use super::json::Node;

/// What a document says it is. Absent and null fields are empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct TypeMeta {
    /// `group/version`, or the version alone.
    pub api_version: String,
    pub kind: String,
}

impl TypeMeta {
    /// json.DefaultMetaFactory `Interpret`: plain `encoding/json` into two fields. It matches keys
    /// without regard to letter case and lets the last of several win; the strict reading after it
    /// then refuses what slipped through.
    pub(super) fn interpret(document: &Node) -> Result<Self, &'static str> {
        let members = match document {
            Node::Null => return Ok(Self::default()),
            Node::Object(members) => members,
            _ => return Err("the document is not an object"),
        };
        let mut meta = Self::default();
        for (name, node) in members {
            let field = if name.eq_ignore_ascii_case("apiVersion") {
                &mut meta.api_version
            } else if name.eq_ignore_ascii_case("kind") {
                &mut meta.kind
            } else {
                continue;
            };
            match node {
                Node::Null => {}
                Node::String(text) => field.clone_from(text),
                _ => return Err("apiVersion and kind are strings"),
            }
        }
        // schema.ParseGroupVersion
        match meta.api_version.matches('/').count() {
            0 | 1 => Ok(meta),
            _ => Err("apiVersion has more than one slash"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    fn interpret(text: &str) -> Result<(String, String), &'static str> {
        let meta = TypeMeta::interpret(&json::read(text.as_bytes()).unwrap())?;
        Ok((meta.api_version, meta.kind))
    }

    #[test]
    fn last_key_in_any_letter_case_wins() {
        let meta = interpret(r#"{"kind":"A","apiVersion":"g/v1","KIND":"B","kind":null}"#);
        assert_eq!(meta, Ok(("g/v1".to_owned(), "B".to_owned())));
    }

    #[test]
    fn absent_is_empty() {
        assert_eq!(interpret("{}"), Ok(Default::default()));
        assert_eq!(interpret("null"), Ok(Default::default()));
    }

    #[test]
    fn other_shapes_are_refused() {
        for text in [
            "[]",
            "1",
            r#""x""#,
            r#"{"kind":1}"#,
            r#"{"apiVersion":{}}"#,
            r#"{"apiVersion":"a/b/c"}"#,
        ] {
            assert!(interpret(text).is_err(), "{text}");
        }
    }
}
