//! Reads TOML section by section and remembers every mistake with its place, instead of stopping at
//! the first as a derived deserializer does.

use super::mistake::{Mistake, Mistakes};
use super::values::{Wrong, type_name};
use serde_spanned::Spanned;
use std::cell::RefCell;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// A parsed text and the mistakes found in it so far.
pub(super) struct Document<'a> {
    text: &'a str,
    root: Spanned<DeTable<'a>>,
    malformed: usize,
    mistakes: RefCell<Vec<Mistake>>,
    known: RefCell<Vec<String>>,
}

impl<'a> Document<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let (mistakes, known) = (RefCell::default(), RefCell::default());
        let document = Self { text, root, malformed: errors.len(), mistakes, known };
        for error in errors {
            let instead = "write it as TOML: `key = value` under `[section]`".to_owned();
            let wrong = Wrong { problem: error.message().replace('\n', ", "), instead };
            document.note(error.span().unwrap_or(0..0), wrong);
        }
        document
    }

    pub(super) fn root(&self) -> Section<'_> {
        let table = Some(self.root.get_ref());
        Section { document: self, path: String::new(), several: false, place: 0..0, table, known: Vec::new() }
    }

    /// All mistakes in the order of the text, or none.
    pub(super) fn mistakes(&self) -> Option<Mistakes> {
        let mut all = self.mistakes.take();
        // What is missing from a text that is not TOML may well be there once it is.
        all.truncate(if self.malformed > 0 { self.malformed } else { all.len() });
        all.sort();
        all.dedup();
        (!all.is_empty()).then_some(Mistakes { path: None, all })
    }

    /// Every option that was looked for, as `section.key`.
    #[cfg(test)]
    pub(super) fn known(&self) -> Vec<String> {
        self.known.take()
    }

    fn note(&self, place: Range<usize>, wrong: Wrong) {
        let before = self.text.get(..place.start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        self.mistakes.borrow_mut().push(Mistake {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            problem: wrong.problem,
            instead: wrong.instead,
        });
    }
}

/// A table of the document; absent tables read as empty ones.
pub(super) struct Section<'a> {
    document: &'a Document<'a>,
    path: String,
    /// Whether there may be several of it, in double brackets.
    several: bool,
    place: Range<usize>,
    table: Option<&'a DeTable<'a>>,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// Reads an option; none if it is absent or wrong.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, Wrong>,
    ) -> Option<T> {
        let value = self.look(key)?;
        match read(value.get_ref()) {
            Ok(read) => Some(read),
            Err(wrong) => {
                let problem = format!("`{key}` {}", wrong.problem);
                self.document.note(value.span(), Wrong { problem, ..wrong });
                None
            }
        }
    }

    /// Reads an option that must be there.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        example: &str,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, Wrong>,
    ) -> Option<T> {
        if self.table.is_none_or(|table| !table.contains_key(key)) {
            self.known(key);
            let problem = format!("`{key}` is missing{}", self.place_name());
            self.document.note(self.place.clone(), Wrong { problem, instead: format!("write {example}") });
            return None;
        }
        self.read(key, read)
    }

    /// Opens a table in this one.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'a> {
        let found = self.look(key);
        let table = found.and_then(|value| match value.get_ref() {
            DeValue::Table(table) => Some(table),
            other => {
                let problem = format!("`{key}` is {}, not a section", type_name(other));
                let instead = format!("write `[{}]` on a line of its own", self.path_of(key));
                self.document.note(value.span(), Wrong { problem, instead });
                None
            }
        });
        let place = found.map_or(self.place.clone(), Spanned::span);
        Section {
            document: self.document,
            path: self.path_of(key),
            several: false,
            place,
            table,
            known: Vec::new(),
        }
    }

    /// Opens an array of tables of which there must be one at least.
    pub(super) fn sections(&mut self, key: &'static str, example: &str) -> Vec<Section<'a>> {
        let found = self.look(key);
        let items = match found.map(Spanned::get_ref) {
            Some(DeValue::Array(items)) => &items[..],
            Some(_) => {
                let place = found.map_or(0..0, Spanned::span);
                let path = self.path_of(key);
                let problem = format!("there may be several of `{key}`, so one pair of brackets is too few");
                self.document.note(place, Wrong { problem, instead: format!("write `[[{path}]]`") });
                return Vec::new();
            }
            None => &[],
        };
        if items.is_empty() {
            let problem = format!("there is no `{key}`{}", self.place_name());
            self.document.note(self.place.clone(), Wrong { problem, instead: format!("write {example}") });
        }
        let (document, path) = (self.document, self.path_of(key));
        let section = |item: &'a Spanned<DeValue<'a>>| {
            let table = match item.get_ref() {
                DeValue::Table(table) => Some(table),
                other => {
                    let problem = format!("`{key}` has {} in it, not a section", type_name(other));
                    let instead = format!("write `[[{path}]]` on a line of its own");
                    document.note(item.span(), Wrong { problem, instead });
                    return None;
                }
            };
            Some(Section {
                document,
                path: path.clone(),
                several: true,
                place: item.span(),
                table,
                known: Vec::new(),
            })
        };
        items.iter().filter_map(section).collect()
    }

    /// Notes an option that makes no sense beside the others.
    pub(super) fn refuse(&mut self, key: &'static str, problem: &str, instead: &str) {
        if let Some(value) = self.look(key) {
            let problem = format!("`{key}` {problem}");
            self.document.note(value.span(), Wrong { problem, instead: instead.into() });
        }
    }

    /// Whether an option is written, right or wrong.
    pub(super) fn has(&mut self, key: &'static str) -> bool {
        self.look(key).is_some()
    }

    /// Leaves the section unread, because what it means depends on a mistake elsewhere.
    pub(super) fn ignore(self) {}

    /// Notes the options that nobody looked for.
    pub(super) fn finish(self) {
        for key in self.table.into_iter().flat_map(|table| table.keys()) {
            let name = key.get_ref().as_ref();
            if !self.known.contains(&name) {
                let problem = format!("`{name}` is not an option{}", self.place_name());
                self.document.note(key.span(), Wrong { problem, instead: self.nearest(name) });
            }
        }
    }

    fn look(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known(key);
        self.table?.get(key)
    }

    fn known(&mut self, key: &'static str) {
        self.document.known.borrow_mut().push(self.path_of(key));
        self.known.push(key);
    }

    /// The known option that looks most like `name`, or all of them.
    fn nearest(&self, name: &str) -> String {
        let likeness = |known: &&str| strsim::jaro_winkler(known, name);
        let nearest = self.known.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        match nearest {
            Some(nearest) if likeness(&nearest) > 0.8 => format!("write `{nearest}`"),
            _ => format!("remove it, or write one of: {}", self.known.join(", ")),
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.into() } else { format!("{}.{key}", self.path) }
    }

    fn place_name(&self) -> String {
        match (self.path.as_str(), self.several) {
            ("", _) => String::new(),
            (path, false) => format!(" in [{path}]"),
            (path, true) => format!(" in [[{path}]]"),
        }
    }
}
