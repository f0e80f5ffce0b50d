#![allow(clippy::unwrap_used)]

use futures_util::{FutureExt, StreamExt, stream};

use super::*;

fn source(chunks: Vec<io::Result<(&'static str, bool)>>, len: u64, tail: &'static str) -> Source {
    let progress = Arc::new(Progress::default());
    let at = Arc::clone(&progress);
    let content = stream::iter(chunks).map(move |item| {
        item.map(|(text, last)| {
            at.hand_over(text.len() as u64, last);
            Bytes::from_static(text.as_bytes())
        })
    });
    Source {
        head: Bytes::from_static(b"<"),
        content: Box::pin(content),
        len,
        tail: Bytes::from_static(tail.as_bytes()),
        progress,
    }
}

async fn drain(outlet: &mut Outlet) -> Result<String, String> {
    let mut all = String::new();
    while let Some(chunk) = outlet.next().await {
        let chunk = chunk.map_err(|e| format!("{all}!{e}"))?;
        all.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    Ok(all)
}

#[tokio::test]
async fn head_content_tail_in_order_and_the_length_is_said_beforehand() {
    let source = source(
        vec![Ok(("ab", false)), Ok(("", false)), Ok(("c", true))],
        3,
        ">",
    );
    assert_eq!(source.total(), 5);
    let (valve, mut outlet) = Valve::new(source);
    assert!(!valve.last_byte_sent());
    assert_eq!(drain(&mut outlet).await.unwrap(), "<abc>");
    assert!(valve.last_byte_sent());
    assert_eq!(valve.fault(), None);
}

#[tokio::test]
async fn one_chunk_is_its_own_last() {
    let progress = Arc::new(Progress::default());
    let (valve, mut outlet) =
        Valve::new(Source::chunk(Bytes::from_static(b"{}"), progress.clone()));
    assert!(!valve.last_byte_sent());
    assert_eq!(drain(&mut outlet).await.unwrap(), "{}");
    assert!(progress.last_byte_sent());
    assert_eq!(progress.bytes(), 2);
}

/// What a wrong content must never do: make the request whole.
#[tokio::test]
async fn a_content_that_breaks_its_word_never_reaches_the_tail() {
    for (chunks, len, sent) in [
        (vec![Ok(("ab", false))], 3, "<ab!the content ended before"),
        (vec![Ok(("abcd", true))], 3, "<!the content is longer"),
        (
            vec![Ok(("abc", false)), Ok(("d", true))],
            3,
            "<!the content reached its length and did not say",
        ),
        (vec![Ok(("a", true))], 0, "<!the content is longer"),
        (
            vec![Ok(("a", false)), Err(io::Error::other("file changed"))],
            3,
            "<a!file changed",
        ),
    ] {
        let (valve, mut outlet) = Valve::new(source(chunks, len, ">"));
        let error = drain(&mut outlet).await.unwrap_err();
        assert!(error.starts_with(sent), "{error}");
        assert!(error.ends_with(&valve.fault().unwrap()));
        // And it does not go on after the error.
        assert!(outlet.next().await.unwrap().is_err());
    }
}

#[tokio::test]
async fn an_empty_content_is_asked_before_the_tail_goes() {
    for chunks in [vec![], vec![Ok(("", false)), Ok(("", true))]] {
        let (valve, mut outlet) = Valve::new(source(chunks, 0, ">"));
        assert_eq!(drain(&mut outlet).await.unwrap(), "<>");
        assert!(valve.last_byte_sent());
    }
    let mut held = source(vec![], 0, ">");
    held.content = Box::pin(stream::pending());
    let (valve, mut outlet) = Valve::new(held);
    assert_eq!(&outlet.next().await.unwrap().unwrap()[..], b"<");
    tokio::task::yield_now().await;
    assert!(outlet.next().now_or_never().is_none());
    assert!(!valve.last_byte_sent());
}

#[tokio::test]
async fn shut_ends_the_stream_at_once_and_for_good() {
    let (valve, mut outlet) = Valve::new(source(vec![Ok(("ab", true))], 2, ">"));
    assert_eq!(&outlet.next().await.unwrap().unwrap()[..], b"<");
    valve.shut();
    assert!(outlet.next().await.unwrap().is_err());
    assert!(!valve.last_byte_sent());
}

#[tokio::test]
async fn shut_wakes_a_connection_that_waits_for_content() {
    let mut held = source(vec![], 5, ">");
    held.content = Box::pin(stream::pending());
    let (valve, mut outlet) = Valve::new(held);
    let reader = tokio::spawn(async move { drain(&mut outlet).await });
    while !matches!(valve.lock().turn, Turn::Ours) {
        tokio::task::yield_now().await;
    }
    valve.shut();
    let end = tokio::time::timeout(Duration::from_secs(5), reader).await;
    assert_eq!(end.unwrap().unwrap().unwrap_err(), "<!given up");
}

#[tokio::test]
async fn frozen_gives_nothing_and_does_not_end_until_it_is_shut() {
    let (valve, mut outlet) = Valve::new(source(vec![Ok(("ab", true))], 2, ">"));
    assert_eq!(&outlet.next().await.unwrap().unwrap()[..], b"<");
    valve.freeze();
    for _ in 0..3 {
        tokio::task::yield_now().await;
        assert!(outlet.next().now_or_never().is_none());
    }
    assert!(!valve.last_byte_sent());
    valve.shut();
    assert!(outlet.next().await.unwrap().is_err());
}

#[tokio::test]
async fn shut_after_the_end_lets_the_connection_live() {
    let (valve, mut outlet) = Valve::new(source(vec![Ok(("ab", true))], 2, ">"));
    assert_eq!(drain(&mut outlet).await.unwrap(), "<ab>");
    valve.freeze();
    valve.shut();
    assert!(outlet.next().await.is_none());
}

const LIMITS: Limits = Limits {
    connect: Duration::from_secs(10),
    stall: Duration::from_secs(60),
    answer: Duration::from_secs(90),
};

/// Paused time: no socket is near.
#[tokio::test(start_paused = true)]
async fn each_limit_is_kept_to_the_moment() {
    let start = Instant::now();
    let (valve, mut outlet) = Valve::new(source(vec![Ok(("ab", true))], 2, ">"));
    assert_eq!(valve.overrun(LIMITS).await, Overrun::Unasked);
    assert_eq!(start.elapsed().as_secs(), 70);

    let start = Instant::now();
    outlet.next().await.unwrap().unwrap();
    assert_eq!(valve.overrun(LIMITS).await, Overrun::Stalled);
    assert_eq!(start.elapsed().as_secs(), 60);

    let start = Instant::now();
    drain(&mut outlet).await.unwrap();
    assert_eq!(valve.overrun(LIMITS).await, Overrun::Unanswered);
    assert_eq!(start.elapsed().as_secs(), 90);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_content_is_no_stall() {
    let (go, held) = tokio::sync::oneshot::channel::<()>();
    let mut slow = source(vec![], 2, ">");
    let progress = Arc::clone(&slow.progress);
    slow.content = Box::pin(stream::once(async move {
        held.await.map_err(io::Error::other)?;
        progress.hand_over(2, true);
        Ok(Bytes::from_static(b"ab"))
    }));
    let (valve, mut outlet) = Valve::new(slow);
    let reader = tokio::spawn(async move { drain(&mut outlet).await });
    let hour = Duration::from_secs(3600);
    let over = tokio::time::timeout(hour, valve.overrun(LIMITS)).await;
    assert!(over.is_err(), "{over:?}");
    go.send(()).unwrap();
    assert_eq!(reader.await.unwrap().unwrap(), "<ab>");
    let start = Instant::now();
    assert_eq!(valve.overrun(LIMITS).await, Overrun::Unanswered);
    assert_eq!(start.elapsed().as_secs(), 90);
}
