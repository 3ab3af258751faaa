//! What becomes of the bytes.

use super::*;

fn without(bytes: &[u8], tag: &[u8]) -> Option<Vec<u8>> {
    let at = bytes.windows(tag.len()).position(|window| window == tag)?;
    Some([&bytes[..at], &bytes[at + tag.len()..]].concat())
}

/// Each page and what should come of it.
fn table() -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    PAGES.iter().map(|page| {
        (page.replacen('|', "", 1).into_bytes(), page.replacen('|', TAG, 1).into_bytes())
    })
}

#[test]
fn the_tag_goes_first_in_the_head() {
    for (plain, want) in table() {
        let (got, told) = pass(&document(), &[], pieces([data(&plain)]));
        assert_eq!(String::from_utf8_lossy(&got.bytes), String::from_utf8_lossy(&want));
        assert_eq!(told, [Outcome::Injected]);
    }
}

#[test]
fn fragments_stay_as_they_are() {
    for plain in [
        "<div>x</div>",
        "<head><title>x</title>",
        "text",
        "\u{feff}{\"ok\":true}",
        "<!-- x --><p>y<!doctype html><html><head>",
        "<script>document.write('<html>')</script>",
        "",
        " \n",
        "<!-- x -->",
    ] {
        for facts in [unsaid(), facts(&[("sec-fetch-dest", "iframe")])] {
            let (got, told) = pass(&facts, &[], pieces([data(plain.as_bytes())]));
            assert_eq!(String::from_utf8_lossy(&got.bytes), plain);
            assert_eq!(told, [Outcome::Fragment], "{plain}");
        }
    }
    // Nothing that could poll, and something open at the end would swallow the tag.
    for empty in ["", "\n", "<!doctype html>", "<html>\n", "<!doctype html><!-- x", "<html><head "]
    {
        let (got, told) = pass(&document(), &[], pieces([data(empty.as_bytes())]));
        assert_eq!((got.bytes.as_slice(), told), (empty.as_bytes(), vec![Outcome::Fragment]));
    }
}

#[test]
fn a_page_is_known_by_its_first_bytes() {
    for start in ["<!doctype html>", "<HTML>", " <!-- x --> <html>", "\u{feff}<!DOCTYPE html>"] {
        let plain = format!("{start}<head></head>");
        let (got, told) = pass(&unsaid(), &[], pieces([data(plain.as_bytes())]));
        assert_eq!(without(&got.bytes, TAG.as_bytes()).unwrap(), plain.as_bytes());
        assert_eq!(told, [Outcome::Injected]);
    }
}

#[test]
fn cut_anywhere_the_page_is_the_same() {
    for (plain, want) in table() {
        for (name, coding) in CODINGS {
            let coded = encoded(coding, &plain);
            let fields = [("content-encoding", name)];
            let bytes = pieces(coded.iter().map(|byte| data(&[*byte])));
            let (got, _) = pass(&document(), &fields, bytes);
            assert_eq!(decoded(coding, &got.bytes), (want.clone(), true), "{name}");
            for at in 0..=coded.len() {
                let (first, second) = coded.split_at(at);
                let (got, told) = pass(&document(), &fields, pieces([data(first), data(second)]));
                assert_eq!(decoded(coding, &got.bytes), (want.clone(), true), "{name} at {at}");
                assert_eq!(told, [Outcome::Injected]);
            }
        }
    }
}

#[test]
fn the_head_leaves_before_the_rest_is_here() {
    for (name, coding) in CODINGS {
        let mut first = BytesMut::new();
        let mut second = BytesMut::new();
        let (head, tail) = ("<!doctype html><head>", "<body>later");
        match coding.encoder() {
            None => {
                first.extend_from_slice(head.as_bytes());
                second.extend_from_slice(tail.as_bytes());
            }
            Some(mut encoder) => {
                encoder.write(head.as_bytes(), &mut first).unwrap();
                encoder.flush(&mut first).unwrap();
                encoder.write(tail.as_bytes(), &mut second).unwrap();
                encoder.finish(&mut second).unwrap();
            }
        }
        let body = pieces([data(&first), Piece::Wait, data(&second), Piece::Wait, Piece::Trailers]);
        let (injector, _) = injector();
        let fields = [("content-encoding", name)];
        let mut response = injector.response(&document(), page(&fields, body));
        let early = read(response.body_mut()).bytes;
        assert_eq!(decoded(coding, &early).0, format!("{head}{TAG}").into_bytes(), "{name}");
        let late = read(response.body_mut()).bytes;
        let last = read(response.body_mut());
        assert!(last.trailers && !last.error);
        let all = [early, late, last.bytes].concat();
        assert_eq!(decoded(coding, &all), (format!("{head}{TAG}{tail}").into_bytes(), true));
    }
}

#[test]
fn large_pages_cross_in_bounded_frames() {
    let mut plain = b"<!doctype html><html><head>".to_vec();
    let mut want = [&plain, TAG.as_bytes()].concat();
    let filler: Vec<u8> = (0..3_000_000_u32).map(|i| b'a' + (i / 4096 % 26) as u8).collect();
    plain.extend_from_slice(&filler);
    want.extend_from_slice(&filler);
    for (name, coding) in CODINGS {
        let fields = [("content-encoding", name)];
        let body = pieces([data(&encoded(coding, &plain))]);
        let (got, told) = pass(&document(), &fields, body);
        assert!(decoded(coding, &got.bytes) == (want.clone(), true), "{name}");
        assert_eq!(told, [Outcome::Injected]);
    }
}

#[test]
fn the_end_is_found_at_the_edge_of_a_step() {
    for (name, coding) in CODINGS {
        for size in [16_383, 16_384, 16_385, 32_768, 49_152 - TAG.len(), 65_536] {
            let mut plain = b"<!doctype html><html><head>".to_vec();
            let mut want = [&plain, TAG.as_bytes()].concat();
            want.resize(size + TAG.len(), b'x');
            plain.resize(size, b'x');
            let coded = encoded(coding, &plain);
            let fields = [("content-encoding", name)];
            for frame in [1, 5, coded.len()] {
                let body = pieces(coded.chunks(frame).map(data));
                let (got, _) = pass(&document(), &fields, body);
                assert!(decoded(coding, &got.bytes) == (want.clone(), true), "{name} {size}");
            }
        }
    }
}

#[test]
fn a_head_that_never_comes_costs_a_bounded_buffer() {
    let mut plain = b"<!doctype html><!--".to_vec();
    plain.resize(1 << 20, b'x');
    plain.extend_from_slice(b"--><head>");
    for (name, coding) in CODINGS {
        let coded = encoded(coding, &plain);
        let fields = [("content-encoding", name)];
        for size in [1000, coded.len()] {
            let body = pieces(coded.chunks(size).map(data));
            let (got, told) = pass(&document(), &fields, body);
            assert!(got.bytes == coded, "{name}");
            assert_eq!(told, [Outcome::Failed]);
        }
    }
}

#[test]
fn a_wrong_label_changes_nothing() {
    let plain = b"<!doctype html><head></head>";
    for (name, coding) in CODINGS {
        for (label, labelled) in CODINGS {
            if coding == labelled || label == "identity" {
                continue;
            }
            let coded = encoded(coding, plain);
            let body = pieces(coded.chunks(7).map(data));
            let (got, told) = pass(&document(), &[("content-encoding", label)], body);
            assert_eq!(got.bytes, coded, "{name} labelled {label}");
            assert_eq!(told, [Outcome::Failed]);
        }
    }
}

#[test]
fn a_truncated_coding_loses_nothing_and_is_not_mended() {
    let plain = format!("<!doctype html><head>{}", "0123456789 ".repeat(30));
    for (name, coding) in &CODINGS[1..] {
        let coded = encoded(*coding, plain.as_bytes());
        for cut in 1..coded.len() {
            let (before, whole) = decoded(*coding, &coded[..cut]);
            let fields = [("content-encoding", *name)];
            let (got, told) = pass(&document(), &fields, pieces([data(&coded[..cut])]));
            assert!(!got.error);
            let (after, complete) = decoded(*coding, &got.bytes);
            // Without its checksum a gzip body has all its bytes, yet isn't complete.
            assert_eq!(complete, whole, "{name} cut at {cut}");
            if told == [Outcome::Injected] {
                assert_eq!(without(&after, TAG.as_bytes()).unwrap(), before, "{name} at {cut}");
            } else {
                assert_eq!(got.bytes, &coded[..cut]);
            }
        }
    }
}

#[test]
fn a_coding_that_breaks_after_the_head_breaks_off() {
    let mut first = BytesMut::new();
    let mut encoder = Coding::Gzip.encoder().unwrap();
    encoder.write(b"<!doctype html><head>", &mut first).unwrap();
    encoder.flush(&mut first).unwrap();
    let body = pieces([data(&first), data(&[0xff; 64]), data(b"more")]);
    let (got, told) = pass(&document(), &[("content-encoding", "gzip")], body);
    assert!(got.error);
    assert_eq!(told, [Outcome::Injected]);
    assert!(decoded(Coding::Gzip, &got.bytes).0.ends_with(TAG.as_bytes()));
}

#[test]
fn an_origin_that_breaks_off_is_seen_to() {
    for (name, coding) in CODINGS {
        let coded = encoded(coding, b"<!doctype html><html>");
        let fields = [("content-encoding", name)];
        let body = pieces([data(&coded[..coded.len() - 1]), Piece::Break]);
        let (got, told) = pass(&document(), &fields, body);
        assert!(got.error);
        assert_eq!(got.bytes, &coded[..coded.len() - 1], "{name}");
        assert_eq!(told, [Outcome::Failed]);
    }
    let body = pieces([data(b"<!doctype html><head><p>"), Piece::Break]);
    let (got, _) = pass(&document(), &[], body);
    assert!(got.error);
    assert!(got.bytes.ends_with(b"<p>"));
}

#[test]
fn other_encodings_survive_to_the_byte() {
    // Shift_JIS, EUC-JP, windows-1252, and bytes that are nothing at all.
    for text in [&b"\x83\x5c\x94\x5c"[..], b"\xa4\xa2", b"caf\xe9", b"\xff\x80\xc3"] {
        let plain = [b"<!-- ", text, b" --><!doctype html><head>", text, b"</head>"].concat();
        for cut in 0..plain.len() {
            let (first, second) = plain.split_at(cut);
            let fields = [("content-type", "text/html; charset=shift_jis")];
            let (got, told) = pass(&unsaid(), &fields, pieces([data(first), data(second)]));
            assert_eq!(without(&got.bytes, TAG.as_bytes()).unwrap(), plain);
            assert_eq!(told, [Outcome::Injected]);
        }
    }
}

#[test]
fn utf_16_is_left_alone() {
    let wide = |bom: &[u8], order: fn(u16) -> [u8; 2]| {
        let text = "<!doctype html><head>".encode_utf16().flat_map(order);
        [bom, &text.collect::<Vec<_>>()].concat()
    };
    for plain in [wide(b"\xff\xfe", u16::to_le_bytes), wide(b"\xfe\xff", u16::to_be_bytes)] {
        for size in [1, plain.len()] {
            let (got, told) = pass(&document(), &[], pieces(plain.chunks(size).map(data)));
            assert_eq!((got.bytes, told), (plain.clone(), vec![Outcome::Encoding]));
        }
    }
}

fn soup() -> impl Strategy<Value = Vec<u8>> {
    let part = prop::sample::select(vec![
        "<",
        ">",
        "<!doctype html>",
        "<!",
        "<!--",
        "-->",
        "<html",
        "<html>",
        "<head>",
        "</head>",
        "<HEAD a='",
        "'",
        "\"",
        "<body>",
        "<title>",
        "</title>",
        "<script>",
        "</script>",
        "<svg>",
        "<![CDATA[",
        "]]>",
        " ",
        "\n",
        "\u{feff}",
        "x",
        "é",
        "/",
        "=",
        "<?",
        "<template>",
        "</",
        "<plaintext>",
        "\0",
        "<select>",
        "<table>",
        "<textarea>",
        "<noscript>",
        "<frameset>",
    ]);
    prop_oneof![
        prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..64),
    ]
}

proptest! {
    #[test]
    fn with_the_tag_taken_out_the_page_is_the_same(
        plain in soup(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        coding in prop::sample::select(CODINGS.to_vec()),
        sure: bool,
        labelled: bool,
        late in 0_usize..1100,
    ) {
        // Spaces bring the name of an encoding to the end of the first kilobyte, where it can hide.
        let plain = [plain, vec![b' '; late], b"<meta charset=koi8-r>".to_vec()].concat();
        let media = if labelled { "text/html; charset=utf-8" } else { "text/html" };
        let facts = if sure { document() } else { unsaid() };
        let fields = [("content-encoding", coding.0), ("content-type", media)];
        let coded = encoded(coding.1, &plain);
        let (whole, told) = pass(&facts, &fields, pieces([data(&coded)]));
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(coded.len() + 1)).collect();
        at.extend([0, coded.len()]);
        at.sort_unstable();
        let parts = at.windows(2).map(|span| data(&coded[span[0]..span[1]]));
        let (cut, told_cut) = pass(&facts, &fields, pieces(parts));
        prop_assert_eq!(&told, &told_cut);
        let (whole_plain, whole_complete) = decoded(coding.1, &whole.bytes);
        prop_assert_eq!(&whole_plain, &decoded(coding.1, &cut.bytes).0);
        prop_assert!(whole_complete);
        if told == [Outcome::Injected] {
            prop_assert_eq!(without(&whole_plain, TAG.as_bytes()).unwrap(), plain);
        } else {
            prop_assert_eq!(whole.bytes, coded);
        }
    }
}
