//! Ratings that operators set: they count as those that come from games do, and only operators can set them.

use scenehost_core::db::{Answer, Caller, News, Request};
use scenehost_core::results::finished::{Ratings, ratings_key};
use scenehost_core::results::rating::{Level, Rating};
use scenehost_core::results::{self, Given};
use scenehost_core::{Refusal, UserId, record};

use crate::desk::Desk;
use crate::results::{all, desk, duel, kept, record as record_game};

const STRONG: Given = Given { rating: 2_100, deviation: 60, wins: 30, draws: 2, losses: 8 };

fn rate(user: u64, domain: &str, given: Option<Given>) -> Request {
    Request::Results(results::Request::Rate { user: UserId(user), domain: domain.into(), given })
}

fn set(desk: &mut Desk, user: u64, domain: &str, given: Option<Given>) -> Result<Answer, Refusal> {
    desk.ask(Caller::Operator, rate(user, domain, given))
}

fn rating(desk: &Desk, user: u64) -> Option<Rating> {
    let key = ratings_key(UserId(user));
    let ratings: Ratings = record::decode(&key, desk.store.get(&key)?).unwrap();
    ratings.domains.get(&"gomoku".into()).copied()
}

#[test]
fn a_rating_that_is_set_is_told_to_its_user_and_is_there_when_the_user_comes_in() {
    let mut desk = desk();
    assert_eq!(set(&mut desk, 1, "gomoku", Some(STRONG)), Ok(Answer::Done));
    let [(UserId(1), News::Results(told))] = &desk.news[..] else { panic!("{:?}", desk.news) };
    assert_eq!((told.rating, told.games, told.change, told.place), (2_100, 40, 600, 0));
    let Ok(Answer::Entered(entered)) = desk.ask(Caller::Host, Request::Enter(UserId(1), "Ada".to_owned())) else {
        panic!("the user comes in");
    };
    assert_eq!(entered.levels, [("gomoku".into(), Level { rating: 2_100, games: 40 })].into());
    assert_eq!(all(&mut desk, "rating"), [], "leaderboards are set by themselves");
}

#[test]
fn a_rating_that_is_set_is_what_the_next_game_changes() {
    let mut desk = desk();
    for user in [1, 2] {
        assert_eq!(set(&mut desk, user, "gomoku", Some(STRONG)), Ok(Answer::Done));
    }
    let game = duel(&desk, 1, 2);
    record_game(&mut desk, 1, game);
    let (winner, loser) = (rating(&desk, 1).unwrap(), rating(&desk, 2).unwrap());
    assert!((2_105.0..2_130.0).contains(&winner.rating), "a certain rating moves little: {winner:?}");
    assert_eq!((winner.games, winner.wins, loser.games, loser.losses), (41, 31, 41, 9));
}

#[test]
fn a_rating_that_is_taken_away_leaves_a_newcomer_and_nothing_in_the_store() {
    let mut desk = desk();
    assert_eq!(set(&mut desk, 1, "gomoku", Some(STRONG)), Ok(Answer::Done));
    assert_eq!(set(&mut desk, 1, "gomoku", None), Ok(Answer::Done));
    let last = match desk.news.last() {
        Some((_, News::Results(news))) => (news.rating, news.games, news.change),
        other => panic!("{other:?}"),
    };
    assert_eq!(last, (1_500, 0, -600));
    assert!(kept(&desk).is_empty());
    let (syncs, news) = (desk.syncs, desk.news.len());
    assert_eq!(set(&mut desk, 1, "gomoku", None), Ok(Answer::Done), "saying it twice is no error");
    assert_eq!((desk.syncs, desk.news.len()), (syncs, news), "and changes nothing");
}

#[test]
fn domains_whose_games_are_not_rated_take_ratings_too() {
    let mut desk = desk();
    assert_eq!(set(&mut desk, 1, "casual", Some(STRONG)), Ok(Answer::Done), "they are rated elsewhere");
}

#[test]
fn what_cannot_be_set_is_refused_and_changes_nothing() {
    let operator = Caller::Operator;
    for (what, caller, request, expected) in [
        ("a user's own", Caller::User(UserId(1)), rate(1, "gomoku", Some(STRONG)), "Forbidden"),
        ("the host's", Caller::Host, rate(1, "gomoku", Some(STRONG)), "Forbidden"),
        ("nobody's", operator.clone(), rate(9_999, "gomoku", Some(STRONG)), "NotFound"),
        ("an unknown domain", operator.clone(), rate(1, "none", Some(STRONG)), "NotFound"),
        ("a long name", operator.clone(), rate(1, &"d".repeat(10_000), Some(STRONG)), "NotFound"),
        ("too weak", operator.clone(), rate(1, "gomoku", Some(Given { rating: 99, ..STRONG })), "Invalid"),
        ("too strong", operator.clone(), rate(1, "gomoku", Some(Given { rating: 4_001, ..STRONG })), "Invalid"),
        ("too certain", operator.clone(), rate(1, "gomoku", Some(Given { deviation: 29, ..STRONG })), "Invalid"),
        ("too uncertain", operator.clone(), rate(1, "gomoku", Some(Given { deviation: 351, ..STRONG })), "Invalid"),
        ("too many games", operator, rate(1, "gomoku", Some(Given { wins: u32::MAX, ..STRONG })), "Invalid"),
    ] {
        let mut desk = desk();
        let refused = desk.ask(caller, request).expect_err(what);
        assert!(format!("{refused:?}").starts_with(expected), "{what}: {refused:?}");
        assert!(refused.to_string().len() < 200, "{what}: {refused}");
        assert!(kept(&desk).is_empty() && desk.news.is_empty(), "{what}");
    }
}
