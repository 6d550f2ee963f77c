//! Rules of matching: what is asked of them, and which answers are let through.

use std::sync::Arc;

use scenehost_core::ids::UserId;
use scenehost_core::matching::rule::{
    Answers, Batch, Class, Description, Facts, Fault, MatchRule, PROPOSALS_MAX, Player, Proposed, RatingRange, Rule,
    Setting, TEAMS_MAX, TeamSize, Ticket, Verdict, Waiting,
};

/// Answers as it is told to, whatever it is asked.
#[derive(Debug, Clone)]
struct Scripted {
    description: Description,
    class: Result<Class, String>,
    verdicts: Vec<Verdict>,
    strengths: Vec<i32>,
}

impl Default for Scripted {
    fn default() -> Self {
        let answers = Answers { classify: true, judge: true, score_teams: true };
        let description = Description { name: "scripted".to_owned(), answers, ..Description::default() };
        Self { description, class: Ok(Class::default()), verdicts: Vec::new(), strengths: Vec::new() }
    }
}

impl MatchRule for Scripted {
    fn describe(&self) -> Result<Description, Fault> {
        Ok(self.description.clone())
    }
    fn classify(&self, _: Waiting<'_>) -> Result<Result<Class, String>, Fault> {
        Ok(self.class.clone())
    }
    fn judge(&self, _: &Batch<'_>) -> Result<Vec<Verdict>, Fault> {
        Ok(self.verdicts.clone())
    }
    fn score_teams(&self, _: &[Vec<&Player>]) -> Result<Vec<i32>, Fault> {
        Ok(self.strengths.clone())
    }
}

/// Takes no configuration.
#[derive(Debug)]
struct Refusing;

impl MatchRule for Refusing {
    fn describe(&self) -> Result<Description, Fault> {
        Err(Fault::Refused("no field `rolls`".to_owned()))
    }
}

fn rule(scripted: Scripted) -> Rule {
    Rule::new(Arc::new(scripted)).unwrap()
}

fn ticket(number: u64, ratings: &[i32]) -> Ticket {
    let player = |(place, rating): (usize, &i32)| Player {
        user: UserId(number * 10 + place as u64),
        rating: *rating,
        ..Player::default()
    };
    Ticket { number, players: ratings.iter().enumerate().map(player).collect(), ..Ticket::default() }
}

fn waiting(ticket: &Ticket) -> Waiting<'_> {
    Waiting { ticket, waited_ms: 1_000 }
}

/// `count` proposals of the same two tickets.
fn batch(tickets: &[Ticket], count: usize) -> Batch<'_> {
    let mut batch = Batch::default();
    for _ in 0..count {
        assert!(batch.push(tickets.iter().map(waiting), None, None));
    }
    batch
}

fn is_wrong<T>(answer: Result<T, Fault>, part: &str) {
    match answer {
        Err(fault @ Fault::WrongAnswer(_)) => assert!(fault.to_string().contains(part), "{fault}"),
        Err(fault) => panic!("another fault: {fault}"),
        Ok(_) => panic!("the answer was let through"),
    }
}

#[test]
fn a_batch_has_each_ticket_once_and_takes_no_more_than_its_limit() {
    let (one, two, three) = (ticket(1, &[1500]), ticket(2, &[1400, 1600]), ticket(3, &[1700]));
    let mut batch = Batch::default();
    assert!(batch.push([waiting(&one), waiting(&two)], Some(&|player| (player.rating > 1500).into()), Some("eu")));
    assert!(batch.push([waiting(&three), waiting(&one)], None, None));

    let numbers: Vec<u64> = batch.tickets().iter().map(|waiting| waiting.ticket.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
    let [first, second] = batch.proposals() else { panic!("two proposals") };
    assert_eq!(
        (first.tickets.as_slice(), first.teams.as_slice(), first.region),
        (&[0, 1][..], &[0, 0, 1][..], Some("eu"))
    );
    assert_eq!((second.tickets.as_slice(), second.teams.as_slice(), second.region), (&[2, 0][..], &[][..], None));
    let of_second: Vec<u64> = batch.tickets_of(second).map(|waiting| waiting.ticket.number).collect();
    assert_eq!(of_second, [3, 1]);

    while batch.proposals().len() < PROPOSALS_MAX {
        assert!(batch.push([waiting(&one)], None, None));
    }
    let fourth = ticket(4, &[1500]);
    assert!(!batch.push([waiting(&fourth)], None, None));
    assert_eq!((batch.proposals().len(), batch.tickets().len()), (PROPOSALS_MAX, 3));
}

#[test]
fn the_highest_score_wins_and_of_equal_ones_the_first() {
    let tickets = [ticket(1, &[1500]), ticket(2, &[1500])];
    let choose = |verdicts: &[Verdict]| {
        let rule = rule(Scripted { verdicts: verdicts.to_vec(), ..Scripted::default() });
        rule.choose(&batch(&tickets, verdicts.len())).unwrap()
    };
    assert_eq!(choose(&[Verdict::Score(1), Verdict::Score(3), Verdict::Veto, Verdict::Score(3)]), Some(1));
    assert_eq!(choose(&[Verdict::Veto, Verdict::Score(i32::MIN)]), Some(1));
    assert_eq!(choose(&[Verdict::Veto, Verdict::Veto]), None);
    assert_eq!(choose(&[]), None);
}

#[test]
fn what_a_rule_does_not_answer_is_done_natively() {
    let description = Description { name: "silent".to_owned(), ..Description::default() };
    let class = Err("nobody".to_owned());
    let rule = rule(Scripted { description, class, verdicts: vec![Verdict::Veto], ..Scripted::default() });
    let tickets = [ticket(1, &[1400, 1500])];
    assert_eq!(rule.classify(waiting(&tickets[0])), Ok(Ok(Class::default())));
    assert_eq!(rule.judge(&batch(&tickets, 2)), Ok(vec![Verdict::Score(0); 2]));
    let team: Vec<&Player> = tickets[0].players.iter().collect();
    assert_eq!(rule.score_teams(&[team, vec![]]), Ok(vec![2900, 0]));
}

#[test]
fn answers_of_the_wrong_number_are_faults() {
    let tickets = [ticket(1, &[1500]), ticket(2, &[1500])];
    let scripted = Scripted { verdicts: vec![Verdict::Veto; 3], strengths: vec![1], ..Scripted::default() };
    is_wrong(rule(scripted.clone()).judge(&batch(&tickets, 2)), "3 verdicts on 2 proposals");
    is_wrong(rule(scripted.clone()).score_teams(&[vec![], vec![]]), "1 strengths on 2 teams");
    let many = rule(scripted).score_teams(&vec![vec![]; TEAMS_MAX + 1]);
    assert_eq!(many.unwrap_err().kind(), "unavailable");
}

#[test]
fn classes_and_refusals_keep_to_their_limits() {
    let one = ticket(1, &[1500]);
    let classify =
        |class: Result<Class, String>| rule(Scripted { class, ..Scripted::default() }).classify(waiting(&one));
    let class = |bracket: String| Ok(Class { bracket, ..Class::default() });
    assert!(classify(class("b".repeat(64))).is_ok());
    is_wrong(classify(class("b".repeat(65))), "bracket of 65 bytes");
    is_wrong(classify(class("new\nbies".to_owned())), "control characters");
    assert_eq!(classify(Err("r".repeat(256))), Ok(Err("r".repeat(256))));
    is_wrong(classify(Err("r".repeat(257))), "refusal of 257 bytes");
    is_wrong(classify(Err(" ".to_owned())), "tells the user why");
}

#[test]
fn a_rule_whose_description_is_wrong_is_not_taken_into_use() {
    let described = |change: &dyn Fn(&mut Description)| {
        let mut scripted = Scripted::default();
        change(&mut scripted.description);
        Rule::new(Arc::new(scripted))
    };
    let team = |players_min, players_max| TeamSize { players_min, players_max };
    let ratings = |range, range_max| Some(RatingRange { range, range_per_s: 1, range_max });
    let properties = |count| Facts { properties: vec!["map".to_owned(); count], ..Facts::default() };
    assert!(described(&|it| it.facts = properties(16)).is_ok());
    assert!(described(&|it| it.proposed = Proposed { teams: vec![team(1, 5); 2], ratings: ratings(9, 9) }).is_ok());

    is_wrong(described(&|it| it.name.clear()), "name is empty");
    is_wrong(described(&|it| it.version = "v".repeat(65)), "version of 65 bytes");
    is_wrong(described(&|it| it.facts = properties(17)), "17 properties");
    is_wrong(described(&|it| it.facts.properties = vec!["p".repeat(65)]), "property of 65 bytes");
    is_wrong(described(&|it| it.proposed.teams = vec![team(0, 5)]), "players_min");
    is_wrong(described(&|it| it.proposed.teams = vec![team(6, 5)]), "players_min");
    is_wrong(described(&|it| it.proposed.teams = vec![team(1, 101); 2]), "202 players");
    is_wrong(described(&|it| it.proposed.teams = vec![team(1, 1); 101]), "101 teams");
    is_wrong(described(&|it| it.proposed.ratings = ratings(10, 9)), "above its maximum");
    assert_eq!(Rule::new(Arc::new(Refusing)).unwrap_err().kind(), "refused");
}

#[test]
fn a_rule_is_the_same_only_as_itself() {
    let one = rule(Scripted::default());
    assert_eq!(one, one.clone());
    assert_ne!(one, rule(Scripted::default()));
}

#[test]
fn a_setting_that_cannot_work_is_refused_with_what_to_change() {
    let check = |text: &str| serde_json::from_str::<Setting>(text).unwrap().check();
    assert_eq!(check(r#"{"plugin":"squads-rule"}"#), Ok(()));
    let refused = |text: &str, part: &str| {
        let what = check(text).unwrap_err();
        assert!(what.contains(part), "{what}");
    };
    refused(r#"{"plugin":"../squads"}"#, "letters, digits");
    refused(r#"{"plugin":""}"#, "letters, digits");
    refused(r#"{"plugin":"a","fuel":9999}"#, "rule.fuel is 9999: use 10000");
    refused(r#"{"plugin":"a","fuel":100000001}"#, "to 100000000");
    refused(r#"{"plugin":"a","memory_kib":255}"#, "rule.memory_kib is 255: use 256 to 16384");
    refused(r#"{"plugin":"a","memory_kib":16385}"#, "16384");
    let long = "x".repeat(16 * 1_024);
    refused(&format!(r#"{{"plugin":"a","configuration":{{"text":"{long}"}}}}"#), "16384 bytes as JSON");
}
