//! Where a recording and what was played now are not the same, for people.

use super::{Recorded, Recording};

/// The first step that differs.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its number in the script, from 1; 0: before the first step.
    pub number: usize,
    pub step: String,
    /// The lines of both, in order.
    pub lines: Vec<Line>,
}

/// One line of a difference.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// In both.
    Same(String),
    /// Was recorded and is no more.
    Gone(String),
    /// Was not recorded and is now.
    New(String),
}

/// `None`: all is the same.
pub fn first(recorded: &Recording, now: &Recording) -> Option<Difference> {
    let longest = recorded.steps.len().max(now.steps.len());
    (0..longest).find_map(|number| {
        let (was, is) = (recorded.steps.get(number), now.steps.get(number));
        if was == is {
            return None;
        }
        let step = |step: Option<&Recorded>| step.map_or(String::new(), |step| step.step.clone());
        let gave = |step: Option<&Recorded>| step.map_or(Vec::new(), |step| step.gave.clone());
        let (was_step, is_step) = (step(was), step(is));
        let mut lines = match was_step == is_step {
            true => Vec::new(),
            false => vec![Line::Gone(format!("step {was_step}")), Line::New(format!("step {is_step}"))],
        };
        lines.extend(between(&gave(was), &gave(is)));
        Some(Difference { number, step: if is_step.is_empty() { was_step } else { is_step }, lines })
    })
}

/// What both begin and end with is the same; what lies between has changed.
fn between(was: &[String], is: &[String]) -> Vec<Line> {
    let begin = was.iter().zip(is).take_while(|(was, is)| was == is).count();
    let (was_rest, is_rest) = (&was[begin..], &is[begin..]);
    let end = was_rest.iter().rev().zip(is_rest.iter().rev()).take_while(|(was, is)| was == is).count();
    let same = |lines: &[String]| lines.iter().cloned().map(Line::Same).collect::<Vec<_>>();
    let mut lines = same(&was[..begin]);
    lines.extend(was_rest[..was_rest.len() - end].iter().cloned().map(Line::Gone));
    lines.extend(is_rest[..is_rest.len() - end].iter().cloned().map(Line::New));
    lines.extend(same(&was_rest[was_rest.len() - end..]));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(steps: &[(&str, &[&str])]) -> Recording {
        let recorded = |(step, gave): &(&str, &[&str])| Recorded {
            step: (*step).to_owned(),
            gave: gave.iter().map(|line| (*line).to_owned()).collect(),
        };
        Recording { steps: steps.iter().map(recorded).collect() }
    }

    #[test]
    fn the_first_step_that_differs_is_shown_line_by_line() {
        let was = recording(&[("start", &[]), ("join 0", &["a", "b", "c"]), ("join 1", &["x"])]);
        let is = recording(&[("start", &[]), ("join 0", &["a", "B", "d", "c"]), ("join 1", &["y"])]);
        let difference = first(&was, &is).unwrap();
        assert_eq!((difference.number, &*difference.step), (1, "join 0"));
        let line = |text: &str| text.to_owned();
        let expected = [
            Line::Same(line("a")),
            Line::Gone(line("b")),
            Line::New(line("B")),
            Line::New(line("d")),
            Line::Same(line("c")),
        ];
        assert_eq!(difference.lines, expected);
        assert_eq!(first(&was, &was), None);
    }

    #[test]
    fn a_script_that_has_become_shorter_or_longer_differs() {
        let (short, long) = (recording(&[("start", &[])]), recording(&[("start", &[]), ("join 0", &["a"])]));
        assert_eq!(first(&short, &long).unwrap().lines[2..], [Line::New("a".to_owned())]);
        assert_eq!(first(&long, &short).unwrap().lines[2..], [Line::Gone("a".to_owned())]);
    }
}
