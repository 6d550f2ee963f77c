//! Ratings, leaderboards and past matches, in the frames of the client protocol.

use scenehost_core::db::Request;
use scenehost_core::results::board::Kind;
use scenehost_core::results::history::{Match, Played};
use scenehost_core::results::ranking::Order;
use scenehost_core::results::rating::Rating;
use scenehost_core::results::standing::{Info, Page, Row, SeasonInfo};
use scenehost_core::results::{self, Answer, News, Part};
use scenehost_core::{DomainName, Refusal, UserId};
use scenehost_protocol::v1::{self, LeaderboardKind, req_standing::Ask, server_frame::Body};

use super::user_id;

pub fn request(asked: v1::ReqStanding) -> Result<Request, Refusal> {
    let request = match asked.ask {
        Some(Ask::Ratings(ask)) => results::Request::Ratings(users(&ask.user_ids)?),
        Some(Ask::History(ask)) => {
            results::Request::History { user: user(&ask.user_id)?, skip: ask.skip, limit: ask.limit }
        }
        Some(Ask::Boards(_)) => results::Request::Boards,
        Some(Ask::Top(ask)) => page(ask.board, ask.season, Part::From { rank: ask.first_rank, limit: ask.limit }),
        Some(Ask::Around(ask)) => {
            let part = Part::Around { user: user(&ask.user_id)?, neighbours: ask.neighbours };
            page(ask.board, ask.season, part)
        }
        Some(Ask::Ranks(ask)) => page(ask.board, ask.season, Part::Of(users(&ask.user_ids)?)),
        Some(Ask::SetScore(ask)) => {
            results::Request::Set { board: ask.board, user: user_id(&ask.user_id)?, score: ask.score }
        }
        None => {
            let text = "req_standing needs ratings, history, boards, top, around or ranks";
            return Err(Refusal::Invalid(text.to_owned()));
        }
    };
    Ok(Request::Results(request))
}

fn page(board: String, season: String, part: Part) -> results::Request {
    results::Request::Page { board, season: (!season.is_empty()).then_some(season), part }
}

fn user(id: &str) -> Result<Option<UserId>, Refusal> {
    if id.is_empty() { Ok(None) } else { user_id(id).map(Some) }
}

fn users(ids: &[String]) -> Result<Vec<UserId>, Refusal> {
    ids.iter().map(|id| user_id(id)).collect()
}

pub fn answer(answer: &Answer) -> Body {
    Body::ResStanding(match answer {
        Answer::Ratings(users) => {
            let of_user = |(user, ratings): &(UserId, _)| ratings_of(*user, ratings);
            v1::ResStanding { ratings: users.iter().flat_map(of_user).collect(), ..Default::default() }
        }
        Answer::History(matches, kept) => v1::ResStanding {
            matches: matches.iter().map(played_match).collect(),
            matches_kept: *kept,
            ..Default::default()
        },
        Answer::Boards(boards) => {
            v1::ResStanding { boards: boards.iter().map(leaderboard).collect(), ..Default::default() }
        }
        Answer::Page(page) => v1::ResStanding { page: Some(leaderboard_page(page)), ..Default::default() },
    })
}

fn ratings_of(user: UserId, ratings: &std::collections::BTreeMap<DomainName, Rating>) -> Vec<v1::UserRating> {
    let rating = |(domain, rating): (&DomainName, &Rating)| v1::UserRating {
        user_id: user.to_string(),
        domain: domain.to_string(),
        rating: rating.rounded(),
        deviation: rating.deviation.round() as u32,
        games: rating.games,
        wins: rating.wins,
        draws: rating.draws,
        losses: rating.losses,
    };
    ratings.iter().map(rating).collect()
}

fn played_match(of: &Match) -> v1::PlayedMatch {
    v1::PlayedMatch {
        scene_id: of.scene.to_string(),
        domain: of.domain.to_string(),
        ended_ms: of.ended.0,
        own: Some(match_player(&of.own)),
        players: of.players.iter().map(match_player).collect(),
        players_count: of.players_count,
    }
}

fn match_player(player: &Played) -> v1::MatchPlayer {
    v1::MatchPlayer {
        user_id: player.user.to_string(),
        name: player.name.clone(),
        team: player.team,
        place: player.place,
        score: player.score,
        rating: player.rating,
        change: player.change,
    }
}

fn leaderboard(Info { name, board, seasons }: &Info) -> v1::Leaderboard {
    let kind = match board.kind {
        Kind::Rating => LeaderboardKind::Rating,
        Kind::ScoreBest => LeaderboardKind::ScoreBest,
        Kind::ScoreSum => LeaderboardKind::ScoreSum,
        Kind::Wins => LeaderboardKind::Wins,
    };
    let season = |SeasonInfo { season, entries }: &SeasonInfo| v1::LeaderboardSeason {
        name: season.name.clone(),
        begins_ms: season.begins.0,
        ends_ms: season.ends.unwrap_or_default().0,
        entries: *entries,
    };
    v1::Leaderboard {
        name: name.clone(),
        domain: board.domain.to_string(),
        kind: kind.into(),
        lowest_first: board.order == Order::Lowest,
        seasons: seasons.iter().map(season).collect(),
    }
}

fn leaderboard_page(page: &Page) -> v1::LeaderboardPage {
    let row = |Row { rank, user, name, score }: &Row| v1::LeaderboardRow {
        rank: *rank,
        user_id: user.to_string(),
        name: name.clone(),
        score: *score,
    };
    v1::LeaderboardPage {
        board: page.board.clone(),
        season: page.season.clone(),
        ends_ms: page.ends.unwrap_or_default().0,
        entries: page.entries,
        rows: page.rows.iter().map(row).collect(),
    }
}

pub fn news(news: &News) -> Body {
    Body::SynStanding(v1::SynStanding {
        domain: news.domain.to_string(),
        rating: news.rating,
        change: news.change,
        place: news.place,
        ended_ms: news.ended.0,
    })
}
