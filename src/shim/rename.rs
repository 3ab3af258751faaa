//! Shorter names for what the script calls its own.
//!
//! Rule: a name is listed only if every place where it stands in the code means ours: never a name
//! of the platform, of a library that `60-query` looks into, of the configuration or of the wire.
//! Strings and regular expressions are left alone, so a listed name must not stand there either.

/// The names, those that save most first. Each becomes `$` and what stands for its place.
const NAMES: &[&str] = &[
    "topic",
    "asking",
    "handle",
    "record",
    "generation",
    "conn",
    "source",
    "callback",
    "active",
    "native",
    "flying",
    "held",
    "asked",
    "uninstall",
    "microtask",
    "PERSON_MS",
    "guard",
    "polled",
    "repeat",
    "answered",
    "sources",
    "watchSilence",
    "byCallback",
    "install",
    "pressed",
    "withoutState",
    "demandTimer",
    "lookedAt",
    "observer",
    "vouched",
    "notBefore",
    "pending",
    "chained",
    "refresh",
    "onSettled",
    "members",
    "owner",
    "notes",
    "fiber",
    "fields",
    "caches",
    "answer",
    "changed",
    "closeStreams",
    "records",
    "lingering",
    "listen",
    "refreshed",
    "person",
    "observerInterval",
    "hideTimer",
    "start",
    "createTrail",
    "maybe",
    "least",
    "attribution",
    "createSseParser",
    "hook",
    "plan",
    "LONG_MS",
    "penalty",
    "running",
    "waiting",
    "askMode",
    "remembered",
    "clientId",
    "TOPICS_MAX",
    "shown",
    "inflight",
    "wrote",
    "comparable",
    "wire",
    "failures",
    "closed",
    "watchdog",
    "refreshChanged",
    "timers",
    "trail",
    "tickedAt",
    "inside",
    "isClient",
    "intervalOf",
    "option",
    "noteWriter",
    "mine",
    "EAGER_COMMITS",
    "LOOK_AGAIN_MS",
    "watchFunction",
    "uninstallHook",
    "markedRequest",
    "answerLocally",
    "seenEpoch",
    "letGo",
    "exact",
    "queriesOf",
    "guarded",
    "ours",
    "onEvent",
    "afterCr",
    "seen",
    "renewal",
    "live",
    "silence",
    "parked",
    "opened",
    "ELEMENTS_MAX",
    "placed",
    "isIdle",
    "streak",
    "rushes",
    "shorter",
    "writers",
    "installFetch",
    "mark",
    "onVisibility",
    "later",
    "ended",
    "installHook",
    "watchPerson",
    "sourceOf",
    "override",
    "patchWrites",
    "followWrite",
    "jitter",
    "applyDelta",
    "IRRELEVANT",
    "sync",
    "answerable",
    "unpark",
    "TRACKED_MS",
    "findHandle",
    "FIBERS_MAX",
    "FLYING_MAX",
    "REFRESH_MS",
    "longer",
    "leave",
    "stamp",
    "dirty",
    "ordered",
    "visible",
    "heard",
    "inputAt",
    "LOOK_MS",
    "commits",
    "beginRead",
    "nextState",
    "REOPEN_MS",
    "reconcile",
    "switchOff",
    "ASKED_MAX",
    "noteInput",
    "committed",
    "readState",
    "relevant",
    "freshUrl",
    "topicFor",
    "demanded",
    "pause",
    "AGAIN_MS",
    "INPUT_MS",
    "CARRY_MS",
    "byAnswer",
    "learnt",
    "lookAt",
    "acted",
    "HOLDABLE",
    "loops",
    "onAnswer",
    "define",
    "endLine",
    "forgetOldest",
    "onHello",
    "park",
    "hops",
    "LINK_MS",
    "tracked",
    "HOOK",
    "topicOf",
    "LOOP_MS",
    "SLOW_MS",
    "cadence",
    "fastest",
    "PARTIAL",
    "onFetch",
    "inspect",
    "begun",
    "quiet",
    "ranAt",
    "dress",
    "undo",
    "bare",
    "wanted",
    "covers",
    "onGone",
    "isLink",
    "linked",
    "narrow",
    "isLoop",
    "isRush",
    "cohort",
    "readJar",
    "checkJar",
    "distrust",
    "openTabs",
    "closeTabs",
    "tellTabs",
    "refusedAt",
    "anonymous",
    "cross",
];

/// What stands for the name at this place: one letter, or two.
fn short(place: usize) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let letter = |at: usize| LETTERS.get(at % LETTERS.len()).map_or('_', |b| char::from(*b));
    match place / LETTERS.len() {
        0 => format!("${}", letter(place)),
        more => format!("${}{}", letter(more - 1), letter(place)),
    }
}

/// The short form of a word of the code, if it is one of ours.
pub(super) fn renamed(word: &str) -> Option<String> {
    NAMES.iter().position(|name| *name == word).map(short)
}

#[cfg(test)]
mod tests {
    use super::super::script::PARTS;
    use super::super::trim::trim;
    use super::*;
    use crate::config::Config;
    use std::collections::BTreeSet;

    fn words(text: &str) -> BTreeSet<&str> {
        text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).collect()
    }

    #[test]
    fn no_name_is_in_the_way_of_another() {
        let sources = words(PARTS);
        let mut shorts = BTreeSet::new();
        for (place, name) in NAMES.iter().enumerate() {
            assert!(sources.contains(name), "{name} isn't there any more");
            assert!(!sources.contains(short(place).as_str()), "{} is taken", short(place));
            assert!(shorts.insert(short(place)) && short(place).len() < name.len(), "{name}");
            assert_eq!(NAMES.iter().position(|other| other == name), Some(place), "{name}");
        }
        let trimmed = trim(PARTS);
        let left = words(&trimmed);
        let stays: Vec<_> = NAMES.iter().filter(|name| left.contains(*name)).collect();
        assert!(stays.is_empty(), "in a string or a regular expression, too: {stays:?}");
    }

    #[test]
    fn no_name_of_the_configuration_or_the_wire_is_listed() {
        let config = Config::new(http::Uri::from_static("http://o"));
        let settings = super::super::script::settings(&config, "0").to_string();
        let wire = include_str!("../../docs/PROTOCOL.md");
        let members: Vec<_> = wire.split('"').chain(wire.split('`')).collect();
        for name in NAMES {
            assert!(!words(&settings).contains(name), "{name} is a key of CONFIG");
            assert!(!members.contains(name), "{name} is a member of the wire");
        }
    }
}
