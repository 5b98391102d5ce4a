//! Object masks: which properties an answer shall have.
//!
//! Grammar: SLDN `article/object-masks.md`, and what the Python and Go clients and terraform send.
//!
//! ```text
//! mask  = [ ("mask" | "filteredMask") ( "[" list "]" | "(" type ")[" list "]" | "." item ) | list ]
//! list  = [ item { ("," | ";") item } ]
//! item  = name [ "(" type ")" ] [ "." item | "[" list "]" ]
//! ```

use super::error::ApiError;

/// A parsed mask; no fields means no mask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mask {
    pub(crate) fields: Vec<Field>,
    /// `filteredMask`: the filter applies inside the relations too.
    pub(crate) filtered: bool,
}

/// A property, and what to show of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// Only for objects of this type.
    pub(crate) class: Option<String>,
    /// What to show of the object behind it.
    pub(crate) inner: Mask,
}

impl Mask {
    /// Reads a mask as it comes in `objectMask`.
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        let mut reader = Reader { text, at: 0 };
        let mut mask = Self::default();
        reader.list(&mut mask)?;
        reader.skip_space();
        if reader.peek().is_some() { Err(reader.unexpected()) } else { Ok(mask) }
    }

    /// Adds a field; the same property named twice is shown with both.
    fn add(&mut self, field: Field) {
        match self.fields.iter_mut().find(|known| known.name == field.name && known.class == field.class) {
            Some(known) => field.inner.fields.into_iter().for_each(|inner| known.inner.add(inner)),
            None => self.fields.push(field),
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    /// Items up to a closing bracket or the end.
    fn list(&mut self, mask: &mut Mask) -> Result<(), ApiError> {
        loop {
            self.skip_space();
            match self.peek() {
                None | Some(']') => return Ok(()),
                Some(',' | ';') => self.step(),
                Some(_) => self.item(mask)?,
            }
        }
    }

    fn item(&mut self, mask: &mut Mask) -> Result<(), ApiError> {
        let name = self.name()?;
        let class = self.class()?;
        let mut inner = Mask::default();
        self.skip_space();
        match self.peek() {
            Some('.') => {
                self.step();
                self.skip_space();
                self.item(&mut inner)?;
            }
            Some('[') => {
                self.step();
                self.list(&mut inner)?;
                if self.peek() != Some(']') {
                    return Err(self.unexpected());
                }
                self.step();
            }
            _ => (),
        }
        if name != "mask" && name != "filteredMask" {
            mask.add(Field { name, class, inner });
            return Ok(());
        }
        mask.filtered |= name == "filteredMask";
        for mut field in inner.fields {
            field.class = field.class.or_else(|| class.clone());
            mask.add(field);
        }
        Ok(())
    }

    fn name(&mut self) -> Result<String, ApiError> {
        let rest = &self.text[self.at..];
        let end =
            rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(rest.len());
        if end == 0 {
            return Err(self.unexpected());
        }
        self.at += end;
        Ok(rest[..end].to_owned())
    }

    fn class(&mut self) -> Result<Option<String>, ApiError> {
        if self.peek() != Some('(') {
            return Ok(None);
        }
        self.step();
        let class = self.name()?;
        if self.peek() != Some(')') {
            return Err(self.unexpected());
        }
        self.step();
        Ok(Some(class))
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.step();
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn step(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    fn unexpected(&self) -> ApiError {
        let before = &self.text[..self.at];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|letter| *letter != '\n').count() + 1;
        let found = self.peek().map(String::from).unwrap_or_default();
        ApiError::mask_syntax(line, column, &found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mask with one bracket for each level, to compare by.
    fn shape(mask: &Mask) -> String {
        let one = |field: &Field| {
            let class = field.class.as_ref().map(|class| format!("({class})")).unwrap_or_default();
            let inner = if field.inner.fields.is_empty() {
                String::new()
            } else {
                format!("[{}]", shape(&field.inner))
            };
            format!("{}{class}{inner}", field.name)
        };
        mask.fields.iter().map(one).collect::<Vec<_>>().join(",")
    }

    fn check(text: &str, expected: &str) {
        assert_eq!(Mask::parse(text).map(|mask| shape(&mask)), Ok(expected.to_owned()), "{text}");
    }

    #[test]
    fn every_spelling_in_the_wild_is_read() {
        check("mask[a,b[c,d],e.f]", "a,b[c,d],e[f]");
        check("mask.a.b,mask.c", "a[b],c");
        check("id,name,networkVlan[id]", "id,name,networkVlan[id]");
        check("listeners.defaultPool.members", "listeners[defaultPool[members]]");
        check("id;networkIdentifier;cidr", "id,networkIdentifier,cidr");
        check("mask(SoftLayer_Hardware_Server)[x]", "x(SoftLayer_Hardware_Server)");
        check("prop(Some_Type)[y]", "prop(Some_Type)[y]");
        check("mask[]", "");
        check("", "");
        check(
            "mask[\n  id,\n  note ,\n ipAddresses[id,\n hardware[id]],\n]",
            "id,note,ipAddresses[id,hardware[id]]",
        );
        check("mask[a[b],a.c]", "a[b,c]");
    }

    #[test]
    fn a_filtered_mask_says_so() {
        assert!(Mask::parse("filteredMask[subnets]").unwrap().filtered);
        assert!(!Mask::parse("mask[subnets]").unwrap().filtered);
    }

    #[test]
    fn a_broken_mask_is_refused_with_line_and_column() {
        let error = Mask::parse("mask[id,\n 'x']").unwrap_err();
        assert_eq!(error.text, "Error on line 2 at column 2: Expected PROPERTY, got '''");
        assert!(Mask::parse("mask[id").is_err());
        assert!(Mask::parse("id]").is_err());
        assert!(Mask::parse("a(b").is_err());
        assert!(Mask::parse("a..b").is_err());
        assert!(Mask::parse("é").is_err());
    }
}
