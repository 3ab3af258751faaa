use super::*;
use futures_util::{StreamExt as _, stream};
use http_body_util::StreamBody;

fn chunks(chunks: Vec<Result<&'static str, &'static str>>) -> Body {
    let frames = chunks.into_iter().map(|chunk| match chunk {
        Ok(text) => Ok(Frame::data(Bytes::from(text))),
        Err(text) => Err(BoxError::from(text)),
    });
    Body::boxed(StreamBody::new(stream::iter(frames)))
}

fn caps(body: usize, purse: &Arc<Purse>) -> Caps<'_> {
    Caps { body, all: 8, purse }
}

async fn rest(body: Body) -> (String, bool) {
    let (mut text, mut body) = (String::new(), body);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap()),
            Err(_) => return (text, false),
        }
    }
    (text, true)
}

#[tokio::test(start_paused = true)]
async fn holds_what_is_whole_and_passes_the_rest_from_its_first_byte() {
    let purse = Arc::default();
    let Held::Whole(whole) = hold(chunks(vec![Ok("ab"), Ok("cd")]), caps(4, &purse)).await else {
        panic!()
    };
    assert_eq!(whole, "abcd");
    let Held::Passing(body) = hold(chunks(vec![Ok("ab"), Ok("cd")]), caps(3, &purse)).await else {
        panic!()
    };
    assert_eq!(rest(body).await, ("abcd".to_owned(), true));
    let broken = hold(chunks(vec![Ok("ab"), Err("reset")]), caps(9, &purse)).await;
    let Held::Passing(body) = broken else { panic!() };
    assert_eq!(rest(body).await, ("ab".to_owned(), false));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_pauses_is_not_held() {
    let purse = Arc::default();
    let first = stream::iter([Ok::<_, BoxError>(Frame::data(Bytes::from("a")))]);
    let last = stream::once(async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        Ok(Frame::data(Bytes::from("b")))
    });
    let body = Body::boxed(StreamBody::new(first.chain(Box::pin(last))));
    let start = Instant::now();
    let Held::Passing(body) = hold(body, caps(100, &purse)).await else { panic!() };
    assert_eq!(start.elapsed(), PATIENCE);
    assert_eq!(rest(body).await, ("ab".to_owned(), true));
}

#[tokio::test]
async fn a_copy_is_handed_over_only_if_it_is_whole() {
    let purse = Arc::default();
    for (body, limit, want) in [
        (chunks(vec![Ok("ab"), Ok("cd")]), 4, Some("abcd")),
        (chunks(vec![Ok("ab"), Ok("cd")]), 3, None),
        (chunks(vec![Ok("ab"), Err("reset")]), 9, None),
        (Body::from("abc"), 3, Some("abc")),
    ] {
        let (send, mut receive) = tokio::sync::mpsc::channel(1);
        let tee = Tee::new(body, caps(limit, &purse), move |copy| send.try_send(copy).unwrap());
        rest(Body::boxed(tee)).await;
        assert_eq!(receive.recv().await, want.map(Bytes::from));
    }
}

#[tokio::test]
async fn a_reader_that_takes_nothing_counts_until_it_leaves() {
    let purse = Arc::default();
    let Held::Whole(first) = hold(Body::from("12345"), caps(5, &purse)).await else { panic!() };
    let Held::Passing(body) = hold(Body::from("12345"), caps(5, &purse)).await else { panic!() };
    assert_eq!(rest(body).await, ("12345".to_owned(), true));
    // What is too long for one counts, too, for as long as it waits.
    let body = chunks(vec![Ok("123"), Ok("456")]);
    let Held::Passing(second) = hold(body, caps(5, &purse)).await else { panic!() };
    assert_eq!(purse.0.load(Ordering::Relaxed), 8);
    drop((first, second));
    assert_eq!(purse.0.load(Ordering::Relaxed), 0);
    assert!(matches!(hold(Body::from("12345"), caps(5, &purse)).await, Held::Whole(_)));
}
