//! The file form: walks the document once, reads what the table of keys knows, and keeps every
//! fault.

use super::fault::{Fault, Faults, Place, line_of, nearest};
use super::keys::{Key, SECTIONS, Section, WATCH, WatchForm};
use super::value::{Problem, Value};
use super::{Config, Watch};
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What the command line says over the file; each text is checked as the file's would be.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--listen`.
    pub listen: Option<String>,
    /// `--origin`.
    pub origin: Option<String>,
    /// `--mode`.
    pub mode: Option<String>,
    /// `--admin`.
    pub admin: Option<String>,
    /// `--watch`: if there is any, the file's watches don't count.
    pub watch: Vec<String>,
}

/// A configuration in the making.
pub(super) struct Draft<'a> {
    /// Name and text of the file.
    file: Option<(&'a str, &'a str)>,
    /// Defaults, overwritten by each key that is read.
    pub config: Config,
    /// Where each key stands that was given, good or bad; of the nth watch, `watch.n.key`.
    pub places: BTreeMap<String, Place>,
    /// Everything wrong so far.
    pub faults: Vec<Fault>,
}

/// Reads a configuration out of a text; `name` is the file's, for the messages.
///
/// # Errors
/// All faults together.
pub fn parse(text: &str, name: &str) -> Result<Config, Faults> {
    build(Some((name, text)), &Flags::default())
}

/// Defaults, then the file (name and text), then the flags.
pub(super) fn build(file: Option<(&str, &str)>, flags: &Flags) -> Result<Config, Faults> {
    let name = file.map(|(name, _)| name);
    let mut draft = Draft {
        file,
        config: Config::new(http::Uri::default()),
        places: BTreeMap::new(),
        faults: Vec::new(),
    };
    if let Some((_, text)) = file {
        match DeTable::parse(text) {
            Ok(document) => draft.read_document(document.get_ref()),
            Err(error) => return Err(syntax(name, text, &error)),
        }
    }
    draft.read_flags(flags);
    super::cross::check(&mut draft);
    if draft.faults.is_empty() {
        return Ok(draft.config);
    }
    Err(Faults::new(name, draft.faults))
}

/// The rest of a text with a syntax error can't be trusted, so this one stands alone.
fn syntax(name: Option<&str>, text: &str, error: &toml::de::Error) -> Faults {
    let line = line_of(text, error.span().map_or(0, |span| span.start));
    let text = error.to_string().trim_end().to_owned();
    Faults::new(name, vec![Fault { place: Place::Line(line), key: String::new(), text }])
}

impl Draft<'_> {
    fn place(&self, offset: usize) -> Place {
        self.file.map_or(Place::Nowhere, |(_, text)| Place::Line(line_of(text, offset)))
    }

    /// Notes a fault.
    pub fn fault(&mut self, place: Place, key: &str, text: impl Into<String>) {
        self.faults.push(Fault { place, key: key.to_owned(), text: text.into() });
    }

    fn read_document(&mut self, document: &DeTable<'_>) {
        for (name, value) in document {
            let word = name.get_ref().as_ref();
            let place = self.place(name.span().start);
            let section = SECTIONS.iter().find(|section| section.name == word && !word.is_empty());
            match (word, section, value.get_ref()) {
                ("watch", _, DeValue::Array(list)) => {
                    for watch in list {
                        self.read_watch(watch);
                    }
                }
                ("watch", ..) => self.fault(place, word, "must be a list: write [[watch]]"),
                (_, Some(section), DeValue::Table(table)) => self.read_section(section, table),
                (_, Some(_), _) => {
                    self.fault(place, word, format!("must be a table: write [{word}]"));
                }
                (_, None, _) => self.read_key(&SECTIONS[0], name, value),
            }
        }
    }

    fn read_section(&mut self, section: &'static Section, table: &DeTable<'_>) {
        for (name, value) in table {
            self.read_key(section, name, value);
        }
    }

    fn read_key(
        &mut self,
        section: &'static Section,
        name: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Value<'_>,
    ) {
        let word = name.get_ref().as_ref();
        let full = dotted(section.name, word);
        let place = self.place(name.span().start);
        let Some(key) = section.keys.iter().find(|key| key.name == word) else {
            self.fault(place, &full, unknown(section.name, section.keys, word));
            return;
        };
        if let Err(problems) = (key.read)(&mut self.config, value) {
            self.note(&full, problems);
        }
        self.places.insert(full, place);
    }

    fn read_watch(&mut self, value: &Value<'_>) {
        let place = self.place(value.span().start);
        let DeValue::Table(table) = value.get_ref() else {
            self.fault(place, "watch", "must be a table: write [[watch]]");
            return;
        };
        let n = self.config.watches.len();
        // A watch before it that couldn't be read has left its places here.
        self.forget_places(&format!("watch.{n}."));
        let mut form = WatchForm::default();
        for (name, value) in table {
            let word = name.get_ref().as_ref();
            let full = dotted("watch", word);
            let key_place = self.place(name.span().start);
            self.places.insert(format!("watch.{n}.{word}"), key_place);
            if let Some(key) = WATCH.iter().find(|key| key.name == word) {
                if let Err(problems) = (key.read)(&mut form, value) {
                    self.note(&full, problems);
                }
            } else {
                let place = self.place(name.span().start);
                self.fault(place, &full, unknown("watch", WATCH, word));
            }
        }
        if !table.contains_key("path") {
            let text = "is missing: say which paths are polled, as in path = \"/api/todos/**\"";
            self.fault(place.clone(), "watch.path", text);
        }
        self.add_watch(form, place);
    }

    fn add_watch(&mut self, form: WatchForm, place: Place) {
        let Some(path) = form.path else { return };
        let mut watch = Watch::new(path);
        watch.name = form.name.unwrap_or(watch.name);
        watch.mode = form.mode.unwrap_or(watch.mode);
        watch.percent = form.percent.unwrap_or(watch.percent);
        watch.interval = form.interval.unwrap_or(watch.interval);
        watch.audience = form.audience.unwrap_or(watch.audience);
        watch.proof = form.proof.unwrap_or(watch.proof);
        watch.poll_as = form.poll_as;
        watch.share_private = form.share_private;
        watch.refresh = form.refresh.unwrap_or(watch.refresh);
        watch.write_hints = form.write_hints;
        watch.ignore = form.ignore;
        let n = self.config.watches.len();
        self.places.insert(format!("watch.{n}"), place);
        if let Some(other) = self.config.watches.iter().position(|o| o.name == watch.name) {
            let same_path = self.config.watches[other].path.as_str() == watch.path.as_str();
            let (key, slip) = if same_path {
                ("path", format!("\"{}\" is watched", watch.path.as_str()))
            } else {
                ("name", format!("\"{}\" is the name of a watch", watch.name))
            };
            let at = match self.watch_place(other, key) {
                Place::Line(line) => format!("on line {line} too"),
                _ => "twice".to_owned(),
            };
            let text = match key {
                "path" => format!("{slip} {at}, and the first counts: take one out"),
                _ => format!("{slip} {at}: give it another one"),
            };
            self.fault(self.watch_place(n, key), &dotted("watch", key), text);
        }
        self.config.watches.push(watch);
    }

    /// Where a key of the nth watch stands, or the watch itself.
    pub fn watch_place(&self, n: usize, key: &str) -> Place {
        let own = self.places.get(&format!("watch.{n}.{key}"));
        own.or_else(|| self.places.get(&format!("watch.{n}"))).cloned().unwrap_or(Place::Nowhere)
    }

    fn forget_places(&mut self, prefix: &str) {
        self.places.retain(|key, _| !key.starts_with(prefix));
    }

    fn note(&mut self, key: &str, problems: Vec<Problem>) {
        for Problem { at, text } in problems {
            let place = self.place(at);
            self.fault(place, key, text);
        }
    }

    fn read_flags(&mut self, flags: &Flags) {
        let given = [
            ("--listen", "", "listen", &flags.listen),
            ("--origin", "", "origin", &flags.origin),
            ("--mode", "", "mode", &flags.mode),
            ("--admin", "admin", "listen", &flags.admin),
        ];
        for (flag, section, name, text) in given {
            let Some(text) = text else { continue };
            let keys = SECTIONS.iter().filter(|s| s.name == section).flat_map(|s| s.keys);
            for key in keys.filter(|key| key.name == name) {
                let full = dotted(section, name);
                if let Err(problems) = (key.read)(&mut self.config, &quoted(text)) {
                    self.note_flag(flag, &full, problems);
                }
                self.places.insert(full, Place::Flag(flag));
            }
        }
        if !flags.watch.is_empty() {
            self.config.watches.clear();
            self.forget_places("watch.");
        }
        for text in &flags.watch {
            match super::nouns::glob(&quoted(text)) {
                Ok(path) => {
                    let form = WatchForm { path: Some(path), ..WatchForm::default() };
                    self.add_watch(form, Place::Flag("--watch"));
                }
                Err(problems) => self.note_flag("--watch", "watch.path", problems),
            }
        }
    }

    fn note_flag(&mut self, flag: &'static str, key: &str, problems: Vec<Problem>) {
        for problem in problems {
            self.fault(Place::Flag(flag), key, problem.text);
        }
    }
}

fn quoted(text: &str) -> Value<'_> {
    Spanned::new(0..0, DeValue::String(text.into()))
}

fn dotted(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

/// What to say about a key that nobody knows: a slip, a key of another table, or the list of what
/// there is.
fn unknown<T>(section: &str, keys: &'static [Key<T>], word: &str) -> String {
    let here = keys.iter().map(|key| key.name);
    let tables = SECTIONS.iter().map(|section| section.name).chain(["watch"]);
    let tables = tables.filter(|name| section.is_empty() && !name.is_empty());
    let elsewhere = SECTIONS
        .iter()
        .find(|other| other.name != section && other.keys.iter().any(|key| key.name == word))
        .map(|other| other.name);
    if let Some("") = elsewhere {
        return "belongs at the top of the file: move it above the first [table]".to_owned();
    }
    if let Some(table) = elsewhere {
        return format!("belongs in [{table}]: move it there");
    }
    if WATCH.iter().any(|key| key.name == word) {
        return "belongs in a [[watch]]: move it there".to_owned();
    }
    if let Some(near) = nearest(word, here.clone().chain(tables.clone())) {
        return format!("no such key: did you mean `{near}`?");
    }
    let all: Vec<_> = here.chain(tables).collect();
    format!("no such key: take it out; known here are {}", all.join(", "))
}
