//! What is the same file, and what is a new one.

use super::*;

#[tokio::test]
async fn an_inode_that_was_given_again_is_a_new_version() {
    let bench = Bench::new(policy());
    let born = |born_ns| FileVersion {
        born_ns,
        ..version("a", 1)
    };
    let first = NewFile {
        version: born(Some(10)),
        ..file("a", 1)
    };
    let id = bench.enqueue(first).await;
    let asked = vec![born(Some(10)), born(Some(20)), born(None)];
    let known = bench.ledger.known(inbox(), asked.clone()).await.unwrap();
    // What does not know its birth may be the same.
    assert_eq!(known, [true, false, true]);
    let states = bench.ledger.states_of(inbox(), asked).await.unwrap();
    assert_eq!(
        states.iter().map(Option::is_some).collect::<Vec<_>>(),
        [true, false, true]
    );
    let second = NewFile {
        version: born(Some(20)),
        ..file("a", 1)
    };
    let newer = bench.enqueue(second).await;
    assert_ne!(newer, id);
    assert_eq!(bench.kind(id).await, StateKind::Superseded);
}
