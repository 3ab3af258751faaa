//! The browser finds a page's encoding where it would without the tag.

use super::*;

const META: &str = "<meta charset=windows-1251>";

/// A page whose `META` ends at this byte, and a script after it.
fn page_with(meta_end: usize, between: &str) -> String {
    page_of(META, meta_end, between)
}

fn page_of(meta: &str, meta_end: usize, between: &str) -> String {
    let head = format!("<!doctype html><html><head>{between}<!--");
    let fill = meta_end - head.len() - "-->".len() - meta.len();
    format!("{head}{}-->{meta}<script>1</script></head><body>x", "x".repeat(fill))
}

/// What becomes of a page, cut into pieces of this size.
fn cut(plain: &str, size: usize, media: &str) -> (String, Vec<Outcome>) {
    let body = pieces(plain.as_bytes().chunks(size).map(data));
    let (got, told) = pass(&document(), &[("content-type", media)], body);
    (String::from_utf8(got.bytes).unwrap(), told)
}

#[test]
fn the_encoding_stays_in_the_first_kilobyte() {
    for between in ["", "<title>a b</title><link rel=icon href=x><meta name=a content=b>"] {
        for end in [300, 1024 - TAG.len(), 1025 - TAG.len(), 1000, 1024, 1025, 1100, 3000] {
            let plain = page_with(end, between);
            let moved = end <= 1024 && end + TAG.len() > 1024;
            let after = if moved { META } else { "<head>" };
            let want = plain.replacen(after, &format!("{after}{TAG}"), 1);
            for size in [1, 100, 1024, 5000] {
                let (got, told) = cut(&plain, size, "text/html");
                assert_eq!((got, told), (want.clone(), vec![Outcome::Injected]), "{end} {size}");
            }
            // Said in the fields, or by a byte order mark, it is looked for nowhere else.
            let first = plain.replacen("<head>", &format!("<head>{TAG}"), 1);
            assert_eq!(cut(&plain, 5000, "text/html; charset=utf-8").0, first);
            let marked = format!("\u{feff}{plain}");
            assert_eq!(cut(&marked, 5000, "text/html").0, format!("\u{feff}{first}"));
        }
    }
}

#[test]
fn a_page_whose_encoding_would_be_hidden_is_left_alone() {
    for between in [
        "<script>1</script>",
        "<base href=/x/>",
        "<style>a{}</style>",
        "<link rel=icon href=x onload=f()>",
        "<meta http-equiv=content-security-policy content=\"script-src 'none'\">",
        "<p>x</p>",
        "text",
    ] {
        let plain = page_with(1020, between);
        for size in [1, 1024, 5000] {
            let (got, told) = cut(&plain, size, "text/html");
            assert_eq!((got.as_str(), told), (plain.as_str(), vec![Outcome::Encoding]));
        }
        // Early enough, nothing is hidden.
        assert_eq!(cut(&page_with(900, between), 5000, "text/html").1, [Outcome::Injected]);
    }
}

#[test]
fn the_old_way_to_name_an_encoding_counts_too() {
    let old = "<META HTTP-EQUIV=Content-Type CONTENT='text/html; charset=koi8-r'>";
    let plain = page_of(old, 1020, "");
    let want = plain.replacen(old, &format!("{old}{TAG}"), 1);
    assert_eq!(cut(&plain, 7, "text/html"), (want, vec![Outcome::Injected]));
}

#[test]
fn a_page_that_names_its_encoding_early_leaves_early() {
    let head = "<!doctype html><head><meta charset=utf-8>";
    let body = pieces([data(head.as_bytes()), Piece::Wait, data(b"<body>")]);
    let (injector, told) = injector();
    let mut response = injector.response(&document(), page(&[("content-type", "text/html")], body));
    let early = read(response.body_mut()).bytes;
    let want = head.replacen("<head>", &format!("<head>{TAG}"), 1);
    assert_eq!(String::from_utf8(early).unwrap(), want);
    assert_eq!(*told.lock().unwrap(), [Outcome::Injected]);
}
