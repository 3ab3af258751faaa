//! The same verdict, wherever the bytes are cut.

use super::*;

const BOUNDS: Bounds = Bounds { target: 40, head: 200 };

/// What goes through if the bytes come in pieces of `step`, and why it ended.
fn through(bytes: &[u8], step: usize, bounds: Bounds) -> (Vec<u8>, Option<Refusal>, u64) {
    let (mut gate, mut out) = (Gate::new(bounds), Vec::new());
    for piece in bytes.chunks(step) {
        if let Some(cut) = gate.see(piece) {
            out.extend_from_slice(&piece[..cut.keep]);
            out.extend_from_slice(cut.then);
            assert!(gate.is_shut());
            return (out, Some(cut.refusal), gate.heads());
        }
        out.extend_from_slice(piece);
    }
    (out, None, gate.heads())
}

#[test]
fn good_messages_go_through_as_they_are() {
    let stream = b"\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n\
        POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nGET / HTTP\n\n\
        POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
        5;x=\"y\"\r\n\r\n\r\n0\r\n00A \r\n0123456789\r\n0\r\nX: y\r\n\r\n\
        PUT /d HTTP/1.1\nHost: a\n\nGET /e HTTP/1.0\r\n\r\n\
        GET /f HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n\x81\x00\r\n\r\n \0";
    for step in 1..=stream.len() {
        assert_eq!(
            through(stream, step, BOUNDS),
            (stream.to_vec(), None, 6),
            "in pieces of {step}"
        );
    }
}

#[test]
fn a_bad_head_becomes_one_that_can_be_answered() {
    let good = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
    let (target, field) = ("x".repeat(99), "x".repeat(300));
    for (bad, want) in [
        ("GET / HTTP/1.1\r\n\r\n".into(), Refusal::Host),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".into(), Refusal::Host),
        (format!("GET /{target} HTTP/1.1\r\nHost: a\r\n\r\n"), Refusal::Target),
        (format!("GET /{field}"), Refusal::Target),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {field}"), Refusal::Head),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{field}"), Refusal::Head),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}", "X: y\r\n".repeat(40)), Refusal::Head),
        ("\r\n".repeat(101), Refusal::Head),
    ] {
        refused(good, &bad, want, BOUNDS);
    }
    let fields = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(101));
    refused(good, &fields, Refusal::Head, Bounds { head: 4000, ..BOUNDS });
}

fn refused(good: &str, bad: &str, want: Refusal, bounds: Bounds) {
    let all = format!("{good}{bad}");
    for step in 1..=all.len() {
        let (out, refusal, heads) = through(all.as_bytes(), step, bounds);
        assert_eq!((refusal, heads), (Some(want), 2), "in pieces of {step}");
        let out = String::from_utf8(out).unwrap();
        let head = out.strip_prefix(good).unwrap().trim_start();
        assert!(head.starts_with("GET /") && head.ends_with("\r\n\r\n"), "{head:?} ({step})");
        assert_eq!(head.matches("\r\n\r\n").count(), 1, "{head:?} ({step})");
        assert!(head.lines().skip(1).all(|l| l.is_empty() || l.contains(':')), "{head:?}");
        assert!(head.len() <= bounds.head + STAND_IN.len(), "{head:?}");
        assert!(head.lines().count() <= 102, "{head:?}");
    }
}

#[test]
fn what_is_no_chunk_ends_the_body_there() {
    let head = "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (bad, good) in [
        ("x\r\n", 0),
        ("-1\r\n", 0),
        ("+1\r\n", 0),
        ("0x1\r\n", 0),
        (" 1\r\n", 0),
        ("\r\n", 0),
        ("1\n", 0),
        ("1 1\r\n", 0),
        ("1;a\rb\r\n", 0),
        ("10000000000000000\r\n", 0),
        ("1\r\nxy\r\n", 4),
        ("1\r\nx\n", 4),
        ("3\r\nabc\r\n0\r\n\n", 11),
        (&format!("0\r\n{}", "X: y\r\n".repeat(40)), 3),
        (&format!("1;{}", "x".repeat(5000)), 0),
    ] {
        let all = format!("{head}{bad}");
        for step in 1..=all.len() {
            let (out, refusal, heads) = through(all.as_bytes(), step, BOUNDS);
            assert_eq!((refusal, heads), (Some(Refusal::Chunk), 1), "{bad:?} in pieces of {step}");
            let least = &all.as_bytes()[..head.len() + good];
            assert!(out.starts_with(least) && all.as_bytes().starts_with(&out), "{bad:?} {step}");
        }
    }
}
