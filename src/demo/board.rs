//! The board: lists of items, and the feed of what happened to them. Pure: who acts and when are
//! arguments.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// At most so many items on the whole board; a further one is refused.
pub const ITEMS_MAX: usize = 500;
/// A title or a note has at most so many characters.
pub const TEXT_MAX_CHARS: usize = 200;
/// The feed keeps so many events; older ones are forgotten.
pub const EVENTS_MAX: usize = 50;

/// One card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Unique for the life of the board; never used twice.
    pub id: u64,
    /// What is to be done.
    pub title: String,
    /// Whether it is.
    pub done: bool,
    /// Who added it.
    pub by: String,
}

/// One column.
#[derive(Clone, Debug, Serialize)]
pub struct List {
    /// What requests call it.
    pub id: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// Its cards, newest first.
    pub items: Vec<Item>,
}

/// One line of the feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Grows with every event.
    pub id: u64,
    /// When it took effect, in milliseconds since the Unix epoch, by the server's clock.
    pub at: u64,
    /// Who did it.
    pub who: String,
    /// `added`, `moved`, `done`, `reopened`, `renamed`, `deleted` or `note`.
    pub kind: &'static str,
    /// What happened, as people say it.
    pub text: String,
    /// The mark that the writing page sent, so that it can tell its own changes from those of
    /// others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
}

/// Who acts, and when.
#[derive(Clone, Debug)]
pub struct Author {
    /// Display name.
    pub who: String,
    /// See [`Event::mark`].
    pub mark: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// The body of `POST /api/items`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct NewItem {
    /// Id of the list.
    pub list: String,
    /// Title of the card.
    pub title: String,
}

/// The body of `PATCH /api/items/:id`: what is absent stays as it is.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Edit {
    /// New title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Id of the list to move to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
    /// Ticked or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<bool>,
}

/// The body of `POST /api/actions`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Note {
    /// What to say in the feed.
    pub text: String,
}

/// Why the board won't do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No item has this id.
    #[error("there is no such item")]
    NoItem,
    /// No list has this id.
    #[error("there is no such list")]
    NoList,
    /// Empty, or longer than [`TEXT_MAX_CHARS`].
    #[error("a text has 1 to 200 characters")]
    BadText,
    /// [`ITEMS_MAX`] is reached.
    #[error("the board is full: delete an item first")]
    Full,
}

/// The whole state.
#[derive(Clone, Debug)]
pub struct Board {
    /// The columns, in the order in which people see them.
    lists: Vec<List>,
    /// The feed, newest first, at most [`EVENTS_MAX`].
    events: VecDeque<Event>,
    /// Id of the next item.
    next_item: u64,
    /// Id of the next event.
    next_event: u64,
}

/// What a new board holds: list, title, done, who.
const FIRST_ITEMS: [(usize, &str, bool, &str); 8] = [
    (2, "Invoice export: decimal comma", false, "Jonas"),
    (2, "Upgrade the mail templates", true, "Mira"),
    (1, "Reconnect after sleep on laptops", false, "Aiko"),
    (1, "Keyboard shortcuts for the board", false, "Mira"),
    (1, "Release notes for 4.2", true, "Jonas"),
    (0, "Dark mode for the printed report?", false, "Aiko"),
    (0, "Ask support for the top ten questions", false, "Mira"),
    (0, "Let guests comment", false, "Jonas"),
];

impl Board {
    /// A board with a few cards on it, and an empty feed but for one line.
    #[must_use]
    pub fn new(at_ms: u64) -> Self {
        let list = |id, title| List { id, title, items: Vec::new() };
        let mut board = Self {
            lists: vec![
                list("ideas", "Ideas"),
                list("week", "This week"),
                list("review", "In review"),
            ],
            events: VecDeque::new(),
            next_item: 1,
            next_event: 1,
        };
        for (index, title, done, by) in FIRST_ITEMS {
            let item = Item { id: board.next_item, title: title.into(), done, by: by.into() };
            board.next_item += 1;
            board.lists[index].items.push(item);
        }
        let author = Author { who: "Mira".into(), mark: None, at_ms };
        board.record("note", "opened the board".into(), &author);
        board
    }

    /// The columns with their cards.
    pub fn lists(&self) -> &[List] {
        &self.lists
    }

    /// The feed, newest first.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.iter()
    }

    /// How many cards there are.
    pub fn len(&self) -> usize {
        self.lists.iter().map(|list| list.items.len()).sum()
    }

    /// True if there is no card.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The answer to `GET /api/board`, as JSON.
    pub fn board_json(&self) -> serde_json::Result<Vec<u8>> {
        #[derive(Serialize)]
        struct View<'a> {
            lists: &'a [List],
        }
        serde_json::to_vec(&View { lists: &self.lists })
    }

    /// The answer to `GET /api/events`, as JSON.
    pub fn events_json(&self) -> serde_json::Result<Vec<u8>> {
        #[derive(Serialize)]
        struct View<'a> {
            events: &'a VecDeque<Event>,
        }
        serde_json::to_vec(&View { events: &self.events })
    }

    /// Puts a card on top of a list.
    pub fn add(&mut self, new: &NewItem, author: &Author) -> Result<Item, Refusal> {
        let title = text(&new.title)?;
        let list = self.list(&new.list)?;
        if self.len() >= ITEMS_MAX {
            return Err(Refusal::Full);
        }
        let item = Item { id: self.next_item, title, done: false, by: author.who.clone() };
        self.next_item += 1;
        self.lists[list].items.insert(0, item.clone());
        let said = format!("added “{}” to {}", item.title, self.lists[list].title);
        self.record("added", said, author);
        Ok(item)
    }

    /// Changes a card: all of it, or nothing if any part is refused. An edit that changes nothing
    /// leaves no event.
    pub fn edit(&mut self, id: u64, edit: &Edit, author: &Author) -> Result<Item, Refusal> {
        let (from, place) = self.find(id)?;
        let title = edit.title.as_deref().map(text).transpose()?;
        let to = edit.list.as_deref().map(|list| self.list(list)).transpose()?.unwrap_or(from);
        let mut item = self.lists[from].items[place].clone();
        let old_title = item.title.clone();
        let renamed = title.is_some_and(|title| {
            let differs = title != item.title;
            item.title = title;
            differs
        });
        let ticked = edit.done.is_some_and(|done| std::mem::replace(&mut item.done, done) != done);
        if to == from {
            self.lists[from].items[place] = item.clone();
        } else {
            self.lists[from].items.remove(place);
            self.lists[to].items.insert(0, item.clone());
        }
        if to != from {
            let said = format!("moved “{}” to {}", item.title, self.lists[to].title);
            self.record("moved", said, author);
        }
        if ticked && item.done {
            self.record("done", format!("finished “{}”", item.title), author);
        } else if ticked {
            self.record("reopened", format!("reopened “{}”", item.title), author);
        }
        if renamed {
            let said = format!("renamed “{old_title}” to “{}”", item.title);
            self.record("renamed", said, author);
        }
        Ok(item)
    }

    /// Takes a card off the board.
    pub fn remove(&mut self, id: u64, author: &Author) -> Result<(), Refusal> {
        let (list, place) = self.find(id)?;
        let item = self.lists[list].items.remove(place);
        self.record("deleted", format!("deleted “{}”", item.title), author);
        Ok(())
    }

    /// Says something in the feed.
    pub fn note(&mut self, note: &Note, author: &Author) -> Result<Event, Refusal> {
        let said = text(&note.text)?;
        Ok(self.record("note", said, author))
    }

    fn record(&mut self, kind: &'static str, text: String, author: &Author) -> Event {
        let event = Event {
            id: self.next_event,
            at: author.at_ms,
            who: author.who.clone(),
            kind,
            text,
            mark: author.mark.clone(),
        };
        self.next_event += 1;
        self.events.truncate(EVENTS_MAX - 1);
        self.events.push_front(event.clone());
        event
    }

    fn list(&self, id: &str) -> Result<usize, Refusal> {
        self.lists.iter().position(|list| list.id == id).ok_or(Refusal::NoList)
    }

    fn find(&self, id: u64) -> Result<(usize, usize), Refusal> {
        self.lists
            .iter()
            .enumerate()
            .find_map(|(list, column)| {
                column.items.iter().position(|item| item.id == id).map(|place| (list, place))
            })
            .ok_or(Refusal::NoItem)
    }
}

/// A title or note as it is kept: trimmed, not empty, not too long.
fn text(raw: &str) -> Result<String, Refusal> {
    let trimmed = raw.trim();
    // `take` bounds the count: a body holds thousands of characters, two hundred decide.
    let chars = trimmed.chars().take(TEXT_MAX_CHARS + 1).count();
    if chars == 0 || chars > TEXT_MAX_CHARS {
        return Err(Refusal::BadText);
    }
    Ok(trimmed.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn author() -> Author {
        Author { who: "Guest 1".into(), mark: Some("m1".into()), at_ms: 7 }
    }

    fn new(list: &str, title: &str) -> NewItem {
        NewItem { list: list.into(), title: title.into() }
    }

    #[test]
    fn an_item_is_added_moved_ticked_renamed_and_deleted() {
        let mut board = Board::new(0);
        let item = board.add(&new("ideas", "  Tea  "), &author()).unwrap();
        assert_eq!(item.title, "Tea");
        let edit =
            Edit { title: Some("Green tea".into()), list: Some("week".into()), done: Some(true) };
        let item = board.edit(item.id, &edit, &author()).unwrap();
        assert_eq!(board.lists()[1].items[0], item);
        board.edit(item.id, &edit, &author()).unwrap();
        board.remove(item.id, &author()).unwrap();
        let kinds: Vec<_> = board.events().map(|event| event.kind).collect();
        assert_eq!(kinds, ["deleted", "renamed", "done", "moved", "added", "note"]);
        let newest = board.events().next().unwrap();
        assert_eq!((newest.at, newest.mark.as_deref()), (7, Some("m1")));
    }

    #[test]
    fn a_refused_edit_changes_nothing() {
        let mut board = Board::new(0);
        let before = board.board_json().unwrap();
        let id = board.lists()[0].items[0].id;
        let edit = Edit { title: Some("x".into()), list: Some("nowhere".into()), done: Some(true) };
        assert_eq!(board.edit(id, &edit, &author()), Err(Refusal::NoList));
        assert_eq!(board.edit(999, &Edit::default(), &author()), Err(Refusal::NoItem));
        assert_eq!(board.board_json().unwrap(), before);
    }

    #[test]
    fn everything_is_bounded() {
        let mut board = Board::new(0);
        while board.len() < ITEMS_MAX {
            board.add(&new("week", "x"), &author()).unwrap();
        }
        assert_eq!(board.add(&new("week", "x"), &author()), Err(Refusal::Full));
        assert_eq!(board.events().count(), EVENTS_MAX);
        let long = "ä".repeat(TEXT_MAX_CHARS);
        assert!(board.note(&Note { text: long.clone() }, &author()).is_ok());
        let note = Note { text: long + "x" };
        assert_eq!(board.note(&note, &author()), Err(Refusal::BadText));
        assert_eq!(board.note(&Note { text: " \n".into() }, &author()), Err(Refusal::BadText));
    }
}
